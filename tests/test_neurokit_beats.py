"""Beats as another package finds them; where it is not installed a stand-in takes its place."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.signal

import main
from dataset.data_loader.base import Signal
from evaluation.beats import find_beats
from evaluation.contact import of_ecg
from evaluation.neurokit import require
from evaluation.path import Course, follow
from evaluation.post_process import in_band
from evaluation.presets import preset
from tests.test_rhythm import BAND, FS, sinus, wave_of
from tests.test_signal_mode import heart, ppg, run, write_table


def peaks_of(wave, sampling_rate):
    """Tops half a second apart at the least."""
    return scipy.signal.find_peaks(wave, distance=int(0.5 * sampling_rate), height=np.std(wave) / 2)[0]


STAND_IN = SimpleNamespace(
    ppg_clean=lambda wave, sampling_rate: in_band(wave, sampling_rate, BAND),
    ppg_findpeaks=lambda wave, sampling_rate: {"PPG_Peaks": peaks_of(wave, sampling_rate)},
    ecg_clean=lambda wave, sampling_rate: wave,
    ecg_peaks=lambda wave, sampling_rate: (None, {"ECG_R_Peaks": peaks_of(wave, sampling_rate)}),
)


@pytest.fixture(params=["stand-in", "package"])
def kit(request, monkeypatch):
    """The package, or what takes its place."""
    if request.param == "package":
        pytest.importorskip("neurokit2", reason="neurokit2 is not installed")
    else:
        monkeypatch.setitem(sys.modules, "neurokit2", STAND_IN)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_its_peaks_are_those_of_the_upright_wave(kit, sign):
    """One for each beat, a constant time behind it, whichever way up the wave is."""
    true, wave = sinus(40.0), wave_of(sinus(40.0), 40.0)
    course = follow(in_band(wave, FS, BAND), FS, BAND)
    found = find_beats(sign * wave, FS, course, "neurokit2")
    delays = np.array([found.times[np.abs(found.times - beat).argmin()] - beat for beat in true[2:-4]])
    assert np.abs(delays - np.median(delays)).max() < 0.05 and found.clean.mean() > 0.9
    assert found.sign == sign and (found.rises > 0).all()


def test_an_ecg_by_its_beats_has_the_same_rate(kit):
    """And the same variability, nearly."""
    times = np.arange(0, 40, 1 / 250)
    ecg = heart().ecg(times) + 0.02 * np.random.default_rng(0).normal(size=len(times))
    own, other = (
        of_ecg("a", Signal(ecg, fs=250.0), replace(preset("exact"), beats=beats)) for beats in ("own", "neurokit2")
    )
    assert other.rate == pytest.approx(own.rate, abs=0.3)
    assert other.rhythm.rmssd == pytest.approx(own.rhythm.rmssd, abs=5)


def test_the_command_takes_them(kit, tmp_path):
    """`INFERENCE.BEATS=neurokit2` behind the files."""
    times, wave = ppg()
    path = write_table(tmp_path / "a.csv", times, ppg=wave)
    code, found = run(tmp_path, path, "INFERENCE.BEATS=neurokit2")
    assert code == 0 and found["recordings"][0]["hrv"]["coverage"] > 0.8


def test_without_the_package_nothing_is_measured(monkeypatch, tmp_path, capsys):
    """A sentence with the remedy, before any file is read."""
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    path = write_table(tmp_path / "a.csv", *ppg()[:1], ppg=ppg()[1])
    code = main.main(["--signal", str(path), "INFERENCE.BEATS=neurokit2", f"LOG.PATH={tmp_path / 'log'}"])
    said = capsys.readouterr().err
    assert code == 1 and "pip install neurokit2" in said and "INFERENCE.BEATS to own" in said
    assert not list((tmp_path / "log").rglob("vitals.json"))


def test_another_name_is_refused():
    """By what checks before work, too."""
    with pytest.raises(ValueError, match="known: own, neurokit2"):
        require("heartpy")


@pytest.mark.parametrize("wave", [np.zeros(600), np.full(600, 3.0), np.arange(600.0)])
def test_a_wave_that_the_package_cannot_take_has_no_beats(kit, wave):
    """No error of somebody else's code comes through."""
    course = Course(np.array([10.0]), np.array([60.0]), np.array([0.0]), 10.0)
    assert len(find_beats(wave, FS, course, "neurokit2").times) <= 2
