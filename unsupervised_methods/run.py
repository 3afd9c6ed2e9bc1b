"""Mode `unsupervised_method`: every classical method on every recording, read once, and one report of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips.references import pulse_reference, reference_notes
from evaluation import bland_altman, console, pictures
from evaluation.evaluate import rows
from evaluation.metrics import check_names, is_plot
from evaluation.presets import METHODS, Preset, preset, presets
from evaluation.report import incomplete, print_comparison, write_report
from evaluation.results import RecordingResult, Row, uniform
from evaluation.summary import Table, constant_mean, table
from evaluation.tables import completeness
from evaluation.vitals import failures, vitals_table, write_vitals
from registry import UNSUPERVISED

DRAWN = 4  # methods in the picture of an example wave
FLAG_WORDS = {
    "several_faces": "several faces in view",
    "first_face_s": "first face after {:.1f} s",
    "face_left_box": "face outside the box in {:.0%} of the looked-at time",
}


@dataclass(frozen=True)
class Sample:
    """What is read of one recording, once: mean colours (T, 3) of its faces, its clock, its label and its reference.

    `label` (T,) is the label at the frames, None without; `flags` says what is unusual about the recording.
    """

    id: str
    subject: str
    trace: np.ndarray
    fs: float
    times: np.ndarray | None = None
    label: np.ndarray | None = None
    reference: Any = None
    flags: str = ""


@dataclass(frozen=True)
class Settings:
    """What the evaluation needs of the configuration, as plain values."""

    metrics: list[str]
    estimator: str
    window_seconds: float | None
    preset: Preset
    exact: Preset
    fs: float  # configured frames per second; 0: each recording's own
    chunk: int  # frames of a chunk that counts as a recording; 0: whole recordings


def run(config: Any) -> Path:
    """Run the methods of UNSUPERVISED.METHOD as `config` says; returns the path of the report.

    Raises ValueError for names and settings that cannot work, before anything is read. Missing recordings raise
    IncompleteError unless ALLOW_INCOMPLETE: before any error is computed, but, for data without labels, after the
    rates of the others are written.
    """
    methods, settings = chosen_methods(config), read_settings(config)
    prepared = _prepare(config)
    samples = read_samples(prepared, config.UNSUPERVISED.DATA)
    labelled = any(sample.label is not None or sample.reference is not None for sample in samples)
    if labelled:
        samples = long_enough(samples, prepared, settings.exact)
    if labelled or not samples:
        prepared.check()
    failed = [(recording.id, reason) for recording, reason in prepared.failed]
    if labelled:
        return _errors(config, _run_folder(config), methods, samples, failed, settings)
    report, lost = _vitals(config, _run_folder(config), methods, samples, failed, settings)
    _move_failed(prepared, lost)
    prepared.check()
    return report


def chosen_methods(config: Any) -> dict[str, Callable]:
    """Name -> function of UNSUPERVISED.METHOD, in its order; ValueError when empty, KeyError for an unknown name."""
    names = list(config.UNSUPERVISED.METHOD)
    if not names:
        raise ValueError(
            f"UNSUPERVISED.METHOD is empty: name at least one of {', '.join(UNSUPERVISED.names())}, such as ['POS']."
        )
    return {name: UNSUPERVISED[name] for name in names}


def read_settings(config: Any) -> Settings:
    """The evaluation's settings, checked before hours of work: ValueError names the key."""
    section, inference = config.UNSUPERVISED, config.INFERENCE
    check_names(section.METRICS, "UNSUPERVISED.METRICS")
    if inference.EVALUATION_METHOD not in METHODS:
        raise ValueError(
            f"INFERENCE.EVALUATION_METHOD is {inference.EVALUATION_METHOD!r}; known: {', '.join(METHODS)}."
        )
    window, band = inference.EVALUATION_WINDOW, list(inference.HR_BAND)
    process = section.DATA.PREPROCESS
    return Settings(
        metrics=list(section.METRICS),
        estimator=inference.EVALUATION_METHOD,
        window_seconds=float(window.WINDOW_SIZE) if window.USE_SMALLER_WINDOW else None,
        preset=presets(inference.PRESET, band)[-1],
        exact=preset("exact", band),
        fs=float(section.DATA.RESAMPLE_FS or section.DATA.FS),
        chunk=int(process.CHUNK_LENGTH) if process.DO_CHUNK else 0,
    )


