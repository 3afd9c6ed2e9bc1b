"""Respiration: its band, its trend, references of high rate, the words printed."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation import heart_rate, respiration
from evaluation.presets import PRESETS, preset
from evaluation.results import RecordingResult
from evaluation.summary import evaluate
from tests.evaluation_data import METRICS, signal

BOTH = [PRESETS["exact"], PRESETS["toolbox"]]


def breath(per_minute, times, trend=0.0):
    """A breathing wave at `times` (s) on a drifting level."""
    return np.sin(2 * np.pi * per_minute / 60 * times + 0.3) + trend * times


def breathing(per_minute=15.3, predicted=None, seconds=60.0, fs=25.0, belt_fs=1000.0, **more):
    """A recording whose reference is a belt at a high rate, without times."""
    frames, belt = np.arange(int(seconds * fs)) / fs, np.arange(int(seconds * belt_fs)) / belt_fs
    values = {
        "id": "r1", "subject": "s1", "fs": fs, "prediction": breath(predicted or per_minute, frames, 0.05),
        "label": breath(per_minute, frames, 0.05), "reference": signal(breath(per_minute, belt, 0.05), fs=belt_fs),
    }  # fmt: skip
    return RecordingResult(**{**values, **more})


def measured(result, chosen=BOTH, window=None):
    """Tables of one recording."""
    results, names = respiration.prepared([result]), respiration.metrics(METRICS)
    return evaluate("M", results, respiration.presets(chosen), "FFT", window, names)


@pytest.mark.parametrize("rate", [9.0, 12.7, 15.3, 20.0, 27.4])
def test_exact_finds_any_rate_of_the_band(rate):
    """Truth and prediction to 0.1 breaths per minute, on a drifting level."""
    row = measured(breathing(rate))[0].rows[0]
    assert row.hr_true == pytest.approx(rate, abs=0.1) and row.hr_pred == pytest.approx(rate, abs=0.1)


def test_windows_are_obeyed():
    """Four windows of 15 s, each with its own rate: rPPG-Toolbox repeats the whole recording."""
    frames = np.arange(1500) / 25
    phase = np.cumsum(np.where(frames < 30, 12.0, 20.0)) / 60 / 25
    changing = breathing(seconds=60, prediction=np.sin(2 * np.pi * phase))
    rows = measured(changing, window=15.0)[0].rows
    assert [row.window for row in rows] == [0, 1, 2, 3]
    assert [round(row.hr_pred) for row in rows] == [12, 12, 20, 20]


def test_too_short_windows_are_named():
    """Less than ten seconds hold no breathing rate under `exact`."""
    row = measured(breathing(), window=6.0)[0].rows[0]
    assert "too short" in row.note and not row.valid


def test_presets_keep_rppg_toolboxs_trend_but_not_the_pulses_band():
    """Its strength of 100 stays in `toolbox`; a user's band for the pulse is none for breathing."""
    exact, toolbox = respiration.presets([preset("exact", [0.7, 4.0]), preset("toolbox", [0.7, 4.0])])
    assert exact.band == toolbox.band == (0.13, 0.5) and exact.unit == "breaths/min"
    assert toolbox.detrend == 100.0 and exact.flat
    assert respiration.metrics(["MAE", "MACC", "BA", "AU_METRICS", "SNR"]) == ["MAE", "SNR"]


def test_standard_error_of_rmse_is_the_pulses():
    """Both tables of a run use one formula."""
    results = [breathing(15, predicted, id=f"r{predicted}", subject=f"s{predicted}") for predicted in (15, 18, 22)]
    found = evaluate("M", respiration.prepared(results), respiration.presets(BOTH), "FFT", None, ["RMSE"])[0]
    errors = np.array([row.error for row in found.rows])
    assert found.scores["RMSE"].standard_error == pytest.approx(math.sqrt((errors**2).std() / math.sqrt(3)))


@pytest.mark.parametrize("with_times", [False, True])
def test_a_fast_reference_is_averaged_down_in_place(with_times):
    """1000 Hz become 25 Hz of block means, where the samples were; the wave stays the same to 1 %."""
    clock = np.arange(20_000) / 1000
    wave = breath(15, clock)
    given = signal(wave, times=clock) if with_times else signal(wave, fs=1000.0)
    thin = respiration.thinned(given)
    times = thin.times if with_times else np.arange(len(thin.values)) / thin.fs
    assert len(thin.values) == 500 and (with_times or thin.fs == 25)
    assert np.abs(thin.values - np.interp(times, clock, wave))[1:-1].max() < 0.01


@pytest.mark.parametrize(
    "given", [None, signal([1, 2, 3]), signal(np.zeros(9), fs=30.0), signal(np.zeros(5), times=np.zeros(5)),
              signal(np.zeros(9), fs=1000.0)]
)  # fmt: skip
def test_other_references_stay_as_they_are(given):
    """Nothing, no rate, a low rate, times that stand still, fewer samples than a block."""
    assert respiration.thinned(given) is given


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("FFT", ["FFT MAE (FFT Label): ", "FFT RMSE (FFT Label): ", "FFT SNR (FFT Label): "]),
        ("peak detection", ["Peak MAE (Peak Label): ", "PEAK RMSE (Peak Label): ", "FFT SNR (FFT Label): "]),
    ],
)
def test_lines_are_rppg_toolboxs(method, expected):
    """Word for word, its FFT in the peak SNR and the missing unit included; the box as well."""
    found = measured(breathing())[1:]
    scores = {name: found[0].scores[name] for name in ("MAE", "RMSE", "SNR")}
    printed = respiration.lines(SimpleNamespace(scores=scores), method)
    assert [line[: len(start)] for line, start in zip(printed, expected, strict=True)] == expected
    assert not any("dB" in line for line in printed)
    assert respiration.header(found)[:3] == ["=" * 21, "==== Resp Metrics ===", "=" * 21]


def test_slow_breathing_counts_shared_power_once_under_exact():
    """At 9 per minute the ranges around the rate and its double overlap; rPPG-Toolbox counts that part twice."""
    wave = breath(9, np.arange(1500) / 25) + 0.3 * np.random.default_rng(0).normal(size=1500)
    once, twice = (heart_rate.snr(wave, 9.0, 25.0, respiration.BAND, count_twice=flag) for flag in (False, True))
    assert once < twice
    fast = (heart_rate.snr(wave, 20.0, 25.0, respiration.BAND, count_twice=flag) for flag in (False, True))
    assert len(set(fast)) == 1


def test_numbers_of_the_toolbox_preset_are_rppg_toolboxs():
    """Eight noisy recordings with labels as it trains on them; the values were taken from its own functions."""
    random, results = np.random.default_rng(3), []
    for number in range(8):
        count = int(random.integers(400, 900))
        label = np.diff(np.sin(2 * np.pi * random.uniform(0.15, 0.45) * np.arange(count) / 25), append=0)
        label = label.astype(np.float32)
        noisy = (label / label.std() + 1.5 * random.normal(size=count)).astype(np.float32)
        label = (label / label.std()).astype(np.float32)
        name = f"F{number:03d}"
        results.append(RecordingResult(name, name, 25, noisy, label, "DiffNormalized"))
    chosen, names = respiration.presets([PRESETS["toolbox"]]), ["MAE", "MAPE", "SNR"]
    golden = {"FFT": (0.0, 0.0, 9.23077380), "peak detection": (4.88685814, 31.81967231, 9.25753879)}
    for method, values in golden.items():
        scores = evaluate("M", results, chosen, method, None, names)[0].scores
        assert [scores[name].value for name in names] == pytest.approx(values, abs=1e-6)
