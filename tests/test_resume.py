"""A training that is killed and started again ends with the bits of one that was not."""

import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from neural_methods.training import Training
from registry import METHODS
from tests.conftest import ROOT, few
from tests.trainer_tools import ToyClips, tiny_config


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def _fit(folder: Path, **changes):
    config = tiny_config("Tscan", folder / "models", TRAIN__EPOCHS=3, **changes)
    valid = ToyClips(n=2, channels=6, seed=1)
    return METHODS["Tscan"](config).fit(ToyClips(n=7, channels=6), valid, folder / "run")


def _weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


def _losses(folder: Path) -> list[str]:
    rows = (folder / "run" / "history.csv").read_text().splitlines()
    columns = rows[0].split(",")
    kept = [columns.index(name) for name in ("epoch", "update", "loss", "lr")]
    return [",".join(row.split(",")[column] for column in kept) for row in rows[1:]]


SETTINGS = {
    "plain": {},
    "averaged, clipped, validated": {
        "TRAIN__EMA": 0.9,
        "TRAIN__CLIP_GRAD": 0.5,
        "TEST__USE_LAST_EPOCH": False,
        "TRAIN__ACCUMULATION_STEPS": 2,
    },
}


MOMENTS = ("update 1", "update 5", "weights 1", "state 2")
QUICK = [("averaged, clipped, validated", 1, "update 5"), ("plain", 0, "weights 1"), ("plain", 1, "state 2")]


@pytest.mark.parametrize("case", few(product(SETTINGS, (0, 1), MOMENTS), *QUICK))
def test_interrupted_run_ends_with_the_same_bits(tmp_path, monkeypatch, case):
    """Interrupted in an update, while writing weights or a state: weights, losses and rates are identical."""
    settings, state_every, moment = case
    changes = SETTINGS[settings] | {"TRAIN__STATE_EVERY": state_every}
    whole = _fit(tmp_path / "whole", **changes)
    with monkeypatch.context() as patch:
        _interrupt(patch, moment)
        with pytest.raises(Killed):
            _fit(tmp_path / "killed", **changes)
    again = _fit(tmp_path / "killed", **changes)
    assert _weights(tmp_path / "killed") == _weights(tmp_path / "whole")
    assert _losses(tmp_path / "killed") == _losses(tmp_path / "whole")
    assert again.epoch == whole.epoch


