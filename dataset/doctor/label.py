"""Checks of the pulse label: flat or clipped stretches, its heart rate, its length, its lag behind the video."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from dataset.clips.labels import length_note
from dataset.clips.resampling import steps_on_grid
from dataset.doctor.finding import Finding, grade, percent, worst
from dataset.files.names import plural
from dataset.prepare.clock import Video, wave_problem
from evaluation.evaluate import filtered
from evaluation.heart_rate import snr, spectral_peak_heart_rate
from evaluation.post_process import bandpass, detrend
from evaluation.presets import PRESETS

WIDE = replace(PRESETS["exact"], band=(0.5, 4.0))  # 30 to 240 bpm: wide enough to see a rate that cannot be
BAND = PRESETS["exact"].band  # of the camera's pulse, as in reports
STILL_SECONDS, STILL = 1.5, 0.03  # s without a beat at 40 bpm; share of the ordinary swing that counts as none
CLIP_SECONDS, CLIP_EDGE, CLIP_RUNS = 0.08, 0.001, 3  # s at the edge, share of the range that is the edge, how often
FLAT_LOOK, FLAT_BAD = 0.02, 0.20  # share of the samples
CLIPPED_LOOK, CLIPPED_BAD = 0.01, 0.10  # share of the samples
WINDOW = 10.0  # s of a heart rate
HR_LOW, HR_HIGH, HR_JUMP = 40.0, 180.0, 20.0  # bpm; the jump between neighbouring windows
LENGTH_LOOK, LENGTH_BAD = 0.02, 0.10  # share of the video without label (from 10 % on it cannot be aligned by time)
LAG_LOOK, LAG_BAD = 0.25, 0.5  # s; a finger's pulse is 0.05 to 0.25 s behind that of the face
LONGEST_LAG = 4.0  # s to each side that are searched
TRUSTED, UNCERTAIN = 0.4, 2.0  # correlation at the peak; standard errors within which another fits as well
LEAST = 0.02  # of correlation, that two lags must differ by: no two waves are filtered and sampled quite alike
POS_BAND = (0.75, 3.0)  # Hz: what POS lets through, so the label gets the same filter
SNR_WEAK, SNR_LOOK = -5.0, -9.0  # dB: noise alone gives -7.5 +/- 1.7 at any rate
SURE, DISAGREEMENT = 3.0, 10.0  # dB from which a camera pulse is certain; bpm from the label that it must not be off

RATE_LOW, RATE_HIGH = 5.0, 10_000.0  # Hz that a pulse can be sampled at

WEAK = "See what else is wrong here (light, motion, compression, a small face); without a cause, the skin shows little."


def clock_problem(signal: Any, times: np.ndarray, name: str = "label") -> Finding | None:
    """What makes the own clock of a signal called `name` useless: no plausible rate, or a jump; None: nothing does."""
    step = float(np.median(np.diff(times)))
    fs = 1 / step if step else math.inf
    if not RATE_LOW <= fs <= RATE_HIGH:
        units = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
        guess = next((f": are they {word}" for unit, word in units.items() if RATE_LOW <= fs * unit <= RATE_HIGH), "")
        guess = f"{guess}?" if guess and signal.times is not None else "."
        mend = f"Give the {name}'s times in seconds, or its samples per second."
        text = f"By its own clock the {name} has {fs:.3g} samples per second{guess}"
        return Finding(f"{name} clock", "bad", text, mend)
    try:
        steps_on_grid(times, fs)
    except ValueError as error:
        return Finding(f"{name} clock", "bad", f"The {name}'s {error}", "Repair its times, or leave it out.")
    return None


def flat_share(values: np.ndarray, fs: float) -> float:
    """Share of the samples of `values` (L,) that lie in a stretch of 1.5 s almost without change."""
    size = max(3, int(round(STILL_SECONDS * fs)))
    if len(values) < size or not np.ptp(values):
        return 0.0 if np.ptp(values) else 1.0
    swing = scipy.ndimage.maximum_filter1d(values, size) - scipy.ndimage.minimum_filter1d(values, size)
    still = swing <= STILL * np.percentile(swing, 90)
    return float(scipy.ndimage.binary_dilation(still, np.ones(size)).mean())


def clipped_share(values: np.ndarray, fs: float) -> float:
    """Share of the samples of `values` (L,) that stick to the highest or lowest value, beat after beat."""
    low, high = values.min(), values.max()
    edge, share = CLIP_EDGE * (high - low), 0.0
    if not edge:
        return 0.0
    for stuck in (values >= high - edge, values <= low + edge):
        bounds = np.flatnonzero(np.diff(np.concatenate([[0], stuck.astype(np.int8), [0]])))
        lengths = bounds[1::2] - bounds[::2]
        beats = lengths[(lengths >= max(3, CLIP_SECONDS * fs)) & (lengths < STILL_SECONDS * fs)]  # longer: flat
        share += beats.sum() / len(values) if len(beats) >= CLIP_RUNS else 0.0
    return float(share)


def check_shape(values: np.ndarray, fs: float) -> Finding:
    """Flat or clipped stretches of the label `values` (L,) at `fs` Hz."""
    flat, clipped = flat_share(values, fs), clipped_share(values, fs)
    found = {"label_flat": flat, "label_clipped": clipped}
    level = worst([grade(flat, FLAT_LOOK, FLAT_BAD), grade(clipped, CLIPPED_LOOK, CLIPPED_BAD)])
    if level == "ok":
        return Finding("label shape", "ok", "The label is neither flat nor clipped.", values=found)
    said = [f"flat in {percent(flat)} of its samples (sensor off or slipped)"] * (grade(flat, FLAT_LOOK) != "ok")
    said += [f"clipped in {percent(clipped)} of them (the sensor's range was too small)"] * (
        grade(clipped, CLIPPED_LOOK) != "ok"
    )
    mend = "Leave such parts or the whole recording out of training; heart rates may survive clipping, waves do not."
    return Finding("label shape", level, f"The label is {' and '.join(said)}.", mend, found)


def window_rates(values: np.ndarray, fs: float, seconds: float = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Heart rate (bpm) and its SNR (dB) in each whole window of `values` (L,); a shorter wave is one window.

    None of a wave that is sampled so seldom that no window holds a beat.
    """
    size = min(int(round(seconds * fs)), len(values))
    found = []
    if size < 2 or fs < 2 * WIDE.band[1]:
        return np.empty(0), np.empty(0)
    for start in range(0, len(values) - size + 1, size):
        wave, problem = filtered(values[start : start + size], fs, WIDE)
        if not problem:
            rate = spectral_peak_heart_rate(wave, fs, WIDE.band)
            found.append((rate, snr(wave, rate, fs, WIDE.band, 0.02, count_twice=False)))
    rates = np.array(found).reshape(-1, 2)
    return rates[:, 0], rates[:, 1]


