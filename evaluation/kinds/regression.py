"""Regression: a number in the unit of its target, such as blood pressure in mmHg, judged by what was measured.

Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
The Lancet 327, 1986.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import bland_altman, console, figures, report, tables
from evaluation.intervals import SCALE_OF, interval, owners
from evaluation.kinds.base import Head, Kind, Picture, Predicted, left_out, size_of, targets_of
from evaluation.metrics import mae, pearson, rmse
from registry import KINDS

HUGE = 1e9  # what is larger is told by its magnitude


@dataclass(frozen=True)
class Row:
    """One judged value in the unit of its target: of a recording (clip None: the mean over its clips) or of one clip.

    `constant` is the mean of the target in training, NaN where unknown. `note` says why there is no error.
    """

    id: str
    subject: str
    target: str
    true: float = math.nan
    predicted: float = math.nan
    clip: int | None = None
    clips: int = 1
    constant: float = math.nan
    note: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """All numbers of one target by one method; scores and 95 % intervals over subjects by name."""

    target: str
    method: str
    unit: str
    per: str  # recording | clip
    rows: list[Row]
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: bool = False

    @property
    def valid(self) -> list[Row]:
        """The rows that enter the errors."""
        return [row for row in self.rows if not row.note]


@dataclass(frozen=True)
class Found:
    """The tables of an output: of each target the method's own, then that of the constant mean."""

    rows: list[Row]
    tables: list[Table]

    @property
    def own(self) -> list[Table]:
        """Without the baselines."""
        return [one for one in self.tables if not one.baseline]


# --- Metrics: predicted, true (n,) and weights (..., n), how often each row counts -> (...) ---------------------------


