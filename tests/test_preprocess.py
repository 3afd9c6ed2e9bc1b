"""Preprocessing: the right pixels of every frame, flags for what is odd, and an account of every recording."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import dataset.store.streams
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.face import _built, get_detector
from dataset.face.boxes import clip_box, enlarge, largest, median_box
from dataset.face.crop import FaceCrop, FaceFinder
from dataset.files.frames import ArrayFrame, VideoError
from dataset.files.video import iter_frames
from dataset.prepare.checks import check_signals, time_flags
from dataset.prepare.recording import SkipRecording, preprocess_all, preprocess_recording
from dataset.store.cache import Cache
from dataset.store.disk import CacheError
from tests.conftest import ROOT, reference
from tests.video_tools import moving_face, write_video

EMPTY = np.full((240, 320, 3), 60, np.uint8)


class Arrays(BaseLoader):
    """Recordings that are lists of arrays; each may do something odd instead."""

    fs = 30.0

    def __init__(self, videos, waves=None):
        """Take `videos` by id, and signals by id."""
        super().__init__()
        self.videos, self.waves = videos, waves or {}

    def recordings(self, root):
        """One per video."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in self.videos]

    def read_video(self, recording):
        """The arrays; texts say what to do instead."""
        for index, frame in enumerate(self.videos[recording.id]):
            if isinstance(frame, str):
                if frame == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise {"skip": SkipRecording, "fail": VideoError, "bug": ZeroDivisionError}[frame](
                    f"{frame} on purpose"
                )
            yield ArrayFrame(frame, index / 30)

    def read_wave(self, recording):
        """The signals given for this id."""
        return self.waves.get(recording.id, {})


class Script:
    """A detector that reads the face's box from the frame's first pixels; zeros mean no face."""

    def __init__(self):
        """Count the looks."""
        self.looks = 0

    def detect(self, rgb):
        """The box written in the first pixels."""
        self.looks += 1
        box = rgb[0, :4, 0].astype(int)
        return box[None] if box.any() else np.zeros((0, 4), int)


def scripted(boxes, shape=(60, 80)):
    """Frames that carry `boxes` (None: no face) for the detector above."""
    rng = np.random.default_rng(0)
    frames = []
    for box in boxes:
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        frame[0, :4, 0] = box or (0, 0, 0, 0)
        frames.append(ArrayFrame(frame, len(frames) / 30))
    return frames


def found_boxes(frames, **options):
    """Boxes of all frames, and the finder."""
    finder = FaceFinder(FaceCrop(size=(8, 8), **options), Script(), 30.0)
    return [box for _, box, _ in finder.faces(lambda: iter(frames))], finder


@pytest.fixture
def cache(tmp_path):
    """An empty cache."""
    return Cache(tmp_path / "cache", {"made": "for a test"})


A, B, C = (10, 20, 16, 16), (20, 10, 24, 24), (30, 20, 20, 20)


def test_the_first_face_decides_for_a_whole_video():
    """Without dynamic detection every frame is cut at the first frame's enlarged box."""
    boxes, _ = found_boxes(scripted([A, B, C, None]))
    assert boxes == [clip_box(enlarge(A, 1.5), (60, 80))] * 4


def test_dynamic_detection_follows_every_so_many_frames():
    """Frame i has the box of frame f * (i // f); a look without a face keeps the box before, and counts."""
    boxes, finder = found_boxes(scripted([A, B, B, A, None, C, C]), large_box=False, dynamic=True, frequency=2)
    assert boxes == [A, A, B, B, B, B, C]
    assert finder.flags()["face_coverage"] == 0.75


def test_the_median_of_all_boxes_is_one_box():
    """Boxes are enlarged and cut to integers before the median is taken, over frames with a face."""
    boxes, finder = found_boxes(scripted([A, None, B, None, C, A, None]), dynamic=True, frequency=2, median=True)
    expected = clip_box(median_box([enlarge(box, 1.5) for box in (A, B, C)]), (60, 80))
    assert boxes == [expected] * 7 and finder.flags()["face_coverage"] == 0.75


