"""Rows of chance: what a method reaches that tells nobody from another, and what noise reaches in its place."""

import math

import numpy as np
import pytest

from evaluation.baselines import NOISE, SHUFFLED, beside, noise, shuffled
from evaluation.presets import PRESETS
from evaluation.summary import evaluate, table
from tests.evaluation_data import METRICS, recording, row

EXACT, TOOLBOX = PRESETS["exact"], PRESETS["toolbox"]


def people(count, windows=1, predicted=lambda true: true):
    """Rows of `count` people with rates from 50 to 120 bpm."""
    rates = np.linspace(50, 120, count)
    return [row(f"s{k}", rate, predicted(rate), window) for k, rate in enumerate(rates) for window in range(windows)]


def test_shuffled_labels_are_those_of_other_people():
    """A perfect method is as bad as the rates of two people are apart; nobody keeps a label of his own."""
    own = table("POS", people(20, windows=3), EXACT, "FFT", None, [*METRICS, "CCC"])
    found = shuffled(own)
    rates = np.linspace(50, 120, 20)
    apart = np.abs(rates[:, None] - rates).sum() / (20 * 19)
    assert found.scores["MAE"].value == pytest.approx(apart, rel=0.05) and found.scores["MAE"].n == 60
    assert abs(found.scores["Pearson"].value) < 0.15 and set(found.scores) == {"MAE", "RMSE", "MAPE", "Pearson", "CCC"}
    assert all(one.error != 0 for one in found.rows) and found.baseline and found.chance
    assert (
        found.within(1.0) == 0
        and found.median_error > 10
        and found.scores["MAE"].low < apart < found.scores["MAE"].high
    )
    assert repr(shuffled(own).scores) == repr(found.scores)  # NaN is not itself


def test_shuffled_labels_of_one_person_are_those_of_other_windows():
    """And of one window there are none."""
    rates = [60.0, 70.0, 80.0]
    one = table("POS", [row("a", rate, rate, k) for k, rate in enumerate(rates)], EXACT, "FFT", 10.0, ["MAE"])
    assert shuffled(one).scores["MAE"].value == pytest.approx(40 / 3)  # each against each other is 10, 10 or 20 away
    single = shuffled(table("POS", [row("a", 60, 60)], EXACT, "FFT", None, ["MAE"]))
    assert math.isnan(single.scores["MAE"].value) and math.isnan(single.median_error) and math.isnan(single.share(2.0))


def test_noise_has_the_floor_of_the_chain():
    """Waves of 10 s that are nothing but noise reach a MACC of about 0.3, and that stands beside every method's own."""
    rates = np.linspace(50, 120, 40)
    results = [recording(rate, seconds=10.0, name=f"s{k}") for k, rate in enumerate(rates)]
    own = evaluate("POS", results, [EXACT, TOOLBOX], metrics=METRICS)
    found = beside({"POS": own}, lambda: [noise(one, results, "FFT") for one in own])
    assert list(found) == ["POS", SHUFFLED, NOISE]
    floor = found[NOISE][1].scores
    assert 0.2 < floor["MACC"].value < 0.45 and floor["SNR"].value < -3 and floor["MAE"].value > 15
    for table_, beneath in zip(found["POS"], found[NOISE], strict=True):
        assert table_.scores["MACC"].floor == beneath.scores["MACC"].value < table_.scores["MACC"].value
        assert math.isnan(table_.scores["MAE"].floor)


def test_snr_has_both_definitions_by_name():
    """RhythmFormer's is twice as many decibels."""
    scores = table("POS", people(4), EXACT, "FFT", None, ["SNR", "SNR20"]).scores
    assert scores["SNR20"].value == 2 * scores["SNR"].value == 2.0
