"""What a heart did while a clip was filmed: its beats, read off the recording's own pulse wave or ECG.

A short description of a heart: the mean interval between beats (ms) and its coefficient of variation.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.clips import labels
from dataset.clips.references import pulse_reference
from dataset.clips.resampling import resample_grid
from evaluation.beats import find_beats
from evaluation.path import follow
from evaluation.post_process import in_band

BAND = (0.55, 3.5)  # Hz in which the reference is followed
RATES = (35.0, 200.0)  # bpm that a heart can have
FEWEST = 3  # beats, for two intervals
NAMES = ("mean interval (ms)", "coefficient of variation")


@dataclass(frozen=True)
class Heart:
    """The description of a heart over some seconds: `interval` (ms, mean), `variation` (std / mean), `beats`."""

    interval: float = math.nan
    variation: float = math.nan
    beats: int = 0

    @property
    def rate(self) -> float:
        """Beats per minute."""
        return 60_000.0 / self.interval

    @property
    def features(self) -> np.ndarray:
        """(2,) as NAMES say."""
        return np.array([self.interval, self.variation], dtype=np.float32)

    @property
    def problem(self) -> str:
        """Why it describes nothing; "" where it does."""
        if self.beats < FEWEST:
            return f"{self.beats} beats, {FEWEST} are needed"
        if not RATES[0] <= self.rate <= RATES[1]:
            return f"a rate of {self.rate:.0f} bpm, outside {RATES[0]:g}-{RATES[1]:g}"
        return ""


def heart_of(beats: np.ndarray, speed: float = 1.0) -> Heart:
    """The heart whose beats (N,) came at these seconds, were it `speed` times as fast."""
    intervals = 1000.0 * np.diff(np.asarray(beats, dtype=float)) / speed
    if not len(intervals):
        return Heart(beats=len(beats))
    mean = float(intervals.mean())
    return Heart(mean, float(intervals.std() / mean), len(beats))


def heart_at(rate: float) -> Heart:
    """A heart of which nothing is known but its rate (bpm); ValueError for one that no heart has."""
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"A heart rate of {rate:g} bpm: give one from {RATES[0]:g} to {RATES[1]:g}.")
    return Heart(60_000.0 / rate, math.nan, FEWEST)


def heart_of_intervals(intervals: np.ndarray) -> Heart:
    """The heart with these intervals (N,) in ms; ValueError for fewer than two, and for impossible ones."""
    intervals = np.asarray(intervals, dtype=float).ravel()
    if len(intervals) < FEWEST - 1:
        raise ValueError(f"{len(intervals)} intervals between beats: {FEWEST - 1} are needed, {FEWEST} beats.")
    if not (np.isfinite(intervals).all() and (intervals > 0).all()):
        raise ValueError("Intervals between beats must be numbers above 0 (ms).")
    found = heart_of(np.concatenate([[0.0], np.cumsum(intervals)]) / 1000.0)
    if found.problem:
        raise ValueError(f"The intervals tell of {found.problem}. They are read as milliseconds.")
    return found


def beats_in(entry: Any, fs: float, count: int, align: str = "auto") -> np.ndarray:
    """Places (N,) of a recording's beats in frames, `count` of them at `fs` (Hz), as its clips are read.

    ValueError for a recording without pulse wave and ECG, or with one that cannot be laid along the frames.
    """
    signal = pulse_reference(entry.signals)
    if signal is None:
        raise ValueError("it has neither a pulse wave nor an ECG, so nothing is known of its heart.")
    times = entry.times
    if entry.faces is not None and len(entry.faces) != count:
        times = resample_grid(times, len(entry.faces), float(entry.fs), fs)[0]
    wave = labels.align(signal, times, count, mode=align)
    if np.ptp(wave) == 0:
        return np.zeros(0)
    return find_beats(wave, fs, follow(in_band(wave, fs, BAND), fs, BAND)).times * fs