def read_samples(prepared: Any, data: Any) -> list[Sample]:
    """Every prepared recording's colours and label; those whose entry or label cannot be read move to `failed`."""
    if prepared.legacy:
        return _legacy_samples(prepared)
    label_type = data.PREPROCESS.LABEL_TYPE
    if label_type == "DiffNormalized":
        print(
            "UNSUPERVISED.DATA.PREPROCESS.LABEL_TYPE is DiffNormalized: classical methods give the wave itself, "
            "so the label is used as Raw."
        )
        label_type = "Raw"
    samples, failed = [], {}
    for recording in prepared.recordings:
        try:
            samples.append(_read(prepared.entry(recording), label_type, data.LABEL_ALIGN, data.RESAMPLE_FS))
        except (OSError, ValueError, RuntimeError) as error:  # the cache raises RuntimeError for a damaged entry
            failed[recording.id] = str(error)
    _move_failed(prepared, failed)
    return samples


def long_enough(samples: Sequence[Sample], prepared: Any, exact: Preset) -> list[Sample]:
    """The samples that last long enough for a rate; the other recordings move to `failed`."""
    lengths = {} if prepared.legacy else {sample.id: len(sample.trace) / sample.fs for sample in samples}
    short = {name: seconds for name, seconds in lengths.items() if seconds < exact.min_seconds}
    words = "{:.1f} s are too short for a rate: {:g} s needed. Leave the recording out."
    _move_failed(prepared, {name: words.format(seconds, exact.min_seconds) for name, seconds in short.items()})
    return [sample for sample in samples if sample.id not in short]


def _read(entry: Any, label_type: str, align: str, resample_fs: float) -> Sample:
    """One recording's sample; its reference is `ppg`, or the beats of `ecg`. `resample_fs` > 0: read at that rate."""
    trace, fs, times = resampled_trace(entry, resample_fs)
    signal = pulse_reference(entry.signals)
    label = None if signal is None else _label(signal, times, len(trace), label_type, align)
    return Sample(entry.id, entry.subject, trace, fs, times, label, signal, describe_flags(entry.flags))


def resampled_trace(entry: Any, resample_fs: float) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Mean colours (T, 3) of an entry, their rate (Hz) and times (s): as stored, or at `resample_fs` if that is set."""
    trace, fs, times = np.asarray(entry.trace, dtype=float), float(entry.fs), entry.times
    if resample_fs <= 0:
        return trace, fs, times
    own = np.arange(len(trace)) / fs if times is None else np.asarray(times, dtype=float)
    trace, times = _at_rate(trace, own, resample_fs)
    return trace, float(resample_fs), times


def _at_rate(trace: np.ndarray, times: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """`trace` (T, 3) at `times` (s), linearly interpolated to `fs` (Hz), and the new times."""
    channels = [uniform(times, channel, fs) for channel in trace.T]
    return np.stack([values for _, values in channels], axis=1), channels[0][0]


def _label(signal: Any, times: np.ndarray | None, length: int, label_type: str, align: str) -> np.ndarray:
    from dataset.clips import labels

    return labels.transform(labels.align(signal, times, length, mode=align), label_type)


def _legacy_samples(prepared: Any) -> list[Sample]:
    """Recordings of rPPG-Toolbox's own chunks: they know neither time nor reference."""
    if prepared.types[:1] != ("Raw",):
        raise ValueError(
            f"UNSUPERVISED.DATA.PREPROCESS.DATA_TYPE is {list(prepared.types)}: mean colours need Raw chunks. "
            "Name a cache of Raw chunks, or the raw data."
        )
    chunks, samples = prepared.clips(), []
    for name in chunks.recordings:
        label = np.asarray(chunks.label(name))
        label = label if label.ndim == 1 else label[:, 0]  # the pulse comes first where a label has several columns
        samples.append(Sample(name, name, np.asarray(chunks.trace(name), dtype=float), prepared.fs, label=label))
    return samples


def _move_failed(prepared: Any, reasons: dict[str, str]) -> None:
    """Recordings with a reason are failed from now on."""
    prepared.failed += [
        (recording, reasons[recording.id]) for recording in prepared.recordings if recording.id in reasons
    ]
    prepared.recordings = [recording for recording in prepared.recordings if recording.id not in reasons]


