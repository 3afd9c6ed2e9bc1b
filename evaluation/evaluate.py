"""From predicted waves to one row per window, and from rows to a table with standard errors and intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluation import heart_rate
from evaluation.metrics import OF_RATES, Estimate, computed
from evaluation.post_process import bandpass, detrend, integrate
from evaluation.presets import METHODS, Preset
from registry import METRICS

SHORTEST = 10  # samples: a filter of order 1 pads with 9 and needs more than that
COVERAGE = 0.8  # share of a window that the reference signal has to cover
LONGEST_GAP = 0.5  # s between two samples of a reference; what lies in a longer gap is not covered
HARMONIC_TOLERANCE = 0.05  # a rate within 5 % of twice (half) the true one counts as doubled (halved)
HIGHEST_RATE = 250.0  # Hz: a reference sampled faster is read at this rate, so that detrending stays exact
UNLABELLED = ("no label", "no reference")  # notes of windows that lack nothing but the truth
FLAT = 1e-10  # a filtered wave smaller than this part of its input is rounding noise


@dataclass(frozen=True)
class RecordingResult:
    """What one recording leaves for the evaluation.

    prediction  (L,) predicted wave, one sample a frame
    label       (L,) or longer: the training label at the frames, transformed as `label_type` says; None without labels
    label_type  Raw | Standardized | DiffNormalized; the last has both waves integrated first
    reference   the recording's own pulse signal (values with fs, or with times in s, or neither: spread over the video)
    times       (L,) seconds of the frames; None: frame k is at k / fs
    clips       lengths of the clips that were joined
    frames      frames of the whole video, where the prediction stops earlier: spreads a reference without times
    """

    id: str
    subject: str
    fs: float
    prediction: np.ndarray
    label: np.ndarray | None = None
    label_type: str = "Raw"
    reference: Any = None
    times: np.ndarray | None = None
    clips: Sequence[int] = ()
    frames: int | None = None

    def __post_init__(self) -> None:
        """ValueError for a label type or rate that no evaluation can use."""
        if self.label_type not in ("Raw", "Standardized", "DiffNormalized"):
            raise ValueError(f"{self.id}: LABEL_TYPE is {self.label_type!r}; known: Raw, Standardized, DiffNormalized.")
        if not self.fs > 0:
            raise ValueError(f"{self.id}: FS is {self.fs!r}: set it to the video's frames per second.")

    @property
    def differential(self) -> bool:
        """Whether the waves are derivatives; the label's type decides for the prediction, too."""
        return self.label_type == "DiffNormalized"


@dataclass(frozen=True)
class Row:
    """One evaluated window. Rates in bpm, `snr` and `quality` in dB, NaN where undefined.

    `quality` is the SNR of the predicted peak itself: it needs no label. `note` says why a window gives no error.
    """

    id: str
    subject: str
    window: int
    start_s: float
    hr_true: float = math.nan
    hr_pred: float = math.nan
    snr: float = math.nan
    macc: float = math.nan
    note: str = ""
    seconds: float = math.nan
    quality: float = math.nan

    @property
    def valid(self) -> bool:
        """Whether the window has both rates and enters the metrics."""
        return math.isfinite(self.hr_true) and math.isfinite(self.hr_pred)

    @property
    def error(self) -> float:
        """Predicted minus true rate, bpm."""
        return self.hr_pred - self.hr_true


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
    results: Iterable[RecordingResult], preset: Preset, method: str = "FFT", window_seconds: float | None = None
) -> list[Row]:
    """One row per window of every recording, in order; windows of fewer than 10 samples are left out and printed.

    `method` is INFERENCE.EVALUATION_METHOD: "FFT" or "peak detection"; ValueError for another.
    """
    if method not in METHODS:
        raise ValueError(f"INFERENCE.EVALUATION_METHOD is {method!r}; known: {', '.join(METHODS)}.")
    evaluate_window = _native_row if preset.reference == "native" else _label_row
    found = []
    for result in results:
        length, label = len(result.prediction), result.label
        whole = max(length, len(label)) if preset.whole_label and label is not None else length
        count = len(found)
        for number, (start, size) in enumerate(windows(length, _rate(result, preset), window_seconds, whole)):
            if min(size, length - start) < SHORTEST:
                _say_ignored(min(size, length - start))
                continue
            found.append(evaluate_window(result, number, slice(start, start + size), preset, method))
        if len(found) == count:  # never silently missing from a table
            found.append(Row(result.id, result.subject, 0, 0.0, note=f"{length} samples are too few for a rate"))
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
    row = Row(result.id, result.subject, number, window.start / fs, seconds=len(prediction) / fs)
    if row.seconds < preset.min_seconds:
        return replace(row, note=_too_short(row.seconds, preset))
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


