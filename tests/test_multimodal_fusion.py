"""Pulse and breath from any subset of sensors: every subset trains, and what is missing leaves a number."""

import json

import numpy as np
import pytest
import torch

import main
from config import load_config, run_folder
from dataset.synthetic.layouts import write_layout
from neural_methods.model.sensor_fusion import SensorFusion
from registry import METHODS
from tests.conftest import ROOT
from tools.multimodal.table import CONFIG, SECTIONS, SENSORS, Line, subsets, table


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


EVERY = [one for one in subsets((*SENSORS, "ppg")) if one != ("ppg",)]


@pytest.mark.slow
@pytest.mark.parametrize("sensors", EVERY)
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
    assert all(torch.isfinite(one.waves).all() and torch.equal(one.waves, found[0].waves) for one in found)


def test_a_wave_that_is_not_trusted_hardly_counts():
    """A clear wave and noise of the same height: what is given is the clear one."""

    class Told(torch.nn.Module):
        def __init__(self, wave, trust):
            super().__init__()
            self.wave, self.trust = wave, torch.full((1, 2), trust)

        def forward(self, given, seen):
            return self.wave, self.trust

    torch.manual_seed(0)
    clear, noise = torch.sin(torch.arange(300) / 4).expand(1, 2, 300), 0.7 * torch.randn(1, 2, 300)
    network = SensorFusion()
    network.branches = torch.nn.ModuleDict(
        {"colour": Told(noise, 0.1), "heat": Told(noise, 0.1), "motion": Told(clear, 0.9)}
    )
    given = torch.zeros(1, 1)
    joint = network(torch.ones(1, 3, 300), given, given, given).waves
    assert torch.corrcoef(torch.stack([joint[0, 0], clear[0, 0]]))[0, 1] > 0.995


def _batch(count=4, frames=60):
    """Clips of all sensors, and waves to learn."""
    draw, phase = torch.Generator().manual_seed(0), torch.arange(frames) / 5
    return {
        "index": torch.arange(count),
        "there": torch.ones(count, 3, frames),
        "colour": torch.randint(115, 125, (count, 3, frames, 8, 8), dtype=torch.uint8, generator=draw),
        "heat": 34 + torch.rand(count, 1, frames // 3, 6, 8, generator=draw),
        "radar": torch.rand(count, 5 * frames, generator=draw),
        "ppg": torch.sin(phase).expand(count, -1),
        "resp": torch.sin(phase / 4).expand(count, -1),
    }


def _trainer(*changes):
    return METHODS["SensorFusion"](load_config(CONFIG, [*changes, "DEVICE=cpu"]))


def test_ppg_alone_is_no_input():
    """It is what the others are compared with: the section and the key are named."""
    with pytest.raises(ValueError, match=r"any of rgb, thermal, radar: TRAIN.DATA.MODALITIES \(ppg\)"):
        _trainer("TRAIN.DATA.MODALITIES=[ppg]").check_needs()


def test_what_is_spoiled_is_told_by_seed_epoch_and_sample():
    """The same clip in the same epoch twice; what it was given stays as it is."""
    trainer, batch, given = _trainer("MODEL.FUSION.SPOIL=0.9"), _batch(), _batch()
    first, second, later = (trainer.augment(batch, epoch) for epoch in (0, 0, 1))
    for name in ("there", "colour", "heat", "radar"):
        assert torch.equal(first[name], second[name]) and not torch.equal(first[name], later[name])
        assert torch.equal(batch[name], given[name]) and first[name].dtype == batch[name].dtype
    assert first["colour"].float().mean(dim=(1, 2, 3, 4)).min() < 70


@pytest.mark.parametrize("sensors", subsets())
def test_every_subset_learns(sensors):
    """A step on each choice of sensors moves the branches that are read, and every slope is a number."""
    torch.manual_seed(0)
    trainer = _trainer(f"MODEL.FUSION.SENSORS=[{','.join(sensors)}]")
    batch = trainer.normalise(trainer.augment(_batch(), epoch=1))
    network = trainer.build_model()
    trainer.loss(trainer.predict(network, batch), batch, epoch=1)["loss"].backward()
    for name, branch in zip(SENSORS, network.branches.values(), strict=True):
        slopes = [one.grad for one in branch.parameters() if one.grad is not None]
        assert all(torch.isfinite(one).all() for one in slopes)
        assert any(one.abs().max() > 0 for one in slopes) == (name in sensors)


def test_no_sensor_at_all_is_a_number():
    """A gap in everything."""
    assert torch.isfinite(SensorFusion()(torch.zeros(1, 3, 60)).waves).all()


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
        (network(there, motion=given).waves[0, 0] - label).pow(2).mean().backward()
        optimizer.step()
    assert np.corrcoef(network(there, motion=given).waves[0, 0].detach(), label)[0, 1] > 0.95


def test_the_table_names_what_there_is_none_of():
    """NaN becomes a word."""
    text = table([Line("no network: POS", "RGB", "dark", 1.234, float("nan"), 8)])
    assert "| no network: POS | RGB | dark | 1.23 | none | 8 |" in text and len(subsets()) == 7
