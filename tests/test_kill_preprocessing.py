"""A killed preprocessing, run again, ends with the bytes of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.video_tools import moving_face, write_video
from tools.kill_preprocessing import ROOT, kill_trials


def raw_data(root, recordings, frames):
    """Small videos in the layout of UBFC-rPPG."""
    for number in range(1, recordings + 1):
        folder = root / f"subject{number}"
        write_video(folder / "vid.avi", moving_face(frames, seed=number), "mjpg")
        np.savetxt(folder / "ground_truth.txt", np.tile(np.arange(frames) / 30, (3, 1)))
    return root


@pytest.mark.slow
def test_kills_inside_write_and_rename_leave_no_trace(tmp_path):
    """One kill in each of a write of faces, before and after a rename, and a status file."""
    results = list(kill_trials(raw_data(tmp_path / "raw", 2, 40), tmp_path / "work", trials=0, workers=1))
    assert [(trial.killed, trial.equal) for trial in results] == [(True, True)] * 4


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_nine_kills_at_random_moments_leave_no_trace(tmp_path, workers):
    """Uniform over the duration of a whole run; with two workers also of the main process, or of a worker, alone."""
    results = list(kill_trials(raw_data(tmp_path / "raw", 6, 400), tmp_path / "work", trials=9, workers=workers))
    assert [trial for trial in results if not trial.equal] == [] and sum(trial.killed for trial in results) >= 9


ENDLESS = """
import sys
from pathlib import Path
from dataset.store.cache import Cache
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from tests.test_preprocess import Arrays
from tests.video_tools import moving_face
class Endless:
    def __iter__(self):
        while True:
            yield face
face = moving_face(1)[0]
loader = Arrays({"one": Endless(), "two": Endless()})
preprocess_all(loader, loader.recordings(""), FaceCrop(size=(8, 8)), Cache(Path(sys.argv[1]), {}), 2)
"""


@pytest.mark.slow
def test_workers_end_with_the_main_process(tmp_path):
    """After a kill -9 of the main process alone they do not go on for hours beside the next run."""
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, tmp_path], cwd=ROOT, start_new_session=True)
    try:
        assert soon(lambda: len(list(tmp_path.glob(".writing/*/faces.npy"))) == 2)
        process.kill()
        process.wait()
        assert soon(lambda: not exists(process.pid))
    finally:
        if exists(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def soon(happens, seconds=60):
    """Whether it `happens` within `seconds`."""
    limit = time.monotonic() + seconds
    while not happens() and time.monotonic() < limit:
        time.sleep(0.1)
    return happens()


def exists(group):
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
