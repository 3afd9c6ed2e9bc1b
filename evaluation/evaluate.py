"""From predicted waves to one row per window: filter, rate, and the truth in the same span of time."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from evaluation import heart_rate
from evaluation.path import Course, follow
from evaluation.post_process import bandpass, detrend, in_band, integrate
from evaluation.presets import AUTO, METHODS, SOURCES, WELCH, Preset
from evaluation.results import UNLABELLED, RecordingResult, Row, frame_times, reference_wave, uniform
from evaluation.truth import Floor, Truth, available, chosen, floor_of

SHORTEST = 10  # samples: a filter of order 1 pads with 9 and needs more than that
COVERAGE = 0.8  # share of a window that the reference signal has to cover
LONGEST_GAP = 0.5  # s between two samples of a reference; what lies in a longer gap is not covered
HIGHEST_RATE = 250.0  # Hz: a reference sampled faster is read at this rate, so that detrending stays exact
FLAT = 1e-10  # a filtered wave smaller than this part of its input is rounding noise


def windows(length: int, fs: float, window_seconds: float | None, whole: int | None = None) -> list[tuple[int, int]]:
    """(start, size) in frames of the windows over `length` frames; None or 0 seconds: one, the whole recording.

    The last one may reach beyond `length`: slicing cuts it. `whole` is the length of the recording where the
    wave is shorter than that.
    """
    size = whole or length
    if window_seconds:
        size = min(int(round(window_seconds * fs)), size)
    return [(start, size) for start in range(0, length, max(size, 1))]


def rows(
    results: Iterable[RecordingResult], preset: Preset, method: str = "FFT", window_seconds: float | None = None,
    say: bool = True,
) -> list[Row]:  # fmt: skip
    """One row per window of every recording, in order; windows of fewer than 10 samples are left out (`say`: printed).

    `method` is INFERENCE.EVALUATION_METHOD: one of METHODS; ValueError for another.
    """
    if method not in METHODS:
        raise ValueError(f"INFERENCE.EVALUATION_METHOD is {method!r}; known: {', '.join(METHODS)}.")
    evaluate_window = _native_row if preset.reference == "native" else _label_row
    followed = preset.follows(method)
    found = []
    for result in results:
        length, label = len(result.prediction), result.label
        whole = max(length, len(label)) if preset.whole_label and label is not None else length
        count, whole_course = len(found), _course(result, preset) if followed else ()
        extra = {} if preset.reference != "native" else {"truth": chosen(result, preset)}
        for number, (start, size) in enumerate(windows(length, _rate(result, preset), window_seconds, whole)):
            if min(size, length - start) < SHORTEST:
                if say:
                    _say_ignored(min(size, length - start))
                continue
            part = slice(start, start + size)
            try:
                found.append(evaluate_window(result, number, part, preset, method, *whole_course, **extra))
            except ValueError as error:  # of this window's times or values: the others go on
                found.append(Row(result.id, result.subject, number, 0.0, note=str(error), info=result.info))
        if len(found) == count:  # never silently missing from a table
            note = f"{length} samples are too few for a rate"
            found.append(Row(result.id, result.subject, 0, 0.0, note=note, info=result.info))
    return found


def _say_ignored(samples: int) -> None:
    """The line rPPG-Toolbox prints for a window that its filter cannot take."""
    print(f"Window frame size of {samples} is smaller than minimum pad length of 9. Window ignored!")


def _rate(result: RecordingResult, preset: Preset) -> float:
    """Samples per second of the prediction: measured where the preset works in real time, else as configured."""
    if preset.reference == "native" and result.times is not None and len(result.times) > 1:
        step = float(np.median(np.diff(result.times)))
        return 1.0 / step if step > 0 else float(result.fs)
    return float(result.fs)


def _label_row(result: RecordingResult, number: int, window: slice, preset: Preset, method: str) -> Row:
    """Evaluate one window against the label at the frames."""
    fs = float(result.fs)
    prediction = np.asarray(result.prediction)[window]
    row = Row(result.id, result.subject, number, window.start / fs, seconds=len(prediction) / fs, info=result.info)
    if row.seconds < preset.min_seconds:
        return replace(row, note=too_short(row.seconds, preset))
    wave, problem = filtered(prediction, fs, preset, result.differential)
    if problem:
        return replace(row, note=f"the prediction {problem}")
    row = _with_rate(row, wave, fs, preset, method)
    if result.label is None:
        return replace(row, note=row.note or UNLABELLED[0])
    label = np.asarray(result.label)[window]
    label = label if preset.whole_label else label[: len(wave)]
    truth, problem = filtered(label, fs, preset, result.differential)
    if problem:
        return replace(row, note=f"the label {problem}")
    return _with_truth(row, wave, truth, estimate(truth, fs, preset, method), fs, preset)


def _course(result: RecordingResult, preset: Preset) -> tuple[Course | None, str]:
    """The course of the predicted rate through the whole recording, on its clock, and why there is none."""
    grid, wave, fs, problem = whole_wave(result, preset)
    if problem:
        return None, problem
    found = follow(wave, fs, preset.band)
    return replace(found, times=found.times + grid[0]), ""


def even_wave(result: RecordingResult, preset: Preset) -> tuple[np.ndarray, np.ndarray, float]:
    """Times (s) and unfiltered prediction (L,) of a whole recording on an even clock, and its rate (Hz)."""
    fs, prediction = _rate(result, preset), np.asarray(result.prediction)
    grid, wave = uniform(frame_times(result), integrate(prediction) if result.differential else prediction, fs)
    return grid, wave, fs


def whole_wave(result: RecordingResult, preset: Preset) -> tuple[np.ndarray, np.ndarray, float, str]:
    """Times (s) and filtered prediction (L,) of a whole recording, their rate (Hz), and what is wrong ("": nothing)."""
    grid, prediction, fs = even_wave(result, preset)
    if len(grid) < preset.min_seconds * fs - 1:
        return grid, prediction, fs, f"lasts {len(grid) / fs:.1f} s; {preset.min_seconds:g} s are needed for a rate"
    wave, problem = filtered(prediction, fs, _own(result, preset, fs))
    return grid, wave, fs, problem


def _own(result: RecordingResult, preset: Preset, fs: float) -> Preset:
    """How the prediction, and the truth beside it, are filtered; the true rate is the same for every method."""
    return preset.summed(fs) if result.differential else preset


def _native_row(
    result: RecordingResult,
    number: int,
    window: slice,
    preset: Preset,
    method: str,
    course: Course | None = None,
    problem: str = "",
    truth: Truth | None = None,
) -> Row:
    """Evaluate one window against the recording's own reference inside the window's time span.

    `course` (or the `problem` in its place): the predicted rate is that of the course, not of the window by itself.
    `truth`: the true rate by another source than the spectrum of the reference wave.
    """
    times = frame_times(result)[window]
    row = Row(result.id, result.subject, number, float(times[0] - frame_times(result)[0]), info=result.info)
    row = replace(row, seconds=float(times[-1] - times[0]) * len(times) / (len(times) - 1))
    if row.seconds < preset.min_seconds:
        return replace(row, note=too_short(row.seconds, preset))
    fs = _rate(result, preset)
    prediction = np.asarray(result.prediction)[window]
    prediction = integrate(prediction) if result.differential else prediction
    grid, prediction = uniform(times, prediction, fs)
    wave, other = filtered(prediction, fs, _own(result, preset, fs))
    if problem or other:
        return replace(row, note=f"the prediction {problem or other}")
    row = _with_rate(row, wave, fs, preset, method, course and course.during(times[0], times[-1]))
    if truth is not None:
        row = _against_truth(row, truth, wave, grid, fs, preset)
        return _compared(row, result, wave, grid, fs, preset) if math.isfinite(row.hr_true) else row
    if result.reference is None:
        return replace(row, note=row.note or UNLABELLED[1])
    return _against_reference(row, result, wave, grid, fs, preset, method)


def _against_truth(row: Row, truth: Truth, wave: np.ndarray, grid: np.ndarray, fs: float, preset: Preset) -> Row:
    """`row` with the true rate by a source of its own, and the SNR at that rate."""
    rate, problem = truth.during(float(grid[0]), float(grid[-1]))
    if problem:
        return replace(row, note=f"the reference {problem}")
    return replace(row, hr_true=rate, snr=_snr(wave, rate, fs, preset))


def _compared(row: Row, result: RecordingResult, wave: np.ndarray, grid: np.ndarray, fs: float, preset: Preset) -> Row:
    """`row` with the likeness of the waves, where there is a wave to compare with."""
    if result.reference is None:
        return row
    at_frames, problem = filtered(np.interp(grid, *reference_wave(result)), fs, _own(result, preset, fs))
    return row if problem else replace(row, macc=heart_rate.macc(wave, at_frames))


def label_floors(
    results: Iterable[RecordingResult], preset: Preset, method: str = "FFT", window_seconds: float | None = None
) -> list[Floor]:
    """How far the ways to a true rate that these recordings have are apart from that of `preset`, window by window."""
    known = [result for result in results if available(result.sources)]
    ways = [way for way in SOURCES[1:] if any(way in available(one.sources) for one in known)]
    if preset.reference != "native" or preset.unit != "bpm" or len(ways) < 2:
        return []
    anything = [replace(one, prediction=np.sin(np.arange(len(one.prediction))), label_type="Raw") for one in known]
    first = preset.source if preset.source != AUTO else ways[0]
    rates = {
        way: {
            (row.id, row.window): row.hr_true
            for row in rows(anything, replace(preset, source=way), method, window_seconds, say=False)
        }
        for way in ways
    }
    others = [way for way in ways if way != first]
    own = rates.get(first, {})
    found = [
        floor_of(first, way, [(key[0], rate, rates[way].get(key, math.nan)) for key, rate in own.items()])
        for way in others
    ]
    return [one for one in found if one]


def _against_reference(
    row: Row, result: RecordingResult, wave: np.ndarray, grid: np.ndarray, fs: float, preset: Preset, method: str
) -> Row:
    """`row` with the rate of the reference inside the time span of `grid` (s) and the waves compared."""
    times, values = reference_wave(result)
    inside = (times >= grid[0] - 0.5 / fs) & (times <= grid[-1] + 0.5 / fs)
    times, values, own = times[inside], values[inside], _own(result, preset, fs)
    if own == preset and np.array_equal(times, grid):  # sampled with the frames: what is compared is what is rated
        at_frames, problem = filtered(values, fs, own)
        rate = math.nan if problem else estimate(at_frames, fs, preset, method)
    else:
        rate, problem = reference_rate(times, values, float(grid[-1] - grid[0]), preset, method)
        if not problem:
            at_frames, problem = filtered(np.interp(grid, times, values), fs, own)
    if problem:
        return replace(row, note=f"the reference {problem}")
    return _with_truth(row, wave, at_frames, rate, fs, preset)


def reference_rate(
    times: np.ndarray, values: np.ndarray, seconds: float, preset: Preset, method: str
) -> tuple[float, str]:
    """Rate (per minute) of a reference (L,) at `times` (s) in a window of `seconds`, and what is wrong with it."""
    steps = np.diff(times)
    covered = steps[steps <= LONGEST_GAP].sum() / seconds
    if covered < COVERAGE or len(times) < SHORTEST:
        return math.nan, f"covers {covered:.0%} of the window"
    fs = min(1.0 / float(np.median(steps)), HIGHEST_RATE)
    truth, problem = filtered(uniform(times, values, fs)[1], fs, preset)
    return (math.nan, problem) if problem else (estimate(truth, fs, preset, method), "")


def _with_rate(row: Row, wave: np.ndarray, fs: float, preset: Preset, method: str, rate: float | None = None) -> Row:
    """`row` with the predicted rate (`rate`, or that of the window by itself) and its label-free quality."""
    rate = estimate(wave, fs, preset, method) if rate is None else rate
    if not math.isfinite(rate):
        return replace(row, note="no rate in the prediction: fewer than two peaks or no bin in the band")
    return replace(row, hr_pred=rate, quality=_snr(wave, rate, fs, preset))


def _with_truth(row: Row, wave: np.ndarray, truth: np.ndarray, rate: float, fs: float, preset: Preset) -> Row:
    """`row` with the true rate, the SNR at that rate and the correlation of the two waves."""
    if not math.isfinite(rate):
        return replace(row, note=row.note or "no rate in the label: fewer than two peaks or no bin in the band")
    return replace(row, hr_true=rate, snr=_snr(wave, rate, fs, preset), macc=heart_rate.macc(wave, truth))


def _snr(wave: np.ndarray, rate: float, fs: float, preset: Preset) -> float:
    """SNR at `rate`; with a bin near every rate where the rate is not on the grid."""
    exact = preset.spectral_peak
    return heart_rate.snr(wave, rate, fs, preset.band, 0.02 if exact else None, count_twice=not exact)


def too_short(seconds: float, preset: Preset) -> str:
    """Why a window of `seconds` is not evaluated."""
    return f"{seconds:.1f} s are too short for a rate: {preset.min_seconds:g} s needed"


def filtered(wave: np.ndarray, fs: float, preset: Preset, differential: bool = False) -> tuple[np.ndarray, str]:
    """`wave` (L,) integrated if `differential`, detrended and band-passed, and what is wrong with it ("": nothing)."""
    if not np.isfinite(wave).all():
        bad = int((~np.isfinite(wave)).sum())
        return wave, f"holds NaN or infinite values ({bad} of {len(wave)})"
    wave = integrate(wave) if differential else wave
    if len(wave) <= 3 * (2 * preset.filter_order + 1):
        return wave, f"has only {len(wave)} samples here"
    if preset.band[1] >= fs / 2:
        few = f"has only {fs:.1f} samples per second, too few for the band up to {preset.band[1]:g} Hz"
        return wave, f"{few} (INFERENCE.HR_BAND)"
    clean = _clean(wave, fs, preset)
    if np.ptp(clean) <= FLAT * np.abs(wave).max():
        return clean, "is constant"
    return clean, ""


def _clean(wave: np.ndarray, fs: float, preset: Preset) -> np.ndarray:
    if preset.flat:
        return in_band(wave, fs, preset.band, preset.filter_order)
    return bandpass(detrend(wave, preset.detrend), fs, preset.band, preset.filter_order)


def estimate(wave: np.ndarray, fs: float, preset: Preset, method: str) -> float:
    """Rate (bpm) of a filtered `wave` (L,) by the preset's estimator; NaN when undefined."""
    if preset.spectral_peak:
        return heart_rate.spectral_peak_heart_rate(wave, fs, preset.band)
    method = preset.fixed or method
    if method == "FFT":
        return heart_rate.fft_heart_rate(wave, fs, preset.band)
    if method == WELCH:
        return heart_rate.welch_heart_rate(wave, fs, preset.band)
    return heart_rate.peak_heart_rate(wave, fs, preset.refractory)


def aligned_waves(result: RecordingResult, preset: Preset) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Seconds (from the first frame), filtered prediction and filtered truth (L,) of a whole recording, for plots.

    The truth is the reference, else the label, else None; unusable parts of a reference are bridged by straight lines.
    """
    times = frame_times(result)
    grid, prediction, fs = even_wave(result, preset)
    truth = None
    if result.reference is not None:
        truth = np.interp(grid, *reference_wave(result))
    elif result.label is not None:
        label = np.asarray(result.label)[: len(times)]
        truth = np.interp(grid, times, integrate(label) if result.differential else label)
    own = _own(result, preset, fs)
    clean = [None if wave is None else filtered(wave, fs, own)[0] for wave in (prediction, truth)]
    return grid - grid[0], clean[0], clean[1]