def test_the_first_face_is_searched_for_five_seconds():
    """A video that starts without a face gets the box of its first face; later than 5 s is a failure by name."""
    boxes, finder = found_boxes(scripted([None] * 100 + [A] * 60))
    assert boxes == [clip_box(enlarge(A, 1.5), (60, 80))] * 160
    assert finder.flags()["first_face_s"] == pytest.approx(100 / 30, abs=0.01)
    with pytest.raises(VideoError, match="No face in the first 5 s.*NO_FACE: full_frame"):
        found_boxes(scripted([None] * 170 + [A] * 5))


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_whole_frame_can_stand_in_for_a_face(dynamic):
    """With full_frame, width and height are in order, whether enlarged or not."""
    boxes, _ = found_boxes(scripted([None, None]), no_face="full_frame", dynamic=dynamic, frequency=1)
    assert boxes == [(0, 0, 80, 60)] * 2


def test_without_cropping_nothing_is_looked_for():
    """DO_CROP_FACE False resizes whole frames, of any size."""
    boxes, finder = found_boxes([*scripted([A]), *scripted([B], (30, 40))], do_crop=False)
    assert boxes == [(0, 0, 80, 60), (0, 0, 40, 30)]
    assert finder.detector.looks == 0 and finder.flags() == {"face_coverage": None}


def test_an_empty_video_is_an_error():
    """No frames at all fail the recording."""
    with pytest.raises(VideoError, match="no frames"):
        found_boxes([])


def test_the_stored_faces_are_cut_and_resized_by_area(cache):
    """Every stored pixel equals cv2.resize of the cut, whatever the way through the cache."""
    frames = moving_face(8)
    loader = Arrays({"one": frames})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(36, 24)), cache)
    entry = cache.entry("one")
    x, y, w, h = clip_box(enlarge(largest(get_detector("HC").detect(frames[0])), 1.5), (240, 320))
    expected = [cv2.resize(f[y : y + h, x : x + w], (36, 24), interpolation=cv2.INTER_AREA) for f in frames]
    np.testing.assert_array_equal(entry.faces, expected)
    assert tuple(entry.boxes[0]) == (x, y, w, h) and entry.fs == pytest.approx(30)
    assert entry.flags == {"face_coverage": 1.0}


def test_nothing_changes_where_nothing_is_resized(cache):
    """Frames of the stored size are stored as they are."""
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8))
    loader = Arrays({"one": frames})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(50, 40), do_crop=False), cache)
    np.testing.assert_array_equal(cache.entry("one").faces, frames)


@pytest.mark.parametrize("size", [72, 128])
@pytest.mark.parametrize("mode", ["static", "dyn2", "dyn2_median"])
def test_crops_equal_those_of_rppg_toolbox(size, mode):
    """Recorded crops of a moving face with recorded boxes, within one grey level."""
    recorded = np.load(reference("parity/preprocessing.npz"))
    boxes = json.loads(reference("parity/preprocessing.json").read_text())["boxes_moving"]
    frames = [ArrayFrame(frame, index / 30) for index, frame in enumerate(recorded["moving_u8"])]
    by_frame = {frame.array.tobytes(): box for frame, box in zip(frames, boxes, strict=True)}

    class Recorded:
        def detect(self, rgb):
            return np.array([by_frame[rgb.tobytes()]])

    dynamic = mode != "static"
    crop = FaceCrop((size, size), large_box=False, dynamic=dynamic, frequency=2, median=mode.endswith("median"))
    finder = FaceFinder(crop, Recorded(), 30.0)
    finder._next_look = np.inf
    found = np.stack([face for face, _, _ in finder.faces(lambda: iter(frames))])
    assert np.abs(found.astype(int) - recorded[f"crop_{mode}_{size}"]).max() <= 1


def test_whole_frames_and_single_crops_equal_those_of_rppg_toolbox():
    """The 640 x 480 picture, cut at its recorded box and whole, within one grey level."""
    recorded = np.load(reference("parity/preprocessing.npz"))
    case = json.loads(reference("parity/preprocessing.json").read_text())["face_frame640"]
    image = recorded["img_frame640"]
    x, y, w, h = clip_box(case["box_large_1_5"], image.shape[:2])
    for name, size, part in (
        ("crop_frame640_72", 72, image[y : y + h, x : x + w]),
        ("crop_frame640_128", 128, image[y : y + h, x : x + w]),
        ("nocrop_frame640_72", 72, image),
    ):
        found = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - recorded[name][0]).max() <= 1


