"""Waves: one value a frame, judged by the rates in windows of the prediction and of the recording's own signal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import bland_altman, console, pictures, report, tables
from evaluation.baselines import shuffled
from evaluation.evaluate import rows
from evaluation.kinds.base import Head, Kind, Names, Predicted, save_outputs
from evaluation.metrics import computed, is_plot
from evaluation.presets import Preset
from evaluation.results import RecordingResult, Row
from evaluation.summary import Table, constant_mean, pooled, table
from evaluation.truth import sources_of
from registry import KINDS


@KINDS.register("wave")
class Wave(Kind):
    """A wave with the band and the metrics of the pulse; its reference is the signal of its own name."""

    per = "frame"
    label = "wave"
    quantity = bland_altman.PULSE

    def presets(self, head: Head) -> list[Preset]:
        """The ways it is evaluated."""
        return list(head.settings.presets)

    def names(self, head: Head) -> list[str]:
        """The metrics that are defined for it."""
        return computed(head.settings.metrics)

    def reference(self, signals: Any, head: Head) -> Any:
        """What a recording with these signals is judged by; None without."""
        return signals.get(head.name)

    def results(self, recordings: Iterable[Predicted], head: Head) -> list[RecordingResult]:
        """Whole recordings with their references."""
        return [
            wave_result(one, head.name, None if one.entry is None else self.reference(one.entry.signals, head))
            for one in recordings
        ]

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[tuple[Preset, Row]]:
        """(preset, row) of each window, of the recordings that have a reference or a label."""
        known = [one for one in self.results(recordings, head) if one.reference is not None or one.label is not None]
        how = head.settings
        return [
            (preset, row)
            for preset in self.presets(head)
            for row in rows(known, preset, how.estimator, how.window_seconds)
        ]

    def metrics(self, rows: Sequence[tuple[Preset, Row]], head: Head) -> list[Table]:
        """A table per preset."""
        groups: dict[Preset, list[Row]] = {}
        for preset, row in rows:
            groups.setdefault(preset, []).append(row)
        how, names = head.settings, self.names(head)
        return [
            table(head.method, found, preset, how.estimator, how.window_seconds, names)
            for preset, found in groups.items()
        ]

    def merge(self, parts: Sequence[list[Table]], head: Head) -> list[Table]:
        """The tables of several tests as those of all their rows."""
        return [pooled(same) for same in zip(*parts, strict=True)]

    def lines(self, found: list[Table], head: Head) -> list[str]:
        """rPPG-Toolbox's lines of the last preset."""
        return [f"{self.title(head)}:", *console.lines(found[-1], head.settings.metrics, head.settings.estimator)]

    def section(self, found: list[Table], head: Head) -> report.Section:
        """A table per preset with the constant mean and shuffled labels, and CSV files of recordings and windows."""
        baselines = [make(one) for make in (constant_mean, shuffled) for one in found]
        return rate_section(found, baselines, head, self.title(head))

    def agreement(self, found: list[Table], head: Head, names: Names) -> None:
        """Bland-Altman plots of the rates under the last preset, named after the run and the output."""
        draw_agreement({f"{names.id}_{head.name}": found[-1]}, head, names, self.quantity)

    def summary(self, found: list[Table]) -> dict[str, Any]:
        """The scores under the first preset."""
        return {name: score.value for name, score in found[0].scores.items()} | {"n": len(found[0].valid)}

    def lost(self, found: list[Table]) -> tuple[set[str], dict[str, str]]:
        """As the report counts them."""
        return lost_of(found)

    def save(self, recordings: Sequence[Predicted], head: Head, names: Names) -> Any:
        """The wave as LABEL_TYPE says."""
        path = names.outputs / f"{names.id}_{head.name}_outputs.pickle"
        return save_outputs(recordings, head.name, path, recordings[0].label_type)


