"""From the mean colour of a face to rates: what every mode does with the classical methods."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dataset.clips import labels
from dataset.clips.references import pulse_reference
from evaluation.evaluate import rows
from evaluation.results import RecordingResult, Row, uniform
from evaluation.settings import Settings
from evaluation.summary import Table, table
from evaluation.truth import sources_of
from unsupervised_methods.checks import is_grey

GREY = "grey_or_infrared"  # flag of a picture whose three channels are one
FLAG_WORDS = {
    "several_faces": "several faces in view",
    "first_face_s": "first face after {:.1f} s",
    "face_left_box": "face outside the box in {:.0%} of the looked-at time",
}


@dataclass(frozen=True)
class Sample:
    """What is read of one recording, once: mean colours (T, 3) of its faces, its clock, its label and its reference.

    `label` (T,) is the label at the frames, None without; `flags` says what is unusual about the recording, `coverage`
    in what share of the looked-at frames there was a face, `info` what the data set says of it.
    """

    id: str
    subject: str
    trace: np.ndarray
    fs: float
    times: np.ndarray | None = None
    label: np.ndarray | None = None
    reference: Any = None
    flags: str = ""
    coverage: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)  # signals that tell a true rate by themselves


def resampled_trace(entry: Any, resample_fs: float, region: Any = None) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Mean colours (T, 3) of an entry, their rate (Hz) and times (s): as stored, or at `resample_fs` if that is set.

    `region`: a `regions.Region` of the stored faces; all of them by default.
    """
    fs, times = float(entry.fs), entry.times
    trace = np.asarray(entry.trace if region is None else region.colours(entry), dtype=float)
    if resample_fs <= 0:
        return trace, fs, times
    own = np.arange(len(trace)) / fs if times is None else np.asarray(times, dtype=float)
    trace, times = at_rate(trace, own, resample_fs)
    return trace, float(resample_fs), times


def at_rate(trace: np.ndarray, times: np.ndarray, fs: float) -> tuple[np.ndarray, np.ndarray]:
    """`trace` (T, 3) at `times` (s), linearly interpolated to `fs` (Hz), and the new times."""
    channels = [uniform(times, channel, fs) for channel in trace.T]
    return np.stack([values for _, values in channels], axis=1), channels[0][0]


def read_sample(entry: Any, label_type: str, align: str, resample_fs: float, region: Any = None) -> Sample:
    """One recording's sample; its reference is `ppg`, or the beats of `ecg`. `resample_fs` > 0: read at that rate.

    `region`: as for `resampled_trace`.
    """
    trace, fs, times = resampled_trace(entry, resample_fs, region)
    signal = pulse_reference(entry.signals)
    label = None if signal is None else _label(signal, times, len(trace), label_type, align)
    flags, coverage = describe_flags({**entry.flags, GREY: is_grey(trace)}), entry.flags.get("face_coverage")
    return Sample(
        entry.id, entry.subject, trace, fs, times, label, signal, flags, coverage, entry.info, sources_of(entry.signals)
    )


def sample_beside(entry: Any, frames: int, labelled: bool, align: str, resample_fs: float = 0.0) -> Sample:
    """The first `frames` frames of a recording as mean colours, where a network has seen as many of them.

    `labelled`: with the label at the frames; a network's recording without one is judged by none.
    """
    trace, fs, times = resampled_trace(entry, resample_fs)
    signal = pulse_reference(entry.signals)
    label = _label(signal, times, len(trace), "Raw", align) if labelled and signal is not None else None
    length = min(len(trace), frames)
    times = None if times is None else np.asarray(times, dtype=float)[:length]
    label = None if label is None else label[:length]
    flags, coverage = describe_flags({**entry.flags, GREY: is_grey(trace)}), entry.flags.get("face_coverage")
    return Sample(
        entry.id, entry.subject, trace[:length], fs, times, label, signal, flags, coverage, entry.info,
        sources_of(entry.signals),
    )  # fmt: skip


def _label(signal: Any, times: np.ndarray | None, length: int, label_type: str, align: str) -> np.ndarray:
    return labels.transform(labels.align(signal, times, length, mode=align), label_type)


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


