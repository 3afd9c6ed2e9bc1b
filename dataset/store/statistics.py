"""The three numbers that make a normalised clip equal to a normalised recording, gathered while frames pass by.

Pixels have 256 values, so pairs of values in the same place of two frames in a row have 65,536: counting the pairs is
exact, needs no float copy of a video, and gives the same bits on every machine.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LEVELS = 256
EXACT = 1 << 24  # OpenCV counts in float32, exact up to here


@dataclass(frozen=True)
class Stats:
    """Of a whole recording: mean and std of all pixel values, std of the relative differences of frames in a row.

    All population values over frames, pixels and channels. 0 where there is nothing to measure.
    """

    mean: float
    std: float
    diff_std: float


class PairCounter:
    """Counts pairs of pixel values in frames that follow each other, and single values."""

    def __init__(self):
        """Start from nothing."""
        self._pairs = np.zeros((LEVELS, LEVELS), np.int64)
        self._values = np.zeros(LEVELS, np.int64)  # of frames that are the first of no pair

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Enter the pairs of two uint8 arrays of one shape, such as frames 0..n-1 and 1..n of a block."""
        before, after = before.reshape(-1), after.reshape(-1)
        for start in range(0, len(before), EXACT):
            pair = [part[start : start + EXACT].reshape(-1, 1) for part in (before, after)]
            counts = cv2.calcHist(pair, [0, 1], None, [LEVELS, LEVELS], [0, LEVELS, 0, LEVELS])
            self._pairs += counts.astype(np.int64)

    def add_last(self, frame: np.ndarray) -> None:
        """Enter the recording's last frame, which no frame follows."""
        self._values += np.bincount(frame.reshape(-1), minlength=LEVELS)

    def stats(self) -> Stats:
        """The statistics of everything entered."""
        values = self._values + self._pairs.sum(axis=1)
        mean, std = _moments(np.arange(LEVELS, dtype=float), values)
        _, diff_std = _moments(RELATIVE, self._pairs)
        return Stats(mean, std, diff_std)


class FloatCounter:
    """As `PairCounter`, for floats, which cannot be counted: their sums and squares are added up in float64."""

    def __init__(self):
        """Start from nothing."""
        self._values = np.zeros(3)  # count, sum, sum of squares
        self._differences = np.zeros(3)

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Enter the pairs of two arrays of one shape: frames, or blocks of them, that follow each other."""
        before, after = before.astype(np.float64), after.astype(np.float64)
        difference = ((after - before) / (after + before + 1e-7)).astype(np.float32).astype(np.float64)
        self._values += _sums(before)
        self._differences += _sums(difference)

    def add_last(self, frame: np.ndarray) -> None:
        """Enter the recording's last frame, which no frame follows."""
        self._values += _sums(frame.astype(np.float64))

    def stats(self) -> Stats:
        """The statistics of everything entered."""
        mean, std = _of_sums(self._values)
        return Stats(mean, std, _of_sums(self._differences)[1])


def _sums(values: np.ndarray) -> np.ndarray:
    return np.array([values.size, values.sum(), np.square(values).sum()])


def _of_sums(sums: np.ndarray) -> tuple[float, float]:
    count, total, squares = sums.tolist()
    if not count:
        return 0.0, 0.0
    mean = total / count
    return mean, float(np.sqrt(max(squares / count - mean * mean, 0.0)))


def relative_differences() -> np.ndarray:
    """(after - before) / (after + before + 1e-7) for every pair, rounded to float32 as rPPG-Toolbox stores it."""
    before, after = np.meshgrid(np.arange(LEVELS, dtype=float), np.arange(LEVELS, dtype=float), indexing="ij")
    return ((after - before) / (after + before + 1e-7)).astype(np.float32).astype(float)


RELATIVE = relative_differences()


def _moments(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    total = int(counts.sum())
    if not total:
        return 0.0, 0.0
    mean = float((values * counts).sum() / total)
    return mean, float(np.sqrt((np.square(values - mean) * counts).sum() / total))
