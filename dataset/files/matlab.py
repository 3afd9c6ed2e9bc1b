"""MATLAB files of version 5 to 7 (MAT-file level 5): small variables as they are, videos in one compact pass.

A video of doubles between 0 and 1 takes eight bytes a value in MATLAB and one here: it is turned into uint8 while the
file is read, block by block, so that a recording of minutes fits where its doubles would not. SciPy reads the same
files, but trusts what they say of themselves: a few wrong bytes can end the whole process.
The format is that of MathWorks, "MAT-File Format" (level 5).
"""

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dataset.files.frames import ArrayFrame, VideoError
from dataset.files.limits import require_size
from dataset.files.reading import AGAIN, require_file, told

COMPRESSED, MATRIX = 15, 14  # element types
CELL, CHARACTERS = 1, 4  # array classes
COMPLEX = 0x800  # flag of an array whose imaginary part follows
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
FLOATS = {6: "f8", 7: "f4"}  # array classes double and single; the integer classes are 8 to 15
INTEGERS = range(8, 16)
INTEGER_TYPES = (1, 2, 3, 4, 5, 6, 12, 13)  # element types of the integer classes, in order
BLOCK = 1 << 20  # values converted at once
FRAMES = 16  # frames taken out of the column-major array at once
DEFLATE = 1032  # the most that one byte can expand to
TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}  # encodings by element type
LARGEST = 10**7  # values of a small variable
LARGEST_CELLS = 10**6
HEADER = 1 << 12  # bytes of a name or of a list of sizes
DEPTH = 4  # of cells within cells
LARGEST_VIDEO = 1 << 31  # values of a video: five minutes of MMPD
LARGEST_PART = 1 << 29  # of them in memory at once: a minute of MMPD has fewer; a longer video is read several times


def read_variables(
    path: Path, names: Iterable[str], content: bytes | None = None, largest: int = LARGEST
) -> dict[str, np.ndarray]:
    """The variables called `names` of a .mat file, or of its `content`, with the shape they have in MATLAB.

    Numbers are arrays of their type, texts arrays of one string for each row, cells arrays of objects; of at most
    `largest` values each.
    FileNotFoundError when the file is missing; ValueError when it is damaged, a variable is not there, not small, or of
    another kind.
    """
    names = list(dict.fromkeys(names))
    found, others = {}, []
    with _reading(path, content) as (file, size):
        for element, array_class, shape, title in _arrays(file, size):
            others.append(title)
            if title in names and title not in found:
                found[title] = _small(element, array_class, shape, title, largest=largest)
            if len(found) == len(names):
                break
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(
            f"'{path}' has no variable {missing[0]!r} (there are: {', '.join(others[:20]) or 'none'}). {AGAIN}"
        )
    return found


def read_numbers(path: Path, name: str) -> np.ndarray:
    """Variable `name` of a .mat file as a row of floats, row by row; ValueError when it holds anything else."""
    values = read_variables(path, [name])[name]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
        kind = getattr(values, "dtype", type(values).__name__)
        raise ValueError(f"'{path}': {name} holds {kind} instead of numbers. {AGAIN}")
    return values.reshape(-1).astype(np.float64)


def iter_video(path: Path, name: str) -> Iterator[ArrayFrame]:
    """Yield the frames of variable `name` (T, H, W, 3): floats 0-1 become round(255 x), integers are 0-255.

    Holds T H W 3 bytes, or as many as LARGEST_PART. VideoError when the file is missing, damaged, or its video is of
    another kind.
    """
    first, last = 0, 1
    while first < last:
        video, last = read_video(path, name, first)
        for start in range(0, video.shape[3], FRAMES):
            block = np.ascontiguousarray(video[..., start : start + FRAMES].transpose(3, 2, 1, 0))
            for frame in block:
                yield ArrayFrame(frame)
        first += video.shape[3]
        del video


def read_video(path: Path, name: str, first: int = 0) -> tuple[np.ndarray, int]:
    """Frames from number `first` on of variable `name`, as many as may be held, and the number of all its frames.

    They are (3, W, H, frames) uint8: the order in which MATLAB stores a (T, H, W, 3) array.
    """
    found = []
    try:
        with _reading(path) as (file, size):
            for element, array_class, shape, title in _arrays(file, size):
                if title == name:
                    return _values(element, array_class, shape, f"{name!r} of '{path}'", first), shape[0]
                found.append(title)
    except VideoError:
        raise
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    raise VideoError(f"'{path}' has no variable {name!r} (there are: {', '.join(found[:20]) or 'none'}). {AGAIN}")


