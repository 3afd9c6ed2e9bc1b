"""What changes at a rate is blood where its colours go together as blood's do, and nothing else is."""

import numpy as np
import pytest

from evaluation.consensus import answer, by_blood
from evaluation.path import Course
from evaluation.signature import AXES, likeness
from tests.test_consensus import EXACT, votes
from tests.test_unsupervised import COLOUR, PULSE_COLOUR

FS, SECONDS = 30.0, 20.0


def trace(direction, bpm=60.0, size=0.003, noise=2e-4, seed=0):
    """Mean colours (T, 3) that change at `bpm` along `direction` (3,)."""
    at = np.arange(int(FS * SECONDS)) / FS
    wave = np.sin(2 * np.pi * bpm / 60 * at)
    random = np.random.default_rng(seed).normal(size=(len(at), 3))
    return COLOUR * (1 + size * wave[:, None] * np.asarray(direction) + noise * random)


def found(colours, bpm=60.0):
    """How like blood they are at `bpm` throughout."""
    times = np.arange(5.0, SECONDS - 4)
    return likeness(colours, FS, Course(times, np.full(len(times), bpm), np.zeros(len(times)), 10.0))


@pytest.mark.parametrize("bpm", [42.0, 90.0, 200.0])
def test_blood_is_all_along_and_its_brightness_with_it(bpm):
    """Of any skin: red may stay still or change half as much as green."""
    for colour in ((0.33, 0.77, 0.53), (0.05, 1.0, 0.5), (0.45, 1.0, 0.8), (0.3, 1.0, 0.25)):
        seen = found(trace(colour, bpm), bpm)
        assert seen.blood and seen.share > 0.6 and seen.brightness > 0.9, colour


@pytest.mark.parametrize(
    ("light", "words"),
    [((1.0, 0.9, 0.6), "across"), ((0.4, 0.8, 1.0), "across"), ((1.0, 0.5, 0.8), "against"), ((-0.5, 0.3, 0.1), "")],
)
def test_coloured_light_is_no_blood(light, words):
    """A warm lamp, a cold one, a screen, a white balance: for each way in which they differ."""
    seen = found(trace(light, size=0.01))
    assert not seen.blood
    assert words != "across" or seen.share < 0.5
    assert words != "against" or (seen.share > 0.5 and seen.brightness < -0.9)


def test_a_drift_beside_the_rate_does_not_hide_blood():
    """Colours across that of blood wander ten times as strongly below the rate."""
    at = np.arange(int(FS * SECONDS)) / FS
    drift = 0.03 * np.sin(2 * np.pi * 0.08 * at)[:, None] * AXES[2]
    assert found(trace(PULSE_COLOUR) * (1 + drift)).blood


def test_no_change_is_no_blood_and_no_warning():
    """Still colours and black ones."""
    for colours in (np.ones((600, 3)), np.zeros((600, 3))):
        assert not found(colours).blood


@pytest.mark.parametrize(("light", "words"), [((0.2, 0.7, -0.5), "% of it as blood"), ((1.0, 0.5, 0.8), "against")])
def test_such_a_rate_is_refused(light, words):
    """The methods believe it; it stays to be seen, and the reason says what changes."""
    lamp = trace(light, size=0.01)
    believed = answer(votes(lamp), EXACT)
    assert believed.reliable and believed.rate == pytest.approx(60, abs=1)
    refused = by_blood(believed, lamp, FS)
    assert not refused.reliable and refused.rate == believed.rate
    assert "at 60 bpm changes the colours as light does" in refused.reason and words in refused.reason


@pytest.mark.parametrize("frames", [600, 180])
def test_a_rate_by_blood_is_kept(frames):
    """Also of a clip that is shorter than a window."""
    colours = trace(PULSE_COLOUR, 72.0)[:frames]
    assert by_blood(answer(votes(colours), EXACT), colours, FS).reliable
