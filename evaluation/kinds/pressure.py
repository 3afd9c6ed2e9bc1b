"""Pressure: regression of blood pressures, judged as what it is worth.

Beside the model stand, on the same recordings, the mean of training and the regressions of `pressure_baselines`; a
model that is not better than one of them, paired by subject, is marked. Every protocol has tables of
its own. Standards are graded, with the reasons why this is no validation.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from dataset.files.names import plural
from dataset.progress import show_progress
from evaluation import console, pressure_baselines, protocols, report, standards, tables
from evaluation.intervals import interval, owners
from evaluation.kinds import regression
from evaluation.kinds.base import Head, Picture, Predicted, left_out
from evaluation.kinds.regression import Found, Regression, Row, Table
from registry import KINDS

MEAN = "mean of training"


@dataclass(frozen=True)
class PressureRow(Row):
    """A judged value with what the baselines give for it, and who it is of.

    others      baseline -> its prediction           known  whether the subject was trained on
    calibrated  by the line of the validation; NaN without       sex  f, m or ""
    """

    others: Mapping[str, float] = field(default_factory=dict)
    calibrated: float = math.nan
    known: bool = False
    sex: str = ""


@dataclass(frozen=True)
class Comparison:
    """The model's MAE less a baseline's on the same readings, with the 95 % interval over subjects, in the unit."""

    baseline: str
    difference: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the model is better beyond chance: the whole interval below 0."""
        return self.high < 0


@dataclass(frozen=True)
class Protocol:
    """The tables of one target under one protocol: the model's own, then the baselines'."""

    name: str
    target: str
    tables: list[Table]
    comparisons: list[Comparison]
    standards: dict[str, Any]
    categories: list[dict[str, Any]]
    lacking: int = 0  # subjects with too few readings for it

    @property
    def own(self) -> Table:
        """The model's."""
        return self.tables[0]

    @property
    def not_better_than(self) -> list[str]:
        """The baselines that the model does not beat beyond chance."""
        return [one.baseline for one in self.comparisons if not one.better]


@dataclass(frozen=True)
class PressureFound(Found):
    """As Found, of the first protocol; all of them by target in `protocols`."""

    protocols: list[Protocol] = field(default_factory=list)


