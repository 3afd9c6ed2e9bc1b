"""A device's clock against the computer's: a straight line that late arrivals do not bend."""

from dataclasses import dataclass

import numpy as np

MOST_POINTS = 1500  # pairs grow with the square; more samples become medians of blocks
STEP = 0.2  # s by which host and device clock must part between two samples to be called a step


@dataclass(frozen=True)
class Line:
    """Host time = `start_host` + (device time - `start_device`) x (1 + `drift`), all in seconds but the starts (ns).

    `residual` (n,) s: how much later than the line each sample has arrived.
    """

    start_device: int
    start_host: float
    drift: float
    residual: np.ndarray

    @property
    def residual_95(self) -> float:
        """95 % of the samples lie nearer to the line than this (s)."""
        return float(np.percentile(np.abs(self.residual), 95)) if len(self.residual) else float("inf")

    def host(self, device_ns: np.ndarray) -> np.ndarray:
        """Host time (n,) in ns, float64 seconds after `start_host` being exact to less than a microsecond."""
        since = (np.asarray(device_ns) - self.start_device).astype(float)
        return self.start_host + since * (1 + self.drift)


def fit(device_ns: np.ndarray, host_ns: np.ndarray) -> Line:
    """The line through stamps (n,) int64 ns of both clocks, by Theil and Sen: half of the stamps may be anything.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968. ValueError for fewer than two.
    """
    if len(device_ns) < 2 or device_ns[-1] <= device_ns[0]:
        raise ValueError("two clocks cannot be compared: fewer than two time stamps, or none later than the first")
    x = (device_ns - device_ns[0]) / 1e9
    y = (host_ns - host_ns[0]) / 1e9 - x  # what the clocks differ by: small numbers keep their digits
    drift = _slope(*_blocks(x, y))
    rest = y - drift * x
    middle = float(np.median(rest))
    return Line(int(device_ns[0]), float(host_ns[0]) + 1e9 * middle, drift, rest - middle)


def steps(device_ns: np.ndarray, host_ns: np.ndarray) -> list[tuple[int, float]]:
    """(number of the sample, s) where one of the clocks was set: the two part there and do not come together again."""
    apart = (np.asarray(host_ns, float) - np.asarray(device_ns, float)) / 1e9
    apart = apart - apart[0] if len(apart) else apart
    reach = 8  # samples on either side: a burst of late arrivals is shorter, or ends with what came on time
    found = []
    jumps = np.flatnonzero(np.abs(np.diff(apart)) > STEP) + 1
    for k in jumps:
        size = float(np.min(apart[k : k + reach]) - np.min(apart[max(k - reach, 0) : k]))
        if abs(size) > STEP and (not found or k - found[-1][0] > reach):
            found.append((int(k), size))
    return found


def _blocks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most MOST_POINTS points: of longer series the medians of blocks."""
    size = len(x) // MOST_POINTS + 1
    if size == 1:
        return x, y
    count = len(x) // size * size
    return x[:count].reshape(-1, size).mean(axis=1), np.median(y[:count].reshape(-1, size), axis=1)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    good = run > 0
    return float(np.median((y[second] - y[first])[good] / run[good])) if good.any() else 0.0
