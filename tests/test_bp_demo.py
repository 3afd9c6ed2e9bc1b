"""The three commands of README, on fewer records and for one epoch: from nothing to the table."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMMANDS = [
    line.strip()
    for line in (ROOT / "README.md").read_text().partition("## Blood pressure")[2].partition("\n## ")[0].splitlines()
    if line.startswith("    python ")
]


def follow(folder, *more, n=None):
    """Run the commands in `folder`, the last with `more`; what it printed."""
    said = ""
    for number, line in enumerate(COMMANDS):
        words = shlex.split(re.sub(r"--n \d+", f"--n {n}", line) if n else line)
        command = [sys.executable, str(ROOT / words[1]), *words[2:], *(more if number == len(COMMANDS) - 1 else ())]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
        said = done.stdout
    return said


@pytest.mark.slow
def test_the_commands_of_the_readme_lead_to_the_table(tmp_path):
    """Three of them; the model and every baseline in it."""
    assert len(COMMANDS) == 3
    said = follow(tmp_path, "--epochs", "1", "--device", "cpu", n=24)
    assert "right_arm_sbp [mmHg], protocol calibration_free" in said
    assert all(name in said for name in ("BP ", "mean of training", "age + sex + BMI", "pulse arrival time"))
    assert (tmp_path / "runs/bp/final_metrics.json").is_file()


@pytest.mark.slow
def test_the_whole_demo_learns_the_delay(tmp_path):
    """As a user runs it: the systolic pressure to 45 % of what the mean predictor does."""
    import json

    follow(tmp_path)
    found = json.loads((tmp_path / "runs/bp/final_metrics.json").read_text())
    mean = found["baseline_mean_predictor"]["right_arm_sbp"]["mae"]
    assert found["test"]["targets"]["right_arm_sbp"]["mae"] < 0.45 * mean
