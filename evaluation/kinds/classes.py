"""Classes: for every frame what is there and what is not, such as the action units of a face."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dataset.clips import labels
from evaluation import action_units, report, tables
from evaluation.action_units import ClassResult, ClassRow, ClassTable
from evaluation.kinds.base import Head, Kind, Predicted
from registry import KINDS


@KINDS.register("classes")
class Classes(Kind):
    """Probabilities (T, K) of the K signals that the method's `parts` name; a frame is coded 1, 0, or not (-1)."""

    per = "frame"
    label = "codes"

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[ClassRow]:
        """A row per unit of each recording in which anything is coded."""
        known = [class_result(one, head) for one in recordings]
        return action_units.class_rows([one for one in known if (one.present >= 0).any()], head.parts)

    def metrics(self, rows: Sequence[ClassRow], head: Head) -> ClassTable:
        """Scores of the frames of all recordings together."""
        return action_units.class_table(rows)

    def title(self, head: Head) -> str:
        """What reports call it."""
        return "Action units" if head.name == "au" else head.name

    def lines(self, found: ClassTable, head: Head) -> list[str]:
        """rPPG-Toolbox prints action units where METRICS names them; the report has them in any case."""
        return action_units.lines(found) if any("AU" in name for name in head.settings.metrics) else []

    def section(self, found: ClassTable, head: Head) -> report.Section:
        """A line per unit, and their means with intervals."""
        files = {f"{head.name}_per_recording.csv": tables.csv_text(action_units.COLUMNS, action_units.row_dicts(found))}
        content = {"kind": head.kind, **action_units.as_dict(found)}
        return report.Section(head.name, content, _markdown(found, self.title(head)), files)

    def summary(self, found: ClassTable) -> dict[str, Any]:
        """The means, in percent."""
        return {f"{name} [%]": value for name, value in found.means.items()}


def class_result(one: Predicted, head: Head) -> ClassResult:
    """What a recording leaves: the codes of its own signals, or of the clips where it has none of them."""
    coded = _coded(one, head)
    present = one.joined_label(head.name) if coded is None else coded[one.places(head.name)]
    return ClassResult(one.id, one.subject, one.joined(head.name), present)


def _coded(one: Predicted, head: Head) -> np.ndarray | None:
    """What is coded at every frame (T, K), -1 where nothing is; None when the recording has none of these signals."""
    entry, count = one.entry, one.count
    if entry is None or count is None or not any(name in entry.signals for name in head.parts):
        return None
    columns = [_codes(entry.signals.get(name), one.grid, count, one.reading.align) for name in head.parts]
    return np.stack(columns, axis=1)


def _codes(signal: Any, times: np.ndarray | None, count: int, align: str) -> np.ndarray:
    return np.full(count, -1.0) if signal is None else labels.pick(signal, times, count, align)


def _markdown(one: ClassTable, title: str) -> list[str]:
    heading = f"## {title}"
    if not any(rates.frames for rates in one.units.values()):
        return [heading, "Not one frame of the reference is coded: no scores."]
    head = ["unit", "F1 [%]", "precision [%]", "recall [%]", "accuracy [%]", "coded frames", "with the unit"]
    cells = [
        [name, *[_cell(getattr(rates, measure)) for measure in action_units.MEASURES], str(rates.frames),
         str(rates.positives)]
        for name, rates in one.units.items()
    ]  # fmt: skip
    mean = ["**mean**", *[_mean_cell(one, measure) for measure in action_units.MEASURES], "", ""]
    about = (
        f"Frames of all recordings together, found from a probability of {action_units.THRESHOLD:g}; in brackets the "
        "95 % interval from resampling subjects (needs two). Frames without coding do not count."
    )
    return [heading, about, report.markdown_table(head, [*cells, mean]), *action_units.absent_lines(one)]


def _mean_cell(one: ClassTable, measure: str) -> str:
    low_high = one.intervals.get(measure)
    text = _cell(one.means[measure])
    return f"{text} [{low_high[0]:.1f}, {low_high[1]:.1f}]" if low_high else text


def _cell(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"