def _native_row(result: RecordingResult, number: int, window: slice, preset: Preset, method: str) -> Row:
    """Evaluate one window against the recording's own reference inside the window's time span."""
    times = frame_times(result)[window]
    row = Row(result.id, result.subject, number, float(times[0] - frame_times(result)[0]))
    row = replace(row, seconds=float(times[-1] - times[0]) * len(times) / (len(times) - 1))
    if row.seconds < preset.min_seconds:
        return replace(row, note=_too_short(row.seconds, preset))
    fs = _rate(result, preset)
    prediction = np.asarray(result.prediction)[window]
    prediction = integrate(prediction) if result.differential else prediction
    grid, prediction = uniform(times, prediction, fs)
    wave, problem = filtered(prediction, fs, preset)
    if problem:
        return replace(row, note=f"the prediction {problem}")
    row = _with_rate(row, wave, fs, preset, method)
    if result.reference is None:
        return replace(row, note=row.note or UNLABELLED[1])
    return _against_reference(row, result, wave, grid, fs, preset, method)


def _against_reference(
    row: Row, result: RecordingResult, wave: np.ndarray, grid: np.ndarray, fs: float, preset: Preset, method: str
) -> Row:
    """`row` with the rate of the reference inside the time span of `grid` (s) and the waves compared."""
    times, values = reference_wave(result)
    inside = (times >= grid[0] - 0.5 / fs) & (times <= grid[-1] + 0.5 / fs)
    times, values = times[inside], values[inside]
    steps = np.diff(times)
    covered = steps[steps <= LONGEST_GAP].sum() / (grid[-1] - grid[0])
    if covered < COVERAGE or len(times) < SHORTEST:
        return replace(row, note=f"the reference covers {covered:.0%} of the window")
    reference_fs = min(1.0 / float(np.median(np.diff(times))), HIGHEST_RATE)
    truth, problem = filtered(uniform(times, values, reference_fs)[1], reference_fs, preset)
    if problem:
        return replace(row, note=f"the reference {problem}")
    at_frames, problem = filtered(np.interp(grid, times, values), fs, preset)
    if problem:
        return replace(row, note=f"the reference {problem}")
    return _with_truth(row, wave, at_frames, estimate(truth, reference_fs, preset, method), fs, preset)


def _with_rate(row: Row, wave: np.ndarray, fs: float, preset: Preset, method: str) -> Row:
    """`row` with the predicted rate and its label-free quality."""
    rate = estimate(wave, fs, preset, method)
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


def _too_short(seconds: float, preset: Preset) -> str:
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
        return wave, f"has only {fs:.1f} samples per second, too few for the band up to {preset.band[1]:g} Hz"
    clean = bandpass(detrend(wave, preset.strength(fs)), fs, preset.band, preset.filter_order)
    if np.ptp(clean) <= FLAT * np.abs(wave).max():
        return clean, "is constant"
    return clean, ""


def estimate(wave: np.ndarray, fs: float, preset: Preset, method: str) -> float:
    """Rate (bpm) of a filtered `wave` (L,) by the preset's estimator; NaN when undefined."""
    if preset.spectral_peak:
        return heart_rate.spectral_peak_heart_rate(wave, fs, preset.band)
    if method == "FFT":
        return heart_rate.fft_heart_rate(wave, fs, preset.band)
    return heart_rate.peak_heart_rate(wave, fs, preset.refractory)


def frame_times(result: RecordingResult) -> np.ndarray:
    """Seconds (L,) of the predicted samples."""
    length = len(result.prediction)
    if result.times is None:
        return np.arange(length) / float(result.fs)
    return np.asarray(result.times, dtype=float)[:length]