@pytest.mark.parametrize("faces_first", [True, False])
def test_a_face_that_is_there_part_of_the_time_is_flagged(cache, faces_first):
    """The share of looks with a face is stored; a face that comes late is dated."""
    face, nothing = [moving_face(1)[0]] * 125, [EMPTY] * 125
    loader = Arrays({"one": face + nothing if faces_first else nothing + face})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(24, 24)), cache)
    flags = cache.entry("one").flags
    assert 0.3 < flags["face_coverage"] < 0.7
    assert ("first_face_s" in flags) == (not faces_first)


def test_a_face_that_leaves_its_box_is_flagged(cache):
    """A face elsewhere in the frame still counts as a face, and as having moved."""
    frame = moving_face(1)[0]
    loader = Arrays({"one": [frame] * 100 + [np.roll(frame, 110, axis=1)] * 100})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(24, 24)), cache)
    flags = cache.entry("one").flags
    assert flags["face_coverage"] == 1.0 and 0.2 < flags["face_left_box"] < 0.8


@pytest.mark.parametrize(
    "name, coverage", [("face_noface.mov", 0.9), ("noface_face.mov", 0.9), ("face.mp4", 1.0), ("face2.mp4", 1.0)]
)
def test_real_clips_are_flagged_when_the_face_is_away(cache, name, coverage):
    """Public clips with a face part of the time are flagged, and those with a face all the time are not."""
    path = reference(f"data/face_videos/{name}")

    class One(Arrays):
        def read_video(self, recording):
            return iter_frames(path)

    loader = One({"one": []})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(72, 72)), cache)
    found = cache.entry("one").flags["face_coverage"]
    assert found == 1.0 if coverage == 1.0 else 0.2 < found < coverage


def test_frame_times_show_drops_and_doubles():
    """Gaps count the frames that fit into them; steps of almost nothing are doubles."""
    times = np.delete(np.arange(100) / 30, [10, 50, 51])
    assert time_flags(times) == {"dropped_frames": 3}
    assert time_flags(np.insert(times, 20, times[20])) == {"dropped_frames": 3, "doubled_frames": 1}
    assert time_flags(np.array([0, 1, 2, 1.5, 3, 4])) == {"times_out_of_order": 1}
    late = np.arange(50) / 30
    late[20] += 0.9 / 30
    assert time_flags(late) == {}
    late[31] += 0.9 / 30
    assert time_flags(np.delete(late, 30)) == {"dropped_frames": 1}
    assert time_flags(np.arange(50) / 30) == {} and time_flags(None) == {}


def test_repeated_frames_are_flagged(cache):
    """A frame equal to the one before in every stored pixel is counted."""
    frames = moving_face(6)
    loader = Arrays({"one": [frames[0], frames[1], frames[1], frames[1], *frames[2:]]})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(24, 24)), cache)
    assert cache.entry("one").flags["repeated_frames"] == 2


def test_a_signal_of_another_length_is_flagged_with_the_numbers(cache):
    """Shorter or longer by more than a second is said in seconds; NaN in a side signal is counted."""
    waves = {
        "ppg": Signal(np.zeros(60), fs=30.0),
        "resp": Signal(np.zeros(20), times=np.arange(20) / 4.0),
        "hr": Signal(np.array([np.nan, 70.0])),
    }
    loader = Arrays({"one": [moving_face(1)[0]] * 150}, {"one": waves})
    preprocess_recording(loader, loader.recordings("")[0], FaceCrop(size=(24, 24)), cache)
    flags = cache.entry("one").flags
    assert flags["ppg_length"] == "2.0 s of signal for 5.0 s of video" and flags["hr_nan"] == 1
    assert "resp_length" not in flags and set(cache.entry("one").signals) == {"ppg", "resp", "hr"}


@pytest.mark.parametrize(
    "bad, message",
    [
        (Signal(np.array([1.0, np.nan, np.inf])), "2 values that are NaN, infinite or beyond 1e\\+30, of 3"),
        (Signal(np.zeros(3), times=np.array([0, np.nan, 1])), "1 values that are NaN"),
        (Signal(np.zeros(0)), "is empty"),
        (Signal(np.zeros(3), times=np.zeros(2)), "3 values but 2 times"),
    ],
)
def test_an_unusable_label_fails_its_recording(bad, message):
    """Broken data never turns silently into a number."""
    with pytest.raises(ValueError, match=message):
        check_signals({"ppg": bad}, ("ppg",))


