"""Standards for blood pressure: what errors come to under each, and whether the data could claim it at all.

AAMI/ANSI/ISO 81060-2 (criteria 1 and 2), British Hypertension Society (O'Brien et al., J Hypertens 11(Suppl 2), 1993),
IEEE 1708-2014 with 1708a-2019, ESH 2023 for cuffless devices (Stergiou et al., J Hypertens 41(12), 2023). Errors are
predicted - reference in mmHg. The printed tables of the standards prevail. These protocols also prescribe observers,
reference readings and postures: no split of recorded data is a validation.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

SUBJECTS, PAIRS = 85, 3  # AAMI/ISO: people, and readings of each
LARGEST_MEAN, LARGEST_SD = 5.0, 8.0  # mmHg, criterion 1
TOLERATED, SHARE = 10.0, 0.85  # criterion 2: this share of a normal error lies within +- so many mmHg
BHS = {"A": (60, 85, 95), "B": (50, 75, 90), "C": (40, 65, 85)}  # percent within 5, 10 and 15 mmHg
LIMITS = (5.0, 10.0, 15.0)
EACH_SEX = 0.3
SPREAD = {  # of the reference: (comparison, mmHg, share of readings)
    "sbp": (("<=", 100, 0.05), (">=", 160, 0.05), (">=", 140, 0.20)),
    "dbp": (("<=", 60, 0.05), (">=", 100, 0.05), (">=", 85, 0.20)),
}
RETROSPECTIVE = (
    "recorded data split afterwards: the standards prescribe observers, reference readings and postures, which were "
    "not part of it"
)
ESH = (
    "cuffless devices are asked for six tests (static, position, treatment, awake/asleep, exercise, recalibration); "
    "this covers at most the first"
)
ROUNDING = 1e-9  # of mmHg and shares: 60 % of 255 readings is 153 of them


def kind_of(target: str) -> str:
    """sbp, dbp, mbp or pp as the name of a target ends; "" for what is no pressure."""
    name = target.lower()
    ends = {"sbp": "sbp", "dbp": "dbp", "mbp": "mbp", "map": "mbp", "pp": "pp"}
    return next((kind for end, kind in ends.items() if name.endswith(end)), "")


def aami(errors: np.ndarray, subjects: Sequence[str]) -> dict[str, Any]:
    """Criterion 1 on errors (n,): mean within +-5, sample SD at most 8 mmHg, 85 subjects, 255 readings."""
    mean, sd, count = float(np.mean(errors)), _spread(errors), len(set(subjects))
    small = abs(mean) <= LARGEST_MEAN + ROUNDING and sd <= LARGEST_SD + ROUNDING
    enough = count >= SUBJECTS and len(errors) >= SUBJECTS * PAIRS
    return {"me": mean, "sd": sd, "n_subjects": count, "n": len(errors), "pass": bool(small and enough)}


def iso_criterion2(errors: np.ndarray, subjects: Sequence[str]) -> dict[str, Any]:
    """Criterion 2: SD of the subjects' mean errors, at most `largest_sd` of their mean; 85 subjects."""
    names = np.asarray(subjects, dtype=object)
    means = np.array([np.mean(np.asarray(errors)[names == name]) for name in dict.fromkeys(subjects)])
    mean, sd = float(means.mean()), _spread(means)
    limit = largest_sd(mean)
    passed = sd <= limit + ROUNDING and len(means) >= SUBJECTS
    return {"me": mean, "sd": sd, "limit": limit, "n_subjects": len(means), "pass": bool(passed)}


def largest_sd(mean: float) -> float:
    """The SD (mmHg) at which 85 % of a normal error about `mean` lies within +-10 mmHg; 0 from a mean of 10 on."""
    mean = abs(mean)
    if not mean < TOLERATED:
        return 0.0
    within = scipy.stats.norm.cdf
    share = lambda sd: within((TOLERATED - mean) / sd) - within((-TOLERATED - mean) / sd) - SHARE  # noqa: E731
    return float(scipy.optimize.brentq(share, 1e-6, 2 * TOLERATED))


def bhs(errors: np.ndarray) -> dict[str, Any]:
    """Percent of errors within 5, 10 and 15 mmHg, and the best grade all three of which they reach; else D."""
    shares = [100 * float(np.mean(np.abs(errors) <= limit + ROUNDING)) for limit in LIMITS]
    reached = [
        grade
        for grade, needed in BHS.items()
        if all(share >= least - ROUNDING for share, least in zip(shares, needed, strict=True))
    ]
    return {
        **{f"le{limit:.0f}": share for limit, share in zip(LIMITS, shares, strict=True)},
        "grade": (*reached, "D")[0],
    }


