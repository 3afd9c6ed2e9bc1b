"""A stream of frames in an entry: one .npy file per camera, written frame by frame, opened as a memory map.

    faces.npy     (T, H, W, 3) uint8 RGB
    thermal.npy   (T, H, W, 1) float32 degrees Celsius, as many and as large as the faces
    <name>.npy    (T, H, W, C) uint8 or float32 of a further camera, with a size, a rate and times of its own

The header of every file has one length, whatever the number of frames: it is written first and, with the number, last.
"""

import math
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dataset.files.reading import require_file
from dataset.store import disk
from dataset.store.statistics import FloatCounter, PairCounter, Stats

HEADER = 128  # bytes of the .npy header, whatever the number of frames
BLOCK = 1 << 19  # bytes of frames written at once
FACES, THERMAL = "faces", "thermal"
KINDS = {"|u1": np.dtype("|u1"), "<f4": np.dtype("<f4")}
RESERVED = (FACES, THERMAL, "frame_trace", "signals", "entry", "video")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Stream:
    """Frames of one camera.

    path    its .npy file, or None for frames that lie in no file      shape   (T, H, W, C)
    dtype   uint8 or float32                                           fs      frames per second
    times   (T,) seconds on the recording's clock, or None             stats   of the whole stream
    """

    name: str
    path: Path | None
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    fs: float
    times: np.ndarray | None
    stats: Stats

    def open(self) -> np.ndarray:
        """(T, H, W, C), a read-only memory map; ValueError for a stream that lies in no file."""
        if self.path is None:
            raise ValueError(f"The stream {self.name!r} lies in no file.")
        return open_frames(self.path)