def check_heart_rate(values: np.ndarray, fs: float) -> Finding:
    """Whether the heart rate of the label `values` (L,) is one a person can have: range, jumps, a rhythm at all."""
    rates, quality = window_rates(values, fs)
    if not len(rates):
        return Finding("label rate", "", "Not checked: no heart rate can be read off the label.")
    jump = float(np.abs(np.diff(rates)).max(initial=0.0))
    odd = int(np.count_nonzero((rates < HR_LOW) | (rates > HR_HIGH)))
    found = {"hr_bpm": float(np.median(rates)), "hr_min": float(rates.min()), "hr_max": float(rates.max())}
    found |= {"hr_jump": jump, "label_snr_db": float(np.median(quality))}
    text = f"{found['hr_bpm']:.0f} bpm by the label ({rates.min():.0f} to {rates.max():.0f} in windows of 10 s)"
    if found["label_snr_db"] < 0:
        reason = "without a clear rhythm: noise or motion outweighs the pulse"
    elif odd:
        reason = f"outside {HR_LOW:.0f}-{HR_HIGH:.0f} bpm in {odd} of {plural(len(rates), 'window')}"
    elif jump > HR_JUMP:
        reason = f"with a jump of {jump:.0f} bpm from one window to the next"
    else:
        return Finding("label rate", "ok", f"{text}.", values=found)
    mend = "Look at the label's wave: a slipped sensor, a wrong column or a wrong sampling rate looks like this."
    return Finding("label rate", "bad" if 2 * odd >= len(rates) else "look", f"{text}, {reason}.", mend, found)


def check_length(signal: Any, times: np.ndarray | None, count: int, fs: float) -> Finding:
    """Whether the label `signal` lasts as long as the video of `count` frames at `times` (s) or `fs` (Hz)."""
    video = count / fs if times is None else float(times[-1] - times[0])
    problem = wave_problem(signal, Video.of(times, count, fs))
    if problem:
        found = {"label_s": _seconds(signal), "video_s": video}
        return Finding("label length", "bad", f"The label {problem}", "Mend the label's file.", found)
    if signal.times is None or times is None:
        return _length_by_count(signal, count, fs, video)
    inside = np.clip(np.asarray(times), signal.times[0], signal.times[-1]) == times
    missing, length = 1.0 - float(inside.mean()), float(signal.times[-1] - signal.times[0])
    gap = float(np.diff(signal.times).max(initial=0.0))
    found = {"label_s": length, "video_s": video, "label_missing": missing, "label_gap_s": gap}
    text = f"The label lasts {length:.1f} s, the video {video:.1f} s"
    level = worst([grade(missing, LENGTH_LOOK, LENGTH_BAD), grade(gap, 0.5, 3.0)])
    if level == "ok":
        return Finding("label length", "ok", f"{text}.", values=found)
    said = [f"{percent(missing)} of the frames lie outside it"] * (grade(missing, LENGTH_LOOK) != "ok")
    said += [f"its longest gap is {gap:.1f} s"] * (gap > 0.5)
    mend = "Check that both were started together and that the label belongs to this video; else leave it out."
    return Finding("label length", level, f"{text}; {' and '.join(said)}.", mend, found)


