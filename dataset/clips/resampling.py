"""Other rates: where the new frames of a video lie and what they look like, and signals without aliases. Pure NumPy."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy

from dataset.data_loader.base import Signal
from dataset.store.statistics import FloatCounter, PairCounter, Stats

BLOCK = 128  # frames read at once
LARGEST_RATIO = 10_000  # of the two whole numbers whose ratio stands for that of two rates
GAPS = 2  # an even grid may have so many times the samples that were recorded
EVEN = 0.05  # of a sample: times that lie closer to an even grid are taken for it
SPAN, SPARE = 4, 100  # a grid under frames has at most so many times as many and some more: the rest would be invented
FINEST = 32  # times the rate of the frames that a grid under them may have


# --- Videos ---------------------------------------------------------------------------------------------------------


def resample_grid(times: np.ndarray | None, count: int, fs: float, new_fs: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) of frames at `new_fs` from the first stored frame to the last, and where among them each lies.

    `times` (count,) of the stored frames; None: evenly at `fs`. Positions are fractions of frame numbers.
    """
    times = np.arange(count) / fs if times is None else np.maximum.accumulate(np.asarray(times, dtype=float))
    grid = times[0] + np.arange(int(math.floor(steps_on_grid(times, new_fs) + 1e-6)) + 1) / new_fs
    return grid, np.interp(grid, times, np.arange(count, dtype=float))


def steps_on_grid(times: np.ndarray, fs: float) -> float:
    """Steps of 1 / `fs` from the first of `times` (L,) s to the last; every even grid under frames asks here first.

    Times are claims of a file: ValueError where their span would ask for far more samples than were recorded.
    """
    if not np.isfinite(times).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(times))} of {len(times)} times are NaN or infinite.")
    steps = np.diff(times)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    span, finer = float(times[-1] - times[0]), fs * usual
    if finer > FINEST:
        raise ValueError(f"what comes at {1 / usual:.6g} Hz cannot be read at {fs:g} Hz, only at up to {FINEST} times.")
    if not 0 <= span * fs <= (SPAN * len(times) + SPARE) * max(1.0, finer):
        raise ValueError(
            f"{len(times)} times span {span:.6g} s, but most steps are of {usual:.3g} s: the clock jumps, or most of "
            f"the recording is missing. Repair its times, or leave the recording out."
        )
    return span * fs


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


def nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each of `wanted` the number of the nearest of the rising `times`, the earlier of two."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=int)
    return after - (wanted - times[after - 1] <= times[after] - wanted)


# --- Signals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """An even grid under a signal, and the way to another rate.

    start  time (s) of the first sample, None where the signal has no times
    own    samples per second of the grid, `samples` of them; `uneven` where the signal must be brought onto it first
    up, down  whole numbers whose ratio is new rate / own rate, to 1 in 10,000
    """

    start: float | None
    own: float
    samples: int
    uneven: bool = False
    up: int = 1
    down: int = 1

    @property
    def fs(self) -> float:
        """Samples per second afterwards, exactly: what places a clip, so that no error adds up along a recording."""
        return self.own * self.up / self.down

    @property
    def count(self) -> int:
        """Samples afterwards."""
        return -(-self.samples * self.up // self.down)

    def to(self, fs: float) -> "Grid":
        """The way to the rate `fs` (Hz)."""
        ratio = fs / self.own
        if not (math.isfinite(ratio) and 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO):
            raise ValueError(f"a signal of {self.own:g} Hz cannot be read at {fs:g} Hz.")
        part = Fraction(min(ratio, 1 / ratio)).limit_denominator(LARGEST_RATIO)
        up, down = (part.numerator, part.denominator) if ratio <= 1 else (part.denominator, part.numerator)
        return Grid(self.start, self.own, self.samples, self.uneven, up, down)


def even_grid(signal: Signal, seconds: float | None = None) -> Grid:
    """The even grid of a signal: by its rate, by its times, or spread over `seconds` (from first to last sample).

    Uneven times get a grid at their median rate. Raises ValueError for what no clip can be cut from: not one row, NaN,
    times that run backwards or jump so far that most of the grid would be invented, or no clock at all.
    """
    values = np.asarray(signal.values)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"it must be one row of samples, and has the shape {values.shape}.")
    if not np.isfinite(values).all():
        broken = np.flatnonzero(~np.isfinite(values))
        raise ValueError(f"{len(broken)} of {len(values)} samples are NaN or infinite, first sample {broken[0]}.")
    if signal.times is not None:
        return _timed_grid(np.asarray(signal.times, dtype=float), len(values))
    own = signal.fs or ((len(values) - 1) / seconds if seconds and len(values) > 1 else 0.0)
    if not (math.isfinite(own) and own > 0):
        raise ValueError("it has neither a rate nor times.")
    return Grid(None, float(own), len(values))


def _timed_grid(times: np.ndarray, count: int) -> Grid:
    if len(times) != count:
        raise ValueError(f"it has {count} samples but {len(times)} times.")
    steps = np.diff(times)
    if not np.isfinite(times).all() or (steps < 0).any() or count < 2 or times[-1] <= times[0]:
        raise ValueError("its times are NaN, run backwards or stand still.")
    span = float(times[-1] - times[0])
    mean = (count - 1) / span
    if np.abs((times - times[0]) * mean - np.arange(count)).max() <= EVEN:
        return Grid(float(times[0]), mean, count)
    middle = float(np.median(steps))
    own = 1 / middle if middle > 0 else mean
    if span * own > GAPS * count:
        raise ValueError(
            f"its {count} times span {span:.6g} s, but most steps are of {1 / own:.3g} s: its clock jumps, or most of "
            f"it is missing. Give the signal a rate instead of times, or leave the recording out."
        )
    return Grid(float(times[0]), own, int(math.floor(span * own + 1e-6)) + 1, uneven=True)


def at_rate(signal: Signal, grid: Grid) -> np.ndarray:
    """The samples of `signal` on its even grid at the new rate, (count,) float32."""
    values = np.asarray(signal.values, dtype=float)
    if grid.uneven:
        values = np.interp(grid.start + np.arange(grid.samples) / grid.own, signal.times, values)
    return change_rate(values, grid.up, grid.down)


def change_rate(values: np.ndarray, up: int, down: int) -> np.ndarray:
    """`values` (..., L) at up / down times their rate, float32 (..., ceil(L up / down)), without aliases or delay.

    A low-pass at the lower of the two Nyquist frequencies; both ends go on as they end.
    """
    if up == down:
        return np.asarray(values, dtype=np.float32)
    values = np.asarray(values, dtype=float)
    mean = values.mean(axis=-1, keepdims=True)  # a large one would show the ripple of the filter
    window = _lowpass(max(up, down))
    changed = scipy.signal.resample_poly(values - mean, up, down, axis=-1, window=window, padtype="edge")
    return (changed + mean).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _lowpass(factor: int) -> np.ndarray:
    """The filter for a change by `factor`: 16 samples of the slower rate to each side, 80 dB down beyond them."""
    return scipy.signal.firwin(32 * factor + 1, 1 / factor, window=("kaiser", 8.0))
