"""Mode `unsupervised_method`: every classical method on every recording, read once, and one report of all."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips.references import reference_notes
from dataset.files.names import plural
from dataset.own_videos import READER
from dataset.program import INCOMPLETE
from dataset.signals import PULSE_WAVE
from evaluation import pictures, provenance, publish
from evaluation.baselines import MOST_OF_NOISE, NOISE, Noise, beside
from evaluation.consensus import VOTERS
from evaluation.evaluate import label_floors
from evaluation.kinds.base import PLOTS, Head, Names
from evaluation.kinds.pulse import CONSTANT, Compared, answers, judged_first, views
from evaluation.page.worst import pick
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.settings import Settings, read_settings
from evaluation.summary import Table, constant_mean
from evaluation.truth import available
from evaluation.vitals import failures
from registry import DATASETS, UNSUPERVISED
from unsupervised_methods.checks import grey_note, is_grey
from unsupervised_methods.measure import Sample, classical_tables, read_sample
from unsupervised_methods.network import (
    Network,
    answers_of,
    check_faces,
    doubted,
    named_network,
    network_tables,
    table_name,
)
from unsupervised_methods.overlay import write_overlays
from unsupervised_methods.portraits import portraits
from unsupervised_methods.regions import BOX, Region, region_of
from unsupervised_methods.waves import write_waves

NAMED = 10  # recordings without a pulse that the last line names
DRAWN = 4  # methods in the picture of an example wave


@dataclass(frozen=True)
class Work:
    """What is measured: the skin in `region`, by `methods` (name -> function), on the `samples` of `prepared`."""

    config: Any
    prepared: Any
    methods: dict[str, Callable]
    samples: Sequence[Sample]
    settings: Settings
    region: Region

    def names(self, title: str) -> Names:
        """Where the report, called by its `title`, and rPPG-Toolbox's plots go."""
        return _names(self.config, title).marked(self.prepared.rendered)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Recordings that failed, with the reason."""
        return [(recording.id, reason) for recording, reason in self.prepared.failed]

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Recordings that were left out on purpose, with the reason."""
        return [(recording.id, reason) for recording, reason in self.prepared.excluded]

    @property
    def region_notes(self) -> list[str]:
        """What of the picture was measured, where that is not all of it."""
        one = self.region
        return [] if one.name == BOX else [f"Measured: {one.words} (UNSUPERVISED.ROI {one.name})"]


def run(config: Any, network: Network | None = None) -> Path:
    """Run the methods of UNSUPERVISED.METHOD as `config` says; returns the path of the report.

    `network`: votes alone on recordings without labels, and the classical methods stand beside it; by default what
    UNSUPERVISED.NETWORK names, if anything. Raises ValueError for names and settings that cannot work, before anything
    is read. Missing recordings raise IncompleteError unless ALLOW_INCOMPLETE: before any error is computed, but, for
    data without labels, after the rates of the others are written.
    """
    methods, settings = chosen_methods(config), read_settings(config, "UNSUPERVISED")
    _require_video(config.UNSUPERVISED.DATA.DATASET)
    network = network or named_network(config)
    if network is not None:
        check_faces(network, config.UNSUPERVISED.DATA)
    region = region_of(config.UNSUPERVISED.ROI, config.UNSUPERVISED.DATA.PREPROCESS)
    prepared = _prepare(config)
    samples = read_samples(prepared, config.UNSUPERVISED.DATA, region)
    labelled = any(_is_labelled(sample, settings.exact.source) for sample in samples)
    if network is not None and labelled:
        print("The labels of these recordings are not looked at: mode only_test compares a network with labels.")
        samples, labelled = [replace(one, label=None, reference=None, sources={}) for one in samples], False
    if labelled:
        samples = long_enough(samples, prepared, settings.exact)
    if labelled or not samples:
        prepared.check()
    work = Work(config, prepared, methods, samples, settings, region)
    if labelled:
        return _errors(work)
    report, lost, doubtful = _vitals(work, network)
    prepared.fail(lost)
    prepared.check(told=True)
    if doubtful and not prepared.allow_incomplete:
        raise NoPulseError(doubtful, len(prepared.recordings))
    return report


def _is_labelled(sample: Sample, source: str) -> bool:
    """Whether there is anything to compare the rate of `sample` with, by the preset's `source` of the truth."""
    return sample.label is not None or sample.reference is not None or source in available(sample.sources)


def _require_video(dataset: str) -> None:
    """ValueError, before anything is made, for a data set without pictures."""
    if dataset in DATASETS and not DATASETS[dataset].has_video:
        raise ValueError(
            f"UNSUPERVISED.DATA.DATASET is {dataset}, which has no video: classical methods measure the colour of "
            f"faces. Name a data set with video."
        )