def _length_by_count(signal: Any, count: int, fs: float, video: float) -> Finding:
    """Without times on both sides the label is stretched over the video: whether that changes its speed."""
    samples, length = len(signal.values), _seconds(signal)
    found = {"label_s": length, "video_s": video}
    note = length_note(signal if signal.times is None else replace(signal, fs=samples / length), count, fs)
    if not note:
        of = f"{length:.1f} s" if length else f"{plural(samples, 'sample')} for {count} frames"
        return Finding(
            "label length", "ok", f"The label ({of}) is spread over the video of {video:.1f} s.", values=found
        )
    off = abs((length or samples / fs) / video - 1)
    real = f" If both cover the same time, the video has {count / length:.2f} frames per second." if length else ""
    mend = f"Check FS ({fs:g}) and the label's sampling rate, or give both real times (a column `time`).{real}"
    return Finding("label length", grade(off, LENGTH_LOOK, LENGTH_BAD), f"{note[0].upper()}{note[1:]}.", mend, found)


def _seconds(signal: Any) -> float | None:
    """How long a signal lasts by its own times or rate; None where it has neither."""
    if signal.times is not None:
        return float(signal.times[-1] - signal.times[0])
    return len(signal.values) / signal.fs if signal.fs else None


def cross_correlation(a: np.ndarray, b: np.ndarray, reach: int) -> np.ndarray:
    """Correlation of `a` (L,) with `b` (L,) moved by -reach ... reach samples (2 reach + 1,), over what overlaps.

    Positive moves mean: `b` comes later than `a`.
    """
    product = scipy.signal.correlate(b, a, mode="full", method="fft")[len(a) - 1 - reach : len(a) + reach]
    powers = [np.concatenate([[0.0], np.cumsum(wave**2)]) for wave in (a, b)]
    moves = np.arange(-reach, reach + 1)
    first, last = np.maximum(-moves, 0), len(a) - np.maximum(moves, 0)  # of a; b is moved on by `moves`
    energy = (powers[0][last] - powers[0][first]) * (powers[1][last + moves] - powers[1][first + moves])
    return np.divide(product, np.sqrt(np.maximum(energy, 0)), out=np.zeros_like(product), where=energy > 0)


def reach(length: int, fs: float) -> int:
    """Samples to each side that a lag is searched in for waves of `length` samples at `fs` Hz."""
    return int(min(LONGEST_LAG, length / fs / 3) * fs)


def like_pos(values: np.ndarray, fs: float) -> np.ndarray:
    """The label `values` (L,) filtered as POS filters its pulse."""
    return bandpass(detrend(values), fs, POS_BAND, order=1)


