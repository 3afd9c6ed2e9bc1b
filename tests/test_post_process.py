"""Detrending, filtering and spectra: against dense formulas, SciPy and recorded numbers."""

import json

import numpy as np
import pytest
import scipy.signal

from evaluation.post_process import (
    bandpass,
    butterworth,
    detrend,
    flat_sections,
    in_band,
    integrate,
    next_power_of_2,
    periodogram,
    power_to_db,
    trend_strength,
)
from tests.conftest import reference

RELATIVE = {"f8": 1e-7, "f4": 1e-5}  # tolerance of the recorded numbers by the input's precision


def wave(length: int = 300, seed: int = 0) -> np.ndarray:
    """A pulse at 72 bpm and 30 samples per second on a trend, with noise."""
    time = np.arange(length) / 30.0
    noise = np.random.default_rng(seed).normal(size=length)
    return np.sin(2 * np.pi * 1.2 * time) + 0.1 * time**2 + 0.2 * noise


def dense_detrend(values: np.ndarray, strength: float) -> np.ndarray:
    """The textbook formula with full matrices."""
    length = len(values)
    second = np.diff(np.eye(length), 2, axis=0)
    return values - np.linalg.solve(np.eye(length) + strength**2 * second.T @ second, values)


@pytest.mark.parametrize("length", [3, 4, 5, 10, 301])
@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_banded_detrend_equals_the_dense_one(length, strength):
    """The O(L) solution is the textbook one to 1e-10, also for the shortest signals."""
    values = wave(length)
    expected = dense_detrend(values, strength)
    assert np.abs(detrend(values, strength) - expected).max() <= 1e-10 * max(1.0, np.abs(values).max())


def test_detrend_takes_columns_and_removes_lines():
    """Each column of (L, C) is detrended alone; a straight line leaves nothing; two samples leave nothing."""
    columns = np.stack([wave(seed=1), wave(seed=2)], axis=1)
    assert np.allclose(detrend(columns)[:, 1], detrend(columns[:, 1]), atol=1e-12)
    assert np.abs(detrend(np.linspace(5, 9, 200))).max() < 1e-9
    assert detrend(np.array([1.0, 2.0])).tolist() == [0.0, 0.0]


def test_inputs_stay_as_they_are():
    """No function writes into its argument."""
    values = wave()
    kept = values.copy()
    for function in (detrend, integrate, lambda x: bandpass(x, 30.0), lambda x: periodogram(x, 30.0)):
        function(values)
    assert np.array_equal(values, kept)


def test_integration_keeps_float32():
    """float32 is summed in float32, integers in float64."""
    assert integrate(np.ones(3, np.float32)).dtype == np.float32
    assert integrate(np.ones(3, np.int16)).tolist() == [1.0, 2.0, 3.0]


def test_bandpass_keeps_the_pulse_and_says_what_does_not_fit():
    """A pulse inside the band stays, a slow wave goes; too few samples and an impossible band are named."""
    time = np.arange(900) / 30.0
    inside = bandpass(np.sin(2 * np.pi * 1.5 * time), 30.0)
    outside = bandpass(np.sin(2 * np.pi * 0.05 * time), 30.0)
    assert inside[100:-100].std() > 0.6 > 0.1 > outside[100:-100].std()
    with pytest.raises(ValueError, match="9 samples are too few .* more than 9"):
        bandpass(np.zeros(9), 30.0)
    with pytest.raises(ValueError, match="band 0.6-3.3 Hz does not fit a signal of 5 samples"):
        butterworth(5.0, (0.6, 3.3), 1)


@pytest.mark.parametrize("length", [255, 256, 300])
def test_periodogram_is_scipys(length):
    """Frequencies and one-sided density equal SciPy's boxcar periodogram, for even and odd transforms."""
    values = wave(length)
    for n_fft in (None, 601):
        freqs, power = periodogram(values, 30.0, n_fft)
        expected = scipy.signal.periodogram(values, 30.0, nfft=n_fft or next_power_of_2(length), detrend=False)
        assert np.allclose(freqs, expected[0]) and np.allclose(power, expected[1], rtol=1e-10)


def test_decibels_of_nothing_are_minus_infinity():
    """10 log10, and minus infinity for 0."""
    assert power_to_db(10.0) == 10.0 and power_to_db(0.0) == -np.inf


def test_parity_of_detrending_and_filtering():
    """Recorded detrended and filtered waves are met at their tolerance, float32 inputs included."""
    arrays = np.load(reference("parity/postprocess.npz"))
    cases = json.loads(reference("parity/postprocess.json").read_text())["cases"]
    for case in cases:
        for side in ("pred", "label"):
            values = arrays[f"{case['id']}_{side}"]
            trendless = detrend(integrate(values) if case["diff"] else values)
            for name, found in (("detrended", trendless), ("filtered", bandpass(trendless, case["fs"]))):
                expected = arrays[f"{case['id']}_{side}_{name}"]
                assert np.abs(found - expected).max() <= RELATIVE[case["dtype"]] * np.abs(expected).max()


def test_parity_of_strengths_coefficients_and_powers_of_two():
    """Other detrending strengths, the filter's coefficients and next_power_of_2 are the recorded ones."""
    arrays = np.load(reference("parity/postprocess.npz"))
    for strength in (1, 10, 100, 300):
        expected = arrays[f"detrend_small_out_lambda{strength}"]
        found = detrend(arrays["detrend_small_in"], strength)
        assert np.abs(found - expected).max() <= 1e-7 * np.abs(expected).max()
    b, a = butterworth(30.0, (0.6, 3.3), 1)
    assert np.allclose(b, arrays["butter_b_fs30"], rtol=1e-12, atol=0)
    assert np.allclose(a, arrays["butter_a_fs30"], rtol=1e-12, atol=0)
    misc = json.loads(reference("parity/postprocess.json").read_text())["misc"]
    assert {str(n): next_power_of_2(int(n)) for n in misc["next_power_of_2"]} == misc["next_power_of_2"]


@pytest.mark.parametrize("shape", [(300,), (300, 3), (40, 2)])
def test_the_flat_filter_is_scipys_run_both_ways(shape):
    """Odd mirrored ends and settled states: scipy.signal.sosfiltfilt on the detrended wave, columns alone."""
    values = np.random.default_rng(4).normal(size=shape).cumsum(axis=0) + 50
    band = (0.6, 3.3)
    trendless = detrend(values - values.mean(axis=0), trend_strength(30.0, band))
    padding = min(len(values) - 1, 60)
    expected = scipy.signal.sosfiltfilt(flat_sections(30.0, band, 4)[0], trendless, axis=0, padlen=padding)
    assert np.allclose(in_band(values, 30.0, band), expected, atol=1e-9)
