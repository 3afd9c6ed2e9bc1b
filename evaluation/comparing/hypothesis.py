"""Tests whether methods differ, on one number a person (or a data set): lower is better. Windows are no independent
observations; the mean over a person's windows is one.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.stats

DRAWS = 10_000  # random changes of sign where there are too many to try all
EXACT = 13  # people up to whom all are tried
SEED = 100
LEVEL = 0.05


def permutation(differences: Sequence[float]) -> float:
    """Two-sided p of paired `differences` (n,) by changing their signs; 1 without any.

    Were the methods alike, each person's difference would be as likely the other way round. All 2^n changes for up to
    13 people, otherwise 10,000 random ones and the observed one (Phipson and Smyth, "Permutation p-values should never
    be zero", 2010).
    """
    values = np.asarray(differences, dtype=float)
    if not len(values) or not values.any():
        return 1.0
    sums = np.abs(_signs(len(values)) @ values)
    return float((sums >= abs(values.sum()) * (1 - 1e-12)).mean())


@lru_cache(maxsize=4)
def _signs(count: int) -> np.ndarray:
    """All changes of `count` signs, or random ones behind none at all."""
    if count <= EXACT:
        return np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    signs = np.random.default_rng(SEED).choice((1.0, -1.0), size=(DRAWS + 1, count))
    signs[0] = 1.0
    return signs


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed ranks of paired `differences` (n,); 1 where all are zero.

    Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6), 1945. Exact for up to 50 without
    ties, otherwise normal.
    """
    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    if not len(values):
        return 1.0
    ties = len(np.unique(np.abs(values))) < len(values)
    how = "exact" if len(values) <= 50 and not ties else "approx"
    return float(scipy.stats.wilcoxon(values, method=how).pvalue)


def holm(found: Sequence[float]) -> list[float]:
    """p values (m,) corrected for m comparisons, in their order.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6(2), 1979.
    """
    values = np.asarray(found, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, steps)
    return corrected.tolist()


@dataclass(frozen=True)
class Ranking:
    """Methods ranked within blocks (people or data sets), the best 1.

    ranks     method -> mean rank, the best first     statistic, p  Friedman's, chi-squared with k - 1 degrees
    blocks    how many                                critical      difference of mean ranks that counts (Nemenyi)
    """

    ranks: dict[str, float]
    blocks: int
    statistic: float
    p: float
    critical: float

    @property
    def alike(self) -> list[tuple[str, ...]]:
        """The largest groups of methods between which no difference counts."""
        names, found = list(self.ranks), []
        for start in range(len(names)):
            reach = [name for name in names[start:] if self.ranks[name] - self.ranks[names[start]] < self.critical]
            if len(reach) > 1 and not any(set(reach) <= set(other) for other in found):
                found.append(tuple(reach))
        return found


def friedman(scores: Sequence[Sequence[float]], names: Sequence[str]) -> Ranking:
    """Friedman's test of `scores` (blocks, methods), lower is better, and Nemenyi's critical difference at 5 %.

    Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006. ValueError for fewer than
    three methods or two blocks.
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 3:
        raise ValueError("Friedman's test needs at least three methods on two people or data sets.")
    ranks = scipy.stats.rankdata(values, axis=1).mean(axis=0)
    if (values == values[:, :1]).all():
        statistic, p = 0.0, 1.0  # nothing to rank: the formula would divide by zero
    else:
        statistic, p = map(float, scipy.stats.friedmanchisquare(*values.T))
    order = np.argsort(ranks, kind="stable")
    by_name = {names[k]: float(ranks[k]) for k in order}
    return Ranking(by_name, len(values), statistic, p, critical_difference(len(names), len(values)))


def critical_difference(methods: int, blocks: int) -> float:
    """Difference of mean ranks of `methods` over `blocks` that chance exceeds in 5 % (Nemenyi)."""
    quantile = scipy.stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * blocks)))


@dataclass(frozen=True)
class Pair:
    """One method against another over `people`.

    difference  mean over people of the second's mean absolute error less the first's (bpm), with its 95 % interval
    p_*         of the permutation of signs and of Wilcoxon's ranks, and both corrected for all pairs
    """

    first: str
    second: str
    people: int
    difference: float
    low: float
    high: float
    p_permutation: float
    p_wilcoxon: float
    p_permutation_holm: float = math.nan
    p_wilcoxon_holm: float = math.nan


def pairs(scores: Sequence[Sequence[float]], names: Sequence[str]) -> list[Pair]:
    """Every two methods compared; `scores` (people, methods), lower is better."""
    values = np.asarray(scores, dtype=float)
    found = []
    for a, b in itertools.combinations(range(len(names)), 2):
        differences = values[:, b] - values[:, a]
        low, high = _interval(differences)
        p = permutation(differences), wilcoxon(differences)
        found.append(Pair(names[a], names[b], len(values), float(differences.mean()), low, high, *p))
    by_signs, by_ranks = (holm([getattr(one, key) for one in found]) for key in ("p_permutation", "p_wilcoxon"))
    return [
        Pair(**{**vars(one), "p_permutation_holm": signs, "p_wilcoxon_holm": ranks})
        for one, signs, ranks in zip(found, by_signs, by_ranks, strict=True)
    ]


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of the mean."""
    if len(values) < 3:
        return math.nan, math.nan
    reach = scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)