def _interrupt(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Let the n-th call of a step of the loop raise."""
    what, number = moment.split()
    name = {"update": "_step", "weights": "_save_weights", "state": "_save_state"}[what]
    original, calls = getattr(Training, name), [0]

    def step(self, *arguments):
        calls[0] += 1
        if calls[0] > int(number):
            raise Killed
        return original(self, *arguments)

    patch.setattr(Training, name, step)


def test_finished_run_is_not_continued(tmp_path, capsys):
    """The second run says so and trains nothing; with restart it trains anew to the same weights."""
    first = _fit(tmp_path)
    weights = _weights(tmp_path)
    second = _fit(tmp_path)
    assert first.trained and not second.trained
    assert "finished" in capsys.readouterr().out
    assert second.path == first.path
    config = tiny_config("Tscan", tmp_path / "models", TRAIN__EPOCHS=3)
    third = METHODS["Tscan"](config).fit(ToyClips(n=7, channels=6), None, tmp_path / "run", restart=True)
    assert third.trained
    assert _weights(tmp_path) == weights


def test_other_data_do_not_continue(tmp_path, monkeypatch):
    """A state of another number of updates is refused with the way out."""
    with monkeypatch.context() as patch:
        _interrupt(patch, "update 5")
        with pytest.raises(Killed):
            _fit(tmp_path)
    config = tiny_config("Tscan", tmp_path / "models", TRAIN__EPOCHS=3)
    with pytest.raises(ValueError, match="--restart"):
        METHODS["Tscan"](config).fit(ToyClips(n=20, channels=6), None, tmp_path / "run")


class Named(ToyClips):
    """Clips that tell whose they are, as those of a data set do."""

    def __init__(self, *names: str):
        """Two clips of each recording."""
        super().__init__(n=2 * len(names), channels=6)
        self.recordings = list(names)


def test_other_people_do_not_continue_and_are_not_tested_by_old_weights(tmp_path):
    """As many clips of other recordings: who was trained on may be tested now. The same in any order are the same."""

    def fit(train, valid=None, folder="run", **more):
        config = tiny_config("Tscan", tmp_path / "models", TRAIN__EPOCHS=1, VALID__MONITOR=valid is not None)
        return METHODS["Tscan"](config).fit(Named(*train), valid and Named(*valid), tmp_path / folder, **more)

    assert fit("ab").trained and not fit("ba").trained
    with pytest.raises(ValueError, match=r"started with other recordings in TRAIN.DATA: .* anew with --restart"):
        fit("ac")
    assert fit("ac", restart=True).trained and not fit("ac").trained
    assert fit("ab", "c", "other").trained
    with pytest.raises(ValueError, match="other recordings in VALID.DATA"):
        fit("ab", "d", "other")


def test_resume_names_another_state(tmp_path, monkeypatch):
    """MODEL.RESUME continues elsewhere from a state, to the same weights."""
    _fit(tmp_path / "whole")
    with monkeypatch.context() as patch:
        _interrupt(patch, "update 5")
        with pytest.raises(Killed):
            _fit(tmp_path / "killed")
    _fit(tmp_path / "moved", MODEL__RESUME=str(tmp_path / "killed" / "run" / "state.pth"))
    last = "tiny_Epoch2.pth"
    assert _weights(tmp_path / "moved")[last] == _weights(tmp_path / "whole")[last]


def test_fine_tuning_starts_from_given_weights(tmp_path):
    """MODEL.WEIGHTS with a learning rate of nearly zero leaves the weights where they were."""
    first = _fit(tmp_path / "first")
    second = _fit(tmp_path / "second", MODEL__WEIGHTS=str(first.path), TRAIN__LR=1e-12)
    states = [torch.load(run.path, weights_only=True) for run in (first, second)]
    assert all(torch.allclose(states[0][key], states[1][key], atol=1e-6) for key in states[0])


CHILD = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from tests.test_resume import _fit
print("ready", flush=True)
_fit(Path(sys.argv[1]), TRAIN__STATE_EVERY=1)
print("done", flush=True)
"""


def _child(folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


@pytest.mark.slow
def test_killed_process_ends_with_the_same_bits(tmp_path):
    """Kill -9 at five random moments of real processes; the rerun's weights are byte-identical."""
    whole = _child(tmp_path / "whole")
    whole.stdout.readline()
    start = time.perf_counter()
    whole.wait()
    duration = time.perf_counter() - start
    for trial, share in enumerate(np.random.default_rng(4).uniform(0, 1, 5)):
        folder = tmp_path / f"killed{trial}"
        process = _child(folder)
        process.stdout.readline()
        time.sleep(share * duration)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _child(folder).wait() == 0
        assert _weights(folder) == _weights(tmp_path / "whole")


TAMPERED = [{"finished": "no"}, {"epoch": -1}, {"epoch": "2"}, {"update": 1.5}, {"best_score": None}, {"more": 1}]


@pytest.mark.parametrize("changes", few(TAMPERED, {"finished": "no"}, {"more": 1}))
def test_a_tampered_state_is_refused(tmp_path, changes):
    """A text is no truth: "no" would pass for finished."""
    _fit(tmp_path)
    path = tmp_path / "run" / "state.pth"
    state = torch.load(path, weights_only=True)
    state["progress"] |= changes
    torch.save(state, path)
    with pytest.raises(ValueError, match="state.pth' is damaged or of another network .*--restart starts anew"):
        _fit(tmp_path)


def test_a_run_interrupted_before_its_plots_draws_them_when_it_is_started_again(tmp_path, monkeypatch):
    """All epochs are trained and saved: what is left is done, and the training is finished only then."""

    def killed(*_):
        raise Killed

    changes = {"TRAIN__PLOT_LOSSES_AND_LR": True}
    with monkeypatch.context() as patch:
        patch.setattr("neural_methods.training.training_plots", killed)
        with pytest.raises(Killed):
            _fit(tmp_path, **changes)
    before = _weights(tmp_path)
    assert not list(tmp_path.rglob("*_losses.p*"))
    _fit(tmp_path, **changes)
    assert len(list(tmp_path.rglob("*_losses.p*"))) == 2 and _weights(tmp_path) == before