def describe_flags(flags: dict[str, Any]) -> str:
    """What is unusual about a recording, in words: a face in part of the frames only, and every other set flag."""
    words = []
    for name, value in flags.items():
        if name == "face_coverage":
            if value is not None and value < 1:
                words.append(f"face in {100 * value:.0f} % of the looked-at frames")
        elif name in FLAG_WORDS and value:
            words.append(FLAG_WORDS[name].format(value))
        elif value:
            words.append(name.replace("_", " ") + ("" if value is True else f": {value}"))
    return "; ".join(words)


# ---------------------------------------------------------------------- predictions


def even(sample: Sample) -> Sample:
    """`sample` on an even time grid at its own rate, where its frames came unevenly; the label is left behind."""
    if sample.times is None or len(sample.times) < 2:
        return replace(sample, label=None)
    trace, times = _at_rate(sample.trace, np.asarray(sample.times, dtype=float), sample.fs)
    return replace(sample, trace=trace, times=times, label=None)


def native_rows(
    method: Callable, samples: Sequence[Sample], settings: Settings
) -> tuple[list[Row], list[RecordingResult]]:
    """Rows under `exact`, whole recordings in real time, and the predictions they came from."""
    found, results = [], []
    for sample in map(even, samples):
        prediction, problem = _predict(method, sample.trace, sample.fs)
        if problem:
            found.append(Row(sample.id, sample.subject, 0, 0.0, note=problem))
            continue
        times = None if sample.times is None else sample.times[: len(prediction)]
        result = RecordingResult(
            sample.id, sample.subject, sample.fs, prediction,
            reference=sample.reference, times=times, frames=len(sample.trace),
        )  # fmt: skip
        results.append(result)
        found += rows([result], settings.exact, settings.estimator, settings.window_seconds)
    return found, results


def label_rows(method: Callable, samples: Sequence[Sample], settings: Settings) -> list[Row]:
    """Rows under a preset that compares with the label at the frames; with chunks, each chunk is a recording."""
    found = []
    for sample in samples:
        fs, length = settings.fs or sample.fs, len(sample.trace)
        size = settings.chunk or length
        starts = range(0, length - size + 1, size)
        if not starts:
            found.append(
                Row(sample.id, sample.subject, 0, 0.0, note=f"{length} frames are fewer than a chunk of {size}")
            )
        count = len(found)
        for start in starts:
            part = _label_part(method, sample, slice(start, start + size), fs, settings)
            found += [
                replace(row, window=len(found) - count + k, start_s=row.start_s + start / fs)
                for k, row in enumerate(part)
            ]
    return found


def _label_part(method: Callable, sample: Sample, part: slice, fs: float, settings: Settings) -> list[Row]:
    prediction, problem = _predict(method, sample.trace[part], fs)
    if problem:
        return [Row(sample.id, sample.subject, 0, 0.0, note=problem)]
    label = None if sample.label is None else sample.label[part]
    result = RecordingResult(sample.id, sample.subject, fs, prediction, label)
    return rows([result], settings.preset, settings.estimator, settings.window_seconds)


def _predict(method: Callable, trace: np.ndarray, fs: float) -> tuple[np.ndarray, str]:
    """The pulse and "", or an empty array and why this recording has none."""
    try:
        return method(trace, fs), ""
    except ValueError as error:
        return np.empty(0), str(error)


# ---------------------------------------------------------------------- with labels


def _errors(
    config: Any,
    folder: Path,
    methods: dict[str, Callable],
    samples: Sequence[Sample],
    failed: list[tuple[str, str]],
    settings: Settings,
) -> Path:
    """Errors of every method: console lines of the preset, the comparison, the report."""
    results: dict[str, list[Table]] = {}
    predictions: dict[str, list[RecordingResult]] = {}
    for name, method in methods.items():
        print(f"===Unsupervised Method ( {name} ) Predicting ===")
        found, predictions[name] = native_rows(method, samples, settings)
        results[name] = [_table(name, found, settings.exact, settings)]
        if settings.preset.name != "exact":
            results[name].append(_table(name, label_rows(method, samples, settings), settings.preset, settings))
        print(f"Used Unsupervised Method: {name}")
        _say(results[name][-1], settings, failed)
    first = next(iter(results.values()))
    results["constant mean"] = [constant_mean(one) for one in first]
    report = write_report(
        folder, f"Classical methods on {config.UNSUPERVISED.DATA.DATASET}", results, failed,
        examples=_examples(results, predictions), correction=config.INFERENCE.BLAND_ALTMAN_CORRECTION,
        notes=[*reference_notes(sample.reference for sample in samples), *_flag_notes(samples)],
    )  # fmt: skip
    _plots(config, results, settings)
    print_comparison(results, failed, report)
    return report


