"""UCI cuff-less blood pressure: PPG and arterial pressure at 125 Hz of MIMIC-II, in windows of 5 s.

Kachuee et al., "Cuff-less high-accuracy calibration-free blood pressure estimation using pulse transit time", ISCAS
2015, whose page at UCI describes the parts; the folds are those of González, Hsu and Chen, "A benchmark for machine
learning based non-invasive blood pressure estimation using photoplethysmogram", Scientific Data 10:149, 2023:

    RAW/**/Part_1.mat ... Part_4.mat          cells of (3, L): PPG, pressure (mmHg), ECG; MATLAB 7.3
    RAW/**/signal_fold_0.mat ... _2.mat       signal (n, 625), SP, DP (n), patient, trial (n)

Parts do not say whose a record is. One signal stands in several of them: it is taken out of all, and counted.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files import hdf5, matlab
from dataset.files.lookup import below
from dataset.files.names import natural_key
from dataset.files.reading import AGAIN
from dataset.prepare.downstream.common import Options, Piece, Preparation, cut, prepared
from dataset.pressure import refusal
from registry import PREPARATIONS

FS, SECONDS = 125.0, 5.0
PART_OF = {"Part_1": "train", "Part_2": "train", "Part_3": "val", "Part_4": "test"}
FOLD_OF = {"signal_fold_0": "train", "signal_fold_1": "val", "signal_fold_2": "test"}
LARGEST = 1 << 29  # values of a fold
NUMBER = re.compile(r"(part_[1-4]|signal_fold_[0-2])\.mat", re.IGNORECASE)


@PREPARATIONS.register("uci_bp")
class UCI(Preparation):
    """Systolic and diastolic pressure of each window of 5 s."""

    labels, units = ("sbp", "dbp"), {"sbp": "mmHg", "dbp": "mmHg"}
    source = "Kachuee et al., ISCAS 2015 (UCI); folds: González et al., Scientific Data 10:149, 2023; CC BY 4.0"

    def __init__(self, raw: Path, options: Options):
        """Find the folds, or the parts; ValueError where some are missing."""
        super().__init__(raw, options)
        self.about["rate"] = FS
        found = {path.stem.lower(): path for path in below(raw, "*.mat") if NUMBER.fullmatch(path.name)}
        for known in (FOLD_OF, PART_OF):
            own = {found[name.lower()]: part for name, part in known.items() if name.lower() in found}
            if own:
                break
        else:
            raise FileNotFoundError(
                f"'{raw}' holds neither signal_fold_0.mat nor Part_1.mat. --raw names their folder."
            )
        lacking = {"train", "val", "test"} - set(own.values())
        if lacking:
            raise FileNotFoundError(f"'{raw}' lacks the files for {', '.join(sorted(lacking))}: {', '.join(known)}.")
        self.paths = dict(sorted(own.items(), key=lambda item: natural_key(item[0].name)))
        self.folds = known is FOLD_OF

    def subjects(self) -> list[str]:
        """None to be drawn: the files divide them."""
        return []

    def pieces(self) -> Iterator[Piece]:
        """A record at a time, without the windows that another part has too."""
        twice = self._in_several()
        removed, left_out = 0, 0
        for path, part in self.paths.items():
            for subject, recording, waves, labels in self._records(path):
                alone = np.array([digest(wave) not in twice for wave in waves], dtype=bool)
                removed += int((~alone).sum())
                left_out += int(np.isnan(labels).any(axis=1).sum())
                good = alone & np.isfinite(labels).all(axis=1)
                if good.any():
                    windows = prepared_many(waves[good], self.options)
                    yield Piece(subject, windows, labels[good], recording, part)
        self.about |= {
            "removed_in_two_parts": removed, "windows_without_a_pressure": left_out,
            "subjects": "patients" if self.folds else "unknown: a record is taken for a person",
            "note": f"{removed} windows whose signal stands in two parts were removed; {left_out} without a pressure.",
        }  # fmt: skip

    def _in_several(self) -> set[bytes]:
        """Digests of the signals that stand in two parts."""
        owner: dict[bytes, str] = {}
        several = set()
        for path, part in self.paths.items():
            for _, _, waves, _ in self._records(path, labelled=False):
                for wave in waves:
                    if owner.setdefault(mark := digest(wave), part) != part:
                        several.add(mark)
        return several

    def _records(self, path: Path, labelled: bool = True) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
        """(subject, recording, waves (k, 625), labels (k, 2)) of a file."""
        if self.folds:
            yield from fold(path)
            return
        with hdf5.open_file(path) as file:
            for number, record in enumerate(hdf5.cell_arrays(file, path.stem, axes=2)):
                values = np.asarray(record[()], dtype=float)
                values = values if values.shape[0] == 3 else values.T
                if values.shape[0] != 3:
                    raise hdf5.VideoError(f"'{path}': record {number + 1} is {record.shape}; three rows were expected.")
                parts = cut(values, FS, SECONDS, SECONDS)
                labels = np.array([pressures(one[1]) for one in parts]) if labelled else np.zeros((len(parts), 2))
                name = f"{path.stem}_{number + 1}"
                yield name, name, parts[:, 0], labels.reshape(-1, 2)


def fold(path: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """The patients of a fold one after the other."""
    found = _variables(path)
    waves = np.asarray(found["signal"], dtype=float)
    waves = waves if waves.shape[-1] == round(FS * SECONDS) else waves.T
    patient, trial = (np.ravel(found[name]).astype(str) for name in ("patient", "trial"))
    labels = np.stack([np.ravel(found[name]).astype(float) for name in ("SP", "DP")], axis=1)
    if (
        waves.ndim != 2
        or waves.shape != (len(labels), round(FS * SECONDS))
        or {len(patient), len(trial)} != {len(labels)}
    ):
        raise ValueError(f"'{path}' has signals {waves.shape} and {len(labels)} pressures: they do not fit. {AGAIN}")
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(patient, trial, strict=True)):
        rows[key].append(row)
    for (who, which), own in rows.items():
        name = who.strip().removesuffix(".0")
        yield name, f"{name}_{which.strip().removesuffix('.0')}", waves[own], labels[own]


def _variables(path: Path) -> dict[str, Any]:
    """The variables of a fold, of either version of MATLAB's files."""
    names = ("signal", "SP", "DP", "patient", "trial")
    try:
        return matlab.read_variables(path, names, largest=LARGEST)
    except ValueError as error:
        if "is not a MATLAB file of version 5 to 7" not in str(error):
            raise
    with hdf5.open_file(path) as file:
        axes = {"signal": 2}
        return {name: hdf5.numbers(file, name, axes.get(name, 2))[()] for name in names}


def digest(wave: np.ndarray) -> bytes:
    """What tells one signal (L,) from another: equal for equal samples."""
    return hashlib.blake2b(np.ascontiguousarray(wave, dtype=np.float32).tobytes(), digest_size=12).digest()


def pressures(line: np.ndarray) -> tuple[float, float]:
    """Median SBP and DBP (mmHg) of the beats of a line (L,); NaN where it is damped, flat, clipped or implausible."""
    reason, beats = refusal(line, FS)
    return (np.nan, np.nan) if reason else (float(np.median(beats.sbp)), float(np.median(beats.dbp)))


def prepared_many(waves: np.ndarray, options: Options) -> np.ndarray:
    """Windows (k, 1, L) of k waves (k, T), each for itself."""
    return np.concatenate([prepared(wave, FS, options, SECONDS, SECONDS) for wave in waves])
