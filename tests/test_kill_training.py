"""A training that is killed inside the writing of a weight file goes on to the same weights."""

import pytest

from tests.test_demo_configs import ROOT, tiny
from tools.kill_training import INSIDE, kill_trials


@pytest.mark.slow
def test_a_kill_inside_a_write_leaves_no_trace(tmp_path):
    """Half written, before the rename, right after it; through main.py."""
    demo = ["--config_file", str(ROOT / "configs" / "demo" / "physnet.yaml"), *tiny(tmp_path / "faces", tmp_path)]
    demo = [change for change in demo if not change.startswith("LOG.PATH")]
    results = kill_trials(demo, tmp_path / "work", trials=0)
    assert [trial.moment for trial in results] == list(INSIDE)
    assert [trial for trial in results if not (trial.killed and trial.equal)] == []
