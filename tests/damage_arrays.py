"""What can be wrong inside a file of arrays: .npy, MATLAB, HDF5."""

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.sparse

from tests.damage_bytes import HUGE, Change, hostile, pack, put, row, zeros


def npy(header: str, data: bytes = bytes(64), version: int = 1) -> bytes:
    """A .npy file with this header, true or not."""
    text = header.encode("latin-1").ljust(118) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + data


def shaped(shape: str, descr: str = "'|u1'") -> Callable[[bytes], bytes]:
    """The header of a .npy file that states this shape and type."""
    return lambda content: npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def saved(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """The array after `change` of it."""
    return lambda path: np.save(path, change(np.load(path)), allow_pickle=False)


def _hostile_npy(path: Path) -> None:
    np.save(path, hostile(path), allow_pickle=True)


def _archive(path: Path) -> None:
    video = np.load(path)
    with path.open("wb") as file:
        np.savez_compressed(file, video)


NPY = [
    row("of 2^60 frames", shaped(f"({2**60}, 72, 96, 3)")),
    row("of 2^70 frames", shaped(f"({2**70}, 72, 96, 3)")),
    row("of -1 frames", shaped("(-1, 72, 96, 3)")),
    row("of 0 frames", shaped("(0, 72, 96, 3)")),
    row("of 0 columns", shaped("(5, 72, 0, 3)")),
    row("of words for a shape", shaped("('ten', 72)")),
    row("of no type", shaped("(2, 2, 2, 3)", "'what'")),
    row("of rows of several types", shaped("(4, 1, 1, 3)", "[('a', '<u2'), ('b', '<f4')]")),
    row("whose header is no header", lambda c: npy("__import__('os').mkdir('code_ran')")),
    row("whose header is deeply nested", lambda c: npy("(" * 9000)),
    row("of a version to come", lambda c: npy("{}", version=9)),
    ("with code in it", _hostile_npy, False),
    ("that is a pickle", lambda path: put(path, pickle.dumps(hostile(path))), False),
    ("that is an archive", _archive, False),
    ("of NaN", saved(lambda video: np.full(video.shape, np.nan, np.float32)), False),
    ("of numbers to 255 in floats", saved(lambda video: video.astype(np.float32)), False),
    ("of complex numbers", saved(lambda video: video.astype(np.complex64)), False),
    ("of grey pictures", saved(lambda video: video[..., 0]), False),
    ("of truth values", saved(lambda video: video > 100), False),
    ("of columns first", saved(np.asfortranarray), True),
]


def _variable(path: Path) -> str:
    """The variable of a .mat file that is damaged: its video, or its signal."""
    names = [name for name, _, _ in scipy.io.whosmat(str(path))]
    return "video" if "video" in names else names[0]


def _mat(change: Callable[[np.ndarray], Any]) -> Change:
    """The file after `change` of its variable."""

    def write(path: Path) -> None:
        name, content = _variable(path), scipy.io.loadmat(str(path))
        content[name] = change(content[name])
        path.unlink()
        scipy.io.savemat(path, {k: v for k, v in content.items() if not k.startswith("_")}, do_compression=True)

    return write


def _stated(rows: int, columns: int) -> Change:
    """The size in the header of the variable, which is stored without compression, is another one."""

    def write(path: Path) -> None:
        name, content = _variable(path), scipy.io.loadmat(str(path))
        path.unlink()
        scipy.io.savemat(path, {name: content[name]}, do_compression=False)
        bytes_ = path.read_bytes()
        put(path, pack(bytes_, 128 + 8 + 16 + 8, "<ii", rows, columns))

    return write


def inflating(name: str, shape: tuple[int, ...]) -> bytes:
    """A MATLAB file whose variable of zeros of this shape is as good as nothing on the disk."""
    count = int(np.prod(shape))
    title = name.encode()
    parts = struct.pack("<IIII", 6, 8, 9, 0)  # flags: class uint8
    parts += struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape) + bytes(-4 * len(shape) % 8)
    parts += struct.pack("<II", 1, len(title)) + title + bytes(-len(title) % 8) + struct.pack("<II", 2, count)
    press = zlib.compressobj(1)  # nobody reads on to the checksum at the end, which is that of the zeros alone
    packed = press.compress(struct.pack("<II", 14, len(parts) + count) + parts) + press.flush(zlib.Z_FULL_FLUSH)
    packed += zeros(count)[2:]
    return (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + struct.pack("<H2s", 0x0100, b"IM")
        + struct.pack("<II", 15, len(packed))
        + packed
    )


def _inflate(path: Path) -> None:
    name = _variable(path)
    put(path, inflating(name, (12000, 300, 300, 3) if name == "video" else (1, 2_000_000_000)))