@KINDS.register("pressure")
class Pressure(Regression):
    """One blood pressure a recording (or clip), or K of them, in mmHg."""

    windows = True

    def training(self, entries: Iterable[Any], head: Head) -> dict[str, Any]:
        """Means, regressions and subjects of the recordings that are trained on, as plain values."""
        subjects, pieces, sources = set(), [], list(entries)
        every = -(-sum(len(getattr(one, "rows", "1")) for one in sources) // pressure_baselines.ENOUGH)
        if every > 1:
            print(f"Baselines are fitted to one in {every} windows of the training data.")
        for source in show_progress(sources, "Baselines of the training data", unit="recordings"):
            subjects.add(source.subject)
            pieces += pressure_baselines.pieces_of(source, max(every, 1))
        found: dict[str, Any] = {"mean": {}, "regressions": {}, "subjects": sorted(subjects)}
        for target in head.columns:
            values = np.array([piece.targets.get(target, math.nan) for piece in pieces], dtype=float)
            if np.isfinite(values).any():
                found["mean"][target] = float(np.nanmean(values))
                found["regressions"][target] = pressure_baselines.fit([piece.facts for piece in pieces], values)
        return found

    def validation(self, recordings: Sequence[Predicted], head: Head) -> dict[str, Any]:
        """Scores of the validation recordings, their predictions, and the line of each target."""
        rows = _alone(super().rows(recordings, head), recordings)
        lines, scores = {}, {}
        for target in head.columns:
            own = [row for row in rows if row.target == target and not row.note]
            values = [np.array([getattr(row, key) for row in own]) for key in ("predicted", "true")]
            lines[target] = list(protocols.line_of(*values))
            scores[target] = scores_of(_table(head.method, own, target, head)) if own else {}
        return {"line": lines, "scores": scores, "csv": predictions_csv(rows, head)}

    def remembered(self, head: Head) -> dict[str, Any]:
        """What was found in training and validation, for a later test of the same weights."""
        kept = {key: value for key, value in (head.validation or {}).items() if key != "csv"}
        return {"constant": head.constant, "validation": kept or None}

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[PressureRow]:
        """A row per target of each recording, or clip, with the baselines' predictions."""
        facts: dict[tuple[str, int | None], Mapping[str, float]] = {}
        for one in show_progress(recordings, "Baselines", unit="recordings", keep=False):
            for piece in pressure_baselines.pieces_of(one.source):
                facts[one.id, piece.clip] = facts[one.id, None] = piece.facts
        trained = set((head.constant or {}).get("subjects", ()))
        rows = super().rows(recordings, head)
        return _alone([_with_others(row, head, facts, trained) for row in rows], recordings)

    def metrics(self, rows: Sequence[PressureRow], head: Head) -> PressureFound:
        """Every protocol that was asked for, target by target."""
        made = []
        for target in head.columns:
            own = [row for row in rows if row.target == target]
            for name, judged, lacking in _protocols(own, head):
                made.append(_protocol(name, target, judged, head, lacking))
        first = {one.target: one for one in reversed(made)}
        return PressureFound(list(rows), [table for target in head.columns for table in first[target].tables], made)

    def lines(self, found: PressureFound, head: Head) -> list[str]:
        """A text table per target and protocol."""
        return [line for one in found.protocols for line in _lines(one)]

    def section(self, found: PressureFound, head: Head) -> report.Section:
        """Tables, marks, standards, categories; predictions, and all numbers once more in `final_metrics.json`."""
        content = {"kind": head.kind, "tables": [table for one in found.protocols for table in _dicts(one)]}
        content["standards"] = _standards(found)
        markdown = [part for one in found.protocols for part in _markdown(one)]
        base = super().section(found, head)
        files = {**base.files, "test_predictions.csv": predictions_csv(found.rows, head)}
        if head.validation and "csv" in head.validation:
            files["val_predictions.csv"] = head.validation["csv"]
        files["final_metrics.json"] = tables.json_text(final_metrics(found, head))
        return report.Section(head.name, content, markdown, files)

    def plots(self, found: PressureFound, head: Head) -> list[Picture]:
        """Predicted over true values beside the difference plot, for each target and protocol."""
        return [
            Picture(f"{head.name}_{one.target}_{one.name.replace(' ', '')}.png",
                    f"{one.target}, {one.name}: predicted over reference, and predicted - reference over their mean",
                    partial(regression.draw, one.own))
            for one in found.protocols
            if one.own.valid
        ]  # fmt: skip


def _with_others(row: Row, head: Head, facts: Mapping[Any, Mapping[str, float]], trained: set[str]) -> PressureRow:
    """The row with what the baselines give for it."""
    constant, own = head.constant or {}, facts.get((row.id, row.clip), facts.get((row.id, None), {}))
    mean = constant.get("mean", {}).get(row.target, head.options.get("mean", {}).get(row.target, math.nan))
    fitted = constant.get("regressions", {}).get(row.target, {}) if own else {}
    others = {MEAN: mean} if math.isfinite(mean) else {}
    line = (head.validation or {}).get("line", {}).get(row.target)
    return PressureRow(
        **{**vars(row), "constant": mean},
        others=others | {name: pressure_baselines.predict(one, own) for name, one in fitted.items()},
        calibrated=line[0] + line[1] * row.predicted if line else math.nan,
        known=row.subject in trained,
        sex={0.0: "f", 1.0: "m"}.get(own.get("sex", math.nan), ""),
    )


def _alone(rows: list[Any], recordings: Sequence[Predicted]) -> list[Any]:
    """The rows of clips that are all there is of their recordings as rows of recordings."""
    if any(len(one.clips) > 1 for one in recordings):
        return rows
    return [replace(row, clip=None) for row in rows]


# --- Protocols and comparisons ---------------------------------------------------------------------------------------


def _protocols(rows: list[PressureRow], head: Head) -> list[tuple[str, list[PressureRow], int]]:
    """(name, rows, subjects lacking) of each protocol of one target, the uncalibrated one first."""
    plain = protocols.KNOWN if any(row.known for row in rows) else protocols.FREE
    made = [(plain, rows, 0)]
    how, count = head.options.get("calibrate", "none"), int(head.options.get("k", 1))
    if how == protocols.LINEAR and any(math.isfinite(row.calibrated) for row in rows):
        made.append((protocols.LINEAR, [replace(row, predicted=row.calibrated) for row in rows], 0))
    if how == protocols.PERSONAL:
        usable, first = [row for row in rows if not row.note], bool(head.options.get("first", False))
        judged, lacking = protocols.personal(usable, count, first, int(head.options.get("seed", 0)), _shift, _errors)
        made.append((f"{protocols.PERSONAL} {count}{' first' if first else ''}", judged, lacking))
    return made


def _errors(row: PressureRow) -> dict[str, float]:
    """Reference - prediction of the model ("") and of every baseline."""
    return {"": row.true - row.predicted, **{name: row.true - value for name, value in row.others.items()}}


def _shift(row: PressureRow, offsets: Mapping[str, float]) -> PressureRow:
    others = {name: value + offsets.get(name, 0.0) for name, value in row.others.items()}
    return replace(row, predicted=row.predicted + offsets[""], others=others)


def _protocol(name: str, target: str, rows: list[PressureRow], head: Head, lacking: int) -> Protocol:
    own = _table(head.method, rows, target, head)
    names = list(dict.fromkeys(name for row in own.valid for name in row.others))
    names = [one for one in names if all(one in row.others for row in own.valid)]
    others = [
        _table(one, [replace(row, predicted=row.others[one]) for row in own.valid], target, head, baseline=True)
        for one in names
    ]
    graded, categories = {}, []
    if own.valid and standards.kind_of(target) in ("sbp", "dbp", "mbp"):
        errors, true = errors_of(own), np.array([row.true for row in own.valid])
        graded = standards.graded(
            target, errors, true, [row.subject for row in own.valid], {row.subject: row.sex for row in own.valid},
            arterial=any("arter" in str(row.info.get("reference", "")).lower() for row in own.valid),
            calibrated=name.startswith(protocols.PERSONAL),
        )  # fmt: skip
        categories = standards.by_category(target, errors, true)
    return Protocol(name, target, [own, *others], [compare(own, one) for one in others], graded, categories, lacking)


def errors_of(table: Table) -> np.ndarray:
    """Predicted - reference (n,) of the rows that count."""
    return np.array([row.predicted - row.true for row in table.valid])


def compare(own: Table, other: Table) -> Comparison:
    """The difference of two mean absolute errors on the same readings, with its interval over subjects."""
    apart = np.abs(errors_of(own)) - np.abs(errors_of(other))
    people = owners(row.subject for row in own.valid)
    low, high = interval(lambda weights: weights @ apart / weights.sum(axis=-1), *people)
    return Comparison(other.method, float(apart.mean()), low, high)


def _table(method: str, rows: Sequence[Row], target: str, head: Head, baseline: bool = False) -> Table:
    """As of any regression; the interval of r by Fisher's z, people counting once: their readings are alike."""
    made = regression.table(method, list(rows), target, head, baseline)
    if "Pearson" not in made.scores:
        return made
    people = len({row.subject for row in made.valid})
    return replace(made, intervals={**made.intervals, "Pearson": fisher(made.scores["Pearson"], people)})


def fisher(r: float, count: int) -> tuple[float, float]:
    """95 % interval of a correlation of `count` people; NaN for fewer than four and for a constant."""
    if count < 4 or not math.isfinite(r):
        return math.nan, math.nan
    middle, reach = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r))), 1.96 / math.sqrt(count - 3)
    return math.tanh(middle - reach), math.tanh(middle + reach)


