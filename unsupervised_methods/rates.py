"""The heart rate of one short clip by a classical method: what a comparison of rates goes by."""

import math

import numpy as np

from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.post_process import in_band
from evaluation.presets import PRESETS
from registry import UNSUPERVISED
from unsupervised_methods.measure import predict


def rate_of_colours(colours: np.ndarray, fs: float, method: str) -> float:
    """Rate (bpm) of mean colours (T, 3) at `fs` (Hz): the highest peak of the wave's spectrum in the band of `exact`.

    NaN for colours without a wave, as of a clip that stands still. KeyError for an unknown method.
    """
    band = PRESETS["exact"].band
    wave, problem = predict(UNSUPERVISED[method], colours, fs, band)
    if problem or not np.isfinite(wave).all() or np.ptp(wave) <= 1e-12 * max(1.0, float(np.abs(colours).max())):
        return math.nan
    return spectral_peak_heart_rate(in_band(wave, fs, band), fs, band)
