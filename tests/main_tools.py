"""What the tests of the command line share: two configurations, and modes that note what they are called with."""

import dataclasses
import sys
import types
from pathlib import Path

import yaml

import main
from registry import MODES

CLASSICAL = {
    "TOOLBOX_MODE": "unsupervised_method",
    "UNSUPERVISED": {"METHOD": ["POS"], "METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
}
TESTING = {
    "TOOLBOX_MODE": "only_test",
    "TEST": {"DATA": {"DATASET": "PURE", "FS": 30, "BEGIN": 0.5}},
    "MODEL": {"NAME": "Physnet"},
    "INFERENCE": {"MODEL_PATH": "w.pth"},
}


def classical_file(tmp_path) -> Path:
    """A small classical configuration."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(CLASSICAL))
    return path


def modes_that_note(monkeypatch, tmp_path) -> list:
    """The configurations the modes' functions were called with; what `act` says happens in them."""
    monkeypatch.chdir(tmp_path)
    calls = []
    module = types.ModuleType("made_run")
    calls_act = {"act": lambda: None}

    def run(settings):
        calls.append(settings)
        return calls_act["act"]()

    module.run = run
    monkeypatch.setitem(sys.modules, "made_run", module)
    for name in MODES:
        made = dataclasses.replace(MODES[name], run="made_run:run")
        monkeypatch.setitem(MODES._entries, name, (name, made))
    monkeypatch.setattr(main, "ACT", calls_act, raising=False)
    return calls


def acting(error):
    """Make the run raise or return something."""

    def act():
        if isinstance(error, BaseException):
            raise error
        return error

    main.ACT["act"] = act
