"""Synchronous windows of ECG and PPG in one array, as encoders are pre-trained on: no labels, whose they are.

    DATA_PATH   windows.npy            (n, 2, L) numbers: ECG, PPG, at ARRAY_FS (125 Hz); L at least WINDOW (1250)
                windows_subjects.npy   (n,) whole numbers or texts: whose each window is
                windows.json           optional; its `fs` must be ARRAY_FS

Longer rows give a window every STRIDE samples. What holds NaN or infinite numbers is left out and counted; an array is
looked through once, and what was found is kept beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader
from dataset.files.finite import unfinished_rows
from dataset.files.reading import AGAIN, is_there, open_array, read_json
from dataset.files.windows import WindowArray, Windows, arrange
from registry import DATASETS
from settings.checks import above, at_least

CHANNELS = ("ecg", "ppg")


@DATASETS.register("PairedWindows")
class PairedWindowsLoader(BaseLoader):
    """A subject is a recording; channels ecg and ppg."""

    has_video, windows = False, True
    signals = CHANNELS
    OPTIONS = {"ARRAY_FS": 125.0, "WINDOW": 1250, "STRIDE": 1250}
    CHECKS = {"ARRAY_FS": above(0), "WINDOW": at_least(1), "STRIDE": at_least(1)}

    def read_windows(self, root: Path) -> Windows:
        """The windows of the array at `root`; only headers and subjects are read, and once the samples.

        ValueError and FileNotFoundError name the file, what is wrong with it and the remedy.
        """
        path, fs = Path(root), float(self.options.get("ARRAY_FS", 125.0))
        length, stride = int(self.options.get("WINDOW", 1250)), int(self.options.get("STRIDE", 1250))
        if path.is_dir():
            raise FileNotFoundError(f"'{path}' is a folder. Set DATA_PATH to the .npy array (n, 2, L) itself.")
        _check_rate(path, fs)
        whole = WindowArray(path, len(CHANNELS))
        if whole.length < length:
            raise ValueError(
                f"'{path}' has windows of {whole.length} samples ({whole.length / fs:g} s at {fs:g} Hz), shorter than "
                f"WINDOW {length}. Write longer ones, or lower WINDOW."
            )
        store = CutArray(whole, length, stride)
        names = beside(path, "_subjects.npy")
        subjects = np.repeat(_subjects(names, len(whole)), store.cuts)
        windows = arrange(store, {"subject": subjects}, CHANNELS, fs, path, names)
        unfit = {
            row * store.cuts + cut: f"window {row} of '{path.name}' has samples that are no numbers"
            for row in unfinished_rows(path).tolist()
            for cut in range(store.cuts)
        }
        return replace(windows, unfit=unfit)


class CutArray:
    """The rows of an array cut into windows: `length` samples every `stride`, row by row."""

    def __init__(self, whole: WindowArray, length: int, stride: int):
        """`whole`: the rows; each is at least `length` long."""
        self.whole, self.length, self.stride = whole, length, stride
        self.cuts = (whole.length - length) // stride + 1

    def __len__(self) -> int:
        """Windows of all rows."""
        return len(self.whole) * self.cuts

    def read(self, number: int, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), length) float32."""
        return self.read_many(np.array([number]), rows)[0]

    def read_many(self, numbers: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of windows (n,), (n, len(rows), length) float32."""
        lines, cuts = np.divmod(numbers, self.cuts)
        found = self.whole.read_many(lines, rows)
        if self.length == self.whole.length:
            return found
        starts = (cuts * self.stride).tolist()
        return np.stack([wave[:, start : start + self.length] for wave, start in zip(found, starts, strict=True)])


def beside(path: Path, ending: str) -> Path:
    """The file that belongs to the array `path`: its name without .npy, and `ending`."""
    return path.with_name(path.name.removesuffix(".npy") + ending)


def _check_rate(path: Path, fs: float) -> None:
    """ValueError where the file beside the array states another rate than ARRAY_FS."""
    note = beside(path, ".json")
    stated = read_json(note).get("fs") if is_there(note) else None
    if isinstance(stated, (int, float)) and abs(stated - fs) > 1e-6:
        raise ValueError(
            f"'{note}' says {stated:g} Hz, ARRAY_FS is {fs:g}. Set ARRAY_FS: {stated:g} (networks read at their own "
            "rate), or write the array anew."
        )


def _subjects(path: Path, count: int) -> np.ndarray:
    if not path.exists():
        raise FileNotFoundError(
            f"'{path}' is missing: it says whose each window is, (n,). Without it nobody can be kept out of training."
        )
    found = open_array(path, AGAIN)
    if found.ndim != 1 or found.dtype.kind not in "iuSU":
        raise ValueError(f"'{path}' holds {found.dtype} {found.shape}; subjects are numbers or texts (n,). {AGAIN}")
    if len(found) != count:
        raise ValueError(f"'{path}' has {len(found)} subjects, the array {count} windows. They must be of one export.")
    return np.char.decode(found, "utf-8", "replace") if found.dtype.kind == "S" else np.asarray(found)
