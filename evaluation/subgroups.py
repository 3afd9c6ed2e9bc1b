"""Errors by an attribute of the recordings: skin, light, motion, sex, task, and the true rate itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.files.names import natural_key
from evaluation.intervals import FEW
from evaluation.results import Row
from evaluation.summary import Score, Table, summary

MOST = 12  # values of an attribute that each have a line; of more numbers, thirds
RATES = (60.0, 80.0, 100.0)  # bpm between groups of true rates
RATE = "true rate"


@dataclass(frozen=True)
class Group:
    """The windows whose recordings have one value of an attribute.

    scores by metric, with an interval over people     excluded  windows without an error
    few  whether they are of fewer than ten people, so that the interval says little
    """

    attribute: str
    value: str
    n: int
    recordings: int
    people: int
    excluded: int
    scores: dict[str, Score]
    bias: float

    @property
    def few(self) -> bool:
        """Fewer than ten people."""
        return self.people < FEW

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "attribute": self.attribute, "value": self.value, "n": self.n, "recordings": self.recordings,
            "people": self.people, "excluded": self.excluded, "few_people": self.few, "bias": self.bias,
            "metrics": {
                name: {"value": one.value, "ci95": [one.low, one.high]} for name, one in self.scores.items()
            },
        }  # fmt: skip


def subgroups(table: Table, metrics: Sequence[str] = ("MAE", "RMSE")) -> list[Group]:
    """The groups of `table` by each attribute that divides its recordings, in the order of the attributes."""
    found = []
    for attribute, value_of in _attributes(table.rows, table.preset.unit).items():
        parts: dict[str, list[Row]] = {}
        for row in table.rows:
            value = value_of(row)
            if value is not None:
                parts.setdefault(value, []).append(row)
        if len(parts) > 1:
            found += [_group(attribute, value, parts[value], metrics) for value in sorted(parts, key=_place)]
    return found


def _place(value: str) -> Any:
    """Below comes before what it is below of."""
    return (not value.startswith("below"), natural_key(value))


def _group(attribute: str, value: str, rows: list[Row], metrics: Sequence[str]) -> Group:
    used = [row for row in rows if row.valid]
    bias = float(np.mean([row.error for row in used])) if used else math.nan
    ids, people = {row.id for row in used}, {row.subject for row in used}
    return Group(
        attribute, value, len(used), len(ids), len(people), len(rows) - len(used), summary(rows, metrics), bias
    )


def _attributes(rows: Sequence[Row], unit: str) -> dict[str, Any]:
    """Attribute -> function from a row to its group's name, None where unknown."""
    infos = {row.id: row.info for row in rows}
    found = {}
    for name in dict.fromkeys(name for info in infos.values() for name in info):
        value_of = _by_value(name, infos)
        if value_of:
            found[name.replace("_", " ")] = value_of
    if unit == "bpm":
        found[RATE] = _rate
    return found


def _by_value(name: str, infos: Mapping[str, Mapping[str, Any]]) -> Any:
    """How the attribute `name` divides; None for one that is not of words or numbers, or is but a numbering."""
    values = [info.get(name) for info in infos.values()]
    known = [value for value in values if isinstance(value, (str, bool, int, float)) and value == value]
    different = set(known)
    if len(different) < 2 or _numbering(different, len(infos)):
        return None
    numbers = all(isinstance(value, (int, float)) for value in known)
    if len(different) <= MOST:
        return lambda row: _word(row.info.get(name))
    return _thirds(name, known) if numbers else None


def _numbering(different: set, recordings: int) -> bool:
    """Whether these are the names of the recordings, or their numbers without a gap."""
    if len(different) < recordings:
        return False
    if any(isinstance(value, str) for value in different):
        return True
    return all(isinstance(one, int) for one in different) and max(different) - min(different) == len(different) - 1


def _word(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:g}" if value == value else None
    return value if isinstance(value, str) else None


def _thirds(name: str, known: Sequence[float]) -> Any:
    """Three groups with about as many recordings each."""
    low, high = np.quantile(np.array(known, dtype=float), [1 / 3, 2 / 3])

    def value_of(row: Row) -> str | None:
        value = row.info.get(name)
        if not isinstance(value, (int, float)) or value != value:
            return None
        return f"below {low:g}" if value < low else f"{low:g} to {high:g}" if value < high else f"{high:g} and above"

    return value_of


def _rate(row: Row) -> str | None:
    """The group of a true rate."""
    if not math.isfinite(row.hr_true):
        return None
    place = sum(row.hr_true >= edge for edge in RATES)
    if place == 0:
        return f"below {RATES[0]:g} bpm"
    return f"{RATES[-1]:g} bpm and above" if place == len(RATES) else f"{RATES[place - 1]:g} to {RATES[place]:g} bpm"