@contextlib.contextmanager
def _reading(path: Path, content: bytes | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The file, or its `content`, and its size; what is wrong with its bytes is an error that names it."""
    if content is None:
        require_file(path)
    try:
        with open(path, "rb") if content is None else io.BytesIO(content) as file:
            yield file, path.stat().st_size if content is None else len(content)
    except VideoError:
        raise
    except _NotMatlab:
        raise ValueError(f"'{path}' is not a MATLAB file of version 5 to 7. {AGAIN}") from None
    except _Refused as error:
        raise ValueError(f"'{path}': {error}. {AGAIN}") from None
    except (struct.error, zlib.error, EOFError, OverflowError, ValueError) as error:
        raise VideoError(f"'{path}' ends early or is damaged: {told(error)}. {AGAIN}") from None


class _Refused(Exception):
    pass


class _NotMatlab(Exception):
    pass


def _arrays(file: BinaryIO, size: int) -> Iterator[tuple["_Element", int, tuple[int, ...], str]]:
    """Go from array to array of the file: its bytes after the header, its class, size and name."""
    header = file.read(128)
    if header[126:128] not in (b"IM", b"MI") or header[:19] == b"MATLAB 7.3 MAT-file":
        raise _NotMatlab
    order = "<" if header[126:128] == b"IM" else ">"
    while file.tell() + 8 <= size:
        kind, length = struct.unpack(order + "II", file.read(8))
        end = file.tell() + length
        if kind not in (COMPRESSED, MATRIX):  # a tail of zeros would be elements without end
            raise EOFError(f"an element of type {kind} where an array is expected")
        if end > size:
            raise EOFError(f"an element of {length} bytes reaches beyond the end of the file")
        element = _Element(file, length, kind == COMPRESSED, order)
        if kind == COMPRESSED:
            kind, _ = struct.unpack(order + "II", element.read(8))
        if kind == MATRIX:
            yield element, *_array_header(element)
        file.seek(end)


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

    def part(self, most: int = HEADER) -> tuple[int, bytes]:
        """Type and bytes of the next part, the padding to eight bytes left out; EOFError for more than `most`."""
        kind, length, data = self.tag()
        if length > most:
            raise EOFError(f"a part of {length} bytes where at most {most} are expected")
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
    """Class (0: complex or sparse numbers), size and name of an array."""
    flags = struct.unpack(element.order + "I", element.part()[1][:4])[0]
    if flags & 0xFF == 17:  # an object of MATLAB's own: it has no size
        return 17, (), ""
    sizes = np.frombuffer(element.part()[1], np.dtype("i4").newbyteorder(element.order))
    title = element.part()[1].decode("latin-1")
    array_class = 0 if flags & COMPLEX else flags & 0xFF
    return array_class, tuple(int(size) for size in sizes), title


def _small(
    element: _Element, array_class: int, shape: tuple[int, ...], name: str, depth: int = 0, largest: int = LARGEST
) -> np.ndarray:
    """A variable of numbers, texts or cells of such."""
    count = math.prod(shape)
    if len(shape) < 2 or min(shape) < 0 or count > (LARGEST_CELLS if array_class == CELL else largest):
        raise _Refused(f"variable {name!r} of the size {shape} is not a signal")
    if array_class == CELL and depth < DEPTH:
        cells = np.empty(count, object)
        for index in range(count):
            cells[index] = _cell(element, name, depth + 1)
        return cells.reshape(shape, order="F")
    kind, data = element.part(8 * count)
    if array_class == CHARACTERS and kind in TEXT:
        return _text(data.decode(_encoding(kind, element.order)), shape)
    known = array_class in FLOATS or array_class in INTEGERS
    if not known or kind not in STORED:
        raise _Refused(f"variable {name!r} holds something else than numbers")
    values = np.frombuffer(data, np.dtype(STORED[kind]).newbyteorder(element.order))
    if len(values) != count:
        raise _Refused(f"variable {name!r} of the size {shape} has {len(values)} values")
    own = FLOATS.get(array_class) or STORED[INTEGER_TYPES[array_class - INTEGERS.start]]
    return values.astype(own).reshape(shape, order="F")


def _cell(element: _Element, name: str, depth: int) -> np.ndarray:
    kind, length, small = element.tag()
    if kind != MATRIX or small is not None:
        raise _Refused(f"variable {name!r} holds a cell that is no array")
    if not length:
        return np.zeros((0, 0))
    array_class, shape, _ = _array_header(element)
    return _small(element, array_class, shape, name, depth)


def _encoding(kind: int, order: str) -> str:
    return f"{TEXT[kind]}-{'le' if order == '<' else 'be'}" if TEXT[kind] == "utf-16" else TEXT[kind]


def _text(letters: str, shape: tuple[int, ...]) -> np.ndarray:
    """One string for each row of the letters, which are stored column by column."""
    rows = shape[0]
    if len(letters) != math.prod(shape):
        raise _Refused(f"a text of the size {shape} has {len(letters)} letters")
    return np.array(["".join(letters[row::rows]) for row in range(rows)] if letters else [], dtype=str)


def _values(element: _Element, array_class: int, shape: tuple[int, ...], name: str, first: int) -> np.ndarray:
    kind, length, small = element.tag()
    dtype = STORED.get(kind)
    known = array_class in FLOATS or array_class in INTEGERS
    if len(shape) != 4 or shape[3] != 3 or min(shape) < 1 or not known or dtype is None or small is not None:
        raise VideoError(f"{name} is no video (T, H, W, 3) of numbers, its size is {shape}. {AGAIN}")
    require_size(shape[1], shape[2], name)
    count, dtype = math.prod(shape), np.dtype(dtype).newbyteorder(element.order)
    if length != count * dtype.itemsize or length > element.limit:
        raise VideoError(f"{name} of the size {shape} has {length} bytes. {AGAIN}")
    if count > LARGEST_VIDEO or shape[0] > LARGEST:
        raise VideoError(f"{name} of the size {shape} has more than {LARGEST_VIDEO} values. {AGAIN}")
    frames, rows = shape[0], count // shape[0]  # the values of one pixel at all times follow each other
    taken = slice(first, first + max(1, LARGEST_PART // rows))
    video = np.empty((rows, len(range(frames)[taken])), np.uint8)
    step = max(1, BLOCK // frames)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        values = np.frombuffer(element.read((stop - start) * frames * dtype.itemsize), dtype).reshape(-1, frames)
        video[start:stop] = to_uint8(values[:, taken], FLOATS.get(array_class), name)
    return video.reshape(*shape[:0:-1], -1)


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
