"""Pressure of an arterial line: systolic and diastolic of each beat, and whether a stretch of it can be a label.

Beats are the large maxima of the smoothed line; values are the extremes of the line itself. What is an abnormal beat
follows Sun, Reisner and Mark, "A signal abnormality index for arterial blood pressure waveforms", Computers in
Cardiology 2006. A line that is clamped or flushed shows less pulse than its level would have: thresholds of PMC7015776.
What tells a damped line is ours: the steepest rise of a beat, in pulse pressures per period, is pi for a sine and about
ten for a heart's.
"""

from dataclasses import dataclass

import numpy as np

from dataset.signal_quality import clipped_share, longest_flat

SMOOTH = 12.0  # Hz: above it there is ringing, and no beat
FASTEST = 0.33  # s between two beats at the least
SMALLEST = 8.0  # mmHg between foot and top of a beat
SHARE = 0.4  # of the usual height of a beat that a maximum needs: a dicrotic wave has less
CLAMPED = ((200.0, 50.0), (150.0, 30.0), (100.0, 15.0), (0.0, 10.0))  # SBP above -> a pulse below is none, mmHg
LEVELS, MEANS, PULSE, STEP, PERIOD_STEP, FALL = (20.0, 300.0), (30.0, 200.0), 20.0, 20.0, 0.5, -3.0
"""Of a beat: mmHg, mmHg, mmHg at least, mmHg and s between neighbours at most, mean falling slope in mmHg per 8 ms."""
DAMPED = 5.0  # steepest rise in pulse pressures per period, below which a line is damped
ABNORMAL = 0.25  # share of abnormal beats from which a stretch is refused
FEWEST = 3  # beats of a stretch
FLAT, CLIPPED, GAP = 0.5, 0.01, 0.1  # s, share, s
SBP, DBP, LEAST = (50.0, 250.0), (30.0, 160.0), 10.0  # mmHg, and pulse pressure, of a label (JCM 2019, 8:1773)


@dataclass(frozen=True)
class PressureBeats:
    """Whole beats: (N,) samples of `feet` and `tops`, `periods` (s); `sbp`, `dbp`, `mbp` (mean over the beat), mmHg."""

    feet: np.ndarray
    tops: np.ndarray
    periods: np.ndarray
    sbp: np.ndarray
    dbp: np.ndarray
    mbp: np.ndarray

    def __len__(self) -> int:
        """Beats."""
        return len(self.sbp)


