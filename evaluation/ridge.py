"""Ridge regression on standardised features, in closed form.

Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 12(1), 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FLAT = 1e-9  # spread below which a feature says nothing


@dataclass(frozen=True)
class Ridge:
    """`center`, `scale` (F,) of the features, `weights` (F, K) and `intercept` (K,) on the standardised ones."""

    center: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    def predict(self, table: np.ndarray) -> np.ndarray:
        """Answers (n, K) for features (n, F); a feature that is no number counts as the mean of those fitted to."""
        return standardised(table, self.center, self.scale) @ self.weights + self.intercept


def fit(table: np.ndarray, targets: np.ndarray, strength: float = 1.0) -> Ridge:
    """Fit features (n, F), NaN where unknown, to targets (n, K); `strength` is added to the diagonal of the squares."""
    targets = np.asarray(targets, dtype=float)
    center, scale = moments(table)
    x = standardised(table, center, scale)
    middle, mean = x.mean(axis=0), targets.mean(axis=0)
    gram = (x - middle).T @ (x - middle) + strength * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, (x - middle).T @ (targets - mean))
    return Ridge(center, scale, weights, mean - middle @ weights)


def moments(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population spread of each feature over the rows that have it; 0 and 1 where nobody has."""
    table = np.where(np.isfinite(table), table, np.nan)
    known = np.isfinite(table).any(axis=0)
    center, scale = np.zeros(table.shape[1]), np.ones(table.shape[1])
    center[known], scale[known] = np.nanmean(table[:, known], axis=0), np.nanstd(table[:, known], axis=0)
    return center, np.where(scale > FLAT, scale, 1.0)


def standardised(table: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The features in spreads from their mean, 0 for what is no number."""
    x = (np.asarray(table, dtype=float) - center) / scale
    return np.where(np.isfinite(x), x, 0.0)


def plain(ridge: Ridge) -> Mapping[str, object]:
    """The first target's regression as plain numbers."""
    return {
        "center": ridge.center.tolist(), "scale": ridge.scale.tolist(), "weights": ridge.weights[:, 0].tolist(),
        "intercept": float(ridge.intercept[0]),
    }  # fmt: skip