ODD = {
    "good1": None,
    "skipped": ["skip"],
    "truncated": ["fail"],
    "noface": [EMPTY] * 3,
    "bug": ["bug"],
    "nan": None,
    "empty": [],
    "good2": None,
}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_recording_is_accounted_for(cache, capsys, workers):
    """Each ends as done, failed or skipped with its reason, and no failure costs another recording."""
    good = moving_face(4)
    loader = Arrays(
        {name: good if video is None else [good[0], *video] if video and isinstance(video[0], str) else video
         for name, video in ODD.items()},
        {"nan": {"ppg": Signal(np.array([np.nan]))}},
    )  # fmt: skip
    recordings = loader.recordings("")
    cache.freeze(recordings)
    statuses = preprocess_all(loader, recordings, FaceCrop(size=(24, 24)), cache, workers)
    states = {name: status.state for name, status in statuses.items()}
    assert states == {name: "failed" for name in ODD} | {"good1": "done", "good2": "done", "skipped": "skipped"}
    assert (
        "ZeroDivisionError: bug on purpose (tests/test_preprocess.py, line" in statuses["bug"].reason
        and "NaN" in statuses["nan"].reason
    )
    said = capsys.readouterr().out
    assert "8 recordings: 2 done (2 new, 0 in the cache before), 5 failed, 1 skipped" in said
    assert all(f"failed {name}: " in said for name in ("truncated", "noface", "bug", "nan", "empty"))
    assert {name: status.state for name, status in cache.statuses().items()} == states
    assert (cache.root / "manifest.csv").read_text().count("failed") == 5


def test_running_again_makes_only_what_is_missing(cache, capsys):
    """Finished entries stay untouched, failed ones are tried again, and `overwrite` remakes all to the same bytes."""
    loader = Arrays({"one": moving_face(4), "two": ["fail"]})
    recordings, crop = loader.recordings(""), FaceCrop(size=(24, 24))
    preprocess_all(loader, recordings, crop, cache, 1)
    made = cache.path("one").stat().st_ino
    content = {path.name: path.read_bytes() for path in cache.path("one").iterdir()}
    loader.videos["two"] = moving_face(4)
    preprocess_all(loader, recordings, crop, cache, 1)
    assert cache.path("one").stat().st_ino == made and cache.status("two").state == "done"
    assert "2 done (1 new, 1 in the cache before)" in capsys.readouterr().out
    preprocess_all(loader, recordings, crop, cache, 1, overwrite=True)
    assert cache.path("one").stat().st_ino != made
    assert {path.name: path.read_bytes() for path in cache.path("one").iterdir()} == content


def test_a_damaged_entry_is_made_again(cache):
    """A cut file is noticed and repaired by the next run, and so is a flipped bit beside the faces."""
    loader = Arrays({"one": moving_face(4)})
    recordings, crop = loader.recordings(""), FaceCrop(size=(24, 24))
    preprocess_all(loader, recordings, crop, cache, 1)
    (cache.path("one") / "faces.npy").write_bytes(b"")
    assert preprocess_all(loader, recordings, crop, cache, 1)["one"].state == "done"
    signals = bytearray((cache.path("one") / "signals.npz").read_bytes())
    signals[200] ^= 1
    (cache.path("one") / "signals.npz").write_bytes(signals)
    with pytest.raises(CacheError, match="signals.npz has another checksum.*--preprocess"):
        cache.entry("one")
    assert preprocess_all(loader, recordings, crop, cache, 1)["one"].state == "done"
    assert len(cache.entry("one").faces) == 4


def test_two_workers_give_the_bytes_of_one(tmp_path):
    """Entries do not depend on the number of processes."""
    loader = Arrays({name: moving_face(5, seed=index) for index, name in enumerate("abc")})
    found = []
    for workers in (1, 2):
        cache = Cache(tmp_path / str(workers) / "cache", {})
        preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, workers)
        found.append({p.relative_to(cache.root): p.read_bytes() for p in cache.root.rglob("*") if p.is_file()})
    assert found[0] == found[1] and len(found[0]) == 12