def find_beats(line: np.ndarray, fs: float) -> PressureBeats:
    """The beats of `line` (L,) in mmHg at `fs` (Hz); none across NaN, and none of a line without any."""
    line = np.asarray(line, dtype=float)
    found = [_beats_of(line, start, stop, fs) for start, stop in _runs(np.isfinite(line)) if stop - start > fs]
    if not found:
        return PressureBeats(*(np.empty(0, int) for _ in range(2)), *(np.empty(0) for _ in range(4)))
    return PressureBeats(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def abnormal(beats: PressureBeats, line: np.ndarray, fs: float) -> np.ndarray:
    """(N,) whether a beat is none that an artery makes: its levels, its mean, its pulse, its steps, its noise."""
    line = np.asarray(line, dtype=float)
    bad = (beats.dbp < LEVELS[0]) | (beats.sbp > LEVELS[1]) | (beats.mbp < MEANS[0]) | (beats.mbp > MEANS[1])
    bad |= beats.sbp - beats.dbp < PULSE
    for values, most in ((beats.sbp, STEP), (beats.dbp, STEP), (beats.periods, PERIOD_STEP)):
        bad[1:] |= np.abs(np.diff(values)) > most
    for number, (foot, period) in enumerate(zip(beats.feet, beats.periods, strict=True)):
        steps = np.diff(line[foot : foot + round(period * fs) + 1]) * fs / 125
        bad[number] |= bool((steps < 0).any() and steps[steps < 0].mean() < FALL)
    return bad


def steepness(beats: PressureBeats, line: np.ndarray, fs: float) -> float:
    """The usual steepest rise of a beat, in pulse pressures per period; NaN without beats."""
    line = np.asarray(line, dtype=float)
    rises = [
        np.diff(line[foot : top + 1]).max() * fs * period / (high - low)
        for foot, top, period, high, low in zip(
            beats.feet, beats.tops, beats.periods, beats.sbp, beats.dbp, strict=True
        )
        if top > foot and high > low
    ]
    return float(np.median(rises)) if rises else float("nan")


def clamped(sbp: float, dbp: float) -> bool:
    """Whether a pulse is smaller than any at that level: the line is clamped, flushed or closed."""
    return next(sbp - dbp < least for above, least in CLAMPED if sbp > above or above == 0)


def refusal(line: np.ndarray, fs: float) -> tuple[str, PressureBeats]:
    """Why a stretch of the line (L,) in mmHg at `fs` (Hz) is no label ("": it is one), and its beats."""
    line = np.asarray(line, dtype=float)
    beats = find_beats(line, fs)
    return _refusal(line, fs, beats), beats


def _refusal(line: np.ndarray, fs: float, beats: PressureBeats) -> str:
    there = line[np.isfinite(line)]
    if any(stop - start > GAP * fs for start, stop in _runs(~np.isfinite(line))) or len(there) < fs:
        return "a gap in the arterial line"
    if longest_flat(there, fs) >= FLAT:
        return "a flat arterial line"
    if clipped_share(there) > CLIPPED:
        return "a clipped arterial line"
    if there.max() > LEVELS[1] or there.min() < 0:
        return "a flush of the arterial line, or another unit"
    if len(beats) < FEWEST:
        return f"fewer than {FEWEST} beats in the arterial line"
    sbp, dbp = float(np.median(beats.sbp)), float(np.median(beats.dbp))
    if clamped(sbp, dbp):
        return "a clamped or flushed arterial line"
    if steepness(beats, line, fs) < DAMPED:
        return "a damped arterial line"
    if abnormal(beats, line, fs).mean() > ABNORMAL:
        return "abnormal beats in the arterial line"
    return "" if plausible(sbp, dbp) else "a pressure outside of what is measured"


def plausible(sbp: float, dbp: float) -> bool:
    """Whether SBP and DBP (mmHg) can be those of a person."""
    return SBP[0] <= sbp <= SBP[1] and DBP[0] <= dbp <= DBP[1] and sbp - dbp > LEAST


def _beats_of(line: np.ndarray, start: int, stop: int, fs: float) -> tuple[np.ndarray, ...]:
    """Feet, tops, periods, SBP, DBP and mean of the whole beats between two samples."""
    import scipy.signal  # here: it takes a while to import, and few data sets need it

    own = line[start:stop]
    smooth = own
    if fs > 3 * SMOOTH:
        smooth = scipy.signal.sosfiltfilt(scipy.signal.butter(2, SMOOTH, fs=fs, output="sos"), own)
    size = max(1, round(2 * fs))
    usual = float(np.median([np.ptp(smooth[k : k + size]) for k in range(0, max(len(own) - size, 1), size)]))
    tops, _ = scipy.signal.find_peaks(
        smooth, distance=max(1, round(FASTEST * fs)), prominence=max(SMALLEST, SHARE * usual)
    )
    reach = max(1, round(0.06 * fs))
    tops = np.array([k - min(reach, k) + own[k - min(reach, k) : k + reach + 1].argmax() for k in tops], dtype=int)
    feet = np.array([a + own[a:b].argmin() for a, b in zip(tops[:-1], tops[1:], strict=True) if b > a], dtype=int)
    if len(feet) < 2:
        return (np.empty(0, int), np.empty(0, int), *(np.empty(0) for _ in range(4)))
    whole = list(zip(feet[:-1], feet[1:], strict=True))
    inside = np.array([a + own[a:b].argmax() for a, b in whole])
    means = np.array([own[a:b].mean() for a, b in whole])
    return start + feet[:-1], start + inside, np.diff(feet) / fs, own[inside], own[feet[:-1]], means


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(first, after the last) of each stretch where `mask` (L,) holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return list(zip(edges[::2], edges[1::2], strict=True))
