"""Boxes that follow a face: optical flow, smoothing, lost faces, several faces, and what they leave as it was."""

import dataclasses

import cv2
import numpy as np
import pytest

from config import ConfigError, load_config
from dataset.clips.labels import align
from dataset.data_loader.base import Signal
from dataset.face import detect_many
from dataset.face.boxes import iou, nms
from dataset.face.crop import FaceCrop, FaceFinder
from dataset.face.flow import follow, moved_box, picture
from dataset.face.follow import FlowTrack, Track, choose, fill, follow_face, look_often, smooth
from dataset.files.frames import ArrayFrame, VideoError
from dataset.prepare.node import cache_settings, face_crop, make_loader
from dataset.prepare.recording import add_frame_trace, preprocess_recording
from dataset.store.cache import Cache, settings_hash
from tests.conftest import ROOT
from tests.test_preprocess import Arrays

GAP = [np.nan] * 4
A, B = [10.0, 20, 16, 16], [20.0, 24, 20, 20]
STILL = np.random.default_rng(1).integers(0, 256, (30, 40), dtype=np.uint8)
PATCH = cv2.resize(STILL, (160, 120), interpolation=cv2.INTER_CUBIC)  # something with corners
CLASSICAL = ROOT / "configs" / "infer_configs" / "UBFC-rPPG_UNSUPERVISED.yaml"
FOLLOW = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE"


class Seen:
    """A detector told what to find at each look."""

    def __init__(self, *answers, batch=1):
        """Boxes of each look, in order; the last one again and again."""
        self.answers, self.looks, self.batch, self.passes = list(answers), 0, batch, 0

    def detect(self, rgb):
        """The next answer."""
        self.looks += 1
        return np.array(self.answers[min(self.looks, len(self.answers)) - 1], float).reshape(-1, 4)

    def detect_many(self, frames):
        """The next answers."""
        self.passes += 1
        return [self.detect(frame) for frame in frames]


def frames_at(places, shape=(240, 320), scale=1.0):
    """Frames in which a patch 80 x 60 lies with its corner at each of `places` (x, y); None: an even frame."""
    patch = cv2.resize(PATCH, None, fx=scale / 2, fy=scale / 2, interpolation=cv2.INTER_AREA)
    frames = []
    for index, place in enumerate(places):
        frame = np.full((*shape, 3), 128, np.uint8)
        if place is not None:
            move = np.float32([[1, 0, place[0]], [0, 1, place[1]]])
            grey = cv2.warpAffine(patch, move, shape[::-1], borderValue=128)
            frame[:] = grey[..., None]
        frames.append(ArrayFrame(frame, index / 30))
    return frames


def track_of(find, frames, detector, frequency=10, several="auto", **options):
    """The track that `find` makes."""
    track = Track(30.0, **options)
    find(iter(frames), detector, frequency, several, track)
    return track


# --- Arithmetic ------------------------------------------------------------------------------------------------------


def test_overlap_is_shared_area_over_covered_area():
    """A third for two squares that share half of each; nothing for strangers."""
    one = np.array([0.0, 0, 2, 2])
    assert iou(one, np.array([[1.0, 0, 3, 2], [5, 5, 6, 6], [0, 0, 2, 2]])).tolist() == pytest.approx([1 / 3, 0, 1])


def test_one_of_several_boxes_about_a_face_is_kept():
    """The surest; those at the limit stay."""
    corners = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [0, 0, 2, 1.9]])
    assert nms(corners, np.array([0.5, 0.6, 0.9]), 0.34).tolist() == [2, 1]
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)


def test_gaps_keep_the_box_before_or_are_interpolated():
    """Before the first face its box counts, after the last one, too."""
    boxes = np.array([GAP, A, GAP, GAP, GAP, B, GAP])
    assert fill(boxes, interpolate=False).tolist() == [A, A, A, A, A, B, B]
    assert fill(boxes, interpolate=True)[:, 0].tolist() == [10, 10, 12.5, 15, 17.5, 20, 20]
    with pytest.raises(ValueError, match="no box"):
        fill(np.array([GAP]), True)


