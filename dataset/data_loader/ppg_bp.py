"""PPG-BP: 219 people, three pieces of 2.1 s of finger PPG each, and the pressure of a cuff.

Liang, Chen, Liu and Elgendi, "A new, short-recorded photoplethysmogram dataset for blood pressure monitoring in China",
Scientific Data 5:180020, 2018. Only pieces of good quality were kept; there is no ECG.

    DATA_PATH/0_subject/<subject>_<1..3>.txt   PPG (counts of the converter) at 1000 Hz, one line with tabs; some are
                                               twice as long
    DATA_PATH/PPG-BP dataset.csv               the sheet of the .xlsx file, saved as CSV: subject_ID, Sex(M/F),
                                               Age(year), Height(cm), Weight(kg), Systolic Blood Pressure(mmHg), ...

Targets: sbp, dbp (mmHg), hr (bpm), age (years), sex (1: a man), height (cm), weight (kg), bmi (kg/m2).
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from dataset.files.lookup import visible
from dataset.files.reading import AGAIN, read_text, told
from dataset.files.tables import read_table, require_root, require_some
from registry import DATASETS

NAME = re.compile(r"(?P<subject>\d+)_(?P<piece>\d+)\.txt", re.IGNORECASE)
COLUMNS = {  # how the names of columns begin -> ours
    "systolic blood pressure": "sbp", "diastolic blood pressure": "dbp", "heart rate": "hr", "age": "age",
    "height": "height", "weight": "weight", "bmi": "bmi",
}  # fmt: skip
DIAGNOSES = ("hypertension", "diabetes", "cerebral infarction", "cerebrovascular disease")
LARGEST = 1 << 18  # bytes of the table, which is read for each piece: 219 people have 25,000
LAYOUT = "0_subject/<subject>_<1..3>.txt and a table `PPG-BP dataset.csv`"


@DATASETS.register("PPG-BP")
class PPGBPLoader(BaseLoader):
    """Each piece is a recording: subject 2 has 2_1, 2_2 and 2_3."""

    has_video = False
    signals = ("ppg",)
    side_files = ("*.csv", "*.xlsx")

    def recordings(self, root: Path) -> list[Recording]:
        """All pieces in natural order; FileNotFoundError where there is none."""
        root = require_root(root, "PPG-BP")
        folder = root / "0_subject" if (root / "0_subject").is_dir() else root
        files = [file for file in natural_sort(visible(folder)) if NAME.fullmatch(file.name)]
        require_some(files, root, "PPG-BP", LAYOUT)
        return [Recording(file.stem, NAME.fullmatch(file.name)["subject"], file) for file in files]

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """The PPG at 1000 Hz."""
        return {"ppg": Signal(read_table(recording.path, delimiter=None).reshape(-1), fs=1000.0)}

    def read_targets(self, recording: Recording) -> dict[str, float]:
        """Cuff pressure, heart rate and what is known of the person."""
        path, row = self._row(recording)
        found = {new: _number(_cell(row, old), path, recording.subject) for old, new in COLUMNS.items()}
        sex = _cell(row, "sex").strip().lower()
        return found | {"sex": {"male": 1.0, "m": 1.0, "female": 0.0, "f": 0.0}.get(sex, float("nan"))}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """The diagnoses."""
        _, row = self._row(recording)
        return {name: _cell(row, name) for name in DIAGNOSES if _cell(row, name)}

    def _row(self, recording: Recording) -> tuple[Path, dict[str, str]]:
        folder = recording.path.parent
        root = folder.parent if folder.name == "0_subject" else folder
        path = next((file for file in visible(root) if file.suffix.lower() == ".csv"), root / "PPG-BP dataset.csv")
        if not path.exists() and any(file.suffix.lower() == ".xlsx" for file in visible(root)):
            raise FileNotFoundError(f"'{root}' has the table as .xlsx only. Save its sheet as '{path.name}' beside it.")
        for row in read_rows(path):
            if row["subject_id"].strip() == recording.subject:
                return path, row
        raise ValueError(f"'{path}' has no row of subject {recording.subject}. {AGAIN}")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the table by the names of its columns in small letters; a title above them is passed over."""
    try:
        lines = list(csv.reader(io.StringIO(read_text(path, LARGEST))))
    except csv.Error as error:  # a cell of millions of letters
        raise ValueError(f"'{path}' is no table: {told(error)}. {AGAIN}") from None
    head = next((k for k, line in enumerate(lines) if "subject_id" in [cell.strip().lower() for cell in line]), None)
    if head is None:
        raise ValueError(f"'{path}' has no column subject_ID. {AGAIN}")
    names = [name.strip().lower() for name in lines[head]]
    return [dict(zip(names, line, strict=False)) for line in lines[head + 1 :] if len(line) >= len(names)]


def _cell(row: dict[str, str], begins: str) -> str:
    return next((value for name, value in row.items() if name.startswith(begins)), "")


def _number(text: str, path: Path, subject: str) -> float:
    if not text.strip():
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{path}': {text!r} of subject {subject} is no number. {AGAIN}") from None