class NoPulseError(RuntimeError):
    """Recordings whose pulse is too uncertain for a number; raised when everything is written."""

    exit_code = INCOMPLETE

    def __init__(self, recordings: Sequence[str], total: int):
        """Name the `recordings`, of `total`."""
        named = ", ".join(recordings[:NAMED]) + (f" and {len(recordings) - NAMED} more" if recordings[NAMED:] else "")
        super().__init__(
            f"No reliable pulse in {len(recordings)} of {plural(total, 'recording')}: {named}. Why is said above."
        )


def chosen_methods(config: Any) -> dict[str, Callable]:
    """Name -> function of UNSUPERVISED.METHOD, in its order; ValueError when empty, KeyError for an unknown name."""
    names = list(config.UNSUPERVISED.METHOD)
    if not names:
        raise ValueError(
            f"UNSUPERVISED.METHOD is empty: name at least one of {', '.join(UNSUPERVISED.names())}, such as ['POS']."
        )
    return {name: UNSUPERVISED[name] for name in names}


def read_samples(prepared: Any, data: Any, region: Region) -> list[Sample]:
    """Every prepared recording's colours and label; those whose entry or label cannot be read move to `failed`.

    ValueError for a `region` of rPPG-Toolbox's chunks, which is where nobody wrote down how they were cut.
    """
    if prepared.legacy:
        if region.name != BOX:
            raise ValueError("UNSUPERVISED.DATA reads rPPG-Toolbox's chunks: set UNSUPERVISED.ROI to box.")
        return _legacy_samples(prepared)
    differential = data.PREPROCESS.LABEL_TYPE == "DiffNormalized"
    label_type = "Raw" if differential else data.PREPROCESS.LABEL_TYPE or "Raw"
    samples, failed = [], {}
    for recording in prepared.recordings:
        try:
            entry = prepared.entry(recording)
            samples.append(read_sample(entry, label_type, data.LABEL_ALIGN, data.RESAMPLE_FS, region))
        except (OSError, ValueError, RuntimeError) as error:  # the cache raises RuntimeError for a damaged entry
            failed[recording.id] = str(error)
    prepared.fail(failed)
    if differential and any(sample.label is not None for sample in samples):
        print(
            "UNSUPERVISED.DATA.PREPROCESS.LABEL_TYPE is DiffNormalized: classical methods give the wave itself, "
            "so the label is used as Raw."
        )
    _say_grey(samples)
    return samples


def _say_grey(samples: Sequence[Sample]) -> None:
    """Name the recordings without colours before any method compares them."""
    grey = [sample.id for sample in samples if is_grey(sample.trace)]
    if grey:
        print(f"Warning: {grey_note(grey, len(samples))}")


def long_enough(samples: Sequence[Sample], prepared: Any, exact: Preset) -> list[Sample]:
    """The samples that last long enough for a rate; the other recordings move to `failed`."""
    lengths = {} if prepared.legacy else {sample.id: len(sample.trace) / sample.fs for sample in samples}
    short = {name: seconds for name, seconds in lengths.items() if seconds < exact.min_seconds}
    words = "{:.1f} s are too short for a rate: {:g} s needed. Leave the recording out."
    prepared.fail({name: words.format(seconds, exact.min_seconds) for name, seconds in short.items()})
    return [sample for sample in samples if sample.id not in short]


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
        trace = np.asarray(chunks.trace(name), dtype=float)
        samples.append(Sample(name, chunks.subject(name), trace, prepared.fs, label=label))
    return samples


def _entries(prepared: Any) -> Callable[[str], Any]:
    """From the id of a recording to its entry in the cache; rPPG-Toolbox's chunks have none."""
    known = {} if prepared.legacy else {recording.id: recording for recording in prepared.recordings}
    return lambda name: prepared.entry(known[name]) if name in known else None


# ---------------------------------------------------------------------- results


