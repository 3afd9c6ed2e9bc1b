"""One answer for a wave of a contact sensor: as for a video, with the wave itself in place of the voters.

Nobody else votes, so its beats must agree with its spectrum. Of an electrocardiogram beats are found first
(evaluation/ecg.py); rates are their mean in windows of 10 s, and the confidence is the share of the time between beats
that look like the others.
"""

import math
from dataclasses import replace

import numpy as np

from dataset.clips.resampling import Grid, at_rate, even_grid
from dataset.data_loader.base import Signal
from evaluation import neurokit
from evaluation.beats import Beats, likeness
from evaluation.consensus import LEVEL, NEAR, Answer, answer, interval
from evaluation.ecg import LONGEST, LOWEST_RATE, r_peaks
from evaluation.path import STRIDE, WINDOW, Course
from evaluation.presets import OWN, Preset
from evaluation.results import RecordingResult
from evaluation.rhythm import between_beats, rhythm

ENOUGH = 125.0  # Hz of a pulse wave; of a faster one every other sample would say the same
AROUND = (-0.25, 0.4)  # s about an R peak that are compared: P, QRS and T


def of_pulse(name: str, signal: Signal, preset: Preset) -> Answer:
    """The answer of a pulse wave. ValueError where its clock or values allow no even grid (`even_grid`)."""
    grid = even_grid(signal)
    wave, fs = _even(signal, grid, ENOUGH if grid.fs > ENOUGH else grid.fs)
    found = answer({"PPG": RecordingResult(name, name, fs, wave)}, preset)
    if found.course is None:
        return found
    by_beats = float(np.median(60.0 / np.diff(found.beats.times))) if len(found.beats.times) > 1 else math.nan
    if abs(by_beats - found.rate) <= NEAR:
        return found
    told = f"the beats come at {by_beats:.0f}" if math.isfinite(by_beats) else "there are no beats"
    reason = f"the spectrum has {found.rate:.0f} bpm, but {told}. Is it a pulse wave? Check the channel"
    return replace(found, confidence=0.0, reason=reason)


def of_ecg(name: str, signal: Signal, preset: Preset) -> Answer:
    """The answer of an electrocardiogram. ValueError as by `of_pulse`, and below 40 samples per second."""
    grid = even_grid(signal)
    if grid.fs < LOWEST_RATE:
        raise ValueError(f"an ECG of {grid.fs:.1f} Hz shows no R peaks: {LOWEST_RATE:g} Hz are needed.")
    wave, fs = _even(signal, grid, grid.fs)
    beats, seconds = _r_beats(wave, fs, preset.beats), len(wave) / fs
    empty = Answer(name, band=preset.band, fps=fs)
    if seconds < preset.min_seconds:
        return _refused(empty, f"lasts {seconds:.1f} s; {preset.min_seconds:g} s are needed for a rate")
    intervals, seen = between_beats(beats)
    if not seen.any():
        return _refused(empty, "no beats that look alike. Is it an ECG? Check the electrodes and the channel")
    course, share = _course(beats.times, intervals, seen, seconds), min(1.0, float(intervals[seen].sum() / seconds))
    reason = "" if share >= LEVEL else f"beats that look alike cover {share:.0%} of the time only. Check the electrodes"
    return Answer(
        name, course.rate, interval(course, share), share, reason, {"ECG": course.rate}, course,
        preset.band, fs, beats=beats, rhythm=rhythm(beats, seconds),
    )  # fmt: skip


def _even(signal: Signal, grid: Grid, fs: float) -> tuple[np.ndarray, float]:
    """The samples (L,) of `signal` on an even grid at about `fs` (Hz), and that rate."""
    grid = grid.to(fs) if fs != grid.fs else grid
    return np.asarray(at_rate(signal, grid), dtype=float), grid.fs


def _refused(empty: Answer, reason: str) -> Answer:
    return Answer(empty.id, reason=reason, band=empty.band, fps=empty.fps)


def _r_beats(ecg: np.ndarray, fs: float, finder: str) -> Beats:
    """The beats of an electrocardiogram, each compared with the median one; `finder`: INFERENCE.BEATS."""
    places = r_peaks(ecg, fs) if finder == OWN else neurokit.r_peaks(ecg, fs)
    around = np.arange(round(AROUND[0] * fs), round(AROUND[1] * fs))
    shapes = ecg[np.clip(places[:, None] + around, 0, len(ecg) - 1)]
    levels = shapes.mean(axis=1) if len(places) else np.zeros(0)
    return Beats(places / fs, np.ptp(shapes, axis=1) if len(places) else np.zeros(0), levels, likeness(shapes))


def _course(times: np.ndarray, intervals: np.ndarray, seen: np.ndarray, seconds: float) -> Course:
    """Mean rate of the `seen` intervals in windows of 10 s, a second apart; windows without one are left out."""
    middles = np.arange(min(WINDOW, seconds) / 2, seconds - min(WINDOW, seconds) / 2 + 1e-9, STRIDE)
    ends, kept = times[1:][seen], intervals[seen]
    found = [kept[np.abs(ends - middle) <= WINDOW / 2] for middle in middles]
    rates = np.array([60.0 / one.mean() if len(one) and one.mean() <= LONGEST else math.nan for one in found])
    there = np.isfinite(rates)
    if not there.any():
        return Course(np.array([seconds / 2]), np.array([60.0 / kept.mean()]), np.zeros(1), WINDOW)
    return Course(middles[there], rates[there], np.zeros(there.sum()), WINDOW)
