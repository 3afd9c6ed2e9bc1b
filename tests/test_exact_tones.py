"""`exact` on tones of 10 s: nearly no error where they are clean, and less than the highest bin has in noise."""

import numpy as np
import pytest

from evaluation.evaluate import estimate, filtered
from evaluation.heart_rate import fft_heart_rate
from evaluation.presets import preset

FS = 30.0
TIMES = np.arange(300) / FS


def errors(band, rates, noise=0.0, repeats=1):
    """Mean absolute errors (bpm) of `exact` and of the highest bin of the same filtered waves."""
    chosen, random, found = preset("exact", band), np.random.default_rng(0), []
    for bpm in rates:
        for _ in range(repeats):
            wave = np.sin(2 * np.pi * bpm / 60 * TIMES + random.uniform(0, 2 * np.pi))
            wave = wave + noise * random.normal(size=len(wave))
            clean, problem = filtered(wave, FS, chosen)
            assert not problem
            rate, highest = estimate(clean, FS, chosen, "FFT"), fft_heart_rate(clean, FS, chosen.band)
            found.append((abs(rate - bpm), abs(highest - bpm)))
    return np.array(found).mean(axis=0)


@pytest.mark.parametrize(("band", "fastest"), [((), 196), ((0.5, 3.6), 210)])
def test_clean_tones(band, fastest):
    """At most 0.05 bpm from 40 bpm to the end of the band: 198 bpm by default, 216 with a wider one."""
    exact, _ = errors(band, np.arange(40, fastest + 0.1, 0.5))
    assert exact <= 0.05


def test_tones_as_strong_as_the_noise():
    """0 dB: not worse than the highest bin."""
    exact, highest = errors((0.5, 3.6), np.arange(40, 210.1, 2.0), noise=np.sqrt(0.5), repeats=3)
    assert exact <= highest and exact < 0.4
