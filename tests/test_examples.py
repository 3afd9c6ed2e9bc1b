"""Every example runs, in a folder of its own and in a process of its own: they register names and start runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SLOW = {"train_on_rendered_faces", "fine_tune", "read_a_report", "compare_classical_methods", "add_a_method"}


def ran(path: Path, folder: Path) -> str:
    """What the example prints, run from `folder`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=[pytest.mark.slow] if p.stem in SLOW else [], id=p.stem) for p in EXAMPLES]
)
def test_the_example_runs(path, tmp_path):
    """It says something, and leaves nothing but `runs` where it was started."""
    before = {one.name for one in (ROOT / "examples").iterdir()}
    assert ran(path, tmp_path).strip()
    assert {one.name for one in tmp_path.iterdir()} == {"runs"}
    assert {one.name for one in (ROOT / "examples").iterdir()} - before <= {"__pycache__"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_explains_itself(path):
    """A docstring, cells that say what they do, and no more than fits on a screen or two."""
    text = path.read_text()
    assert text.startswith('"""') and len(text.splitlines()) < 80
    cells = re.findall(r"^# %%(.*)$", text, re.M)
    assert len(cells) >= 3 and sum(bool(one.strip()) for one in cells) >= 2
