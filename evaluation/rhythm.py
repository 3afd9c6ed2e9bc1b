"""What the intervals between beats say: variability, breathing, an irregular rhythm; each with the time it needs.

Task Force of ESC and NASPE, "Heart rate variability: standards of measurement", Circulation 93(5), 1996. Its standard
is five minutes; what is said of less is said of that time only, and below `SHORTEST` nothing is.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.signal

from evaluation.beats import Beats
from evaluation.heart_rate import spectral_peak_heart_rate

INTERVALS = (0.3, 2.0)  # s between two beats: 30 to 200 bpm
UNUSUAL = 0.2  # of the median of its neighbours: an interval that differs by more is no normal one
NEIGHBOURS = 11
SHORTEST = {"breathing": 10.0, "variability": 20.0, "spectrum": 55.0}  # s
LEAST = 0.5  # share of the recording that normal intervals cover, below which nothing is said
SAMPLED = 4.0  # Hz at which the intervals are spread evenly
SLOW, FAST = (0.04, 0.15), (0.15, 0.4)  # Hz: LF and HF
BREATHS = (0.1, 0.5)  # Hz
SPREAD = 4.0  # breaths/min: standard deviation of the three ways to read them beyond which there is no rate
RESTLESS, SCATTERED = 0.115, 0.1  # RMSSD over the mean interval, and share of unusual ones, of an irregular rhythm
FEWEST = 12  # clean intervals that can show one


@dataclass(frozen=True)
class Rhythm:
    """What a recording's beats say. NaN: too short for it, or too few clean beats.

    intervals  normal ones that counted         coverage  share of the time that they cover
    mean_rr, rmssd, sdnn  ms                    pnn50     share of successive ones that differ by more than 50 ms
    lf_hf      ratio of slow to fast changes    breathing breaths per minute
    irregular  whether clean beats follow each other irregularly
    """

    intervals: int = 0
    coverage: float = 0.0
    mean_rr: float = math.nan
    rmssd: float = math.nan
    sdnn: float = math.nan
    pnn50: float = math.nan
    lf_hf: float = math.nan
    breathing: float = math.nan
    irregular: bool = False


def rhythm(beats: Beats, seconds: float) -> Rhythm:
    """The rhythm of `beats` in a recording of `seconds`."""
    intervals, seen = between_beats(beats)
    normal = seen & usual(intervals)
    covered = float(intervals[normal].sum() / seconds)
    found = {"intervals": int(normal.sum()), "coverage": covered, "irregular": is_irregular(intervals, seen)}
    if covered < LEAST or found["irregular"]:
        return Rhythm(**found)
    if seconds >= SHORTEST["breathing"]:
        found["breathing"] = breathing_rate(beats, normal)
    if seconds >= SHORTEST["variability"]:
        found |= variability(intervals, normal)
    if seconds >= SHORTEST["spectrum"]:
        found["lf_hf"] = slow_to_fast(beats.times[1:][normal], intervals[normal])
    return Rhythm(**found)


def between_beats(beats: Beats) -> tuple[np.ndarray, np.ndarray]:
    """Intervals (N - 1,) in s, and which of them lie between two clean beats and can be those of a heart."""
    intervals = np.diff(beats.times)
    possible = (intervals >= INTERVALS[0]) & (intervals <= INTERVALS[1])
    return intervals, beats.clean[1:] & beats.clean[:-1] & possible


def usual(intervals: np.ndarray) -> np.ndarray:
    """(N,) whether each of `intervals` (N,) lies within a fifth of the median of those around it."""
    half = NEIGHBOURS // 2
    around = [intervals[max(0, at - half) : at + half + 1] for at in range(len(intervals))]
    middle = np.array([np.median(some) for some in around])
    return np.abs(intervals - middle) <= UNUSUAL * middle


def variability(intervals: np.ndarray, normal: np.ndarray) -> dict[str, float]:
    """Mean, RMSSD and SDNN (ms) and pNN50 of the `normal` (N,) of `intervals` (N,) in s."""
    kept, steps = 1e3 * intervals[normal], 1e3 * np.diff(intervals)[normal[1:] & normal[:-1]]
    if len(steps) < 2:
        return {}
    return {
        "mean_rr": float(kept.mean()), "rmssd": float(np.sqrt(np.mean(steps**2))), "sdnn": float(kept.std(ddof=1)),
        "pnn50": float(np.mean(np.abs(steps) > 50.0)),
    }  # fmt: skip


def slow_to_fast(times: np.ndarray, intervals: np.ndarray) -> float:
    """Power of the changes of `intervals` (N,) that end at `times` (N,): 0.04-0.15 over 0.15-0.4 Hz."""
    grid = np.arange(times[0], times[-1], 1 / SAMPLED)
    even = np.interp(grid, times, intervals)
    freqs, power = scipy.signal.welch(even - even.mean(), SAMPLED, nperseg=len(even), detrend="linear")
    slow, fast = (power[(freqs >= low) & (freqs < high)].sum() for low, high in (SLOW, FAST))
    return float(slow / fast) if fast > 0 else math.nan


def breathing_rate(beats: Beats, normal: np.ndarray) -> float:
    """Breaths per minute by the intervals, the strength and the level of the beats; NaN where the three disagree.

    Karlen et al., "Multiparameter respiratory rate estimation from the photoplethysmogram", IEEE TBME 60(7), 2013.
    """
    times, read = beats.times[1:][normal], []
    grid = np.arange(times[0], times[-1], 1 / SAMPLED)
    for values in (np.diff(beats.times), beats.rises[1:], beats.levels[1:]):
        even = np.interp(grid, times, values[normal])
        read.append(spectral_peak_heart_rate(scipy.signal.detrend(even), SAMPLED, BREATHS))
    return float(np.mean(read)) if np.std(read) <= SPREAD else math.nan


def is_irregular(intervals: np.ndarray, seen: np.ndarray) -> bool:
    """Whether the intervals between clean beats jump about, as in atrial fibrillation or with many extra beats.

    RMSSD over the mean beyond 0.115 (McManus et al., "A novel application for the detection of an irregular pulse using
    an iPhone 4S", Heart Rhythm 10(3), 2013), and more than a tenth of them unusual.
    """
    steps = np.diff(intervals)[seen[1:] & seen[:-1]]
    if len(steps) < FEWEST or np.mean(seen) < LEAST:
        return False
    kept = intervals[seen]
    return bool(np.sqrt(np.mean(steps**2)) > RESTLESS * kept.mean() and np.mean(~usual(intervals)[seen]) > SCATTERED)
