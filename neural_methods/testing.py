"""From a trained network to a report: predictions of every clip, joined per recording, saved, then evaluated.

The same recordings are also measured by two classical methods and by the constant mean, for a scale to read errors on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips import labels
from dataset.clips.references import pulse_reference
from dataset.data_loader.base import Signal
from evaluation import bland_altman, console, pictures
from evaluation.evaluate import rows
from evaluation.heads import PPG_BOX
from evaluation.metrics import check_names, is_plot
from evaluation.outputs import write_outputs
from evaluation.presets import METHODS as ESTIMATORS
from evaluation.presets import preset, presets
from evaluation.report import incomplete, write_report
from evaluation.results import RecordingResult
from evaluation.summary import Table, constant_mean, evaluate, table
from evaluation.tables import completeness
from evaluation.vitals import vitals_table, write_vitals
from neural_methods import heads
from neural_methods.heads import Head
from registry import UNSUPERVISED
from unsupervised_methods.run import Sample, Settings, describe_flags, label_rows, native_rows, resampled_trace

COMPARED = ("POS", "GREEN")  # classical methods measured beside the network
Clips = Mapping[int, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Names:
    """Where a test writes: `id` starts the names of files."""

    id: str
    title: str
    outputs: Path  # folder of the output pickle
    plots: Path  # folder of the Bland-Altman plots
    folder: Path  # the run's own folder


def read_settings(config: Any) -> Settings:
    """The evaluation's settings, checked before any work: ValueError names the key."""
    check_names(config.TEST.METRICS, "TEST.METRICS")
    inference = config.INFERENCE
    if inference.EVALUATION_METHOD not in ESTIMATORS:
        raise ValueError(
            f"INFERENCE.EVALUATION_METHOD is {inference.EVALUATION_METHOD!r}; known: {', '.join(ESTIMATORS)}."
        )
    window, band = inference.EVALUATION_WINDOW, list(inference.HR_BAND)
    return Settings(
        metrics=list(config.TEST.METRICS),
        estimator=inference.EVALUATION_METHOD,
        window_seconds=float(window.WINDOW_SIZE) if window.USE_SMALLER_WINDOW else None,
        preset=presets(inference.PRESET, band)[-1],
        exact=preset("exact", band),
        fs=float(config.TEST.DATA.RESAMPLE_FS or config.TEST.DATA.FS),
        chunk=0,
    )


def save_outputs(predictions: Mapping[str, Clips], label_type: str, fs: float, names: Names) -> Path:
    """Write rPPG-Toolbox's output pickle before anything else can fail: recording -> clip -> wave (T,)."""
    waves = {name: {clip: outputs["ppg"] for clip, outputs in clips.items()} for name, clips in predictions.items()}
    truth = {name: {clip: _label(outputs) for clip, outputs in clips.items()} for name, clips in predictions.items()}
    return write_outputs(names.outputs / f"{names.id}_outputs.pickle", waves, truth, label_type, fs)


