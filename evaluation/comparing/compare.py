"""Runs on what they share: the same windows of the same people, scores, paired tests, ranks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dataset.files.names import plural
from evaluation.comparing.hypothesis import Pair, Ranking, friedman, pairs
from evaluation.comparing.runs import Run
from evaluation.limits import Limits, limits
from evaluation.results import Row
from evaluation.summary import Score, summary

METRICS = ("MAE", "RMSE", "MAPE", "Pearson", "CCC")
SAME = 0.5  # bpm between true rates of the same window that need no word


@dataclass(frozen=True)
class Comparison:
    """Runs on the same test data.

    windows  (recording, window) that every run has an error of      scores   run -> metric -> score on them
    pairs    every two runs, paired by person                        ranking  of three or more; None otherwise
    apart    largest difference of the true rates of one window (bpm)
    """

    runs: tuple[Run, ...]
    windows: tuple[tuple[str, int], ...]
    people: tuple[str, ...]
    scores: dict[str, dict[str, Score]]
    agreement: dict[str, Limits]
    by_person: np.ndarray = field(repr=False)  # (people, runs) mean absolute error, bpm
    pairs: tuple[Pair, ...] = ()
    ranking: Ranking | None = None
    apart: float = 0.0

    @property
    def name(self) -> str:
        """The data set."""
        return next((run.test.words for run in self.runs if run.test.name), "the test data")

    @property
    def recordings(self) -> int:
        """Recordings with at least one shared window."""
        return len({id for id, _ in self.windows})

    @property
    def warning(self) -> str:
        """What stands above every table: the runs that lack recordings, and how many; "" where none does."""
        return "; ".join(f"{run.incomplete}: {run.label}" for run in self.runs if run.incomplete)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of this comparison."""
        found = [self._shared()]
        found += [f"{run.label} is incomplete: {_named(run.failed)}." for run in self.runs if run.incomplete]
        if self.apart > SAME:
            found.append(f"The runs' true rates of one window differ by up to {self.apart:.1f} bpm; each has its own.")
        return found

    def _shared(self) -> str:
        own = {run.label: len(run.by_window) for run in self.runs}
        words = f"{len(self.windows)} windows of {self.recordings} recordings and {len(self.people)} people"
        if all(count == len(self.windows) for count in own.values()):
            return f"All runs are compared on the same {words}."
        each = ", ".join(f"{label} {count}" for label, count in own.items())
        return f"Compared only on what all runs share: {words}. Windows of each by itself: {each}."


def compare(runs: Sequence[Run]) -> Comparison:
    """The comparison of `runs` on the windows that all of them have; ValueError where there are none."""
    rows = [run.by_window for run in runs]
    shared = [key for key in rows[0] if all(key in other for other in rows[1:])]
    if not shared:
        each = "; ".join(
            f"{run.label}: {run.test.words or 'unknown'}, {plural(len(own), 'window')}"
            for run, own in zip(runs, rows, strict=True)
        )
        raise ValueError(
            f"The runs share no window: they were tested on different data, or cut it differently ({each})."
        )
    owners = [rows[0][key].subject for key in shared]
    people = tuple(dict.fromkeys(owners))
    table = np.stack([_mean_errors([own[key] for key in shared], owners, people) for own in rows], axis=1)
    labels = [run.label for run in runs]
    true = np.array([[own[key].hr_true for own in rows] for key in shared])
    ranked = friedman(table, labels) if len(runs) > 2 and len(people) > 1 else None
    return Comparison(
        tuple(runs), tuple(shared), people,
        {label: summary([own[key] for key in shared], METRICS) for label, own in zip(labels, rows, strict=True)},
        {label: _limits([own[key] for key in shared]) for label, own in zip(labels, rows, strict=True)},
        table, tuple(pairs(table, labels)) if len(runs) > 1 else (), ranked, float(np.ptp(true, axis=1).max()),
    )  # fmt: skip


def _mean_errors(rows: Sequence[Row], owners: Sequence[str], people: Sequence[str]) -> np.ndarray:
    """Mean absolute error (people,) of each person, bpm."""
    place = {name: k for k, name in enumerate(people)}
    owner = [place[name] for name in owners]
    return np.bincount(owner, [abs(row.error) for row in rows]) / np.bincount(owner)


def _limits(rows: Sequence[Row]) -> Limits:
    return limits([row.error for row in rows], [row.subject for row in rows])


def over_data_sets(found: Sequence[Comparison]) -> Ranking | None:
    """Methods ranked over data sets by their mean absolute error; None for fewer than three methods or two data sets.

    Runs of one method on several data sets are told by the method's name.
    """
    methods = [run.method for run in found[0].runs]
    if len(found) < 2 or len(set(methods)) != len(methods) or len(methods) < 3:
        return None
    table = []
    for one in found:
        errors = {run.method: one.scores[run.label]["MAE"].value for run in one.runs}
        if set(errors) != set(methods):
            return None
        table.append([errors[name] for name in methods])
    return friedman(table, methods)


def by_test(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in groups with the same test data set, in their order; all together where one would be alone."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.test.name, []).append(run)
    return list(groups.values()) if all(len(group) > 1 for group in groups.values()) else [list(runs)]


def _named(failed: Any) -> str:
    names = [f"{name} ({reason})" for name, reason in list(failed.items())[:3]]
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    return f"without {', '.join(names)}{more}" if names else "why is not said"
