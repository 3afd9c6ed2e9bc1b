"""What chance reaches: the rates of one person against those of another, and noise in place of the predicted wave."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluation.evaluate import rows
from evaluation.metrics import OF_RATES
from evaluation.results import RecordingResult, Row
from evaluation.summary import HARMONIC_TOLERANCE, Score, Table, per_subject, summary
from registry import METRICS

SHUFFLED, NOISE = "shuffled labels", "white noise"
SHUFFLES = 200
MOST_OF_NOISE = 500  # recordings that noise is put in the place of
SEED = 100


@dataclass(frozen=True)
class Shuffled(Table):
    """Every predicted rate against true rates of other people: what a method reaches that tells nobody from another.

    Scores, median and shares are means over SHUFFLES; their intervals are those of the shuffles. `rows` are the first.
    `others` (shuffles, n) true rates (bpm) beside the n predicted ones.
    """

    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), compare=False, repr=False)

    @property
    def _errors(self) -> np.ndarray:
        return np.abs(np.array([row.hr_pred for row in self.rows]) - self.others)

    def within(self, limit: float) -> float:
        """Share of windows whose rate is at most `limit` away from another person's."""
        return float((self._errors <= limit).mean()) if self.others.size else math.nan

    @property
    def median_error(self) -> float:
        """Mean over shuffles of the median of the absolute errors."""
        return float(np.median(self._errors, axis=1).mean()) if self.others.size else math.nan

    def share(self, factor: float) -> float:
        """Share of windows whose rate is `factor` times another person's within 5 %."""
        if not self.others.size:
            return math.nan
        ratio = np.array([row.hr_pred for row in self.rows]) / (factor * self.others)
        return float((np.abs(ratio - 1) <= HARMONIC_TOLERANCE).mean())


def shuffled(like: Table) -> Shuffled:
    """The baseline that pairs the predictions of `like` with the true rates of others; of one person, of other windows.

    Always the same for the same rows. Nothing is defined for fewer than two windows.
    """
    used, random = like.valid, np.random.default_rng(SEED)
    names = [name for name in like.scores if name in OF_RATES]
    true = np.array([row.hr_true for row in used])
    places = np.stack([_others([row.subject for row in used], random) for _ in range(SHUFFLES)])
    others = true[places] if len(used) > 1 else np.zeros((0, 0))
    found = [
        replace(row, hr_true=float(rate), snr=math.nan, macc=math.nan, quality=math.nan)
        for row, rate in (zip(used, others[0], strict=True) if len(others) else ())
    ]
    scores = {name: _over_shuffles(name, found, others) for name in names}
    return Shuffled(
        f"{SHUFFLED} (mean of {SHUFFLES})", like.preset, like.estimator, like.window_seconds, found, scores,
        baseline=True, chance=True, others=others,
    )  # fmt: skip


def _others(subjects: Sequence[str], random: np.random.Generator) -> np.ndarray:
    """For each window the number of a window of another person; of another window where there is one person only."""
    if len(subjects) < 2:
        return np.zeros(len(subjects), dtype=int)
    people, owner = np.unique(subjects, return_inverse=True)
    if len(people) == 1:
        order = random.permutation(len(subjects))
        found = np.empty(len(order), dtype=int)
        found[order] = np.roll(order, 1)  # one circle through all: nobody stays
        return found
    order = random.permutation(len(people))
    of = np.empty(len(order), dtype=int)
    of[order] = np.roll(order, 1)
    windows = np.argsort(owner, kind="stable")
    counts = np.bincount(owner)
    start = np.cumsum(counts) - counts
    target = of[owner]
    return windows[start[target] + (random.random(len(owner)) * counts[target]).astype(int)]


def _over_shuffles(name: str, found: Sequence[Row], others: np.ndarray) -> Score:
    if not len(others):
        return Score(math.nan, math.nan, 0, 0)
    predicted = np.array([row.hr_pred for row in found])
    values = np.array([METRICS[name](predicted, true).value for true in others], dtype=float)
    values = values[np.isfinite(values)]
    people = len({row.subject for row in found})
    if not len(values):
        return Score(math.nan, math.nan, len(found), people)
    low, high = np.percentile(values, [2.5, 97.5])
    return Score(float(values.mean()), math.nan, len(found), people, float(low), float(high))


class Noise:
    """A classical method that gives white noise, other in each recording: every chain's answer to no pulse at all."""

    compares_colours = False

    def __init__(self) -> None:
        """Begin with the first recording."""
        self._random = np.random.default_rng(SEED)

    def __call__(self, trace: np.ndarray, fs: float) -> np.ndarray:
        """Noise (T,) in place of the colours (T, 3)."""
        return self._random.normal(size=len(trace))


def noise(like: Table, results: Sequence[RecordingResult], estimator: str) -> Table:
    """The table of `like` with white noise in place of every predicted wave, in the form in which they came.

    Of more than 500 recordings some, evenly chosen. `results` are those of `like`, `estimator` its EVALUATION_METHOD.
    """
    every = range(0, len(results), max(1, math.ceil(len(results) / MOST_OF_NOISE)))
    make = Noise()
    tried = [replace(results[k], prediction=make(results[k].prediction, results[k].fs)) for k in every]
    found = rows(tried, like.preset, estimator, like.window_seconds, say=False)
    return as_noise(
        replace(
            like, rows=found, scores=summary(found, list(like.scores)), subjects=per_subject(found, list(like.scores))
        )
    )


def as_noise(found: Table) -> Table:
    """`found`, the table of a method that gave noise, as a baseline."""
    return replace(found, method=NOISE, baseline=True, chance=True)


def with_floor(found: Table, floor: Table) -> Table:
    """`found` with what noise reaches beside its MACC and SNR."""
    reached = {name: floor.scores[name].value for name in ("SNR", "SNR20", "MACC") if name in floor.scores}
    scores = {name: replace(score, floor=reached.get(name, math.nan)) for name, score in found.scores.items()}
    return replace(found, scores=scores)


def chance(own: Sequence[Table], floors: Sequence[Table]) -> dict[str, list[Table]]:
    """The rows of chance beside the tables of a method, one per preset."""
    return {SHUFFLED: [shuffled(one) for one in own], NOISE: list(floors)}


def beside(tables: Mapping[str, Sequence[Table]], make: Callable[[], Sequence[Table]]) -> dict[str, Any]:
    """All of `tables` with their floors, and the rows of chance behind them; `make` gives those of noise."""
    floors = [as_noise(one) for one in make()]
    known = {
        method: [with_floor(one, floor) for one, floor in zip(found, floors, strict=True)]
        for method, found in tables.items()
    }
    return {**known, **chance(next(iter(tables.values())), floors)}
