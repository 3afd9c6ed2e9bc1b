"""The true rate of a window by choice: spectrum or beats of a pulse wave, beats of an ECG, the data set's own column.

Two of them never agree wholly. How far they are apart is the error floor of the label: no method can be shown to be
better than that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dataset.signals import PULSE_WAVE
from evaluation.beats import Beats, find_beats, likeness
from evaluation.ecg import r_peaks
from evaluation.path import follow
from evaluation.post_process import in_band
from evaluation.presets import AUTO, SOURCES, Preset
from evaluation.results import RecordingResult, reference_wave
from evaluation.rhythm import between_beats

OF = {"ppg spectrum": PULSE_WAVE, "ppg beats": PULSE_WAVE, "ecg beats": "ecg", "rate column": "hr"}  # source -> signal
COVERED = 0.8  # share of a window that beats or readings have to cover
LONGEST_STEP = 3.0  # s between two readings of a rate; a longer gap is not covered
AROUND = (-0.25, 0.4)  # s about an R peak that are compared: P, QRS and T
ENOUGH = 125.0  # Hz of a pulse wave whose beats are sought


def sources_of(signals: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a recording's signals that tell a rate."""
    return {name: signals[name] for name in dict.fromkeys(OF.values()) if signals.get(name) is not None}


def available(sources: Mapping[str, Any]) -> list[str]:
    """The ways to a true rate that these signals allow."""
    return [name for name, signal in OF.items() if signal in sources]


@dataclass(frozen=True)
class Readings:
    """True rates of a recording: `rates` (N,) bpm, each over `spans` (N,) s that end at `times` (N,) s."""

    times: np.ndarray
    rates: np.ndarray
    spans: np.ndarray

    def during(self, start: float, stop: float) -> tuple[float, str]:
        """Rate (bpm) between `start` and `stop` (s), and why there is none ("": there is).

        Readings count by the time they stand for, so that a rate of beats is the number of beats over their time.
        """
        inside = (self.times <= stop + 1e-9) & (self.times - self.spans >= start - 1e-9)
        spans = self.spans[inside]
        covered = spans.sum() / (stop - start) if stop > start else 0.0
        longest = float(spans.max()) if len(spans) else 0.0
        if covered + 2 * min(longest, 1.0) / max(stop - start, 1e-9) < COVERED:  # the beats at both ends are cut
            return math.nan, f"covers {covered:.0%} of the window"
        return 60.0 * float((spans * self.rates[inside] / 60.0).sum() / spans.sum()), ""


def readings(result: RecordingResult, source: str, band: tuple[float, float]) -> Readings:
    """All readings of `source` in a recording; ValueError where its signal cannot be read."""
    times, values = reference_wave(replace(result, reference=result.sources[OF[source]]))
    if source == "rate column":
        return _of_column(times, values)
    if len(times) < 2:
        return Readings(*(np.zeros(0) for _ in range(3)))
    grid, wave, fs = _even(times, values, ENOUGH if source == "ppg beats" else math.inf)
    beats = _pulse_beats(wave, fs, band) if source == "ppg beats" else _r_beats(wave, fs)
    intervals, seen = between_beats(beats)
    return Readings(grid[0] + beats.times[1:][seen], 60.0 / intervals[seen], intervals[seen])


def _of_column(times: np.ndarray, rates: np.ndarray) -> Readings:
    """The rates as they were written down; what is no rate is none."""
    good = np.isfinite(rates) & (rates > 0)
    times, rates = times[good], rates[good]
    spans = np.diff(times, prepend=times[:1])
    kept = (spans > 0) & (spans <= LONGEST_STEP)
    return Readings(times[kept], rates[kept], spans[kept])


def _even(times: np.ndarray, values: np.ndarray, highest: float) -> tuple[np.ndarray, np.ndarray, float]:
    """A wave on an even grid at its own rate, at most `highest` (Hz)."""
    fs = min(1.0 / float(np.median(np.diff(times))), highest)
    grid = times[0] + np.arange(int((times[-1] - times[0]) * fs) + 1) / fs
    return grid, np.interp(grid, times, values), fs


def _pulse_beats(wave: np.ndarray, fs: float, band: tuple[float, float]) -> Beats:
    return find_beats(wave, fs, follow(in_band(wave, fs, band), fs, band))


def _r_beats(ecg: np.ndarray, fs: float) -> Beats:
    places = r_peaks(ecg, fs)
    around = np.arange(round(AROUND[0] * fs), round(AROUND[1] * fs))
    shapes = ecg[np.clip(places[:, None] + around, 0, len(ecg) - 1)]
    none = np.zeros(len(places))
    return Beats(places / fs, none, none, likeness(shapes))


class Truth:
    """The true rates of one recording by the source of a preset; the signal is read once, however many windows."""

    def __init__(self, result: RecordingResult, preset: Preset):
        """`preset.source` is none of the spectra."""
        self.problem, self._readings = "", None
        if OF[preset.source] not in result.sources:
            self.problem = f"has no {OF[preset.source]!r} ({preset.source})"
            return
        try:
            self._readings = readings(result, preset.source, preset.band)
        except ValueError as error:
            self.problem = f"cannot be read: {error}"

    def during(self, start: float, stop: float) -> tuple[float, str]:
        """Rate (bpm) between two times (s) on the frames' clock, and why there is none."""
        return (math.nan, self.problem) if self._readings is None else self._readings.during(start, stop)


def chosen(result: RecordingResult, preset: Preset) -> Truth | None:
    """The truth that is not the reference wave's own spectrum; None where that is judged by."""
    own = preset.source == AUTO or (preset.source == "ppg spectrum" and PULSE_WAVE in result.sources)
    return None if own or preset.reference != "native" or preset.unit != "bpm" else Truth(result, preset)


@dataclass(frozen=True)
class Floor:
    """How far two true rates of the same windows are apart: mean absolute difference and bias (second - first), bpm."""

    first: str
    second: str
    mae: float
    bias: float
    n: int
    recordings: int

    @property
    def words(self) -> str:
        """One sentence."""
        return (
            f"Error floor of the label: {self.first} and {self.second} differ by {self.mae:.2f} bpm on average "
            f"(bias {self.bias:+.2f}, n = {self.n} windows of {self.recordings} recordings)."
        )


def floor_of(first: str, second: str, rates: Sequence[tuple[str, float, float]]) -> Floor | None:
    """The floor of (recording, first rate, second rate) of windows; None without one that has both."""
    known = [(id, a, b) for id, a, b in rates if math.isfinite(a) and math.isfinite(b)]
    if not known:
        return None
    differences = np.array([b - a for _, a, b in known])
    ids = {id for id, _, _ in known}
    return Floor(
        first, second, float(np.abs(differences).mean()), float(differences.mean()), len(known), len(ids)
    )  # fmt: skip


def check_source(name: str) -> None:
    """ValueError for a source that is none."""
    if name not in SOURCES:
        raise ValueError(f"INFERENCE.REFERENCE is {name!r}; known: {', '.join(SOURCES)}.")
