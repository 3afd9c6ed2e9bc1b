"""The demos of the neural methods: one for each, one training step and a test of each, and (slow) all of each."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import main
from config import load_config, run_folder
from evaluation.outputs import read_outputs
from registry import METHODS
from tests.conftest import ROOT, few

FILES = sorted((ROOT / "configs" / "demo").glob("*.yaml"))
LOADED = {file.stem: load_config(file) for file in FILES}
TRAINED = [
    name
    for name, config in LOADED.items()
    if config.TOOLBOX_MODE == "train_and_test" and not config.get("SPLIT", {}).get("KIND", "")
]
SECTIONS = ("TRAIN", "VALID", "TEST")
FRAMES = 80  # a clip that every method can cut to its multiple
# These learn too little: their validation improves, their rates do not beat the mean, or hardly. See docs/demos.md.
SLOW_LEARNERS = {"bigsmall", "physmamba"}
NON_LEARNERS = {"ibvpnet"}  # ... and not even the validation improves with every seed


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    """Where two people are rendered, once for all demos."""
    return tmp_path_factory.mktemp("demo_faces")


def places(raw: Path, folder: Path) -> list[str]:
    """Overrides that keep everything a run writes in `folder`, and the rendered faces in `raw`."""
    keys = {"DATA_PATH": raw, "CACHED_PATH": folder / "cache"}
    data = [f"{section}.DATA.{key}={value}" for section in SECTIONS for key, value in keys.items()]
    return [*data, f"LOG.PATH={folder / 'runs'}", "DEVICE=cpu"]


def tiny(raw: Path, folder: Path) -> list[str]:
    """Overrides by which a demo trains one step on one person of six seconds and is tested on another."""
    faces = {"PRESET": "standard", "SEED": 5, "SUBJECTS": 2, "SECONDS": 6.0}
    changes = [f"{section}.DATA.SYNTHETIC.{key}={value}" for section in SECTIONS for key, value in faces.items()]
    changes += [f"{section}.DATA.PREPROCESS.CHUNK_LENGTH={FRAMES}" for section in SECTIONS]
    changes += ["TRAIN.DATA.BEGIN=0.0", "TRAIN.DATA.END=0.5"]
    changes += [f"{section}.DATA.{key}" for section in ("VALID", "TEST") for key in ("BEGIN=0.5", "END=1.0")]
    return [*places(raw, folder), *changes, "TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=2", "PREPROCESS_WORKERS=1"]


def updates(config) -> list[dict[str, str]]:
    """The rows of a run's history."""
    return list(csv.DictReader((Path(run_folder(config)) / "history.csv").open()))


def waves_of(file: Path) -> dict[int, np.ndarray]:
    """The predicted clips of the one recording in an output pickle."""
    (waves,) = read_outputs(file)["predictions"].values()
    return waves


def mean_errors(config) -> dict[str, float]:
    """MAE (bpm) of every method by the preset `exact`; the constant mean under that name."""
    tables = json.loads((Path(run_folder(config)) / "metrics.json").read_text())["tables"]
    exact = [table for table in tables if table["preset"] == "exact"]
    return {table["method"].split(" (")[0]: table["metrics"]["MAE"]["value"] for table in exact}


def test_every_method_has_a_demo():
    """Also the two extensions; what reads no faces has a demo of its own."""
    shown = {LOADED[name].MODEL.NAME for name in TRAINED}
    ours = {name for name in METHODS.names() if METHODS[name].__module__.startswith("neural_methods.")}
    assert {name for name in ours if METHODS[name].needs.reads_video and "ppg" in METHODS[name].heads} <= shown
    models = [LOADED[name].MODEL for name in TRAINED]
    assert any(model.get("SE", {}).get("ENABLE") for model in models)
    assert any(model.get("DEFORM", {}).get("ENABLE") for model in models)


@pytest.mark.parametrize("name", few(TRAINED, "physnet", "tscan", "gridpulse"))
def test_one_step_and_a_test_of(name, raw, tmp_path):
    """A finite loss, weights, finite predictions of whole clips, the method's row; from the file the same numbers."""
    file, changes = ROOT / "configs" / "demo" / f"{name}.yaml", tiny(raw, tmp_path)
    assert main.main(["--config_file", str(file), *changes]) == 0
    config = load_config(file, changes)
    (update,) = updates(config)
    assert np.isfinite(float(update["loss"])) and int(update["samples"]) == config.TRAIN.BATCH_SIZE
    assert np.isfinite(float(update["validation"]))
    (weights,) = (tmp_path / "runs").rglob("*_Epoch0.pth")
    (outputs,) = (tmp_path / "runs").rglob(f"{config.TRAIN.MODEL_FILE_NAME}_outputs.pickle")
    waves = waves_of(outputs)
    assert len(waves) == 2
    for wave in waves.values():
        assert FRAMES - 10 < len(wave) <= FRAMES and np.isfinite(np.asarray(wave)).all()
    assert config.MODEL.NAME in mean_errors(config)
    again = [*changes, "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}"]
    assert main.main(["--config_file", str(file), *again]) == 0
    first, second = (mean_errors(one)[config.MODEL.NAME] for one in (config, load_config(file, again)))
    np.testing.assert_equal(second, first)  # NaN where no window could be judged
    repeated = waves_of(outputs.parent / f"{weights.stem}_Synthetic_outputs.pickle")
    assert repeated.keys() == waves.keys() and all(np.array_equal(repeated[clip], waves[clip]) for clip in waves)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_the_whole_of(name, raw, tmp_path):
    """As a user runs it: the validation loss falls, and people it has not seen are measured better than by the mean."""
    file, changes = ROOT / "configs" / "demo" / f"{name}.yaml", places(raw, tmp_path)
    subprocess.run([sys.executable, "main.py", "--config_file", file, *changes], cwd=ROOT, check=True, timeout=900)
    config = load_config(file, changes)
    validation = [float(row["validation"]) for row in updates(config) if row["validation"]]
    errors = mean_errors(config)
    assert len(validation) == config.TRAIN.EPOCHS and np.isfinite([*validation, errors[config.MODEL.NAME]]).all()
    if name not in NON_LEARNERS:
        assert validation[-1] < validation[0]
    if name not in SLOW_LEARNERS | NON_LEARNERS:
        assert errors[config.MODEL.NAME] < errors["constant mean"]