def _as_hdf5(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["BVP"] = np.zeros(5)


def _as_version_4(path: Path) -> None:
    name = _variable(path)
    path.unlink()
    scipy.io.savemat(path, {name: np.zeros((2, 2))}, format="4")
    put(path, pack(path.read_bytes(), 4, "<ii", HUGE, HUGE))


def _complex(value: np.ndarray) -> np.ndarray:
    """The same numbers, those in cells of one number, too."""
    return np.array([complex(np.ravel(one)[0]) for one in value.flat]).reshape(value.shape)


MAT = [
    ("without variables", _mat(lambda value: []), False),
    ("of words", _mat(lambda value: "many words"), False),
    ("of objects", _mat(lambda value: np.array([[1, "a"]], dtype=object)), False),
    ("of a structure", _mat(lambda value: {"a": 1, "b": [1, 2]}), False),
    ("of complex numbers", _mat(_complex), False),
    ("of a sparse matrix", _mat(lambda value: scipy.sparse.csc_matrix(np.eye(4))), False),
    ("of NaN", _mat(lambda value: np.full(value.shape, np.nan)), False),
    ("of values to 10000", _mat(lambda value: value * 0 + 10000.0), True),
    ("of another shape", _mat(lambda value: value.reshape(-1, 1)), True),
    ("of a size of 2^31 x 2^31", _stated(HUGE, HUGE), False),
    ("of a size of -5 x -5", _stated(-5, -5), False),
    ("that inflates to 2 GB", _inflate, False),
    ("that is an HDF5 file", _as_hdf5, False),
    ("of version 4 and a huge size", _as_version_4, False),
]


def _dataset(path: Path) -> str:
    """The dataset that is damaged: the video or the pulse."""
    with h5py.File(path, "r") as file:
        return "Xsub" if "Xsub" in file else "pulse"


def _hdf5(change: Callable[[h5py.File, str, np.ndarray], Any]) -> Change:
    """The file after its dataset was taken away and `change(file, name, values)` put something in its place."""

    def write(path: Path) -> None:
        name = _dataset(path)
        put(path, path.read_bytes())  # a copy of its own
        with h5py.File(path, "r+") as file:
            values = file[name][()]
            del file[name]
            change(file, name, values)

    return write


def _chunk_bomb(file: h5py.File, name: str, values: np.ndarray) -> None:
    """One chunk of 1.5 GB of zeros, of which a small part is the array."""
    long = 1_500_000_000 // 8 // int(np.prod(values.shape[:-1], dtype=int))
    made = file.create_dataset(
        name, values.shape, "f8", maxshape=(*values.shape[:-1], None), chunks=(*values.shape[:-1], long), compression=1
    )
    made.id.write_direct_chunk((0,) * values.ndim, zeros(long * int(np.prod(values.shape[:-1], dtype=int)) * 8))


def _external(file: h5py.File, name: str, values: np.ndarray) -> None:
    file.create_dataset(name, values.shape, values.dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, name: str, values: np.ndarray) -> None:
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("/tmp/outside.h5", name, values.shape)
    file.create_virtual_dataset(name, layout)


def _link(link: Any) -> Callable[[h5py.File, str, np.ndarray], None]:
    return lambda file, name, values: file.__setitem__(name, link(name))


HDF5 = [
    ("without its array", _hdf5(lambda file, name, values: None), False),
    ("of words", _hdf5(lambda file, name, values: file.__setitem__(name, "text")), False),
    ("of texts", _hdf5(lambda f, n, v: f.create_dataset(n, data=["a", "b"], dtype=h5py.string_dtype())), False),
    ("of complex numbers", _hdf5(lambda f, n, v: f.__setitem__(n, v.astype(complex))), False),
    ("of structures", _hdf5(lambda f, n, v: f.__setitem__(n, np.zeros(4, [("a", "f4"), ("b", "i2")]))), False),
    ("of NaN", _hdf5(lambda f, n, v: f.__setitem__(n, v * np.nan)), False),
    ("of nothing", _hdf5(lambda f, n, v: f.create_dataset(n, (0,), "f8")), False),
    ("of a null space", _hdf5(lambda f, n, v: f.create_dataset(n, data=h5py.Empty("f8"))), False),
    ("of one value", _hdf5(lambda f, n, v: f.__setitem__(n, 5.0)), True),
    ("that states 2^50 values", _hdf5(lambda f, n, v: f.create_dataset(n, (2**50,), "f8", chunks=(1000,))), False),
    (
        "that states 2^40 frames",
        _hdf5(lambda f, n, v: f.create_dataset(n, (3, 72, 72, 2**40), "f8", chunks=True)),
        False,
    ),
    ("of a chunk of 1.5 GB", _hdf5(_chunk_bomb), False),
    ("with a folder in its place", _hdf5(lambda file, name, values: file.create_group(name)), False),
    ("of another file's bytes", _hdf5(_external), False),
    ("of another file's array", _hdf5(_virtual), False),
    ("that links to another file", _hdf5(_link(lambda name: h5py.ExternalLink("/tmp/outside.h5", name))), False),
    ("that links to itself", _hdf5(_link(lambda name: h5py.SoftLink(f"/{name}"))), False),
    ("that links to nothing", _hdf5(_link(lambda name: h5py.SoftLink("/nowhere"))), False),
]
