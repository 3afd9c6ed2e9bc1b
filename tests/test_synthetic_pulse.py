"""The rhythm and the wave of synthetic recordings are what the settings say."""

import numpy as np
import pytest

from dataset.synthetic.pulse import beat_shape, make_heart, spread
from dataset.synthetic.settings import resolve

LONG = {"SECONDS": 120.0}


def test_a_beat_rises_from_0_to_1_with_a_second_wave():
    """Systolic peak of 1 early in the beat, and a dicrotic wave of its own after it."""
    wave = beat_shape(np.linspace(0, 1, 1000, endpoint=False), 0.5)
    peaks = np.flatnonzero((wave[1:-1] > wave[:-2]) & (wave[1:-1] > wave[2:])) + 1
    assert wave.min() == pytest.approx(0, abs=1e-3) and wave.max() == pytest.approx(1, abs=1e-3)
    assert len(peaks) == 2 and peaks[0] < 300 and wave[peaks[1]] < 0.8


def test_wave_repeats_at_each_beat():
    """The foot of the wave lies at the same phase of every beat."""
    heart = make_heart(resolve({**LONG, "BREATH_BASELINE": 0.0, "BREATH_AMPLITUDE": 0.0}), 1)
    starts = heart.beats[5:50]
    assert np.ptp(heart.pulse(starts)) < 1e-9


def test_mean_rate_is_inside_the_range():
    """Rates of all subjects lie in HEART_RATE and spread over it."""
    settings = resolve({**LONG, "HEART_RATE": [60, 90]})
    rates = [60 / np.diff(make_heart(settings, k).beats).mean() for k in range(1, 13)]
    assert min(rates) > 59 and max(rates) < 91 and np.ptp(rates) > 22


def test_breathing_speeds_the_heart_up():
    """Respiratory sinus arrhythmia: the rate follows the breath, and vanishes with HRV_RSA 0."""
    only = {**LONG, "HRV_LF": 0.0, "HEART_RATE_WANDER": 0.0, "HRV_JITTER": 0.0, "HEART_RATE": [80, 80]}
    clock = np.arange(0, 120, 0.1)
    for share in (0.0, 0.06):
        heart = make_heart(resolve({**only, "HRV_RSA": share}), 2)
        rate = heart.rate(clock)
        assert np.ptp(rate) == pytest.approx(2 * share * 80, abs=0.25 * share * 160 + 1e-6)
        if share:
            assert np.corrcoef(rate, heart.breath(clock))[0, 1] > 0.5


def test_breathing_moves_baseline_and_height():
    """With BREATH_BASELINE alone the wave is the still wave plus a multiple of the breath."""
    clock = np.arange(0, 20, 0.05)
    still = make_heart(resolve({"BREATH_BASELINE": 0.0, "BREATH_AMPLITUDE": 0.0}), 1)
    moved = make_heart(resolve({"BREATH_BASELINE": 0.4, "BREATH_AMPLITUDE": 0.0}), 1)
    assert np.allclose(moved.pulse(clock) - still.pulse(clock), 0.4 * moved.breath(clock))


def test_same_seed_same_heart_other_subject_other_heart():
    """The rhythm depends on seed and subject, and not on how the video is made."""
    first = make_heart(resolve({}), 1)
    assert np.array_equal(first.beats, make_heart(resolve({"NOISE": 9.0, "WIDTH": 640}), 1).beats)
    assert not np.array_equal(first.beats[:20], make_heart(resolve({}), 2).beats[:20])
    assert not np.array_equal(first.beats[:20], make_heart(resolve({"SEED": 1}), 1).beats[:20])


def test_spread_fills_a_range_evenly():
    """Any number of subjects leaves no large gap in the range."""
    for count in (4, 9, 30):
        values = np.sort([spread((0.0, 1.0), 5, k, 2) for k in range(count)])
        assert np.diff(values).max() < 2.7 / count
