"""Any videos: what counts as a recording, its id and subject, and labels beside it."""

import cv2
import numpy as np
import pytest

from dataset.face.crop import FaceCrop
from dataset.files.wave_table import read_labels
from dataset.prepare.recording import preprocess_all
from dataset.prepare.unused import unused
from dataset.store.cache import Cache
from registry import DATASETS
from tests.conftest import reference
from tests.video_tools import moving_face, write_video


@pytest.fixture
def loader():
    """The reader without options."""
    return DATASETS["Folder"]()


def touch(root, *names):
    """Empty files, with their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_links_in_a_circle_are_not_followed(tmp_path, loader):
    """Each video once, although a folder links to itself and to the one above."""
    touch(tmp_path, "anna/morning.mp4")
    (tmp_path / "anna" / "here").symlink_to(tmp_path / "anna")
    (tmp_path / "anna" / "up").symlink_to("..")
    (tmp_path / "bert").symlink_to(tmp_path / "anna")
    assert [recording.id for recording in loader.recordings(tmp_path)] == ["anna_morning", "bert_morning"]


def test_a_label_that_is_no_file_is_said(tmp_path):
    """A link to nothing beside a video is a label that is lost, and not none; so are columns that are not there."""
    touch(tmp_path, "a.mp4")
    (tmp_path / "a.csv").symlink_to(tmp_path / "lost.csv")
    with pytest.raises(FileNotFoundError, match="a.csv"):
        loader_of(tmp_path)
    (tmp_path / "b.csv").write_text("x,y,time,ppg\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="names 4 columns, its rows have 2"):
        read_labels(tmp_path / "b.csv")


def loader_of(root):
    """The signals of the first video below `root`."""
    reader = DATASETS["Folder"]()
    return reader.read_wave(reader.recordings(root)[0])


def test_every_video_and_image_folder_is_a_recording(tmp_path, loader):
    """Natural order; subjects are the first folder, or the name of a file at the top."""
    touch(tmp_path, "clip2.mp4", "clip10.AVI", "clip.mov", "notes.pdf", ".hidden.mp4", ".git/x.mp4")
    touch(tmp_path, "anna/morning.webm", "anna/frames/01.png", "anna/frames/02.png", "bert/Zoë am See.mkv")
    found = [(recording.id, recording.subject) for recording in loader.recordings(tmp_path)]
    assert found == [
        ("anna_frames", "anna"),
        ("anna_morning", "anna"),
        ("bert_Zoë am See", "bert"),
        ("clip", "clip"),
        ("clip2", "clip2"),
        ("clip10", "clip10"),
    ]


def test_equal_names_keep_their_endings_apart(tmp_path, loader):
    """Two files that differ in the ending only are two recordings."""
    touch(tmp_path, "a.mp4", "a.avi")
    assert [recording.id for recording in loader.recordings(tmp_path)] == ["a.avi", "a.mp4"]


def test_a_single_file_is_a_data_set(tmp_path, loader):
    """DATA_PATH may name one video."""
    touch(tmp_path, "me.mp4")
    assert [recording.id for recording in loader.recordings(tmp_path / "me.mp4")] == ["me"]


def test_an_empty_or_missing_folder_is_a_clear_error(tmp_path, loader):
    """The error says which endings count."""
    touch(tmp_path, "notes.txt")
    with pytest.raises(FileNotFoundError, match=r"no recording of videos.*\.mp4"):
        loader.recordings(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        loader.recordings(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "time,ppg\n0.0,1\n0.5,2\n1.0,4\n",
        "0.0;1\n0.5;2\n1.0;4\n",
        "\ufeffppg\ttime\n1\t0\n2\t0.5\n4\t1\n",
        "0  1\n.5 2\n1 4",
    ],
)
def test_labels_with_times(tmp_path, text):
    """Commas, semicolons, tabs and blanks, with or without a header, columns in any named order."""
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    signal = read_labels(tmp_path / "a.csv")["ppg"]
    np.testing.assert_array_equal(signal.values, [1, 2, 4])
    np.testing.assert_array_equal(signal.times, [0, 0.5, 1])


def test_labels_of_one_column_are_spread_over_the_video(tmp_path, loader):
    """Neither rate nor times are made up."""
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.txt").write_text("ppg\n1\n2\n3\n")
    first, second = loader.recordings(tmp_path)
    signal = loader.read_wave(first)["ppg"]
    assert signal.values.tolist() == [1, 2, 3] and signal.times is None and signal.fs is None
    assert loader.read_wave(second) == {}


@pytest.mark.parametrize("text", ["", "time,ppg\n", "time,ppg\n1,x\n", "1,2\n3\n"])
def test_a_broken_label_file_is_named(tmp_path, text):
    """Empty files, texts and ragged rows are errors."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match="a.csv"):
        read_labels(tmp_path / "a.csv")


def test_videos_and_images_go_through_the_cache(tmp_path, loader):
    """A video keeps its own rate; images need FS, and say so."""
    write_video(tmp_path / "raw" / "a b.avi", moving_face(5), "mjpg", fs=25.0)
    for index, frame in enumerate(moving_face(5)):
        path = tmp_path / "raw" / "images" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
    cache, crop = Cache(tmp_path / "cache", {}), FaceCrop(size=(24, 24))
    statuses = preprocess_all(loader, loader.recordings(tmp_path / "raw"), crop, cache, 1)
    assert cache.entry("a b").fs == pytest.approx(25) and len(cache.entry("a b").faces) == 5
    assert statuses["images"].state == "failed" and "Set FS" in statuses["images"].reason
    loader = DATASETS["Folder"]({"FS": 20})
    preprocess_all(loader, loader.recordings(tmp_path / "raw"), crop, cache, 1)
    assert cache.entry("images").fs == 20 and cache.entry("images").times is None


@pytest.mark.slow
def test_the_sample_clips_are_all_accounted_for(tmp_path, loader):
    """Public clips: the one without a face fails by name, the others are done."""
    cache = Cache(tmp_path / "cache", {})
    recordings = loader.recordings(reference("data/face_videos"))
    statuses = preprocess_all(loader, recordings, FaceCrop(size=(72, 72)), cache, 2)
    assert [name for name, status in statuses.items() if status.state != "done"] == ["no_face"]
    assert "No face" in statuses["no_face"].reason


def test_what_was_not_asked_for_is_not_called_unused(tmp_path):
    """Of a folder whose other videos nobody named, and of where runs write, there is nothing to say."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "runs").mkdir()
    some, every = (DATASETS["Folder"]({"VIDEOS": names}) for names in (["a.mp4"], []))
    assert unused(some, tmp_path, some.recordings(tmp_path)) == []
    assert unused(every, tmp_path, every.recordings(tmp_path)[:1])[0].endswith("folder.py.")
    assert len(unused(every, tmp_path, every.recordings(tmp_path)[:1])) == 1
