"""What headers claim: whatever is damaged in one, it is read or refused in a sentence, and never takes the memory."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import strategies as st

from dataset.files import hdf5, matlab
from dataset.files.frames import VideoError
from dataset.files.image_size import image_size
from dataset.files.images import iter_images
from dataset.files.limits import MOST_PIXELS
from dataset.files.pgm import decode
from dataset.files.reading import open_array, read_json
from dataset.files.tables import read_table
from dataset.files.wave_table import read_labels
from dataset.files.xml import read_columns
from dataset.files.zips import iter_members, require_stored
from dataset.store.streams import is_whole, npy_header
from tests.searching import EFFORTS, search

MOST = 1 << 28  # bytes that reading some kilobytes may take
PICTURE = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
NUMBERS = [0, 1, 2, 3, *(2**bits - low for bits in (7, 8, 15, 16, 24, 31, 32, 40, 63) for low in (0, 1)), 2**64 - 1]
CHANGES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 600), st.integers(-600, -1), st.integers(0, 1 << 20)),  # place
        st.one_of(
            st.builds(
                lambda value, size, order: (value & (1 << 8 * size) - 1).to_bytes(size, order),
                st.sampled_from(NUMBERS), st.sampled_from([1, 2, 4, 8]), st.sampled_from(["little", "big"]),
            ),
            st.sampled_from([b"9", b"99999999", b"-1", b"1e308", b"nan", b"\0\0\0\0", b"<a>", b"(", b"{", b"\n", b","]),
            st.binary(max_size=8),
        ),
        st.booleans(),  # in between, or over what is there
    ),
    min_size=1, max_size=4,
)  # fmt: skip
CUTS = st.none() | st.integers(0, 2000)


def changed(content: bytes, changes: list, cut: int | None) -> bytes:
    """`content` with other bytes at some places, and its end cut off."""
    for place, new, between in changes:
        at = place % (len(content) + 1)
        content = content[:at] + new + content[at if between else at + len(new) :]
    return content if cut is None else content[: max(0, len(content) - cut)]


def matlab_file(**variables: np.ndarray) -> bytes:
    """A .mat file of version 5, compressed."""
    out = io.BytesIO()
    scipy.io.savemat(out, variables, do_compression=True)
    return out.getvalue()


def hdf5_file() -> bytes:
    """A video and a signal in a MATLAB 7.3 file."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["ppg"] = np.arange(50.0)[None]
        file.create_dataset("video", data=np.zeros((3, 8, 6, 5), np.uint8), chunks=(3, 8, 6, 1), compression="gzip")
    return out.getvalue()


def zip_file(stored: bool = False) -> bytes:
    """Three pictures."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"a/{number}.png", encoded(".png"))
    return out.getvalue()


def encoded(ending: str) -> bytes:
    """A picture of 32 x 24."""
    return cv2.imencode(ending, PICTURE)[1].tobytes()


def npy_file() -> bytes:
    """An array of NumPy's."""
    out = io.BytesIO()
    np.save(out, np.zeros((5, 6, 4, 3), np.uint8))
    return out.getvalue()


def hdf5_parts(path: Path) -> None:
    """Both kinds that are read of such files."""
    with hdf5.open_file(path) as file:
        hdf5.has(file, "ppg") and hdf5.signal(file, "ppg")
    list(islice(hdf5.iter_video(path, "video"), 20))


def matlab_parts(path: Path) -> None:
    """Both kinds that are read of such files."""
    matlab.read_variables(path, ["ppg", "name"])
    list(islice(matlab.iter_video(path, "video"), 20))


FILES: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "npy": (npy_file(), open_array),
    "own npy": (npy_header(5, (6, 4, 3)) + bytes(360), lambda path: is_whole(path, (5, 6, 4, 3), "|u1")),
    "pgm": (b"P5\n8 6\n65535\n" + bytes(96), lambda path: decode(path.read_bytes(), "picture")),
    "mat": (
        matlab_file(ppg=np.arange(50.0), name="a", video=np.zeros((5, 6, 8, 3), np.uint8)),
        matlab_parts,
    ),
    "hdf5": (hdf5_file(), hdf5_parts),
    "zip": (zip_file(), lambda path: list(iter_members(path, lambda name: name.suffix == ".png", "picture"))),
    "stored zip": (zip_file(stored=True), require_stored),
    "table": (b"1,2,3\n4,5,6\n" * 20, read_table),
    "wave table": (b"time,ppg\n0.1,1.5\n0.2,2.5\n" * 20, read_labels),
    "xml": (b"<a>" + b"<b><v>1</v><w>2</w></b>" * 20 + b"</a>", lambda path: read_columns(path, ["v", "w"])),
    "json": (b'{"a": [1, 2.5, null], "b": {"c": "d"}}', read_json),
}


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_claim_of_a_file_is_read_or_refused_by_name(effort, tmp_path):
    """With one sentence that names the file, of ValueError or OSError, and in bounded memory."""

    def holds(kind, changes, cut):
        content, read = FILES[kind]
        path = tmp_path / "claims.bin"
        path.write_bytes(changed(content, changes, cut))
        tracemalloc.start()
        try:
            read(path)
        except (ValueError, OSError) as error:
            said = str(error)
            assert "claims.bin" in said or kind in ("pgm", "stored zip"), said  # there the caller names it
            assert len(said.split()) > 3 and len(said) < 2000
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST, f"{peak / 1e6:.0f} MB"

    search(holds, effort, 250, kind=st.sampled_from(sorted(FILES)), changes=CHANGES, cut=CUTS)


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_header_of_a_picture_says_what_its_decoder_makes(effort, tmp_path):
    """Sizes are judged by headers before memory is taken: what is decoded has that size, or the file is refused."""
    pictures = {ending: encoded(ending) for ending in (".png", ".jpg", ".bmp", ".tiff", ".webp")}

    def holds(ending, changes, cut):
        path = tmp_path / f"claims{ending}"
        path.write_bytes(changed(pictures[ending], changes, cut))
        (frame,) = iter_images([path])
        try:
            height, width = frame.rgb().shape[:2]
        except VideoError as error:
            assert "claims" in str(error)
            return
        assert width * height <= MOST_PIXELS
        assert {width, height} == set(image_size(path.read_bytes()))  # turned by EXIF or not

    search(holds, effort, 120, ending=st.sampled_from(sorted(pictures)), changes=CHANGES, cut=CUTS)