def _errors(work: Work) -> Path:
    """Errors of every method: console lines of the preset, the comparison, the report.

    IncompleteTestError before any of them when a recording fails only now and may not; and when no error is left.
    """
    if work.config.UNSUPERVISED.OVERLAY:
        print("No overlay: recordings with labels are compared with these, and get no answer of their own.")
    samples, settings, allow = work.samples, work.settings, bool(work.prepared.allow_incomplete)
    names = work.names(f"Classical methods on {work.config.UNSUPERVISED.DATA.DATASET}")
    results: dict[str, list[Table]] = {}
    predictions: dict[str, list[RecordingResult]] = {}
    head = Head(PULSE_WAVE, "pulse", next(iter(work.methods)), settings)
    for name, method in work.methods.items():
        results[name], predictions[name] = classical_tables(name, method, samples, settings)
    write_waves(work.config, predictions, samples)
    results[CONSTANT] = [constant_mean(one) for one in next(iter(results.values()))]
    tried = samples[:: max(1, math.ceil(len(samples) / MOST_OF_NOISE))]
    results = beside(results, lambda: classical_tables(NOISE, Noise(), tried, settings)[0])
    drawn = {f"{name}_{names.id}": name for name in work.methods}
    worst = pick([judged_first(one) for one in results.values()], predictions, _entries(work.prepared))
    found = Compared(results, _examples(results, predictions), drawn=drawn, worst=worst)
    floors = label_floors(next(iter(predictions.values())), settings.exact, settings.estimator, settings.window_seconds)
    notes = (
        *work.prepared.remarks, *work.region_notes, *reference_notes(sample.reference for sample in samples),
        *(one.words for one in floors), *_flag_notes(samples),
    )  # fmt: skip
    outcomes = (publish.Outcome(head, found),)
    tested = publish.Tested(names.folder, outcomes, tuple(work.failed), notes, tuple(work.left_out))
    publish.require_complete(tested.complete, allow)
    for name in work.methods:
        print(f"===Unsupervised Method ( {name} ) Predicting ===")
        print(f"Used Unsupervised Method: {name}")
        publish.say_table(results[name][-1], head, tested.complete)
    path = publish.write(tested, names)
    publish.require_complete(tested.complete, allow, written=True)
    return path


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


def _vitals(work: Work, network: Network | None) -> tuple[Path, dict[str, str], list[str]]:
    """Every recording's answer on screen, its rate by every method in files, the video with both where asked for.

    Returns the report, recordings without any rate and why, and those without a reliable pulse.
    """
    data, samples, settings = work.config.UNSUPERVISED.DATA, work.samples, work.settings
    only_exact = replace(settings, preset=settings.exact, metrics=[])
    measured = {name: classical_tables(name, method, samples, only_exact) for name, method in work.methods.items()}
    alone = ()
    if network is not None:
        made = network_tables(network, work.prepared, samples, only_exact, float(data.RESAMPLE_FS))
        alone, measured = (table_name(network),), {table_name(network): made} | measured
    tables = {name: made for name, (made, _) in measured.items()}
    waves = {name: results for name, (_, results) in measured.items()}
    write_waves(work.config, waves, samples)
    voting = {name: waves[name] for name in alone or waves}
    flags = {sample.id: sample.flags for sample in samples if sample.flags}
    lost = failures([one for made in tables.values() for one in made])
    given = answers({name: made for name, made in waves.items() if name not in alone}, samples, settings)
    if alone:
        given = doubted(answers_of((tables[alone[0]][0], waves[alone[0]]), samples, settings), given)
    doubtful = [one.id for one in given if not one.reliable and one.id not in lost]
    shown = next((name for name in (*alone, *VOTERS) if name in measured), next(iter(work.methods)))
    rated = [one for one in waves[shown] if one.id not in lost]
    rated.sort(key=lambda one: (one.id in doubtful, one.id in flags))
    seen = views(given, voting, settings)
    region = region_of(BOX, data.PREPROCESS) if alone else work.region  # a network sees all that is stored
    photos = {id: portraits(work.prepared, data, id, region) for id, one in seen.items() if one.spectra is not None}
    found = Compared(
        tables, {shown: rated[0]} if rated else {}, judged=False, flags=flags,
        answers=tuple(replace(one, region=region.words) for one in given),
        views={id: replace(one, photos=photos.get(id, ())) for id, one in seen.items()},
    )  # fmt: skip
    names = work.names(f"Pulse of {Path(data.DATA_PATH).name if data.DATASET == READER else data.DATASET}")
    report = publish.rates(found, work.failed, names, work.left_out)
    if work.config.UNSUPERVISED.OVERLAY:
        answered = [(one, seen.get(one.id)) for one in found.answers]
        write_overlays(names.folder / "overlay", work.prepared, data, answered)
    return report, lost, doubtful


def _prepare(config: Any) -> Any:
    """The section's recordings, also when some are missing: what to do about those is decided when labels are known."""
    from dataset.prepare.section import IncompleteError, prepare

    try:
        prepared = prepare(config.UNSUPERVISED.DATA, "unsupervised", config, bool(config.OVERWRITE))
    except IncompleteError as error:
        prepared = error.prepared
    if prepared.select is not None and config.UNSUPERVISED.DATA.PREPROCESS.DO_CHUNK:
        print("UNSUPERVISED.DATA: recordings are measured whole, whichever of their clips the list names.")
    provenance.note_data(config, prepared)
    return prepared


def _names(config: Any, title: str) -> Names:
    """Where the report and rPPG-Toolbox's plots go."""
    from config import run_folder

    data = config.UNSUPERVISED.DATA
    waves, plots = Path(config.UNSUPERVISED.OUTPUT_SAVE_DIR), Path(config.LOG.PATH) / data.EXP_DATA_NAME / PLOTS
    return Names(data.DATASET, title, waves, plots, Path(run_folder(config)))