def test_smoothing_takes_out_single_errors_and_does_not_lag():
    """One wild box leaves no trace, even motion stays even, and a still face stays where it is."""
    ramp = np.linspace(0, 99, 100)
    boxes = np.stack([ramp, 2 * ramp, np.full(100, 50.0), np.full(100, 60.0)], axis=1)
    wild = boxes.copy()
    wild[40] = 500
    np.testing.assert_allclose(smooth(wild, 9)[10:90], boxes[10:90], atol=1.5)
    np.testing.assert_allclose(smooth(boxes, 9)[10:90], boxes[10:90], atol=1e-9)
    trembling = boxes + np.random.default_rng(0).normal(0, 2, boxes.shape)
    assert np.diff(smooth(trembling, 15)[:, 2]).std() < np.diff(trembling[:, 2]).std() / 5


def test_what_was_before_a_gap_does_not_move_what_comes_after():
    """Each run of frames is smoothed by itself, and the gap stays one; short runs work, too."""
    boxes = np.array([A] * 10 + [GAP] * 2 + [B] * 3)
    np.testing.assert_allclose(smooth(boxes, 9), boxes)


@pytest.mark.parametrize(
    ("several", "before", "wanted"),
    [("biggest", None, 1), ("auto", None, 1), ("track", None, 1), ("track", [100, 0, 10, 10], 2)],
)
def test_one_of_several_faces_is_chosen(several, before, wanted):
    """The biggest, or the one nearest to the box before; the surest only where the detector says so."""
    found = np.array([[0, 0, 10, 10], [50, 0, 30, 30], [104, 0, 12, 12]])
    before = None if before is None else np.array(before, float)
    assert choose(found, several, Seen(), before).tolist() == found[wanted].tolist()
    surest = Seen()
    surest.best_first = True
    assert choose(found, "auto", surest).tolist() == found[0].tolist()


def test_somebody_else_is_not_the_face_that_was_followed():
    """A face further away than the box is long is another one."""
    found = np.array([[100, 0, 10, 10]])
    assert choose(found, "track", Seen(), np.array([0.0, 0, 20, 20])) is None
    assert choose(np.zeros((0, 4)), "track", Seen()) is None


# --- Looks and flow --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
def test_frames_get_the_box_of_the_last_look(batch):
    """As with dynamic detection, whether looks are taken one by one or three at a time."""
    detector = Seen([A], [], [B], batch=batch)
    track = track_of(look_often, frames_at([None] * 7), detector, frequency=2)
    np.testing.assert_array_equal(track.boxes, [A, A, GAP, GAP, B, B, B])
    assert detector.looks == 4 and detector.passes == 4 // batch + (batch > 1)
    assert track.first == 0 and track.times[3] == 0.1 and track.several == 0


def test_frames_of_several_sizes_are_looked_at_one_by_one():
    """One pass needs one size."""
    detector = Seen([A], [B])
    boxes = detect_many(detector, [np.zeros((20, 30, 3), np.uint8), np.zeros((30, 20, 3), np.uint8)])
    assert [found.tolist() for found in boxes] == [[A], [B]] and detector.passes == 0


def test_a_video_without_times_is_paced_by_its_rate():
    """The frames' number stands in."""
    frames = [ArrayFrame(frame.array) for frame in frames_at([None] * 4)]
    track = track_of(look_often, frames, Seen([A]))
    assert track.times == [0, 1 / 30, 2 / 30, 3 / 30] and not track.timed


def test_flow_follows_what_moves():
    """A box goes with its pixels, within a pixel over 20 frames, and grows with them."""
    places = [(100 + 2 * step, 80 + step) for step in range(20)]
    track = track_of(follow_face, frames_at(places), Seen([[100, 80, 80, 60]]), frequency=100)
    np.testing.assert_allclose(np.array(track.boxes)[:, :2], places, atol=1.0)
    growing = [frames_at([(100, 80)], scale=1 + step / 100)[0] for step in range(11)]
    track = track_of(follow_face, growing, Seen([[100, 80, 80, 60]]), frequency=100)
    np.testing.assert_allclose(track.boxes[-1][2:], [88, 66], atol=2)


