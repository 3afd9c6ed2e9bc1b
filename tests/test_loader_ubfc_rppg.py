"""UBFC-rPPG: its layout on disk, its times, and what happens when files are missing or broken."""

import numpy as np
import pytest

from dataset.face.crop import FaceCrop
from dataset.files.frames import VideoError
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from registry import DATASETS
from tests.video_tools import cut_file, moving_face, write_video

TIMES = np.arange(6) / 29.5


def subject(root, name, codec="raw", rows=None):
    """One folder as the data set has it."""
    folder = root / name
    write_video(folder / "vid.avi", moving_face(6, seed=len(name)), codec)
    rows = [np.sin(TIMES), 70 + TIMES, TIMES] if rows is None else rows
    (folder / "ground_truth.txt").write_text("\n".join("  ".join(f"{v:.7e}" for v in row) for row in rows) + "\n")
    return folder


@pytest.fixture
def loader():
    """The reader without options."""
    return DATASETS["UBFC-rPPG"]()


@pytest.mark.parametrize("place", ["", "DATASET_2"])
def test_subjects_come_in_natural_order(tmp_path, loader, place):
    """subject2 before subject10; the folder above DATASET_2 will do; other folders are left out."""
    for name in ("subject10", "subject2", "subject1", "other"):
        (tmp_path / place / name).mkdir(parents=True)
    found = loader.recordings(tmp_path)
    assert [recording.id for recording in found] == ["subject1", "subject2", "subject10"]
    assert [recording.subject for recording in found] == ["subject1", "subject2", "subject10"]


@pytest.mark.parametrize("codec", ["raw", "raw_top_down", "mjpg"])
def test_frames_and_signals_are_read(tmp_path, loader, codec):
    """Frames in both row orders, PPG and heart rate with the third line as their times."""
    subject(tmp_path / "Daten für UBFC", "subject1", codec)
    one = loader.recordings(tmp_path / "Daten für UBFC")[0]
    frames = list(loader.read_video(one))
    assert len(frames) == 6 and frames[0].shape == (240, 320) and frames[3].time == pytest.approx(TIMES[3], abs=1e-6)
    if codec != "mjpg":
        np.testing.assert_array_equal(frames[2].rgb(), moving_face(6, seed=8)[2])
    waves = loader.read_wave(one)
    np.testing.assert_allclose(waves["ppg"].values, np.sin(TIMES), atol=1e-6)
    np.testing.assert_allclose(waves["ppg"].times, TIMES, atol=1e-6)
    assert waves["hr"].unit == "bpm" and waves["hr"].values[0] == pytest.approx(70)


def test_frames_have_the_times_that_were_written_down(tmp_path, loader):
    """One time per frame in line 3: those are the frame times; another number of them: the container's are."""
    times = np.array([0.5, 0.53, 0.56, 0.7, 0.73, 0.77])
    subject(tmp_path, "subject1", rows=[times, times, times])
    one = loader.recordings(tmp_path)[0]
    np.testing.assert_allclose([frame.time for frame in loader.read_video(one)], times - 0.5, atol=1e-6)
    np.testing.assert_allclose(loader.read_wave(one)["ppg"].times, times - 0.5, atol=1e-6)
    subject(tmp_path, "subject2", rows=[times[:5], times[:5], times[:5]])
    two = loader.recordings(tmp_path)[1]
    np.testing.assert_allclose([frame.time for frame in loader.read_video(two)], np.arange(6) / 30, atol=1e-3)


def test_a_file_with_the_pulse_only_is_spread_over_the_video(tmp_path, loader):
    """Without a third line there are no times."""
    subject(tmp_path, "subject1", rows=[np.arange(9.0)])
    waves = loader.read_wave(loader.recordings(tmp_path)[0])
    assert set(waves) == {"ppg"} and waves["ppg"].times is None


@pytest.mark.parametrize("text", ["", "\n \n", "1 2 x\n", "1 2 3\n4 5\n"])
def test_a_broken_label_is_named(tmp_path, loader, text):
    """Empty, textual and ragged files are errors that name the file."""
    (subject(tmp_path, "subject1") / "ground_truth.txt").write_text(text)
    with pytest.raises(ValueError, match="ground_truth.txt"):
        loader.read_wave(loader.recordings(tmp_path)[0])


def test_missing_files_and_folders_are_clear_errors(tmp_path, loader):
    """A root without subjects, a subject without video or label."""
    with pytest.raises(FileNotFoundError, match="not a folder"):
        loader.recordings(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no recording of UBFC-rPPG.*vid.avi"):
        loader.recordings(tmp_path)
    (tmp_path / "subject1").mkdir()
    one = loader.recordings(tmp_path)[0]
    with pytest.raises(VideoError, match="vid.avi.*does not exist"):
        loader.read_video(one)
    with pytest.raises(FileNotFoundError, match="ground_truth.txt"):
        loader.read_wave(one)


def test_one_broken_subject_costs_no_other(tmp_path, loader):
    """Truncated video, missing label and a NaN are reported by name; the good ones are done."""
    for name in ("subject1", "subject2", "subject3", "subject4", "subject5"):
        subject(tmp_path / "raw", name)
    cut_file(tmp_path / "raw" / "subject2" / "vid.avi", 0.6)
    (tmp_path / "raw" / "subject3" / "ground_truth.txt").unlink()
    subject(tmp_path / "raw", "subject4", rows=[np.array([1.0, np.nan, 2.0])])
    cache = Cache(tmp_path / "cache", {})
    statuses = preprocess_all(loader, loader.recordings(tmp_path / "raw"), FaceCrop(size=(24, 24)), cache, 1)
    assert [name for name, status in statuses.items() if status.state == "done"] == ["subject1", "subject5"]
    for name, words in (("subject2", "vid.avi"), ("subject3", "ground_truth.txt"), ("subject4", "NaN")):
        assert words in statuses[name].reason
    entry = cache.entry("subject1")
    assert len(entry.faces) == 6 and entry.fs == pytest.approx(29.5) and set(entry.signals) == {"ppg", "hr"}


def test_motion_augmented_videos_are_arrays(tmp_path):
    """With DATA_AUG Motion the first .npy file is read instead of the video."""
    folder = subject(tmp_path, "subject1")
    video = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    np.save(folder / "augmented.npy", video)
    loader = DATASETS["UBFC-rPPG"]({"DATA_AUG": ["Motion"]})
    frames = [frame.rgb() for frame in loader.read_video(loader.recordings(tmp_path)[0])]
    np.testing.assert_array_equal(frames, video)
    (folder / "augmented.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"\*.npy"):
        loader.read_video(loader.recordings(tmp_path)[0])
