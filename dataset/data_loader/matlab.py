"""MATLAB files up to version 7 (MAT-file level 5): small variables through SciPy, videos in one compact pass.

A video of doubles between 0 and 1 takes eight bytes a value in MATLAB and one here: it is turned into uint8 while the
file is read, block by block, so that a recording of minutes fits where its doubles would not.
The format is that of MathWorks, "MAT-File Format" (level 5).
"""

import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.io

from dataset.video import AGAIN, ArrayFrame, VideoError

COMPRESSED, MATRIX = 15, 14  # element types
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
FLOATS = {6: "f8", 7: "f4"}  # array classes double and single; the integer classes are 8 to 15
INTEGERS = range(8, 16)
BLOCK = 1 << 20  # values converted at once
FRAMES = 16  # frames taken out of the column-major array at once
DEFLATE = 1032  # the most that one byte can expand to
LARGEST = 10**7  # values of a small variable


def read_variables(path: Path, names: Iterable[str], content: bytes | None = None) -> dict[str, np.ndarray]:
    """The variables called `names` of a .mat file, or of its `content`, as SciPy gives them.

    FileNotFoundError when the file is missing; ValueError when it is damaged, a variable is not there or not small.
    """
    names = list(names)
    if content is None and not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist. Copy the recording again, or leave it out.")
    try:
        source = str(path) if content is None else io.BytesIO(content)
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(source, appendmat=False)}
        _require(path, names, shapes)
        return scipy.io.loadmat(source, variable_names=names, appendmat=False)
    except _Refused as error:
        raise ValueError(f"'{path}': {error}. {AGAIN}") from None
    except Exception as error:  # SciPy's parser fails in many ways on damaged files: struct, zlib, Type, Memory ...
        raise ValueError(f"'{path}' cannot be read as a MATLAB file: {error}. {AGAIN}") from None


class _Refused(ValueError):
    pass


def _require(path: Path, names: list[str], shapes: dict[str, tuple[int, ...]]) -> None:
    missing = [name for name in names if name not in shapes]
    if missing:
        raise _Refused(f"has no variable {missing[0]!r} (there are: {', '.join(shapes) or 'none'})")
    for name in names:
        if math.prod(shapes[name]) > LARGEST:
            raise _Refused(f"variable {name!r} of the size {shapes[name]} is not a signal")


def iter_video(path: Path, name: str) -> Iterator[ArrayFrame]:
    """Yield the frames of variable `name` (T, H, W, 3): floats 0-1 become round(255 x), integers are 0-255.

    Holds T H W 3 bytes. VideoError when the file is missing, damaged, or its video is of another kind.
    """
    video = read_video(path, name)
    for start in range(0, video.shape[3], FRAMES):
        block = np.ascontiguousarray(video[..., start : start + FRAMES].transpose(3, 2, 1, 0))
        for frame in block:
            yield ArrayFrame(frame)


def read_video(path: Path, name: str) -> np.ndarray:
    """Variable `name` as (3, W, H, T) uint8: the order in which MATLAB stores a (T, H, W, 3) array."""
    try:
        with open(path, "rb") as file:
            return _find(file, path, name)
    except FileNotFoundError:
        raise VideoError(f"'{path}' does not exist. {AGAIN}") from None
    except (struct.error, zlib.error, EOFError) as error:
        raise VideoError(f"'{path}' ends early or is damaged: {error}. {AGAIN}") from None


def _find(file: BinaryIO, path: Path, name: str) -> np.ndarray:
    """Go from element to element of the file until the array called `name`."""
    size = path.stat().st_size
    header = file.read(128)
    if header[126:128] not in (b"IM", b"MI") or header[:19] == b"MATLAB 7.3 MAT-file":
        raise VideoError(f"'{path}' is not a MATLAB file of version 5 to 7. {AGAIN}")
    order = "<" if header[126:128] == b"IM" else ">"
    found = []
    while file.tell() + 8 <= size:
        kind, length = struct.unpack(order + "II", file.read(8))
        end = file.tell() + length
        if end > size:
            raise EOFError(f"an element of {length} bytes reaches beyond the end of the file")
        element = _Element(file, length, kind == COMPRESSED, order)
        if kind == COMPRESSED:
            kind, _ = struct.unpack(order + "II", element.read(8))
        if kind == MATRIX:
            array_class, shape, title = _array_header(element)
            if title == name:
                return _values(element, array_class, shape, path, name)
            found.append(title)
        file.seek(end)
    raise VideoError(f"'{path}' has no variable {name!r} (there are: {', '.join(found) or 'none'}). {AGAIN}")


