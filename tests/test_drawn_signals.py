"""Grids of mean colours made of arithmetic: each effect does what it says, and a key always draws the same."""

import numpy as np
import pytest

from dataset.data_loader.drawn_signals import DrawnSignalsLoader
from dataset.synthetic import signals
from dataset.synthetic.signals import EFFECTS, NO_PULSE, draw
from tools import show_signals
from tools.show_signals import DRAWN

ALL = tuple(EFFECTS)


def only(*names):
    """`without` that leaves `names`."""
    return [name for name in ALL if name not in names]


def power(wave, low, high, fs=30.0):
    """Of a wave (T,) between two frequencies (Hz)."""
    found = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave)))) ** 2
    rates = np.fft.rfftfreq(len(wave), 1 / fs)
    return found[(rates >= low) & (rates <= high)].sum()


def loader(**changes):
    """The data set with small settings."""
    return DrawnSignalsLoader({"SIGNALS": {"SEED": 3, "WINDOWS": 12, "SECONDS": 4.0, **changes}})


def test_a_key_draws_the_same_and_another_one_others():
    """All of it comes from the key."""
    one, again, other = draw((1, 0, 5), 120), draw((1, 0, 5), 120), draw((1, 1, 5), 120)
    assert np.array_equal(one.colours, again.colours) and np.array_equal(one.ppg, again.ppg)
    assert not np.array_equal(one.colours, other.colours)
    assert one.colours.shape == (120, 16, 3) and (one.colours > -0.1).all() and np.isfinite(one.colours).all()


def test_without_any_effect_there_is_the_pulse_alone():
    """Skin changes with the label in all three colours, most of all in green, and against it: blood darkens."""
    for number in range(8):
        found = draw((2, number), 300, without=ALL)
        change = found.colours / found.colours.mean(axis=0) - 1
        cell = np.abs(change[:, :, 1]).mean(axis=0).argmax()
        r = np.corrcoef(change[:, cell, 1], found.ppg)[0, 1]
        assert r < -0.85, number  # cells differ by some ms, and 15 frames a second are few
        assert change[:, cell, 1].std() > change[:, cell, 0].std()


def test_the_rate_is_that_of_the_label():
    """The spectrum of the label has its highest line at the rate, or at twice of it for slow hearts."""
    for number in range(20):
        found = draw((3, number), 600, without=ALL)
        spectrum = np.abs(np.fft.rfft(found.ppg * np.hanning(600), 8192))
        highest = 60 * np.fft.rfftfreq(8192, 1 / 30)[spectrum.argmax()]
        assert min(abs(highest - found.rate), abs(highest / 2 - found.rate)) < 6


def test_no_pulse_is_none():
    """Nothing beats, and the label is flat."""
    found = draw((4, 1), 240, has_pulse=False, without=ALL)
    assert not found.ppg.any() and np.ptp(found.colours, axis=0).max() < 1e-6


@pytest.mark.parametrize("name", ALL)
def test_each_effect_changes_the_colours_and_no_other_effect(name):
    """Alone it changes something in some windows; left out it leaves label and the draws of the others."""
    changed = 0
    for number in range(30):
        still = draw((5, number), 60, has_pulse=False, without=ALL)
        alone = draw((5, number), 60, has_pulse=False, without=only(name))
        changed += not np.array_equal(still.colours, alone.colours)
    needs_others = {"frames"}  # a still picture shown twice is the same
    assert changed >= (1 if name == "one_cell" else 3) or name in needs_others
    whole, less = draw((5, 1), 150), draw((5, 1), 150, without=[name])
    assert np.array_equal(whole.ppg, less.ppg)
    assert not np.array_equal(draw((5, 3), 150).colours, draw((5, 3), 150, without=["sensor"]).colours)


