"""From rows to a table: every metric with its standard error, intervals over people, the constant mean."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluation.evaluate import rows
from evaluation.intervals import SCALE_OF, interval
from evaluation.limits import Limits, limits
from evaluation.metrics import OF_RATES, USUAL, Estimate, computed
from evaluation.presets import Preset
from evaluation.results import RecordingResult, Row
from evaluation.specification import Specification
from registry import METRICS

LIMITS = (3.0, 5.0, 10.0)  # bpm (breaths per minute) within which shares of windows are counted
HARMONIC_TOLERANCE = 0.05  # a rate within 5 % of twice (half) the true one counts as doubled (halved)


@dataclass(frozen=True)
class Score:
    """A metric over the windows: value, standard error, windows `n`, and a 95 % interval over `subjects`.

    `low` and `high` (see `intervals.interval`) are NaN with fewer than three; `excluded` counts the windows left out.
    `floor`: what noise in place of the prediction reaches; NaN where that was not tried.
    """

    value: float
    standard_error: float
    n: int
    subjects: int
    low: float = math.nan
    high: float = math.nan
    excluded: int = 0
    floor: float = math.nan


def summary(found: Sequence[Row], metrics: Sequence[str]) -> dict[str, Score]:
    """Every metric over the rows, with an interval over subjects."""
    return {name: _score(found, name) for name in metrics}


def _score(found: Sequence[Row], name: str) -> Score:
    used = usable(found, name)
    if not used:
        return Score(math.nan, math.nan, 0, 0, excluded=len(found))
    subjects = {name: number for number, name in enumerate(dict.fromkeys(row.subject for row in used))}
    table, owner = columns(used), [subjects[row.subject] for row in used]
    value, error = METRICS[name](**table)
    low, high = interval(
        lambda weights: METRICS[name](**table, weights=weights).value,
        owner, len(subjects), SCALE_OF.get(name, "plain"),
    )  # fmt: skip
    return Score(float(value), float(error), len(used), len(subjects), low, high, len(found) - len(used))


def usable(found: Sequence[Row], name: str) -> list[Row]:
    """The rows that metric `name` can use: both rates there, and its own column finite."""
    own = {"SNR": "snr", "SNR20": "snr", "MACC": "macc"}.get(name, "hr_pred")
    return [row for row in found if row.valid and math.isfinite(getattr(row, own))]


def columns(found: Sequence[Row]) -> dict[str, np.ndarray]:
    """The rows as the arrays (n,) that metrics take."""
    return {
        "predicted": np.array([row.hr_pred for row in found]),
        "true": np.array([row.hr_true for row in found]),
        "snr": np.array([row.snr for row in found]),
        "macc": np.array([row.macc for row in found]),
    }


def per_subject(found: Sequence[Row], metrics: Sequence[str]) -> dict[str, Estimate]:
    """Every metric with each subject counting once: mean over subjects of the subject's value, and its standard error.

    Pearson is the correlation of the subjects' mean rates.
    """
    return {name: _over_subjects(usable(found, name), name) for name in metrics}


def by_subject(found: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of every subject, subjects in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.subject, []).append(row)
    return groups


def _over_subjects(used: Sequence[Row], name: str) -> Estimate:
    groups = [columns(group) for group in by_subject(used).values()]
    if not groups:
        return Estimate(math.nan, math.nan)
    if name == "Pearson":
        means = {key: np.array([group[key].mean() for group in groups]) for key in groups[0]}
        return Estimate(*map(float, METRICS[name](**means)))
    values = np.array([METRICS[name](**group).value for group in groups], dtype=float)
    return Estimate(float(values.mean()), float(values.std() / math.sqrt(len(values))))


@dataclass(frozen=True)
class Table:
    """All numbers of one method under one preset."""

    method: str
    preset: Preset
    estimator: str
    window_seconds: float | None
    rows: list[Row]
    scores: dict[str, Score]
    subjects: dict[str, Estimate] = field(default_factory=dict)
    baseline: bool = False
    chance: bool = False  # a baseline made of random numbers: its single windows say nothing

    @property
    def specification(self) -> Specification:
        """How its numbers came about."""
        return Specification.of(self.preset, self.estimator, self.window_seconds)

    @property
    def valid(self) -> list[Row]:
        """The rows that enter the errors."""
        return [row for row in self.rows if row.valid]

    @property
    def excluded(self) -> list[Row]:
        """The rows that enter no error; each has a note."""
        return [row for row in self.rows if not row.valid]

    @property
    def coverage(self) -> float:
        """Share of the windows with a true rate that also have a predicted one."""
        known = [row for row in self.rows if math.isfinite(row.hr_true)]
        return sum(row.valid for row in known) / len(known) if known else math.nan

    @property
    def reasons(self) -> dict[str, int]:
        """Why windows enter no error -> how many, the most frequent first."""
        return dict(Counter(row.note for row in self.excluded).most_common())

    @property
    def people(self) -> int:
        """Subjects with at least one window that enters the errors."""
        return len({row.subject for row in self.valid})

    @property
    def limits(self) -> Limits:
        """Bias and limits of agreement."""
        used = self.valid
        return limits([row.error for row in used], [row.subject for row in used], self.preset.widened)

    @property
    def bar(self) -> dict[str, Any]:
        """Whom the preset's bar holds: `reached` people, and each one's MAPE (%); {} where the preset has none."""
        if not self.preset.bar or self.chance:
            return {}
        people = {name: float(METRICS["MAPE"](**columns(rows)).value) for name, rows in by_subject(self.valid).items()}
        reached = sum(value <= self.preset.bar for value in people.values())
        return {"mape": self.preset.bar, "reached": reached, "people": people}

    def within(self, limit: float) -> float:
        """Share of windows whose rate is at most `limit` away from the true one, in its unit."""
        errors = [abs(row.error) <= limit for row in self.valid]
        return sum(errors) / len(errors) if errors else math.nan

    @property
    def median_error(self) -> float:
        """Median of the absolute errors: half of the windows are better than this."""
        errors = [abs(row.error) for row in self.valid]
        return float(np.median(errors)) if errors else math.nan

    def share(self, factor: float) -> float:
        """Share of windows whose rate is `factor` times the true one (2: doubled, 0.5: halved) within 5 %."""
        used = self.valid
        near = [abs(row.hr_pred / (factor * row.hr_true) - 1) <= HARMONIC_TOLERANCE for row in used if row.hr_true]
        return sum(near) / len(near) if near else math.nan


def table(
    method: str, found: list[Row], preset: Preset, estimator: str, window_seconds: float | None, metrics: Iterable[str]
) -> Table:
    """The rows of `method` under `preset` with everything computed from them; plots among `metrics` are ignored."""
    names = computed(metrics)
    return Table(
        method, preset, preset.estimator(estimator), window_seconds or None, found, summary(found, names),
        per_subject(found, names),
    )  # fmt: skip


def evaluate(
    method: str,
    results: Sequence[RecordingResult],
    chosen: Iterable[Preset],
    estimator: str = "FFT",
    window_seconds: float | None = None,
    metrics: Iterable[str] = USUAL,
) -> list[Table]:
    """One table per preset for the predictions of `method`."""
    names = list(metrics)
    return [
        table(method, rows(results, preset, estimator, window_seconds), preset, estimator, window_seconds, names)
        for preset in chosen
    ]


def constant_mean(like: Table, rate: float | None = None) -> Table:
    """The baseline that predicts one rate for everybody: `rate` (bpm, mean of training) or the test rates' own mean.

    A method that is not better than this has not measured the pulse. With the test rates' mean it is an
    oracle, the best constant there is.
    """
    rate_is_given = rate is not None and math.isfinite(rate)
    used = [row for row in like.rows if math.isfinite(row.hr_true)]
    mean = rate if rate_is_given else float(np.mean([row.hr_true for row in used])) if used else math.nan
    found = [replace(row, hr_pred=mean, snr=math.nan, macc=math.nan, quality=math.nan, note="") for row in used]
    names = [name for name in like.scores if name in OF_RATES]
    rates = f"{mean:.1f} {like.preset.unit}" if math.isfinite(mean) else "none known"
    title = f"constant mean ({'training' if rate_is_given else 'test'} rates, {rates})"
    return replace(
        like, method=title, rows=found, scores=summary(found, names), subjects=per_subject(found, names), baseline=True
    )


def pooled(parts: Sequence[Table]) -> Table:
    """One table over the rows of several of one method and preset (folds)."""
    first = parts[0]
    found = [row for part in parts for row in part.rows]
    names = list(first.scores)
    constant = first.baseline and not first.chance
    method = "constant mean (training rates of each fold)" if constant else first.method
    return replace(
        first, method=method, rows=found, scores=summary(found, names), subjects=per_subject(found, names)
    )  # fmt: skip