def test_a_large_frame_is_followed_in_a_small_picture():
    """The box is in pixels of the frame all the same."""
    frames = frames_at([(300, 300), (308, 304)], (960, 1280), scale=4.0)
    pictures = [picture(frame.rgb()) for frame in frames]
    assert pictures[0].shape == (240, 320)
    box = follow(*pictures, np.array([300.0, 300, 320, 240]), 4.0)
    np.testing.assert_allclose(box, [308, 304, 320, 240], atol=2)


def test_stray_points_do_not_move_the_box():
    """A third of the points may go anywhere."""
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 50, (30, 2))
    end = start + [3, -2]
    end[:8] = rng.uniform(0, 50, (8, 2))
    np.testing.assert_allclose(moved_box(np.array([0.0, 0, 50, 50]), start, end)[:2], [3, -2], atol=2)


def test_the_error_of_the_flow_is_spread_over_its_way():
    """Where a look finds the face 10 pixels beside the flow, nothing jumps by 10 pixels."""
    still = frames_at([(100, 80)] * 11)
    track = track_of(follow_face, still, Seen([[100, 80, 80, 60]], [[110, 80, 80, 60]]), frequency=10)
    np.testing.assert_allclose(np.array(track.boxes)[:, 0], 100 + np.arange(11), atol=0.5)


def test_another_face_is_a_jump_and_no_error_of_the_flow():
    """The boxes before it stay with the face that was followed."""
    still = frames_at([(20, 20)] * 11)
    track = track_of(follow_face, still, Seen([[20, 20, 80, 60]], [[220, 150, 90, 70]]), frequency=10)
    np.testing.assert_allclose(np.array(track.boxes)[:10, 0], 20, atol=0.5)
    assert track.boxes[10].tolist() == [220, 150, 90, 70]


def test_a_face_that_vanishes_is_lost_at_once_and_found_again():
    """The flow sees that nothing is left to follow; then looks come every five frames."""
    detector = Seen([[100, 80, 80, 60]], [], [[50, 60, 80, 60]])
    frames = frames_at([(100, 80)] * 12 + [None] * 5 + [(50, 60)] * 8)
    track = track_of(follow_face, frames, detector, frequency=12)
    assert np.flatnonzero(track.lost()).tolist() == [12, 13, 14, 15, 16]
    np.testing.assert_array_equal(track.boxes[17], [50, 60, 80, 60])


@pytest.mark.parametrize("comes_back", [True, False])
def test_the_flow_bridges_looks_that_fail_if_the_face_comes_back(comes_back):
    """A face turned aside is not lost; what is never seen again was lost when the first look missed it."""
    box = [100, 80, 80, 60]
    detector = Seen([box], [], [], [box] if comes_back else [])
    track = track_of(follow_face, frames_at([(100, 80)] * 60), detector, frequency=10)
    assert np.flatnonzero(track.lost()).tolist() == ([] if comes_back else list(range(10, 60)))


def test_frames_of_another_size_are_not_followed():
    """Nor are boxes without corners."""
    small, large = frames_at([(10, 10)])[0].rgb(), np.zeros((300, 320, 3), np.uint8)
    box = np.array([10.0, 10, 80, 60])
    assert follow(picture(small), picture(large), box, 1.0) is None
    assert follow(picture(large), picture(large), box, 1.0) is None


def test_memory_holds_one_picture():
    """The tracker keeps boxes, and of the frames only the last one's small picture."""
    tracker = FlowTrack(Seen([[100, 80, 80, 60]]), 10, "auto", Track(30.0))
    for frame in frames_at([(100, 80)] * 5):
        tracker.add(frame)
    arrays = [value for value in vars(tracker).values() if isinstance(value, np.ndarray)]
    assert sum(array.size for array in arrays) <= 320 * 240 + 4


# --- A whole recording -----------------------------------------------------------------------------------------------


