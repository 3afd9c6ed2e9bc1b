"""RhythmFormer: recorded outputs and gradients, regions, sizes, and learning one clip."""

import json

import pytest
import torch
from yacs.config import CfgNode

from neural_methods.model.rhythmformer import (
    RegionAttention,
    RhythmFormer,
    from_regions,
    nearest_regions,
    neighbour_differences,
    region_attention,
    to_regions,
)
from registry import METHODS
from tests.conftest import reference
from tests.parity_rule import check_forward, fill, rule_input
from tests.trainer_tools import ToyClips, tiny_config


def tiny_trainer(folder, **changes):
    """A trainer for clips of 16 frames of 32 pixels."""
    config = tiny_config("RhythmFormer", folder, **changes)
    config.TRAIN.DATA.PREPROCESS.RESIZE.H = config.TRAIN.DATA.PREPROCESS.RESIZE.W = 32
    return METHODS["RhythmFormer"](config)


def test_parameter_count_is_the_published_one():
    """3,326,017 parameters and 416 state entries, the unused ones among them."""
    network = RhythmFormer()
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_326_017
    assert len(network.state_dict()) == 416


@pytest.mark.parametrize(
    "case", ["RhythmFormer/T32_128", pytest.param("RhythmFormer/T160_128", marks=pytest.mark.slow)]
)
def test_outputs_equal_the_recorded_ones(case):
    """Outputs, and gradient norms where recorded, under rule-made parameters."""
    check_forward(case, RhythmFormer)


def test_state_entries_have_the_recorded_order():
    """Names in rPPG-Toolbox's order, which optimiser states and the rule depend on."""
    case = json.loads(reference("parity/models.json").read_text())["RhythmFormer/T32_128"]
    assert list(RhythmFormer().state_dict()) == [key for key, _, _ in case["state_dict"]]


def test_rule_made_network_gives_this_number():
    """Golden mean of the output for the rule-made input."""
    network = fill(RhythmFormer()).eval()
    with torch.no_grad():
        ppg = network(rule_input((1, 16, 3, 64, 64), time_axis=1))
    assert ppg.shape == (1, 16)
    assert ppg.mean().item() == pytest.approx(0.018172, abs=1e-5)


@pytest.mark.parametrize("size", [(8, 32, 32), (16, 64, 96), (8, 128, 64)])
def test_regions_follow_the_size_of_the_clip(size):
    """One value per frame, with fewer than 40 regions, too."""
    frames, height, width = size
    with torch.no_grad():
        assert RhythmFormer().eval()(torch.rand(2, frames, 3, height, width)).shape == (2, frames)


@pytest.mark.parametrize("size", [(12, 64, 64), (8, 144, 128), (8, 40, 64)])
def test_sizes_that_regions_do_not_tile_are_refused_by_name(size):
    """The error says which settings to change."""
    frames, height, width = size
    with pytest.raises(ValueError, match="CHUNK_LENGTH has to be divisible by 8, RESIZE.H and RESIZE.W by 64"):
        RhythmFormer()(torch.rand(1, frames, 3, height, width))


def test_regions_hold_their_neighbours_and_come_back():
    """Regions are runs in time, height and width in scan order, and cutting is undone exactly."""
    x = torch.arange(2 * 3 * 4 * 4 * 6).reshape(2, 3, 4, 4, 6)
    regions = to_regions(x, (2, 1, 3))
    assert regions.shape == (2, 16, 6, 3)
    assert torch.equal(regions[1, 9, :, 2], x[1, 2, 2:4, 0:1, 3:6].flatten())
    assert torch.equal(from_regions(regions, (2, 1, 3), (4, 4, 6)), x)


def test_attention_to_all_regions_is_plain_attention():
    """When every region is near, the result is softmax attention over all tokens."""
    q, k, v = torch.randn(3, 2, 6, 4, 8, dtype=torch.float64)
    out = region_attention(q, k, v, nearest_regions(q, k), heads=2, scale=8**-0.5)
    heads = [part.flatten(1, 2).unflatten(-1, (2, 4)).transpose(1, 2) for part in (q, k, v)]
    plain = torch.nn.functional.scaled_dot_product_attention(*heads, scale=8**-0.5)
    assert torch.allclose(out.flatten(1, 2), plain.transpose(1, 2).flatten(2))