def reference_wave(result: RecordingResult) -> tuple[np.ndarray, np.ndarray]:
    """Times (s, on the frames' clock) and finite values of the reference; gaps stay gaps in time.

    A clock of its own (frames without times) is taken to start with the video.
    """
    values = np.asarray(result.reference.values, dtype=float)
    if result.reference.times is not None:
        times = np.asarray(result.reference.times, dtype=float)
        times = times - times[0] if result.times is None else times
    elif result.reference.fs:
        times = frame_times(result)[0] + np.arange(len(values)) / float(result.reference.fs)
    else:
        frames = result.frames or len(result.prediction)
        times = frame_times(result)[0] + np.linspace(0, (frames - 1) / _mean_rate(result), len(values))
    good = np.isfinite(values) & np.isfinite(times)
    times, first = np.unique(times[good], return_index=True)
    return times, values[good][first]


def _mean_rate(result: RecordingResult) -> float:
    """Mean frames per second over the recording."""
    times = frame_times(result)
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else float(result.fs)


def uniform(times: np.ndarray, values: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """`values` (L,) at irregular `times` (s) put on an even grid of `fs` (Hz); untouched where already even to 5 %."""
    grid = times[0] + np.arange(int(round((times[-1] - times[0]) * fs)) + 1) / fs
    if len(grid) == len(times) and np.abs(grid - times).max() <= 0.05 / fs:
        return times, values
    return grid, np.interp(grid, times, values)


def aligned_waves(result: RecordingResult, preset: Preset) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Seconds (from the first frame), filtered prediction and filtered truth (L,) of a whole recording, for plots.

    The truth is the reference, else the label, else None; unusable parts of a reference are bridged by straight lines.
    """
    fs, times = _rate(result, preset), frame_times(result)
    prediction = integrate(np.asarray(result.prediction)) if result.differential else np.asarray(result.prediction)
    grid, prediction = uniform(times, prediction, fs)
    truth = None
    if result.reference is not None:
        truth = np.interp(grid, *reference_wave(result))
    elif result.label is not None:
        label = np.asarray(result.label)[: len(times)]
        truth = np.interp(grid, times, integrate(label) if result.differential else label)
    clean = [None if wave is None else filtered(wave, fs, preset)[0] for wave in (prediction, truth)]
    return grid - grid[0], clean[0], clean[1]


@dataclass(frozen=True)
class Score:
    """A metric over the windows: value, standard error, windows `n`, and a 95 % interval over `subjects`.

    `low` and `high` come from resampling subjects (NaN with fewer than two); `excluded` counts the windows left out.
    """

    value: float
    standard_error: float
    n: int
    subjects: int
    low: float = math.nan
    high: float = math.nan
    excluded: int = 0


def summary(found: Sequence[Row], metrics: Sequence[str], seed: int = 100, resamples: int = 1000) -> dict[str, Score]:
    """Every metric over the rows, with an interval from resampling subjects; the same seed, the same interval."""
    return {name: _score(found, name, seed, resamples) for name in metrics}


def _score(found: Sequence[Row], name: str, seed: int, resamples: int) -> Score:
    used = usable(found, name)
    subjects = sorted({row.subject for row in used})
    if not used:
        return Score(math.nan, math.nan, 0, 0, excluded=len(found))
    table = columns(used)
    value, error = METRICS[name](**table)
    low, high = _interval(name, table, [subjects.index(row.subject) for row in used], len(subjects), seed, resamples)
    return Score(float(value), float(error), len(used), len(subjects), low, high, len(found) - len(used))


def usable(found: Sequence[Row], name: str) -> list[Row]:
    """The rows that metric `name` can use: both rates there, and its own column finite."""
    own = {"SNR": "snr", "MACC": "macc"}.get(name, "hr_pred")
    return [row for row in found if row.valid and math.isfinite(getattr(row, own))]


def columns(found: Sequence[Row]) -> dict[str, np.ndarray]:
    """The rows as the arrays (n,) that metrics take."""
    return {
        "predicted": np.array([row.hr_pred for row in found]),
        "true": np.array([row.hr_true for row in found]),
        "snr": np.array([row.snr for row in found]),
        "macc": np.array([row.macc for row in found]),
    }


def _interval(
    name: str, table: dict[str, np.ndarray], owner: list[int], subjects: int, seed: int, resamples: int
) -> tuple[float, float]:
    """2.5 and 97.5 percentile of the metric over `resamples` draws of subjects with replacement."""
    if subjects < 2 or not resamples:
        return math.nan, math.nan
    random = np.random.default_rng(seed)
    block = max(1, 1_000_000 // len(owner))  # keeps the weights (block, n) in a few megabytes
    values = []
    for start in range(0, resamples, block):
        draws = random.integers(0, subjects, size=(min(block, resamples - start), subjects))
        counts = np.stack([np.bincount(draw, minlength=subjects) for draw in draws])
        values.append(np.atleast_1d(METRICS[name](**table, weights=counts[:, owner].astype(float)).value))
    values = np.concatenate(values)
    values = values[np.isfinite(values)]
    return tuple(np.percentile(values, [2.5, 97.5]).tolist()) if len(values) else (math.nan, math.nan)


def per_subject(found: Sequence[Row], metrics: Sequence[str]) -> dict[str, Estimate]:
    """Every metric with each subject counting once: mean over subjects of the subject's value, and its standard error.

    Pearson is the correlation of the subjects' mean rates.
    """
    return {name: _over_subjects(usable(found, name), name) for name in metrics}


def by_subject(found: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of every subject, subjects in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.subject, []).append(row)
    return groups


def _over_subjects(used: Sequence[Row], name: str) -> Estimate:
    groups = [columns(group) for group in by_subject(used).values()]
    if not groups:
        return Estimate(math.nan, math.nan)
    if name == "Pearson":
        means = {key: np.array([group[key].mean() for group in groups]) for key in groups[0]}
        return Estimate(*map(float, METRICS[name](**means)))
    values = np.array([METRICS[name](**group).value for group in groups], dtype=float)
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(len(values))))


@dataclass(frozen=True)
class Table:
    """All numbers of one method under one preset."""

    method: str
    preset: Preset
    estimator: str
    window_seconds: float | None
    rows: list[Row]
    scores: dict[str, Score]
    subjects: dict[str, Estimate] = field(default_factory=dict)
    baseline: bool = False

    @property
    def valid(self) -> list[Row]:
        """The rows that enter the errors."""
        return [row for row in self.rows if row.valid]

    @property
    def excluded(self) -> list[Row]:
        """The rows that enter no error; each has a note."""
        return [row for row in self.rows if not row.valid]

    def share(self, factor: float) -> float:
        """Share of windows whose rate is `factor` times the true one (2: doubled, 0.5: halved) within 5 %."""
        used = self.valid
        near = [abs(row.hr_pred / (factor * row.hr_true) - 1) <= HARMONIC_TOLERANCE for row in used if row.hr_true]
        return sum(near) / len(near) if near else math.nan


def table(
    method: str, found: list[Row], preset: Preset, estimator: str, window_seconds: float | None, metrics: Iterable[str]
) -> Table:
    """The rows of `method` under `preset` with everything computed from them; plots among `metrics` are ignored."""
    names = computed(metrics)
    return Table(
        method, preset, preset.estimator(estimator), window_seconds or None, found, summary(found, names),
        per_subject(found, names),
    )  # fmt: skip


def evaluate(
    method: str,
    results: Sequence[RecordingResult],
    chosen: Iterable[Preset],
    estimator: str = "FFT",
    window_seconds: float | None = None,
    metrics: Iterable[str] = OF_RATES,
) -> list[Table]:
    """One table per preset for the predictions of `method`."""
    names = list(metrics)
    return [
        table(method, rows(results, preset, estimator, window_seconds), preset, estimator, window_seconds, names)
        for preset in chosen
    ]


def constant_mean(like: Table, rate: float | None = None) -> Table:
    """The baseline that predicts one rate for everybody: `rate` (bpm, mean of training) or the test rates' own mean.

    A method that is not better than this has not measured the pulse. With the test rates' mean it is an
    oracle, the best constant there is.
    """
    rate_is_given = rate is not None and math.isfinite(rate)
    used = [row for row in like.rows if math.isfinite(row.hr_true)]
    mean = rate if rate_is_given else float(np.mean([row.hr_true for row in used])) if used else math.nan
    found = [replace(row, hr_pred=mean, snr=math.nan, macc=math.nan, quality=math.nan, note="") for row in used]
    names = [name for name in like.scores if name in OF_RATES]
    title = f"constant mean ({'training' if rate_is_given else 'test'} rates, {mean:.1f} {like.preset.unit})"
    return replace(
        like, method=title, rows=found, scores=summary(found, names), subjects=per_subject(found, names), baseline=True
    )