def even(sample: Sample) -> Sample:
    """`sample` on an even time grid at its own rate, where its frames came unevenly; the label is left behind."""
    if sample.times is None or len(sample.times) < 2:
        return replace(sample, label=None)
    trace, times = at_rate(sample.trace, np.asarray(sample.times, dtype=float), sample.fs)
    return replace(sample, trace=trace, times=times, label=None)


def classical_tables(
    name: str, method: Callable, samples: Sequence[Sample], settings: Settings
) -> tuple[list[Table], list[RecordingResult]]:
    """A table per preset of the method called `name`, `exact` first, and the predictions behind that one."""
    found, results = native_rows(method, samples, settings)
    by_preset = {settings.exact: (found, settings.window_seconds)}
    if settings.preset != settings.exact:
        by_preset[settings.preset] = label_rows(method, samples, settings), label_window(samples, settings)
    made = [
        table(name, found, preset, settings.estimator, seconds, settings.metrics)
        for preset, (found, seconds) in by_preset.items()
    ]
    return made, results


def native_rows(
    method: Callable, samples: Sequence[Sample], settings: Settings
) -> tuple[list[Row], list[RecordingResult]]:
    """Rows under `exact`, whole recordings in real time, and the predictions they came from."""
    found, results = [], []
    for stored in samples:
        sample, problem = _evened(stored)
        prediction = np.empty(0)
        if not problem:
            prediction, problem = predict(method, sample.trace, sample.fs, settings.exact.band)
        if problem:
            found.append(Row(sample.id, sample.subject, 0, 0.0, note=problem, info=sample.info))
            continue
        times = None if sample.times is None else sample.times[: len(prediction)]
        result = RecordingResult(
            sample.id, sample.subject, sample.fs, prediction,
            reference=sample.reference, times=times, frames=len(sample.trace), info=sample.info, sources=sample.sources,
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
            note = f"{length} frames are fewer than a chunk of {size}"
            found.append(Row(sample.id, sample.subject, 0, 0.0, note=note, info=sample.info))
        count = len(found)
        for start in starts:
            part = _label_part(method, sample, slice(start, start + size), fs, settings)
            found += [
                replace(row, window=len(found) - count + k, start_s=row.start_s + start / fs)
                for k, row in enumerate(part)
            ]
    return found


def label_window(samples: Sequence[Sample], settings: Settings) -> float | None:
    """Seconds of a window of `label_rows`, which is no longer than a chunk; None: whole recordings."""
    if not (settings.chunk and samples):
        return settings.window_seconds
    return min(settings.chunk / (settings.fs or samples[0].fs), settings.window_seconds or math.inf)


def _label_part(method: Callable, sample: Sample, part: slice, fs: float, settings: Settings) -> list[Row]:
    prediction, problem = predict(method, sample.trace[part], fs)
    if problem:
        return [Row(sample.id, sample.subject, 0, 0.0, note=problem, info=sample.info)]
    label = None if sample.label is None else sample.label[part]
    result = RecordingResult(sample.id, sample.subject, fs, prediction, label, info=sample.info)
    return rows([result], settings.preset, settings.estimator, settings.window_seconds)


def _evened(sample: Sample) -> tuple[Sample, str]:
    """The even sample and "", or `sample` as it is and why its clock allows none."""
    try:
        return even(sample), ""
    except ValueError as error:
        return sample, str(error)


def predict(
    method: Callable, trace: np.ndarray, fs: float, band: tuple[float, float] | None = None
) -> tuple[np.ndarray, str]:
    """The pulse and "", or an empty array and why this recording has none.

    `band` (Hz): the method leaves filtering to the evaluation, where it has a filter and takes that word.
    """
    known = {} if band is None or "band" not in inspect.signature(method).parameters else {"band": band}
    try:
        prediction = method(trace, fs, **known)
    except ValueError as error:
        return np.empty(0), str(error)
    if getattr(method, "compares_colours", True) and is_grey(trace):
        return np.empty(0), "the picture is grey or infrared: no colours to compare (GREEN reads its brightness)"
    return prediction, ""
