"""The chunked selective scan: equal to the step-by-step recurrence, forwards and backwards, at any length."""

import pytest
import torch
import torch.nn.functional as F

from neural_methods.model.selective_scan import call_kernel, chunk_size, selective_scan


def step_by_step(u, delta, a, b, c):
    """The recurrence as it is written, one Python step per sample."""
    state = u.new_zeros(len(u), u.shape[2], a.shape[1])
    outputs = []
    for t in range(u.shape[1]):
        step = delta[:, t, :, None]
        state = torch.exp(step * a) * state + step * u[:, t, :, None] * b[:, t, None, :]
        outputs.append((state * c[:, t, None, :]).sum(dim=-1))
    return torch.stack(outputs, dim=1)


def random_inputs(length, batch=2, width=3, states=4, dtype=torch.float64, seed=0):
    """u, delta, a, b, c with decays from nearly none to nearly total."""
    generator = torch.Generator().manual_seed(seed)
    u, delta = (torch.randn(batch, length, width, dtype=dtype, generator=generator) for _ in range(2))
    b, c = (torch.randn(batch, length, states, dtype=dtype, generator=generator) for _ in range(2))
    rates = -torch.exp(2 * torch.randn(width, states, dtype=dtype, generator=generator))
    return [part.requires_grad_() for part in (u, F.softplus(delta).detach(), rates, b, c)]


@pytest.mark.parametrize("length", [1, 2, 7, 64, 137, 300])
def test_equals_the_recurrence(length):
    """Outputs agree in double precision, also where the length is no multiple of the chunk."""
    inputs = random_inputs(length)
    assert torch.allclose(selective_scan(*inputs), step_by_step(*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 7, 64, 137])
def test_gradients_equal_those_of_the_recurrence(length):
    """All five gradients agree with autograd through the steps, in double precision."""
    inputs = random_inputs(length)
    weights = torch.randn(2, length, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad((selective_scan(*inputs) * weights).sum(), inputs)
    theirs = torch.autograd.grad((step_by_step(*inputs) * weights).sum(), inputs)
    for mine, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, expected, rtol=1e-10, atol=1e-11)


def test_gradients_pass_the_numeric_check():
    """Finite differences agree, independently of any other implementation."""
    assert torch.autograd.gradcheck(selective_scan, random_inputs(11, width=2, states=2))


def test_blocks_of_the_backward_pass_do_not_matter(monkeypatch):
    """One chunk at a time gives the gradients of all chunks at once."""
    inputs = random_inputs(130)
    whole = torch.autograd.grad(selective_scan(*inputs).square().sum(), inputs)
    monkeypatch.setattr("neural_methods.model.selective_scan.BLOCK_ELEMENTS", 1)
    single = torch.autograd.grad(selective_scan(*inputs).square().sum(), inputs)
    for one, other in zip(whole, single, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_float32_is_enough_at_the_published_length():
    """65,536 samples in float32 stay within 1e-5 of double precision: nothing is divided by vanishing products."""
    inputs = [part.detach() for part in random_inputs(65_536, batch=1, width=2, states=16)]
    exact = selective_scan(*inputs)
    single = selective_scan(*(part.float() for part in inputs))
    assert (single - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_large_steps_forget_and_stay_finite():
    """Steps so large that the past vanishes at once give y = c . b delta u, without infinities, gradients included."""
    u, delta, a, b, c = random_inputs(100)
    delta = (delta.detach() * 1e6).requires_grad_()
    a = (a.detach() - 1).requires_grad_()
    y = selective_scan(u, delta, a, b, c)
    assert torch.allclose(y, (b * c).sum(dim=-1, keepdim=True) * delta * u)
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(y.sum(), (u, delta, a, b, c)))


def test_loop_is_as_long_as_the_root_of_the_sequence():
    """256 turns for 65,536 samples."""
    assert chunk_size(65_536) == 256
    assert all(chunk_size(length) ** 2 <= 4 * length for length in (1, 2, 100, 32_768))


def test_kept_memory_does_not_grow_with_the_states():
    """What waits for the backward pass is a few inputs' worth, though there are 16 states per channel."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        inputs = random_inputs(4096, batch=1, width=32, states=16)
        selective_scan(*inputs)
    everything = 4096 * 32 * 16
    assert sum(kept) < everything / 2


def test_the_past_does_not_see_the_future():
    """A changed sample changes outputs from there on only."""
    u, delta, a, b, c = (part.detach() for part in random_inputs(50))
    before = selective_scan(u, delta, a, b, c)
    changed = u.clone()
    changed[:, 30] += 1
    difference = (selective_scan(changed, delta, a, b, c) - before).abs().amax(dim=(0, 2))
    assert difference[:30].max() == 0 < difference[30]


def test_half_precision_is_computed_in_single():
    """bfloat16 inputs give float32 outputs."""
    assert selective_scan(*(part.detach().bfloat16() for part in random_inputs(9))).dtype == torch.float32


def test_kernel_of_mamba_ssm_gets_its_own_layout():
    """A stand-in with the package's axes (sequence last) gives the same result."""

    def stand_in(u, delta, a, b, c):
        assert all(part.is_contiguous() for part in (u, delta, a, b, c))
        return step_by_step(*(part.transpose(1, 2) for part in (u, delta)), a, b.mT, c.mT).transpose(1, 2)

    inputs = random_inputs(20)
    assert torch.allclose(call_kernel(stand_in, *inputs), selective_scan(*inputs))