def _label(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return outputs["label"] if "label" in outputs else np.full(len(outputs["ppg"]), np.nan, dtype=np.float32)


def recording_result(
    entry: Any,
    clips: Clips,
    label_type: str,
    chunk_length: int | None,
    fs: float = 0.0,
    grid: np.ndarray | None = None,
) -> RecordingResult:
    """The clips of one recording, joined in the order of their numbers, with the recording's own reference.

    Clip k starts at frame k * `chunk_length` (None: there is one clip). `fs` overrides the recording's rate; `grid`
    holds the frames' times (s) where clips were read at another rate than stored.
    """
    ordered = [clips[number] for number in sorted(clips)]
    waves = [np.ravel(outputs["ppg"]) for outputs in ordered]
    frames = heads.frames_of(clips, chunk_length)
    rate = float(fs or entry.fs)
    times = entry.times if grid is None else grid
    reference = pulse_reference(entry.signals)
    gaps = len(frames) and frames[-1] != len(frames) - 1
    if times is not None:
        times = np.asarray(times, dtype=float)[frames]
    elif gaps:  # frames are missing between clips, so time must be spelt out; the reference then starts with the video
        times, reference = frames / rate, _from_zero(reference)
    has_label = all("label" in outputs and np.isfinite(outputs["label"]).all() for outputs in ordered)
    return RecordingResult(
        id=entry.id,
        subject=entry.subject,
        fs=rate,
        prediction=np.concatenate(waves),
        label=np.concatenate([np.ravel(outputs["label"]) for outputs in ordered]) if has_label else None,
        label_type=label_type,
        reference=reference,
        times=times,
        clips=[len(wave) for wave in waves],
        frames=len(entry.faces),
    )


def chunk_result(name: str, clips: Clips, label_type: str, fs: float) -> RecordingResult:
    """The clips of one recording of rPPG-Toolbox's chunks, which know neither subject nor time."""
    ordered = [clips[number] for number in sorted(clips)]
    waves = [np.ravel(outputs["ppg"]) for outputs in ordered]
    label = np.concatenate([np.ravel(_label(outputs)) for outputs in ordered])
    return RecordingResult(
        name, name, fs, np.concatenate(waves), label, label_type, clips=[len(wave) for wave in waves]
    )  # fmt: skip


def _from_zero(signal: Signal | None) -> Signal | None:
    if signal is None or signal.times is None:
        return signal
    return replace(signal, times=np.asarray(signal.times, dtype=float) - signal.times[0])


def classical_sample(entry: Any, result: RecordingResult, align: str, resample_fs: float = 0.0) -> Sample:
    """The same frames of the same recording as `result`, as mean colours for the classical methods.

    `resample_fs` > 0: at that rate, as the clips were read.
    """
    trace, fs, times = resampled_trace(entry, resample_fs)
    signal, label = pulse_reference(entry.signals), None
    if signal is not None and result.label is not None:
        label = labels.transform(labels.align(signal, times, len(trace), mode=align), "Raw")
    length = min(len(trace), sum(result.clips))
    times = None if times is None else np.asarray(times, dtype=float)[:length]
    label = None if label is None else label[:length]
    flags = describe_flags(entry.flags)
    return Sample(entry.id, entry.subject, trace[:length], fs, times, label, signal, flags)


@dataclass(frozen=True)
class Tested:
    """What a test leaves: the report's path, tables by method, (id, reason) of what failed, a typical recording."""

    path: Path
    tables: dict[str, list[Table]]
    failed: list[tuple[str, str]]
    typical: RecordingResult | None = None
    notes: tuple[str, ...] = ()
    heads: tuple[Head, ...] = ()  # what the network gives beside the pulse


def report(
    method: str,
    results: Sequence[RecordingResult],
    samples: Sequence[Sample],
    failed: Sequence[tuple[str, str]],
    settings: Settings,
    names: Names,
    *,
    training_rate: float | None = None,
    correction: bool = True,
    notes: Sequence[str] = (),
    others: Sequence[Head] = (),
) -> Tested:
    """Print rPPG-Toolbox's lines of the chosen preset, write report, tables and plots. Without labels: only rates."""
    if not any(result.reference is not None or result.label is not None for result in results):
        return Tested(_vitals(method, results, samples, failed, settings, names), {}, list(failed), notes=tuple(notes))
    chosen = list(dict.fromkeys([settings.exact, settings.preset]))
    own = evaluate(method, results, chosen, settings.estimator, settings.window_seconds, settings.metrics)
    tables = {method: own} | {name: _classical(name, samples, settings) for name in COMPARED if samples}
    tables["constant mean"] = [constant_mean(one, training_rate) for one in own]
    typical = pictures.pick_example(own[0], results)
    tested = Tested(names.folder / "report.md", tables, list(failed), typical, tuple(notes), tuple(others))
    return publish(tested, settings, names, correction)


def publish(tested: Tested, settings: Settings, names: Names, correction: bool = True) -> Tested:
    """Print and write the tables of a test; those of the network come first among them."""
    method, own = next(iter(tested.tables.items()))
    if tested.heads:
        print(*PPG_BOX, sep="\n")
    warning = incomplete(completeness([own[-1]], tested.failed))
    print(*filter(None, [warning, console.header(own[-1])]), sep="\n")
    print(*console.lines(own[-1], settings.metrics, settings.estimator), sep="\n")
    for head in tested.heads:
        heads.say(head)
    path = write_report(
        names.folder, names.title, tested.tables, tested.failed,
        examples={method: tested.typical} if tested.typical else {}, correction=correction, notes=tested.notes,
        sections=[head.section for head in tested.heads],
    )  # fmt: skip
    _bland_altman(own[-1], settings, names, correction)
    for head in tested.heads:
        heads.plots(head, names.plots, names.id, correction)
    _say_comparison(tested.tables, tested.failed, path)
    return replace(tested, path=path)


def _classical(name: str, samples: Sequence[Sample], settings: Settings) -> list[Table]:
    method, estimator, window = UNSUPERVISED[name], settings.estimator, settings.window_seconds
    found, _ = native_rows(method, samples, settings)
    tables = [table(name, found, settings.exact, estimator, window, settings.metrics)]
    if settings.preset != settings.exact:
        found = label_rows(method, samples, settings)
        tables.append(table(name, found, settings.preset, estimator, window, settings.metrics))
    return tables


def _bland_altman(one: Table, settings: Settings, names: Names, correction: bool) -> None:
    if not one.valid or not any(map(is_plot, settings.metrics)):
        return
    true, predicted = (np.array([getattr(row, key) for row in one.valid]) for key in ("hr_true", "hr_pred"))
    bland_altman.plots(true, predicted, names.plots, names.id, settings.estimator, correction)


def _say_comparison(tables: Mapping[str, Sequence[Table]], failed: Sequence[tuple[str, str]], path: Path) -> None:
    first = [found[0] for found in tables.values()]
    warning = incomplete(completeness([one for found in tables.values() for one in found], failed))
    print(f"\n{console.header(first[0]).split(': ', 1)[1]}")
    lines = [warning, console.comparison(first), *[f"FAILED {name}: {reason}" for name, reason in failed]]
    print(*filter(None, lines), sep="\n")
    print(f"Report: {path}")


def _vitals(
    method: str,
    results: Sequence[RecordingResult],
    samples: Sequence[Sample],
    failed: Sequence[tuple[str, str]],
    settings: Settings,
    names: Names,
) -> Path:
    """Videos without labels: rates instead of errors."""
    tables = evaluate(method, results, [settings.exact], settings.estimator, settings.window_seconds, ())
    only_exact = replace(settings, preset=settings.exact)
    tables += [_classical(name, samples, only_exact)[0] for name in COMPARED if samples]
    flags = {sample.id: sample.flags for sample in samples if sample.flags}
    path = write_vitals(names.folder, names.title, tables, failed, flags=flags, examples={method: results[0]})
    print(vitals_table(tables, failed, flags))
    print(f"Report: {path}")
    return path


def mean_rate(entries: Iterable[Any], settings: Settings) -> float | None:
    """Mean true heart rate (bpm) of recordings by their own reference; None when no rate is found."""
    found = []
    for entry in entries:
        signal = pulse_reference(entry.signals)
        if signal is None:
            continue
        anything = np.sin(np.arange(len(entry.faces)))  # the evaluation wants a prediction; only the truth is used
        result = RecordingResult(
            entry.id, entry.subject, float(entry.fs), anything, reference=signal, times=entry.times
        )  # fmt: skip
        found += rows([result], settings.exact, settings.estimator, settings.window_seconds)
    rates = [row.hr_true for row in found if np.isfinite(row.hr_true)]
    return float(np.mean(rates)) if rates else None
