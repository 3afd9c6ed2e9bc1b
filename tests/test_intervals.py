"""Intervals hold the truth as often as they say, for people with many windows each; naive ones over windows do not."""

import math

import numpy as np
import pytest
from scipy import stats

from evaluation.intervals import SCALE_OF, interval
from evaluation.limits import limits
from registry import METRICS
from tests.conftest import few

STUDIES, WINDOWS = 1000, 12
BIAS, PEOPLE_SD, WINDOW_SD = 1.0, 2.0, 3.0  # bpm


def study(random, people):
    """True and predicted rates (n,) of people with unequal numbers of windows, which share each person's own error."""
    owner = np.repeat(np.arange(people), random.integers(WINDOWS - 6, WINDOWS + 7, people))
    true = random.normal(75, 10, people)[owner] + random.normal(0, 3, len(owner))
    error = BIAS + random.normal(0, PEOPLE_SD, people)[owner] + random.normal(0, WINDOW_SD, len(owner))
    return true, true + error, owner


def truth():
    """The numbers of endlessly many people, from so many that no digit is lost."""
    random = np.random.default_rng(1)
    true = random.normal(75, math.hypot(10, 3), 4_000_000)
    predicted = true + random.normal(BIAS, math.hypot(PEOPLE_SD, WINDOW_SD), len(true))
    return {name: METRICS[name](predicted, true).value for name in ("MAE", "RMSE", "Pearson", "CCC")}


@pytest.mark.parametrize("people", few([10, 20, 40], 10))
def test_95_of_100_studies_hold_the_truth(people):
    """93 to 97 % of 1,000, for every metric, bias and limits; of intervals from windows alone fewer than 85 %."""
    random, known = np.random.default_rng(people), truth()
    spread = stats.norm.ppf(0.975) * math.hypot(PEOPLE_SD, WINDOW_SD)
    held = {name: 0 for name in (*known, "bias", "low", "high", "naive")}
    for _ in range(STUDIES):
        true, predicted, owner = study(random, people)
        for name, value in known.items():
            low, high = interval(
                lambda weights, name=name: METRICS[name](predicted, true, weights=weights).value,  # noqa: B023
                owner, people, SCALE_OF[name],
            )  # fmt: skip
            held[name] += low <= value <= high
        found = limits(predicted - true, owner)
        for name, value in (("bias", BIAS), ("low", BIAS - spread), ("high", BIAS + spread)):
            low, high = getattr(found, f"{name}_ci95")
            held[name] += low <= value <= high
        naive = METRICS["MAE"](predicted, true)
        held["naive"] += abs(naive.value - known["MAE"]) <= 1.96 * naive.standard_error
    assert held.pop("naive") < 0.85 * STUDIES
    assert all(0.93 * STUDIES <= count <= 0.97 * STUDIES for count in held.values()), held


def test_of_a_mean_it_is_students_interval():
    """One window each: the textbook's, but for the factor n / (n - 1)."""
    values = np.random.default_rng(0).normal(5, 1, 12)
    low, high = interval(lambda weights: weights @ values / weights.sum(axis=-1), np.arange(12), 12)
    reach = stats.t.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12) * 12 / 11
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_many_people_are_left_out_in_groups():
    """Two thousand: nearly the same interval, and always the same."""
    values = np.random.default_rng(0).normal(5, 1, 2000)
    found = interval(lambda weights: weights @ values / weights.sum(axis=-1), np.arange(2000), 2000)
    assert found == interval(lambda weights: weights @ values / weights.sum(axis=-1), np.arange(2000), 2000)
    assert found[1] - found[0] == pytest.approx(2 * 1.96 * values.std() / math.sqrt(2000), rel=0.2)


def test_what_leaves_the_scale_is_told_on_the_plain_one():
    """No error at all without one person: no logarithm; two people: no interval."""
    errors = np.array([0.0, 0.0, 0.0, 4.0])
    low, high = interval(lambda weights: weights @ errors / weights.sum(axis=-1), np.arange(4), 4, "log")
    assert low < 1.0 < high and math.isfinite(low)
    assert all(map(math.isnan, interval(lambda weights: weights @ errors, np.array([0, 0, 1, 1]), 2)))


def test_limits_of_one_window_each_are_the_plain_ones():
    """Mean -+ 1.96 sample standard deviations; rPPG-Toolbox's are sqrt(2) wider."""
    values = np.random.default_rng(3).normal(1, 4, 30)
    found = limits(values, range(30))
    reach = stats.norm.ppf(0.975) * values.std(ddof=1)
    assert (found.bias, found.low, found.high) == pytest.approx(
        (values.mean(), values.mean() - reach, values.mean() + reach)
    )
    wide = limits(values, range(30), widened=True)
    assert wide.high - wide.low == pytest.approx(math.sqrt(2) * (found.high - found.low)) and wide.widened


def test_limits_take_people_and_windows_apart():
    """As the table of a one-way analysis of variance gives them for equal numbers of windows."""
    random = np.random.default_rng(5)
    values = random.normal(0, 2, 25)[:, None] + random.normal(0, 3, (25, 8))
    found = limits(values.ravel(), np.repeat(np.arange(25), 8))
    within = values.var(axis=1, ddof=1).mean()
    between = (8 * values.mean(axis=1).var(ddof=1) - within) / 8
    assert (found.within**2, found.between**2) == pytest.approx((within, between))
    assert found.high - found.bias == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(within + between))
    f = stats.f_oneway(*values).statistic  # an implementation that is not ours
    assert (8 * found.between**2 + found.within**2) / found.within**2 == pytest.approx(f)


def test_limits_of_few():
    """One person: the windows' own limits, no interval; nothing: nothing."""
    one = limits([1.0, 3.0, 5.0], ["a"] * 3)
    assert (one.bias, one.within, one.subjects) == (3.0, 2.0, 1) and all(map(math.isnan, one.low_ci95))
    assert math.isnan(limits([], []).bias) and math.isnan(limits([2.0], ["a"]).low)
