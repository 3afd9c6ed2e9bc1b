"""PURE: its layout on disk, two clocks in nanoseconds, and what happens when files are missing or broken."""

import csv
import json

import cv2
import numpy as np
import pytest

from dataset.clips.labels import align
from dataset.face.crop import FaceCrop
from dataset.files.frames import VideoError
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from registry import DATASETS
from tests.video_tools import moving_face

START = 1392643993642815000  # ns


def session(root, name, count=6, listed=True, named=True, first_sample=-50_000_000):
    """One recording as the data set has it; the oximeter starts 50 ms before the camera."""
    folder = root / name / name
    folder.mkdir(parents=True)
    stamps = [START + int(index * 1e9 / 30) + (index % 2) * 1_000_000 for index in range(count)]
    stems = [f"Image{stamp}" if named else f"{index:04d}" for index, stamp in enumerate(stamps)]
    for stem, frame in zip(stems, moving_face(count, seed=int(name[:2])), strict=True):
        (folder / f"{stem}.png").write_bytes(cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
    samples = [
        {
            "Timestamp": START + first_sample + int(index * 1e9 / 60),
            "Value": {"waveform": index * 2, "pulseRate": 70, "o2saturation": 98, "signalStrength": 3},
        }
        for index in range(2 * count)
    ]
    content = {"/FullPackage": samples}
    if listed:
        content["/Image"] = [{"Timestamp": t, "Source": stem} for t, stem in zip(stamps, stems, strict=True)]
    (root / name / f"{name}.json").write_text(json.dumps(content))
    return root / name


@pytest.fixture
def loader():
    """The reader without options."""
    return DATASETS["PURE"]()


def test_ids_and_subjects_are_numbers_as_rppg_toolbox_has_them(tmp_path, loader):
    """01-02 is recording 102 of subject 1; 10-01 comes after 02-01."""
    for name in ("10-01", "01-02", "01-01", "02-01", "notes-old"):
        (tmp_path / name).mkdir()
    found = [(recording.id, recording.subject) for recording in loader.recordings(tmp_path)]
    assert found == [("101", "1"), ("102", "1"), ("201", "2"), ("1001", "10")]


@pytest.mark.parametrize("listed, named", [(True, True), (True, False), (False, True)])
def test_frames_and_signals_share_one_clock(tmp_path, loader, listed, named):
    """Times count from the first frame, from the JSON or from the file names; the signal begins 50 ms earlier."""
    session(tmp_path, "01-01", listed=listed, named=named)
    one = loader.recordings(tmp_path)[0]
    frames = list(loader.read_video(one))
    expected = np.arange(6) / 30 + (np.arange(6) % 2) * 1e-3
    np.testing.assert_allclose([frame.time for frame in frames], expected, atol=1e-6)
    np.testing.assert_array_equal(frames[4].rgb(), moving_face(6, seed=1)[4])
    waves = loader.read_wave(one)
    np.testing.assert_array_equal(waves["ppg"].values, 2 * np.arange(12))
    np.testing.assert_allclose(waves["ppg"].times, np.arange(12) / 60 - 0.05, atol=1e-6)
    assert waves["hr"].values[0] == 70 and waves["spo2"].unit == "%"


def test_without_time_stamps_frames_are_even_at_30_hz(tmp_path, loader):
    """Unnamed and unlisted images have no times; the signal then starts with the video."""
    session(tmp_path, "01-01", listed=False, named=False)
    cache = Cache(tmp_path / "cache", {})
    preprocess_all(loader, loader.recordings(tmp_path), FaceCrop(size=(24, 24)), cache, 1)
    entry = cache.entry("101")
    assert entry.times is None and entry.fs == 30.0 and entry.signals["ppg"].times[0] == 0.0


def test_missing_and_broken_files_are_clear_errors(tmp_path, loader):
    """No sessions, no images, no JSON, JSON without samples."""
    with pytest.raises(FileNotFoundError, match="no recording of PURE"):
        loader.recordings(tmp_path)
    folder = session(tmp_path, "01-01")
    one = loader.recordings(tmp_path)[0]
    for text in ("{", "[]", "{}", '{"/FullPackage": [{"Timestamp": 1}]}', '{"/FullPackage": 7}'):
        (folder / "01-01.json").write_text(text)
        with pytest.raises(ValueError, match="01-01"):
            loader.read_wave(one)
    (folder / "01-01.json").unlink()
    with pytest.raises(FileNotFoundError, match="01-01.json"):
        loader.read_wave(one)
    for image in (folder / "01-01").iterdir():
        image.unlink()
    with pytest.raises(VideoError, match="no PNG"):
        loader.read_video(one)


def test_one_broken_session_costs_no_other(tmp_path, loader):
    """A cut PNG and an empty JSON are reported by name; the good session is done, with its real times."""
    for name in ("01-01", "01-02", "02-01"):
        session(tmp_path / "raw", name)
    image = sorted((tmp_path / "raw" / "01-01" / "01-01").iterdir())[3]
    image.write_bytes(image.read_bytes()[:5000])
    (tmp_path / "raw" / "01-02" / "01-02.json").write_text("")
    cache = Cache(tmp_path / "cache", {})
    statuses = preprocess_all(loader, loader.recordings(tmp_path / "raw"), FaceCrop(size=(24, 24)), cache, 1)
    assert {name: status.state for name, status in statuses.items()} == {
        "101": "failed",
        "102": "failed",
        "201": "done",
    }
    assert image.name in statuses["101"].reason and "01-02.json" in statuses["102"].reason
    entry = cache.entry("201")
    assert entry.times[1] == pytest.approx(1 / 30 + 1e-3, abs=1e-6) and set(entry.signals) == {"ppg", "hr", "spo2"}


def test_lost_and_doubled_frames_stand_in_the_manifest(tmp_path, loader):
    """Two images are gone, one was written twice: counts in the table; the label still follows the clock."""
    folder = session(tmp_path / "raw", "01-01", count=24) / "01-01"
    images = sorted(folder.iterdir())
    for image in images[9:11]:
        image.unlink()
    (folder / f"Image{int(images[15].stem[5:]) + 1000}.png").write_bytes(images[15].read_bytes())
    cache, recordings = Cache(tmp_path / "cache", {}), loader.recordings(tmp_path / "raw")
    cache.freeze(recordings)
    preprocess_all(loader, recordings, FaceCrop(size=(24, 24)), cache, 1)
    with (cache.root / "manifest.csv").open() as file:
        row = next(csv.DictReader(file))
    flags = json.loads(row["flags"])
    assert (row["frames"], flags["dropped_frames"], flags["doubled_frames"]) == ("23", 2, 1)
    entry = cache.entry("101")
    by_time, by_index = (align(entry.signals["ppg"], entry.times, 23, mode) for mode in ("auto", "index"))
    assert np.allclose(by_time[:20], 2 * 60 * (entry.times[:20] + 0.05), atol=0.2)
    assert np.abs(by_time - by_index).max() > 2


def test_motion_augmented_videos_are_arrays(tmp_path):
    """With DATA_AUG Motion the first .npy file of the inner folder is read instead of the images."""
    folder = session(tmp_path, "01-01")
    video = np.random.default_rng(0).random((3, 20, 30, 3))
    np.save(folder / "01-01" / "a.npy", video)
    loader = DATASETS["PURE"]({"DATA_AUG": ["Motion"]})
    frames = [frame.rgb() for frame in loader.read_video(loader.recordings(tmp_path)[0])]
    np.testing.assert_array_equal(frames, np.rint(video * 255).astype(np.uint8))
