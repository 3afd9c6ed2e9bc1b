"""How well probabilities tell classes: ranking, decisions and calibration. Arrays in, numbers out.

`weights` (..., n) say how often each row counts; numbers have their leading shape, NaN where they are undefined.
Hanley and McNeil, Radiology 143(1), 1982 (area under the curve); Davis and Goadrich, ICML 2006 (precision and recall);
Cohen, Educational and Psychological Measurement 20(1), 1960 (kappa); Guo et al., ICML 2017 (calibration).
"""

from collections.abc import Callable

import numpy as np

from evaluation.action_units import measures

BINS = 15  # of the calibration error, of equal width
Measure = Callable[[np.ndarray], np.ndarray]


def auroc(score: np.ndarray, true: np.ndarray) -> Measure:
    """Chance that a row with the class scores above one without it, ties counting half; a function of weights.

    `score`, `true` (n,). Sorted once, whatever number of weights follow.
    """
    order, starts, true = _sorted(score, true)

    def measure(weights: np.ndarray) -> np.ndarray:
        there, not_there = _by_level(weights, order, starts, true)
        below = np.cumsum(not_there, axis=-1) - 0.5 * not_there
        return _ratio((there * below).sum(axis=-1), there.sum(axis=-1) * not_there.sum(axis=-1))

    return measure


def average_precision(score: np.ndarray, true: np.ndarray) -> Measure:
    """Area under precision over recall, as steps: mean precision at each row with the class; a function of weights."""
    order, starts, true = _sorted(-np.asarray(score, dtype=float), true)

    def measure(weights: np.ndarray) -> np.ndarray:
        there, not_there = _by_level(weights, order, starts, true)
        found = np.cumsum(there, axis=-1)
        precision = _ratio(found, found + np.cumsum(not_there, axis=-1))
        return _ratio((there * np.nan_to_num(precision)).sum(axis=-1), there.sum(axis=-1))

    return measure


def macro(of: Callable[[np.ndarray, np.ndarray], Measure], probabilities: np.ndarray, there: np.ndarray) -> Measure:
    """Mean of a ranking over the columns of `there` (n, K) that have both kinds of rows; NaN where none has."""
    known = [of(probabilities[:, k], there[:, k]) for k in range(there.shape[1]) if both(there[:, k])]

    def measure(weights: np.ndarray) -> np.ndarray:
        if not known:
            return np.full(weights.shape[:-1], np.nan)
        values = np.stack([one(weights) for one in known])
        return _ratio(np.nansum(values, axis=0), np.isfinite(values).sum(axis=0))

    return measure


def both(there: np.ndarray) -> bool:
    """Whether some rows have the class and some do not."""
    return bool(0 < np.count_nonzero(there) < len(there))


def confusion(true: np.ndarray, found: np.ndarray, classes: int, weights: np.ndarray) -> np.ndarray:
    """(..., K, K): how much of each true class (row) was taken for which (column), of class numbers (n,)."""
    cell = np.asarray(true, dtype=int) * classes + np.asarray(found, dtype=int)
    flat = np.atleast_2d(weights).reshape(-1, np.shape(weights)[-1])
    counts = np.stack([np.bincount(cell, one, classes * classes) for one in flat])
    return counts.reshape(*np.shape(weights)[:-1], classes, classes)


def balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Mean share of each true class that is found, over the classes there are, of `confusion` (..., K, K)."""
    recall = _ratio(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1))
    return _ratio(np.nansum(recall, axis=-1), np.isfinite(recall).sum(axis=-1))


def kappa(matrix: np.ndarray) -> np.ndarray:
    """Cohen's kappa: agreement beyond chance over what could be beyond it, of `confusion` (..., K, K)."""
    whole = matrix.sum(axis=(-2, -1))
    agreed = _ratio(np.trace(matrix, axis1=-2, axis2=-1), whole)
    chance = _ratio((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), whole**2)
    return _ratio(agreed - chance, 1 - chance)


def counts(there: np.ndarray, found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., K, 4): true and false positives, false and true negatives of each class, of booleans (n, K)."""
    there, found = np.asarray(there, dtype=bool), np.asarray(found, dtype=bool)
    parts = (there & found, ~there & found, there & ~found, ~there & ~found)
    return np.stack([weights @ part.astype(float) for part in parts], axis=-1)


def weighted_f1(parts: np.ndarray) -> np.ndarray:
    """F1 of each class weighted by how often it is there, of `counts` (..., K, 4); one never found counts 0."""
    support = parts[..., 0] + parts[..., 2]
    f1 = np.nan_to_num(measures(parts)[0]) / 100
    return _ratio((support * f1).sum(axis=-1), support.sum(axis=-1))


def label_accuracy(parts: np.ndarray) -> np.ndarray:
    """Share of right answers, mean over the labels, of `counts` (..., K, 4)."""
    return np.mean(_ratio(parts[..., 0] + parts[..., 3], parts.sum(axis=-1)), axis=-1)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Measure:
    """Expected calibration error: mean distance of confidence and share of right in bins; a function of weights.

    `confidence` (n, ...) in 0 to 1 and `right` (n, ...), whose further axes are pooled.
    """
    confidence = np.asarray(confidence, dtype=float).reshape(len(confidence), -1)
    gap = np.asarray(right, dtype=float).reshape(confidence.shape) - confidence
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    in_bin = np.stack([np.where(place == k, gap, 0.0).sum(axis=1) for k in range(bins)], axis=1)  # (n, bins)

    def measure(weights: np.ndarray) -> np.ndarray:
        return _ratio(np.abs(weights @ in_bin).sum(axis=-1), weights.sum(axis=-1) * confidence.shape[1])

    return measure


def _sorted(score: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order (n,) of rising scores, where in it each level of equal scores begins, and the truth in that order."""
    score = np.asarray(score, dtype=float)
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    return order, starts, np.asarray(true, dtype=bool)[order]


def _by_level(
    weights: np.ndarray, order: np.ndarray, starts: np.ndarray, true: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the rows with and of those without the class at each level of the score, (..., levels) each."""
    ranked = np.asarray(weights, dtype=float)[..., order]
    return tuple(np.add.reduceat(np.where(part, ranked, 0.0), starts, axis=-1) for part in (true, ~true))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(whole) != 0, part / np.where(whole == 0, 1, whole), np.nan)
