"""The pulse: a wave that is compared with classical methods and the constant mean, or listed where nothing is known.

It is the one output whose tables stand at the head of a report, under rPPG-Toolbox's names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dataset.clips.references import pulse_reference, reference_notes
from dataset.signals import PULSE_WAVE
from dataset.store.entry import DamagedEntryError
from evaluation import console, pictures, report, vitals
from evaluation.baselines import SHUFFLED, beside, noise, shuffled
from evaluation.consensus import VOTERS, Answer, answer, by_blood
from evaluation.evaluate import label_floors, rows
from evaluation.kinds.base import Head, Names, Predicted, save_outputs
from evaluation.kinds.wave import Wave, draw_agreement, lost_of
from evaluation.metrics import UNITS
from evaluation.page.worst import Worst, of_all, pick
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.settings import Settings
from evaluation.summary import Table, constant_mean, evaluate, pooled
from evaluation.truth import available, sources_of
from evaluation.view import View, view
from evaluation.vitals_page import SHOWN
from registry import KINDS, UNSUPERVISED
from unsupervised_methods.measure import Sample, classical_tables, even, sample_beside

COMPARED = ("POS", "GREEN")  # classical methods measured beside a network
CONSTANT = "constant mean"


@dataclass(frozen=True)
class Compared:
    """The pulse of a test: tables by method, the judged ones first; a typical recording by method, for a picture.

    judged  whether anything is known of the true rates; otherwise the tables hold rates alone
    flags   what is unusual about recordings, in words
    answers one per recording, where nothing is known of the true rates; views: what is drawn of them, by recording
    worst   the recordings with the largest errors, for report.html
    drawn   Bland-Altman plots: how their files' names start -> the method; {}: the first method, named after the run
    """

    tables: dict[str, list[Table]]
    examples: Mapping[str, RecordingResult] = field(default_factory=dict)
    judged: bool = True
    flags: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    views: Mapping[str, View] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drawn: Mapping[str, str] = field(default_factory=dict)
    worst: tuple[Worst, ...] = ()

    @property
    def own(self) -> list[Table]:
        """The tables of the first method, one per preset."""
        return next(iter(self.tables.values()))

    @property
    def asked(self) -> list[list[Table]]:
        """The tables of each method that the run is about: those that a recording must be in."""
        return [self.tables[method] for method in self.drawn.values() or [next(iter(self.tables))]]

    @property
    def every(self) -> list[Table]:
        """All tables."""
        return [one for found in self.tables.values() for one in found]


@KINDS.register("pulse")
class Pulse(Wave):
    """The pulse wave, called `ppg`; judged by `ppg`, or by the beats of `ecg`."""

    box = ("=====================", "==== PPG Metrics ====", "=====================")

    def title(self, head: Head) -> str:
        """What reports call it."""
        return "Pulse" if head.name == PULSE_WAVE else head.name

    def reference(self, signals: Any, head: Head) -> Any:
        """The pulse wave, or that of the heart beats."""
        return pulse_reference(signals)

    def evaluate(self, recordings: Sequence[Predicted], head: Head) -> Compared:
        """The network, the classical methods on the same frames, and the constant mean; without truth, rates alone."""
        results = self.results(recordings, head)
        samples = samples_beside(recordings, results)
        notes = tuple(reference_notes(result.reference for result in results))
        how = head.settings
        notes += tuple(one.words for one in label_floors(results, how.exact, how.estimator, how.window_seconds))
        if not any(_known(result, how.exact) for result in results):
            return _rates(results, samples, head)
        own = evaluate(head.method, results, how.presets, how.estimator, how.window_seconds, how.metrics)
        found = {head.method: own} | _classical(samples, how)
        found[CONSTANT] = [constant_mean(one, head.constant) for one in own]
        found = beside(found, lambda: [noise(one, results, how.estimator) for one in own])
        typical = pictures.pick_example(own[0], results)
        entries = {one.id: one.entry for one in recordings}
        worst = pick([judged_first(own)], {head.method: results}, entries.get)
        return Compared(found, {head.method: typical} if typical else {}, notes=notes, worst=worst)

    def training(self, entries: Iterable[Any], head: Head) -> float | None:
        """The mean rate (bpm) of the recordings that are trained on."""
        return mean_rate(entries, head.settings)

    def notes(self, found: Compared) -> list[str]:
        """Where rates are judged by an ECG."""
        return list(found.notes)

    def judged(self, found: Compared) -> bool:
        """Whether anything is known of the true rates."""
        return found.judged

    def lines(self, found: Compared, head: Head) -> list[str]:
        """rPPG-Toolbox's lines of the last preset of the first method; rates where nothing is known."""
        if not found.judged:
            return vitals.vitals_table(found.every, (), found.flags).splitlines()
        one, how = found.own[-1], head.settings
        return [console.header(one), *console.lines(one, how.metrics, how.estimator)]

    def section(self, found: Compared, head: Head) -> report.Section:
        """The rates, where others of the run's outputs are judged and this one is not."""
        content = {"kind": "wave", "rates": vitals.vitals_rows(found.every, (), found.flags)}
        table = vitals.vitals_table(found.every, (), found.flags)
        text = ["## Pulse", "No recording has a reference for it: rates, no errors.", f"```\n{table}\n```"]
        return report.Section(head.name, content, text, {"vitals.csv": vitals.csv_of(found.every, (), found.flags)})

    def agreement(self, found: Compared, head: Head, names: Names) -> None:
        """Bland-Altman plots of the last preset, of each method that `drawn` names or of the first."""
        drawn = found.drawn or {names.id: next(iter(found.tables))}
        draw_agreement({id: found.tables[method][-1] for id, method in drawn.items()}, head, names)

    def merge(self, parts: Sequence[Compared], head: Head) -> Compared:
        """The tables of all folds; the picture is that of the fold in the middle."""
        together = {
            method: [pooled(same) for same in zip(*(part.tables[method] for part in parts), strict=True)]
            for method in parts[0].tables
        }
        if SHUFFLED in together:  # across the people of all folds
            together[SHUFFLED] = [shuffled(one) for one in next(iter(together.values()))]
        worst = of_all([part.worst for part in parts])
        return replace(parts[len(parts) // 2], tables=together, worst=worst)

    def summary(self, found: Compared) -> dict[str, Any]:
        """Scores under the first preset, with the constant mean's error and what was left out."""
        own, constant = found.own[0], found.tables[CONSTANT][0]
        line: dict[str, Any] = {
            f"{name} [{UNITS[name]}]" if name in UNITS else name: score.value for name, score in own.scores.items()
        }
        if "MAE" in constant.scores:
            line["MAE of the constant mean"] = constant.scores["MAE"].value
        return {**line, "n": len(own.valid), "excluded": len(own.excluded)}

    def scope(self, found: Compared) -> str:
        """The preset that `summary` is of."""
        return f"preset `{found.own[0].preset.name}`"

    def lost(self, found: Compared) -> tuple[set[str], dict[str, str]]:
        """As the report counts them."""
        return lost_of(found.own)

    def save(self, recordings: Sequence[Predicted], head: Head, names: Names) -> Any:
        """rPPG-Toolbox's output pickle, under its name."""
        if head.name != PULSE_WAVE:
            return super().save(recordings, head, names)
        path = names.outputs / f"{names.id}_outputs.pickle"
        return save_outputs(recordings, head.name, path, recordings[0].label_type)


def _known(result: RecordingResult, exact: Preset) -> bool:
    """Whether there is anything to judge a recording by."""
    return result.reference is not None or result.label is not None or exact.source in available(result.sources)


def judged_first(found: Sequence[Table]) -> Table:
    """The first of a method's tables, one per preset, that has an error; the first where none has."""
    return next((one for one in found if one.valid), found[0])


def samples_beside(recordings: Iterable[Predicted], results: Sequence[RecordingResult]) -> list[Sample]:
    """The frames that the network saw as mean colours; none of what has no video, or of rPPG-Toolbox's chunks."""
    return [
        sample_beside(
            one.entry, sum(result.clips), result.label is not None, one.reading.align, one.reading.resample_fs
        )
        for one, result in zip(recordings, results, strict=True)
        if one.frames is not None
    ]


def _classical(samples: Sequence[Sample], how: Settings) -> dict[str, list[Table]]:
    return {name: classical_tables(name, UNSUPERVISED[name], samples, how)[0] for name in COMPARED if samples}


def _rates(results: Sequence[RecordingResult], samples: Sequence[Sample], head: Head) -> Compared:
    """Rates instead of errors, under `exact`."""
    how = replace(head.settings, preset=head.settings.exact, metrics=[])
    own = evaluate(head.method, results, [how.exact], how.estimator, how.window_seconds, ())
    flags = {sample.id: sample.flags for sample in samples if sample.flags}
    given = answers({head.method: results}, samples, how)
    return Compared(
        {head.method: own} | _classical(samples, how), {head.method: results[0]}, judged=False, flags=flags,
        answers=given, views=views(given, {head.method: results}, how),
    )  # fmt: skip


def answers(
    by_method: Mapping[str, Sequence[RecordingResult]], samples: Sequence[Sample], how: Settings
) -> tuple[Answer, ...]:
    """An answer per recording by the voters among the methods; where none of them is, all methods vote.

    A voter that has nothing to say of a recording leaves it without a number; so do colours that no blood changes.
    """
    voters, found = votes(by_method)
    known = {sample.id: sample for sample in samples}
    silent = f"not all of {', '.join(voters)} can be computed from its colours; vitals.csv says why"
    return tuple(
        _answer(found[id], how.exact, known.get(id))
        if len(found.get(id, ())) == len(voters)
        else Answer(id, reason=silent, band=how.exact.band)
        for id in known or found
    )


def _answer(voters: Mapping[str, RecordingResult], exact: Preset, sample: Sample | None) -> Answer:
    """What the voters say of a recording, and its colours, where these are all that they compare."""
    found = answer(voters, exact, sample and sample.coverage)
    if sample is None or not found.reliable or not set(voters) <= set(VOTERS):  # a network reads more, GREEN less
        return found
    seen = even(sample)  # as the voters have read it
    return by_blood(found, seen.trace, seen.fs)


def votes(
    by_method: Mapping[str, Sequence[RecordingResult]],
) -> tuple[list[str], dict[str, dict[str, RecordingResult]]]:
    """The methods that vote, and what those found in each recording."""
    voters = [name for name in VOTERS if name in by_method] or list(by_method)
    found: dict[str, dict[str, RecordingResult]] = {}
    for name in voters:
        for result in by_method[name]:
            found.setdefault(result.id, {})[name] = result
    return voters, found


def views(
    given: Sequence[Answer], by_method: Mapping[str, Sequence[RecordingResult]], how: Settings
) -> dict[str, View]:
    """What is drawn of each recording in `given` whose voters have waves, and the waves of those not on the page."""
    _, found = votes(by_method)
    there = [one for one in given if one.id in found and one.course is not None]
    return {one.id: view(one, found[one.id], how.exact, place < SHOWN) for place, one in enumerate(there)}


def mean_rate(entries: Iterable[Any], settings: Settings) -> float | None:
    """Mean true heart rate (bpm) of recordings by their own reference; None when no rate is found."""
    found = []
    for entry in entries:
        try:
            signal = pulse_reference(entry.signals)
        except (ValueError, DamagedEntryError):  # it was trained on by another label, and has no rate to add
            continue
        if signal is None:
            continue
        times, fs, count = _clock(entry, signal)
        anything = np.sin(np.arange(count))  # the evaluation wants a prediction; only the truth is used
        sources = sources_of(entry.signals)
        result = RecordingResult(entry.id, entry.subject, fs, anything, reference=signal, times=times, sources=sources)
        found += rows([result], settings.exact, settings.estimator, settings.window_seconds)
    rates = [row.hr_true for row in found if np.isfinite(row.hr_true)]
    return float(np.mean(rates)) if rates else None


def _clock(entry: Any, signal: Any) -> tuple[np.ndarray | None, float, int]:
    """Times, rate and number of the frames; without video, those of the pulse itself."""
    if entry.faces is not None:
        return entry.times, float(entry.fs), len(entry.faces)
    fs = signal.fs or (len(signal.times) - 1) / (signal.times[-1] - signal.times[0])
    return signal.times, float(fs), len(signal.values)
