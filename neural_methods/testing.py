"""From a trained network to what is evaluated: its outputs by name, its predictions by recording."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dataset.prepare.node import label_type_of
from dataset.prepare.section import Prepared
from dataset.signals import PULSE_WAVE
from evaluation.kinds import kind_name
from evaluation.kinds.base import Clips, Head, Kind, Names, Predicted, Reading
from evaluation.settings import Settings

KEPT = ("constant", "validation")  # fields of a head that can be remembered


def heads_of(trainer: Any, settings: Settings) -> list[Head]:
    """The outputs of a method in its order, the pulse first, with how the run evaluates them."""
    found = [
        Head(
            name,
            kind_name(name, kind),
            trainer.name,
            settings,
            parts=tuple(trainer.needs.parts.get(name, ())),
            units=dict(trainer.units),
            options=trainer.evaluation_options(name),
        )
        for name, kind in trainer.heads.items()
    ]
    return sorted(found, key=lambda head: head.name != PULSE_WAVE)


def with_training(heads: Iterable[Head], prepared: Prepared) -> list[Head]:
    """The heads with what their baselines need of the recordings that were trained on."""
    return [replace(head, constant=head.evaluator.training(_sources(prepared, head), head)) for head in heads]


def _sources(prepared: Prepared, head: Head) -> Iterable[Any]:
    """What the data set holds of the recordings; nothing where the kind could not read it."""
    if prepared.cache or head.evaluator.windows:
        found = (prepared.source(recording.id) for recording in prepared.recordings)
        return (one for one in found if one is not None)
    return ()


def with_validation(heads: Iterable[Head], predict: Callable[[], Sequence[Predicted]]) -> list[Head]:
    """The heads with what their kinds need of the validation recordings; `predict()` is asked only where one does."""
    heads = list(heads)
    if all(type(head.evaluator).validation is Kind.validation for head in heads):
        return heads
    recordings = predict()
    return [replace(head, validation=head.evaluator.validation(recordings, head)) for head in heads]


def remembered(heads: Iterable[Head]) -> dict[str, Any]:
    """Output -> what its kind wants to know again when the same weights are tested later; {} for most."""
    found = {head.name: head.evaluator.remembered(head) for head in heads}
    return {name: values for name, values in found.items() if values}


def recalled(heads: Iterable[Head], stored: Mapping[str, Any]) -> list[Head]:
    """The heads with what was `remembered`; of a file only plain values that a kind asked to keep."""
    known = {head.name: {key: stored[head.name].get(key) for key in KEPT} for head in heads if head.name in stored}
    return [replace(head, **known.get(head.name, {})) for head in heads]


def predicted(predictions: Mapping[str, Clips], prepared: Prepared, clips: Any, data: Any) -> list[Predicted]:
    """The predictions by recording, with the recording itself and how its `clips` were read; `data` is a DATA node."""
    subjects = {recording.id: recording.subject for recording in prepared.recordings}
    found = []
    for name, parts in predictions.items():
        how, fs = reading(clips, name, prepared.fs, data)
        entry = prepared.entry(name) if prepared.cache else None
        label_type, source = label_type_of(data.PREPROCESS), prepared.source(name)
        found.append(Predicted(name, subjects.get(name, name), parts, fs, entry, how, label_type, source))
    return found


def reading(clips: Any, recording: str, fs: float, data: Any) -> tuple[Reading, float]:
    """How the clips of a recording were cut, and their rate (Hz): `fs` for those of a video."""
    options = getattr(clips, "options", None)
    track = next((one for one in getattr(clips, "tracks", ()) if one.id == recording), None)
    if track is None or options is None:  # rPPG-Toolbox's chunks, or windows: each stands for itself
        return Reading.of(data), fs
    rate = fs if options.inputs[0].name == "video" else track.fs
    return Reading(options.clip_length(track.fs), options.fs, options.label_align, options.stride), rate


def save(recordings: Sequence[Predicted], heads: Iterable[Head], names: Names) -> None:
    """Write every output as rPPG-Toolbox does, before anything else can fail; ValueError for one that is not there."""
    given = next(iter(recordings[0].clips.values()))
    for head in heads:
        if head.name not in given:
            raise ValueError(
                f"{head.method} declares the output {head.name!r} in `heads`, but its `predict` gives "
                f"{', '.join(name for name in given if not name.startswith('label'))}. Make the two agree."
            )
        head.evaluator.save(recordings, head, names)
