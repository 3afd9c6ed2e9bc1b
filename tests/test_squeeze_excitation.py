"""Squeeze-and-excitation: the formula, where gates start, one gate per frame, small sizes."""

import pytest
import torch

from neural_methods.model.squeeze_excitation import SqueezeExcitation


def test_output_is_the_formula():
    """x times sigmoid(W2 relu(W1 z)), z the mean over time and space, W1 to max(C / r, 4) channels."""
    torch.manual_seed(0)
    module, x = SqueezeExcitation(64, reduction=8).double(), torch.randn(2, 64, 5, 4, 3).double()
    assert module.squeeze.weight.shape == (8, 64) and SqueezeExcitation(16).squeeze.weight.shape == (4, 16)
    z = x.mean(dim=(2, 3, 4))
    inner = torch.relu(z @ module.squeeze.weight.T + module.squeeze.bias)
    gates = torch.sigmoid(inner @ module.excite.weight.T + module.excite.bias)
    assert torch.allclose(module(x), x * gates[:, :, None, None, None], rtol=0, atol=1e-12)


@pytest.mark.parametrize("temporal", [False, True])
def test_gates_start_near_0_88(temporal):
    """The network starts close to the one without gates."""
    torch.manual_seed(0)
    gates = SqueezeExcitation(64, temporal=temporal).gates(torch.rand(3, 64, 16, 8, 8))
    assert float(gates.mean()) == pytest.approx(0.88, abs=0.02)


def test_temporal_gates_follow_the_light():
    """A step of brightness changes the gates about it and nowhere else: two kernels of five frames reach four."""
    torch.manual_seed(0)
    module, x = SqueezeExcitation(8, temporal=True).double(), torch.rand(1, 8, 30, 4, 4).double()
    brighter = x.clone()
    brighter[:, :, 15:] *= 2
    change = (module.gates(brighter) - module.gates(x)).abs().sum(dim=(0, 1))
    assert module.gates(x).shape == (1, 8, 30)
    assert change[:11].max() == 0 and change[15] > 0
    assert SqueezeExcitation(8).double().gates(x).shape == (1, 8)


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1, 1), (2, 4, 1, 3, 1), (1, 4, 3, 1, 2)])
def test_sizes_of_one_work(temporal, shape):
    """One clip, one frame, one pixel."""
    out = SqueezeExcitation(4, temporal=temporal)(torch.rand(shape))
    assert out.shape == shape and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("temporal", [False, True])
def test_gradients_are_right(temporal):
    """Against finite differences."""
    torch.manual_seed(0)
    module = SqueezeExcitation(4, temporal=temporal).double()
    assert torch.autograd.gradcheck(module, torch.randn(1, 4, 3, 2, 2).double().requires_grad_())


def test_a_reduction_below_one_is_refused():
    """The key is named."""
    with pytest.raises(ValueError, match="MODEL.SE.REDUCTION is 0"):
        SqueezeExcitation(8, reduction=0)
