"""Beats of a wave and what the intervals between them say, against hearts whose every beat is known."""

import math

import numpy as np
import pytest

from dataset.synthetic.pulse import beat_shape
from evaluation.beats import find_beats
from evaluation.consensus import answer
from evaluation.path import Course, follow
from evaluation.post_process import in_band
from evaluation.presets import preset
from evaluation.results import RecordingResult
from evaluation.rhythm import SHORTEST, Rhythm, breathing_rate, is_irregular, rhythm, slow_to_fast, usual, variability
from evaluation.vitals import answer_content, in_words

FS, EXACT = 30.0, preset("exact")
BAND = EXACT.band


def sinus(seconds: float, period: float = 0.85, breath: float = 0.25, seed: int = 0) -> np.ndarray:
    """Times (s) of beats whose intervals follow the breath, from a beat before 0 to one after the end."""
    random, times = np.random.default_rng(seed), [-period]
    while times[-1] < seconds + 2:
        times.append(times[-1] + period * (1 + 0.05 * np.sin(2 * np.pi * breath * times[-1])) + 0.01 * random.normal())
    return np.array(times)


def scattered(seconds: float, period: float = 0.8, seed: int = 0) -> np.ndarray:
    """The same for a heart that flutters."""
    random = np.random.default_rng(seed)
    return np.cumsum(np.clip(random.normal(period, 0.22 * period, int(3 * seconds / period)), 0.4, 1.6)) - 1


def wave_of(beats: np.ndarray, seconds: float, noise: float = 0.05, breath: float = 0.25) -> np.ndarray:
    """A pulse wave with those beats (L,), as high and as strong as the breath makes it."""
    times = np.arange(round(seconds * FS)) / FS
    breathing = np.sin(2 * np.pi * breath * times)
    wave = beat_shape(np.interp(times, beats, np.arange(len(beats))), 0.3) * (1 + 0.2 * breathing) + 0.3 * breathing
    return wave + noise * np.random.default_rng(1).normal(size=len(times))


def measured(wave: np.ndarray):
    """Beats of a wave, and their rhythm."""
    found = find_beats(wave, FS, follow(in_band(wave, FS, BAND), FS, BAND))
    return found, rhythm(found, len(wave) / FS)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_beats_come_when_they_came(sign):
    """Upside down, too: none missed, none invented, each within 25 ms of one common delay."""
    true = sinus(40.0)
    found, _ = measured(sign * wave_of(true, 40.0))
    inside = true[(true > 0.6) & (true < 39.0)]
    delays = np.array([found.times[np.abs(found.times - beat).argmin()] - beat for beat in inside])
    assert np.abs(delays - np.median(delays)).max() < 0.025
    assert abs(len(found.times) - len(inside)) <= 2 and found.clean.mean() > 0.95


def test_intervals_agree_with_those_of_the_heart():
    """Mean within 2 ms, SDNN within 5, RMSSD, which is smoothed, within a fifth; breathing within 0.5 a minute."""
    true = sinus(120.0)
    _, found = measured(wave_of(true, 120.0))
    intervals = np.diff(true[(true > 0) & (true < 120)])
    expected = variability(intervals, np.ones(len(intervals), dtype=bool))
    assert found.mean_rr == pytest.approx(expected["mean_rr"], abs=2)
    assert found.rmssd == pytest.approx(expected["rmssd"], rel=0.2)
    assert found.sdnn == pytest.approx(expected["sdnn"], abs=5)
    assert found.breathing == pytest.approx(15.0, abs=0.5)
    assert found.lf_hf < 0.3 and found.coverage > 0.95 and not found.irregular


def test_variability_of_known_intervals():
    """By hand: 800, 860, 800, 900 ms; one that is no normal one takes its two steps with it."""
    found = variability(np.array([0.8, 0.86, 0.8, 0.9]), np.ones(4, dtype=bool))
    assert found["mean_rr"] == pytest.approx(840) and found["pnn50"] == 1.0
    assert found["rmssd"] == pytest.approx(math.sqrt((60**2 + 60**2 + 100**2) / 3))
    assert found["sdnn"] == pytest.approx(np.std([800, 860, 800, 900], ddof=1))
    with_gap = np.array([0.8, 0.8, 1.6, 0.8, 0.84, 0.8])
    assert usual(with_gap).tolist() == [True, True, False, True, True, True]
    assert variability(with_gap, usual(with_gap))["rmssd"] == pytest.approx(math.sqrt((0 + 40**2 + 40**2) / 3))


