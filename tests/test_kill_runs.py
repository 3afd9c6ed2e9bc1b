"""Whole runs that are killed and started again leave what undisturbed ones do: see tools/kill_runs.py."""

import subprocess
import sys

import pytest

from tools.kill_preprocessing import ROOT


@pytest.mark.slow
def test_kills_at_random_moments_leave_no_trace():
    """Of preprocessing, --overwrite, training, test and report, one run alone, and two at once of which one survives.

    In a process of its own: runs are forked from it, which those that have used their threads cannot be.
    """
    command = [sys.executable, "-m", "tools.kill_runs", "--trials", "4", "--seed", "13"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.rsplit("; ", 1)[1].split()[0]) >= 15  # of 30
