"""Two runs on the same windows: how much their scores differ, with an interval over people."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.files.reading import read_json
from evaluation import classification, tables
from evaluation.intervals import interval


@dataclass(frozen=True)
class Difference:
    """Error of the first run - that of the second, and its 95 % interval over people; below 0: the first is better."""

    mean: float
    low: float
    high: float
    people: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0; of fewer than three people there is none."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Answers:
    """What a run gave at its test: `given` and `true` (n, K) of n places; kind regression, choice or labels."""

    kind: str
    places: list[tuple[str, str]]
    subjects: list[str]
    given: np.ndarray
    true: np.ndarray

    def error(self) -> Callable[[np.ndarray], np.ndarray]:
        """What a task is selected by, lower is better, as a function of weights (..., n).

        Mean absolute error; 1 - balanced accuracy of a choice; 1 - macro AUROC of labels.
        """
        if self.kind == "choice":
            found, classes = self.given.argmax(axis=1), self.true.shape[1]
            true = self.true.argmax(axis=1)
            return lambda weights: (
                1 - classification.balanced_accuracy(classification.confusion(true, found, classes, weights))
            )
        if self.kind == "labels":
            area = classification.macro(classification.auroc, self.given, self.true > 0.5)
            return lambda weights: 1 - area(weights)
        off = np.abs(self.given - self.true).mean(axis=1)
        return lambda weights: weights @ off / weights.sum(axis=-1)


def answers_of(run: Path) -> Answers:
    """The test of a run, read from its folder; FileNotFoundError where it has no predictions by window."""
    run, metrics = Path(run), Path(run) / "metrics.json"
    kinds = [one.get("kind") for one in read_json(metrics).get("heads", {}).values()] if metrics.is_file() else []
    files = [*sorted(run.glob("*_per_clip.csv")), *sorted(run.glob("*_predictions.csv"))]
    if not kinds or not files:
        raise FileNotFoundError(f"'{run}' holds no predictions by window. Test it first.")
    lines = [line for line in tables.csv_lines(files[0]) if not line.get("note")]
    if kinds[0] in ("choice", "labels"):
        names = [key.removeprefix("p_") for key in lines[0] if key.startswith("p_")]
        given, true = (np.array([[float(line[f"{part}_{name}"]) for name in names] for line in lines])
                       for part in ("p", "true"))  # fmt: skip
    else:
        kinds = ["regression"]
        given, true = (np.array([[float(line[part])] for line in lines]) for part in ("predicted", "true"))
    places = [(line["recording"], f"{line['clip']} {line.get('target', '')}") for line in lines]
    return Answers(str(kinds[0]), places, [line["subject"] for line in lines], given, true)


def difference(first: Path, second: Path) -> Difference:
    """Of two runs; ValueError where they were not tested on the same windows."""
    mine, theirs = answers_of(first), answers_of(second)
    order = {place: row for row, place in enumerate(theirs.places)}
    if set(order) != set(mine.places) or mine.kind != theirs.kind:
        raise ValueError(f"'{first}' and '{second}' were tested on different windows, so nothing can be paired.")
    rows = [order[place] for place in mine.places]
    theirs = Answers(theirs.kind, mine.places, mine.subjects, theirs.given[rows], theirs.true[rows])
    errors = mine.error(), theirs.error()
    numbers = {name: number for number, name in enumerate(sorted(set(mine.subjects)))}
    owner = [numbers[name] for name in mine.subjects]

    def measure(weights: np.ndarray) -> np.ndarray:
        return errors[0](weights) - errors[1](weights)

    low, high = interval(measure, owner, len(numbers))
    return Difference(float(measure(np.ones(len(owner)))), low, high, len(numbers))
