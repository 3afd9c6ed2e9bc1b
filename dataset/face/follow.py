"""A box for every frame of a video: looks now and then, the way between them, smoothing, and what to do without a face.

Only boxes are kept, never frames, so that memory stays flat whatever the length. The video is read once for the boxes
(and by the caller once more for the faces): what comes after a frame then counts as much as what came before it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy

from dataset.face import detect_many
from dataset.face.boxes import largest
from dataset.face.flow import follow, picture

LOOK_AGAIN = 5  # frames between looks while the face is lost
BRIDGE = 30  # frames for which the flow is believed although looks find nothing, such as a face turned aside
FORGET = 60  # frames after which a lost face may come back as any face


LOST = np.full(4, np.nan)  # the box of a frame without a face


class NoFaceInTimeError(LookupError):
    """No face in the seconds in which the first one has to come."""


@dataclass
class Track:
    """The boxes of one video as they are found: `boxes` (T, 4), NaN where the face was lost.

    `fs` (Hz) stands in where frames have no times. The first face has to come within `patience` seconds. `own` (4,):
    where the one face is that counts, of several; however long it is lost, no other one takes its place.
    """

    fs: float
    patience: float = np.inf
    own: np.ndarray | None = None
    boxes: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # seconds
    timed: bool = True  # whether all times are the frames' own
    shape: tuple[int, int] = (0, 0)  # (H, W) of the first frame
    first: int | None = None  # first frame with a face
    several: int = 0  # looks that found more than one face

    def add(self, box: np.ndarray, time: float | None) -> None:
        """The box of the next frame; NoFaceInTimeError when the first face is overdue."""
        self.timed &= time is not None
        time = len(self.boxes) / self.fs if time is None else time
        if self.first is None and not np.isnan(box[0]):
            self.first = len(self.boxes)
        if self.first is None and time > self.patience:
            raise NoFaceInTimeError(f"no face in the first {self.patience:g} s")
        self.boxes.append(box)
        self.times.append(time)

    def lost(self) -> np.ndarray:
        """Which frames have no box, (T,) bool."""
        return np.isnan(np.array(self.boxes)[:, 0])


def choose(
    found: np.ndarray, several: str, detector: Any = None, before: np.ndarray | None = None
) -> np.ndarray | None:
    """One of the boxes `found` (N, 4), or None.

    `several`: biggest; auto (the biggest, or the surest where the detector's users expect that); track (the nearest to
    the box `before`, and none of those further away than that box is long; the biggest when there is none before).
    """
    if not len(found):
        return None
    if several == "track" and before is not None:
        distances = distance(found, before)
        nearest = distances.argmin()
        return found[nearest] if distances[nearest] <= 1 else None
    if several == "auto" and getattr(detector, "best_first", False):
        return found[0]
    return np.array(largest(found))


def distance(found: np.ndarray, before: np.ndarray) -> np.ndarray:
    """From the middle of each of `found` (N, 4) to that of `before` (4,), in lengths of `before`: (N,)."""
    steps = found[:, :2] + found[:, 2:] / 2 - (before[:2] + before[2:] / 2)
    return np.linalg.norm(steps, axis=1) / before[2:].max()


def look_often(frames: Iterable[Any], detector: Any, frequency: int, several: str, track: Track) -> None:
    """A look every `frequency` frames, several in one pass where the detector can; the frames after it get its box."""
    before, seen, current = track.own, 0, LOST
    forget = max(FORGET, 2 * frequency) if track.own is None else np.inf
    for index, (time, found) in enumerate(looks_at(frames, detector, frequency, track)):
        if found is not None:
            track.several += len(found) > 1 and track.own is None
            box = choose(found, several, detector, before if index - seen <= forget else None)
            current = LOST if box is None else np.asarray(box, dtype=float)
            if box is not None:
                before, seen = current, index
        track.add(current, time)


def looks_at(
    frames: Iterable[Any], detector: Any, frequency: int, track: Track
) -> Iterator[tuple[float | None, np.ndarray | None]]:
    """(time, boxes found, or None where nobody looked) of each frame; only the pictures of one batch are held."""
    size = getattr(detector, "batch", 1)
    times: list[float | None] = []
    looked: dict[int, np.ndarray] = {}
    for index, frame in enumerate(frames):
        track.shape = track.shape if index else frame.shape
        if index % frequency == 0:
            if len(looked) == size:
                yield from _batch(times, looked, detector)
                times, looked = [], {}
            looked[len(times)] = np.array(frame.rgb())  # a copy: the next frame may use the same memory
        times.append(frame.time)
    yield from _batch(times, looked, detector)


def _batch(times: list, looked: dict[int, np.ndarray], detector: Any) -> Iterator[tuple[float | None, Any]]:
    found = dict(zip(looked, detect_many(detector, list(looked.values())), strict=True))
    yield from ((time, found.get(place)) for place, time in enumerate(times))


class FlowTrack:
    """Follows one face by optical flow between looks, and pulls the way straight when a look finds it elsewhere."""

    def __init__(self, detector: Any, frequency: int, several: str, track: Track):
        """A look every `frequency` frames, and every 5 while the face is lost."""
        self.track = track
        self._detector, self._frequency, self._several = detector, frequency, several
        self._current: np.ndarray | None = None  # box in the last frame
        self._grey = np.empty((0, 0), np.uint8)  # picture of the last frame
        self._seen: int | None = None  # last frame in which a look found the face
        self._looked = -frequency
        self._missed: int | None = None  # first frame since in which a look did not

    def add(self, frame: Any) -> None:
        """Take the next frame."""
        rgb, index = frame.rgb(), len(self.track.boxes)
        self.track.shape = self.track.shape if index else frame.shape
        grey = picture(rgb)
        if self._current is not None:
            self._current = follow(self._grey, grey, self._current, max(frame.shape) / max(grey.shape))
        self._grey = grey
        self.track.add(LOST if self._current is None else self._current, frame.time)
        searching = self._current is None or self._missed is not None
        if index - self._looked >= (min(LOOK_AGAIN, self._frequency) if searching else self._frequency):
            self._look(index, rgb)
        if self._current is None:
            self.close()

    def close(self) -> None:
        """The face is lost, or the video ends: frames since the first look that missed it are not believed."""
        if self._missed is not None:
            self.track.boxes[self._missed :] = [LOST] * (len(self.track.boxes) - self._missed)
        self._missed = self._current = None

    def _look(self, index: int, rgb: np.ndarray) -> None:
        self._looked = index
        found = self._detector.detect(rgb)
        self.track.several += len(found) > 1 and self.track.own is None
        near = self._before(index) if self._current is None else self._current
        box = choose(found, self._several, self._detector, near)
        if box is not None:
            self._found(index, np.asarray(box, dtype=float))
        elif self._current is not None:
            self._missed = index if self._missed is None else self._missed
            if index - self._missed >= BRIDGE:
                self.close()

    def _before(self, index: int) -> np.ndarray | None:
        """Where the lost face was last, unless that is long ago; before it was found, where it should be."""
        if self._seen is None:
            return self.track.own
        known = index - self._seen <= FORGET or self.track.own is not None
        return self.track.boxes[self._seen] if known else None

    def _found(self, index: int, box: np.ndarray) -> None:
        boxes = self.track.boxes
        self.track.first = index if self.track.first is None else self.track.first
        same = self._current is not None and distance(box[None], self._current)[0] <= 1
        if same and self._seen is not None:
            # The flow came all the way from the last look that found this face: spread its error over that way.
            steps = index - self._seen
            for step in range(1, steps):
                boxes[self._seen + step] = boxes[self._seen + step] + (box - self._current) * step / steps
        boxes[index] = self._current = box
        self._seen, self._missed = index, None


def follow_face(frames: Iterable[Any], detector: Any, frequency: int, several: str, track: Track) -> None:
    """A box for every frame: a look every `frequency` frames, optical flow between them."""
    tracker = FlowTrack(detector, frequency, several, track)
    for frame in frames:
        tracker.add(frame)
    tracker.close()


TRACKERS: dict[str, Callable[[Iterable[Any], Any, int, str, Track], None]] = {"": look_often, "flow": follow_face}


# --- Boxes of a whole video ------------------------------------------------------------------------------------------


def every_box(track: Track, seconds: float, interpolate: bool, whole_frames: bool = False) -> np.ndarray:
    """A box (T, 4) for every frame of `track`, smoothed over `seconds`; gaps are filled.

    `whole_frames`: the whole frame stands in for a face that was lost.
    """
    boxes = np.array(track.boxes)
    duration = track.times[-1] - track.times[0]
    if seconds > 0 and duration > 0:
        boxes = smooth(boxes, round(seconds * (len(boxes) - 1) / duration))
    if whole_frames:
        boxes[track.lost()] = (0, 0, track.shape[1], track.shape[0])
    return fill(boxes, interpolate)


def smooth(boxes: np.ndarray, window: int) -> np.ndarray:
    """`boxes` (T, 4) with each number replaced by the mean of the moving median, both over `window` frames around it.

    The median takes out single detections that are off, the mean what trembles; being centred, neither lags. Each run
    of frames with a face is smoothed by itself: what was before a gap says nothing about what comes after it.
    """
    smoothed = np.array(boxes, dtype=float)
    for first, end in _runs(~np.isnan(smoothed[:, 0])):
        width = min(window, end - first) // 2 * 2 + 1
        part = scipy.ndimage.median_filter(smoothed[first:end], size=(width, 1), mode="nearest")
        smoothed[first:end] = scipy.ndimage.uniform_filter1d(part, width, axis=0, mode="nearest")
    return smoothed


def fill(boxes: np.ndarray, interpolate: bool) -> np.ndarray:
    """`boxes` (T, 4) without gaps: the box before a gap stays, or moves evenly to the one after it.

    Before the first face its box counts. ValueError when there is none at all.
    """
    there = np.flatnonzero(~np.isnan(boxes[:, 0]))
    if not len(there):
        raise ValueError("no box in any frame")
    frames = np.arange(len(boxes))
    if interpolate:
        return np.stack([np.interp(frames, there, column[there]) for column in boxes.T], axis=1)
    last = np.searchsorted(there, frames, side="right") - 1
    return np.array(boxes[there[np.maximum(last, 0)]])


def _runs(there: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of True in `there` (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
