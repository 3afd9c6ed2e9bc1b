"""How likely each heart rate is, by one short wave.

The likelihood of a rate rises with the power of the periodogram there, without a window: that power is what tells of a
sine in noise (Rife and Boorstyn, "Single tone parameter estimation from discrete-time observations", IEEE Trans. Inf.
Theory 20(5), 1974), while a window takes half of the seconds away. It is raised to a power, since noise is not white
and a pulse is not one sine.
"""

import numpy as np

from evaluation.heart_rate import FINE_GRID
from evaluation.post_process import next_power_of_2, periodogram

LOWEST, HIGHEST, STEP = 35.0, 200.0, 0.5  # bpm
RATES = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
SHARPNESS = 2.0  # POS, LGI and GridPulse say most of 72 rendered people's rates (log score) with 1.5 to 2
STRAY = 0.05  # share of waves whose rate could be any


def log_likelihood(wave: np.ndarray | None, fs: float) -> np.ndarray:
    """Log density (R,) per bpm of each of RATES, by `wave` (T,) at `fs` (Hz), filtered to the band of a pulse.

    Without a wave (None, or one that is constant) all are alike.
    """
    uniform = np.full(len(RATES), 1.0 / (HIGHEST - LOWEST))
    if wave is None:
        return np.log(uniform)
    wave = np.asarray(wave, dtype=float)
    fine = next_power_of_2(max(len(wave), int(np.ceil(fs / FINE_GRID))))
    freqs, power = periodogram(wave - wave.mean(), fs, fine)
    found = np.interp(RATES / 60.0, freqs, power)
    if not found.max() > 0:
        return np.log(uniform)
    found = (found / found.max()) ** SHARPNESS
    return np.log((1.0 - STRAY) * found / (found.sum() * STEP) + STRAY * uniform)


def at_rate(logs: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The log densities (..., R) at the rates (...) in bpm, between those of RATES linearly."""
    place = np.clip((np.asarray(rate, dtype=float) - LOWEST) / STEP, 0.0, len(RATES) - 1.0)
    before = np.minimum(place.astype(int), len(RATES) - 2)
    share = place - before
    low, high = (np.take_along_axis(logs, (before + k)[..., None], axis=-1)[..., 0] for k in (0, 1))
    return (1.0 - share) * low + share * high
