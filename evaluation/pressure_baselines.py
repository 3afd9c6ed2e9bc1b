"""What a pressure can be guessed from without looking at the shape of a wave: the baselines beside every model.

The mean of the training targets; ridge regression on age, sex and BMI; the same with heart rate; the time from the
R peak to the steepest rise of the pulse wave. Mukkamala et al., "Toward Ubiquitous Blood Pressure Monitoring via Pulse
Transit Time: Theory and Practice", IEEE TBME 62(8), 2015, for the last.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation import ridge
from evaluation.ecg import LOWEST_RATE, r_peaks
from evaluation.post_process import bandpass

FEATURES = {
    "age + sex + BMI": ("age", "sex", "bmi"),
    "age + sex + BMI + heart rate": ("age", "sex", "bmi", "hr"),
    "pulse arrival time": ("pat",),
}
ENOUGH = 20_000  # pieces of the training data: a regression on four numbers needs no more
STRENGTH = 1.0  # of the ridge, on standardised features
SOONEST, LATEST = 0.05, 0.6  # s from an R peak to the steepest rise of its pulse wave
FEMALE, MALE = ("f", "female", "w", "0", "0.0"), ("m", "male", "1", "1.0")


@dataclass(frozen=True)
class Piece:
    """What is known of a recording, or of one of its clips: `targets` and `facts` by name, NaN where unknown."""

    clip: int | None
    targets: Mapping[str, float]
    facts: Mapping[str, float]


def pieces_of(source: Any, every: int = 1) -> Iterator[Piece]:
    """The pieces of what a data set holds: an entry of the cache is one, windows are one each, or one in `every`."""
    if hasattr(source, "pieces"):
        for clip, targets, signals in source.pieces(every):
            yield Piece(clip, targets, facts_of(targets, signals))
    elif source is not None:
        yield Piece(None, source.targets, facts_of({**source.info, **source.targets}, source.signals))


def facts_of(known: Mapping[str, Any], signals: Mapping[str, Any]) -> dict[str, float]:
    """age (years), sex (1 male), bmi (kg/m2), hr (bpm) and pat (s); NaN for what nobody tells."""
    info = {str(key).lower(): value for key, value in known.items()}
    facts = {name: _number(info.get(name)) for name in ("age", "bmi", "hr")}
    facts["sex"] = {"f": 0.0, "m": 1.0}.get(sex_of(info), math.nan)
    ecg, ppg = (signals.get(name) for name in ("ecg", "ppg"))
    facts["pat"] = arrival_time(ecg, ppg)
    if not math.isfinite(facts["hr"]):
        facts["hr"] = heart_rate(ecg, ppg)
    return facts


def sex_of(info: Mapping[str, Any]) -> str:
    """`f`, `m`, or "" where `info`, with names in small letters, does not say."""
    text = str(info.get("sex", "")).strip().lower()
    return "f" if text in FEMALE else "m" if text in MALE else ""


def heart_rate(ecg: Any, ppg: Any) -> float:
    """bpm from the median interval of R peaks, else from the period at which the pulse wave is most like itself."""
    if ecg is not None:
        times = _peak_times(ecg)
        if len(times) > 1:
            return 60.0 / float(np.median(np.diff(times)))
    return math.nan if ppg is None else _rate_of(ppg)


def arrival_time(ecg: Any, ppg: Any) -> float:
    """Median time (s) from an R peak to the steepest rise of the pulse wave that follows; NaN without such a pair.

    The place of the steepest rise is interpolated between samples. Both signals count from their own first sample
    where they tell no times.
    """
    if ecg is None or ppg is None:
        return math.nan
    times, fs, start = _peak_times(ecg), _rate(ppg), _start(ppg)
    values = np.asarray(ppg.values, dtype=float)
    if not len(times) or not fs or len(values) < fs or not np.isfinite(values).all() or np.ptp(values) == 0:
        return math.nan
    slope = np.gradient(_smooth(values, fs))
    nearest = np.diff(times).min() if len(times) > 1 else LATEST
    reach = min(LATEST, 0.9 * float(nearest))
    found = [place for time in times if (place := _steepest(slope, (time - start) * fs, fs, reach)) is not None]
    return float(np.median(found)) if found else math.nan


def fit(facts: Sequence[Mapping[str, float]], targets: np.ndarray) -> dict[str, dict[str, Any]]:
    """Each regression of FEATURES that the facts allow, fitted to `targets` (n,), as plain numbers."""
    known = np.isfinite(targets)
    fitted = {}
    for name, features in FEATURES.items():
        table = np.array([[one[key] for key in features] for one in facts], dtype=float).reshape(-1, len(features))
        if known.sum() > len(features) + 1 and np.isfinite(table[known]).any(axis=0).all():
            found = ridge.fit(table[known], np.asarray(targets)[known][:, None], STRENGTH)
            fitted[name] = {"features": list(features), **ridge.plain(found)}
    return fitted


def predict(fitted: Mapping[str, Any], facts: Mapping[str, float]) -> float:
    """The pressure that a fitted regression gives; a fact that is missing counts as the training mean."""
    values = np.array([facts[name] for name in fitted["features"]], dtype=float)
    scaled = (values - fitted["center"]) / fitted["scale"]
    return float(fitted["intercept"] + np.where(np.isfinite(scaled), scaled, 0.0) @ np.array(fitted["weights"]))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _rate(signal: Any) -> float:
    """Samples per second; 0 where the signal does not tell."""
    if signal.times is None:
        return float(signal.fs or 0.0)
    span = float(signal.times[-1] - signal.times[0]) if len(signal.times) > 1 else 0.0
    return (len(signal.times) - 1) / span if span > 0 else 0.0


def _start(signal: Any) -> float:
    return float(signal.times[0]) if signal.times is not None and len(signal.times) else 0.0


def _peak_times(ecg: Any) -> np.ndarray:
    """Seconds of the R peaks; empty for what shows none."""
    fs, values = _rate(ecg), np.asarray(ecg.values, dtype=float)
    if fs < LOWEST_RATE or not np.isfinite(values).all():
        return np.empty(0)
    return _start(ecg) + r_peaks(values, fs) / fs


def _smooth(values: np.ndarray, fs: float) -> np.ndarray:
    return bandpass(values, fs, (0.5, min(10.0, 0.45 * fs)), order=2)


def _steepest(slope: np.ndarray, peak: float, fs: float, reach: float) -> float | None:
    """Seconds from the place `peak` (samples) to the steepest rise behind it; None where the wave ends before."""
    first, last = int(np.ceil(peak + SOONEST * fs)), int(peak + reach * fs)
    if first < 1 or last >= len(slope) - 1 or last <= first:
        return None
    place = first + int(np.argmax(slope[first : last + 1]))
    before, here, after = slope[place - 1 : place + 2]
    curve = before - 2 * here + after
    shift = 0.5 * (before - after) / curve if curve < 0 else 0.0
    return (place + float(np.clip(shift, -0.5, 0.5)) - peak) / fs


def _rate_of(ppg: Any) -> float:
    """bpm at the best lag between 0.33 and 1.5 s of the autocorrelation, each lag over its own overlap."""
    fs, values = _rate(ppg), np.asarray(ppg.values, dtype=float)
    if not fs or len(values) < 1.2 * fs or not np.isfinite(values).all() or np.ptp(values) == 0:
        return math.nan
    wave = _smooth(values, fs)
    lags = np.arange(max(1, round(0.33 * fs)), min(round(1.5 * fs), int(0.75 * len(wave))))
    step = max(1, round(fs / 250))  # a finer lag than 4 ms tells nothing
    likeness = [float(np.corrcoef(wave[:-lag], wave[lag:])[0, 1]) for lag in lags[::step]]
    return 60.0 * fs / float(lags[::step][int(np.argmax(likeness))])