def found(frames, detector, **options):
    """Boxes and times of all faces, and the finder."""
    crop = FaceCrop(size=(8, 8), large_box=False, dynamic=True, frequency=1, **options)
    finder = FaceFinder(crop, detector, 30.0)
    faces = list(finder.faces(lambda: iter(frames)))
    return [list(box) for _, box, _ in faces], [time for _, _, time in faces], finder


LOOKS = ([], [A], [], [], [B], [])


@pytest.mark.parametrize(
    ("lost", "boxes"),
    [("keep", [A, A, A, A, B, B]), ("interpolate", [A, A, [13, 21, 17, 17], [16, 22, 18, 18], B, B]), ("drop", [A, B])],
)
def test_what_becomes_of_frames_without_a_face(lost, boxes):
    """The box before stays, moves evenly, or the frames are left out; counts say so. The others keep their times."""
    options = {"lost": lost, "several": "track"}  # `keep` alone follows nothing
    got, times, finder = found(frames_at([None] * 6, (60, 80)), Seen(*LOOKS), **options)
    assert got == [[int(number) for number in box] for box in boxes]
    assert times == ([1 / 30, 4 / 30] if lost == "drop" else [index / 30 for index in range(6)])
    count = {"keep": "kept", "interpolate": "interpolated", "drop": "dropped"}[lost]
    assert finder.flags() == {"face_coverage": 0.3333, "first_face_s": 0.033, f"lost_frames_{count}": 4}


def test_whole_frames_stand_in_for_lost_faces():
    """NO_FACE: full_frame goes with boxes that follow, too."""
    got, _, finder = found(frames_at([None] * 6, (60, 80)), Seen(*LOOKS), several="track", no_face="full_frame")
    assert got == [[0, 0, 80, 60], A, [0, 0, 80, 60], [0, 0, 80, 60], B, [0, 0, 80, 60]]
    assert finder.flags() == {"face_coverage": 0.3333, "first_face_s": 0.033}


@pytest.mark.parametrize("track", ["", "flow"])
def test_a_face_has_to_come_within_five_seconds(track):
    """As without following; the rest of the video is not looked at. Neither is an empty one."""
    read = []

    def frames():
        for frame in frames_at([None] * 200, (60, 80)):
            read.append(frame)
            yield frame

    finder = FaceFinder(FaceCrop(dynamic=True, frequency=30, track=track, smooth=1.0), Seen([]), 30.0)
    with pytest.raises(VideoError, match="No face in the first 5 s"):
        next(finder.faces(frames))
    assert len(read) < 190
    with pytest.raises(VideoError, match="no frames"):
        next(finder.faces(lambda: iter(())))
    with pytest.raises(VideoError, match="No face in the first 5 s"):
        next(finder.faces(lambda: iter(frames_at([None] * 20))))


def test_labels_stay_with_the_frames_that_are_left(tmp_path, monkeypatch):
    """Signals without times get them when frames are dropped, and gaps on purpose are no fault of the camera."""
    frames = [frame.rgb() for frame in frames_at([None] * 40, (60, 80))]
    for index, frame in enumerate(frames):
        frame[:, :, 1] = index
    loader = Arrays({"one": frames}, {"one": {"ppg": Signal(np.arange(80.0), fs=60.0)}})
    monkeypatch.setattr(FaceCrop, "detector", lambda self: Seen(*[[A]] * 10, *[[]] * 20, [B]))
    cache = Cache(tmp_path, {})
    crop = FaceCrop(size=(8, 8), dynamic=True, frequency=1, lost="drop")
    preprocess_recording(loader, loader.recordings("")[0], crop, cache)
    entry = cache.entry("one")
    kept = [*range(10), *range(30, 40)]
    np.testing.assert_allclose(entry.times, np.array(kept) / 30)
    np.testing.assert_allclose(align(entry.signals["ppg"], entry.times, 20), np.interp(kept, [0, 39], [0, 79]))
    assert entry.flags == {"face_coverage": 0.5, "lost_frames_dropped": 20} and entry.fs == pytest.approx(30)
    add_frame_trace(loader, loader.recordings("")[0], crop, cache)
    np.testing.assert_allclose(cache.entry("one").frame_trace[:, 1], kept)


