"""Files of a recording that grow: whatever ends the writer, what was flushed can be read.

A table ends with a whole line or is cut back to one; an array's header always states the frames that are wholly there.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dataset.files.writing import write_whole

_HEADER = 192  # bytes of a .npy header: room for a count of 20 digits


class TableFile:
    """A CSV file that is only appended to: `add` lines of one field per column, `flush` about once a second."""

    def __init__(self, path: Path, columns: Sequence[str]):
        """FileExistsError when it is there: a recording is never overwritten."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "xb")
        self._columns = len(columns)
        self.add(*columns)
        self.flush()

    def add(self, *fields: Any) -> None:
        """One line; None becomes an empty field. ValueError for another number of fields."""
        if len(fields) != self._columns:
            raise ValueError(f"'{self._file.name}' takes {self._columns} fields a line, not {len(fields)}.")
        self._file.write((",".join("" if one is None else str(one) for one in fields) + "\n").encode())

    def flush(self, sync: bool = True) -> None:
        """Hand all lines to the system, which keeps them when this process is killed; `sync`: to the disk."""
        _flush(self._file, sync)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


class ArrayFile:
    """A .npy file (n, *shape) that is only appended to; its header is brought up to date by `flush`.

    The header is written after the frames are on the disk, so a kill leaves a file that states no frame too many.
    """

    def __init__(self, path: Path, shape: Sequence[int], dtype: Any):
        """FileExistsError when it is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.shape, self.dtype, self.count = tuple(shape), np.dtype(dtype), 0
        self._file = open(path, "xb")
        self._file.write(_header(0, self.shape, self.dtype))

    def add(self, frame: np.ndarray) -> None:
        """One frame of `shape`; ValueError for another shape or type."""
        if frame.shape != self.shape or frame.dtype != self.dtype:
            raise ValueError(
                f"'{self._file.name}' takes {self.shape} of {self.dtype}, not {frame.shape} of {frame.dtype}."
            )
        self._file.write(np.ascontiguousarray(frame).tobytes())
        self.count += 1

    def flush(self, sync: bool = True) -> None:
        """Frames to the system, or to the disk as well, then the header that counts them."""
        _flush(self._file, sync)
        end = self._file.tell()
        self._file.seek(0)
        self._file.write(_header(self.count, self.shape, self.dtype))
        _flush(self._file, sync)
        self._file.seek(end)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def write_json(path: Path, values: dict[str, Any]) -> None:
    """`values` as JSON, wholly or not at all."""
    write_whole(path, json.dumps(values, indent=2, sort_keys=True) + "\n", sync=True)


def cut_to_whole_lines(path: Path) -> int:
    """Remove the unfinished last line that a kill left in a table; returns the bytes removed."""
    with open(path, "rb+") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        back = min(size, 1 << 16)
        file.seek(size - back)
        kept = size - back + file.read(back).rfind(b"\n") + 1
        file.truncate(kept)
    return size - kept


def frames_there(path: Path) -> int:
    """Frames that are wholly in a .npy file, whatever its header states; ValueError for one that is none."""
    with open(path, "rb") as file:
        shape, dtype, start = _read_header(file, path)
        return (file.seek(0, os.SEEK_END) - start) // max(1, dtype.itemsize * int(np.prod(shape)))


def cut_to_frames(path: Path, count: int) -> None:
    """Keep the first `count` frames of a .npy file that `ArrayFile` has written, and state them in its header."""
    with open(path, "rb+") as file:
        shape, dtype, start = _read_header(file, path)
        file.seek(0)
        file.write(_header(count, shape, dtype))
        file.truncate(start + count * dtype.itemsize * int(np.prod(shape)))


def _read_header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape of a frame, type, and where the frames begin."""
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version of the format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if fortran or not shape or dtype.hasobject or file.tell() != _HEADER:
            raise ValueError("another kind of header")
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"'{path}' is no array of a recorder: {error}. Leave it out.") from None
    return shape[1:], dtype, _HEADER


def _header(count: int, shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """Version 1.0 of the .npy format (NEP 1), filled with blanks to one length for every count."""
    described = repr({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count, *shape)})
    text = described.ljust(_HEADER - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1")


def _flush(file: BinaryIO, sync: bool) -> None:
    file.flush()
    if sync:
        os.fsync(file.fileno())