def open_frames(path: Path) -> np.ndarray:
    """The frames of a file as a read-only memory map."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def check_names(names: Iterable[str]) -> None:
    """ValueError for a further stream whose name cannot be that of a file, or is taken."""
    for name in names:
        if not NAME.fullmatch(name) or name.lower() in RESERVED:
            raise ValueError(
                f"A stream cannot be called {name!r}: use letters, digits and _, beginning with a letter, and none of "
                f"{', '.join(RESERVED)}."
            )


class StreamWriter:
    """`<name>.npy` in the entry's `folder`, written frame by frame in blocks; statistics are gathered on the way."""

    def __init__(self, folder: Path, name: str):
        """Nothing is written before the first frame."""
        self.name = name
        self.repeated = 0  # frames equal to the one before in every value
        self._folder, self._checksum = folder, 0
        self._count = self._filled = 0
        self._counter: PairCounter | FloatCounter | None = None
        self._file: BinaryIO | None = None
        self._block = np.empty(0, np.uint8)  # row 0 is the last frame of the block before

    def __len__(self) -> int:
        """Frames so far."""
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H, W, C) so far."""
        return (self._count, *self._block.shape[1:])

    def append(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, C) or (H, W), uint8 or float32.

        ValueError for a frame of another size or type than the first, or with NaN; CacheError when the disk refuses.
        """
        if self._file is None:
            self._open(frame)
        shape = self._block.shape[1:]
        if frame.dtype != self._block.dtype or frame.shape not in (shape, shape[: 3 - (shape[2] == 1)]):
            raise ValueError(
                f"Frame {frame.shape} of {frame.dtype} of {self.name!r} does not fit the first one, {shape} of "
                f"{self._block.dtype}."
            )
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            raise ValueError(f"Frame {self._count} of {self.name!r} has values that are NaN or infinite.")
        if self._filled == len(self._block) - 1:
            self._flush()
        self._filled += 1
        self._block[self._filled] = frame.reshape(shape)
        self._count += 1

    def finish(self) -> str:
        """Complete the file; its checksum. ValueError without any frame."""
        if not self._count:
            raise ValueError(f"no frame of {self.name!r} was stored")
        self._flush()
        self._counter.add_last(self._block[0])
        self._file.seek(0)
        self._file.write(npy_header(*self._header()))
        os.fsync(self._file.fileno())
        self.close()
        return f"crc32:{self._checksum:08x}"

    def close(self) -> None:
        """Close the file; harmless when it is closed already."""
        if self._file is not None and not self._file.closed:
            self._file.close()

    def stats(self) -> Stats:
        """Statistics of everything written."""
        return self._counter.stats()

    def about(self) -> dict[str, Any]:
        """What entry.json says of a further stream, its clock apart."""
        _, shape, kind = self._header()
        return {"shape": [self._count, *shape], "dtype": kind, "stats": asdict(self.stats())}

    def _header(self) -> tuple[int, tuple[int, ...], str]:
        return self._count, self._block.shape[1:], "|u1" if self._block.dtype == np.uint8 else "<f4"

    def _open(self, frame: np.ndarray) -> None:
        if frame.ndim not in (2, 3) or not frame.size or frame.dtype not in KINDS.values():
            raise ValueError(
                f"A frame of {self.name!r} is an array (H, W, C) of uint8 or float32, not {frame.shape} of "
                f"{frame.dtype}."
            )
        shape = frame.shape if frame.ndim == 3 else (*frame.shape, 1)
        self._block = np.empty((max(2, BLOCK // frame.nbytes) + 1, *shape), frame.dtype)
        self._counter = PairCounter() if frame.dtype == np.uint8 else FloatCounter()
        with disk.writing(self._folder):
            self._file = (self._folder / f"{self.name}.npy").open("wb", buffering=0)
            self._file.write(npy_header(*self._header()))

    def _flush(self) -> None:
        if not self._filled:
            return
        first = self._count == self._filled  # nothing comes before the first frame of all
        start = 1 if first else 0
        before, after = self._block[start : self._filled], self._block[start + 1 : self._filled + 1]
        if len(after):
            self._add(before, after)
        new = self._block[1 : self._filled + 1]
        self._checksum = zlib.crc32(new, self._checksum)
        with disk.writing(self._folder):
            disk.write_all(self._file, memoryview(new).cast("B"))
        self._block[0] = self._block[self._filled]
        self._filled = 0

    def _add(self, before: np.ndarray, after: np.ndarray) -> None:
        if before.dtype == np.uint8:
            self._counter.add(before, after)
        else:  # sums of floats depend on their order: one pair at a time, whatever the size of a block
            for pair in zip(before, after, strict=True):
                self._counter.add(*pair)
        # A row of pixels tells most frames apart; the whole frame is compared only where it does not.
        for row in np.flatnonzero((before[:, 0] == after[:, 0]).all(axis=(1, 2))):
            self.repeated += bool(np.array_equal(before[row], after[row]))


def frame_rate(times: np.ndarray) -> float | None:
    """Frames per second of frames at `times` (T,) s, from the ordinary intervals only; None when there is none.

    The median interval says what is ordinary; the mean of those near it is finer, since containers round times.
    """
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return None
    middle = np.median(steps)
    near = steps[(steps > 0.5 * middle) & (steps < 1.5 * middle)]
    rate = float(round(1 / near.mean(), 6)) if len(near) else 0.0
    return rate if 0 < rate < np.inf else None


def npy_header(count: int, shape: Iterable[int], kind: str = "|u1") -> bytes:
    """Header of a .npy file of `kind` with room for any number of frames, so that it can be written first and last."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {(count, *map(int, shape))}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def is_whole(path: Path, shape: tuple[int, ...], kind: str) -> bool:
    """Whether the array file has this shape and type, and all its bytes."""
    with require_file(path, remedy="").open("rb", buffering=0) as file:
        header, found = file.read(HEADER), os.fstat(file.fileno()).st_size
    size = HEADER + math.prod(shape) * KINDS[kind].itemsize
    return header == npy_header(shape[0], shape[1:], kind) and found == size