# --- Words and files ------------------------------------------------------------------------------------------------


def marked(one: Protocol) -> str:
    """What the comparison with the baselines comes to, in one sentence."""
    if not one.comparisons:
        return "NOT COMPARED: no baseline could be computed for these recordings."
    if one.not_better_than:
        return f"NOT BETTER than {', '.join(one.not_better_than)} (paired, 95 % interval over subjects)."
    return "Better than every baseline here (paired, 95 % interval over subjects)."


def _lines(one: Protocol) -> list[str]:
    size = f"n = {plural(len(one.own.valid), one.own.per)} of {_people(one)}"
    title = f"{one.target}{f' [{one.own.unit}]' if one.own.unit else ''}, protocol {one.name}: {size}"
    if not one.own.valid:
        return [f"{title}: nothing to judge{_lacking(one)}."]
    cells = [[table.method, *(_cell(table.scores[key]) for key in regression.METRICS)] for table in one.tables]
    text = console.text_table(["method", *regression.METRICS], cells).splitlines()
    return [title, *text, *filter(None, [marked(one), _graded_line(one)])]


def _people(one: Protocol) -> str:
    return plural(len({row.subject for row in one.own.valid}), "subject")


def _lacking(one: Protocol) -> str:
    return f"; {plural(one.lacking, 'subject')} with too few readings left out" if one.lacking else ""


