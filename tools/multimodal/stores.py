"""The files of one device: its samples, their times and what there is to say of single ones; all of them only grow.

A kill at any moment costs what came since the last flush, FLUSH seconds: see `dataset.multimodal.appending`.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dataset.multimodal.appending import ArrayFile, TableFile
from dataset.multimodal.layout import STAMP_COLUMNS, STAMPS
from tools.multimodal.device import Array, Sample, Table, Video

FLUSH = 0.25  # s that something may wait in this process
SYNC = 10.0  # s between two times that the disk has to have everything: a failure of power costs more than a kill
LOCK = ".recording"  # held while something is written beside it
FLAGS, FLAG_COLUMNS = "flags.csv", ("index", "kind", "amount")


class Store:
    """`append` samples; `timestamps.csv` and, where there is something to say, `flags.csv` grow with them."""

    def __init__(self, folder: Path, kind: Video | Array | Table, fps: float):
        """Begin the files in `folder`; FileExistsError where there are some."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._flags = folder, None
        self._data = open_data(folder, kind, fps)
        self._stamps = TableFile(folder / STAMPS, STAMP_COLUMNS)
        self._flushed = self._synced = time.monotonic()
        self.count = self.bytes = 0

    def append(self, sample: Sample) -> None:
        """Write one sample. OSError where the disk is full, ValueError for one of another shape than the first."""
        self.bytes += self._data.append(sample)
        self._stamps.add(self.count, sample.t_device_ns, sample.t_host_ns)
        for flag in sample.flags:
            self._flags = self._flags or TableFile(self._folder / FLAGS, FLAG_COLUMNS)
            self._flags.add(self.count, flag.kind, flag.amount)
        self.count += 1
        self.flush_when_due()

    def flush_when_due(self) -> None:
        """Hand everything to the system, where that was FLUSH seconds ago: data first, so that no time is without."""
        now = time.monotonic()
        if now - self._flushed < FLUSH:
            return
        sync = now - self._synced >= SYNC
        for file in self._files():
            file.flush(sync=sync)
        self._flushed = time.monotonic()
        self._synced = self._flushed if sync else self._synced

    def close(self) -> None:
        """End all files; the first OSError is raised after all were tried."""
        problems = []
        for file in self._files():
            try:
                file.close()
            except OSError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    def _files(self) -> list[Any]:
        return [file for file in (self._data, self._flags, self._stamps) if file is not None]


def open_data(folder: Path, kind: Video | Array | Table, fps: float) -> Any:
    """The growing file for `kind` of samples."""
    if isinstance(kind, Video):
        from tools.multimodal.video_store import GrowingVideo  # PyAV takes memory, and only cameras need it

        return GrowingVideo(folder / f"{kind.name}.mkv", fps, kind.codec)
    if isinstance(kind, Table):
        return GrowingTable(folder / f"{kind.name}.csv", kind)
    return GrowingArray(folder / f"{kind.name}.npy")


class GrowingTable:
    """Rows of the device's time and numbers."""

    def __init__(self, path: Path, kind: Table):
        """Begin with the names of the columns."""
        self._file, self._decimals = TableFile(path, ("t_ns", *kind.columns)), kind.decimals
        self.flush, self.close = self._file.flush, self._file.close

    def append(self, sample: Sample) -> int:
        """Another row; about how many bytes it has."""
        fields = [sample.t_device_ns, *numbers(sample.data, self._decimals)]
        self._file.add(*fields)
        return sum(len(str(field)) + 1 for field in fields)


def numbers(values: Iterable[float], decimals: int) -> list[str | None]:
    """Each value in as few digits as say it; None for what is not known (NaN)."""
    return [None if value != value else f"{value:.{decimals}f}".rstrip("0").rstrip(".") for value in values]


class GrowingArray:
    """Arrays of one shape and type, which the first one says."""

    def __init__(self, path: Path):
        """Nothing is written before there is a first array."""
        self._path, self._file = path, None
        if path.exists():
            raise FileExistsError(f"'{path}' is there already.")

    def append(self, sample: Sample) -> int:
        """Write one array; its bytes."""
        data = np.asarray(sample.data)
        self._file = self._file or ArrayFile(self._path, data.shape, data.dtype)
        self._file.add(data)
        return data.nbytes

    def flush(self, sync: bool) -> None:
        """Hand everything to the system."""
        if self._file:
            self._file.flush(sync)

    def close(self) -> None:
        """End."""
        if self._file:
            self._file.close()
