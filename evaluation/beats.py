"""Beats of a pulse wave: when each comes, how strong it is, and how much it looks like the others.

A beat is placed where the wave rises fastest: that point moves least with the wave's shape and with noise (Peralta et
al., "Optimal fiducial points for pulse rate variability analysis from forehead and finger PPG signals", Physiological
Measurement 40(2), 2019). Which way up the wave is does not matter: blood arrives faster than it leaves. Systolic peaks
as NeuroKit2 finds them are the other choice.
"""

from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import scipy.signal

from evaluation import neurokit
from evaluation.path import Course
from evaluation.post_process import in_band
from evaluation.presets import OWN

LOWEST = 0.5  # Hz that the wave keeps
HARMONICS = 2.5  # times the rate that the wave keeps: the first harmonic gives a beat its shape, above is mostly noise
FINE = 240.0  # Hz at least on which the steepest rise is sought
NEAREST = 0.6  # of a period between two beats
WEAKEST = 0.25  # of the usual rise
ROUNDING = 1e-9  # per s: slopes of a wave of height 1 that only rounding made
ALIKE = 0.8  # correlation with the usual beat from which one counts as clean


@dataclass(frozen=True)
class Beats:
    """The beats of one wave.

    times  (N,) s from the first sample     rises  (N,) steepness of each rise, in the wave's unit per s
    levels (N,) mean of the wave around each, above its first value
    alike  (N,) correlation (-1 to 1) of each with the median beat     sign  -1 where the wave is upside down
    """

    times: np.ndarray
    rises: np.ndarray
    levels: np.ndarray
    alike: np.ndarray
    sign: float = 1.0

    @property
    def clean(self) -> np.ndarray:
        """(N,) whether a beat looks like the others."""
        return self.alike >= ALIKE


def find_beats(wave: np.ndarray, fs: float, course: Course, finder: str = OWN) -> Beats:
    """The beats of an unfiltered `wave` (L,) at `fs` (Hz) whose rate runs along `course`; `finder`: INFERENCE.BEATS.

    Raises ValueError where the wave is too short or too coarse to be filtered (`in_band`).
    """
    wave = np.asarray(wave, dtype=float)
    scale = np.ptp(wave) or 1.0
    wave = (wave - wave[0]) / scale
    highest = min(HARMONICS * float(np.max(course.rates)) / 60.0, 0.45 * fs)
    spline = scipy.interpolate.CubicSpline(np.arange(len(wave)) / fs, in_band(wave, fs, (LOWEST, highest)))
    step = 1.0 / (fs * max(1, round(FINE / fs)))
    times = np.arange(int((len(wave) - 1) / fs / step) + 1) * step
    sign = _upright(spline(times, 1))
    slope = sign * spline(times, 1)
    if slope.std() < ROUNDING:
        return Beats(*(np.zeros(0) for _ in range(4)))
    periods = 60.0 / np.interp(times, course.times, course.rates)
    if finder == OWN:
        places = _steepest(slope, times, periods)
        rises = slope[places]
    else:
        raw = scipy.interpolate.CubicSpline(np.arange(len(wave)) / fs, sign * wave)
        places = neurokit.systolic_peaks(raw(times), 1.0 / step)
        rises = _before(slope, places, periods / step)
    shapes = _shapes(sign * spline(times), times, places, float(np.median(periods)))
    levels = np.array([_level(wave, fs, times[place], periods[place]) for place in places])
    return Beats(times[places], scale * rises, scale * levels, likeness(shapes), sign)


def _upright(slope: np.ndarray) -> float:
    """1.0 for a wave whose rises are steeper than its falls; -1.0 for one that is upside down."""
    centred = slope - slope.mean()
    return 1.0 if np.mean(centred**3) >= 0 else -1.0


def _steepest(slope: np.ndarray, times: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Places (N,) of the steepest rises, none nearer than NEAREST of the local period to a steeper one."""
    step = times[1] - times[0]
    tops, _ = scipy.signal.find_peaks(slope, height=0.0, distance=max(1.0, NEAREST * periods.min() / step))
    kept: list[int] = []
    for top in tops[np.argsort(-slope[tops], kind="stable")]:
        if all(abs(times[top] - times[other]) >= NEAREST * periods[top] for other in kept):
            kept.append(int(top))
    found = np.sort(np.array(kept, dtype=int))
    return found[slope[found] >= WEAKEST * np.median(slope[found])] if len(found) else found


def _before(slope: np.ndarray, places: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """(N,) the steepest of `slope` in the third of a period (samples) before each of `places` (N,)."""
    starts = np.maximum(0, places - (periods[places] / 3).astype(int))
    return np.array([slope[start : place + 1].max() for start, place in zip(starts, places, strict=True)])


def _shapes(wave: np.ndarray, times: np.ndarray, places: np.ndarray, period: float) -> np.ndarray:
    """(N, M) the wave from a third of a period before each beat to two thirds behind it, its ends held."""
    step = times[1] - times[0]
    around = np.arange(round(-period / 3 / step), round(2 * period / 3 / step))
    return wave[np.clip(places[:, None] + around, 0, len(wave) - 1)]


def likeness(shapes: np.ndarray) -> np.ndarray:
    """Correlation of each of `shapes` (N, M) with their median; 0 for a flat one."""
    if not len(shapes):
        return np.zeros(0)
    usual = np.median(shapes, axis=0)
    centred, usual = shapes - shapes.mean(axis=1, keepdims=True), usual - usual.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(usual)
    return np.divide(centred @ usual, norms, out=np.zeros(len(shapes)), where=norms > 0)


def _level(wave: np.ndarray, fs: float, time: float, period: float) -> float:
    """Mean of `wave` over the period around `time`: what breathing raises and lowers."""
    start, stop = round((time - period / 2) * fs), round((time + period / 2) * fs) + 1
    return float(wave[max(0, start) : stop].mean())
