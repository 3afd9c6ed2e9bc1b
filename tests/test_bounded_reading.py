"""Readers whose memory is bounded whatever a file holds: archives that overlap, XML, tables, videos of MATLAB."""

import io
import os
import struct
import zipfile

import cv2
import numpy as np
import pytest
import scipy.io
import torch

from dataset.data_loader.bp4d_plus import iter_zip
from dataset.data_loader.folder import FolderLoader
from dataset.face.yolo5face import read_weights as read_yolo5face
from dataset.files import matlab, tables
from dataset.files.frames import VideoError
from dataset.files.wave_table import read_labels
from dataset.files.xml import read_columns
from dataset.files.zips import require_stored
from neural_methods.checkpoint import WeightsError, read_weights
from tests.damage_labels import XML
from tests.damage_run import limited
from tests.damage_zips import overlapping
from tests.video_tools import moving_face, write_video

# --- Archives --------------------------------------------------------------------------------------------------------


def pictures(count: int) -> bytes:
    """A zip file of `count` pictures of task T1."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(count):
            picture = np.full((48, 64, 3), number, np.uint8)
            archive.writestr(f"F001/T1/{number:04d}.jpg", cv2.imencode(".jpg", picture)[1].tobytes())
    return out.getvalue()


def test_pictures_that_share_their_bytes_are_refused(tmp_path):
    """A good file is read; the same with a member a hundred times is not."""
    path = tmp_path / "F001.zip"
    path.write_bytes(pictures(4))
    assert len(list(iter_zip(path, "T1", 25))) == 4
    path.write_bytes(overlapping(pictures(4), 100))
    with pytest.raises(VideoError, match="F001.zip'.*more bytes than the file.*again"):
        list(iter_zip(path, "T1", 25))


def test_a_list_of_members_without_end_is_not_read(tmp_path):
    """128 MB of entries would take more than 1 GB as objects."""
    content = pictures(1)
    at, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entries = content[at:end] * ((40 << 20) // (end - at))
    tail = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 9, 9, len(entries), at)
    tail += struct.pack("<4sIQI", b"PK\6\7", 0, at + len(entries), 1)
    tail += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = tmp_path / "F001.zip"
    path.write_bytes(content[:at] + entries + tail)
    with limited(growth=150_000_000), pytest.raises(VideoError, match="F001.zip'.*list of its members is too long"):
        list(iter_zip(path, "T1", 25))


@pytest.mark.parametrize(
    ("read", "error"),
    [(read_weights, WeightsError), (lambda path: read_yolo5face(path, {"a": torch.zeros(1000)}), ValueError)],
)
def test_weights_that_share_their_bytes_are_refused(tmp_path, read, error):
    """Of a method and of the face detector alike."""
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    assert set(read(path)) == {"a"}
    path.write_bytes(overlapping(path.read_bytes(), 50))
    with pytest.raises(error, match="weights.pth'.*more bytes than the file.*again"):
        read(path)


def test_arrays_that_share_their_bytes_are_refused():
    """signals.npz of a cache entry; what is no archive at all is left to its own reader."""
    out = io.BytesIO()
    np.savez(out, trace=np.zeros((100, 3)))
    require_stored(out.getvalue())
    require_stored(b"something else")
    with pytest.raises(ValueError, match="more bytes than the file"):
        require_stored(overlapping(out.getvalue(), 50))
    packed = io.BytesIO()
    np.savez_compressed(packed, trace=np.zeros((100, 3)))
    with pytest.raises(ValueError, match="compressed"):
        require_stored(packed.getvalue())
    with pytest.raises(ValueError, match="no archive that can be read"):
        require_stored(out.getvalue()[:-30])


# --- XML -------------------------------------------------------------------------------------------------------------

GOOD = (
    b'<?xml version="1.0"?>\n<all><e><value0>1</value0><value1> 2.5 </value1></e><other/>'
    b"<e><value1>3</value1></e></all>"
)


def test_columns_are_the_values_of_the_entries_that_have_them(tmp_path):
    """Other elements are passed over; of a name that comes twice in an entry the first counts, as for a tree."""
    path = tmp_path / "log.xml"
    path.write_bytes(GOOD)
    assert read_columns(path, ["value1"])[0].tolist() == [2.5, 3.0]
    path.write_bytes(b"<a><e><v>1</v><v>2</v><w>5<x>6</x>7</w></e></a>")
    assert [column.tolist() for column in read_columns(path, ["v", "w"])] == [[1.0], [5.0]]


@pytest.mark.parametrize("name", [name for name, _, _ in XML])
def test_damaged_xml_is_named_and_takes_little(tmp_path, name):
    """Depth, tags, values and definitions without end: 128 MB took 3 GB as a tree."""
    path = tmp_path / "log.xml"
    path.write_bytes(GOOD.replace(b"all", b"cereal"))
    next(change for found, change, _ in XML if found == name)(path)
    with limited(growth=100_000_000), pytest.raises(ValueError, match="log.xml'.*again"):
        read_columns(path, ["value1"])


# --- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"1\n" * 5_000_000, "more than 4194304 lines"),
        (b"1,1\n" * 200_000 + b"1\n", "rows of 2 and of 1 values"),
        (b"1;2\n3;x\n", "could not convert"),
        (b"1\n\xff\n", "no table of numbers"),
        (b"a" * 3_000_000, "more than 1048576 letters"),
    ],
)
def test_labels_are_read_row_by_row(tmp_path, text, words):
    """16 MB of short lines took 1.1 GB as lists of texts."""
    path = tmp_path / "label.csv"
    path.write_bytes(text)
    with limited(growth=150_000_000), pytest.raises(ValueError, match=f"label.csv'.*{words}"):
        read_labels(path)


def test_tables_of_too_many_numbers_are_refused_while_they_are_read(tmp_path, monkeypatch):
    """Instead of growing to gigabytes."""
    path = tmp_path / "wave.txt"
    path.write_text("1 2 3\n" * 50)
    assert tables.read_table(path, delimiter=None).shape == (50, 3)
    monkeypatch.setattr(tables, "MOST_NUMBERS", 100)
    with pytest.raises(ValueError, match="wave.txt'.*more than 100 numbers"):
        tables.read_table(path, delimiter=None)


# --- MATLAB ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1 << 29, 5 * 7 * 6 * 3, 100, 1])
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_long_video_is_read_in_parts_of_the_same_frames(tmp_path, monkeypatch, most, kind):
    """However few frames are held at once."""
    video = np.random.default_rng(0).integers(0, 256, (23, 7, 6, 3), np.uint8)
    scipy.io.savemat(tmp_path / "a.mat", {"video": video / 255 if kind is np.float64 else video}, do_compression=True)
    monkeypatch.setattr(matlab, "LARGEST_PART", most)
    frames = [frame.rgb() for frame in matlab.iter_video(tmp_path / "a.mat", "video")]
    assert np.array_equal(frames, video)


# --- Folders ---------------------------------------------------------------------------------------------------------


def test_folders_that_link_to_each_other_end(tmp_path):
    """Eight folders, each of which holds links to all others: there would be a hundred thousand ways through them."""
    places = [tmp_path / f"f{number}" for number in range(8)]
    for place in places:
        place.mkdir()
    video = write_video(tmp_path / "f0" / "a.mp4", moving_face(2, 64, 48), "h264")
    for place in places[1:]:
        os.link(video, place / "a.mp4")
    for place in places:
        for other in places:
            (place / f"to_{other.name}").symlink_to(other)
    found = FolderLoader({}).recordings(tmp_path)
    assert len(found) <= 8 * 8 and {f"f{number}_a" for number in range(8)} <= {one.id for one in found}


def test_deep_folders_are_searched(tmp_path, monkeypatch):
    """Deeper than functions may call each other."""
    write_video(tmp_path / "b.mp4", moving_face(2, 64, 48), "h264")
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):
        os.mkdir("a")
        os.chdir("a")
    try:
        assert [one.id for one in FolderLoader({}).recordings(tmp_path)] == ["b"]
    finally:
        for _ in range(1100):
            os.chdir("..")
            os.rmdir("a")
