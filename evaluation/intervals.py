"""95 % intervals over people: what a number could be with other people of the same kind, however many windows each has.

One person after the other is left out; how much the number moves tells its spread (jackknife, Efron and Stein, "The
jackknife estimate of variance", Annals of Statistics 9(3), 1981). Student's t with one degree of freedom less than
people gives the width, on a scale on which the number is nearly normal. Percentiles of a bootstrap over people are too
narrow for few of them: of ten people with twelve windows each they held the true mean absolute error in 88 % of 1,000
simulated studies, this interval in 95 %.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.special

GROUPS = 100  # more people than that are left out in so many groups
CELLS = 1_000_000  # of the weights that are held at a time
LEVEL = 0.95
FEWEST = 3  # of two, Student's t would make intervals that say nothing
FEW = 10  # people, below which an interval over them says little

SCALES: dict[str, tuple[Callable, Callable]] = {
    "plain": (lambda value: value, lambda value: value),
    "log": (np.log, np.exp),  # of what is positive
    "fisher": (np.arctanh, np.tanh),  # of what lies between -1 and 1
    "logit": (lambda value: np.log(value / (1 - value)), lambda value: 1 / (1 + np.exp(-value))),  # between 0 and 1
}

SCALE_OF = {  # metric -> scale of its interval; the others are plain
    "MAE": "log", "RMSE": "log", "MAPE": "log", "SD": "log", "Pearson": "fisher", "CCC": "fisher",
}  # fmt: skip


def owners(subjects: Iterable[str]) -> tuple[list[int], int]:
    """The number of the subject of each row, as `interval` takes it, and how many subjects there are."""
    names = list(subjects)
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return [numbers[name] for name in names], len(numbers)


def interval(
    measure: Callable[[np.ndarray], np.ndarray], owner: Sequence[int], subjects: int, scale: str = "plain"
) -> tuple[float, float]:
    """95 % interval of a number over people; NaN with fewer than three, or where it is undefined without one of them.

    `measure` takes weights (draws, n), how often each row counts, and gives (draws,); `owner` (n,) holds the number of
    the subject of each row, from 0 to `subjects` - 1; (n, 2) where a row is of two, and goes with either. `scale` is
    one of SCALES; `plain` stands in where the number is outside of it.
    """
    groups = min(subjects, GROUPS)
    if groups < FEWEST:
        return math.nan, math.nan
    owner = np.asarray(owner)
    if subjects > groups:  # any order will do, but not that of the list: it may follow the rate
        owner = (np.random.default_rng(0).permutation(subjects) % groups)[owner]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        whole = float(np.atleast_1d(measure(np.ones((1, len(owner)))))[0])
        without = _without_each(measure, owner, groups)
        there, back = SCALES[scale]
        if not np.isfinite(there(np.append(without, whole))).all():
            there, back = SCALES["plain"]
        middle, reach = _reach(there(whole), there(without))
        return float(back(middle - reach)), float(back(middle + reach))


def _without_each(measure: Callable, owner: np.ndarray, groups: int) -> np.ndarray:
    """The number (groups,) without each of the groups."""
    block = max(1, CELLS // len(owner))
    columns = owner.reshape(len(owner), -1).T
    found = []
    for start in range(0, groups, block):
        left_out = np.arange(start, min(start + block, groups))[:, None]
        kept = np.all([column != left_out for column in columns], axis=0)
        found.append(np.atleast_1d(measure(kept.astype(float))))
    return np.concatenate(found)


def _reach(whole: float, without: np.ndarray) -> tuple[float, float]:
    """Middle and half width on the scale.

    The squares are multiplied by g / (g - 1), not divided by it: errors are skewed, and few people seldom hold the one
    with the largest. For ten people that makes the interval a tenth wider.
    """
    count = len(without)
    quantile = scipy.special.stdtrit(count - 1, 0.5 + LEVEL / 2)
    return whole, float(quantile * np.sqrt(count / (count - 1) * ((without - whole) ** 2).sum()))