@pytest.mark.parametrize(
    ("seconds", "known"),
    [(8.0, ()), (15.0, ("breathing",)), (30.0, ("breathing", "rmssd")), (70.0, ("rmssd", "lf_hf"))],
)
def test_nothing_is_said_of_too_short_a_recording(seconds, known):
    """Ten seconds for breathing, twenty for RMSSD and SDNN, fifty-five for the spectrum."""
    _, found = measured(wave_of(sinus(seconds), seconds))
    given = {name for name in ("breathing", "rmssd", "lf_hf") if math.isfinite(getattr(found, name))}
    assert given >= set(known)
    for name, kind in (("breathing", "breathing"), ("rmssd", "variability"), ("lf_hf", "spectrum")):
        assert name not in given or seconds >= SHORTEST[kind]


def test_an_irregular_rhythm_is_told_from_noise_and_from_breathing():
    """Of ten each: nearly all that flutter, no sound heart, no noise, no drift."""
    random, counted = np.random.default_rng(3), {"flutter": 0, "sinus": 0, "noise": 0, "drift": 0}
    for seed in range(10):
        counted["flutter"] += measured(wave_of(scattered(40.0, seed=seed), 40.0))[1].irregular
        counted["sinus"] += measured(wave_of(sinus(40.0, seed=seed), 40.0, noise=0.2))[1].irregular
        counted["noise"] += measured(random.normal(size=1200))[1].irregular
        counted["drift"] += measured(random.normal(size=1200).cumsum() + random.normal(size=1200))[1].irregular
    assert counted["flutter"] >= 8 and counted["sinus"] == counted["noise"] == counted["drift"] == 0


def test_noise_has_no_variability():
    """Its beats do not look alike."""
    _, found = measured(np.random.default_rng(0).normal(size=3000))
    assert found.coverage < 0.2 and math.isnan(found.rmssd) and math.isnan(found.breathing)


@pytest.mark.parametrize("wave", [np.zeros(600), np.full(600, 1e300), np.arange(600.0), np.ones(600) * -5])
def test_a_wave_without_beats_has_none(wave):
    """Flat, huge, a line: no error, no beat that counts."""
    course = Course(np.array([10.0]), np.array([60.0]), np.array([0.0]), 10.0)
    found = find_beats(wave, FS, course)
    assert rhythm(found, 20.0).intervals == 0


def test_no_beats_no_rhythm():
    """One, or none."""
    for count in (0, 1, 2):
        found = find_beats(
            np.r_[np.zeros(300), np.ones(300)], FS, Course(np.zeros(1), np.full(1, 60.0), np.zeros(1), 10.0)
        )
        part = type(found)(found.times[:count], found.rises[:count], found.levels[:count], found.alike[:count])
        assert repr(rhythm(part, 20.0)) == repr(Rhythm())  # NaN is not itself
    assert not is_irregular(np.zeros(0), np.zeros(0, dtype=bool))


def test_an_answer_tells_breathing_variability_and_irregularity():
    """On screen and in vitals.json; an irregular rhythm is no weak pulse, and has no single rate."""
    wave = wave_of(sinus(60.0), 60.0)
    found = answer({"POS": RecordingResult("a", "a", FS, wave)}, EXACT)
    assert "15 breaths/min" in in_words(found) and "RMSSD" in in_words(found)
    content = answer_content(found)
    assert content["respiratory_rate_bpm"] == pytest.approx(15, abs=1) and content["hrv"]["coverage"] > 0.9
    fluttering = answer({"POS": RecordingResult("a", "a", FS, wave_of(scattered(60.0), 60.0))}, EXACT)
    assert fluttering.rhythm.irregular
    if not fluttering.reliable:
        assert "irregularly" in fluttering.reason and answer_content(fluttering)["hrv"]["irregular"]


def test_ways_to_read_breathing_that_disagree_give_no_rate():
    """Beats as strong as at 12 breaths a minute, as high as at 28."""
    beats = sinus(60.0, breath=0.2)
    found, _ = measured(wave_of(beats, 60.0, breath=0.2))
    other = type(found)(found.times, found.rises, np.sin(2 * np.pi * 0.47 * found.times), found.alike)
    normal = np.ones(len(found.times) - 1, dtype=bool)
    assert breathing_rate(found, normal) == pytest.approx(12, abs=1) and math.isnan(breathing_rate(other, normal))


def test_slow_and_fast_changes():
    """0.1 Hz is slow, 0.3 Hz is fast."""
    times = np.arange(0, 120, 0.8)
    slow = slow_to_fast(times, 0.8 + 0.05 * np.sin(2 * np.pi * 0.1 * times))
    fast = slow_to_fast(times, 0.8 + 0.05 * np.sin(2 * np.pi * 0.3 * times))
    assert slow > 10 and fast < 0.1
