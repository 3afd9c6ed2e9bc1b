"""The heart rate of one short clip by a classical method, and its wave: what a comparison of rates goes by."""

import math
from collections.abc import Sequence

import numpy as np

from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.post_process import in_band
from evaluation.presets import PRESETS
from registry import UNSUPERVISED
from unsupervised_methods.measure import predict

BAND = PRESETS["exact"].band


def rate_of_colours(colours: np.ndarray, fs: float, method: str) -> float:
    """Rate (bpm) of mean colours (T, 3) at `fs` (Hz): the highest peak of the wave's spectrum in the band of `exact`.

    NaN for colours without a wave, as of a clip that stands still. KeyError for an unknown method.
    """
    wave = wave_of_colours(colours, fs, method)
    return math.nan if wave is None else spectral_peak_heart_rate(wave, fs, BAND)


def wave_of_colours(colours: np.ndarray, fs: float, method: str) -> np.ndarray | None:
    """The wave (T,) of mean colours (T, 3) in the band of `exact`; None without one. KeyError for an unknown method."""
    wave, problem = predict(UNSUPERVISED[method], colours, fs, BAND)
    if problem or not np.isfinite(wave).all() or np.ptp(wave) <= 1e-12 * max(1.0, float(np.abs(colours).max())):
        return None
    return in_band(wave, fs, BAND)


def waves_of_colours(colours: np.ndarray, fs: float, methods: Sequence[str]) -> np.ndarray:
    """The waves (V, T) of `methods`, each of spread 1; zeros where there is none."""
    found = [wave_of_colours(colours, fs, name) for name in methods]
    return np.stack([np.zeros(len(colours)) if wave is None else wave / wave.std() for wave in found])