def test_drifts_are_slow_and_noise_is_not():
    """Where the power of two effects lies."""
    for number in range(6):
        drift = draw((6, number), 600, has_pulse=False, without=only("drift")).colours[:, :, 1]
        cell = drift.std(axis=0).argmax()
        assert power(drift[:, cell], 0, 0.7) > 20 * power(drift[:, cell], 0.9, 15)
        noise = draw((6, number), 600, has_pulse=False, without=only("sensor")).colours[:, 0, 1]
        assert power(noise, 3, 15) > power(noise, 0, 1)


def test_each_colour_has_noise_of_its_own_blue_often_the_most():
    """Their ratio differs from window to window, as of cameras."""
    ratios = []
    for number in range(40):
        noise = draw((8, number), 120, has_pulse=False, without=only("sensor")).colours[:, 0]
        each = (noise / np.sqrt(np.abs(noise.mean(axis=0)) + 0.05)).std(axis=0)
        ratios.append(each[2] / each[1])
    assert np.median(ratios) > 1.3 and min(ratios) < 1 < 3 < max(ratios)


def test_slow_hearts_often_have_a_strong_second_harmonic_and_fast_ones_do_not():
    """Of hearts below 60 and above 150 bpm."""
    times, rng = np.arange(900) / 30, np.random.default_rng(0)
    shares = {}
    for rate in (45.0, 180.0):
        waves = [signals.heart(rng, times, rate) for _ in range(60)]
        hz = rate / 60
        shares[rate] = [power(w, 1.8 * hz, 2.2 * hz) / power(w, 0.8 * hz, 1.2 * hz) for w in waves]
    assert np.quantile(shares[45.0], 0.75) > 0.4 and np.quantile(shares[180.0], 0.9) < 0.3


def test_a_pulse_has_the_colours_of_many_cameras():
    """Of its change in green, red has a tenth to more than half, blue a third to more than all."""
    shares = []
    for number in range(60):
        colours = draw((7, number), 120, without=ALL).colours
        change = (colours / colours.mean(axis=0) - 1).std(axis=0)
        shares.append(change[change[:, 1].argmax()] / change[:, 1].max())
    low, high = np.quantile(shares, 0.1, axis=0), np.quantile(shares, 0.9, axis=0)
    assert low[0] < 0.2 and high[0] > 0.55 and low[2] < 0.4 and high[2] > 1


def test_without_a_pulse_frames_come_in_any_order_at_times():
    """A slow light is then white noise, in some windows of those without a pulse and in none with one."""
    quick = {
        alive: [
            power(wave, 8, 15) > power(wave, 0, 1)
            for n in range(40)
            for wave in [draw((9, n), 300, has_pulse=alive, without=only("drift", "frames")).colours[:, 5, 1]]
        ]
        for alive in (False, True)
    }
    assert 4 <= sum(quick[False]) <= 16 and not any(quick[True])


def test_windows_are_others_in_each_epoch_and_one_in_ten_has_no_pulse(tmp_path):
    """As a training reads them; nothing is written."""
    windows = loader().read_windows(tmp_path / "nowhere")
    assert windows.drawn and len(windows) == 12 and windows.channels[-1] == "ppg" and windows.length == 120
    first, second = (windows.read(2, range(49), epoch) for epoch in (0, 1))
    assert first.shape == (49, 120) and not np.array_equal(first, second)
    assert np.array_equal(windows.read(2, range(49), 0), first)
    flat = [not windows.read(row, [48]).any() for row in range(12)]
    assert [row for row, one in enumerate(flat) if one] == [NO_PULSE - 1]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"WITHOUT": ["ligth"]}, "'ligth'"), ({"GRID": 0}, "GRID is 0"), ({"WINDOWS": 0}, "WINDOWS")],
)
def test_settings_that_cannot_be_are_named(tmp_path, change, words):
    """One sentence with the key."""
    with pytest.raises(ValueError, match=words):
        loader(**change).read_windows(tmp_path)


def test_the_picture_of_effects_shows_windows_as_training_draws_them():
    """Of one length: what lies between two rates of a shorter window is not seen."""
    windows = DrawnSignalsLoader({}).read_windows(None)
    assert show_signals.FRAMES == windows.length and show_signals.MIDDLE < DRAWN["GRID"] ** 2
