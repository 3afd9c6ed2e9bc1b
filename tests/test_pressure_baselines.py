"""Baselines of blood pressure: what they find in signals whose truth is known; the regression by its formula."""

from types import SimpleNamespace

import numpy as np
import pytest

from dataset.data_loader.base import Signal
from evaluation import pressure_baselines as baselines

FS = 500.0


def heart(rate=72.0, delay=0.25, seconds=10.0, fs=FS, start=0.0):
    """An ECG and a PPG whose steepest rise comes `delay` s after each R peak; the PPG's clock begins at `start`."""
    beats = np.arange(0.4, seconds + 1, 60 / rate)
    times, later = np.arange(int(seconds * fs)) / fs, start + np.arange(int(seconds * fs)) / fs
    ecg = sum(np.exp(-0.5 * ((times - beat) / 0.012) ** 2) for beat in beats)
    rises = [1 / (1 + np.exp(-(later - beat - delay) / 0.02)) * np.exp(-np.maximum(later - beat - delay, 0) / 0.2)
             for beat in beats]  # fmt: skip
    return Signal(ecg, fs=fs), Signal(sum(rises), times=later)


@pytest.mark.parametrize("delay", [0.12, 0.2, 0.3, 0.4])
def test_arrival_time(delay):
    """Differences of delays are found to 3 ms; the filter moves all rises alike."""
    zero = baselines.arrival_time(*heart(delay=0.25))
    assert baselines.arrival_time(*heart(delay=delay)) - zero == pytest.approx(delay - 0.25, abs=0.003)
    assert zero == pytest.approx(0.25, abs=0.03)


def test_arrival_time_keeps_to_the_clocks():
    """A PPG that began half a second later tells the same."""
    late = baselines.arrival_time(*heart(delay=0.25, start=0.5))
    assert late == pytest.approx(baselines.arrival_time(*heart(delay=0.25)), abs=0.003)


def test_arrival_time_is_unknown_without_pairs():
    """No ECG, a flat wave, NaN, too short a wave."""
    ecg, ppg = heart()
    flat, short = Signal(np.zeros(5000), fs=FS), Signal(np.ones(100), fs=FS)
    for pair in ((None, ppg), (ecg, None), (ecg, flat), (flat, ppg), (ecg, short)):
        assert np.isnan(baselines.arrival_time(*pair))
    broken = np.array(ppg.values)
    broken[5] = np.nan
    assert np.isnan(baselines.arrival_time(ecg, Signal(broken, fs=FS)))


@pytest.mark.parametrize("rate", [50.0, 72.0, 110.0])
def test_heart_rate_of_either_wave(rate):
    """From R peaks, or from two seconds of PPG as PPG-BP has them."""
    ecg, ppg = heart(rate)
    assert baselines.heart_rate(ecg, ppg) == pytest.approx(rate, abs=0.5)
    two = Signal(ppg.values[: int(2.4 * FS)], fs=FS)
    assert baselines.heart_rate(None, two) == pytest.approx(rate, abs=3)


def test_facts_come_from_info_targets_and_signals():
    """In any spelling; a rate that is told is not measured again."""
    ecg, ppg = heart()
    source = SimpleNamespace(info={"Age": "61", "SEX": "Female"}, targets={"bmi": 23.5, "hr": 88.0, "sbp": 120.0},
                             signals={"ecg": ecg, "ppg": ppg})  # fmt: skip
    (piece,) = baselines.pieces_of(source)
    facts = piece.facts
    assert (facts["age"], facts["sex"], facts["bmi"], facts["hr"]) == (61, 0, 23.5, 88)
    assert facts["pat"] == pytest.approx(0.25, abs=0.03) and piece.targets["sbp"] == 120


def people(count, seed=0):
    """Facts of people and a pressure that follows age and sex."""
    random = np.random.default_rng(seed)
    facts = [{"age": random.uniform(20, 80), "sex": float(random.integers(2)), "bmi": random.uniform(18, 35),
              "hr": random.uniform(50, 100), "pat": np.nan} for _ in range(count)]  # fmt: skip
    return facts, np.array([90 + 0.6 * one["age"] + 5 * one["sex"] for one in facts])


def test_ridge_finds_the_rule_and_says_what_it_lacks():
    """A linear rule of age and sex to 0.3 mmHg on others; no arrival time, no such regression."""
    facts, targets = people(300)
    fitted = baselines.fit(facts, targets)
    assert set(fitted) == {"age + sex + BMI", "age + sex + BMI + heart rate"}
    others, wanted = people(50, seed=1)
    found = [baselines.predict(fitted["age + sex + BMI"], one) for one in others]
    assert np.abs(found - wanted).max() < 0.3


def test_ridge_against_its_formula():
    """Standardised features, strength 1, the intercept free."""
    facts, targets = people(20)
    fitted = baselines.fit(facts, targets)["age + sex + BMI"]
    table = np.array([[one[name] for name in ("age", "sex", "bmi")] for one in facts])
    x = (table - table.mean(0)) / table.std(0)
    weights = np.linalg.inv(x.T @ x + np.eye(3)) @ x.T @ (targets - targets.mean())
    np.testing.assert_allclose(fitted["weights"], weights)
    assert baselines.predict(fitted, facts[0]) == pytest.approx(targets.mean() + x[0] @ weights)


def test_a_missing_fact_counts_as_the_mean():
    """In training and in the test; nobody known leaves the mean of the targets."""
    facts, targets = people(50)
    facts[3]["age"] = np.nan
    fitted = baselines.fit(facts, targets)["age + sex + BMI"]
    known = {"sex": 1.0, "bmi": 25.0}
    usual = float(np.nanmean([one["age"] for one in facts]))
    gap = baselines.predict(fitted, {**known, "age": np.nan})
    assert gap == pytest.approx(baselines.predict(fitted, {**known, "age": usual}))


def test_unknown_targets_are_left_out_of_the_fit():
    """Half of them NaN: the rule is the same."""
    facts, targets = people(200)
    some = np.where(np.arange(200) % 2, targets, np.nan)
    fitted = baselines.fit(facts, some)["age + sex + BMI"]
    assert baselines.predict(fitted, facts[0]) == pytest.approx(targets[0], abs=0.5)
