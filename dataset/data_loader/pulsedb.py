"""PulseDB: windows of 10 s of ECG, PPG and arterial pressure of 5,361 people of MIMIC-III and VitalDB, at 125 Hz.

Wang, Mohseni, Kilgore and Najafizadeh, "PulseDB: A large, cleaned dataset based on MIMIC-III and VitalDB for
benchmarking cuff-less blood pressure estimation methods", Frontiers in Digital Health 4:1090854, 2023.

    DATA_PATH   VitalDB_Train_Subset.mat or another subset (MATLAB 7.3), or a folder that has one (or SUBSET)
                Subset.Signals (n, 3, 1250): ECG and PPG, filtered and scaled to 0-1 in each window; pressure in mmHg
                Subset.Subject, Gender (texts), SBP, DBP, Age, Height, Weight, BMI (n, 1)

Its authors split it: train, calibration-based test (the same people), calibration-free test (others). Of MIMIC-III the
lag between the channels was searched within 1 s: a pulse arrival time means something on the VitalDB part alone.
MATLAB stores the windows across the file; they are written once as an array that can be read window by window, beside
the subset or in CONVERTED.
"""

import json
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader
from dataset.files import pulsedb
from dataset.files.lookup import listed, visible
from dataset.files.pulsedb import CHANNELS, FS
from dataset.files.reading import is_there, read_json
from dataset.files.windows import WindowArray, Windows, arrange, read_columns
from dataset.files.writing import replacing, write_whole
from registry import DATASETS

COLUMNS = {"SBP": "sbp", "DBP": "dbp", "Age": "age", "Height": "height", "Weight": "weight", "BMI": "bmi"}


@DATASETS.register("PulseDB")
class PulseDBLoader(BaseLoader):
    """The windows of one subset; targets sbp, dbp (mmHg), age, sex (1: a man), height, weight, bmi."""

    has_video, windows = False, True
    signals = ()
    OPTIONS = {"SUBSET": "", "CONVERTED": ""}

    def read_windows(self, root: Path) -> Windows:
        """Those of the subset at `root`, converted when they are read for the first time."""
        path = subset_of(Path(root), self.options.get("SUBSET", ""))
        folder = Path(self.options.get("CONVERTED") or path.parent)
        array, table = folder / f"{path.stem}.windows.npy", folder / f"{path.stem}.table.npz"
        made = {"size": path.stat().st_size, "changed": path.stat().st_mtime_ns}
        note = folder / f"{path.stem}.windows.json"
        if not (is_there(note) and read_json(note) == made and array.is_file() and table.is_file()):
            try:
                convert(path, array, table)
            except PermissionError as error:
                raise PermissionError(f"'{error.filename}' cannot be written. Name a folder in CONVERTED.") from None
            write_whole(note, json.dumps(made) + "\n")
        return arrange(WindowArray(array, len(CHANNELS)), read_columns(table), CHANNELS, FS, array, table)


def subset_of(root: Path, named: str) -> Path:
    """The .mat file that is meant; FileNotFoundError or ValueError naming what there is."""
    if root.is_file():
        return root
    files = [file for file in visible(root) if file.suffix == ".mat"]
    if named:
        files = [file for file in files if file.name in (named, f"{named}.mat")]
    if not files:
        raise FileNotFoundError(f"'{root}' holds no subset {named or ''}. Expected there: VitalDB_Train_Subset.mat.")
    if len(files) > 1:
        raise ValueError(f"'{root}' holds {listed([file.name for file in files])}: name one in SUBSET.")
    return files[0]


def convert(path: Path, array: Path, table: Path) -> None:
    """Write the windows (n, 3, L) float32 of a subset to `array` and their table; ValueError for one that is none."""
    with pulsedb.opened(path) as subset:
        columns = {new: subset.numbers(old) for old, new in COLUMNS.items() if subset.has(old)}
        columns["subject"] = np.array(subset.subjects)
        if subset.has("Gender"):
            columns["sex"] = np.array([_sex(one) for one in subset.texts("Gender")])
        counts = {name: len(values) for name, values in columns.items()}
        if set(counts.values()) != {len(subset)}:
            raise ValueError(f"'{path}' has {len(subset)} windows and columns {counts}: they are not of one export.")
        with replacing(array, ending=".npy") as temporary:
            out = np.lib.format.open_memmap(temporary, "w+", np.float32, subset.shape)
            for start, block in subset.blocks():
                out[start : start + len(block)] = block
            out.flush()
    with replacing(table, ending=".npz") as temporary:
        np.savez(temporary, **columns)


def _sex(text: str) -> float:
    return {"m": 1.0, "male": 1.0, "f": 0.0, "female": 0.0}.get(text.strip().lower(), float("nan"))
