"""What is kept of frames as they come: means of their colours with times, those of the last seconds."""

import math
from collections import deque

import cv2
import numpy as np

from dataset.clips.resampling import resampled

FASTEST = 240  # frames per second: what comes faster is kept for a shorter time
GAP = 1.0  # s between two frames after which the ones before say nothing
RECENT = 3.0  # s over which the frame rate is measured


def mean(pixels: np.ndarray) -> np.ndarray:
    """Mean colour (3,) of `pixels` (h, w, 3)."""
    return np.array(cv2.mean(pixels)[:3])


def cells(pixels: np.ndarray, grid: int) -> np.ndarray:
    """Mean colours (grid, grid, 3) float32 of the cells of `pixels` (h, w, 3) in any scale."""
    return cv2.resize(np.asarray(pixels, np.float32), (grid, grid), interpolation=cv2.INTER_AREA)


def require_later(time: float, last: float) -> None:
    """ValueError unless `time` (s) is a number and later than that of the `last` frame."""
    if not (math.isfinite(time) and time > last):
        raise ValueError(f"A frame at {time} s after one at {last} s: times must grow.")


class Rolling:
    """Values of one shape with growing times (s), those of the last `seconds`: memory does not grow."""

    def __init__(self, seconds: float):
        """Nothing is kept yet."""
        self._seconds = seconds
        self._kept: deque[tuple[float, np.ndarray]] = deque(maxlen=round(seconds * FASTEST))

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def breaks(self, time: float) -> bool:
        """Whether one of `time` comes so late that those before say nothing, or is the first."""
        return time - self.last > GAP

    def add(self, time: float, value: np.ndarray) -> None:
        """Keep `value` of `time`; what is older than the seconds goes, and everything where there is a gap."""
        if self.breaks(time):
            self.clear()
        self._kept.append((time, value))
        while self._kept[0][0] < time - self._seconds:
            self._kept.popleft()

    @property
    def last(self) -> float:
        """Time of the newest; minus infinity without any."""
        return self._kept[-1][0] if self._kept else -math.inf

    @property
    def seconds(self) -> float:
        """From the first that is kept to the last."""
        return self.last - self._kept[0][0] if self._kept else 0.0

    @property
    def fps(self) -> float:
        """How many come per second, by the last few seconds; NaN before there are some."""
        steps = np.diff([time for time, _ in self._kept if time >= self.last - RECENT])
        return 1 / float(np.median(steps)) if len(steps) else math.nan

    def latest(self, seconds: float = math.inf) -> tuple[np.ndarray, np.ndarray]:
        """Times (T,) and values (T, ...) of the last `seconds`."""
        kept = [one for one in self._kept if one[0] >= self.last - seconds]
        return np.array([time for time, _ in kept]), np.array([value for _, value in kept])

    def even(self, fs: float) -> tuple[np.ndarray, np.ndarray]:
        """All of them at the even times k / `fs`, the same ones whenever it is asked; linear between two frames."""
        own, values = self.latest()
        times = np.arange(math.ceil(own[0] * fs), math.floor(own[-1] * fs) + 1) / fs
        if not len(times):
            return times, values[:0]
        return times, resampled(values, np.interp(times, own, np.arange(len(own), dtype=float)))
