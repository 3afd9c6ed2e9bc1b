"""Checks of contact sensors: ECG, PPG and arterial pressure, alone and against each other, and of their labels.

Thresholds with a source name it; the others are our own, tried on simulated and a few real recordings, and say so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from dataset import pressure
from dataset.data_loader.base import Signal
from dataset.doctor.finding import Finding, grade, percent, worst
from dataset.doctor.label import clock_problem
from dataset.files.names import plural
from dataset.signal_quality import clipped_share, longest_flat
from evaluation.beats import find_beats as pulse_beats
from evaluation.beats import likeness
from evaluation.ecg import LOWEST_RATE, r_peaks
from evaluation.path import follow

OWN = "own threshold"
ORPHANIDOU = "Orphanidou 2015, as others have implemented it"
NAMES = {
    "ecg": ("ecg", "ecg1", "ecg2", "i", "ii", "iii", "avr", "avl", "avf", "mlii", "v", *(f"v{k}" for k in range(1, 7))),
    "ppg": ("ppg", "pleth", "bvp"),
    "abp": ("abp", "art", "ibp"),
}
LOOKED_AT = 600.0  # s of a long recording
FLAT, CLIPPED, MISSING = 0.5, 0.01, 0.01  # s; shares
WINDOW, RATES, PAUSE, UNEVEN = 10.0, (40.0, 180.0), 3.0, 2.2  # s, bpm, s, longest over shortest interval
ALIKE = {"ecg": 0.66, "ppg": 0.86}  # correlation with the mean beat
FEW_LOOK, FEW_BAD = 0.1, 0.5  # share of windows or beats that fail
AROUND = 0.12  # s about an R peak
UNITS = {"mv": 1.0, "v": 1000.0, "uv": 0.001, "\u00b5v": 0.001, "\u03bcv": 0.001}  # -> mV
QRS = (0.2, 5.0)  # mV from the lowest to the highest
PPG_LAG, ABP_LAG, DRIFT = (0.0, 0.6), (0.07, 0.25), 0.02  # s
SHORTEST = 5.0  # s: the edges of a shorter wave outweigh its beats
UPRIGHT = 0.2  # skewness of the slope, to both sides of which a polarity is told
USUAL = {"ecg": (78.0, 0.32, 0.022, 0.33), "ppg": (78.0, 0.32, 0.12, 0.4)}  # rate, width (s), each with its spread (ln)
FARTHEST, FITS_LOOK, FITS_BAD = 9.0, 2.5, 5.0  # of one feature; by so much another rate fits better
RATE_GAP, CLOCKS, LEADS = 5.0, 0.001, 0.05  # bpm; share of the duration; share of the amplitude
STEP = 30.0  # mmHg in 5 s
RINGING = 0.03  # of the pulse pressure: what remains above 8 Hz behind the top of a beat


@dataclass(frozen=True)
class Sensor:
    """A signal on an even clock: `values` (L,) at `fs` (Hz) from `start` (s) on, NaN in gaps; `kind` ecg, ppg or abp.

    `beats` (N,) in s after its start.
    """

    name: str
    kind: str
    values: np.ndarray
    fs: float
    unit: str
    beats: np.ndarray
    end: float  # s, of the whole signal
    start: float = 0.0

    @property
    def rate(self) -> float:
        """Its heart rate, bpm; NaN without beats."""
        return 60 / float(np.median(np.diff(self.beats))) if len(self.beats) > 2 else math.nan


def _clock(name: str, signal: Signal) -> Finding | None:
    """What makes the clock of an ECG, a PPG or a pressure useless, so that nothing else can be said of it."""
    known = any(name.strip().lower() in names for names in NAMES.values())
    timed = known and signal.times is not None and len(signal.values) > 1
    return clock_problem(signal, np.asarray(signal.times, dtype=float), name) if timed else None


def sensors_of(signals: Mapping[str, Signal]) -> list[Sensor]:
    """Those of `signals` that are ECG, PPG or pressure by their names, at most ten minutes of each."""
    found = []
    for name, signal in signals.items():
        kind = next((kind for kind, names in NAMES.items() if name.strip().lower() in names), "")
        if kind and len(signal.values) > 1:
            values, fs = even(signal)
            start = 0.0 if signal.times is None else float(signal.times[0])
            end, values = start + len(values) / fs, values[: round(LOOKED_AT * fs)]
            found.append(Sensor(name, kind, values, fs, signal.unit, beats_of(kind, values, fs), end, start))
    return found


def even(signal: Signal) -> tuple[np.ndarray, float]:
    """The samples (L,) at their places on an even clock, NaN where none was recorded, and its rate (Hz)."""
    values = np.asarray(signal.values, dtype=float)
    if signal.times is None:
        return values, float(signal.fs or 1.0)
    times = np.asarray(signal.times, dtype=float)
    fs = 1 / float(np.median(np.diff(times)))
    places = np.rint((times - times[0]) * fs).astype(int)
    if not 0 < places[-1] < 4 * len(values) + 100:
        return values, fs
    whole = np.full(places[-1] + 1, np.nan)
    whole[places] = values
    return whole, fs


def beats_of(kind: str, values: np.ndarray, fs: float) -> np.ndarray:
    """Times (N,) of R peaks, of the steepest rises of a PPG, or of the feet of a pressure; none of what has none."""
    if kind == "abp":
        return pressure.find_beats(values, fs).feet / fs
    filled = without_gaps(values)
    if len(filled) < 2 * fs or not np.ptp(filled):
        return np.empty(0)
    try:
        if kind == "ecg":
            return r_peaks(filled, fs) / fs if fs >= LOWEST_RATE else np.empty(0)
        centred = filled - filled.mean()
        return pulse_beats(filled, fs, follow(centred, fs, (0.6, 3.3))).times
    except ValueError:
        return np.empty(0)


def without_gaps(values: np.ndarray) -> np.ndarray:
    """`values` with gaps bridged by straight lines; empty where nothing is there."""
    there = np.isfinite(values)
    return np.interp(np.arange(len(values)), np.flatnonzero(there), values[there]) if there.any() else np.empty(0)


# --- One signal -----------------------------------------------------------------------------------------------------


def check_samples(one: Sensor) -> Finding:
    """Flat and clipped stretches, and gaps."""
    there = one.values[np.isfinite(one.values)]
    flat, clipped = longest_flat(one.values, one.fs), clipped_share(there)
    missing = 1 - len(there) / max(len(one.values), 1)
    values = {f"{one.name}_flat_s": flat, f"{one.name}_clipped": clipped, f"{one.name}_missing": missing}
    level = worst([grade(flat, FLAT, 3.0), grade(clipped, CLIPPED, 0.1), grade(missing, MISSING, 0.2)])
    if len(there) and not np.ptp(there):
        return Finding("samples", "bad", f"{one.name} never changes: nothing was connected.",
                       "Leave this signal out.", values, OWN)  # fmt: skip
    if level == "ok":
        return Finding("samples", "ok", f"{one.name} is neither flat nor clipped.", values=values, source=OWN)
    said = [f"does not change for {flat:.1f} s"] * (flat > FLAT)
    said += [f"is at the end of its scale in {percent(clipped)} of its samples"] * (clipped > CLIPPED)
    said += [f"lacks {percent(missing)} of them"] * (missing > MISSING)
    mend = "Leave such stretches out; what is clipped has lost its shape."
    return Finding("samples", level, f"{one.name} {', '.join(said)}.", mend, values, OWN)


def check_rhythm(one: Sensor) -> Finding:
    """Beats in windows of 10 s: their rate, pauses, and how much intervals differ."""
    values = {f"{one.name}_bpm": one.rate}
    if len(one.values) < WINDOW / 2 * one.fs:
        return Finding("rhythm", "", f"Not checked: {one.name} lasts {len(one.values) / one.fs:.1f} s.", values=values)
    windows = [one.beats[(one.beats >= start) & (one.beats < start + WINDOW)]
               for start in np.arange(0, max(len(one.values) / one.fs - WINDOW, 0) + 1, WINDOW)]  # fmt: skip
    odd = np.mean([not _is_rhythm(beats) for beats in windows])
    level = grade(float(odd), FEW_LOOK, FEW_BAD)
    text = f"{one.rate:.0f} bpm by the {one.name}" if len(one.beats) > 2 else f"the {one.name} has no beats"
    if level == "ok":
        return Finding("rhythm", "ok", f"{text}.", values=values, source=ORPHANIDOU)
    text += f"; in {percent(odd)} of its windows of 10 s the beats are not those of a heart at rest"
    mend = "Noise, an arrhythmia, a wrong rate or a wrong channel looks like this: see the picture."
    return Finding("rhythm", level, f"{text[0].upper()}{text[1:]}.", mend, values, ORPHANIDOU)


def _is_rhythm(beats: np.ndarray) -> bool:
    steps = np.diff(beats)
    if len(steps) < 2:
        return False
    rate = 60 / steps.mean()
    return bool(RATES[0] <= rate <= RATES[1] and steps.max() <= PAUSE and steps.max() / steps.min() < UNEVEN)


def check_alike(one: Sensor) -> Finding:
    """Whether the beats look like one another: correlation with the usual beat."""
    limit = ALIKE[one.kind]
    if len(one.beats) < 4:
        return Finding("beats alike", "", f"Not checked: {plural(len(one.beats), 'beat')} in the {one.name}.")
    half = float(np.median(np.diff(one.beats))) / 2
    around = np.arange(round(-half * one.fs), round(half * one.fs) + 1)
    places = np.rint(one.beats * one.fs).astype(int)
    places = places[(places + around[0] >= 0) & (places + around[-1] < len(one.values))]
    alike = likeness(without_gaps(one.values)[places[:, None] + around])
    found = float(np.mean(alike)) if len(alike) else math.nan
    values = {f"{one.name}_alike": found}
    if not len(alike) or found >= limit:
        return Finding("beats alike", "ok" if len(alike) else "", f"Beats of the {one.name} correlate with the usual "
                       f"one by {found:.2f}.", values=values, source=ORPHANIDOU)  # fmt: skip
    text = f"Beats of the {one.name} correlate with the usual one by {found:.2f} only (from {limit} on they are good)."
    return Finding("beats alike", "look" if found > 0.5 * limit else "bad", text,
                   "Noise or motion: leave such stretches out.", values, ORPHANIDOU)  # fmt: skip


def check_polarity(one: Sensor) -> Finding:
    """Whether it is upside down: rises of a PPG are steeper than its falls, most leads of an ECG point up."""
    wave = without_gaps(one.values)
    band = (0.5, 8.0) if one.kind == "ppg" else (5.0, 25.0)
    if len(one.beats) < 4 or one.fs < 2.5 * band[1] or len(wave) < SHORTEST * one.fs:
        return Finding("polarity", "", f"Not checked: too little of the {one.name}, or too slow.")
    wave = scipy.signal.sosfiltfilt(scipy.signal.butter(2, band, "bandpass", fs=one.fs, output="sos"), wave)
    skew = float(scipy.stats.skew(np.gradient(wave) if one.kind == "ppg" else wave))
    values = {f"{one.name}_skew": skew}
    if skew > -UPRIGHT:
        known = "" if abs(skew) < UPRIGHT else "ok"
        text = f"The {one.name} {'is upright' if known else 'does not tell which way is up'}."
        return Finding("polarity", known, text, values=values, source=OWN)
    if one.kind == "ppg":
        text, mend = "is upside down: it falls faster than it rises", "beats are otherwise found early"
        return Finding("polarity", "bad", f"The {one.name} {text}.", f"Use -{one.name}; {mend}.", values, OWN)
    text, mend = "points down, as aVR and V1 do, and swapped electrodes", "If it should be lead I or II, use"
    return Finding("polarity", "look", f"The {one.name} {text}.", f"{mend} -{one.name}.", values, OWN)


def check_unit(one: Sensor) -> Finding:
    """Whether the height of QRS complexes fits the unit."""
    scale = UNITS.get(one.unit.strip().lower())
    if scale is None or len(one.beats) < 3:
        why = f"its unit is {one.unit!r}" if scale is None else "it has no beats"
        return Finding("unit", "", f"Not checked: of the {one.name}, {why}.")
    height = float(np.median(np.ptp(_about(one), axis=1))) * scale
    values = {f"{one.name}_qrs_mv": height}
    if QRS[0] <= height <= QRS[1]:
        return Finding("unit", "ok", f"QRS complexes of {height:.2g} mV.", values=values, source=OWN)
    named = next((unit for unit, off in (("uV", 1e-3), ("V", 1e3), ("nV", 1e-6), ("converter counts", 1 / 200))
                  if QRS[0] <= height * off / (scale if unit != "converter counts" else 1) <= QRS[1]), "")  # fmt: skip
    text = f"By its unit ({one.unit}) the {one.name} has QRS complexes of {height:.3g} mV"
    return Finding("unit", "bad" if named else "look", f"{text}{f': it is probably in {named}' if named else ''}.",
                   "State the unit that it has.", values, OWN)  # fmt: skip


def _about(one: Sensor) -> np.ndarray:
    """(N, M) the signal around each beat that lies whole in it."""
    wave, reach = without_gaps(one.values), round(AROUND * one.fs)
    places = np.rint(one.beats * one.fs).astype(int)
    places = places[(places >= reach) & (places < len(wave) - reach)]
    return wave[places[:, None] + np.arange(-reach, reach + 1)] if len(places) else np.zeros((1, 2 * reach + 1))


def check_rate(one: Sensor) -> Finding:
    """Whether twice or half the stated samples per second would make a likelier heart of it."""
    width = feature_width(one)
    if len(one.beats) < 4 or not width > 0:
        return Finding("sampling rate", "", f"Not checked: too few beats in the {one.name}.")
    costs = {factor: _unlikely(one.kind, one.rate * factor, width / factor) for factor in (1.0, 0.5, 2.0)}
    best = min(costs, key=costs.get)
    level = grade(costs[1.0] - costs[best], FITS_LOOK, FITS_BAD)
    values = {f"{one.name}_width_s": width}
    if level == "ok":
        return Finding("sampling rate", "ok", f"{one.fs:g} Hz fit the {one.name}.", values=values, source=OWN)
    what = "QRS complexes" if one.kind == "ecg" else "rises"
    text = f"At {one.fs:g} Hz the {one.name} has {one.rate:.0f} bpm and {what} of {1000 * width:.0f} ms"
    return Finding("sampling rate", level, f"{text}: {one.fs * best:g} Hz fit better.",
                   f"Set its rate to {one.fs * best:g} Hz if its source says nothing else.", values, OWN)  # fmt: skip


def _unlikely(kind: str, rate: float, width: float) -> float:
    """How far a heart of this rate (bpm) and width (s) is from usual ones."""
    usual, spread, broad, other = USUAL[kind]
    both = (math.log(rate / usual) / spread) ** 2, (math.log(width / broad) / other) ** 2
    return sum(min(one, FARTHEST) for one in both)


def feature_width(one: Sensor) -> float:
    """Width (s) of an R wave at half its height, or of a PPG's rise from 10 to 90 %; NaN without beats."""
    shapes = _about(one) if one.kind == "ecg" else _rises(one)
    if len(shapes) < 2:
        return math.nan
    shape = np.median(shapes, axis=0)
    fine = np.interp(np.arange(0, len(shape) - 1, 0.1), np.arange(len(shape)), shape)
    if one.kind == "ppg":
        top = int(fine.argmax())
        low = top - int(fine[: top + 1][::-1].argmin())
        inside = (fine[low : top + 1] - fine[low]) / max(fine[top] - fine[low], 1e-12)
        return float(np.count_nonzero((inside > 0.1) & (inside < 0.9))) / (10 * one.fs)
    fine = np.abs(fine - np.median(fine))
    middle = len(fine) // 2
    reach = max(1, len(fine) // 8)
    top = middle - reach + int(fine[middle - reach : middle + reach].argmax())
    below = np.flatnonzero(fine < fine[top] / 2)
    left, right = below[below < top], below[below > top]
    return float(right[0] - left[-1]) / (10 * one.fs) if len(left) and len(right) else math.nan


def _rises(one: Sensor) -> np.ndarray:
    wave = without_gaps(one.values)
    sign = -1.0 if (check_polarity(one).grade == "bad") else 1.0
    around = np.arange(round(-0.25 * one.fs), round(0.35 * one.fs) + 1)
    places = np.rint(one.beats * one.fs).astype(int)
    places = places[(places + around[0] >= 0) & (places + around[-1] < len(wave))]
    return sign * wave[places[:, None] + around] if len(places) else np.zeros((0, len(around)))


# --- An arterial line -----------------------------------------------------------------------------------------------


def check_line(one: Sensor) -> list[Finding]:
    """Levels, abnormal beats, clamps and flushes, damping and ringing of a pressure in mmHg."""
    if one.unit.strip().lower() not in ("mmhg", "a.u.", ""):
        return [Finding("pressure", "bad", f"The {one.name} is in {one.unit!r} and not in mmHg.", "Convert it.")]
    beats = pressure.find_beats(one.values, one.fs)
    there = one.values[np.isfinite(one.values)]
    if len(beats) < pressure.FEWEST:
        return [Finding("pressure", "bad", f"The {one.name} has {plural(len(beats), 'beat')}.", "Leave it out.")]
    odd = float(pressure.abnormal(beats, one.values, one.fs).mean())
    sbp, dbp = float(np.median(beats.sbp)), float(np.median(beats.dbp))
    values = {f"{one.name}_sbp": sbp, f"{one.name}_dbp": dbp, f"{one.name}_abnormal": odd}
    text = f"{sbp:.0f}/{dbp:.0f} mmHg by the {one.name}, {percent(odd)} of {len(beats)} beats abnormal"
    found = [Finding("pressure", grade(odd, FEW_LOOK, FEW_BAD), f"{text}.", "Leave such stretches out.", values,
                     "Sun, Reisner and Mark 2006")]  # fmt: skip
    flushed = bool(there.max() > pressure.LEVELS[1] or pressure.clamped(sbp, dbp))
    said = "is flushed or clamped in places" if flushed else "shows neither flush nor clamp"
    found.append(Finding("flush", "bad" if flushed else "ok", f"The {one.name} {said}.",
                         "Leave such stretches out: no pressure of the person is there." * flushed,
                         source="PMC7015776"))  # fmt: skip
    return [*found, _damping(one, beats), _steps(one, beats)]


def _damping(one: Sensor, beats: pressure.PressureBeats) -> Finding:
    steep, ringing = pressure.steepness(beats, one.values, one.fs), ringing_of(one, beats)
    values = {f"{one.name}_steepness": steep, f"{one.name}_ringing": ringing}
    if steep < pressure.DAMPED:
        return Finding("damping", "bad", f"The {one.name} is damped: its beats rise like a sine ({steep:.1f} pulse "
                       "pressures per period). Its SBP is too low.", "Leave it out.", values, OWN)  # fmt: skip
    if ringing > RINGING:
        text = f"The {one.name} rings behind its tops ({percent(ringing)} of the pulse): SBP may be too high."
        return Finding("damping", "look", text, "Only a fast flush at the bedside tells (PMC4279904).", values, OWN)
    return Finding("damping", "ok", f"The {one.name} is neither damped nor ringing.", values=values, source=OWN)


def ringing_of(one: Sensor, beats: pressure.PressureBeats) -> float:
    """What is left above 8 Hz between 0.03 and 0.25 s behind the tops, over the pulse pressure; 0 below 60 Hz."""
    if one.fs < 60:
        return 0.0
    fast = scipy.signal.sosfiltfilt(scipy.signal.butter(2, 8.0, "highpass", fs=one.fs, output="sos"),
                                    without_gaps(one.values))  # fmt: skip
    parts = [fast[top + round(0.03 * one.fs) : top + round(0.25 * one.fs)].std() / max(high - low, 1.0)
             for top, high, low in zip(beats.tops, beats.sbp, beats.dbp, strict=True)
             if top + round(0.25 * one.fs) < len(fast)]  # fmt: skip
    return float(np.median(parts)) if parts else 0.0


def _steps(one: Sensor, beats: pressure.PressureBeats) -> Finding:
    """How far the pressure goes within 5 s."""
    times = beats.feet / one.fs
    moved = 0.0
    for values in (beats.sbp, beats.dbp):
        smooth = scipy.ndimage.median_filter(values, 3)
        first = np.searchsorted(times, times - 5.0)
        moved = max([moved, *(float(np.ptp(smooth[a : b + 1])) for b, a in enumerate(first))])
    level = grade(moved, STEP)
    text = f"The {one.name} changes by {moved:.0f} mmHg within 5 s."
    return Finding("pressure step", level, text, "" if level == "ok" else "Leave such stretches out as labels.",
                   {f"{one.name}_step": moved}, "JCM 2019, 8:1773")  # fmt: skip


# --- Several signals ------------------------------------------------------------------------------------------------


def check_lag(ecg: Sensor, other: Sensor) -> Finding:
    """The time from each R peak to the foot of the pressure, or to the steepest rise of the PPG."""
    low, high = ABP_LAG if other.kind == "abp" else PPG_LAG
    source, what = ("JCM 2019, 8:1773", "foot") if other.kind == "abp" else (OWN, "rise")
    lags, _ = lags_of(ecg, other)
    if len(lags) < 4:
        return Finding(f"lag {ecg.name}-{other.name}", "", "Not checked: too few beats in both.")
    middle, period = float(np.median(lags)), 60 / ecg.rate
    pieces = [float(np.median(part)) for part in np.array_split(lags, 5)] if len(lags) >= 30 else [middle]
    drift, name = max(pieces) - min(pieces), f"lag {ecg.name}-{other.name}"
    values = {f"{other.name}_lag_s": middle, f"{other.name}_lag_drift_s": drift}
    text = f"The {what} of the {other.name} comes {1000 * middle:.0f} ms after the R peak"
    if not low <= middle <= high:
        before = f", or {1000 * (period - middle):.0f} ms before it" if middle > 0.5 * period else ""
        mend = "The two are not on one clock, or one is delayed: no pulse arrival time of this recording."
        return Finding(name, "bad", f"{text}{before}; {1000 * low:.0f} to {1000 * high:.0f} ms are possible.", mend,
                       values, source)  # fmt: skip
    if drift > DRIFT:
        mend = "The pressure changed, or two clocks run apart: see the picture before using a pulse arrival time."
        return Finding(name, "look", f"{text} and moves by {1000 * drift:.0f} ms.", mend, values, OWN)
    return Finding(name, "ok", f"{text}.", values=values, source=source)


def lags_of(ecg: Sensor, other: Sensor) -> tuple[np.ndarray, np.ndarray]:
    """Seconds from each R peak to the next beat of the other signal, and when; none across a missed beat."""
    if len(ecg.beats) < 3 or not len(other.beats):
        return np.empty(0), np.empty(0)
    own, theirs = ecg.start + ecg.beats, other.start + other.beats
    after = np.searchsorted(theirs, own)
    there = (after < len(theirs)) & (own > theirs[0] - 1.0)
    lags = theirs[after[there]] - own[there]
    near = lags < 1.5 * float(np.median(np.diff(ecg.beats)))
    return lags[near], ecg.beats[there][near]


def check_rates_agree(one: Sensor, other: Sensor) -> Finding:
    """Whether both have the same heart rate."""
    if not (math.isfinite(one.rate) and math.isfinite(other.rate)):
        return Finding("rates", "", f"Not checked: {one.name} or {other.name} has no beats.")
    gap = abs(one.rate - other.rate)
    text = f"{one.rate:.0f} bpm by the {one.name}, {other.rate:.0f} by the {other.name}"
    if gap <= RATE_GAP:
        return Finding("rates", "ok", f"{text}.", source=OWN)
    return Finding("rates", "bad", f"{text}: they are not of one heart, or one has another sampling rate.",
                   "Check the rates and that both are of one recording.", {"rate_gap_bpm": gap}, OWN)  # fmt: skip


def check_clocks(found: Sequence[Sensor]) -> Finding:
    """Whether all end at the same time."""
    longest, shortest = max(found, key=lambda one: one.end), min(found, key=lambda one: one.end)
    off = 1 - shortest.end / longest.end
    slack = 1 / min(one.fs for one in found)  # a sample more or less
    if off <= CLOCKS or longest.end - shortest.end <= slack:
        return Finding("clocks", "ok", "All signals end together.", source="EmotiBit_FeatherWing issue 307")
    text = f"{longest.name} ends at {longest.end:.2f} s, {shortest.name} at {shortest.end:.2f} s"
    return Finding("clocks", "look", f"{text}: they did not run together, or a rate is wrong.",
                   "Compare their starts and ends before anything is measured between them.",
                   {"clocks_off": off}, "EmotiBit_FeatherWing issue 307")  # fmt: skip


def check_leads(found: Sequence[Sensor]) -> Finding | None:
    """Whether limb leads add up: I + III = II, aVR + aVL + aVF = 0; None without them."""
    leads = {one.name.strip().lower(): without_gaps(one.values) for one in found if one.kind == "ecg"}
    sums = [("I + III = II", ("i", "iii", "ii"), (1, 1, -1)), ("aVR + aVL + aVF = 0", ("avr", "avl", "avf"), (1, 1, 1))]
    off = {}
    for title, names, signs in sums:
        if all(name in leads for name in names) and len({len(leads[name]) for name in names}) == 1:
            total = sum(sign * leads[name] for name, sign in zip(names, signs, strict=True))
            off[title] = float((total - np.median(total)).std() / max(np.std([leads[name] for name in names]), 1e-12))
    if not off:
        return None
    wrong = [title for title, share in off.items() if share > LEADS]
    if not wrong:
        return Finding("leads", "ok", f"{' and '.join(off)} hold.", source=OWN)
    return Finding("leads", "bad", f"{' and '.join(wrong)} does not hold (off by {percent(max(off.values()))}).",
                   "Leads are swapped or named in another order: go by their names.", source=OWN)  # fmt: skip


def check_targets(targets: Mapping[str, float]) -> list[Finding]:
    """Whether pressures among the labels can be those of a person."""
    found = []
    for name, high in targets.items():
        if not name.lower().endswith("sbp"):
            continue
        low = targets.get(name[:-3] + ("dbp" if name.endswith("sbp") else "DBP"), math.nan)
        text = f"{name} {high:.0f}" + (f", diastolic {low:.0f}" if math.isfinite(low) else "") + " mmHg"
        if not math.isfinite(high):
            found.append(Finding("label", "look", f"{name} is missing.", "Leave the recording out.", source=OWN))
        elif pressure.plausible(high, low if math.isfinite(low) else high - 40):
            found.append(Finding("label", "ok", f"{text}.", source="JCM 2019, 8:1773"))
        else:
            found.append(Finding("label", "bad", f"{text} is no pressure of a person.", "Check its column and unit.",
                                 source="JCM 2019, 8:1773"))  # fmt: skip
    return found


def examine(signals: Mapping[str, Signal], targets: Mapping[str, float]) -> list[Finding]:
    """Every check that these signals and labels allow."""
    clocks = {name: _clock(name, signal) for name, signal in signals.items()}
    found = sensors_of({name: signal for name, signal in signals.items() if clocks[name] is None})
    findings = [problem for problem in clocks.values() if problem]
    for one in found:
        own = [check_samples(one)]
        if one.kind == "abp":
            own += check_line(one)
        else:
            own += [check_rhythm(one), check_alike(one), check_polarity(one), check_rate(one)]
            own += [check_unit(one)] if one.kind == "ecg" else []
        findings += [replace(finding, check=f"{one.name} {finding.check}") for finding in own]
    ecg = next((one for one in found if one.kind == "ecg"), None)
    others = [one for one in found if one.kind != "ecg"]
    findings += [check for one in others if ecg for check in (check_lag(ecg, one), check_rates_agree(ecg, one))]
    findings += [check_clocks(found)] if len(found) > 1 else []
    leads = check_leads(found)
    findings += [leads] if leads else []
    findings += check_targets(targets)
    return findings
