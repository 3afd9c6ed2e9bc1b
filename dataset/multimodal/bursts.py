"""Marks that every sensor sees: bursts of edges at known, unequal distances, and when a sensor has seen one.

One edge seen by a camera of 30 frames per second is known to within 33 ms. The edges of a burst fall on ever other
places between two frames, so that together they leave a fraction of that. A sensor that follows slowly, such as a
heater in a thermal picture, tells its delay by the shape of its answer.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

_EDGES = 24
_SHORTEST, _SPREAD = 150, 250  # ms between two edges: from the first to the sum
# Seconds of each edge from the first; on, off, on ... The golden ratio spreads them over the periods of all sensors.
CODE = np.concatenate(
    [[0.0], np.cumsum([_SHORTEST + round(_SPREAD * (k * 0.6180339887498949 % 1)) for k in range(1, _EDGES)]) / 1000]
)
SECONDS = float(CODE[-1])  # of a burst
PERIOD = 60.0  # s between two bursts
LARGEST_OFFSET = 1.0  # s on each side that is searched
LEAST_SHARE = 0.5  # of a series' variance that a burst has to explain
_LAGS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.9)  # s: time constants that are tried
_COARSE, _FINE, _REACH = 0.01, 0.00025, 0.03  # s: steps of the search, and how far the fine one goes
_TABLE = 0.001  # s between two points of an answer that is looked up
_FOUND = 1e-9  # least share of variance left: no series is explained without any rest
_NOISE = 1e-4  # of the answer's variance: the model is no better than that


@dataclass(frozen=True)
class Seen:
    """A burst in the series of one sensor.

    offset  s by which its time stamps lie after the true times     column  which of the series has shown it
    spread  s, standard deviation of what the offset may be
    """

    offset: float
    spread: float
    column: int


def lit(times: np.ndarray, lag: float = 0.0, width: float = 0.0) -> np.ndarray:
    """What a sensor sees of a burst that begins at 0 s, from 0 (off) to 1, at `times` (any shape) in seconds.

    `lag` (s) is the time constant of a first-order answer; `width` (s) the exposure around each time.
    """
    since = np.asarray(times, dtype=float)[..., None] - CODE
    signs = np.where(np.arange(_EDGES) % 2, -1.0, 1.0)
    half = max(width, 1e-6) / 2
    rise = (_integral(since + half, lag) - _integral(since - half, lag)) / (2 * half)
    return np.clip(rise @ signs, 0.0, 1.0)


def find(times: np.ndarray, series: np.ndarray, width: float = 0.0) -> Seen | None:
    """The burst in `series` (n, K) at `times` (n,), seconds after it was given; None when no column shows one.

    The offset is the mean of what its likelihood allows, so that edges between two samples count for what they tell.
    """
    times, series = np.asarray(times, float), np.asarray(series, float).reshape(len(times), -1)
    if len(times) < _EDGES or np.ptp(times) < SECONDS / 2:
        return None
    basis = _trend(times)
    level = _without(basis, series)
    power = (level**2).sum(axis=0)
    shifts = np.arange(-LARGEST_OFFSET, LARGEST_OFFSET + _COARSE, _COARSE)
    best = (0.0, 0.0, 0)  # share, shift, column
    for lag in _LAGS:
        share = _shares(times, shifts, lag, max(width, _COARSE), basis, level, power)
        row, column = np.unravel_index(np.argmax(share), share.shape)
        best = max(best, (float(share[row, column]), float(shifts[row]), int(column)))
    share, shift, column = best
    if share < LEAST_SHARE:
        return None
    return _refine(times, level[:, column], power[column], basis, shift, column, width)


def _refine(
    times: np.ndarray, level: np.ndarray, power: float, basis: np.ndarray, shift: float, column: int, width: float
) -> Seen:
    shifts = shift + np.arange(-_REACH, _REACH + _FINE, _FINE)
    lags = np.concatenate([[0.0], np.geomspace(0.004, 1.0, 24)])
    share = np.stack(
        [_shares(times, shifts, lag, width, basis, level[:, None], np.array([power]))[:, 0] for lag in lags]
    )
    likelihood = -0.5 * len(times) * np.log(1 - share + _NOISE)
    weights = np.exp(likelihood - logsumexp(likelihood)).sum(axis=0)
    offset = float(weights @ shifts)
    spread = float(np.sqrt(max(weights @ (shifts - offset) ** 2, (_FINE / 2) ** 2)))
    return Seen(offset, spread, column)


def _shares(times, shifts, lag, width, basis, level, power) -> np.ndarray:
    """Share (S, K) of each column's variance that the burst explains when stamps lie `shifts` (S,) too late."""
    grid, answer = _table(round(lag, 6), round(width, 6))
    answers = _without(basis, np.interp(times[:, None] - shifts, grid, answer))
    strength = np.maximum((answers**2).sum(axis=0), _FOUND)[:, None]
    return (answers.T @ level) ** 2 / strength / np.maximum(power, _FOUND)


@functools.lru_cache(maxsize=256)
def _table(lag: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """The answer on a fine grid: a search asks for it thousands of times."""
    grid = np.arange(-2 * LARGEST_OFFSET, SECONDS + 4 * LARGEST_OFFSET, _TABLE)
    return grid, lit(grid, lag, width)


def _integral(since: np.ndarray, lag: float) -> np.ndarray:
    """Integral of the answer to a step at 0."""
    since = np.maximum(since, 0.0)
    return since if lag <= 0 else since - lag * -np.expm1(-since / lag)


def _trend(times: np.ndarray) -> np.ndarray:
    """An orthonormal basis (n, 2) of what drifts slowly."""
    return np.linalg.qr(np.stack([np.ones(len(times)), times - times.mean()], axis=1))[0]


def _without(basis: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return columns - basis @ (basis.T @ columns)
