"""Pulse and breath as one sensor alone tells them: the rate that is there, no double and no harmonic of a breath."""

import numpy as np
import pytest

from dataset.multimodal.simulated_chest import breath_wave
from dataset.multimodal.traces import BREATH, PULSE, breath_of_motion, pulse_of_motion, rate, without_breath
from dataset.synthetic.pulse import beat_shape

FS = 20.0  # frames per second of the radar


def chest(pulse, breaths, seconds=60.0, depth=4.0, beat=0.3):
    """Displacement (n,) mm with `pulse` beats and `breaths` breaths per minute; it moves towards the radar."""
    t = np.arange(round(seconds * FS)) / FS
    breath = np.interp(t * breaths / 60 % 1, np.arange(1024) / 1024, breath_wave(), period=1)
    return -0.5 * depth * breath - beat * beat_shape(t * pulse / 60, dicrotic=0.4)


@pytest.mark.parametrize("pulse", [50, 58, 66, 74, 88, 104])
@pytest.mark.parametrize("breaths", [12, 15, 19])
def test_the_pulse_of_a_chest_is_neither_its_double_nor_a_harmonic_of_the_breath(pulse, breaths):
    """The second harmonic of a beat's acceleration is the strongest of it; the fourth of a breath is near 60."""
    motion = chest(pulse, breaths)
    assert abs(rate(pulse_of_motion(motion, FS), FS, PULSE) - pulse) < 1
    assert abs(rate(breath_of_motion(motion, FS), FS, BREATH) - breaths) < 0.5


def test_the_breath_leaves_with_its_harmonics():
    """What is left of 4 mm is a twentieth of one, and beats stay."""
    still = without_breath(chest(70, 15, beat=0.0), FS)[100:-100]
    beating = without_breath(chest(70, 15, beat=0.3), FS)[100:-100]
    assert np.std(still) < 0.05 and np.std(beating) > 0.06


@pytest.mark.parametrize(("seconds", "fs"), [(4.0, 20.0), (60.0, 10.0), (95.0, 25.0)])
def test_short_and_slow_recordings_have_a_pulse_too(seconds, fs):
    """As many values as frames, all of them numbers."""
    t = np.arange(round(seconds * fs)) / fs
    wave = pulse_of_motion(np.sin(2 * np.pi * 0.25 * t) + 0.1 * np.sin(2 * np.pi * 1.2 * t), fs)
    assert len(wave) == len(t) and np.isfinite(wave).all() and abs(rate(wave, fs, PULSE) - 72) < 4