def ieee1708(errors: np.ndarray) -> dict[str, Any]:
    """Mean absolute difference and its grade: A to 5, B to 6, C below 7, D from 7 mmHg."""
    mad = float(np.mean(np.abs(errors)))
    grade = "A" if mad <= 5 + ROUNDING else "B" if mad <= 6 + ROUNDING else "C" if mad < 7 - ROUNDING else "D"
    return {"mad": mad, "grade": grade}


def graded(
    target: str,
    errors: np.ndarray,
    true: np.ndarray,
    subjects: Sequence[str],
    sexes: Mapping[str, str],
    arterial: bool = False,
    calibrated: bool = False,
) -> dict[str, Any]:
    """Everything of one target: the four results, and `claims`: standard -> why it cannot be claimed ([]: nothing).

    `sexes`: subject -> "f" or "m" where known; `arterial`: the reference is an arterial line; `calibrated`: people
    were measured before, so that changes from there can be judged.
    """
    numbers = {
        "aami": aami(errors, subjects),
        "iso_criterion2": iso_criterion2(errors, subjects),
        "bhs": bhs(errors),
        "ieee1708": ieee1708(errors),
    }
    few = [*too_few(subjects), *one_reading(subjects, true)]
    everybody = [*few, *one_sided(subjects, sexes), *too_narrow(target, true)]
    claims = {
        "AAMI/ISO 81060-2": everybody,
        "BHS": [*few, *(["the reference is an arterial line, which BHS does not accept"] if arterial else [])],
        "IEEE 1708": [*few, *([] if calibrated else ["no changes from a calibration, which it asks for"])],
        "ESH 2023": [ESH],
    }
    return {
        **numbers, "claims": {name: [*reasons, RETROSPECTIVE] for name, reasons in claims.items()},
        "data_qualify": not everybody, "verdict": "not a validation",
    }  # fmt: skip


def too_few(subjects: Sequence[str]) -> list[str]:
    """Why so many people and readings are too few; [] where they are not."""
    counts = {name: 0 for name in subjects}
    for name in subjects:
        counts[name] += 1
    full = sum(count >= PAIRS for count in counts.values())
    if full >= SUBJECTS:
        return []
    return [f"{full} subjects have {PAIRS} readings or more ({len(counts)} have any), {SUBJECTS} are needed"]


def one_reading(subjects: Sequence[str], true: np.ndarray) -> list[str]:
    """Why the readings of a person are none of their own: the reference is the same for most who have several."""
    values: dict[str, list[float]] = {}
    for name, value in zip(subjects, np.asarray(true).tolist(), strict=True):
        values.setdefault(name, []).append(value)
    several = [own for own in values.values() if len(own) > 1]
    same = sum(len(set(own)) == 1 for own in several)
    if 2 * same <= len(several):
        return []
    return [f"{same} of {len(several)} subjects have one reference for all their readings, which counts once"]


def one_sided(subjects: Sequence[str], sexes: Mapping[str, str]) -> list[str]:
    """Why the sexes do not fit: under 30 % of one, or not known."""
    known = [sexes.get(name, "") for name in dict.fromkeys(subjects)]
    if not all(known):
        return [f"the sex of {known.count('')} of {len(known)} subjects is not known"]
    shares = {name: known.count(letter) / len(known) for letter, name in (("f", "female"), ("m", "male"))}
    return [
        f"{100 * share:.0f} % of the subjects are {name}, at least {100 * EACH_SEX:.0f} % are needed"
        for name, share in shares.items()
        if share < EACH_SEX - ROUNDING
    ]


def too_narrow(target: str, true: np.ndarray) -> list[str]:
    """Which high or low pressures are too rare; [] for targets the standards say nothing of."""
    found = []
    for sign, limit, least in SPREAD.get(kind_of(target), ()):
        share = float(np.mean(np.asarray(true) <= limit if sign == "<=" else np.asarray(true) >= limit))
        if share < least - ROUNDING:
            found.append(f"{100 * share:.1f} % of the readings are {sign} {limit} mmHg, {100 * least:.0f} % are needed")
    return found


CATEGORIES = {"sbp": (120, 130, 140, 180), "dbp": (80, 85, 90, 120)}  # mmHg: where the next category begins


def by_category(target: str, errors: np.ndarray, true: np.ndarray) -> list[dict[str, Any]]:
    """MAE, mean error and n of each category of the reference; [] for targets without categories."""
    edges = CATEGORIES.get(kind_of(target), ())
    place = np.searchsorted(edges, true, side="right")
    found = []
    for number in range(len(edges) + 1 if edges else 0):
        own = np.asarray(errors)[place == number]
        low, high = (edges[number - 1] if number else None), (edges[number] if number < len(edges) else None)
        name = f"< {high}" if low is None else f">= {low}" if high is None else f"{low} to < {high}"
        found.append({"category": name, "n": len(own), "mae": _mean(np.abs(own)), "me": _mean(own)})
    return found


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _spread(values: np.ndarray) -> float:
    """Sample SD; NaN for fewer than two, which is no pass of anything."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
