"""PTB-XL: 21,799 12-lead ECGs of 10 s of 18,869 patients, five superclasses of diagnoses, ten folds by patient.

Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data 7:154, 2020, which
describes the tables:

    RAW/ptbxl_database.csv    ecg_id, patient_id, scp_codes ({'NORM': 100.0, ...}), strat_fold, filename_lr, ...
    RAW/scp_statements.csv    (code), ..., diagnostic, ..., diagnostic_class
    RAW/records100/00000/00001_lr.hea, .dat    100 Hz, WFDB format 16
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.files.reading import AGAIN, LARGEST_TABLE, read_text
from dataset.prepare.downstream.common import Options, Piece, Preparation
from dataset.prepare.downstream.ecg12 import LEADS, read_leads
from registry import PREPARATIONS

SUPERCLASSES = ("CD", "HYP", "MI", "NORM", "STTC")
CODE = re.compile(r"'([^']+)'\s*:")
FOLDS = {**dict.fromkeys(range(1, 9), "train"), 9: "val", 10: "test"}
SECONDS = 10.0
NEEDED = ("ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr")


@PREPARATIONS.register("ptb-xl")
class PTBXL(Preparation):
    """Folds 1 to 8, 9 and 10; what has none of the superclasses stays as a row of zeros, or is dropped."""

    channels, task, labels = LEADS, "labels", SUPERCLASSES
    source = "Wagner et al., Scientific Data 7:154, 2020 (PTB-XL); CC BY 4.0"
    used = ("drop_unlabelled",)

    def __init__(self, raw: Path, options: Options):
        """Read both tables."""
        super().__init__(raw, options)
        self.about["rate"] = 100.0
        database = self.files("ptbxl_database.csv", "the table of PTB-XL")[0]
        self.root = database.parent
        self.rows = table(database, NEEDED)
        self.superclass = superclasses(self.root / "scp_statements.csv")

    def subjects(self) -> list[str]:
        """None to be drawn: the folds are given."""
        return []

    def pieces(self) -> Iterator[Piece]:
        """A record at a time; one that cannot be read is skipped."""
        unlabelled = 0
        for row in self.rows:
            there = {self.superclass[code] for code in CODE.findall(row["scp_codes"]) if code in self.superclass}
            unlabelled += not there
            if not there and self.options.drop_unlabelled:
                continue
            try:
                windows, part = self._window(row), FOLDS[int(float(row["strat_fold"]))]
            except (ValueError, OSError, KeyError) as error:
                self.skipped[row["ecg_id"]] = str(error)
                continue
            labels = np.isin(SUPERCLASSES, list(there)).astype(np.float32)
            patient = row["patient_id"].split(".")[0]
            yield Piece(f"patient{patient}", windows, labels[None], f"ecg{row['ecg_id']}", part)
        self.about["unlabelled"] = unlabelled
        self.about["note"] = f"{unlabelled} records have none of the five superclasses" + (
            " and were dropped." if self.options.drop_unlabelled else ": rows of zeros; --drop_unlabelled drops them."
        )

    def _window(self, row: dict[str, str]) -> np.ndarray:
        name = Path(row["filename_lr"])
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(f"its file is said to be {str(name)!r}, outside of the data set")
        wave, fs = read_leads((self.root / name).with_suffix(".hea"))
        windows, count = self.windows(wave, fs, SECONDS, SECONDS)
        if not count:
            raise ValueError(f"it lasts {wave.shape[1] / fs:.1f} s, less than {SECONDS:g}")
        return windows[:1]


def superclasses(path: Path) -> dict[str, str]:
    """Diagnostic code -> its superclass."""
    rows = table(path, ("diagnostic", "diagnostic_class"))
    first = next(iter(rows[0]))
    return {
        row[first]: row["diagnostic_class"] for row in rows
        if _is_one(row["diagnostic"]) and row["diagnostic_class"] in SUPERCLASSES
    }  # fmt: skip


def table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a table by the names of its columns; ValueError where one is missing."""
    lines = csv.DictReader(io.StringIO(read_text(path, LARGEST_TABLE)))
    rows = list(lines)
    lacking = [name for name in needed if name not in (lines.fieldnames or ())]
    if lacking or not rows:
        what = f"no column {lacking[0]!r}" if lacking else "no rows"
        raise ValueError(f"'{path}' has {what} (it has: {', '.join(lines.fieldnames or ()) or 'none'}). {AGAIN}")
    return [{key: str(value or "") for key, value in row.items() if key is not None} for row in rows]


def _is_one(cell: str) -> bool:
    try:
        return float(cell) == 1.0
    except ValueError:
        return False
