"""The chain of the preset `exact`: what lies in its band reaches the estimator as it was, at every frame rate."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from dataset.data_loader.base import Signal
from evaluation.evaluate import filtered, rows
from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.post_process import in_band
from evaluation.presets import preset
from evaluation.results import RecordingResult
from registry import UNSUPERVISED
from tests.test_unsupervised import COLOUR, PULSE_COLOUR, skin
from unsupervised_methods.measure import predict

EXACT = preset("exact")
RATES = [15.0, 24.0, 30.0, 60.0, 120.0]  # frames per second
MINE = ["CHROM", "GREEN", "LGI", "OMIT", "POS"]  # one scale for all tones; PBV and ICA scale each recording by itself


def level(wave: np.ndarray, at: np.ndarray, hertz: float) -> float:
    """Amplitude of the tone `hertz` in the middle half of `wave`."""
    part = slice(len(at) // 4, 3 * len(at) // 4)
    window = np.hanning(len(at[part]))
    return float(np.abs(np.sum(wave[part] * window * np.exp(-2j * np.pi * hertz * at[part]))) / window.sum())


def gains(name: str, fs: float, band: tuple[float, float]) -> np.ndarray:
    """Gain (dB) of method and filter for tones over `band`, against the tone in its middle."""
    at, found = np.arange(int(40 * fs)) / fs, []
    for hertz in np.linspace(*band, 9):
        tone = 0.003 * np.sin(2 * np.pi * hertz * at)
        trace = COLOUR * (1 + tone[:, None] * PULSE_COLOUR)
        wave, problem = predict(UNSUPERVISED[name], trace, fs, band)
        assert not problem
        found.append(level(filtered(wave, fs, replace(EXACT, band=band))[0], at, hertz))
    return 20 * np.log10(np.array(found) / found[4])


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("name", MINE)
def test_gain_is_flat_over_the_band(name, fs):
    """Method, detrending and filter together: within 1 dB from 36 to 198 bpm, at 15 to 120 frames per second."""
    assert np.abs(gains(name, fs, EXACT.band)).max() <= 1.0


@pytest.mark.parametrize("band", [(0.5, 4.0), (0.7, 2.5), (1.0, 3.0)])
@pytest.mark.parametrize("fs", [15.0, 60.0])
def test_gain_is_flat_over_any_band(band, fs):
    """INFERENCE.HR_BAND moves filter, trend and the windows of POS."""
    assert np.abs(gains("POS", fs, band)).max() <= 1.0


def test_the_filter_alone_is_flat_up_to_the_nyquist_frequency():
    """A band that ends just below fs/2 is still a band; outside, an octave below, almost nothing is left."""
    at = np.arange(700) / 7.0
    for hertz in (0.6, 1.5, 3.3):
        wave = np.sin(2 * np.pi * hertz * at)
        assert 20 * np.log10(level(in_band(wave, 7.0, (0.6, 3.3)), at, hertz) / level(wave, at, hertz)) > -1
    slow = np.sin(2 * np.pi * 0.3 * at)
    assert level(in_band(slow, 7.0, (0.6, 3.3)), at, 0.3) < 0.05


@pytest.mark.parametrize("seconds", [5.0, 7.0, 10.0])
@pytest.mark.parametrize("bpm", [42.0, 49.5, 72.0, 150.0])
def test_short_windows_keep_a_slow_pulse_under_a_drift(seconds, bpm):
    """Ends are no pulses: a drift forty times as large, and 5 s of a pulse, give its rate to 2 bpm."""
    at = np.arange(int(seconds * 30)) / 30.0
    wave = 40 * np.sin(2 * np.pi * 0.05 * at + 1) + np.sin(2 * np.pi * bpm / 60 * at)
    assert spectral_peak_heart_rate(filtered(wave, 30.0, EXACT)[0], 30.0, EXACT.band) == pytest.approx(bpm, abs=2.0)


def test_a_slow_pulse_outweighs_its_second_harmonic():
    """49.5 bpm with a second harmonic of 0.8 of its height is read as 49.5 under `exact`, by every voter."""
    at = np.arange(600) / 30.0
    pulse = np.sin(2 * np.pi * 0.825 * at) + 0.8 * np.sin(2 * np.pi * 1.65 * at + 1)
    trace = COLOUR * (1 + 0.003 * pulse[:, None] * PULSE_COLOUR)
    for name in ("POS", "CHROM", "LGI"):
        wave = filtered(predict(UNSUPERVISED[name], trace, 30.0, EXACT.band)[0], 30.0, EXACT)[0]
        assert spectral_peak_heart_rate(wave, 30.0, EXACT.band) == pytest.approx(49.5, abs=0.5)


@pytest.mark.parametrize("length", [450, 449, 97])
def test_chrom_is_as_long_as_its_colours(length):
    """Under a band no half window is lost, and the last second holds the pulse as the others do."""
    wave = UNSUPERVISED["CHROM"](skin()[:length], 30.0, band=EXACT.band)
    assert len(wave) == length and len(UNSUPERVISED["CHROM"](skin()[:length], 30.0)) < length
    clean = in_band(wave, 30.0, EXACT.band)
    assert clean[-30:].std() > 0.5 * clean.std()


def test_ica_chooses_by_what_is_inside_the_band():
    """A lamp's slow regular swing, far stronger than the pulse, was the most periodic source; now the pulse is."""
    at = np.arange(900) / 30.0
    random = np.random.default_rng(1)
    pulse, lamp = np.sin(2 * np.pi * 1.2 * at), np.sin(2 * np.pi * 0.35 * at)
    trace = COLOUR * (1 + 0.004 * pulse[:, None] * PULSE_COLOUR + 0.03 * lamp[:, None] * [0.9, 0.6, 0.2])
    trace = trace + 0.15 * random.normal(size=trace.shape)
    wave = UNSUPERVISED["ICA"](trace, 30.0, band=EXACT.band)
    assert spectral_peak_heart_rate(in_band(wave, 30.0, EXACT.band), 30.0) == pytest.approx(72.0, abs=1.0)
    assert abs(np.corrcoef(in_band(wave, 30.0, EXACT.band), pulse)[0, 1]) > 0.9


