"""The rate of frames as they come, from a camera or a program, in bounded time and memory.

Of each frame the mean colour of the inner face is kept, for the last 30 s; for a network a few more, of the parts of
the face. The face is looked for once a second in a small copy of the frame, and an answer is worked out once a second,
never in the same call: what `push` takes does not grow with time. Where the region moves, the colours after it are
scaled so that they go on where the ones before ended: another part of the skin is brighter or darker, and a step is no
pulse.

What finds the face (`look`) and what is measured (`add`) may also come apart, from somebody who has the frames and is
told the region: the live page sends small pictures for the one and the region's own pixels for the other.
"""

import math
from collections import deque

import cv2
import numpy as np

from dataset.face import get_detector
from dataset.face.boxes import Box, clip_box, enlarge, iou, to_box
from dataset.face.follow import choose
from dataset.files.frames import as_frame, cut
from evaluation.consensus import Answer
from unsupervised_methods.live.advice import Look, advice, light
from unsupervised_methods.live.colours import SECONDS, Colours
from unsupervised_methods.live.rolling import GAP, require_later
from unsupervised_methods.live.voters import INNER, Band, Classical, Voter

LOOK = 1.0  # s between two looks for the face
WIDTH = 480  # pixels of the frame in which the face is looked for
MOST_LOOKS = 1000  # that are kept
STAYS = 0.5  # overlap (IoU) with the region before from which that is kept: each move costs more than being a bit off
FORGET = 5.0  # s without a face after which another one may be measured


class Session:
    """Frames in, the current answer out. `box` is the region (x, y, w, h) that is measured, None while there is none.

    `face` is the box of the face around it, `number` counts the regions there have been. `detector`: a name of
    CROP_FACE.BACKEND. `band`: Hz, as INFERENCE.HR_BAND. KeyError and ValueError for others. `voter`: who measures.
    """

    def __init__(self, detector: str = "HC", band: Band | tuple[()] = (), voter: Voter | None = None):
        """Nothing is looked at yet."""
        self._detector, self.voter = get_detector(detector), voter or Classical()
        self.colours = Colours(self.voter, band)
        self._looks: deque[Look] = deque(maxlen=MOST_LOOKS)
        self.number, self._shape, self._last, self._seen = 0, (0, 0), -math.inf, -math.inf
        self._forget(self._shape)

    def push(self, frame: np.ndarray, time: float) -> Answer | None:
        """Take a frame (H, W, 3) uint8 RGB of `time` in seconds; the current answer, None before 5 s with a face.

        ValueError for another kind of frame, and for a time that is not later than the one before.
        """
        frame = as_frame(frame).rgb()
        require_later(time, self._last)
        if time - self._last > GAP:
            self._forget(frame.shape[:2])
        looked = not self._looks or time - self._looks[-1].time >= LOOK or frame.shape[:2] != self._shape
        if looked:
            before, number, picture = self.box, self.number, _small(frame)
            self.look(picture, self.detect(picture), time, frame.shape[:2])
            if self._raw is not None and self.number > number:  # of this frame, both
                self._raw = self.voter.colours(cut(frame, before))
        self._last = time
        if self.box is None:
            return None
        return self._take(self.voter.colours(cut(frame, self.box)), time, self.number, judge=not looked)

    def detect(self, picture: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of the faces in `picture` (h, w, 3) uint8 RGB; takes long and changes nothing."""
        return np.asarray(self._detector.detect(picture), dtype=float).reshape(-1, 4)

    def look(self, picture: np.ndarray, boxes: np.ndarray, time: float, shape: tuple[int, int]) -> None:
        """Note the `boxes` of `picture` (h, w, 3) uint8 RGB, a copy in any size of a frame of `shape` (H, W)."""
        if shape != self._shape:
            self._forget(shape)
        scale = np.array([shape[1] / picture.shape[1], shape[0] / picture.shape[0]] * 2)
        face = choose(boxes * scale, "track", self._detector, self.face)
        if face is not None:
            self._seen, self.face = time, np.asarray(face, dtype=float)
            self._move(clip_box(enlarge(to_box(face), self.voter.box), shape))
        elif self.face is not None and time - self._seen > FORGET:
            self._forget(shape)
        inner = None if face is None else enlarge(to_box(face), INNER)  # whoever measures, hair is no advice
        inside = None if inner is None else cut(picture, _inside(inner, scale, picture.shape[:2]))
        self._looks.append(Look(time, None if face is None else to_box(face), *light(inside)))
        while self._looks[0].time < time - SECONDS:
            self._looks.popleft()

    def add(self, patch: np.ndarray, time: float, number: int) -> Answer | None:
        """Take the pixels `patch` (h, w, 3) uint8 RGB of region `number` at `time` (s); the answer, as `push` gives it.

        What is of a region that was given up since counts for nothing. ValueError as for `push`, and for a region that
        there was not yet.
        """
        require_later(time, self._last)
        if number > self.number:
            raise ValueError(f"Region {number} after {self.number} regions: there was none yet.")
        self._last = time
        if self.box is None or number < self._used:
            return None
        return self._take(self.voter.colours(patch), time, number, judge=True)

    def start_anew(self) -> None:
        """Forget everything, as after a clock that was set back."""
        self._last = -math.inf
        self._forget(self._shape)

    def wave(self, seconds: float = 6.0) -> tuple[np.ndarray, np.ndarray] | None:
        """Even times (L,) in s and the filtered wave (L,) of the last `seconds`; None while there is none."""
        return self.colours.wave(seconds)

    def advice(self) -> list[str]:
        """What to change, a sentence each, by how the last seconds looked."""
        return advice(list(self._looks), self.colours.kept.fps)

    def _take(self, colours: np.ndarray, time: float, number: int, judge: bool) -> Answer | None:
        """Keep the colours of a region; where it is another than before, it goes on where that one ended."""
        if number > self._used and self._raw is not None:
            self.colours.step(self._raw, colours)
        self._raw, self._used = colours, number
        self.colours.add(time, colours)
        if judge and self.colours.due():
            seen = float(np.mean([one.face is not None for one in self._looks]))
            self.colours.judge(seen, f"face box x {self.voter.box:g}")
        return self.colours.answer

    def _forget(self, shape: tuple[int, int]) -> None:
        """Start anew, with frames of `shape`."""
        self.box, self.face, self._shape = None, None, shape
        self._raw, self._used = None, self.number + 1
        self.colours.start_anew()
        self._looks.clear()

    def _move(self, box: Box) -> None:
        """Measure inside `box` from now on, unless that is nearly where it is measured already."""
        if self.box is not None and iou(_corners(self.box), _corners(box)[None])[0] >= STAYS:
            return
        self.box, self.number = box, self.number + 1


def _small(frame: np.ndarray) -> np.ndarray:
    """`frame` (H, W, 3), reduced where it is wider than needed to find a face."""
    scale = min(1.0, WIDTH / frame.shape[1])
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame


def _inside(box: Box, scale: np.ndarray, shape: tuple[int, int]) -> Box:
    """Where `box` of a frame lies in its copy of `shape`, which is smaller by `scale` (4,)."""
    x, y, w, h = to_box(np.asarray(box) / scale)
    return clip_box((x, y, max(w, 1), max(h, 1)), shape)


def _corners(box: Box) -> np.ndarray:
    x, y, w, h = box
    return np.array([x, y, x + w, y + h], dtype=float)