def r_squared(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficient of determination, 1 - sum of squares left / sum of squares about the mean; NaN for a constant truth.

    Below 0: worse than the mean of the truth.
    """
    mean = weights @ true / weights.sum(axis=-1)
    left = weights @ (predicted - true) ** 2
    whole = (weights * (true - np.expand_dims(mean, -1)) ** 2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 1e-12 * (weights @ true**2), 1 - left / whole, np.nan)


def bias(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of predicted - true."""
    return weights @ (predicted - true) / weights.sum(axis=-1)


def deviation(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sample standard deviation of predicted - true; NaN for fewer than two rows."""
    error, count = predicted - true, weights.sum(axis=-1)
    squares = (weights * (error - np.expand_dims(bias(predicted, true, weights), -1)) ** 2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 1, np.sqrt(squares / (count - 1)), np.nan)


def _value(metric: Callable, predicted: np.ndarray, true: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return metric(predicted, true, weights).value


METRICS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "MAE": partial(_value, mae),
    "RMSE": partial(_value, rmse),
    "R2": r_squared,
    "Pearson": partial(_value, pearson),
    "bias": bias,
    "SD": deviation,
}
UNITLESS = ("R2", "Pearson")


@KINDS.register("regression")
class Regression(Kind):
    """One number a clip, shape () or (1,), or (K,) for the K targets that the method's `parts` name; in their unit.

    A target that belongs to the recording (`targets` of the data set) is compared with the mean over its clips, one
    that comes with each clip with that clip's own prediction. Trainers say the unit: units = {"sbp": "mmHg"}.
    """

    per = "recording"
    label = "scalar"
    windows = True

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[Row]:
        """A row per target of each recording, or of each clip."""
        own = {name for one in recordings if one.entry is not None for name in one.entry.targets}
        return [
            row
            for one in recordings
            for column, target in enumerate(head.columns)
            for row in (_of_recording if target in own else _of_clips)(one, head, column, target)
        ]

    def metrics(self, rows: Sequence[Row], head: Head) -> Found:
        """Errors of every target, and those of the constant mean beside them."""
        made = []
        for target in head.columns:
            own = table(head.method, [row for row in rows if row.target == target], target, head)
            made += [own, *([_constant(own, head)] if own.valid else [])]
        return Found(list(rows), made)

    def judged(self, found: Found) -> bool:
        """Whether any target is known."""
        return any(one.valid for one in found.own)

    def training(self, entries: Iterable[Any], head: Head) -> dict[str, float]:
        """The mean of each target over the recordings, or windows, that are trained on."""
        found = [targets_of(entry, head.columns) for entry in entries]
        known = np.concatenate(found) if found else np.empty((0, len(head.columns)))
        columns = {target: values[np.isfinite(values)] for target, values in zip(head.columns, known.T, strict=True)}
        return {target: float(np.mean(values)) for target, values in columns.items() if len(values)}

    def lines(self, found: Found, head: Head) -> list[str]:
        """A text table per target."""
        return [line for one in found.own for line in _lines(one, found)]

    def section(self, found: Found, head: Head) -> report.Section:
        """A table per target with 95 % intervals, and a CSV file of every row."""
        content = {"kind": head.kind, "tables": [as_dict(one) for one in found.tables]}
        markdown = [part for one in found.own for part in _markdown(one, found)]
        lines = [_csv_line(row, head) for row in found.rows]
        return report.Section(
            head.name, content, markdown, {f"{head.name}_per_{_per(found.rows)}.csv": tables.csv_text(COLUMNS, lines)}
        )

    def plots(self, found: Found, head: Head) -> list[Picture]:
        """Predicted over true values beside the difference plot, for each target."""
        return [
            Picture(f"{head.name}_agreement.png" if one.target == head.name else f"{head.name}_{one.target}.png",
                    f"{one.target}: predicted over reference, and their difference over the mean of both",
                    partial(draw, one))
            for one in found.own
            if one.valid
        ]  # fmt: skip

    def summary(self, found: Found) -> dict[str, Any]:
        """The scores of each target."""
        return {f"{name} {one.target}": value for one in found.own for name, value in one.scores.items()}


def _of_recording(one: Predicted, head: Head, column: int, target: str) -> list[Row]:
    """The mean over the clips of a recording, against the recording's own target."""
    values = _values(one, head, column)
    true = math.nan if one.entry is None else float(one.entry.targets.get(target, math.nan))
    return [_noted(replace(_row(one, head, target), true=true, predicted=float(np.mean(values)), clips=len(values)))]


def _of_clips(one: Predicted, head: Head, column: int, target: str) -> list[Row]:
    """Each clip against its own label."""
    row = _row(one, head, target)
    return [
        _noted(replace(row, true=_label(one, number, head, column), predicted=value, clip=number))
        for number, value in zip(sorted(one.clips), _values(one, head, column), strict=True)
    ]


def _row(one: Predicted, head: Head, target: str) -> Row:
    return Row(one.id, one.subject, target, constant=(head.constant or {}).get(target, math.nan), info=one.info)


def _values(one: Predicted, head: Head, column: int) -> list[float]:
    """The predictions of the clips, in their order."""
    return [float(np.ravel(parts[head.name])[column]) for _, parts in one.ordered]


def _label(one: Predicted, number: int, head: Head, column: int) -> float:
    label = one.label(number, head.name)
    return math.nan if label is None else float(np.ravel(label)[column])


def _noted(row: Row) -> Row:
    """`row` with why it gives no error."""
    note = "no target" if not math.isfinite(row.true) else "" if math.isfinite(row.predicted) else "prediction is NaN"
    return replace(row, note=note)


def table(method: str, rows: list[Row], target: str, head: Head, baseline: bool = False) -> Table:
    """The numbers of a target by one method, with intervals over subjects."""
    used = [row for row in rows if not row.note]
    predicted, true = (np.array([getattr(row, key) for row in used]) for key in ("predicted", "true"))
    people, scores, intervals = owners(row.subject for row in used), {}, {}
    for name, metric in METRICS.items() if used else ():
        scores[name] = float(metric(predicted, true, np.ones(len(used))))
        intervals[name] = interval(partial(metric, predicted, true), *people, SCALE_OF.get(name, "plain"))
    unit = head.units.get(target, head.units.get(head.name, ""))
    return Table(target, method, unit, _per(rows), rows, scores, intervals, baseline)


def _per(rows: Sequence[Row]) -> str:
    return "clip" if any(row.clip is not None for row in rows) else "recording"


def _constant(own: Table, head: Head) -> Table:
    """The same rows with one value for everybody: the mean of training, or of the test rows where that is unknown."""
    known = all(math.isfinite(row.constant) for row in own.valid)
    mean = float(np.mean([row.true for row in own.valid]))
    rows = [replace(row, predicted=row.constant if known else mean) for row in own.valid]
    values = {row.predicted for row in rows}
    which = "training" if known else "test"
    words = f"{which} values, {_cell(values.pop(), 1)}" if len(values) == 1 else "training values of each fold"
    title = f"constant mean ({words}{' ' + own.unit if own.unit and not values else ''})"
    return table(title, rows, own.target, head, baseline=True)


# --- Words and files ------------------------------------------------------------------------------------------------

COLUMNS = (
    "recording", "subject", "target", "unit", "clip", "clips", "true", "predicted", "error", "constant", "note",
)  # fmt: skip


def _csv_line(row: Row, head: Head) -> dict[str, Any]:
    return {
        "recording": row.id, "subject": row.subject, "target": row.target,
        "unit": head.units.get(row.target, head.units.get(head.name, "")), "clip": "" if row.clip is None else row.clip,
        "clips": row.clips, "true": row.true, "predicted": row.predicted, "error": row.predicted - row.true,
        "constant": row.constant, "note": row.note,
    }  # fmt: skip


def _same(one: Table, found: Found) -> list[Table]:
    return [other for other in found.tables if other.target == one.target]


def with_unit(name: str, unit: str) -> str:
    """`name` with its unit, where it has one."""
    return f"{name} [{unit}]" if unit and name not in UNITLESS else name


def _lines(one: Table, found: Found) -> list[str]:
    """A text table of a target and its baseline."""
    title = f"{one.target}{f' [{one.unit}]' if one.unit else ''}: {size_of(one.rows, one.per)}"
    if not one.valid:
        return [f"{title}: no target is known, so there are predictions and no errors."]
    cells = [[table.method, *(_cell(table.scores[name]) for name in METRICS)] for table in _same(one, found)]
    return [title, *console.text_table(["method", *METRICS], cells).splitlines()]


def _markdown(one: Table, found: Found) -> list[str]:
    heading, size = f"## {one.target}", size_of(one.rows, one.per)
    if not one.valid:
        return [heading, f"{size}: no target is known, so there are predictions and no errors."]
    mean = " Each is the mean over its clips." if one.per == "recording" else ""
    about = (
        f"{size}.{mean} In brackets the 95 % interval over subjects (needs three). Bias and SD are of predicted - true."
    )
    lines = [
        [table.method, *(with_interval(table, name) for name in METRICS), str(len(table.valid))]
        for table in _same(one, found)
    ]
    table = report.markdown_table(["method", *(with_unit(name, one.unit) for name in METRICS), "n"], lines)
    return [heading, about, table, *left_out(one.rows, f"the file per {one.per}")]


def with_interval(one: Table, name: str) -> str:
    """A score of a table with its interval, as text."""
    low, high = one.intervals[name]
    text = _cell(one.scores[name])
    known = all(map(math.isfinite, (one.scores[name], low, high)))
    return f"{text} [{_cell(low)}, {_cell(high)}]" if known else text


def _cell(value: float, digits: int = 2) -> str:
    if not math.isfinite(value):
        return "–"
    if abs(value) >= HUGE:
        return f"{value:.3g}"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # 0.0 takes the sign off a zero


def as_dict(one: Table) -> dict[str, Any]:
    """One table for metrics.json."""
    return {
        "target": one.target,
        "method": one.method,
        "baseline": one.baseline,
        "unit": one.unit,
        "per": one.per,
        "n": len(one.valid),
        "recordings": len({row.id for row in one.valid}),
        "subjects": len({row.subject for row in one.valid}),
        "metrics": {
            name: {
                "unit": "" if name in UNITLESS else one.unit, "value": value, "ci95": list(one.intervals[name])
            }
            for name, value in one.scores.items()
        },
        "excluded": [{"recording": row.id, "clip": row.clip, "reason": row.note} for row in one.rows if row.note],
    }  # fmt: skip


def draw(one: Table, path: Path) -> Path:
    """Scatter plot (reference, prediction) and difference plot of a target in its unit, side by side."""
    true, predicted = (np.array([getattr(row, key) for row in one.valid]) for key in ("true", "predicted"))
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    room = 0.05 * (high - low) or 1.0
    figure = figures.new_figure(10, 4.4, layout="constrained")
    left, right = figure.subplots(1, 2)
    quantity = bland_altman.Quantity("reference", f"predicted {one.target}", one.unit, (low - room, high + room))
    left.scatter(true, predicted, c=bland_altman.density(true, predicted), s=24)
    left.plot(quantity.visible, quantity.visible, "k--", linewidth=1)
    left.set(xlim=quantity.visible, ylim=quantity.visible, aspect="equal")
    left.set(
        xlabel=with_unit(f"reference {one.target}", one.unit), ylabel=with_unit(f"predicted {one.target}", one.unit)
    )
    left.grid(alpha=0.4)
    bland_altman.draw_difference(right, true, predicted, False, quantity)
    right.set_xlabel(with_unit("mean of both", one.unit))
    right.set_ylabel(with_unit("predicted - reference", one.unit))
    return figures.save(figure, path)