def test_a_method_without_that_keyword_keeps_working():
    """Plug-ins are `method(rgb, fs)`; what they refuse is still told."""
    assert np.array_equal(predict(lambda rgb, fs: rgb[:, 1] * fs, skin(), 30.0, EXACT.band)[0], skin()[:, 1] * 30.0)
    assert "POS needs at least 49 frames" in predict(UNSUPERVISED["POS"], skin()[:40], 30.0, EXACT.band)[1]


def test_prediction_and_reference_go_through_one_filter():
    """Waves that differ by a slow trend alone come out alike."""
    at = np.arange(600) / 30.0
    wave = scipy.signal.sawtooth(2 * np.pi * 1.1 * at, 0.3)
    one, other = (filtered(values, 30.0, EXACT)[0] for values in (wave, wave + 0.5 * at**2 + 7))
    assert np.abs(one - other)[60:-60].max() < 0.02


@pytest.mark.parametrize("fs", [15.0, 30.0, 60.0])
def test_noise_of_differences_does_not_outweigh_the_pulse(fs):
    """A derivative with as much noise as pulse, summed up: the rate is that of the pulse, at any frame rate."""
    times, random = np.arange(int(30 * fs)) / fs, np.random.default_rng(3)
    truth = np.sin(2 * np.pi * 1.6 * times)
    found = []
    for _ in range(8):
        slope = np.diff(truth, prepend=truth[0])
        wave = slope + 0.8 * slope.std() * random.normal(size=len(times))
        result = RecordingResult("a", "a", fs, wave, None, "DiffNormalized", Signal(truth, fs=fs))
        found.append(rows([result], preset("exact"))[0].error)
    assert np.median(np.abs(found)) < 1 and np.mean(np.abs(found) < 5) >= 7 / 8


def test_the_true_rate_is_the_same_for_every_method():
    """How a prediction was made changes nothing about the truth; breathing keeps its flat band."""
    times = np.arange(900) / 30
    truth = Signal(np.sin(2 * np.pi * 0.7 * times) + 0.5 * np.sin(2 * np.pi * 1.4 * times), fs=30.0)
    wave = np.random.default_rng(0).normal(size=900)
    made = [RecordingResult("a", "a", 30.0, wave, None, kind, truth) for kind in ("Raw", "DiffNormalized")]
    rates = [rows([one], preset("exact"))[0].hr_true for one in made]
    assert rates[0] == pytest.approx(rates[1], abs=1e-9)
    breathing = replace(preset("exact"), unit="breaths/min")
    assert breathing.summed(30.0) == breathing and preset("toolbox").summed(30.0) == preset("toolbox")
