"""Facial action units, or any labels that are there or not in each frame: how often a network is right about them.

Frames are pooled over recordings, as rPPG-Toolbox pools them. Frames that are not coded do not count. A unit that is
neither there nor found in any frame has no F1 and no precision: it is named and left out of their means.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

THRESHOLD = 0.5  # probability from which a unit counts as found
MEASURES = ("f1", "precision", "recall", "accuracy")


@dataclass(frozen=True)
class ClassResult:
    """What one recording leaves: `probabilities` (L, K) and `present` (L, K), 1 there, 0 not, below 0 or NaN unknown.

    `present` is None without a reference.
    """

    id: str
    subject: str
    probabilities: np.ndarray
    present: np.ndarray | None


@dataclass(frozen=True)
class ClassRow:
    """Frames of one recording and one unit: found and there, found only, there only, neither."""

    id: str
    subject: str
    name: str
    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    unknown: int = 0
    note: str = ""


@dataclass(frozen=True)
class Rates:
    """Scores of one unit in percent, NaN where undefined, on `frames` coded frames, `positives` of them with it."""

    f1: float
    precision: float
    recall: float
    accuracy: float
    frames: int
    positives: int


@dataclass(frozen=True)
class ClassTable:
    """All numbers of one head: rows, scores by unit, and their means over the units where each is defined."""

    rows: list[ClassRow]
    units: dict[str, Rates]
    means: dict[str, float]
    defined: dict[str, int]  # units behind each mean
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, from resampling subjects

    @property
    def absent(self) -> list[str]:
        """Units that occur in no coded frame."""
        return [name for name, rates in self.units.items() if not rates.positives]


def class_rows(results: Iterable[ClassResult], names: Sequence[str]) -> list[ClassRow]:
    """One row per recording and unit; ValueError when the columns are not those of `names`."""
    found = []
    for result in results:
        for column, name in enumerate(names):
            found.append(_row(result, column, name, len(names)))
    return found


def _row(result: ClassResult, column: int, name: str, count: int) -> ClassRow:
    if result.present is None:
        return ClassRow(result.id, result.subject, name, unknown=len(result.probabilities), note="no reference")
    if result.probabilities.shape != result.present.shape or result.present.shape[1:] != (count,):
        raise ValueError(
            f"{result.id}: probabilities {result.probabilities.shape} and reference {result.present.shape} must both "
            f"have a row per frame and {count} columns."
        )
    present, probable = result.present[:, column], result.probabilities[:, column]
    known = (present >= 0) & np.isfinite(probable)
    there, found = present[known] >= 0.5, probable[known] >= THRESHOLD
    tp, fp, fn = (int((a & b).sum()) for a, b in ((there, found), (~there, found), (there, ~found)))
    tn = int(known.sum()) - tp - fp - fn
    note = "" if known.any() else "not coded"
    return ClassRow(result.id, result.subject, name, tp, fp, fn, tn, int((~known).sum()), note)


def class_table(rows: Sequence[ClassRow], seed: int = 100, resamples: int = 1000) -> ClassTable:
    """Scores of pooled `rows` by unit, their means, and 95 % intervals of the means from resampling subjects."""
    names = list(dict.fromkeys(row.name for row in rows))
    subjects = list(dict.fromkeys(row.subject for row in rows))
    counts = np.zeros((len(subjects), len(names), 4))
    for row in rows:
        counts[subjects.index(row.subject), names.index(row.name)] += (row.tp, row.fp, row.fn, row.tn)
    scores = measures(counts.sum(axis=0))  # (measures, units)
    units = {}
    for column, name in enumerate(names):
        tp, _, fn, _ = counts[:, column].sum(axis=0)
        values = map(float, scores[:, column])
        units[name] = Rates(*values, frames=int(counts[:, column].sum()), positives=int(tp + fn))
    means = {name: _mean(values) for name, values in zip(MEASURES, scores, strict=True)}
    defined = {name: int(np.isfinite(values).sum()) for name, values in zip(MEASURES, scores, strict=True)}
    return ClassTable(list(rows), units, means, defined, _intervals(counts, seed, resamples))


def measures(counts: np.ndarray) -> np.ndarray:
    """F1, precision, recall, accuracy in percent (4, ...) of counts tp, fp, fn, tn (..., 4); NaN where undefined.

    A unit that is there and never found has precision 0; one that is nowhere and never found has neither F1 nor
    precision, and one that is nowhere has no recall.
    """
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    precision = np.where((tp + fn > 0) & (tp + fp == 0), 0.0, _percent(tp, tp + fp))
    f1 = _percent(2 * tp, 2 * tp + fp + fn)
    return np.stack([f1, precision, _percent(tp, tp + fn), _percent(tp + tn, tp + fp + fn + tn)])


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, 100.0 * part / whole, np.nan)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _intervals(counts: np.ndarray, seed: int, resamples: int) -> dict[str, tuple[float, float]]:
    """2.5 and 97.5 percentile of each mean over draws of subjects, from counts (subjects, units, 4)."""
    if len(counts) < 2 or not resamples:
        return {}
    draws = np.random.default_rng(seed).integers(0, len(counts), size=(resamples, len(counts)))
    weights = np.stack([np.bincount(draw, minlength=len(counts)) for draw in draws]).astype(float)
    scores = measures(np.einsum("rs,suc->ruc", weights, counts))  # (measures, resamples, units)
    found = {}
    for name, values in zip(MEASURES, scores, strict=True):
        drawn = np.array([_mean(row) for row in values])
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn):
            low, high = np.percentile(drawn, [2.5, 97.5])
            found[name] = (float(low), float(high))
    return found


# ---------------------------------------------------------------------- words


def lines(table: ClassTable) -> list[str]:
    """rPPG-Toolbox's lines, word for word; a line about units that never occur follows.

    rPPG-Toolbox fails where a score has no value.
    """
    count = len(table.units)
    by_unit = [f"{name} {_word(rates.f1)} {_word(rates.precision)}" for name, rates in table.units.items()]
    means = [f"Mean {count} AU {word} {_word(table.means[name])}" for word, name in _MEANS]
    box = ["=====================", "===== AU METRICS ====", "====================="]
    return ["", *box, "AU / F1 / Precision", *by_unit, "", *means, "", *absent_lines(table)]


def _word(score: float) -> str:
    return str(score) if math.isfinite(score) else "undefined"


_MEANS = (("F1:", "f1"), ("Prec.:", "precision"), ("Acc.:", "accuracy"))


def absent_lines(table: ClassTable) -> list[str]:
    """Which units never occur, and over how many units F1 and precision are means; nothing when all occur."""
    if not table.absent:
        return []
    count, every = table.defined["f1"], len(table.units)
    return [
        f"Never present in the reference: {', '.join(table.absent)}. The means of F1 and precision are over the "
        f"{count} of {every} units that were present or found."
    ]


def as_dict(table: ClassTable) -> dict[str, Any]:
    """The table for metrics.json; percent."""
    return {
        "unit": "%",
        "threshold": THRESHOLD,
        "recordings": len({row.id for row in table.rows if not row.note}),
        "subjects": len({row.subject for row in table.rows if not row.note}),
        "mean": {
            name: {"value": value, "units": table.defined[name], "ci95": list(table.intervals.get(name, ()))}
            for name, value in table.means.items()
        },
        "units": {
            name: {**{measure: getattr(rates, measure) for measure in MEASURES}, "frames": rates.frames,
                   "positives": rates.positives}
            for name, rates in table.units.items()
        },
        "absent": table.absent,
        "without_reference": sorted({row.id for row in table.rows if row.note == "no reference"}),
    }  # fmt: skip


COLUMNS = ("recording", "subject", "unit", "tp", "fp", "fn", "tn", "unknown", "note")


def row_dicts(table: ClassTable) -> list[dict[str, Any]]:
    """One line per recording and unit, for a CSV file with `COLUMNS`."""
    return [
        {
            "recording": row.id, "subject": row.subject, "unit": row.name, "tp": row.tp, "fp": row.fp, "fn": row.fn,
            "tn": row.tn, "unknown": row.unknown, "note": row.note,
        }
        for row in table.rows
    ]  # fmt: skip
