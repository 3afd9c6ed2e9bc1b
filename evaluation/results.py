"""What a recording leaves for the evaluation of a wave, one evaluated window, and the clocks of both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dataset.clips.resampling import steps_on_grid

UNLABELLED = ("no label", "no reference")  # notes of windows that lack nothing but the truth


@dataclass(frozen=True)
class RecordingResult:
    """What one recording leaves for the evaluation.

    prediction  (L,) predicted wave, one sample a frame
    label       (L,) or longer: the training label at the frames, transformed as `label_type` says; None without labels
    label_type  Raw | Standardized | DiffNormalized; the last has both waves integrated first
    reference   the recording's own pulse signal (values with fs, or with times in s, or neither: spread over the video)
    times       (L,) seconds of the frames; None: frame k is at k / fs
    clips       lengths of the clips that were joined
    frames      frames of the whole video, where the prediction stops earlier: spreads a reference without times
    info        what the data set says of the recording (skin, light, motion ...), for tables of subgroups
    sources     its signals that tell a rate by themselves: `ppg`, `ecg`, `hr` (bpm)
    sure        how sure the method is of the rate of its wave, 0 to 1; NaN where it does not tell
    """

    id: str
    subject: str
    fs: float
    prediction: np.ndarray
    label: np.ndarray | None = None
    label_type: str = "Raw"
    reference: Any = None
    times: np.ndarray | None = None
    clips: Sequence[int] = ()
    frames: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    sure: float = math.nan

    def __post_init__(self) -> None:
        """ValueError for a label type or rate that no evaluation can use."""
        if self.label_type not in ("Raw", "Standardized", "DiffNormalized"):
            raise ValueError(f"{self.id}: LABEL_TYPE is {self.label_type!r}; known: Raw, Standardized, DiffNormalized.")
        if not self.fs > 0:
            raise ValueError(f"{self.id}: FS is {self.fs!r}: set it to the video's frames per second.")

    @property
    def differential(self) -> bool:
        """Whether the waves are derivatives; the label's type decides for the prediction, too."""
        return self.label_type == "DiffNormalized"


@dataclass(frozen=True)
class Row:
    """One evaluated window. Rates in bpm, `snr` and `quality` in dB, NaN where undefined.

    `quality` is the SNR of the predicted peak itself: it needs no label. `note` says why a window gives no error;
    `info` is the recording's.
    """

    id: str
    subject: str
    window: int
    start_s: float
    hr_true: float = math.nan
    hr_pred: float = math.nan
    snr: float = math.nan
    macc: float = math.nan
    note: str = ""
    seconds: float = math.nan
    quality: float = math.nan
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether the window has both rates and enters the metrics."""
        return math.isfinite(self.hr_true) and math.isfinite(self.hr_pred)

    @property
    def error(self) -> float:
        """Predicted minus true rate, bpm."""
        return self.hr_pred - self.hr_true


def frame_times(result: RecordingResult) -> np.ndarray:
    """Seconds (L,) of the predicted samples."""
    length = len(result.prediction)
    if result.times is None:
        return np.arange(length) / float(result.fs)
    return np.asarray(result.times, dtype=float)[:length]


def reference_wave(result: RecordingResult) -> tuple[np.ndarray, np.ndarray]:
    """Times (s, on the frames' clock) and finite values of the reference; gaps stay gaps in time.

    A clock of its own (frames without times) is taken to start with the video.
    """
    values = np.asarray(result.reference.values, dtype=float)
    if result.reference.times is not None:
        times = np.asarray(result.reference.times, dtype=float)
        times = times - times[0] if result.times is None else times
    elif result.reference.fs:
        times = frame_times(result)[0] + np.arange(len(values)) / float(result.reference.fs)
    else:
        frames = result.frames or len(result.prediction)
        times = frame_times(result)[0] + np.linspace(0, (frames - 1) / _mean_rate(result), len(values))
    good = np.isfinite(values) & np.isfinite(times)
    times, first = np.unique(times[good], return_index=True)
    return times, values[good][first]


def _mean_rate(result: RecordingResult) -> float:
    """Mean frames per second over the recording."""
    times = frame_times(result)
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else float(result.fs)


def uniform(times: np.ndarray, values: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """`values` (L,) at irregular `times` (s) put on an even grid of `fs` (Hz); untouched where already even to 5 %.

    ValueError where the clock jumps, so that most of the grid would be invented.
    """
    grid = times[0] + np.arange(int(round(steps_on_grid(times, fs))) + 1) / fs
    if len(grid) == len(times) and np.abs(grid - times).max() <= 0.05 / fs:
        return times, values
    return grid, np.interp(grid, times, values)
