"""What a network gives beside the pulse, from predicted clips to what the evaluation takes, and to files.

The reference is the recording's own signal of that name; the label of the clips serves the preset that wants it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips import labels
from dataset.clips.resampling import resample_grid
from evaluation import heads as evaluation
from evaluation.action_units import ClassResult
from evaluation.heads import HeadSpec
from evaluation.metrics import is_plot
from evaluation.outputs import write_outputs
from evaluation.report import Section
from evaluation.results import RecordingResult

Clips = Mapping[int, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Head:
    """One head after a test: how it is evaluated, and its tables."""

    spec: HeadSpec
    tables: list[Any]

    @property
    def section(self) -> Section:
        """What the report says of it."""
        return evaluation.section(self.tables, self.spec)


@dataclass(frozen=True)
class Reading:
    """How clips were read: frames of a clip (None: one clip is all), the rate they were read at (0: as stored)."""

    chunk_length: int | None = None
    resample_fs: float = 0.0
    align: str = "auto"

    @classmethod
    def of(cls, data: Any) -> "Reading":
        """The settings of a DATA node."""
        length = int(data.PREPROCESS.CHUNK_LENGTH) if data.PREPROCESS.DO_CHUNK else None
        return cls(length, float(data.RESAMPLE_FS), str(data.LABEL_ALIGN))


def specs(trainer: Any, settings: Any) -> list[HeadSpec]:
    """The heads of a method beside the pulse that can be evaluated, with the settings of the run."""
    return [
        HeadSpec(
            name,
            kind,
            method=trainer.name,
            presets=tuple(dict.fromkeys([settings.exact, settings.preset])),
            metrics=tuple(settings.metrics),
            estimator=settings.estimator,
            window_seconds=settings.window_seconds,
            classes=tuple(trainer.needs.parts.get(name, ())),
        )
        for name, kind in trainer.heads.items()
        if name != "ppg" and kind in evaluation.EVALUATORS
    ]


def save(predictions: Mapping[str, Clips], spec: HeadSpec, label_type: str, fs: float, folder: Path, id: str) -> Path:
    """Write a head's outputs as rPPG-Toolbox writes the pulse's: <id>_<head>_outputs.pickle."""
    values = {name: {k: parts[spec.name] for k, parts in clips.items()} for name, clips in predictions.items()}
    truth = {name: {k: _label(parts, spec) for k, parts in clips.items()} for name, clips in predictions.items()}
    kept = label_type if spec.kind == "wave" else "Raw"
    return write_outputs(Path(folder) / f"{id}_{spec.name}_outputs.pickle", values, truth, kept, fs)


def evaluate(
    wanted: Iterable[HeadSpec],
    pulses: Sequence[RecordingResult],
    predictions: Mapping[str, Clips],
    prepared: Any,
    reading: Reading,
) -> list[Head]:
    """Every head for which at least one recording has a reference; `pulses` are the same recordings' pulses."""
    found = []
    for spec in wanted:
        results = []
        for pulse in pulses:
            entry = None if prepared.legacy else prepared.entry(pulse.id)
            results.append(result(pulse, entry, predictions[pulse.id], spec, reading))
        known = [one for one in results if one is not None]
        if known:
            found.append(Head(spec, evaluation.EVALUATORS[spec.kind](known, spec)))
    return found


def result(pulse: RecordingResult, entry: Any, clips: Clips, spec: HeadSpec, reading: Reading) -> Any:
    """What a recording leaves of a head, `pulse` being its pulse; None without a reference.

    `entry` is None for rPPG-Toolbox's chunks: then the labels of the clips are all there is.
    """
    ordered = [clips[number] for number in sorted(clips)]
    values = np.concatenate([parts[spec.name] for parts in ordered])
    label = np.concatenate([_label(parts, spec) for parts in ordered])
    if spec.kind == "classes":
        coded = _coded(entry, spec, reading)
        present = label if coded is None else coded[frames_of(clips, reading.chunk_length)]
        return ClassResult(pulse.id, pulse.subject, values, present) if (present >= 0).any() else None
    reference = None if entry is None else _reference(entry, spec.name)
    label = label if np.isfinite(label).all() else None
    if reference is None and label is None:
        return None
    return replace(pulse, prediction=values, label=label, reference=reference)


def frames_of(clips: Clips, chunk_length: int | None) -> np.ndarray:
    """Numbers (L,) of the frames that were predicted: clip k starts at frame k * `chunk_length`."""
    parts = [number * (chunk_length or 0) + np.arange(len(clips[number]["ppg"])) for number in sorted(clips)]
    return np.concatenate(parts)


def _label(parts: Mapping[str, np.ndarray], spec: HeadSpec) -> np.ndarray:
    """Label of a clip; NaN without one."""
    name = f"label_{spec.name}"
    return parts[name] if name in parts else np.full(parts[spec.name].shape, np.nan, dtype=np.float32)


def _reference(entry: Any, name: str) -> Any:
    """The recording's own wave; where frames have no times its clock starts with the video."""
    signal = entry.signals.get(name)
    if signal is None or signal.times is None or entry.times is not None:
        return signal
    times = np.asarray(signal.times, dtype=float)
    return replace(signal, times=times - times[0])


def _coded(entry: Any, spec: HeadSpec, reading: Reading) -> np.ndarray | None:
    """What is coded at every frame (T, K), -1 where nothing is; None when the recording has none of these signals."""
    if entry is None or not any(name in entry.signals for name in spec.classes):
        return None
    times, count = entry.times, len(entry.faces)
    if reading.resample_fs:
        times, _ = resample_grid(times, count, float(entry.fs), reading.resample_fs)
        count = len(times)
    columns = [_codes(entry.signals.get(name), times, count, reading.align) for name in spec.classes]
    return np.stack(columns, axis=1)


def _codes(signal: Any, times: np.ndarray | None, count: int, align: str) -> np.ndarray:
    return np.full(count, -1.0) if signal is None else labels.pick(signal, times, count, align)


# ---------------------------------------------------------------------- words, files, folds


def say(head: Head) -> None:
    """Print rPPG-Toolbox's lines of a head."""
    print(*evaluation.lines(head.tables, head.spec), sep="\n")


def plots(head: Head, folder: Path, id: str, correction: bool) -> None:
    """Bland-Altman plots of a head's rates, where METRICS asks for them."""
    if any(map(is_plot, head.spec.metrics)):
        evaluation.plots(head.tables, head.spec, folder, id, correction)


def merged(parts: Sequence[Sequence[Head]]) -> list[Head]:
    """The heads of several tests (folds), each with the rows of all of them."""
    names = list(dict.fromkeys(head.spec.name for part in parts for head in part))
    found = []
    for name in names:
        same = [head for part in parts for head in part if head.spec.name == name]
        found.append(Head(same[0].spec, evaluation.merged([head.tables for head in same])))
    return found
