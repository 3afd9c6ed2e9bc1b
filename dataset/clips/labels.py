"""Labels at the frames: a signal at its own rate becomes one value per frame, then takes the shape training wants.

Pure NumPy. Signals stay at their native rate in the cache; alignment happens here, when a clip is read.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy

from dataset.data_loader.base import Signal
from evaluation.post_process import bandpass, detrend
from unsupervised_methods.methods.pos import overlap_add

KINDS = ("wave", "codes", "scalar")
ALIGNMENTS = ("auto", "timestamps", "index")
LABEL_TYPES = ("Raw", "DiffNormalized", "Standardized")
COVERAGE = 0.9  # share of the frames that must lie between the first and the last sample of a timed signal


@dataclass(frozen=True)
class Label:
    """What is learned: a key of the samples, made of the signal or target called `name`, or of `parts` as columns.

    kind      wave    (T,) at the clip's frames or samples, interpolated, transformed as LABEL_TYPE says
              codes   (T,) the nearest sample, as it is
              scalar  one number: the recording's target of that name; where there is none but a signal, the mean over
                      the clip of its samples nearest to the clip's (of a rate in `hr`, or of sampled pressures)
              With `parts`: (T, columns), scalar (columns,).
    required  a recording without it fails. Otherwise what is missing is NaN, of codes -1, which means: not coded

    ValueError for an unknown kind.
    """

    name: str
    kind: str = "wave"
    parts: tuple[str, ...] = ()
    required: bool = False

    def __post_init__(self):
        """Check the kind."""
        if self.kind not in KINDS:
            raise ValueError(f"Label {self.name!r} is of kind {self.kind!r}; known: {', '.join(KINDS)}.")

    @property
    def missing(self) -> float:
        """Value in place of what is not there."""
        return -1.0 if self.kind == "codes" else math.nan

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the signals or targets it is made of."""
        return self.parts or (self.name,)


def align(signal: Signal, frame_times: np.ndarray | None, count: int, mode: str = "auto") -> np.ndarray:
    """Value of `signal` at each of `count` frames, (count,) float64.

    `frame_times` (count,) in seconds, on the clock of `signal.times`. `mode`:
      timestamps  linear interpolation at the frames' times; a signal with only a rate starts at the first frame;
                  frames beyond its ends keep the end's value
      index       first sample on the first frame, last on the last, linear in between (rPPG-Toolbox's stretch)
      auto        timestamps where both the signal and the frames have them, otherwise index

    A signal of exactly `count` samples is returned as it is by `index`. One of another length is stretched, also
    where rPPG-Toolbox would not (UBFC-rPPG and SCAMPS: it cuts a longer label and fails on a shorter one); see
    `length_note`. Raises ValueError for NaN, an empty signal, times that run backwards or miss the video.
    """
    if mode not in ALIGNMENTS:
        raise ValueError(f"LABEL_ALIGN is {mode!r}; known: {', '.join(ALIGNMENTS)}.")
    values = _checked(signal, count)
    if by_timestamps(signal, frame_times, mode):
        return _interpolate(values, signal, frame_times)
    return stretch(values, count)


def pick(signal: Signal, frame_times: np.ndarray | None, count: int, mode: str = "auto") -> np.ndarray:
    """The sample of `signal` nearest to each of `count` frames, (count,) float64: for codes, which have no in-between.

    Places as by `align`: in time, or stretched over the video. NaN stays NaN. Raises ValueError for an empty signal or
    times that run backwards.
    """
    values = np.asarray(signal.values, dtype=float)
    numbers = align(_numbered(signal, len(_rows(values, count))), frame_times, count, mode)
    return values[np.rint(numbers).astype(int)]


def by_timestamps(signal: Signal, frame_times: np.ndarray | None, mode: str = "auto") -> bool:
    """Whether `align` uses times; ValueError when `mode` asks for times and there are none."""
    if mode == "timestamps" and (frame_times is None or (signal.times is None and not signal.fs)):
        lacking = "the video" if frame_times is None else "the signal"
        raise ValueError(f"LABEL_ALIGN is 'timestamps', but {lacking} has no times. Use 'auto' or 'index'.")
    return mode == "timestamps" or (mode == "auto" and signal.times is not None and frame_times is not None)


def stretch(values: np.ndarray, count: int) -> np.ndarray:
    """`values` (n,) linearly resampled to (count,) with both ends kept; a copy when n == count."""
    values = np.asarray(values, dtype=float)
    n = len(values)
    if n == count:
        return values.copy()
    return np.interp(np.linspace(1, n, count), np.arange(1, n + 1), values)


