"""MATLAB files of both formats: the values of SciPy and h5py, nothing believed that a file says of itself."""

import zlib

import h5py
import numpy as np
import pytest
import scipy.io

from dataset.files import hdf5, matlab
from dataset.files.frames import VideoError
from tests.loader_tools import VIDEO, pixels

# --- MATLAB files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8])
def test_matlab_5_videos_equal_scipys(kind, compressed, tmp_path):
    """Doubles, singles and integers, deflated or not, give the frames SciPy gives; other variables are passed over."""
    values = VIDEO if kind is np.uint8 else (VIDEO / 255).astype(kind)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": "LED-low", "c": {"d": 1}, "video": values}, do_compression=compressed)
    assert np.array_equal(pixels(matlab.iter_video(path, "video")), VIDEO)
    with pytest.raises(VideoError, match="no variable 'film'.*x, c, video"):
        list(matlab.iter_video(path, "film"))


def test_matlab_video_of_another_kind_is_refused(tmp_path):
    """Values outside 0-1, another shape, text, a v7.3 file, a file of nothing."""
    path = tmp_path / "a.mat"
    for values, message in ((VIDEO * 1.0, "0-1"), (np.full(VIDEO.shape, np.nan), "0-1"), (VIDEO[0], "no video")):
        scipy.io.savemat(path, {"video": values})
        with pytest.raises(VideoError, match=message):
            list(matlab.iter_video(path, "video"))
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(126) + b"IM" + bytes(500))
    with pytest.raises(VideoError, match="not a MATLAB file of version 5"):
        list(matlab.iter_video(path, "video"))


def test_matlab_bombs_are_refused(tmp_path):
    """A header that states more than the file can hold is an error before anything of that size is made."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"video": VIDEO / 255})
    data = bytearray(path.read_bytes())
    at = data.index(np.array(VIDEO.shape, np.int32).tobytes())
    data[at : at + 4] = np.int32(2**31 - 1).tobytes()
    path.write_bytes(data)
    with pytest.raises(VideoError, match="has .* bytes"):
        list(matlab.iter_video(path, "video"))
    for cut in (90, 200, len(data) - 100):
        path.write_bytes(data[:cut])
        with pytest.raises(VideoError):
            list(matlab.iter_video(path, "video"))


def test_small_variables_are_small(tmp_path):
    """Damaged files, missing variables and huge ones are errors with the file's name."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(5.0)}, do_compression=True)
    assert matlab.read_variables(path, ["BVP"])["BVP"].tolist() == [[0, 1, 2, 3, 4]]
    with pytest.raises(ValueError, match="no variable 'ECG'"):
        matlab.read_variables(path, ["ECG"])
    data = path.read_bytes()
    start = data.index(b"\x78\x9c") if b"\x78\x9c" in data else 136
    content = bytearray(zlib.decompress(data[start:]))
    at = content.index(np.array([1, 5], np.int32).tobytes())
    content[at : at + 4] = np.int32(2**30).tobytes()
    packed = zlib.compress(bytes(content))
    path.write_bytes(data[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed)
    with pytest.raises(ValueError, match="not a signal"):
        matlab.read_variables(path, ["BVP"])


@pytest.mark.parametrize("compressed", [False, True])
def test_small_variables_equal_scipys(compressed, tmp_path):
    """Numbers of every type, texts, cells within cells, empty ones: values, types and shapes; from bytes as well."""
    cells = np.empty((2, 3), object)
    for index in range(6):
        cells.flat[index] = np.arange(float(index))[None]
    outer = np.empty((1, 2), object)
    outer[0, 0], outer[0, 1] = np.array(["text"]), cells
    content = {"word": "größe 心", "none": "", "words": np.array(["abc", "xyz"]), "cells": cells, "outer": outer}
    content |= {"deep": np.random.default_rng(0).normal(size=(2, 3, 4)), "flag": np.array([[True, False]])}
    content |= {kind: np.arange(10).reshape(2, 5).astype(kind) for kind in "i1 u1 i2 u2 i4 u4 i8 u8 f4 f8".split()}
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, content, do_compression=compressed)
    expected = scipy.io.loadmat(path)
    for found in (matlab.read_variables(path, content), matlab.read_variables(path, content, path.read_bytes())):
        assert all(same(found[name], expected[name]) for name in content)


def same(one, other):
    """Whether two arrays, of objects perhaps, are equal in every way."""
    if one.dtype != object:
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    return one.shape == other.shape and all(map(same, one.flat, other.flat))


def test_zeros_at_the_end_of_a_matlab_file_are_no_variables(tmp_path):
    """A tail of half a terabyte of zeros is neither searched to its end nor taken for data."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(5.0)})
    with open(path, "r+b") as file:
        file.truncate(1 << 39)
    assert matlab.read_variables(path, ["BVP"])["BVP"].size == 5
    with pytest.raises(ValueError, match="a.mat.*type 0"):
        matlab.read_variables(path, ["ECG"])


def test_wrong_bytes_in_a_matlab_file_do_not_end_the_process(tmp_path):
    """SciPy crashes on some of these: memory is read where a damaged length says."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(300.0)})
    good = path.read_bytes()
    for seed in range(300):
        rng, damaged = np.random.default_rng(seed), bytearray(good)
        for place in rng.integers(0, 200, 8):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert matlab.read_variables(path, ["BVP"])["BVP"].dtype.kind in "iufUO"
        except ValueError as error:
            assert "a.mat" in str(error)


@pytest.mark.parametrize("chunks", [None, (1, 5, 6, 4), (3, 5, 6, 19)])
def test_hdf5_videos_are_read_in_pieces(chunks, tmp_path, monkeypatch):
    """However the file is cut into chunks, the frames are the same; few are held at once."""
    monkeypatch.setattr(hdf5, "BYTES", 1 << 12)
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("Xsub", data=(VIDEO / 255).transpose(3, 2, 1, 0), chunks=chunks)
    assert np.array_equal(pixels(hdf5.iter_video(path, "Xsub")), VIDEO)


def test_hdf5_files_cannot_reach_out_or_lie(tmp_path):
    """Links to other files and sizes that nothing backs are errors."""
    other, path = tmp_path / "secret.h5", tmp_path / "a.mat"
    with h5py.File(other, "w") as file:
        file["Xsub"] = VIDEO
    with h5py.File(path, "w") as file:
        file["Xsub"] = h5py.ExternalLink(str(other), "Xsub")
        file.create_dataset("huge", (3, 72, 72, 10**7), "f8", chunks=(3, 72, 72, 1))
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(other), "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        (tmp_path / "raw").write_bytes(bytes(32))
        file.create_dataset("outside", (4,), "f8", external=[(str(tmp_path / "raw"), 0, 32)])
    for name, message in (("Xsub", "inside this file"), ("huge", "states")):
        with pytest.raises(VideoError, match=message):
            list(hdf5.iter_video(path, name))
    for name in ("virtual", "outside"):
        with hdf5.open_file(path) as file, pytest.raises(VideoError, match="inside this file"):
            hdf5.signal(file, name)
