"""Offsets and drifts of whole recordings: stamps and marks as the simulated devices write them, pictures left out."""

import json

import numpy as np
import pytest

from dataset.multimodal import bursts
from dataset.multimodal.layout import DEVICES, Session, Stamps
from dataset.multimodal.simulate import CHIRP, DELAYS, HOST_START, Setup, Simulation
from dataset.multimodal.sync import synchronise

SEES = {"rgb": (0.0, 2 * DELAYS["rgb"], 0.01), "thermal": (0.15, 0.0, 0.02), "radar": (0.02, CHIRP.frame_seconds, 0.03),
        "ppg": (0.0, 0.0, 0.002)}  # lag and exposure (s), noise as a share of the mark  # fmt: skip


def errors(folder, seconds, number):
    """(offset error in ms, drift error in ppm) of each device of simulated recording `number`."""
    one = Simulation(Setup(seconds=seconds, seed=number), 1)
    folder.mkdir(parents=True)
    devices = {device: {"delay_ns": round(1e9 * DELAYS[device])} for device in DEVICES}
    (folder / "meta.json").write_text(json.dumps({"devices": devices}))
    marks = "".join(f"{HOST_START + round(1e9 * mark)},host,sync\n" for mark in one.marks)
    (folder / "events.csv").write_text("t_ns,clock,kind\n" + marks)
    random, found = np.random.default_rng(number), {}
    for device in DEVICES:
        lag, width, noise = SEES[device]
        times = one.times(device)
        seen = sum(bursts.lit(times - mark, lag, width) for mark in one.marks)
        seen = seen + noise * random.normal(0, 1, len(times))
        synced = synchronise(
            Session(folder), device, Stamps(*one.stamps(device)), lambda a, b, seen=seen: seen[a:b, None]
        )
        assert not synced.problem, (device, synced.problem)
        found[device] = 1000 * (synced.offset - one.offset(device)), synced.drift_ppm - one.drifts[device]
    return found


def test_offsets_and_drifts_of_a_recording(tmp_path):
    """5 ms and 15 ppm on a minute; ten minutes are among the slow ones."""
    for device, (offset, drift) in errors(tmp_path / "r", 60.0, 1).items():
        assert abs(offset) < 5 and abs(drift) < 15, (device, offset, drift)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "most"), [(60.0, 15), (600.0, 5)])
def test_offsets_and_drifts_of_many_recordings(tmp_path, seconds, most):
    """The same for twenty others."""
    rows = [errors(tmp_path / str(number), seconds, number) for number in range(10, 30)]
    worst = {device: np.abs([row[device] for row in rows]).max(axis=0) for device in DEVICES}
    print(seconds, {device: np.round(one, 2).tolist() for device, one in worst.items()})
    assert all(offset < 5 and drift < most for offset, drift in worst.values()), worst
