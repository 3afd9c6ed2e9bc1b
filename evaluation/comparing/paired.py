"""Two runs on the same windows: how much the errors of people differ, with an interval over people."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation import tables

DRAWS, SEED = 10_000, 0


@dataclass(frozen=True)
class Difference:
    """Mean over people of (first - second), and the 95 % interval of a bootstrap over people; below 0: first is better.

    Efron, "Bootstrap methods: another look at the jackknife", The Annals of Statistics 7, 1979: the percentiles.
    """

    mean: float
    low: float
    high: float
    people: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def errors_of(run: Path) -> dict[str, dict[tuple[str, str], float]]:
    """Subject -> (recording, clip) -> error of a run's test: absolute, or 0 and 1 of answers that are right and wrong.

    FileNotFoundError for a folder without per-clip predictions.
    """
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for path in sorted(Path(run).glob("*_per_clip.csv")) + sorted(Path(run).glob("*_predictions.csv")):
        for line in tables.csv_lines(path):
            if not line.get("note"):
                place = (line["recording"], f"{line['clip']} {line.get('target', '')}")
                found[line["subject"]][place] = _error(line)
    if not found:
        raise FileNotFoundError(f"'{run}' holds no predictions by window. Test it first.")
    return dict(found)


def _error(line: dict[str, str]) -> float:
    if "error" in line:
        return abs(float(line["error"]))
    names = [key.removeprefix("true_") for key in line if key.startswith("true_")]
    return float(any(line[f"true_{name}"] != line[f"found_{name}"] for name in names))


def difference(first: Path, second: Path) -> Difference:
    """Of two runs; ValueError where they were not tested on the same windows."""
    mine, theirs = errors_of(first), errors_of(second)
    if {who: set(part) for who, part in mine.items()} != {who: set(part) for who, part in theirs.items()}:
        raise ValueError(f"'{first}' and '{second}' were tested on different windows, so nothing can be paired.")
    values = np.array([np.mean([mine[who][place] - theirs[who][place] for place in mine[who]]) for who in sorted(mine)])
    drawn = np.random.default_rng(SEED).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return Difference(float(values.mean()), float(low), float(high), len(values))
