"""PhysMamba: recorded outputs, released weights, sizes, and learning one clip."""

import json

import numpy as np
import pytest
import torch

from neural_methods.checkpoint import load_weights
from neural_methods.model.physmamba import BidirectionalMamba, PhysMamba
from registry import METHODS
from tests.conftest import few, reference
from tests.parity_rule import check_forward, fill, rule_input
from tests.trainer_tools import ToyClips, tiny_config

RELEASED = (
    "PURE_PhysMamba_DiffNormalized",
    pytest.param("UBFC-rPPG_PhysMamba_DiffNormalized", marks=pytest.mark.slow),
)


def test_parameter_count_is_the_published_one():
    """728,769 parameters and 240 state entries."""
    network = PhysMamba()
    assert sum(parameter.numel() for parameter in network.parameters()) == 728_769
    assert len(network.state_dict()) == 240


@pytest.mark.parametrize("case", few(["PhysMamba/T32_64", "PhysMamba/T128_128"], "PhysMamba/T32_64"))
def test_outputs_equal_the_recorded_ones(case):
    """Outputs under rule-made parameters, at the published size, too."""
    check_forward(case, PhysMamba)


def test_state_entries_have_the_recorded_order():
    """Names in rPPG-Toolbox's order, which optimiser states and the rule depend on."""
    case = json.loads(reference("parity/models.json").read_text())["PhysMamba/T32_64"]
    assert list(PhysMamba().state_dict()) == [key for key, _, _ in case["state_dict"]]


def test_rule_made_network_gives_this_number():
    """Golden mean of the output for the rule-made input."""
    network = fill(PhysMamba()).eval()
    with torch.no_grad():
        ppg = network(rule_input((1, 3, 8, 16, 16), time_axis=2))
    assert ppg.shape == (1, 8)
    assert ppg.mean().item() == pytest.approx(-0.393373, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stem", RELEASED)
def test_released_weights_give_the_recorded_waves(stem):
    """A released file loads by itself and gives rPPG-Toolbox's output on a face video and on the rule-made input."""
    network = PhysMamba()
    load_weights(network, reference(f"weights/{stem}.pth"), "PhysMamba")
    network.eval()
    recorded = np.load(reference("parity/released_weights.npz"))
    shape = json.loads(reference("parity/released_weights.json").read_text())[stem]["rule"]["input_shape"]
    for kind, video in {"rule": rule_input(shape, time_axis=2), "clip": difference_normalised_clip()}.items():
        with torch.no_grad():
            ppg = network(video).numpy()
        expected = recorded[f"{stem}__{kind}"].reshape(ppg.shape)
        assert np.abs(ppg - expected).max() <= 1e-4 * np.abs(expected).max()


def difference_normalised_clip() -> torch.Tensor:
    """The first 128 faces of the recorded clip, (1, 3, 128, 128, 128)."""
    frames = np.load(reference("parity/realclip.npz"))["frames128"][:128].astype(np.float64)
    change = (frames[1:] - frames[:-1]) / (frames[1:] + frames[:-1] + 1e-7)
    change = np.concatenate([change / change.std(), np.zeros_like(frames[:1])])
    return torch.from_numpy(np.nan_to_num(change).transpose(3, 0, 1, 2)[None]).float()


@pytest.mark.parametrize("shape", [(4, 16, 16), (12, 16, 40), (16, 33, 16)])
def test_any_size_keeps_the_clip_length(shape):
    """One value per frame for lengths divisible by four and frames of 16 pixels and more."""
    with torch.no_grad():
        assert PhysMamba().eval()(torch.rand(2, 3, *shape)).shape == (2, shape[0])


@pytest.mark.parametrize("shape", [(6, 16, 16), (8, 8, 16)])
def test_other_sizes_are_refused_by_name(shape):
    """The error says which settings to change."""
    with pytest.raises(ValueError, match="CHUNK_LENGTH has to be divisible by 4, RESIZE.H"):
        PhysMamba()(torch.rand(1, 3, *shape))


def test_mamba_reads_both_ways():
    """With equal parameters for both directions, the flipped sequence gives the flipped result."""
    mamba = BidirectionalMamba(16).double()
    state = mamba.state_dict()
    pairs = {"A_b_log": "A_log", "D_b": "D", "conv1d_b": "conv1d", "x_proj_b": "x_proj", "dt_proj_b": "dt_proj"}
    for back, forth in pairs.items():
        state.update({key.replace(forth, back, 1): v for key, v in state.items() if key.split(".")[0] == forth})
    mamba.load_state_dict(state)
    x = torch.randn(2, 21, 16, dtype=torch.float64)
    assert torch.allclose(mamba(x).flip(1), mamba(x.flip(1)))


def test_one_clip_has_half_the_gradient_of_two():
    """No layer treats a batch of one differently, backwards either."""
    network = fill(PhysMamba()).eval().double()
    video = rule_input((1, 3, 8, 16, 16), time_axis=2).double()
    one, two = (gradients(network, video.repeat(n, 1, 1, 1, 1)) for n in (1, 2))
    for single, double in zip(one, two, strict=True):
        assert torch.allclose(2 * single, double, rtol=1e-9, atol=1e-9 * float(double.abs().max()) + 1e-14)


def gradients(network, video):
    """Gradients of the sum of squared outputs."""
    network.zero_grad()
    network(video).square().sum().backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.slow
def test_overfits_one_clip(tmp_path):
    """A few updates on one clip bring the loss near zero."""
    trainer = METHODS["PhysMamba"](tiny_config("PhysMamba", tmp_path, TRAIN__EPOCHS=40, TRAIN__LR=5e-3))
    trainer.fit(ToyClips(n=1), folder=tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[rows[0].split(",").index("loss")]) for row in rows[1:]]
    assert min(losses[-5:]) < 0.3 < losses[0]


def test_optimiser_is_adam_with_decay(tmp_path):
    """Adam with L2 decay 5e-4 under the one-cycle rate, stepped per update."""
    trainer = METHODS["PhysMamba"](tiny_config("PhysMamba", tmp_path))
    optimizer, schedule, per = trainer.optimizers(trainer.build(), steps_per_epoch=3)
    assert type(optimizer) is torch.optim.Adam and optimizer.param_groups[0]["weight_decay"] == 5e-4
    assert per == "update" and schedule.total_steps == 6
