"""Bias and limits of agreement where people were measured several times, with intervals.

Windows of one person are alike, so the differences are taken apart: what differs between people, and what differs
within one. Bland and Altman, "Agreement between methods of measurement with multiple observations per individual",
J. Biopharm. Stat. 17(4), 2007 (the true value varies within a person); intervals by Zou, "Confidence interval
estimation for the Bland-Altman limits of agreement with multiple observations per individual", Stat. Methods Med. Res.
22(6), 2013.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

REACH = 1.959963984540054  # standard deviations about the mean that hold 95 % of a normal distribution
Span = tuple[float, float]
UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class Limits:
    """Agreement of `n` windows of `subjects` people, predicted - true, in the unit of the rates; NaN where unknown.

    bias     mean over people of each one's mean      low, high  limits that hold 95 % of the differences
    between  standard deviation of people             within     standard deviation of one person's windows
    *_ci95   (low, high) of the number over people    widened    whether the limits are sqrt(2) too wide, as
                                                                 rPPG-Toolbox draws them
    """

    bias: float = math.nan
    low: float = math.nan
    high: float = math.nan
    between: float = math.nan
    within: float = math.nan
    bias_ci95: Span = UNKNOWN
    low_ci95: Span = UNKNOWN
    high_ci95: Span = UNKNOWN
    n: int = 0
    subjects: int = 0
    widened: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}


def limits(differences: Sequence[float], subjects: Sequence[Any], widened: bool = False) -> Limits:
    """Bias and limits of `differences` (n,) of the people `subjects` (n,).

    Of one person alone the limits are those of the windows, and nothing is known of others: no intervals. `widened`
    multiplies the reach of the limits by sqrt(2), as rPPG-Toolbox does.
    """
    values = np.asarray(differences, dtype=float)
    if not len(values):
        return Limits(widened=widened)
    people, owner = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(owner)
    means = np.bincount(owner, values) / counts
    inside = float(((values - means[owner]) ** 2).sum())
    free = len(values) - len(people)
    noise = inside / free if free else 0.0  # variance within a person
    reach = REACH * math.sqrt(2.0 if widened else 1.0)
    if len(people) < 2:
        return _of_one(values, noise, free, reach, widened)
    share = 1.0 - float((1.0 / counts).mean())  # of `noise` that the variance of the means does not hold yet
    spread = float(means.var(ddof=1))
    total = spread + share * noise
    bias, deviation = float(means.mean()), math.sqrt(total)
    between = max(0.0, spread - (1.0 - share) * noise)
    smallest, largest = _of_variance(spread, len(people) - 1, share * noise, free)
    error = float(scipy.special.stdtrit(len(people) - 1, 0.975)) * math.sqrt(spread / len(people))
    less = math.hypot(error, reach * (deviation - math.sqrt(smallest)))
    more = math.hypot(error, reach * (math.sqrt(largest) - deviation))
    low, high = bias - reach * deviation, bias + reach * deviation
    return Limits(
        bias, low, high, math.sqrt(between), math.sqrt(noise) if free else math.nan, (bias - error, bias + error),
        (low - more, low + less), (high - less, high + more), len(values), len(people), widened,
    )  # fmt: skip


def _of_one(values: np.ndarray, noise: float, free: int, reach: float, widened: bool) -> Limits:
    """The windows of one person."""
    within = math.sqrt(noise) if free else math.nan
    bias = float(values.mean())
    return Limits(
        bias, bias - reach * within, bias + reach * within, within=within, n=len(values), subjects=1, widened=widened
    )


def _of_variance(spread: float, free_between: int, rest: float, free_within: int) -> Span:
    """95 % interval of `spread` + `rest`, mean squares with so many degrees of freedom each (chi-squared, MOVER)."""
    below, above = 0.0, 0.0
    for value, free in ((spread, free_between), (rest, free_within)):
        if free:
            low, high = (free / (2 * scipy.special.gammaincinv(free / 2, q)) for q in (0.975, 0.025))
            below += (value * (1 - low)) ** 2
            above += (value * (high - 1)) ** 2
    total = spread + rest
    return max(0.0, total - math.sqrt(below)), total + math.sqrt(above)