def _cell(value: float) -> str:
    return f"{value + 0.0:.2f}" if math.isfinite(value) else "–"


def _graded_line(one: Protocol) -> str:
    if not one.standards:
        return ""
    found = one.standards
    first, second = found["aami"], found["iso_criterion2"]
    return (
        f"Standards (not a validation): AAMI/ISO error {first['me']:.2f} +- {first['sd']:.2f} mmHg, criterion 1 "
        f"{_passed(first)}, criterion 2 {_passed(second)} (SD {second['sd']:.2f}, at most {second['limit']:.2f}); BHS "
        f"{found['bhs']['grade']}; IEEE 1708 {found['ieee1708']['grade']}."
    )


def _passed(found: Mapping[str, Any]) -> str:
    return "met" if found["pass"] else "not met"


def _markdown(one: Protocol) -> list[str]:
    heading = f"## {one.target}, protocol {one.name}"
    about = f"{protocols.explained(one.name)}{_lacking(one)}."
    if not one.own.valid:
        return [heading, about, "Nothing to judge."]
    size = f"n = {plural(len(one.own.valid), one.own.per)} of {_people(one)}. "
    how = "In brackets the 95 % interval over subjects, of Pearson by Fisher's z. "
    lines = [
        [table.method, *(regression.with_interval(table, key) for key in regression.METRICS), _difference(one, table)]
        for table in one.tables
    ]
    heads = ["method", *(regression.with_unit(key, one.own.unit) for key in regression.METRICS)]
    return [
        heading, about, size + how + "Errors are predicted - reference.",
        report.markdown_table([*heads, "model's MAE less this"], lines), f"**{marked(one)}**",
        *_categories(one), *_standards_text(one), *left_out(one.own.rows, f"the file per {one.own.per}"),
    ]  # fmt: skip


def _difference(one: Protocol, table: Table) -> str:
    found = next((each for each in one.comparisons if table.baseline and each.baseline == table.method), None)
    return f"{found.difference:+.2f} [{found.low:+.2f}, {found.high:+.2f}]" if found else ""


def _categories(one: Protocol) -> list[str]:
    lines = [[each["category"], str(each["n"]), _cell(each["mae"]), _cell(each["me"])] for each in one.categories]
    unit = one.own.unit
    heads = [f"reference [{unit}]", "n", f"MAE [{unit}]", f"bias [{unit}]"]
    return [report.markdown_table(heads, lines)] if lines else []


def _standards_text(one: Protocol) -> list[str]:
    if not one.standards:
        return []
    found, claims = one.standards, one.standards["claims"]
    within = ", ".join(f"{found['bhs'][key]:.0f} % within {key[2:]}" for key in ("le5", "le10", "le15"))
    reasons = [f"- {name}: {'; '.join(why)}" for name, why in claims.items()]
    return [f"{_graded_line(one)} BHS: {within} mmHg.", "Not a validation, because:\n\n" + "\n".join(reasons)]