def test_dropping_needs_to_know_the_times(tmp_path, monkeypatch):
    """Without times and rate nobody can say what belongs to the frames that are left."""
    loader = Arrays({"one": []})
    loader.fs = None
    loader.read_video = lambda recording: [frame.rgb() for frame in frames_at([None] * 4, (60, 80))]
    monkeypatch.setattr(FaceCrop, "detector", lambda self: Seen([A], []))
    with pytest.raises(ValueError, match="LOST: drop needs to know"):
        preprocess_recording(
            loader,
            loader.recordings("")[0],
            FaceCrop(dynamic=True, frequency=1, lost="drop"),
            Cache(tmp_path, {}),
        )


def test_nothing_follows_unless_it_is_asked_to():
    """The video is then read once, as before."""
    assert not FaceCrop().follows and not FaceCrop(dynamic=True).follows
    for changes in ({"track": "flow"}, {"smooth": 0.5}, {"lost": "drop"}, {"several": "track"}):
        assert dataclasses.replace(FaceCrop(dynamic=True), **changes).follows
        assert not dataclasses.replace(FaceCrop(dynamic=True, median=True), **changes).follows


# --- Settings --------------------------------------------------------------------------------------------------------


def settings_of(*overrides):
    """The DATA node of a classical run."""
    changes = [f"{FOLLOW}.{change}" for change in overrides]
    return load_config(CLASSICAL, changes).UNSUPERVISED.DATA


def test_caches_made_before_stay_valid():
    """Settings that change nothing are no part of the hash; those that do are."""
    plain = settings_of()
    assert settings_hash(cache_settings(plain, make_loader(plain))) == "96e445a092"
    same = settings_of("TRACK=", "SMOOTH=0", "LOST=keep", "SEVERAL=auto")
    assert cache_settings(same, make_loader(same)) == cache_settings(plain, make_loader(plain))
    other = settings_of("TRACK=flow", "DETECTION.DO_DYNAMIC_DETECTION=True", "SMOOTH=0.5", "LOST=drop")
    crop = cache_settings(other, make_loader(other))["CROP_FACE"]
    assert (crop["TRACK"], crop["SMOOTH"], crop["LOST"], "SEVERAL" in crop) == ("flow", 0.5, "drop", False)
    wanted = face_crop(other)
    assert (wanted.track, wanted.smooth, wanted.lost, wanted.several) == ("flow", 0.5, "drop", "auto")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["TRACK=optical"], "TRACK is 'optical'.*Known: '', flow"),
        (["SMOOTH=-1"], "SMOOTH is -1.0, but must be at least 0"),
        (["LOST=skip"], "LOST is 'skip'.*keep, interpolate, drop"),
        (["SEVERAL=all"], "SEVERAL is 'all'"),
        (["TRACK=flow"], "TRACK is 'flow', but one box serves all frames. Set DETECTION.DO_DYNAMIC_DETECTION: True"),
        (["SEVERAL=track"], "one box serves all frames"),
        (
            ["SMOOTH=1", "DETECTION.DO_DYNAMIC_DETECTION=True", "DETECTION.USE_MEDIAN_FACE_BOX=True"],
            "USE_MEDIAN_FACE_BOX: False",
        ),
        (["LOST=drop", "DETECTION.DO_DYNAMIC_DETECTION=True", "NO_FACE=full_frame"], "no face is ever lost"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    """Before anything is read."""
    with pytest.raises(ConfigError, match=message):
        settings_of(*changes)


def test_dropped_frames_and_labels_by_index_exclude_each_other():
    """The n-th sample would belong to another frame."""
    drop = [f"{FOLLOW}.LOST=drop", f"{FOLLOW}.DETECTION.DO_DYNAMIC_DETECTION=True"]
    with pytest.raises(ConfigError, match="LABEL_ALIGN is 'index'"):
        load_config(CLASSICAL, [*drop, "UNSUPERVISED.DATA.LABEL_ALIGN=index"])