class _Element:
    """The bytes of one element, inflated where it is compressed; EOFError beyond their end."""

    def __init__(self, file: BinaryIO, length: int, compressed: bool, order: str):
        """Starts where `file` is."""
        self.order = order
        self.limit = length * (DEFLATE if compressed else 1)  # bytes it can hold at most
        self._file, self._left = file, length
        self._inflate = zlib.decompressobj() if compressed else None
        self._buffer = b""

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        if count > self.limit:
            raise EOFError(f"{count} bytes where there are at most {self.limit}")
        parts, missing = [], count
        while missing:
            part = self._some(missing)
            if not part:
                raise EOFError(f"{missing} bytes are missing")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type and length of the next part; its bytes when they are in the tag itself."""
        first = self.read(8)
        kind, length = struct.unpack(self.order + "II", first)
        if kind >> 16:  # the small form: two bytes each, four bytes of data
            return kind & 0xFFFF, kind >> 16, first[4 : 4 + (kind >> 16)]
        return kind, length, None

    def part(self) -> tuple[int, bytes]:
        """Type and bytes of the next part, the padding to eight bytes left out."""
        kind, length, data = self.tag()
        if data is None:
            data = self.read(length + -length % 8)[:length]
        return kind, data

    def _some(self, count: int) -> bytes:
        if self._inflate is None:
            part = self._file.read(min(count, self._left))
            self._left -= len(part)
            return part
        while not self._inflate.eof:
            source = self._inflate.unconsumed_tail or self._file.read(min(1 << 18, self._left))
            if not self._inflate.unconsumed_tail:
                self._left -= len(source)
            if not source:
                return b""
            part = self._inflate.decompress(source, count)
            if part:
                return part
        return b""


def _array_header(element: _Element) -> tuple[int, tuple[int, ...], str]:
    """Class, size and name of an array."""
    flags = struct.unpack(element.order + "I", element.part()[1][:4])[0]
    if flags & 0xFF == 17:  # an object of MATLAB's own: it has no size
        return 17, (), ""
    sizes = np.frombuffer(element.part()[1], np.dtype("i4").newbyteorder(element.order))
    title = element.part()[1].decode("latin-1")
    return flags & 0xFF, tuple(int(size) for size in sizes), title


def _values(element: _Element, array_class: int, shape: tuple[int, ...], path: Path, name: str) -> np.ndarray:
    kind, length, small = element.tag()
    dtype = STORED.get(kind)
    known = array_class in FLOATS or array_class in INTEGERS
    if len(shape) != 4 or shape[3] != 3 or min(shape) < 1 or not known or dtype is None or small is not None:
        raise VideoError(f"'{path}': {name!r} is no video (T, H, W, 3) of numbers, its size is {shape}. {AGAIN}")
    count, dtype = math.prod(shape), np.dtype(dtype).newbyteorder(element.order)
    if length != count * dtype.itemsize or length > element.limit:
        raise VideoError(f"'{path}': {name!r} of the size {shape} has {length} bytes. {AGAIN}")
    video = np.empty(count, np.uint8)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        values = np.frombuffer(element.read((stop - start) * dtype.itemsize), dtype)
        video[start:stop] = to_uint8(values, FLOATS.get(array_class), f"{name!r} of '{path}'")
    return video.reshape(shape[::-1])


def to_uint8(values: np.ndarray, float_type: Any, name: str) -> np.ndarray:
    """Grey levels of `values`: floats of `float_type` from 0 to 1, or integers (`float_type` None) from 0 to 255.

    VideoError naming `name` for values outside, NaN among them.
    """
    top = 255 if float_type is None else 1
    if values.size and not (0 <= values.min() and values.max() <= top):
        raise VideoError(f"Pixels of {name} are not in 0-{top}. {AGAIN}")
    if float_type is None:
        return values.astype(np.uint8)
    scaled = values.astype(float_type) * np.dtype(float_type).type(255)
    return np.rint(scaled, out=scaled).astype(np.uint8)