def _dicts(one: Protocol) -> list[dict[str, Any]]:
    """The tables of a protocol for metrics.json."""
    by_name = {each.baseline: each for each in one.comparisons}
    made = []
    for table in one.tables:
        compared = by_name.get(table.method) if table.baseline else None
        made.append({
            "protocol": one.name, **regression.as_dict(table),
            **({"model_less_this": [compared.difference, compared.low, compared.high]} if compared else {}),
            **({} if table.baseline else {"not_better_than": one.not_better_than, "categories": one.categories,
                                          "subjects_lacking": one.lacking}),
        })  # fmt: skip
    return made


def _standards(found: PressureFound) -> dict[str, Any]:
    """Protocol -> target -> what `standards.graded` says."""
    made: dict[str, Any] = {}
    for one in found.protocols:
        if one.standards:
            made.setdefault(one.name, {})[one.target] = one.standards
    return made


def scores_of(table: Table) -> dict[str, Any]:
    """The numbers of a table under the short names of `final_metrics.json`."""
    names = {"mae": "MAE", "rmse": "RMSE", "r": "Pearson", "pearson": "Pearson", "r2": "R2", "me": "bias", "sd": "SD"}
    found = {short: table.scores[name] for short, name in names.items()}
    ci = {short: list(table.intervals[name]) for short, name in names.items() if short != "pearson"}
    return {**found, "n": len(table.valid), "n_subjects": len({row.subject for row in table.valid}), "ci": ci}


def final_metrics(found: PressureFound, head: Head) -> dict[str, Any]:
    """The content of `final_metrics.json`: validation and test by target, baselines, standards, protocols."""
    blocks: dict[str, Any] = {}
    for one in found.protocols:
        if one.own.valid:
            own = {**scores_of(one.own), "not_better_than": one.not_better_than}
            blocks.setdefault(one.name, {"targets": {}, "baselines": {}})["targets"][one.target] = own
            for table in one.tables[1:]:
                blocks[one.name]["baselines"].setdefault(table.method, {})[one.target] = scores_of(table)
    for block in blocks.values():
        block["mean_mae"] = _mean_mae(block["targets"])
    for one in found.protocols:
        if one.own.valid and (spread := head.options.get("spread", {}).get(one.target)):
            errors = np.abs(errors_of(one.own)) / spread
            huber = np.where(errors < 1, errors**2 / 2, errors - 0.5)
            blocks[one.name]["targets"][one.target]["loss"] = float(huber.mean())
    first = next(iter(blocks.values()), {"targets": {}, "baselines": {}, "mean_mae": math.nan})
    validated = (head.validation or {}).get("scores", {})
    used = [row for row in found.rows if not row.note]
    return {
        "val": {"targets": validated, "mean_mae": _mean_mae(validated)},
        "test": {"protocol": next(iter(blocks), ""), **first},
        "protocols": blocks,
        "baseline_mean_predictor": first["baselines"].get(MEAN, {}),
        "standards": _standards(found),
        "error": "predicted - reference",
        "n_records": len({row.id for row in used}),
        "n_subjects": len({row.subject for row in used}),
    }


def _mean_mae(targets: Mapping[str, Any]) -> float:
    values = [one["mae"] for one in targets.values() if "mae" in one]
    return float(np.mean(values)) if values else math.nan


def predictions_csv(rows: Sequence[Row], head: Head) -> str:
    """`ssoid`, then <target>_true and <target>_pred of every target, and <target>_cal where a line was fitted."""
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault(row.id if row.clip is None else f"{row.id}#{row.clip}", {})
        line |= {f"{row.target}_true": row.true, f"{row.target}_pred": row.predicted}
        if math.isfinite(getattr(row, "calibrated", math.nan)) and head.options.get("calibrate") == protocols.LINEAR:
            line[f"{row.target}_cal"] = row.calibrated
    columns = ["ssoid", *dict.fromkeys(name for line in lines.values() for name in line)]
    return tables.csv_text(columns, [{"ssoid": name, **line} for name, line in lines.items()])
