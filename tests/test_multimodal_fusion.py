"""Pulse and breath from any subset of sensors: every subset trains, and what is missing leaves a number."""

import json

import numpy as np
import pytest
import torch

import main
from config import load_config, run_folder
from dataset.synthetic.layouts import write_layout
from neural_methods.model.sensor_fusion import SensorFusion
from tests.conftest import ROOT
from tools.multimodal.table import CONFIG, SECTIONS, Line, subsets, table


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three people with two recordings of 12 s each."""
    root = tmp_path_factory.mktemp("fusion") / "set"
    write_layout("Multimodal", root, {"PRESET": "easy", "WIDTH": 96, "HEIGHT": 96, "SUBJECTS": 3, "SECONDS": 12.0})
    return root


def _run(raw, folder, *changes, sensors=("rgb", "thermal", "radar")):
    where = [f"{part}.DATA.DATA_PATH={raw}" for part in SECTIONS]
    where += [f"{part}.DATA.CACHED_PATH={folder / 'cache'}" for part in SECTIONS]
    where += [f"{part}.DATA.PREPROCESS.CHUNK_LENGTH=330" for part in SECTIONS]
    where += [f"{part}.DATA.MODALITIES=[{','.join(sensors)}]" for part in SECTIONS]
    where += [f"LOG.PATH={folder / 'runs'}", "PREPROCESS_WORKERS=1", "DEVICE=cpu", "TRAIN.EPOCHS=1"]
    where += ["INFERENCE.EVALUATION_WINDOW.USE_SMALLER_WINDOW=False", *changes]
    assert main.main(["--config_file", str(CONFIG), *where]) == 0
    return ROOT / run_folder(load_config(CONFIG, where))


@pytest.mark.parametrize(
    "sensors", [pytest.param(one, marks=() if len(one) != 2 else pytest.mark.slow) for one in subsets()]
)
def test_every_subset_trains_and_gives_both_rates(raw, tmp_path, sensors):
    """From the configuration that is shipped."""
    folder = _run(raw, tmp_path, sensors=sensors)
    values = json.loads((folder / "metrics.json").read_text())
    own = [values["tables"][0], values["heads"]["resp"]["tables"][0]]
    assert all(np.isfinite(one["metrics"]["MAE"]["value"]) for one in own)


@pytest.mark.slow
def test_a_network_of_all_is_tested_without_each(raw, tmp_path):
    """Its weights are taken as they are; the rates are numbers."""
    folder = tmp_path / "all"
    _run(raw, folder)
    (weights,) = folder.rglob("PreTrainedModels/*.pth")
    for without in ("rgb", "thermal", "radar"):
        rest = [one for one in ("rgb", "thermal", "radar") if one != without]
        changes = [f"TEST.DATA.MODALITIES=[{','.join(rest)}]", "TOOLBOX_MODE=only_test"]
        found = _run(raw, folder, *changes, f"INFERENCE.MODEL_PATH={weights}", f"LOG.PATH={tmp_path / without}")
        assert np.isfinite(json.loads((found / "metrics.json").read_text())["tables"][0]["metrics"]["MAE"]["value"])


def test_nothing_that_is_missing_changes_what_is_there():
    """Zeros, noise or NaN in the place of a sensor that was not there: the same output."""
    torch.manual_seed(0)
    network = SensorFusion().eval()
    there = torch.ones(2, 3, 90)
    there[:, 1] = 0
    colour, radar = torch.rand(2, 3, 90, 16, 16), torch.randn(2, 450)
    found = [
        network(there, colour, heat, radar)
        for heat in (None, torch.rand(2, 1, 30, 12, 16) * 50, torch.full((2, 1, 30, 12, 16), torch.nan))
    ]
    assert all(torch.isfinite(one).all() and torch.equal(one, found[0]) for one in found)


def test_no_sensor_at_all_is_a_number():
    """A gap in everything."""
    assert torch.isfinite(SensorFusion()(torch.zeros(1, 3, 60))).all()


def test_the_network_learns_pulse_and_breath_from_motion_alone():
    """One clip by heart; the other two sensors are not there."""
    torch.manual_seed(1)
    t = np.arange(900) / 150
    motion = 1.5 * np.sin(2 * np.pi * 0.3 * t) + 0.2 * np.sin(2 * np.pi * 1.3 * t)
    label = torch.tensor(np.sin(2 * np.pi * 1.3 * t[::5]), dtype=torch.float32)
    there = torch.zeros(1, 3, 180)
    there[:, 2] = 1
    network, given = SensorFusion(), torch.tensor(motion, dtype=torch.float32)[None]
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        (network(there, motion=given)[0, 0] - label).pow(2).mean().backward()
        optimizer.step()
    assert np.corrcoef(network(there, motion=given)[0, 0].detach(), label)[0, 1] > 0.95


def test_the_table_names_what_there_is_none_of():
    """NaN becomes a word."""
    text = table([Line("POS", "RGB", "all", 1.234, float("nan"), 8)])
    assert "| POS | RGB | all | 1.23 | none | 8 |" in text and len(subsets()) == 7
