"""Rates, SNR and MACC of single waves: against known rates, plain loops and recorded numbers."""

import json

import numpy as np
import pytest

from evaluation.heart_rate import fft_heart_rate, macc, peak_heart_rate, snr, spectral_peak_heart_rate
from evaluation.post_process import bandpass, detrend, integrate
from tests.conftest import reference


def pulse(bpm: float, seconds: float = 30.0, fs: float = 30.0, phase: float = 0.3) -> np.ndarray:
    """A pulse wave with a second harmonic."""
    time = np.arange(int(seconds * fs)) / fs
    angle = 2 * np.pi * bpm / 60 * time + phase
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


@pytest.mark.parametrize("bpm", [45.3, 72.0, 88.8, 131.7, 190.2])
def test_the_spectral_peak_has_no_bin_rounding(bpm):
    """The interpolated peak is right to 0.05 bpm where the FFT bin is off by up to 0.9 bpm."""
    assert spectral_peak_heart_rate(pulse(bpm), 30.0) == pytest.approx(bpm, abs=0.05)
    assert fft_heart_rate(pulse(bpm), 30.0) == pytest.approx(bpm, abs=0.9)
    assert (fft_heart_rate(pulse(bpm), 30.0) / 60 / (30 / 1024)) % 1 == pytest.approx(0, abs=1e-9)


def test_a_short_window_still_gives_the_rate():
    """Five seconds suffice for a clean pulse to half a beat, at other frame rates as well."""
    assert spectral_peak_heart_rate(pulse(61.0, seconds=5, fs=24.0), 24.0) == pytest.approx(61.0, abs=0.5)


def test_power_leaking_over_the_edge_is_not_taken_for_a_peak():
    """A strong wave below the band leaves the maximum at the edge; the local maximum inside wins."""
    time = np.arange(900) / 30.0
    assert spectral_peak_heart_rate(20 * np.sin(2 * np.pi * 0.55 * time) + pulse(90), 30.0) == pytest.approx(90, abs=1)


def test_without_a_local_maximum_the_edge_is_returned():
    """When the band holds a slope only, its highest bin is all there is."""
    time = np.arange(900) / 30.0
    assert spectral_peak_heart_rate(np.sin(2 * np.pi * 1.0 * time), 30.0, (1.01, 1.03)) == pytest.approx(60.6, abs=0.2)


def test_no_rate_is_nan():
    """A constant, a band without bins and a wave with one maximum have no rate."""
    assert np.isnan(spectral_peak_heart_rate(np.ones(300), 30.0))
    assert np.isnan(spectral_peak_heart_rate(pulse(60), 30.0, (20.0, 21.0)))
    assert np.isnan(fft_heart_rate(pulse(60), 30.0, (20.0, 21.0)))
    assert np.isnan(peak_heart_rate(np.array([0.0, 1.0, 0.0, 0.0]), 30.0))


def test_a_refractory_distance_leaves_dicrotic_notches_out():
    """Counting every maximum doubles the rate of a notched wave; 0.4 s between beats mends it."""
    time = np.arange(900) / 30.0
    notched = np.sin(2 * np.pi * time) + 0.8 * np.sin(4 * np.pi * time + 1.0)
    assert peak_heart_rate(notched, 30.0) == pytest.approx(120, abs=3)
    assert peak_heart_rate(notched, 30.0, refractory=0.6) == pytest.approx(60, abs=2)


def test_macc_equals_the_plain_loop():
    """The FFT gives the largest |correlation| over the circular lags 0 ... L-2, for even and odd lengths."""
    random = np.random.default_rng(1)
    for length in (50, 51):
        a, b = random.normal(size=length), random.normal(size=length)
        loop = max(abs(np.corrcoef(a, np.roll(b, k))[0, 1]) for k in range(length - 1))
        assert macc(a, b) == pytest.approx(loop, abs=1e-12)
        assert macc(a, np.append(b, [5.0, 6.0])) == pytest.approx(loop, abs=1e-12)


def test_macc_of_nothing_is_nan():
    """A constant or a single sample has no correlation."""
    assert np.isnan(macc(np.ones(20), np.arange(20.0))) and np.isnan(macc(np.ones(1), np.ones(1)))


def test_snr_falls_with_noise_and_knows_its_limits():
    """More noise, less SNR; nothing left in the band gives 0; no bin near the rate gives minus infinity."""
    noise = np.random.default_rng(0).normal(size=900)
    levels = [snr(pulse(72) + k * noise, 72.0, 30.0) for k in (0.1, 1.0, 5.0)]
    assert levels[0] > levels[1] > levels[2]
    assert snr(np.zeros(900), 72.0, 30.0) == 0.0
    assert snr(noise[:12], 61.0, 30.0) == -np.inf
    assert np.isfinite(snr(noise[:12], 61.0, 30.0, resolution=0.02))


def test_parity_of_rates_snr_and_macc():
    """Every recorded case is met: rates to 1e-9, SNR to 1e-6 dB (float32: 1e-3), MACC to 1e-9 (float32: 1e-6)."""
    arrays = np.load(reference("parity/postprocess.npz"))
    for case in json.loads(reference("parity/postprocess.json").read_text())["cases"]:
        fs, coarse = case["fs"], case["dtype"] == "f4"
        waves = {}
        for side in ("pred", "label"):
            values = arrays[f"{case['id']}_{side}"]
            trendless = detrend(integrate(values) if case["diff"] else values)
            waves[side] = {"_nobandpass": trendless, "": bandpass(trendless, fs)}
        for name, rate in (("FFT", fft_heart_rate), ("Peak", peak_heart_rate)):
            for suffix in ("", "_nobandpass"):
                expected, pred, label = case[name + suffix], waves["pred"][suffix], waves["label"][suffix]
                assert rate(label, fs) == pytest.approx(expected["hr_label"], abs=1e-9)
                assert rate(pred, fs) == pytest.approx(expected["hr_pred"], abs=1e-9)
                assert snr(pred, rate(label, fs), fs) == pytest.approx(expected["SNR"], abs=1e-3 if coarse else 1e-6)
                assert macc(pred, label) == pytest.approx(expected["MACC"], abs=1e-6 if coarse else 1e-9)
        pred, band = waves["pred"][""], (0.75, 2.5)
        assert fft_heart_rate(pred, fs, band) == pytest.approx(case["fft_hr_pred_0.75_2.5"], abs=1e-9)
        level = snr(pred, case["FFT"]["hr_label"], fs, band)
        assert level == pytest.approx(case["SNR_0.75_2.5"], abs=1e-3 if coarse else 1e-6)
