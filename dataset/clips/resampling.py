"""Videos at another frame rate: where the new frames lie, what they look like, and their statistics. Pure NumPy."""

import math
from collections.abc import Callable

import numpy as np

from dataset.store.statistics import FloatCounter, PairCounter, Stats

BLOCK = 128  # frames read at once


def resample_grid(times: np.ndarray | None, count: int, fs: float, new_fs: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) of frames at `new_fs` from the first stored frame to the last, and where among them each lies.

    `times` (count,) of the stored frames; None: evenly at `fs`. Positions are fractions of frame numbers.
    """
    times = np.arange(count) / fs if times is None else np.maximum.accumulate(np.asarray(times, dtype=float))
    new_count = int(math.floor((times[-1] - times[0]) * new_fs + 1e-6)) + 1
    grid = times[0] + np.arange(new_count) / new_fs
    return grid, np.interp(grid, times, np.arange(count, dtype=float))


def resampled(frames: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Frames between frames: linear in time, in the dtype of `frames` (T, ...), one per rising position."""
    first, last = int(positions[0]), min(int(math.floor(positions[-1])) + 1, len(frames) - 1)
    block = np.asarray(frames[first : last + 1])
    low = np.floor(positions).astype(int) - first
    high = np.minimum(low + 1, len(block) - 1)
    share = (positions - np.floor(positions)).astype(np.float32).reshape(-1, *[1] * (block.ndim - 1))
    mixed = block[low] * (1 - share) + block[high] * share
    return (np.rint(mixed) if np.issubdtype(block.dtype, np.integer) else mixed).astype(block.dtype, copy=False)


def measure(read: Callable[[int, int], np.ndarray], count: int) -> Stats:
    """Statistics of `count` frames, uint8 or floats, that `read(start, stop)` gives in blocks, never all at once."""
    counter = FloatCounter() if count and read(0, 1).dtype.kind == "f" else PairCounter()
    for start in range(0, count, BLOCK):
        frames = read(start, min(start + BLOCK + 1, count))  # one more: the last frame of a block has a next one, too
        if len(frames) > 1:
            counter.add(frames[:-1], frames[1:])
    if count:
        counter.add_last(read(count - 1, count))
    return counter.stats()
