"""HDF5 files, MATLAB 7.3 among them: signals and videos, read piece by piece, and nothing outside the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from dataset.faults import is_own
from dataset.files.frames import ArrayFrame, VideoError
from dataset.files.limits import require_size
from dataset.files.matlab import to_uint8
from dataset.files.reading import AGAIN, require_file, told

DEFLATE = 1032  # the most that one stored byte can expand to
LARGEST = 10**7  # values of a signal
LONGEST_TEXT = 1000  # letters of a name
LARGEST_CHUNK = 1 << 28  # bytes that are inflated at once to read a single value
BYTES = 1 << 24  # of a video held at once, unless the chunks of the file are larger


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """`path` for reading; ValueError or FileNotFoundError naming it for whatever goes wrong inside the block."""
    require_file(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except VideoError:
        raise
    except Exception as error:  # the library fails in many ways on damaged files
        if is_own(error):
            raise
        raise VideoError(f"'{path}' cannot be read as an HDF5 file: {told(error)}. {AGAIN}") from None


def signal(file: h5py.File, name: str) -> np.ndarray:
    """The numbers of dataset `name`, flattened as MATLAB would; VideoError when there is none or it is no signal."""
    found = _dataset(file, name)
    if found.size > LARGEST or found.dtype.kind not in "iufb":
        raise VideoError(f"'{file.filename}': {name!r} {found.shape} of {found.dtype} is no signal. {AGAIN}")
    return found[()].reshape(-1).astype(np.float64)


def has(file: h5py.File, name: str) -> bool:
    """Whether dataset `name` is there."""
    return isinstance(file.get(name, getlink=True), h5py.HardLink) and isinstance(file[name], h5py.Dataset)


def iter_video(path: Path, name: str) -> Iterator[ArrayFrame]:
    """Yield the frames of a MATLAB 7.3 array (T, H, W, 3): floats 0-1 become round(255 x), integers are 0-255.

    MATLAB counts columns first: in the file the array is (3, W, H, T), and T varies fastest. Only some frames are held
    at once. VideoError when the file is missing or damaged, or its video is of another kind.
    """
    with open_file(path) as file:
        video = _dataset(file, name)
        if video.ndim != 4 or video.shape[0] != 3 or 0 in video.shape or video.dtype.kind not in "iuf":
            shape = video.shape[::-1]
            raise VideoError(f"'{path}': {name!r} {shape} of {video.dtype} is no video (T, H, W, 3). {AGAIN}")
        require_size(video.shape[1], video.shape[2], f"{name!r} of '{path}'")
        float_type = video.dtype.newbyteorder("=") if video.dtype.kind == "f" else None
        step = _frames_at_once(video)
        for start in range(0, video.shape[3], step):
            block = video[..., start : start + step]
            levels = to_uint8(block, float_type, f"{name!r} of '{path}'").transpose(3, 2, 1, 0)
            for frame in np.ascontiguousarray(levels):
                yield ArrayFrame(frame)


def _frames_at_once(video: h5py.Dataset) -> int:
    """As many as fit, in whole chunks: a chunk is inflated once and not for every frame in it."""
    fitting = max(1, BYTES // max(1, video.nbytes // video.shape[3]))
    chunk = video.chunks[3] if video.chunks else 1
    return max(chunk, fitting // chunk * chunk)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    link = file.get(name, getlink=True)
    if link is None:
        raise VideoError(
            f"'{file.filename}' has no {name!r} (there are: {', '.join(list(file)[:20]) or 'none'}). {AGAIN}"
        )
    found = file[name] if isinstance(link, h5py.HardLink) else None
    # An array of no shape at all is one of the things that damage leaves.
    if not isinstance(found, h5py.Dataset) or found.shape is None or found.is_virtual or found.external:
        raise VideoError(f"'{file.filename}': {name!r} is not an array inside this file. {AGAIN}")
    if found.size and found.nbytes > found.id.get_storage_size() * DEFLATE:
        raise VideoError(
            f"'{file.filename}': {name!r} states {found.shape}, but stores {found.id.get_storage_size()} bytes. {AGAIN}"
        )
    if found.chunks and np.prod(found.chunks, dtype=float) * found.dtype.itemsize > LARGEST_CHUNK:
        raise VideoError(f"'{file.filename}': {name!r} is stored in chunks of {found.chunks}, too large. {AGAIN}")
    return found


def texts(file: h5py.File, name: str) -> list[str]:
    """The texts of dataset `name` (n,), foreign bytes spelt out; VideoError when it has none."""
    found = _dataset(file, name)
    if found.ndim != 1 or h5py.check_string_dtype(found.dtype) is None or found.size > LARGEST:
        raise VideoError(f"'{file.filename}': {name!r} {found.shape} of {found.dtype} is no list of names. {AGAIN}")
    return [one.decode("utf-8", "backslashreplace") for one in found[()]]


def ragged(file: h5py.File, name: str) -> h5py.Dataset:
    """Dataset `name` of n rows of numbers, each of its own length or (n, L), not yet read; VideoError otherwise."""
    found = _dataset(file, name)
    kind = h5py.check_vlen_dtype(found.dtype)
    kind, axes = (found.dtype, 2) if kind is None else (np.dtype(kind), 1)
    if found.ndim != axes or kind.kind not in "iuf":
        raise VideoError(f"'{file.filename}': {name!r} {found.shape} of {found.dtype} holds no signals. {AGAIN}")
    return found


def numbers(file: h5py.File, name: str, axes: int) -> h5py.Dataset:
    """Dataset `name` of numbers with so many axes, not yet read; VideoError when it is none."""
    found = _dataset(file, name)
    if found.ndim != axes or found.dtype.kind not in "iuf":
        raise VideoError(f"'{file.filename}': {name!r} is {found.shape} of {found.dtype}. {AGAIN}")
    return found


def cells(file: h5py.File, name: str) -> list[str]:
    """The texts of a MATLAB 7.3 cell array of rows of characters; VideoError when it is none."""
    found = _dataset(file, name)
    if h5py.check_ref_dtype(found.dtype) is not h5py.Reference or found.size > LARGEST:
        raise VideoError(f"'{file.filename}': {name!r} {found.shape} of {found.dtype} is no list of texts. {AGAIN}")
    return [_characters(file, reference, name) for reference in found[()].reshape(-1)]  # read once: each is a look-up


def cell_arrays(file: h5py.File, name: str, axes: int) -> Iterator[h5py.Dataset]:
    """The arrays of numbers with so many axes in a MATLAB 7.3 cell array, one at a time, not yet read."""
    found = _dataset(file, name)
    if h5py.check_ref_dtype(found.dtype) is not h5py.Reference or found.size > LARGEST:
        raise VideoError(f"'{file.filename}': {name!r} {found.shape} of {found.dtype} is no list of arrays. {AGAIN}")
    for reference in found[()].reshape(-1):
        one = file[reference] if reference else None
        if not isinstance(one, h5py.Dataset):
            raise VideoError(f"'{file.filename}': a cell of {name!r} holds no array. {AGAIN}")
        yield numbers(file, one.name, axes)


def _characters(file: h5py.File, reference: h5py.Reference, name: str) -> str:
    one = file[reference] if reference else None
    if not isinstance(one, h5py.Dataset) or one.dtype.kind != "u" or one.size > LONGEST_TEXT:
        raise VideoError(f"'{file.filename}': a cell of {name!r} holds no text. {AGAIN}")
    return "" if "MATLAB_empty" in one.attrs else "".join(map(chr, one[()].reshape(-1)))