def length_note(signal: Signal, count: int, fs: float) -> str:
    """A sentence when stretching `signal` over `count` frames at `fs` Hz changes its speed by over 2 %, else ''.

    A signal without a rate is held to be one sample a frame when its length is within 20 % of the frames'.
    """
    n = len(signal.values)
    rate = signal.fs or (fs if 0.8 < n / max(count, 1) < 1.25 else None)
    if rate is None or not fs > 0:
        return ""
    seconds, video = n / rate, count / fs
    if abs(seconds - video) <= 0.02 * video:
        return ""
    return (
        f"label of {seconds:.2f} s ({n} samples) stretched over a video of {video:.2f} s ({count} frames): "
        f"rates read off it change by {100 * (seconds / video - 1):+.1f} %"
    )


def transform(label: np.ndarray, label_type: str) -> np.ndarray:
    """`label` (T,) of a whole recording as Raw, DiffNormalized or Standardized, (T,) float64.

    DiffNormalized: differences over their population standard deviation, one zero appended.
    Standardized: zero mean, unit population standard deviation. A constant label becomes zeros.
    """
    label = np.asarray(label, dtype=float)
    if label_type == "Raw":
        return label.copy()
    if label_type == "Standardized":
        return _over_std(label - label.mean() if len(label) else label, label)
    if label_type == "DiffNormalized":
        steps = np.diff(label)
        return np.append(_over_std(steps, steps), np.zeros(len(label) - len(steps)))
    raise ValueError(f"LABEL_TYPE is {label_type!r}; known: {', '.join(LABEL_TYPES)}.")


def pos_pseudo_label(trace: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T,) with unit envelope from the mean colour `trace` (T, 3) of whole frames at `fs` (Hz).

    POS, detrended, band-passed to 0.70-3.0 Hz (order 2) and divided by its Hilbert envelope: a label for data sets
    whose own pulse signal is poor. Raises ValueError for NaN, black frames or less than one window of 1.6 s.
    Wang et al., "Algorithmic principles of remote PPG", IEEE TBME 64(7), 2017.
    """
    trace = np.asarray(trace, dtype=float)
    if trace.ndim != 2 or trace.shape[1] != 3 or not np.isfinite(trace).all():
        raise ValueError(f"A pseudo label needs a finite mean colour (T, 3) of each frame; got shape {trace.shape}.")
    if len(trace) <= max(1.6 * fs, 15):
        raise ValueError(f"A pseudo label needs more than {max(1.6 * fs, 15):.0f} frames; got {len(trace)}.")
    wave = bandpass(detrend(overlap_add(trace, fs), 100), fs, (0.70, 3.0), order=2)
    envelope = np.abs(scipy.signal.hilbert(wave))
    return np.divide(wave, envelope, out=np.zeros_like(wave), where=envelope > 0)


def _rows(values: np.ndarray, count: int) -> np.ndarray:
    if values.ndim != 1 or not len(values):
        raise ValueError(f"A label must be one row of samples; this one has the shape {values.shape}.")
    if count < 1:
        raise ValueError("The video has no frames to align a label with.")
    return values


def _numbered(signal: Signal, length: int) -> Signal:
    """The numbers of the samples in place of their values."""
    return replace(signal, values=np.arange(length, dtype=float))


def _checked(signal: Signal, count: int) -> np.ndarray:
    values = _rows(np.asarray(signal.values, dtype=float), count)
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        raise ValueError(
            f"The label has {len(broken)} of {len(values)} samples that are NaN or infinite, first sample {broken[0]}. "
            f"Repair the file or exclude the recording."
        )
    return values


def _interpolate(values: np.ndarray, signal: Signal, frame_times: np.ndarray) -> np.ndarray:
    frames = np.asarray(frame_times, dtype=float)
    times = signal.times if signal.times is not None else frames[0] + np.arange(len(values)) / signal.fs
    times = np.asarray(times, dtype=float)
    if len(times) != len(values):
        raise ValueError(f"The label has {len(values)} samples but {len(times)} times.")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("The label's times run backwards or are NaN. Use LABEL_ALIGN: index, or repair the file.")
    inside = float(((frames >= times[0]) & (frames <= times[-1])).mean())
    if inside < COVERAGE:
        raise ValueError(
            f"The label (from {times[0]:.2f} s to {times[-1]:.2f} s) covers {100 * inside:.0f} % of the video "
            f"(from {frames[0]:.2f} s to {frames[-1]:.2f} s). If the two clocks differ, use LABEL_ALIGN: index."
        )
    return np.interp(frames, times, values)


def _over_std(values: np.ndarray, spread_of: np.ndarray) -> np.ndarray:
    std = spread_of.std() if len(spread_of) else 0.0
    return values / std if std > 0 else np.zeros_like(values)
