"""The rate of frames as they come, from a camera or a program, in bounded time and memory.

Of each frame the mean colour of the inner face is kept, for the last 30 s. The face is looked for once a second in a
small copy of the frame, and an answer is worked out once a second, never in the same call: what `push` takes does not
grow with time. Where the region moves, the colours after it are scaled so that they go on where the ones before ended:
another part of the skin is brighter or darker, and a step is no pulse.
"""

import math
from collections import deque
from dataclasses import replace

import cv2
import numpy as np

from dataset.face import get_detector
from dataset.face.boxes import Box, clip_box, enlarge, iou, to_box
from dataset.face.follow import choose
from dataset.files.frames import as_frame
from evaluation.consensus import Answer
from evaluation.presets import preset
from evaluation.settings import Settings
from unsupervised_methods.door import answer_of
from unsupervised_methods.measure import Sample

SECONDS = 30.0  # of colours that are kept
MOST = 7200  # colours that are kept: 30 s at 240 frames per second
LOOK, ANSWER = 1.0, 1.0  # s between two looks for the face, and between two answers
WIDTH = 480  # pixels of the frame in which the face is looked for
INNER = 0.7  # of the face box, as for videos
STAYS = 0.5  # overlap (IoU) with the region before from which that is kept: each move costs more than being a bit off
FORGET = 5.0  # s without a face after which another one may be measured
GAP = 1.0  # s between two frames after which the colours before say nothing


class Session:
    """Frames in, the current answer out. `box` is the region (x, y, w, h) that is measured, None while there is none.

    `detector`: a name of CROP_FACE.BACKEND. `band`: Hz, as INFERENCE.HR_BAND. KeyError and ValueError for others.
    """

    def __init__(self, detector: str = "HC", band: tuple[float, float] | tuple[()] = ()):
        """Nothing is looked at yet."""
        self._detector, self.box, self._face = get_detector(detector), None, None
        exact = preset("exact", band)
        self._how = Settings([], "FFT", None, exact, exact, 0.0, 0)
        self._colours: deque[tuple[float, np.ndarray]] = deque(maxlen=MOST)
        self._looks: deque[tuple[float, bool]] = deque(maxlen=MOST)
        self._gain, self._shape = np.ones(3), (0, 0)
        self._last, self._seen, self._answered = -math.inf, -math.inf, -math.inf
        self._answer: Answer | None = None

    def push(self, frame: np.ndarray, time: float) -> Answer | None:
        """Take a frame (H, W, 3) uint8 RGB of `time` in seconds; the current answer, None before 5 s with a face.

        ValueError for another kind of frame, and for a time that is not later than the one before.
        """
        frame = as_frame(frame).rgb()
        if not time > self._last or not math.isfinite(time):
            raise ValueError(f"A frame at {time} s after one at {self._last} s: times must grow.")
        if time - self._last > GAP or frame.shape[:2] != self._shape:
            self._forget(frame.shape[:2])
        self._last = time
        looked = not self._looks or time - self._looks[-1][0] >= LOOK
        if looked:
            self._look(frame, time)
        if self.box is None:
            return None
        self._colours.append((time, self._gain * _colour(frame, self.box)))
        for kept in (self._colours, self._looks):
            while kept[0][0] < time - SECONDS:
                kept.popleft()
        if not looked and time - self._answered >= ANSWER:
            self._judge(time)
        return self._answer

    def _forget(self, shape: tuple[int, int]) -> None:
        """Start anew, with frames of `shape`."""
        self.box, self._face, self._answer, self._gain, self._shape = None, None, None, np.ones(3), shape
        self._colours.clear()
        self._looks.clear()

    def _look(self, frame: np.ndarray, time: float) -> None:
        """Look for the face; one that is lost for long is forgotten."""
        scale = min(1.0, WIDTH / frame.shape[1])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        found = np.asarray(self._detector.detect(small), dtype=float) / scale
        face = choose(found, "track", self._detector, self._face)
        if face is not None:
            self._seen, self._face = time, np.asarray(face, dtype=float)
            self._move(frame, clip_box(enlarge(to_box(face), INNER), frame.shape[:2]))
        elif self._face is not None and time - self._seen > FORGET:
            self._forget(frame.shape[:2])
        self._looks.append((time, face is not None))

    def _move(self, frame: np.ndarray, box: Box) -> None:
        """Measure inside `box` from now on, unless that is nearly where it is measured already."""
        before = self.box
        if before is not None and iou(_corners(before), _corners(box)[None])[0] >= STAYS:
            return
        if before is not None:
            self._gain = self._gain * _colour(frame, before) / np.maximum(_colour(frame, box), 1.0)
        self.box = box

    def _judge(self, time: float) -> None:
        """Work out the answer of the colours that are kept."""
        times = np.array([at for at, _ in self._colours])
        if times[-1] - times[0] < self._how.exact.min_seconds:
            return
        self._answered = time
        fs = 1 / float(np.median(np.diff(times)))
        colours = np.array([colour for _, colour in self._colours])
        seen = float(np.mean([there for _, there in self._looks]))
        sample = Sample("live", "live", colours, fs, times - times[0], coverage=seen)
        self._answer = replace(answer_of(sample, self._how), region=f"face box x {INNER:g}")


def _colour(frame: np.ndarray, box: Box) -> np.ndarray:
    """Mean RGB (3,) of `frame` (H, W, 3) inside `box`."""
    x, y, w, h = box
    return np.array(cv2.mean(frame[y : y + h, x : x + w])[:3])


def _corners(box: Box) -> np.ndarray:
    x, y, w, h = box
    return np.array([x, y, x + w, y + h], dtype=float)
