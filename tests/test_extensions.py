"""MODEL.SE and MODEL.DEFORM on PhysNet and PhysFormer: off they change nothing, on they train, tell and load."""

import csv

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from neural_methods import extensions
from neural_methods.checkpoint import WeightsError, write_weights
from neural_methods.model.physformer import PhysFormer
from neural_methods.model.physnet import PhysNet
from registry import METHODS
from tests.conftest import few, reference
from tests.trainer_tools import ToyClips, tiny_config

SMALL = {"PATCH_SIZE": 4, "DIM": 16, "FF_DIM": 24, "NUM_HEADS": 2, "NUM_LAYERS": 3, "THETA": 0.7}
SIZE = {"Physnet": 16, "PhysFormer": 32}


class RawClips(ToyClips):
    """Stored frames, as from a cache, whose light flickers; twice the level of the pulse."""

    def __getitem__(self, index):
        """One clip of uint8 frames with what the normalisation needs."""
        clip = super().__getitem__(index)
        light = 10 * np.sin(np.arange(self.videos.shape[2]) / 3 + index)[None, :, None, None]
        video = 100 + 20 * clip.pop("video_float").numpy() + light
        grey = torch.from_numpy(video.clip(0, 255).astype(np.uint8))
        stats = torch.tensor([100.0, 20.0, 0.1])
        return {**clip, "video": grey, "next_frame": grey[:, 0], "has_next": False, "stats": stats}


def make(name, folder, se=None, deform=None, **changes):
    """A trainer of small sizes with the given options of MODEL.SE and MODEL.DEFORM enabled."""
    options = METHODS[name].OPTIONS
    sections = {"MODEL__PHYSFORMER": CfgNode({**options.get("PHYSFORMER", {}), **SMALL})}
    for section, wanted in (("SE", se), ("DEFORM", deform)):
        values = {**options[section], **(wanted or {}), "ENABLE": wanted is not None}
        sections[f"MODEL__{section}"] = CfgNode(values)
    config = tiny_config(name, folder, **sections, **changes)
    size = config.TRAIN.DATA.PREPROCESS.RESIZE
    size.H = size.W = SIZE[name]
    return METHODS[name](config)


@pytest.mark.parametrize(("name", "published"), [("Physnet", PhysNet), ("PhysFormer", PhysFormer)])
def test_off_by_default_the_network_is_the_published_one(tmp_path, name, published):
    """The same entries in the same order, the same first weights, the same sidecar, no note, no column."""
    plain = METHODS[name](
        tiny_config(name, tmp_path, MODEL__PHYSFORMER=CfgNode(METHODS["PhysFormer"].OPTIONS["PHYSFORMER"]))
    )
    off = make(name, tmp_path)
    assert list(plain.build().state_dict()) == list(published().state_dict())
    assert not off.extensions and off.extension_options() == {} and off.after_epoch(off.build(), 0) == {}
    first, second = make(name, tmp_path).build().state_dict(), off.build().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_released_weights_still_load(tmp_path):
    """A released PhysNet into the network of today."""
    make("Physnet", tmp_path).load(reference("weights/PURE_PhysNet_DiffNormalized.pth"))


@pytest.mark.parametrize("name", few(["Physnet", "PhysFormer"], "Physnet"))
@pytest.mark.parametrize("temporal", [False, True])
def test_gates_train_and_tell(tmp_path, capsys, name, temporal):
    """The parameter increase on the screen; gates and their correlation with the light in the history, per stage."""
    trainer = make(name, tmp_path, se={"TEMPORAL": temporal}, TRAIN__PLOT_LOSSES_AND_LR=True)
    trainer.fit(RawClips(4, size=SIZE[name]), folder=tmp_path)
    said = capsys.readouterr().out
    assert "Note: MODEL.SE: +" in said and " parameters (" in said
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    for stage in METHODS[name].OPTIONS["SE"]["STAGES"]:
        gate, channels = rows[-1][f"se/{stage}/gate"], rows[-1][f"se/{stage}/channels"].split()
        assert float(gate) == pytest.approx(0.88, abs=0.05)
        assert np.mean([float(value) for value in channels]) == pytest.approx(float(gate), abs=1e-4)
        assert 0 <= float(rows[-1][f"se/{stage}/brightness"]) <= 1 and not rows[0][f"se/{stage}/gate"]
    assert (tmp_path / "plots" / "tiny_losses.pdf").is_file()


