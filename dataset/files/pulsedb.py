"""A subset of PulseDB as MATLAB 7.3 stores it, read in blocks of windows; licences and which subsets share people.

Wang, Mohseni, Kilgore and Najafizadeh, Frontiers in Digital Health 4:1090854, 2023; Generate_Subsets.m of the authors'
repository pulselabteam/PulseDB writes

    Subset.Signals (n, 3, 1250)   filtered ECG, filtered PPG, pressure (mmHg); h5py sees (1250, 3, n)
    Subset.Subject (n, 1) texts   7 characters, then _0 (MIMIC-III) or _1 (VitalDB);  SBP, DBP, Age ... (n, 1)

Files whose signals stand apart, as `ECG_Record_F` and `PPG_Record_F` (or `ECG_F`, `PPG_F`) of (n, 1250), are read too.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dataset.files import hdf5
from dataset.files.names import plural
from dataset.progress import show_progress

CHANNELS, FS = ("ecg", "ppg", "abp"), 125.0
APART = (("ECG_Record_F", "PPG_Record_F"), ("ECG_F", "PPG_F"))
BLOCK = 2000  # windows read at once, in whole chunks of the file where they fit
BYTES = 1 << 27  # of a block
LICENCES = {
    "MIMIC": "MIMIC-III part (subjects ..._0): Open Database License (ODbL)",
    "VitalDB": "VitalDB part (subjects ..._1): CC BY-NC-SA 4.0",
}
SHARED = {  # subset -> the one whose people it has, by design
    "CalBased_Test_Subset": "Train_Subset", "AAMI_Cal_Subset": "AAMI_Test_Subset",
    "AAMI_Test_Subset": "AAMI_Cal_Subset",
}  # fmt: skip


class Subset:
    """The windows of an open file; `shape` (n, C, L), `channels` their names."""

    def __init__(self, file: h5py.File):
        """ValueError for a file that is no subset."""
        self._file, self.name = file, Path(file.filename).name
        if "Subset" not in file:
            what = "one person's segments: give a file of Subset_Files" if "Subj_Wins" in file else "no subset"
            raise hdf5.VideoError(f"'{file.filename}' holds {what} of PulseDB (it has {', '.join(list(file)[:5])}).")
        self.subjects = self.texts("Subject")
        self._stored, self.channels = self._signals()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Windows, channels, samples."""
        return len(self), len(self.channels), self._length

    def __len__(self) -> int:
        """Windows."""
        return len(self.subjects)

    def has(self, name: str) -> bool:
        """Whether the column is there."""
        return hdf5.has(self._file, f"Subset/{name}")

    def numbers(self, name: str) -> np.ndarray:
        """A column (n,)."""
        return hdf5.signal(self._file, f"Subset/{name}")

    def texts(self, name: str) -> list[str]:
        """A column of texts."""
        return hdf5.cells(self._file, f"Subset/{name}")

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, windows (k, C, L) float32) from the first window to the last, a block in memory at a time."""
        count, channels, length = self.shape
        fitting = max(1, BYTES // (channels * length * self._stored[0].dtype.itemsize))
        chunk = self._stored[0].chunks[-1 if self._last else 0] if self._stored[0].chunks else 1
        step = min(fitting, max(chunk, BLOCK // chunk * chunk))
        with show_progress(None, f"Converting {self.name}", count, "windows") as progress:
            for start in range(0, count, step):
                block = self._block(start, min(start + step, count))
                yield start, block
                progress.update(len(block))

    def _signals(self) -> tuple[list[h5py.Dataset], tuple[str, ...]]:
        if self.has("Signals"):
            one, channels = hdf5.numbers(self._file, "Subset/Signals", axes=3), CHANNELS
            found, shape = [one], one.shape
        else:
            pair = next((pair for pair in APART if all(map(self.has, pair))), ("Signals",))
            found, channels = [hdf5.numbers(self._file, f"Subset/{name}", axes=2) for name in pair], CHANNELS[:2]
            shape = found[0].shape
        count = len(self)
        self._last = shape[0] != count or shape[-1] == count != shape[0]
        plain = shape[::-1] if self._last else shape
        fits = plain[0] == count and (len(found) > 1 or plain[1] == len(CHANNELS))
        if not fits or any(one.shape != shape for one in found) or not count:
            raise hdf5.VideoError(
                f"'{self._file.filename}' has signals {shape} and {plural(count, 'subject')}: they are not of one "
                f"export."
            )
        self._length = plain[-1]
        return found, channels

    def _block(self, start: int, stop: int) -> np.ndarray:
        part = (..., slice(start, stop)) if self._last else slice(start, stop)
        read = [one[part].T if self._last else one[part] for one in self._stored]
        return (read[0] if len(read) == 1 else np.stack(read, axis=1)).astype(np.float32)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Subset]:
    """The subset at `path`; ValueError or FileNotFoundError names the file where it is damaged or none."""
    with hdf5.open_file(Path(path)) as file:
        yield Subset(file)


def about(path: str | Path, subjects: Any) -> dict[str, Any]:
    """Licences of the people in a subset, and the subset whose people it shares, as plain values."""
    endings = {str(name)[-2:] for name in subjects}
    parts = [part for ending, part in (("_0", "MIMIC"), ("_1", "VitalDB")) if ending in endings]
    parts = parts or list(LICENCES)  # names of another kind: both may be meant
    said: dict[str, Any] = {"subset": Path(path).stem, "licence": "; ".join(LICENCES[part] for part in parts)}
    stem = Path(path).stem.removeprefix("VitalDB_").removeprefix("MIMIC_")
    if stem in SHARED:
        said["shares_subjects_with"] = SHARED[stem]
    return said
