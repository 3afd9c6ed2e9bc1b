"""Offsets from bursts of marks and drifts from stamps: how exact they are for each kind of sensor."""

import numpy as np
import pytest

from dataset.multimodal import bursts, clocks

SENSORS = {"rgb": (30.0, 0.0, 0.016, 0.02), "thermal": (9.0, 0.15, 0.0, 0.02), "radar": (20.0, 0.02, 0.0016, 0.05)}


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("offset", [-0.3, 0.0, 0.2871])
def test_one_burst_tells_the_offset_to_five_milliseconds(sensor, offset):
    """Although a thermal frame comes every 111 ms; and the spread says how sure that is."""
    fs, lag, width, noise = SENSORS[sensor]
    random = np.random.default_rng(len(sensor))
    true = np.arange(-1.3 + 0.3 / fs, bursts.SECONDS + 1.3, 1 / fs)
    series = random.normal(0, 1, (len(true), 3))
    series[:, 1] = 5 + 0.3 * true + 2 * bursts.lit(true, lag, width) + 2 * noise * random.normal(0, 1, len(true))
    found = bursts.find(true + offset, series, width)
    assert found.column == 1 and abs(found.offset - offset) < 0.005 and found.spread < 0.005


def test_noise_is_no_burst():
    """A series in which nothing was switched."""
    times = np.arange(-1, 8, 1 / 30)
    assert bursts.find(times, np.random.default_rng(1).normal(0, 1, (len(times), 20))) is None


@pytest.mark.parametrize(
    ("fs", "seconds", "most"), [(9, 60, 15), (20, 60, 15), (30, 60, 15), (100, 600, 5), (9, 600, 5)]
)
def test_the_drift_is_exact_though_stamps_come_late(fs, seconds, most):
    """In millionths; arrivals are late by 2 ms on average."""
    random = np.random.default_rng(fs)
    device = np.arange(0, seconds, 1 / fs)
    host = 7.0 + device * (1 - 80e-6) + random.exponential(0.002, len(device))
    line = clocks.fit(np.rint(1e9 * device).astype(np.int64), np.rint(1e9 * host).astype(np.int64))
    assert abs(1e6 * line.drift + 80) < most
    assert np.abs(line.host(np.rint(1e9 * device).astype(np.int64)) / 1e9 - host).max() < 0.03


def test_a_third_of_wild_stamps_bends_no_line():
    """Theil and Sen's median of slopes."""
    random = np.random.default_rng(3)
    device = np.arange(0, 60, 0.05)
    host = device * (1 + 40e-6) + random.exponential(0.001, len(device))
    host[::3] += random.uniform(0, 0.4, len(host[::3]))
    line = clocks.fit((1e9 * device).astype(np.int64), (1e9 * host).astype(np.int64))
    assert abs(1e6 * line.drift - 40) < 15


def test_a_clock_that_was_set_is_told_from_late_arrivals():
    """A step stays, a late burst of stamps does not."""
    device = np.arange(0, 30, 0.05)
    late, step = device.copy(), device.copy()
    late[300:306] = device[305]
    step[300:] += 1.0
    ns = (1e9 * device).astype(np.int64)
    assert clocks.steps(ns, (1e9 * late).astype(np.int64)) == []
    (found,) = clocks.steps(ns, (1e9 * step).astype(np.int64))
    assert found[0] == 300 and found[1] == pytest.approx(1.0)
