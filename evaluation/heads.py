"""Outputs beside the pulse, evaluated by their kind: waves (respiration) as rates, classes (action units) as found.

    EVALUATORS[kind](results, spec) -> list of tables     one per preset; their rows can be joined over folds
    section(name, tables, spec) -> what report.md, metrics.json and the CSV files say of them
    lines(name, tables, spec) -> what is printed

`results` hold what was predicted and the reference, by recording: RecordingResult for waves, ClassResult for classes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation import action_units, bland_altman, console, report, respiration, tables
from evaluation.action_units import ClassTable
from evaluation.metrics import computed
from evaluation.presets import Preset
from evaluation.summary import Table, constant_mean, evaluate, table

RESPIRATION = "resp"  # the name of the breathing wave among signals and heads
TITLES = {RESPIRATION: "Respiration", "au": "Action units", "ppg": "Pulse"}
PPG_BOX = ("=====================", "==== PPG Metrics ====", "=====================")  # above the pulse of several


@dataclass(frozen=True)
class HeadSpec:
    """How an output is evaluated: its name, its kind, and the settings of the run.

    `presets` and `metrics` are those of the pulse; `classes` names the columns of an output of kind `classes`.
    """

    name: str
    kind: str
    method: str = ""
    presets: tuple[Preset, ...] = ()
    metrics: tuple[str, ...] = ()
    estimator: str = "FFT"
    window_seconds: float | None = None
    classes: tuple[str, ...] = ()

    @property
    def breathing(self) -> bool:
        """Whether the output is the respiration."""
        return self.name == RESPIRATION

    @property
    def title(self) -> str:
        """Heading in reports."""
        return TITLES.get(self.name, self.name)


def _waves(results: Sequence[Any], spec: HeadSpec) -> list[Table]:
    """One table per preset."""
    chosen, names = list(spec.presets), computed(spec.metrics)
    if spec.breathing:
        chosen, names, results = respiration.presets(chosen), respiration.metrics(names), respiration.prepared(results)
    return evaluate(spec.method, results, chosen, spec.estimator, spec.window_seconds, names)


def _classes(results: Sequence[Any], spec: HeadSpec) -> list[ClassTable]:
    """One table."""
    return [action_units.class_table(action_units.class_rows(results, spec.classes))]


EVALUATORS: dict[str, Callable[[Sequence[Any], HeadSpec], list[Any]]] = {"wave": _waves, "classes": _classes}


def merged(parts: Iterable[Sequence[Any]]) -> list[Any]:
    """The tables of several tests (folds) of one head as those of all their rows together."""
    return [_joined(same) for same in zip(*parts, strict=True)]


def _joined(same: Sequence[Any]) -> Any:
    first, rows = same[0], [row for one in same for row in one.rows]
    if isinstance(first, ClassTable):
        return action_units.class_table(rows)
    return table(first.method, rows, first.preset, first.estimator, first.window_seconds, first.scores)


def lines(found: Sequence[Any], spec: HeadSpec) -> list[str]:
    """What is printed of a head's tables: rPPG-Toolbox's lines, of the last preset."""
    if spec.kind == "classes":
        return action_units.lines(found[-1]) if _wanted(spec) else []
    if not spec.breathing:
        return [f"{spec.title}:", *console.lines(found[-1], spec.metrics, spec.estimator)]
    box, last = respiration.header(found), found[-1]
    return [*box, console.header(last), *respiration.lines(last, spec.estimator), *console.excluded_lines(last)]


def _wanted(spec: HeadSpec) -> bool:
    """rPPG-Toolbox prints action units where METRICS names them; the report has them in any case."""
    return any("AU" in name for name in spec.metrics)


def section(found: Sequence[Any], spec: HeadSpec) -> report.Section:
    """What a report says of a head."""
    return (_class_section if spec.kind == "classes" else _wave_section)(found, spec)


def _wave_section(found: Sequence[Table], spec: HeadSpec) -> report.Section:
    every = tables.ordered([*found, *map(constant_mean, found)])
    markdown = []
    for preset in dict.fromkeys(one.preset for one in every):
        markdown += report.preset_section(preset, [one for one in every if one.preset == preset], of=spec.title)
    files = {
        f"{spec.name}_per_recording.csv": _csv(tables.RECORDING_COLUMNS, tables.recording_rows(found, ())),
        f"{spec.name}_per_window.csv": _csv(tables.WINDOW_COLUMNS, tables.window_rows(found)),
    }
    content = {"kind": spec.kind, "tables": [tables.as_dict(one) for one in every]}
    return report.Section(spec.name, content, markdown, files)


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """CSV text; columns of heart rates get a name that fits any rate."""
    new = {name: name.replace("hr_", "rate_") for name in columns}
    return tables.csv_text(list(new.values()), [{new[name]: value for name, value in row.items()} for row in rows])


def _class_section(found: Sequence[ClassTable], spec: HeadSpec) -> report.Section:
    one = found[-1]
    files = {f"{spec.name}_per_recording.csv": tables.csv_text(action_units.COLUMNS, action_units.row_dicts(one))}
    return report.Section(
        spec.name, {"kind": spec.kind, **action_units.as_dict(one)}, _class_markdown(one, spec), files
    )


def _class_markdown(one: ClassTable, spec: HeadSpec) -> list[str]:
    heading = f"## {spec.title}"
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


def plots(found: Sequence[Any], spec: HeadSpec, folder: Any, id: str, correction: bool = True) -> list[Any]:
    """Bland-Altman plots of a wave's rates under the last preset, named after `id` and the head; the files."""
    if spec.kind != "wave" or not found[-1].valid:
        return []
    quantity = respiration.QUANTITY if spec.breathing else bland_altman.PULSE
    true, predicted = (np.array([getattr(row, key) for row in found[-1].valid]) for key in ("hr_true", "hr_pred"))
    name = f"{id}_{spec.name}"
    return bland_altman.plots(true, predicted, folder, name, spec.estimator, correction, quantity)
