"""Classical methods: the pulse we painted, recorded outputs, clear errors, speed."""

import numpy as np
import pytest

from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.post_process import bandpass, detrend
from registry import UNSUPERVISED
from tests.conftest import reference
from unsupervised_methods.methods import ica, pbv
from unsupervised_methods.methods.ica import jade, most_periodic

NAMES = ["CHROM", "GREEN", "ICA", "LGI", "OMIT", "PBV", "POS"]
TOLERANCE = {"ICA": 1e-6, "PBV": 1e-4}  # relative; all others 1e-8
COLOUR = np.array([170.0, 120.0, 100.0])
PULSE_COLOUR = np.array([0.33, 0.77, 0.53])  # how strongly the pulse shows in R, G, B


def skin(bpm: float = 75.0, seconds: float = 30.0, fs: float = 30.0, noise: float = 0.1) -> np.ndarray:
    """Mean skin colour (T, 3) with a painted pulse, drifting light and noise."""
    random = np.random.default_rng(3)
    at = np.arange(int(seconds * fs)) / fs
    light = 1 + 0.02 * np.sin(2 * np.pi * 0.1 * at) + 0.002 * np.sin(2 * np.pi * 0.3 * at)
    pulse = 0.006 * np.sin(2 * np.pi * bpm / 60 * at)
    return COLOUR * light[:, None] * (1 + pulse[:, None] * PULSE_COLOUR) + noise * random.normal(size=(len(at), 3))


def test_all_seven_are_registered():
    """The registry lists the published names."""
    assert UNSUPERVISED.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fs", [24.0, 30.0, 60.0])
def test_every_method_finds_the_painted_pulse(name, fs):
    """75 bpm to 1 bpm at three frame rates, without changing the input; the length is T or, for CHROM, less."""
    rgb = skin(fs=fs)
    before = rgb.copy()
    wave = UNSUPERVISED[name](rgb, fs)
    assert np.array_equal(rgb, before)
    assert len(wave) <= len(rgb) if name == "CHROM" else len(wave) == len(rgb)
    clean = bandpass(detrend(wave, 100 * (fs / 30) ** 2), fs, (0.6, 3.3), 2)
    assert spectral_peak_heart_rate(clean, fs) == pytest.approx(75.0, abs=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_clear_errors(name):
    """Wrong shape, no rate, NaN and too few frames are named with method and numbers."""
    method = UNSUPERVISED[name]
    with pytest.raises(ValueError, match=rf"{name} wants the mean skin colour .*\(5, 8, 8, 3\)"):
        method(np.zeros((5, 8, 8, 3)), 30.0)
    with pytest.raises(ValueError, match=f"{name} got fs = 0"):
        method(skin(), 0)
    broken = skin()
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match=f"{name} got NaN or infinite colours in 1 of 900 frames, first in frame 7"):
        method(broken, 30.0)
    with pytest.raises(ValueError, match=f"{name} needs at least"):
        method(skin()[:0], 30.0)


@pytest.mark.parametrize("name", ["CHROM", "PBV", "POS"])
def test_black_frames_are_named(name):
    """Methods that divide by the mean colour refuse a channel without light."""
    with pytest.raises(ValueError, match=f"{name} divides by the mean colour"):
        UNSUPERVISED[name](skin() * [1, 0, 1], 30.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_gives_no_wave_but_no_crash(name):
    """Colours that never change give a finite wave without pulse."""
    wave = UNSUPERVISED[name](np.tile(COLOUR, (300, 1)), 30.0)
    assert np.isfinite(wave).all() and np.ptp(wave) < 1e-9


def test_grey_video_does_not_break_the_matrix_methods():
    """Three equal channels (a grey camera) are singular for PBV and ICA: finite results all the same."""
    grey = np.repeat(skin()[:, 1:2], 3, axis=1)
    assert np.isfinite(UNSUPERVISED["PBV"](grey, 30.0)).all()
    assert np.isfinite(UNSUPERVISED["ICA"](grey, 30.0)).all()


def test_pbv_takes_the_shortest_solution_of_a_singular_system(monkeypatch):
    """Where the solver refuses, least squares answers."""

    def refuse(*_):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(pbv.np.linalg, "solve", refuse)
    assert np.isfinite(UNSUPERVISED["PBV"](skin(), 30.0)).all()


def test_jade_separates_mixed_sources():
    """Three independent waves come back from a mixture, up to order, sign and scale."""
    at = np.arange(3000) / 30
    random = np.random.default_rng(5)
    sources = np.stack(
        [np.sin(2 * np.pi * 1.3 * at), np.sign(np.sin(2 * np.pi * 0.37 * at)), random.laplace(size=3000)]
    )
    mixed = np.array([[1.0, 0.5, 0.3], [0.4, 1.0, 0.2], [0.3, 0.6, 1.0]]) @ sources
    found = jade(mixed - mixed.mean(axis=1, keepdims=True))
    correlation = np.abs(np.corrcoef(np.vstack([sources, found]))[:3, 3:])
    assert (correlation.max(axis=1) > 0.98).all()
    assert np.abs(np.corrcoef(most_periodic(found), sources[0])[0, 1]) > 0.98


def test_jade_ends_even_without_convergence(monkeypatch):
    """The number of sweeps is limited."""
    monkeypatch.setattr(ica, "_rotate", lambda *_: True)
    monkeypatch.setattr(ica, "SWEEPS", 3)
    assert jade(skin().T).shape == (3, 900)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("clip", "ABCD")
def test_parity(name, clip):
    """Recorded outputs of rPPG-Toolbox: float64 to 1e-8 (ICA 1e-6 up to sign, PBV 1e-4), float32 (not PBV) to 1e-4."""
    arrays = np.load(reference("parity/unsupervised.npz"))
    fs = float(arrays[f"{clip}_fs"])
    means = {
        "f64": arrays[f"{clip}_frames"].astype(float).mean(axis=(1, 2)),
        "f32": arrays[f"{clip}_rgb_mean_f32"],
    }
    for precision, rgb in means.items():
        if precision == "f32" and name == "PBV":
            continue  # ill-conditioned: rPPG-Toolbox's own float32 differs from its float64
        expected, found = arrays[f"{clip}_{precision}_{name}"], UNSUPERVISED[name](rgb, fs)
        sign = np.sign(found @ expected) if name == "ICA" else 1.0
        tolerance = TOLERANCE.get(name, 1e-8) if precision == "f64" else 1e-4
        assert found.shape == expected.shape
        assert np.abs(sign * found - expected).max() <= tolerance * np.abs(expected).max()
