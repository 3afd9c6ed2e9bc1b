"""Numbers of a choice between two: whose heart it is, decided by scores of videos and hearts.

A clip leaves a vector for its video and one for its heart; a rule turns a video's vector and a heart's into a score.
Of a pair of clips come two trials, one with the heart of each; the video with the higher score is chosen, and equal
scores count half. Trials share people, so that their number says little: what counts is the permutation of people.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.stats

from evaluation.intervals import interval
from evaluation.likely_rates import HIGHEST, LOWEST, STRAY, at_rate

DRAWS = 1000  # permutations of people
LEVEL = 0.95
EDGES = (0.0, 5.0, 10.0, 20.0, math.inf)  # bpm between the two rates
Z = scipy.stats.norm.ppf(0.5 + LEVEL / 2)


# --- Scores: of two videos (..., D) and a heart (..., E) -> the logit (...) that it is the second's -----------------


def distance(first: np.ndarray, second: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """The score of a video is minus the squared distance of its vector from the heart's."""
    return ((first - heart) ** 2).sum(-1) - ((second - heart) ** 2).sum(-1)


def absolute(first: np.ndarray, second: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """The score is minus the sum of absolute differences: of rates, minus their difference."""
    return np.abs(first - heart).sum(-1) - np.abs(second - heart).sum(-1)


def dot(first: np.ndarray, second: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """The score is the scalar product."""
    return ((second - first) * heart).sum(-1)


def likelihood(first: np.ndarray, second: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """The score is the log likelihood of the heart's rate (..., 1), of those that a video tells of (..., R)."""
    return at_rate(second, heart[..., 0]) - at_rate(first, heart[..., 0])


def symmetric(first: np.ndarray, second: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """As the thesis had it: a dense layer on both videos and the heart, and the mean over both orders of the videos.

    A video leaves W1 a and W2 a, (2 M,); a heart (2 + M + M + 2 + 1,): features, bias, weights of the last layer on the
    M units and on the features, its bias. The output is the same whichever video is first, so it cannot choose.
    """
    units = (heart.shape[-1] - 5) // 2
    features, bias = heart[..., :2], heart[..., 2 : 2 + units]
    weights, rest = heart[..., 2 + units : 2 + 2 * units], heart[..., 2 + 2 * units :]
    outputs = []
    for one, other in ((first, second), (second, first)):
        hidden = np.maximum(one[..., :units] + other[..., units:] + bias, 0.0)
        logit = (hidden * weights).sum(-1) + (features * rest[..., :2]).sum(-1) + rest[..., 2]
        outputs.append(1.0 / (1.0 + np.exp(-logit)))
    mean = np.clip(np.sort(outputs, axis=0).mean(axis=0), 1e-12, 1 - 1e-12)
    return np.log(mean / (1.0 - mean))


RULES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "distance": distance, "absolute": absolute, "likelihood": likelihood, "dot": dot, "symmetric": symmetric,
}  # fmt: skip


def probability(logit: np.ndarray) -> np.ndarray:
    """That the heart is the second video's; the softmax over both scores. Half where there is no score."""
    logit = np.clip(np.nan_to_num(np.asarray(logit, dtype=float), nan=0.0), -700, 700)
    return 1.0 / (1.0 + np.exp(-logit))


SPREAD, RANGE = 3.0, HIGHEST - LOWEST  # bpm: of rates around the true one, and over which wrong ones lie


def rate_logit(first: float, second: float, heart: float) -> float:
    """That a heart of `heart` bpm is the second video's, by the rates the videos show (bpm; NaN: none is known).

    Of a video's own heart the rate lies around its rate (Laplace, 3 bpm); one in twenty is anywhere from 35 to 200, as
    is any where the video shows none.
    """

    def likelihood(rate: float) -> float:
        if not math.isfinite(rate):
            return 1.0 / RANGE
        return (1.0 - STRAY) * math.exp(-abs(rate - heart) / SPREAD) / (2.0 * SPREAD) + STRAY / RANGE

    return math.log(likelihood(second)) - math.log(likelihood(first))


# --- Trials -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trials:
    """All trials of some pairs.

    pairs   (N, 2) numbers of the clips, first and second video         people  (n,) number of the person of each clip
    second  (2 N,) 1.0 where the heart is the second video's: first the hearts of the first videos, then of the second
    logit   (2 N,) that it is said to be                                 delta   (2 N,) bpm between the two rates
    """

    pairs: np.ndarray
    people: np.ndarray
    logit: np.ndarray
    delta: np.ndarray

    @property
    def second(self) -> np.ndarray:
        """(2 N,) the truth."""
        return np.repeat([0.0, 1.0], len(self.pairs))

    @property
    def owners(self) -> np.ndarray:
        """(2 N, 2) numbers of the two people of each trial."""
        return np.tile(self.people[self.pairs], (2, 1))

    @property
    def right(self) -> np.ndarray:
        """(2 N,) 1 right, 0 wrong, 0.5 undecided."""
        return rightness(self.logit, self.second)

    @property
    def accuracy(self) -> float:
        """Share of right trials."""
        return float(self.right.mean())


def rightness(logit: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where the choice is right, 0 where it is wrong, 0.5 where there is none."""
    chosen = np.sign(np.nan_to_num(logit, nan=0.0)) * np.where(second > 0.5, 1.0, -1.0)
    return 0.5 + 0.5 * chosen


def trials(
    pairs: np.ndarray, people: np.ndarray, videos: np.ndarray, hearts: np.ndarray, rates: np.ndarray, rule: str
) -> Trials:
    """The trials of `pairs` (N, 2) of clips with vectors `videos` (n, D), `hearts` (n, E) and `rates` (n,) in bpm."""
    first, second = videos[pairs[:, 0]], videos[pairs[:, 1]]
    logit = np.concatenate([RULES[rule](first, second, hearts[pairs[:, side]]) for side in (0, 1)])
    delta = np.tile(np.abs(rates[pairs[:, 0]] - rates[pairs[:, 1]]), 2)
    return Trials(pairs, people, logit, delta)


# --- Chance -----------------------------------------------------------------------------------------------------------


def wilson(right: float, count: int) -> tuple[float, float]:
    """95 % interval of a share, `right` of `count`, were the trials independent.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    if not count:
        return math.nan, math.nan
    share, add = right / count, Z**2 / count
    middle = (share + add / 2) / (1 + add)
    reach = Z * math.sqrt(share * (1 - share) / count + add / (4 * count)) / (1 + add)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def naive_p(right: float, count: int) -> float:
    """One-sided exact binomial p of at least so many right by chance, were the trials independent."""
    return float(scipy.stats.binom.sf(math.ceil(right - 1e-9) - 1, count, 0.5))


@dataclass(frozen=True)
class Permuted:
    """Accuracies (draws,) where whole people's hearts go with other people's videos, and p of the true one."""

    accuracies: np.ndarray
    p: float

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 % of what chance gives."""
        low, high = np.percentile(self.accuracies, (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2))
        return float(low), float(high)


def permuted(
    pairs: np.ndarray, people: np.ndarray, videos: np.ndarray, hearts: np.ndarray, rule: str,
    draws: int = DRAWS, seed: int = 0,
) -> Permuted:  # fmt: skip
    """Permute `draws` times which person's hearts go with which person's videos; one-sided p of the accuracy.

    Whole people: all clips of one get the hearts of another, clip by clip in order, beginning again where the other has
    fewer. Windows of a person depend on each other, and keep doing so. The true order counts as one of the draws
    (Phipson and Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9(1), 2010).
    """
    random = np.random.default_rng((seed, 1000))
    _, who = np.unique(people, return_inverse=True)
    sizes = np.bincount(who)
    order = np.argsort(who, kind="stable")
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(who), dtype=int)
    place[order] = np.arange(len(who)) - np.repeat(starts, sizes)
    true = accuracy_with(np.arange(len(people)), pairs, videos, hearts, rule)
    found = np.empty(draws)
    for draw in range(draws):
        other = random.permutation(len(sizes))[who]
        given = order[starts[other] + place % sizes[other]]
        found[draw] = accuracy_with(given, pairs, videos, hearts, rule)
    return Permuted(found, float((1 + (found >= true - 1e-12).sum()) / (1 + draws)))


def accuracy_with(given: np.ndarray, pairs: np.ndarray, videos: np.ndarray, hearts: np.ndarray, rule: str) -> float:
    """Share of right trials where clip k comes with the heart of clip `given[k]`."""
    first, second = videos[pairs[:, 0]], videos[pairs[:, 1]]
    sides = [RULES[rule](first, second, hearts[given[pairs[:, side]]]) for side in (0, 1)]
    return float(np.mean([rightness(logit, np.full(len(pairs), side)) for side, logit in enumerate(sides)]))


# --- Scores of a set of trials ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """Accuracy of `count` trials: Wilson's interval and the binomial p pretend that these are independent."""

    count: int
    accuracy: float
    wilson: tuple[float, float]
    naive_p: float
    people: tuple[float, float] = (math.nan, math.nan)  # 95 % over people, jackknife


def score_of(found: Trials, chosen: np.ndarray | None = None) -> Score:
    """The score of all trials, or of the `chosen` (2 N,) ones."""
    right = found.right if chosen is None else found.right[chosen]
    owners = found.owners if chosen is None else found.owners[chosen]
    if not len(right):
        return Score(0, math.nan, (math.nan, math.nan), math.nan)
    total = float(right.sum())
    over = over_people(right, owners, int(found.people.max()) + 1)
    return Score(len(right), total / len(right), wilson(total, len(right)), naive_p(total, len(right)), over)


def over_people(values: np.ndarray, owners: np.ndarray, people: int) -> tuple[float, float]:
    """95 % interval of the mean of `values` (n,) over people, where each value is of two of them, `owners` (n, 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval(lambda weights: weights @ values / weights.sum(axis=-1), owners, people)


def by_difference(found: Trials) -> dict[tuple[float, float], Score]:
    """The score of the trials in each of EDGES, from low up to high (bpm)."""
    return {
        (low, high): score_of(found, (found.delta >= low) & (found.delta < high))
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)
    }


@dataclass(frozen=True)
class Difference:
    """Accuracy of one set of trials less another's on the same, with its 95 % interval over people."""

    value: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the first is better beyond chance."""
        return self.low > 0


def difference(first: Trials, second: Trials) -> Difference:
    """Of two methods, or of a clip as it is and changed, on the same trials."""
    values = first.right - second.right
    low, high = over_people(values, first.owners, int(first.people.max()) + 1)
    if not values.any():
        low = high = 0.0
    return Difference(float(values.mean()), low, high)


@dataclass(frozen=True)
class Classes:
    """As two classes, first and second video: macro means, area under the ROC curve, counts [true][said]."""

    precision: float
    recall: float
    f1: float
    auroc: float
    confusion: list[list[float]] = field(default_factory=list)


def classes_of(found: Trials) -> Classes:
    """Macro precision, recall and F1, and the AUROC of the probability. An undecided trial is half of each."""
    said = rightness(found.logit, np.ones(len(found.logit)))  # 1: second
    counts = np.array([
        [float((1 - said[found.second == true]).sum()), float(said[found.second == true].sum())] for true in (0.0, 1.0)
    ])  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.diag(counts) / counts.sum(axis=1)
        precision = np.nan_to_num(np.diag(counts) / counts.sum(axis=0))
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    ranks = scipy.stats.rankdata(np.nan_to_num(found.logit, nan=0.0))
    positive, negative = found.second.sum(), len(found.second) - found.second.sum()
    auroc = (ranks[found.second > 0.5].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return Classes(float(precision.mean()), float(recall.mean()), float(f1.mean()), float(auroc), counts.tolist())


def marks(own: Mapping[str, Difference]) -> list[str]:
    """Names of the baselines that a method is not better than beyond chance."""
    return [name for name, one in own.items() if not one.better]