def test_a_worker_that_dies_costs_one_recording(cache):
    """SIGKILL while one recording is read: that one is reported, all others are done."""
    videos = {f"r{index}": moving_face(3) for index in range(6)}
    videos["r2"] = [*moving_face(2), "kill"]
    loader = Arrays(videos)
    statuses = preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, 2)
    assert {name for name, status in statuses.items() if status.state == "done"} == set(videos) - {"r2"}
    assert statuses["r2"].state == "failed" and "died (SIGKILL" in statuses["r2"].reason


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_with_one_error_and_can_be_resumed(tmp_path, monkeypatch, workers):
    """No half entry stays; with room again, the same call finishes."""
    cache = Cache(tmp_path / "cache", {})
    loader = Arrays({"one": moving_face(3), "two": moving_face(3)})
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".writing").write_text("in the way")
    with pytest.raises(CacheError, match="cannot be written"):
        preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, workers)
    (tmp_path / "cache" / ".writing").unlink()
    statuses = preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, workers)
    assert [status.state for status in statuses.values()] == ["done", "done"]


def test_an_unavailable_detector_is_said_before_any_work(cache, monkeypatch):
    """A wrong BACKEND is one error, not a failure of every recording."""
    loader = Arrays({"one": moving_face(3)})
    monkeypatch.setenv("RPPG_Y5F", "gone.pth")
    _built.cache_clear()
    with pytest.raises(FileNotFoundError, match="names 'gone.pth'"):
        preprocess_all(loader, loader.recordings(""), FaceCrop(backend="Y5F"), cache, 1)
    with pytest.raises(ValueError, match="PREPROCESS_WORKERS is 0"):
        preprocess_all(loader, loader.recordings(""), FaceCrop(), cache, 0)


def test_entries_made_otherwise_are_never_reused(cache):
    """An entry with other settings in the same place is an error."""
    loader = Arrays({"one": moving_face(3)})
    preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, 1)
    with pytest.raises(CacheError, match="other settings"):
        preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), Cache(cache.root, {"x": 1}), 1)


def test_the_mean_colour_of_whole_frames_is_stored_on_request(cache):
    """It is another pass, also over entries that are done already, and exact for integer frames."""
    frames = moving_face(4)
    loader, crop = Arrays({"one": frames}), FaceCrop(size=(24, 24))
    preprocess_all(loader, loader.recordings(""), crop, cache, 1)
    assert cache.entry("one").frame_trace is None
    preprocess_all(loader, loader.recordings(""), crop, cache, 1, frame_trace=True)
    expected = np.array(frames).reshape(4, -1, 3).mean(axis=1)
    np.testing.assert_allclose(cache.entry("one").frame_trace, expected, rtol=1e-14)
    before = dict(loader.videos)
    loader.videos = {"one": ["bug"]}
    assert preprocess_all(loader, loader.recordings(""), crop, cache, 1, frame_trace=True)["one"].state == "done"
    loader.videos = before
    (cache.path("one") / "frame_trace.npy").write_bytes(b"damaged")
    preprocess_all(loader, loader.recordings(""), crop, cache, 1, frame_trace=True)
    np.testing.assert_allclose(cache.entry("one").frame_trace, expected, rtol=1e-14)


def test_workers_import_no_torch():
    """All that a preprocessing worker imports leaves torch out: it would cost every worker seconds and memory."""
    code = (
        "import sys, dataset.prepare.recording, dataset.files.video, dataset.store.cache, registry\n"
        "from dataset.face import get_detector; get_detector('HC'); registry.DATASETS.names()\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_the_decoder_setting_reaches_a_loader(tmp_path, cache, decoder):
    """Both decoders give the same entry from a file."""
    path = write_video(tmp_path / "video.avi", moving_face(5), "mjpg")

    class One(Arrays):
        def read_video(self, recording):
            return iter_frames(path)

    crop = dataclasses.replace(FaceCrop(size=(24, 24)), decoder=decoder)
    loader = One({"one": []})
    preprocess_recording(loader, loader.recordings("")[0], crop, cache)
    entry = cache.entry("one")
    assert len(entry.faces) == 5
    x, y, w, h = entry.boxes[0]
    first = next(iter_frames(path, "pyav")).rgb((x, y, w, h))
    np.testing.assert_array_equal(entry.faces[0], cv2.resize(first, (24, 24), interpolation=cv2.INTER_AREA))


def test_memory_does_not_grow_with_the_video(monkeypatch, cache):
    """The writer keeps one block of faces, whatever the length."""
    monkeypatch.setattr(dataset.store.streams, "BLOCK", 10_000)
    with cache.write(Recording("one", "one", Path())) as entry:
        for index in range(500):
            entry.append(np.zeros((24, 24, 3), np.uint8), time=index / 30)
        assert entry._faces._block.nbytes <= 10_000 + 24 * 24 * 3
