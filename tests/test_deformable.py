"""Deformable alignment: a convolution at the start, shifted where shifts say so, differentiable, and worth it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.deformable import DeformableConv2d, DeformablePair, restlessness, sample


def layer(channels=3, out=4, **options):
    """A layer in double precision with reproducible weights."""
    torch.manual_seed(0)
    return DeformableConv2d(channels, out, **options).double()


def plain(module, x):
    """The ordinary zero-padded convolution with the same weights."""
    return F.conv2d(x, module.conv.weight, module.conv.bias, padding=module.kernel // 2)


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("sides", [(7, 9), (1, 6), (6, 1), (1, 1), (2, 2)])
def test_zero_offsets_equal_a_convolution(modulated, kernel, sides):
    """To 1e-12 in double precision, also where the map is one pixel high or wide."""
    module, x = layer(kernel=kernel, modulated=modulated), torch.randn(2, 3, *sides).double()
    assert (module(x) - plain(module, x)).abs().max() < 1e-12


def test_a_constant_offset_equals_the_shifted_image():
    """One pixel to the right everywhere: the convolution of the image moved one pixel to the left, in the interior."""
    module, x = layer(modulated=False), torch.randn(1, 3, 8, 10).double()
    with torch.no_grad():
        module.offsets.bias[module.taps :] = 1.0
    expected = plain(module, x.roll(-1, dims=3))
    assert (module(x) - expected)[..., 1:-1, 1:-2].abs().max() < 1e-12


def test_offsets_between_pixels_interpolate_and_outside_is_zero():
    """Half a pixel is the mean of two, half a pixel beyond the edge half of it, two pixels beyond nothing."""
    x, shifts = torch.tensor([[[[2.0, 4.0]]]]).double(), torch.zeros(1, 2, 1, 1, 2).double()
    shifts[0, 1, 0, 0] = torch.tensor([0.5, 0.5])
    assert sample(x, shifts, 1).flatten().tolist() == pytest.approx([3.0, 2.0])
    shifts[0, 1, 0, 0] = torch.tensor([-2.0, 0.0])
    shifts[0, 0, 0, 0] = torch.tensor([0.0, 0.25])
    assert sample(x, shifts, 1).flatten().tolist() == pytest.approx([0.0, 3.0])


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("sides", [(4, 3), (1, 3)])
def test_gradients_are_right(modulated, sides):
    """Of input, weights and shifts, against finite differences, at shifts that are no whole pixels."""
    module = layer(2, 2, modulated=modulated, max_offset=2.0)
    nn.init.normal_(module.offsets.weight, std=0.1)
    nn.init.uniform_(module.offsets.bias, 0.2, 0.4)
    x = torch.randn(1, 2, *sides).double().requires_grad_()
    names, values = zip(*module.named_parameters(), strict=True)

    def run(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values))


def test_offsets_stay_within_their_limits():
    """A quarter of the map, each side for itself, or MAX_OFFSET pixels."""
    x = torch.randn(1, 3, 8, 16).double()
    for options, (down, right) in (({}, (2.0, 4.0)), ({"max_offset": 1.5}, (1.5, 1.5))):
        module = layer(**options)
        nn.init.constant_(module.offsets.bias, 100.0)
        shifts = module.shifts(x)[0].detach()
        assert float(shifts[:, 0].max()) == down and float(shifts[:, 1].max()) == right


def test_the_pair_starts_as_two_convolutions():
    """Every frame for itself, then three frames; clips and frames keep their places."""
    torch.manual_seed(0)
    pair, x = DeformablePair(3, 4, 3, True, 0.0).double(), torch.randn(2, 3, 5, 6, 7).double()
    frames = torch.stack([plain(pair.spatial, x[:, :, t]) for t in range(5)], dim=2)
    assert (pair(x) - pair.temporal(frames)).abs().max() < 1e-12
    assert pair(x[:, :, :1]).shape == (2, 4, 1, 6, 7)


def test_restlessness_is_the_mean_change_from_frame_to_frame():
    """Two clips of three frames whose shifts grow by one pixel a frame; a single frame is at rest."""
    shifts = torch.arange(3.0).repeat(2).view(6, 1, 1, 1, 1).expand(6, 2, 9, 4, 4)
    assert float(restlessness(shifts, 3)) == 1.0
    assert float(restlessness(shifts[:1], 1)) == 0.0


def test_it_runs_in_mixed_precision():
    """Positions stay float32 where the features are bfloat16."""
    module = DeformableConv2d(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(torch.randn(1, 3, 6, 6))
    expected = plain(module, torch.zeros(1, 3, 6, 6)).shape
    assert out.shape == expected and bool(torch.isfinite(out).all())


@pytest.mark.parametrize(("options", "key"), [({"kernel": 2}, "KERNEL"), ({"max_offset": -1.0}, "MAX_OFFSET")])
def test_impossible_options_name_their_key(options, key):
    """An even kernel has no centre."""
    with pytest.raises(ValueError, match=f"MODEL.DEFORM.{key}"):
        DeformableConv2d(3, 4, **options)


def moving_patch(frames=32, side=9):
    """Frames (T, 1, H, W) of a soft patch that pulsates and wanders sideways by two pixels, and its brightness (T,)."""
    t = torch.arange(frames)
    pulse = 1 + 0.2 * torch.sin(2 * torch.pi * 1.2 * t / 10)
    place = side // 2 + 2 * torch.sin(2 * torch.pi * t / frames)
    across = torch.exp(-((torch.arange(side) - place[:, None]) ** 2) / 8)
    down = torch.exp(-((torch.arange(side) - side // 2) ** 2) / 8)
    return (pulse[:, None, None] * down[:, None] * across[:, None])[:, None], pulse


def test_alignment_reads_a_moving_patch_better():
    """Brightness of the patch read at one fixed pixel: shifts that follow it err less than an ordinary convolution."""
    frames, pulse = moving_patch()
    errors = {}
    for name, rate in (("plain", 0.0), ("aligned", 0.01)):
        torch.manual_seed(0)
        module = DeformableConv2d(1, 1, kernel=3, max_offset=3.0)
        groups = [{"params": module.conv.parameters()}, {"params": module.offsets.parameters(), "lr": rate}]
        optimizer = torch.optim.Adam(groups, lr=0.01)
        for _ in range(300):
            optimizer.zero_grad()
            loss = F.mse_loss(module(frames)[:, 0, 4, 4], pulse)
            loss.backward()
            optimizer.step()
        errors[name] = loss.item()
    assert errors["aligned"] < 0.5 * errors["plain"], errors
