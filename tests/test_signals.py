"""A run that is ended from its terminal, by Ctrl-C once or again and by closing it, leaves no process and no memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_kill_preprocessing import ENDLESS, exists, soon
from tools.kill_preprocessing import ROOT

MEMORY = Path("/dev/shm")


def shared(number: int) -> list[str]:
    """What the pool of the process `number` has in shared memory."""
    return [path.name for path in MEMORY.iterdir() if f"-{number}-" in path.name or f"_{number}_" in path.name]


@pytest.mark.slow
@pytest.mark.skipif(not MEMORY.is_dir(), reason="shared memory is no folder here")
@pytest.mark.parametrize("sent", [(signal.SIGINT, signal.SIGINT), (signal.SIGHUP,)], ids=["Ctrl-C twice", "hang-up"])
def test_nothing_is_left_of_a_run_whose_terminal_ends_it(tmp_path, sent):
    """Two workers in the middle of their recordings; the signals go to all processes, as a terminal sends them."""
    usual = dict.fromkeys((signal.SIGINT, signal.SIGHUP), signal.SIG_DFL)
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, tmp_path],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: [signal.signal(*one) for one in usual.items()],  # shells' background jobs ignore some
    )
    try:
        assert soon(lambda: len(list(tmp_path.glob(".writing/*/faces.npy"))) == 2)
        assert shared(process.pid)
        for number in sent:
            os.killpg(process.pid, number)
            time.sleep(0.2)
        process.wait(timeout=60)
        assert soon(lambda: not exists(process.pid) and not shared(process.pid))
    finally:
        if exists(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