def test_regions_choose_forty_by_their_means():
    """The chosen regions have the largest products of mean query and mean key."""
    q, k = torch.randn(2, 1, 50, 4, 8, generator=torch.Generator().manual_seed(0))
    chosen = nearest_regions(q, k)
    assert chosen.shape == (1, 50, 40)
    affinity = q.mean(dim=2) @ k.mean(dim=2).mT
    least, others = affinity[0, 7, chosen[0, 7]].min(), set(range(50)) - set(chosen[0, 7].tolist())
    assert all(affinity[0, 7, other] <= least for other in others)


def test_differences_repeat_the_end_frames():
    """Four differences about each frame; beyond the ends nothing changes."""
    video = torch.arange(5.0).square().reshape(1, 5, 1, 1, 1).repeat(1, 1, 3, 1, 1)  # 0 1 4 9 16
    steps = neighbour_differences(video)[0, :, ::3, 0, 0]
    expected = [[0, 0, 1, 3], [0, 1, 3, 5], [1, 3, 5, 7], [3, 5, 7, 0], [5, 7, 0, 0]]
    assert steps.tolist() == expected


@pytest.mark.parametrize("side", [32, 64])
def test_one_clip_has_half_the_gradient_of_two(side):
    """No layer treats a batch of one differently, backwards either; regions of one token are the hard case."""
    network = fill(RhythmFormer()).eval().double()
    video = rule_input((1, 8, 3, side, side), time_axis=1).double()
    one, two = (gradients(network, video.repeat(n, 1, 1, 1, 1)) for n in (1, 2))
    largest = max(float(gradient.abs().max()) for gradient in two)
    for single, double in zip(one, two, strict=True):
        assert torch.allclose(2 * single, double, rtol=1e-9, atol=1e-12 * largest)


def gradients(network, video):
    """Gradients of the sum of squared waves, of the parameters that have one."""
    network.zero_grad()
    network(video).square().sum().backward()
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def test_only_qkv_linear_is_never_used():
    """All parameters but those of `qkv_linear` get a gradient."""
    network = RhythmFormer()
    network(torch.rand(1, 8, 3, 32, 32)).sum().backward()
    unused = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert len(unused) == 12 and all("qkv_linear" in name for name in unused)
    assert METHODS["RhythmFormer"].unused_parameters


def test_region_attention_keeps_the_shape():
    """(B, C, t, h, w) in and out."""
    assert RegionAttention(8, 2, region_time=2)(torch.rand(1, 8, 4, 4, 8)).shape == (1, 8, 4, 4, 8)


def test_outputs_are_standardised_for_the_test(tmp_path):
    """Each clip is stored with mean 0 and standard deviation 1."""
    out = tiny_trainer(tmp_path).finish({"ppg": 5 * torch.randn(3, 64) + 2}, {})["ppg"]
    assert torch.allclose(out.std(dim=1), torch.ones(3), atol=1e-5)


def test_loss_reads_the_label_as_its_type_says(tmp_path):
    """A label marked as differentiated is summed up before its rate is read; both give the painted rate's bin."""
    time = torch.arange(256) / 30
    wave = torch.sin(2 * torch.pi * 1.3 * time)[None]
    trainer = tiny_trainer(tmp_path)
    for kind, label in (("Raw", wave), ("DiffNormalized", wave.diff(dim=1, append=wave[:, -1:]))):
        trainer.label_type = kind
        losses = trainer.loss({"ppg": wave}, {"ppg": label}, epoch=0)
        assert losses["loss"].item() == pytest.approx(0.2 * losses["time"].item() + losses["ce"].item())
        assert losses["ce"] < 4.6 and losses["clamped"] == 0


def test_unknown_form_names_the_key(tmp_path):
    """A misspelt form is an error when the trainer is made."""
    with pytest.raises(ValueError, match=r"MODEL\.RHYTHMFORMER\.CE is 'true'; known: reference, proper"):
        tiny_trainer(tmp_path, MODEL__RHYTHMFORMER=CfgNode({"CE": "true"}))


@pytest.mark.slow
def test_overfits_one_clip(tmp_path):
    """A few updates on one clip raise its correlation with the label."""
    trainer = tiny_trainer(tmp_path, TRAIN__EPOCHS=30, TRAIN__LR=3e-3)
    trainer.fit(ToyClips(n=1, size=32), folder=tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    times = [float(row.split(",")[rows[0].split(",").index("time")]) for row in rows[1:]]
    assert times[-1] < 0.02 < times[0] / 5
