"""Samples that a sensor did not measure: stretches that never change, and values that stand at the end of the scale."""

import numpy as np

RUN = 3  # equal samples at an extreme, at least, that are no coincidence


def longest_flat(values: np.ndarray, fs: float) -> float:
    """Seconds of the longest stretch of `values` (L,) at `fs` (Hz) that never changes; 0 for one sample."""
    return float(max((stop - start for start, stop in equal_runs(values)), default=1) - 1) / fs


def clipped_share(values: np.ndarray) -> float:
    """Share of `values` (L,) at their largest or smallest value, in runs of at least three."""
    values = np.asarray(values)
    if not len(values) or np.ptp(values) == 0:
        return 0.0
    ends = (values.min(), values.max())
    return sum(b - a for a, b in equal_runs(values) if b - a >= RUN and values[a] in ends) / len(values)


def equal_runs(values: np.ndarray) -> list[tuple[int, int]]:
    """(first, after the last) of each stretch of equal samples, those of one sample left out; NaN equals nothing."""
    values = np.asarray(values)
    if len(values) < 2:
        return []
    edges = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]]))
    long = np.diff(edges) > 1
    return list(zip(edges[:-1][long].tolist(), edges[1:][long].tolist(), strict=True))