def _table(name: str, found: list[Row], chosen: Preset, settings: Settings) -> Table:
    return table(name, found, chosen, settings.estimator, settings.window_seconds, settings.metrics)


def _say(one: Table, settings: Settings, failed: list[tuple[str, str]]) -> None:
    """What the numbers are, `INCOMPLETE n/m` above when recordings are missing, then rPPG-Toolbox's lines."""
    print(*filter(None, [incomplete(completeness([one], failed)), console.header(one)]), sep="\n")
    for line in console.lines(one, settings.metrics, settings.estimator, unsupervised=True):
        print(line)


def _examples(
    results: dict[str, list[Table]], predictions: dict[str, list[RecordingResult]]
) -> dict[str, RecordingResult]:
    """The typical recording of the first method, by up to four methods."""
    first = next(iter(predictions))
    typical = pictures.pick_example(results[first][0], predictions[first])
    if typical is None:
        return {}
    same = [(name, result) for name, made in predictions.items() for result in made if result.id == typical.id]
    return dict(same[:DRAWN])


def _flag_notes(samples: Sequence[Sample]) -> list[str]:
    return [f"{sample.id}: {sample.flags}" for sample in samples if sample.flags]


def _plots(config: Any, results: dict[str, list[Table]], settings: Settings) -> None:
    """Bland-Altman plots of the preset's rates, where METRICS asks for them."""
    if not any(map(is_plot, settings.metrics)):
        return
    data = config.UNSUPERVISED.DATA
    folder = Path(config.LOG.PATH) / data.EXP_DATA_NAME / "bland_altman_plots"
    for name, found in results.items():
        used = found[-1].valid
        if found[-1].baseline or not used:
            continue
        true, predicted = (np.array([getattr(row, key) for row in used]) for key in ("hr_true", "hr_pred"))
        correction = config.INFERENCE.BLAND_ALTMAN_CORRECTION
        bland_altman.plots(true, predicted, folder, f"{name}_{data.DATASET}", settings.estimator, correction)


# ---------------------------------------------------------------------- without labels


def _vitals(
    config: Any,
    folder: Path,
    methods: dict[str, Callable],
    samples: Sequence[Sample],
    failed: list[tuple[str, str]],
    settings: Settings,
) -> tuple[Path, dict[str, str]]:
    """Every recording's rate by every method, on screen and in files; the report, and recordings without any rate."""
    tables, predictions = [], {}
    for name, method in methods.items():
        found, predictions[name] = native_rows(method, samples, settings)
        tables.append(table(name, found, settings.exact, settings.estimator, settings.window_seconds, ()))
    flags = {sample.id: sample.flags for sample in samples if sample.flags}
    lost = failures(tables)
    first = next(iter(methods))
    rated = sorted((one for one in predictions[first] if one.id not in lost), key=lambda one: one.id in flags)
    title = f"Pulse of {config.UNSUPERVISED.DATA.DATASET}"
    examples = {first: rated[0]} if rated else {}
    report = write_vitals(folder, title, tables, failed, flags=flags, examples=examples)
    print(vitals_table(tables, failed, flags))
    print(f"Report: {report}")
    return report, lost


def _prepare(config: Any) -> Any:
    """The section's recordings, also when some are missing: what to do about those is decided when labels are known."""
    from dataset.prepare.section import IncompleteError, prepare

    try:
        return prepare(config.UNSUPERVISED.DATA, "unsupervised", config, bool(config.OVERWRITE))
    except IncompleteError as error:
        return error.prepared


def _run_folder(config: Any) -> Path:
    from config import run_folder

    return Path(run_folder(config))