def wave_result(one: Predicted, name: str, reference: Any) -> RecordingResult:
    """The clips of one recording, joined in the order of their numbers, with its reference.

    Frames that are missing between clips keep their place in time. A reference with a clock of its own starts with the
    video where the frames have no times. A label with gaps is none.
    """
    label = np.ravel(one.joined_label(name))
    times = _times(one, one.places(name))
    if one.entry is not None and one.entry.times is None:
        reference = _from_zero(reference)
    return RecordingResult(
        id=one.id,
        subject=one.subject,
        fs=one.rate,
        prediction=np.ravel(one.joined(name)),
        label=label if np.isfinite(label).all() else None,
        label_type=one.label_type,
        reference=reference,
        times=times,
        clips=[len(parts[name]) for _, parts in one.ordered],
        frames=one.frames,
        info=one.info,
        sources=_sources(one),
    )


def _sources(one: Predicted) -> dict[str, Any]:
    """What tells a true rate, on the clock of the frames."""
    if one.entry is None:
        return {}
    found = sources_of(one.entry.signals)
    return {name: _from_zero(signal) for name, signal in found.items()} if one.entry.times is None else found


def _times(one: Predicted, places: np.ndarray) -> np.ndarray | None:
    """Seconds of the predicted frames; None where they are evenly spaced from the start on, or nothing is known."""
    if one.entry is None:
        return None
    times = one.grid
    if times is not None:
        return np.asarray(times, dtype=float)[places]
    return places / one.rate if len(places) and places[-1] != len(places) - 1 else None


def _from_zero(signal: Any) -> Any:
    if signal is None or signal.times is None:
        return signal
    times = np.asarray(signal.times, dtype=float)
    return replace(signal, times=times - times[0])


# --- What all kinds share that end in rates ---------------------------------------------------------------------------


def rate_section(found: Sequence[Table], baselines: Sequence[Table], head: Head, title: str) -> report.Section:
    """The section of an output whose rows are rates; the baselines stand in the tables, not in the CSV files."""
    every = tables.ordered([*found, *baselines])
    markdown = []
    for preset in dict.fromkeys(one.preset for one in every):
        markdown += report.preset_section(preset, [one for one in every if one.preset == preset], of=title)
    return report.Section(head.name, rate_content(every), markdown, rate_files(found, head.name))


def rate_content(every: Sequence[Table], kind: str = "wave") -> dict[str, Any]:
    """Tables of rates for metrics.json."""
    return {"kind": kind, "tables": [tables.as_dict(one) for one in every]}


def rate_files(found: Sequence[Table], name: str) -> dict[str, str]:
    """CSV files of the recordings and windows of an output called `name`."""
    return {
        f"{name}_per_recording.csv": _csv(tables.RECORDING_COLUMNS, tables.recording_rows(found, ())),
        f"{name}_per_window.csv": _csv(tables.WINDOW_COLUMNS, tables.window_rows(found)),
    }


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """CSV text; columns of heart rates get a name that fits any rate."""
    new = {name: name.replace("hr_", "rate_") for name in columns}
    return tables.csv_text(list(new.values()), [{new[name]: value for name, value in row.items()} for row in rows])


def draw_agreement(
    found: Mapping[str, Table], head: Head, names: Names, quantity: bland_altman.Quantity = bland_altman.PULSE
) -> None:
    """rPPG-Toolbox's Bland-Altman files of the rates of tables by the start of their names; a line says where.

    Nothing unless METRICS asks for them.
    """
    if any(map(is_plot, head.settings.metrics)):
        drawn = [id for id, one in found.items() if _agreement_of(one, id, head, names, quantity)]
        if drawn:
            ends = f"{drawn[0]}_*" if len(drawn) == 1 else f"{len(drawn)} methods"
            print(f"Bland-Altman plots ({ends}): {names.plots}")


def _agreement_of(one: Table, id: str, head: Head, names: Names, quantity: bland_altman.Quantity) -> list[Path]:
    how = head.settings
    if not one.valid:
        return []
    true, predicted = (np.array([getattr(row, key) for row in one.valid]) for key in ("hr_true", "hr_pred"))
    return bland_altman.plots(
        true,
        predicted,
        names.plots,
        id,
        one.preset.fixed or how.estimator,
        one.preset.widened,
        quantity,
        pictures.about([one]),
    )


def lost_of(found: Sequence[Table]) -> tuple[set[str], dict[str, str]]:
    """Recordings that were evaluated in any of the tables, and the others with the first reason."""
    lost = {item["recording"]: item["reason"] for item in tables.completeness(found, ())["failed"]}
    return {row.id for one in found for row in one.rows} - set(lost), lost
