"""Modes are entries: what each reads, a new one from a plug-in, and that nothing else knows them by name."""

import re
import subprocess
import sys

import pytest

from config import load_config, run_folder
from registry import MODES
from settings.modes import Mode, mode_of, only_tests, trains, used_sections
from tests.config_tools import CLASSICAL, TESTING, TRAINING, changed, refusal, write_yaml
from tests.conftest import ROOT

TRAIN_ONLY = changed(TRAINING, TOOLBOX_MODE="train", TEST={})
MONITORED = {"MONITOR": True, "DATA": {"DATASET": "PURE"}}


@pytest.fixture
def write(tmp_path):
    """Write a mapping as a YAML file below tmp_path; its path."""
    return lambda values, name="x.yaml": write_yaml(values, tmp_path / name)


@pytest.mark.parametrize(
    ("values", "sections", "neural", "evaluates", "training", "tests"),
    [
        (TRAINING, ["TRAIN", "TEST"], True, True, True, False),
        (changed(TRAINING, VALID=MONITORED), ["TRAIN", "VALID", "TEST"], True, True, True, False),
        (TRAIN_ONLY, ["TRAIN"], True, False, True, False),
        (changed(TRAIN_ONLY, VALID=MONITORED), ["TRAIN", "VALID"], True, False, True, False),
        (TESTING, ["TEST"], True, True, False, True),
        (CLASSICAL, ["UNSUPERVISED"], False, True, False, False),
        (changed(CLASSICAL, TOOLBOX_MODE="preprocess"), ["UNSUPERVISED"], False, False, False, False),
    ],
)  # fmt: skip
def test_the_entry_says_what_a_run_does(write, values, sections, neural, evaluates, training, tests):
    """Whose data it reads, whether it has a network, errors, a training, or given weights."""
    config = load_config(write(values))
    mode = mode_of(config)
    assert used_sections(config) == sections
    said = (mode.neural, mode.evaluates, trains(config), only_tests(config))
    assert said == (neural, evaluates, training, tests)


def test_a_training_alone_needs_nothing_of_a_test(write):
    """Neither a data set nor sound settings of an evaluation it never makes; its own keys are checked."""
    load_config(write(changed(TRAIN_ONLY, TEST={"METRICS": ["MEA"]}, INFERENCE={"PRESET": "x"})))
    assert "TRAIN.EPOCHS is 0" in refusal(write(TRAIN_ONLY), "TRAIN.EPOCHS=0")
    assert "MODEL.NAME is not set" in refusal(write(changed(TRAIN_ONLY, MODEL={})))
    assert "VALID.DATA.DATASET is not set" in refusal(write(TRAIN_ONLY), "VALID.MONITOR=True")


def test_a_training_alone_has_a_folder_of_its_own(write):
    """Named after the model, but not that of the training which also tests."""
    alone, tested = load_config(write(TRAIN_ONLY)), load_config(write(TRAINING))
    assert run_folder(alone).name.startswith("PURE_PURE_UBFC-rPPG_tscan-")
    assert run_folder(alone) != run_folder(tested)


PLUGIN = """
from registry import MODES
from settings.modes import Mode

MODES.register("count")(Mode("count", ("TEST",), run="plug_count:count", output=("TEST", "counted")))


def count(config):
    print("counting", config.TEST.DATA.DATASET, config.TEST.OUTPUT_SAVE_DIR.rsplit("/", 1)[-1])
    return 5
"""


def test_a_plug_in_adds_a_mode(tmp_path, write):
    """One registration: its folder is derived, its settings are written, its function is run."""
    (tmp_path / "plug_count.py").write_text(PLUGIN)
    path = write({"TOOLBOX_MODE": "count", "TEST": {"DATA": {"DATASET": "PURE"}}, "LOG": {"PATH": str(tmp_path / "r")}})
    command = [sys.executable, str(ROOT / "main.py"), "--plugin", str(tmp_path / "plug_count.py")]
    done = subprocess.run([*command, "--config_file", str(path)], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert "counting PURE counted" in done.stdout
    assert [file.parent.name[:11] for file in tmp_path.glob("r/runs/*/config.yaml")] == ["count_PURE-"]


def test_what_a_new_mode_reads_and_needs_is_checked(monkeypatch, write):
    """And only that."""
    mode = Mode("count", ("TEST",), run="a:b", reads=("INFERENCE",), needs={"INFERENCE.MODEL_PATH": "a file"})
    monkeypatch.setitem(MODES._entries, "count", ("count", mode))
    path = write({"TOOLBOX_MODE": "count", "TEST": {"DATA": {"DATASET": "PURE"}, "METRICS": ["MEA"]}})
    assert "INFERENCE.MODEL_PATH is not set: count needs a file." in refusal(path)
    assert "TEST.DATA.DATASET is 'PUR'" in refusal(path, "TEST.DATA.DATASET=PUR")
    assert "INFERENCE.PRESET is 'x'" in refusal(path, "INFERENCE.MODEL_PATH=x", "INFERENCE.PRESET=x")
    load_config(path, ["INFERENCE.MODEL_PATH=x"])


def test_two_modes_of_one_name_are_refused():
    """A plug-in cannot replace a mode by accident."""
    with pytest.raises(ValueError, match="Two entries called 'train'"):
        MODES.register("train")(Mode("train", (), run="a:b"))


NAMED = re.compile(r"[\"'](?:train_and_test|only_test|unsupervised_method)[\"']")


def test_only_the_entries_know_modes_by_name():
    """Everything else asks the entry, so a new mode needs no second place."""
    files = [file for top in ("dataset", "evaluation", "neural_methods", "settings", "tools", "unsupervised_methods")
             for file in (ROOT / top).rglob("*.py")]  # fmt: skip
    files += [ROOT / "config.py", ROOT / "main.py", ROOT / "registry.py"]
    entries = ROOT / "settings" / "modes"
    found = [file for file in files if entries not in file.parents and NAMED.search(file.read_text())]
    assert found == []