@dataclass(frozen=True)
class Lag:
    """Where the label fits the camera's pulse. `seconds` > 0: the label comes late.

    `correlation` there (negative where only an inverted label fits); `rivals`: other lags (s) that fit as well.
    """

    seconds: float
    correlation: float
    rivals: tuple[float, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether the two waves are alike enough to tell."""
        return abs(self.correlation) >= TRUSTED


def find_lag(pulse: np.ndarray, label: np.ndarray, fs: float) -> Lag:
    """Lag of `label` (L,) behind the camera's `pulse` (L,), both filtered alike at `fs` Hz and rising with the blood.

    A pulse looks much the same a beat later, or upside down half a beat later. Of all lags within 4 s that fit the
    best one's correlation but for its own uncertainty, the one nearest to 0 is taken, upright before inverted.
    """
    middle = reach(len(pulse), fs)
    fit = cross_correlation(pulse, label, middle)
    tops = [(sign * fit[k], k, sign) for sign in (1, -1) for k in scipy.signal.find_peaks(sign * fit)[0]]
    if not tops:
        return Lag(0.0, 0.0)
    best = max(tops)
    same = cross_correlation(label, label, 2 * middle)
    # Standard error of a correlation of waves about 1 Hz wide (two independent values a second), and of the difference
    # of two of them, which is smaller: both compare with the same label, moved by a beat that is like the next.
    error = math.sqrt(max(1 - best[0] ** 2, 0.0) * fs / (2 * len(pulse)))
    alike = [best[2] * sign * same[2 * middle + k - best[1]] for _, k, sign in tops]
    margins = [max(LEAST, UNCERTAIN * error * math.sqrt(max(2 - 2 * one, 0.0))) for one in alike]
    equal = [top for top, margin in zip(tops, margins, strict=True) if top[0] >= best[0] - margin]
    equal.sort(key=lambda top: (-top[2], abs(top[1] - middle)))
    value, place, sign = equal[0]
    seconds = (place - middle + _vertex(sign * fit[place - 1 : place + 2])) / fs
    rivals = tuple(float((k - middle) / fs) for _, k, s in equal[1:] if s == sign)
    return Lag(float(seconds), float(sign * value), rivals)


def _vertex(three: np.ndarray) -> float:
    """Place of the top of the parabola through three values, in samples from the middle one."""
    bend = three[0] - 2 * three[1] + three[2]
    return float(np.clip(0.5 * (three[0] - three[2]) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def check_lag(pulse: np.ndarray, label: np.ndarray, fs: float) -> Finding:
    """How far the `label` (L,) lies behind the camera's `pulse` (L,), both filtered alike; empty: cannot be told."""
    if not len(pulse) or not pulse.any():
        return Finding("label lag", "", "Not checked: camera pulse and label share less than 5 s, or one is constant.")
    lag = find_lag(pulse, label, fs)
    found = {"lag_s": lag.seconds, "lag_correlation": lag.correlation, "lag_trusted": lag.trusted}
    found["lag_rivals"] = len(lag.rivals)
    at = f"correlation {abs(lag.correlation):.2f}"
    if not lag.trusted:
        text = f"The lag cannot be told: within {LONGEST_LAG:g} s camera and label are too unlike"
        text += f" ({at} at best, {TRUSTED:g} needed)."
        return Finding("label lag", "", text, values=found)
    late = "late" if lag.seconds > 0 else "early"
    text = f"The label comes {abs(lag.seconds):.2f} s {late}" if abs(lag.seconds) > 0.5 / fs else "The label is in time"
    text += f" ({at}{_or_else(lag)})"
    level = grade(abs(lag.seconds), LAG_LOOK, LAG_BAD)
    if lag.correlation < 0:
        text, level = f"{text}; it fits upside down only", worst([level, "look"])
    if level == "ok":
        return Finding("label lag", "ok", f"{text}.", values=found)
    mend = f"Shift the label's times by {-lag.seconds:+.2f} s" + (" and turn its sign" if lag.correlation < 0 else "")
    mend += ". Networks that learn the wave need it; heart rates over windows of 10 s and more hardly mind."
    return Finding("label lag", level, f"{text}.", mend, found)


def _or_else(lag: Lag) -> str:
    return f"; as one beat is like the next, {lag.rivals[0]:+.2f} s would fit as well" if lag.rivals else ""


def check_camera(pulse: np.ndarray, fs: float, problem: str, rate: float | None = None) -> Finding:
    """Whether POS finds a `pulse` (L,) in the video: its SNR at the label's `rate` (bpm), or at its own without one."""
    if not len(pulse) or not pulse.any():
        reason = problem or "the colours never change."
        return Finding(
            "camera pulse",
            "look",
            f"No pulse can be computed: {reason}",
            "Look at the pictures: a still image, or too short a video.",
        )
    own = spectral_peak_heart_rate(pulse, fs, BAND)
    quality = snr(pulse, own, fs, BAND, 0.02, count_twice=False)
    found = {"pos_bpm": own, "pos_quality_db": quality}
    if rate is None or not math.isfinite(rate):
        text = f"POS finds {own:.0f} bpm with an SNR of {quality:.1f} dB at that rate"
        if quality >= 0:
            return Finding("camera pulse", "ok", f"{text}.", values=found)
        return Finding("camera pulse", "look", f"{text}: a weak pulse, not to be trusted.", WEAK, found)
    at_label = snr(pulse, rate, fs, BAND, 0.02, count_twice=False)
    found["pos_snr_db"] = at_label
    text = f"POS has an SNR of {at_label:.1f} dB at the label's rate of {rate:.0f} bpm"
    if quality >= SURE and abs(own - rate) > DISAGREEMENT:
        text += f", but finds {own:.0f} bpm with {quality:.1f} dB: they do not belong together, or a clock is wrong."
        mend = "Check that the label belongs to this video, its sampling rate, and FS."
        return Finding("camera pulse", "bad", text, mend, found)
    if at_label < SNR_LOOK:
        return Finding("camera pulse", "look", f"{text}: less than noise alone would have.", WEAK, found)
    weak = ": weak, noise alone has about -7 dB" if at_label < SNR_WEAK else ""
    return Finding("camera pulse", "ok", f"{text}{weak}.", values=found)
