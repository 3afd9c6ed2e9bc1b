"""The best path through the spectra of windows: alone, in the evaluation, and where it is not allowed."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.console import lines
from evaluation.evaluate import rows
from evaluation.path import best_path, follow, spectra
from evaluation.post_process import in_band
from evaluation.presets import preset
from evaluation.results import RecordingResult
from evaluation.summary import table

EXACT, BAND = preset("exact"), (0.6, 3.3)


def changing(seconds: float = 90.0, fs: float = 30.0, line: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (s), a rate (bpm) from 62 to 104 and back, and its wave with a `line` that drifts about 0.75 Hz."""
    at = np.arange(int(seconds * fs)) / fs
    rate = 83 - 21 * np.cos(2 * np.pi * at / seconds)
    pulse = np.sin(2 * np.pi * np.cumsum(rate / 60) / fs)
    swings = np.sin(2 * np.pi * at / 17) > 0.3  # the line comes and goes
    drift = line * swings * np.sin(2 * np.pi * np.cumsum(0.75 + 0.1 * np.sin(2 * np.pi * at / 40)) / fs)
    noise = 0.3 * np.random.default_rng(2).normal(size=len(at))
    return at, rate, pulse + drift + noise


def test_the_path_follows_a_changing_rate():
    """Within 2 bpm (a window of 10 s sees the mean of its own), times on the clock of the wave."""
    at, rate, wave = changing()
    course = follow(in_band(wave, 30.0, BAND), 30.0, BAND)
    assert len(course.times) == 81 and course.times[0] == pytest.approx(5.0, abs=0.02)
    assert np.abs(course.rates - np.interp(course.times, at, rate)).max() < 2.5
    assert (course.quality > 3).all()


def test_a_drifting_line_stronger_than_the_pulse_does_not_take_the_path():
    """Where windows by themselves leap to the line, their neighbours hold the path on the pulse."""
    at, rate, wave = changing(line=1.5)
    wave = in_band(wave, 30.0, BAND)
    found, course = spectra(wave, 30.0, BAND), follow(wave, 30.0, BAND)
    truth = np.interp(course.times, at, rate)
    alone = np.abs(found.rates[found.power.argmax(axis=1)] - truth)
    assert (alone > 10).mean() > 0.2
    assert (np.abs(course.rates - truth) > 10).mean() < 0.05


def test_the_best_path_is_the_best_of_all():
    """Against every path there is, on small random tables."""
    random = np.random.default_rng(0)
    for _ in range(20):
        values = random.random((4, 5))
        paths = list(itertools.product(range(5), repeat=4))
        scores = [
            sum(values[n, j] for n, j in enumerate(one)) - 0.3 * sum(abs(a - b) for a, b in itertools.pairwise(one))
            for one in paths
        ]
        assert tuple(best_path(values, 0.3)) == paths[int(np.argmax(scores))]


def test_rates_are_finer_than_the_grid():
    """A parabola refines the peak: 71.3 bpm to 0.1."""
    wave = np.sin(2 * np.pi * 71.3 / 60 * np.arange(900) / 30)
    assert follow(wave, 30.0, BAND).rate == pytest.approx(71.3, abs=0.1)


def test_a_wave_shorter_than_a_window_is_one_window():
    """Six seconds give one rate; a constant none but a quality of NaN."""
    wave = np.sin(2 * np.pi * 1.2 * np.arange(180) / 30)
    course = follow(wave, 30.0, BAND)
    assert len(course.rates) == 1 and course.rate == pytest.approx(72, abs=1.5) and course.window == 6.0
    assert np.isnan(follow(np.zeros(180), 30.0, BAND).quality).all()
    with pytest.raises(ValueError, match="no rate lies between"):
        follow(wave, 30.0, (1.0, 1.0001))


def recording(line: float = 1.5) -> RecordingResult:
    """A prediction with the line, and a clean reference."""
    at, _, clean = changing()
    return RecordingResult(
        "a", "a", 30.0, changing(line=line)[2], times=at + 3.0,
        reference=SimpleNamespace(values=clean, times=at + 3.0, fs=None),
    )  # fmt: skip


def test_evaluation_takes_one_rate_a_window_from_the_path():
    """EVALUATION_METHOD path: the same windows and truth, rates of the path, and the estimator's name in the table."""
    alone = rows([recording()], EXACT, "FFT", 10.0)
    found = rows([recording()], EXACT, "path", 10.0)
    assert [row.hr_true for row in found] == [row.hr_true for row in alone] and len(found) == 9
    assert max(abs(row.error) for row in alone) > 15
    assert max(abs(row.error) for row in found) < 4
    one = table("POS", found, EXACT, "path", 10.0, ["MAE"])
    assert one.estimator == "path" and lines(one, ["MAE"], "path")[0].startswith("Path MAE (spectral peak Label): ")


def test_a_whole_recording_gets_the_median_of_the_path():
    """Without smaller windows; a prediction with NaN has no path, and says so."""
    result = recording()
    (row,) = rows([result], EXACT, "path")
    assert row.hr_pred == pytest.approx(np.median(changing()[1]), abs=5)
    broken = result.prediction.copy()
    broken[2000] = np.nan
    found = rows([replace(result, prediction=broken)], EXACT, "path", 10.0)
    assert all("NaN" in one.note for one in found)


def test_the_path_is_no_estimator_of_rppg_toolboxs_presets():
    """Its numbers come by its own estimators; breathing has no path either."""
    with pytest.raises(ValueError, match="Set INFERENCE.PRESET: exact"):
        rows([recording()], preset("toolbox"), "path")
    assert replace(EXACT, unit="breaths/min").estimator("path") == "spectral peak"
    assert EXACT.estimator("FFT") == "spectral peak" and EXACT.estimator("path") == "path"


def test_the_flank_of_something_outside_the_band_is_no_peak():
    """A strong line just below the band leaks into it; the spectrum that only falls from the edge counts as level."""
    at = np.arange(900) / 30.0
    wave = 6 * np.sin(2 * np.pi * 0.52 * at) + np.sin(2 * np.pi * 1.4 * at)
    assert np.abs(follow(wave, 30.0, BAND).rates - 84).max() < 1
    above = 6 * np.sin(2 * np.pi * 3.42 * at) + np.sin(2 * np.pi * 1.4 * at)
    assert np.abs(follow(above, 30.0, BAND).rates - 84).max() < 1
