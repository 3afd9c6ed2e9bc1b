"""PhysNet: recorded outputs, released weights, sizes, and learning one clip."""

import json

import numpy as np
import pytest
import torch

from neural_methods.checkpoint import load_weights
from neural_methods.model.physnet import PhysNet
from neural_methods.trainer.base import Trainer
from registry import METHODS
from tests.conftest import few, reference
from tests.parity_rule import check_forward, fill, rule_input
from tests.trainer_tools import ToyClips, tiny_config

RELEASED = (
    "PURE_PhysNet_DiffNormalized",
    "SCAMPS_PhysNet_DiffNormalized",
    "UBFC-rPPG_PhysNet_DiffNormalized",
    "BP4D_PseudoLabel_PhysNet_DiffNormalized",
    "MA-UBFC_physnet",
)


def test_parameter_count_is_the_published_one():
    """768,577 parameters and 79 state entries."""
    network = PhysNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 768_577
    assert len(network.state_dict()) == 79


@pytest.mark.parametrize("case", ["PhysNet/T32_32", "PhysNet/T128_72"])
def test_outputs_equal_the_recorded_ones(case):
    """Outputs, feature maps and gradient norms under rule-made parameters."""
    check_forward(case, PhysNet)


def test_rule_made_network_gives_this_number():
    """Golden mean of the output for the rule-made input; float32 noise is far below the tolerance."""
    network = fill(PhysNet()).eval()
    with torch.no_grad():
        ppg = network(rule_input((1, 3, 8, 16, 16), time_axis=2))[0]
    assert ppg.shape == (1, 8)
    assert ppg.mean().item() == pytest.approx(-0.650866, abs=1e-5)


@pytest.mark.parametrize("stem", few(RELEASED, "PURE_PhysNet_DiffNormalized"))
def test_released_weights_give_the_recorded_waves(stem):
    """A released file loads by itself and gives rPPG-Toolbox's output on a face video and on the rule-made input."""
    network = PhysNet()
    load_weights(network, reference(f"weights/{stem}.pth"), "Physnet")
    network.eval()
    recorded = np.load(reference("parity/released_weights.npz"))
    shape = json.loads(reference("parity/released_weights.json").read_text())[stem]["rule"]["input_shape"]
    inputs = {"rule": rule_input(shape, time_axis=2), "clip": _difference_normalised_clip()}
    for kind, video in inputs.items():
        with torch.no_grad():
            ppg = network(video)[0].numpy()
        expected = recorded[f"{stem}__{kind}"].reshape(ppg.shape)
        assert np.abs(ppg - expected).max() <= 1e-5 * np.abs(expected).max()


def _difference_normalised_clip() -> torch.Tensor:
    frames = np.load(reference("parity/realclip.npz"))["frames72"][:128].astype(np.float64)
    change = (frames[1:] - frames[:-1]) / (frames[1:] + frames[:-1] + 1e-7)
    change = np.concatenate([change / change.std(), np.zeros_like(frames[:1])])
    return torch.from_numpy(np.nan_to_num(change).transpose(3, 0, 1, 2)[None]).float()


@pytest.mark.parametrize("frames", [4, 8, 20])
def test_any_length_divisible_by_four_keeps_its_length(frames):
    """One value per frame for every clip length."""
    with torch.no_grad():
        assert PhysNet().eval()(torch.rand(2, 3, frames, 16, 24))[0].shape == (2, frames)


def test_trainer_cuts_clips_to_a_multiple_of_four(tmp_path):
    """Eighteen frames become sixteen, label and video alike."""
    trainer: Trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    batch = torch.utils.data.default_collate([ToyClips(frames=18)[0]])
    entered = trainer.enter(batch)
    assert entered["video"].shape[2] == entered["ppg"].shape[1] == 16


@pytest.mark.slow
def test_overfits_one_clip(tmp_path):
    """A few updates on one clip bring the loss near zero."""
    clips = ToyClips(n=1)
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path, TRAIN__EPOCHS=25, TRAIN__LR=5e-3))
    trainer.fit(clips, folder=tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    assert float(rows[-1].split(",")[column]) < 0.1 < float(rows[1].split(",")[column])
