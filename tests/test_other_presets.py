"""RhythmFormer's rates by Welch's density, and the bar of ANSI/CTA-2065."""

import numpy as np
import pytest
from scipy import signal as scipy_signal

from evaluation import console, tables
from evaluation.evaluate import rows
from evaluation.heart_rate import welch_heart_rate
from evaluation.presets import PRESETS, preset
from evaluation.report import preset_section
from evaluation.summary import table
from tests.evaluation_data import METRICS, beat, recording, row


@pytest.mark.parametrize("bpm", [46.0, 61.3, 72.0, 118.8, 148.0])
@pytest.mark.parametrize("seconds", [6.0, 60.0])
def test_welch_is_scipys_on_a_grid_of_half_a_beat(bpm, seconds):
    """As published: segments of 256 samples at most, 3333 points, the maximum between 45 and 150 bpm."""
    wave = beat(bpm, np.arange(round(seconds * 30)) / 30)
    freqs, power = scipy_signal.welch(wave, 30, nperseg=min(len(wave) - 1, 256), nfft=3333)
    freqs, power = freqs[(freqs > 0.75) & (freqs < 2.5)], power[(freqs > 0.75) & (freqs < 2.5)]
    assert welch_heart_rate(wave, 30.0) == pytest.approx(60 * freqs[power.argmax()])
    if seconds > 10:
        assert abs(welch_heart_rate(wave, 30.0) - bpm) < 2.5


def test_the_preset_reads_both_rates_by_it_whatever_method_is_asked_for():
    """Its name stands in table, specification and lines; a method of one's own works under the other presets."""
    one = recording(72.3)
    chosen = PRESETS["rhythmformer"]
    found = table("Net", rows([one], chosen), chosen, "FFT", None, [*METRICS, "SNR20"])
    assert (
        found.estimator == "welch" and "welch" in found.specification.line and "0.75-2.5 Hz" in found.specification.line
    )
    assert found.rows[0].hr_pred == rows([one], preset("toolbox", [0.75, 2.5]), "welch")[0].hr_pred
    lines = console.lines(found, [*METRICS, "SNR20"])
    assert lines[0].startswith("Welch MAE (Welch Label): ") and lines[-1].endswith("(dB)")
    assert found.scores["SNR20"].value == pytest.approx(2 * found.scores["SNR"].value)


def test_the_bar_counts_people():
    """Three people within 10 %, one at 12 %, whose windows are one by one within and beyond."""
    chosen = PRESETS["cta2065"]
    found = [row("a", 60, 63), row("b", 80, 80), row("c", 100, 91), row("d", 100, 95, 0), row("d", 100, 119, 1)]
    one = table("Net", found, chosen, "FFT", None, ["MAPE"])
    bar = tables.as_dict(one)["bar"]
    assert bar["reached"] == 3 and bar["people"]["d"] == pytest.approx(12) and bar["mape"] == 10
    assert "People within the bar of 10 %: Net 3 of 4." in preset_section(chosen, [one])
    assert "bar" not in tables.as_dict(table("Net", found, PRESETS["exact"], "FFT", None, ["MAPE"]))
