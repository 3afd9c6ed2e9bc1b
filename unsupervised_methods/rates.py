"""What one short clip tells of the heart rate, and its wave by a classical method: what rates are compared by."""

import math
from collections.abc import Sequence

import numpy as np

from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.likely_rates import log_likelihood
from evaluation.post_process import in_band
from evaluation.presets import PRESETS
from registry import UNSUPERVISED
from unsupervised_methods.measure import predict

BAND = PRESETS["exact"].band
COMPARED = {"spectrum": "likelihood", "peak": "absolute"}  # how a rate is told, and the rule that scores it


def rate_told(wave: np.ndarray | None, fs: float, how: str) -> np.ndarray:
    """What `wave` (T,) at `fs` (Hz), in the band of `exact`, tells of the rate; None: there is no wave.

    `how` spectrum: the log likelihood (R,) of each of `evaluation.likely_rates.RATES`; peak: the rate (1,) in bpm at
    the highest peak of its spectrum, NaN without one.
    """
    if how == "spectrum":
        return log_likelihood(wave, fs)
    return np.array([math.nan if wave is None else spectral_peak_heart_rate(wave, fs, BAND)])


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
