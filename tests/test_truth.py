"""True rates by choice: spectrum or beats of the pulse, beats of an ECG, the column of the data set; how far apart."""

import math

import numpy as np
import pytest

from evaluation.evaluate import label_floors, rows
from evaluation.presets import PRESETS, SOURCES, preset
from evaluation.truth import Readings, check_source, readings
from tests.evaluation_data import beat, recording, signal

BAND = (0.6, 3.3)


def ecg(bpm, seconds=60.0, fs=250.0):
    """Narrow peaks at every beat, with a little noise."""
    times = np.arange(round(seconds * fs)) / fs
    phase = (times * bpm / 60 + 0.5) % 1 - 0.5
    wave = np.exp(-0.5 * (phase * 60 / bpm / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((phase * 60 / bpm - 0.25) / 0.04) ** 2)
    return wave + 0.01 * np.random.default_rng(0).normal(size=len(wave))


def known(bpm=72.3, seconds=60.0, column=None, **more):
    """A recording that has all signals."""
    native = np.arange(round(seconds * 64)) / 64.0
    seen = np.arange(round(seconds)) + 0.0
    sources = {
        "ppg": signal(beat(bpm, native), fs=64.0),
        "ecg": signal(ecg(bpm, seconds), fs=250.0),
        "hr": signal(np.full(len(seen), bpm + 2.0) if column is None else column, times=seen),
    }
    return recording(bpm, seconds=seconds, sources=sources, **more)


@pytest.mark.parametrize("bpm", [48.0, 72.3, 121.0])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_the_rate(bpm, source):
    """To a tenth of a beat; the column says 2 bpm more, and that is believed."""
    (row,) = rows([known(bpm)], preset("exact", (), source))
    assert row.hr_true == pytest.approx(bpm + 2 * (source == "rate column"), abs=0.15)
    assert row.hr_pred == pytest.approx(bpm, abs=0.2) and row.macc > 0.8 and math.isfinite(row.snr)


def test_windows_have_the_rate_of_their_own_time():
    """The column rises by one a second: a window's is the mean of its readings."""
    one = known(seconds=60.0, column=60.0 + np.arange(60))
    found = rows([one], preset("exact", (), "rate column"), window_seconds=20.0)
    assert [row.hr_true for row in found] == pytest.approx([70, 90, 110], abs=1.5)


def test_what_is_missing_is_said():
    """No such signal, a stretch without beats, a column of zeros."""
    lacking = recording(72.0, sources={"ppg": recording(72.0).reference})
    assert rows([lacking], preset("exact", (), "ecg beats"))[0].note == "the reference has no 'ecg' (ecg beats)"
    off = known(column=np.zeros(60))
    assert "covers 0% of the window" in rows([off], preset("exact", (), "rate column"))[0].note
    half = Readings(np.arange(1.0, 6.0), np.full(5, 60.0), np.ones(5))
    assert half.during(0, 5) == (60.0, "") and "covers 50%" in half.during(0, 10)[1]
    with pytest.raises(ValueError, match="INFERENCE.REFERENCE is 'ecg'"):
        check_source("ecg")


def test_a_rate_of_beats_is_their_number_over_their_time():
    """Uneven intervals: three beats in 3 s, however they are spread."""
    uneven = Readings(np.array([0.5, 2.0, 3.0]), 60.0 / np.array([0.5, 1.5, 1.0]), np.array([0.5, 1.5, 1.0]))
    assert uneven.during(0.0, 3.0)[0] == pytest.approx(60.0)


def test_presets_of_rppg_toolbox_keep_their_label():
    """Their numbers do not depend on INFERENCE.REFERENCE, and their specification says so."""
    assert preset("toolbox", (), "ecg beats") == PRESETS["toolbox"]
    assert preset("exact", (), "ecg beats").reference_words == "the recording's own ecg beats"
    assert rows([known()], preset("exact")) == rows([recording(72.3, seconds=60.0)], preset("exact"))


def test_the_floor_of_the_label_is_what_two_truths_differ_by():
    """The column is 2 bpm above the pulse in both recordings; the beats of both sensors agree."""
    floors = {one.second: one for one in label_floors([known(60.0, name="a"), known(90.0, name="b")], PRESETS["exact"])}
    assert floors["rate column"].mae == pytest.approx(2, abs=0.1) == floors["rate column"].bias
    assert floors["ecg beats"].mae < 0.15 and floors["rate column"].n == 2
    assert floors["rate column"].words.startswith(
        "Error floor of the label: ppg spectrum and rate column differ by 2.0"
    )
    assert label_floors([recording(70.0)], PRESETS["exact"]) == []
    assert label_floors([known()], PRESETS["toolbox"]) == []


def test_gaps_of_an_ecg_are_no_beats():
    """A lost electrode for 20 s: nothing is read there."""
    wave = ecg(60.0)
    wave[5000:10000] = 0.0
    one = known(60.0)
    broken = recording(60.0, seconds=60.0, sources={**one.sources, "ecg": signal(wave, fs=250.0)})
    found = readings(broken, "ecg beats", BAND)
    assert not ((found.times > 21) & (found.times < 39.5)).any() and np.median(found.rates) == pytest.approx(
        60, abs=0.2
    )
