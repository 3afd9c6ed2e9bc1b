"""How a model of pressures was calibrated before it was judged; tables of two protocols are never mixed.

calibration_free  nobody who is tested was trained on         subjects_known  somebody was: no measure of new people
linear_val        a line per target, fitted to the validation recordings, applied to the tested ones
personal K        K readings of each tested person give an offset; the person's other readings are judged
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

FREE, KNOWN, LINEAR, PERSONAL = "calibration_free", "subjects_known", "linear_val", "personal"
EXPLAINED = {
    FREE: "calibration_free: nobody who is tested here was trained on, and no reading of theirs was used",
    KNOWN: "subjects_known: people who are tested here were trained on, so this does not tell how new people fare",
    LINEAR: "linear_val: the predictions after a line per target that was fitted to the validation recordings",
}


def explained(protocol: str) -> str:
    """One sentence on a protocol."""
    if protocol in EXPLAINED:
        return EXPLAINED[protocol]
    count = protocol.split()[1]
    return (
        f"{protocol}: {count} {'reading' if count == '1' else 'readings'} of each tested person gave an offset for the "
        "model and for every baseline (that of the mean is the person's own calibration); the others are judged"
    )


def line_of(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """(a, b) with a + b * predicted nearest to `true` in the least squares; (mean difference, 1) without spread."""
    known = np.isfinite(predicted) & np.isfinite(true)
    x, y = np.asarray(predicted, float)[known], np.asarray(true, float)[known]
    if len(x) < 3 or np.ptp(x) < 1e-9:
        return (float(np.mean(y - x)) if len(x) else 0.0), 1.0
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    return float(y.mean() - slope * x.mean()), slope


def personal(
    rows: Sequence[Any], count: int, first: bool, seed: int, shift: Callable[[Any, Mapping[str, float]], Any],
    errors: Callable[[Any], Mapping[str, float]],
) -> tuple[list[Any], int]:  # fmt: skip
    """The rows that are judged after `count` readings of each subject gave an offset, and how many subjects lack them.

    `errors(row)`: reference - prediction of every method; `shift(row, offsets)`: the row with them added. Readings are
    drawn by (seed, subject), or the `first` ones: neighbours in time flatter by 0.2 to 0.3 mmHg. `rows` are of one
    target.
    """
    by_subject: dict[str, list[Any]] = {}
    for row in rows:
        by_subject.setdefault(row.subject, []).append(row)
    judged, lacking = [], 0
    for subject, own in by_subject.items():
        if len(own) <= count:
            lacking += 1
            continue
        chosen = set(range(count)) if first else set(_drawn(subject, len(own), count, seed))
        found = [errors(own[number]) for number in sorted(chosen)]
        offsets = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        judged += [shift(row, offsets) for number, row in enumerate(own) if number not in chosen]
    return judged, lacking


def _drawn(subject: str, size: int, count: int, seed: int) -> list[int]:
    """Numbers of the calibration readings: those of one person do not depend on who else is tested."""
    random = np.random.default_rng([seed, *subject.encode()])
    return random.permutation(size)[:count].tolist()