@pytest.mark.parametrize("name", ["Physnet", "PhysFormer"])
def test_shifts_train_and_tell(tmp_path, capsys, name):
    """Their own learning rate, their penalty, their size in the history; they leave zero."""
    trainer = make(name, tmp_path, deform={"SMOOTHNESS": 0.01})
    network = trainer.build()
    optimizer = trainer.optimizers(network, 10)[0]
    main, slow = optimizer.param_groups
    assert slow["lr"] == pytest.approx(0.1 * main["lr"]) and len(slow["params"]) == 2
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))
    trainer.fit(ToyClips(4, size=SIZE[name]), folder=tmp_path)
    assert "Note: MODEL.DEFORM: " in capsys.readouterr().out
    rows, stage = list(csv.DictReader((tmp_path / "history.csv").open())), METHODS[name].OPTIONS["DEFORM"]["STAGE"]
    assert float(rows[-1][f"deform/{stage}/shift"]) > 0 and float(rows[-1][f"deform/{stage}/at_limit"]) < 1
    assert float(rows[-1][f"deform/{stage}/weight"]) == pytest.approx(1, abs=0.1) and float(rows[-1]["restless"]) > 0


@pytest.mark.parametrize("name", ["Physnet", "PhysFormer"])
def test_saved_weights_need_the_same_extensions(tmp_path, name):
    """They load into the same network, and into no other, with one sentence."""
    trainer = make(name, tmp_path, se={}, deform={})
    network = trainer.build()
    write_weights(tmp_path / "a.pth", network, trainer.description())
    again = make(name, tmp_path, se={}, deform={}).load(tmp_path / "a.pth")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())
    for other in ({}, {"se": {}}, {"se": {"TEMPORAL": True}, "deform": {}}):
        with pytest.raises(WeightsError, match="other settings"):
            make(name, tmp_path, **other).load(tmp_path / "a.pth")


@pytest.mark.parametrize("sidecar", [True, False])
@pytest.mark.parametrize("name", few(["Physnet", "PhysFormer"], "Physnet"))
def test_training_starts_from_weights_without_extensions_but_no_test_does(tmp_path, capsys, name, sidecar):
    """What is new starts fresh and it says so; untrained gates are never tested by mistake."""
    plain = make(name, tmp_path)
    weights = plain.build()
    torch.save(weights.state_dict(), tmp_path / "a.pth")
    if sidecar:
        write_weights(tmp_path / "a.pth", weights, plain.description())
    trainer = make(name, tmp_path, se={}, deform={}, MODEL__WEIGHTS=str(tmp_path / "a.pth"))
    loaded = trainer.load(tmp_path / "a.pth", trainer.build())
    assert "What MODEL.SE and MODEL.DEFORM adds starts fresh." in capsys.readouterr().out
    common = [key for key in weights.state_dict() if key in loaded.state_dict()]
    assert len(common) >= len(weights.state_dict()) - 2
    assert all(torch.equal(loaded.state_dict()[key], weights.state_dict()[key]) for key in common)
    with pytest.raises(WeightsError):
        trainer.load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"se": {"STAGES": [3, 12]}}, "MODEL.SE.STAGES names stage 12"),
        ({"deform": {"STAGE": 1}}, "MODEL.DEFORM.STAGE is 1"),
    ],
)
@pytest.mark.parametrize("name", ["Physnet", "PhysFormer"])
def test_a_stage_that_is_not_there_is_named(tmp_path, name, options, key):
    """And the ones that are."""
    with pytest.raises(ValueError, match=key):
        make(name, tmp_path, **options).build()


def test_correlation_with_the_light_is_that_of_numpy(tmp_path):
    """Gates that follow the light have a correlation of one; others what NumPy says, within clips for frames' gates."""
    rng = np.random.default_rng(0)
    light, noise = rng.normal(size=(3, 12)), rng.normal(size=(3, 12))
    for temporal in (False, True):
        sums = extensions.GateSums(type("Gate", (), {"temporal": temporal, "seen": None})())
        gates = np.stack([light + 5 * np.arange(3)[:, None] * temporal, noise], axis=1)  # (B, 2, T)
        sums.module.seen = torch.from_numpy(gates if temporal else gates.mean(axis=2))
        sums.add(torch.from_numpy(light))
        if temporal:
            a, b = (part - part.mean(axis=1, keepdims=True) for part in (light, noise))
        else:
            a, b = light.mean(axis=1), noise.mean(axis=1)
        expected = (1 + abs(np.corrcoef(a.ravel(), b.ravel())[0, 1])) / 2
        assert dict(sums.summary())["brightness"] == pytest.approx(expected, abs=1e-9)
