"""R peaks of an electrocardiogram, the wave that stands for them, and what a rate is judged by."""

import dataclasses

import numpy as np
import pytest

from dataset.clips.references import BEATS, pulse_reference, reference_notes
from dataset.data_loader.base import Signal
from dataset.synthetic.pulse import make_heart
from dataset.synthetic.settings import resolve
from evaluation.ecg import beat_wave, r_peaks, wave_of_beats
from evaluation.evaluate import rows
from evaluation.presets import preset
from evaluation.results import RecordingResult

TRANSIT = 0.2  # s by which the rendered pulse follows its R peak


def heart(rate, seconds=30.0):
    """A heart beating at about `rate` (bpm)."""
    return make_heart(dataclasses.replace(resolve({"HEART_RATE": [rate, rate]}), seconds=seconds), 1)


def ecg_of(rate, fs=125.0, noise=0.0, seconds=30.0):
    """Times (s), ECG with a wandering baseline and noise, and the times of its R peaks inside."""
    rng, source, times = np.random.default_rng(1), heart(rate, seconds), np.arange(int(seconds * fs)) / fs
    ecg = source.ecg(times) + 0.3 * np.sin(2 * np.pi * 0.25 * times) + noise * rng.standard_normal(len(times))
    peaks = source.beats - TRANSIT
    return times, ecg, peaks[(peaks > 0.1) & (peaks < seconds - 0.1)]


@pytest.mark.parametrize(("rate", "fs", "noise", "sign"), [(48, 125, 0.05, 1), (75, 250, 0.1, -1), (180, 125, 0.1, 1)])
def test_r_peaks_are_the_beats(rate, fs, noise, sign):
    """Every beat is found once, to a sample or two, whichever way the electrodes were put on."""
    times, ecg, beats = ecg_of(rate, fs, noise)
    found = r_peaks(sign * ecg, fs) / fs
    found = found[(found > 0.1) & (found < times[-1] - 0.1)]
    assert len(found) == len(beats) and np.abs(found - beats).max() < 0.02


def test_a_tall_t_wave_is_no_beat():
    """Its slope is gentle."""
    times, ecg, beats = ecg_of(60)
    tall = ecg + sum(0.7 * np.exp(-0.5 * ((times - beat - 0.26) / 0.05) ** 2) for beat in beats)
    assert len(r_peaks(tall, 125)) == pytest.approx(len(beats), abs=1)


def test_an_ecg_that_tells_nothing():
    """A flat one has no beats; NaN and rates that cannot show a QRS complex are errors."""
    assert not len(r_peaks(np.ones(1000), 125)) and not len(r_peaks(np.zeros(3), 125))
    assert [len(part) for part in beat_wave(np.zeros(1000), np.arange(1000) / 125)] == [0, 0]
    with pytest.raises(ValueError, match="1 of 1000 samples"):
        r_peaks(np.where(np.arange(1000) == 7, np.nan, 0.0), 125)
    with pytest.raises(ValueError, match="30.0 Hz shows no R peaks"):
        r_peaks(np.zeros(1000), 30)


def test_the_wave_has_its_crests_at_the_beats():
    """Between the ends one crest a beat; a pause of more than 2 s is left out."""
    beats = np.array([1.0, 1.8, 2.7, 3.5, 6.5, 7.3])
    times, wave = wave_of_beats(beats, 0.0, 10.0)
    assert times[0] == pytest.approx(0.2, abs=0.02) and times[-1] == pytest.approx(8.1, abs=0.02)
    assert not ((times > 3.52) & (times < 6.48)).any()
    assert (np.interp(beats, times, wave) > 0.97).all() and np.interp(2.25, times, wave) < -0.97


@pytest.mark.parametrize("rate", [55, 110, 170])
def test_rates_from_an_ecg_equal_those_of_the_pulse(rate):
    """The reference of a data set without PPG gives the rate of the heart, not one of its harmonics."""
    times, ecg, beats = ecg_of(rate, noise=0.05)
    reference = pulse_reference({"ecg": Signal(ecg, times=times), "hr": Signal(np.zeros(3))})
    frames = np.arange(900) / 30
    pulse = heart(rate).pulse(frames)
    row = rows([RecordingResult("a", "a", 30.0, pulse, reference=reference, times=frames)], preset("exact"))[0]
    assert row.hr_true == pytest.approx(60 / np.diff(beats).mean(), abs=1.0)
    assert row.hr_pred == pytest.approx(row.hr_true, abs=1.0)


def test_the_pulse_wave_wins_over_the_ecg():
    """An ECG is used only where there is no PPG; the report says so."""
    times, ecg, _ = ecg_of(60)
    ppg, heartbeats = Signal(np.ones(9), fs=9), Signal(ecg, fs=125.0)
    assert pulse_reference({"ecg": heartbeats, "ppg": ppg}) is ppg
    assert pulse_reference({"resp": ppg}) is None and pulse_reference({"ecg": Signal(np.zeros(500), fs=125.0)}) is None
    made = pulse_reference({"ecg": heartbeats})
    assert made.unit == BEATS and reference_notes([made, ppg, None])[0].startswith("1 of 3 recordings")
    assert reference_notes([ppg, None]) == []
    with pytest.raises(ValueError, match="neither a rate nor times"):
        pulse_reference({"ecg": Signal(ecg)})
