"""Selective state-space scan of Mamba in plain PyTorch, for long sequences on any device.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", COLM 2024,
https://arxiv.org/abs/2312.00752

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]        state (E, N), h[-1] = 0
    y[t] = C[t] . h[t]

The sequence (L samples) is cut into about sqrt(L) chunks of about sqrt(L) samples. All chunks advance side by side, so
the loop has sqrt(L) turns, each on one array (B * chunks, N, E): first with an empty state, for what each chunk
leaves behind; then the chunks are linked; then with the right state at the start of each. All factors are
exp(something <= 0), nothing is divided, so float32 is enough. The backward pass is the same recurrence run backwards.
It keeps the states at the chunks' starts only and makes the others again, a block of chunks at a time: memory grows
with the sequence as the input does, not N times faster.
"""

import functools
import importlib
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 2**22  # states (float32: 16 MiB) made again at once in the backward pass; larger blocks gain little


def selective_scan(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, kernel: bool = True
) -> torch.Tensor:
    """Output y (B, L, E) of the recurrence for input `u` (B, L, E).

    delta (B, L, E), step sizes >= 0; a (E, N), decay rates <= 0; b and c (B, L, N), input and output weights.
    Half-precision inputs are computed in float32. With `kernel`, mamba-ssm's CUDA kernel is used for float32 on a GPU
    where that package is installed.
    """
    dtype = torch.promote_types(u.dtype, torch.float32)
    u, delta, a, b, c = (part.to(dtype) for part in (u, delta, a, b, c))
    fused = mamba_ssm_kernel() if kernel and u.is_cuda and dtype == torch.float32 else None
    return _chunked(u, delta, a, b, c) if fused is None else call_kernel(fused, u, delta, a, b, c)


@functools.cache
def mamba_ssm_kernel() -> Callable[..., torch.Tensor] | None:
    """The package's `selective_scan_fn`, None where it is not installed or was built for another torch."""
    try:
        return importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    except (ImportError, OSError, RuntimeError):
        return None


def call_kernel(kernel: Callable[..., torch.Tensor], u, delta, a, b, c) -> torch.Tensor:
    """`selective_scan` by a function of mamba-ssm's form, which wants the sequence last: (B, E, L), (B, N, L)."""
    u, delta, b, c = (part.transpose(1, 2).contiguous() for part in (u, delta, b, c))
    return kernel(u, delta, a.contiguous(), b, c).transpose(1, 2)


@torch.compiler.disable
def _chunked(u, delta, a, b, c) -> torch.Tensor:
    """Cut into chunks (rows), scan, join. Zero padding at the end has step size 0 and changes no state."""
    length = int(u.shape[1])  # int: to be exported
    size = chunk_size(length)
    pad = -length % size
    parts = [F.pad(part, (0, 0, 0, pad)) if pad else part for part in (delta, delta * u, b, c)]
    rows = [part.unflatten(1, (-1, size)) for part in parts]  # (B, K, size, E or N)
    return _Scan.apply(rows[0], rows[1], a.t(), rows[2], rows[3]).flatten(1, 2)[:, :length]


def chunk_size(length: int) -> int:
    """Samples of a chunk: the power of two next to the square root of `length`."""
    return 2 ** round(math.log2(max(length, 1)) / 2)


class _Scan(torch.autograd.Function):
    """y of the recurrence with w = delta * u, per chunk: delta, w (B, K, S, E), a (N, E), b and c (B, K, S, N)."""

    @staticmethod
    def forward(ctx, delta, w, a, b, c):
        """Scan with empty states, link the chunks, scan with the right ones."""
        leftover = _advance(_zeros(delta, a), delta, w, a, b)
        start = link(leftover, torch.exp(delta.sum(dim=2).unsqueeze(2) * a))
        y = torch.empty_like(w)
        _advance(start.clone(), delta, w, a, b, c, y)
        ctx.save_for_backward(delta, w, a, b, c, start)
        return y

    @staticmethod
    def symbolic(g, delta, w, a, b, c):
        """In an exported network it is a function of that file: see `onnx_symbols`."""
        free = w.type().with_sizes([None, *w.type().varyingSizes()[1:]])  # of clips there may be any number
        return g.op("pulsescope::SelectiveScan", delta, w, a, b, c).setType(free)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """The gradient's recurrence linked over all chunks, then block by block with the states made again."""
        delta, w, a, b, c, start = ctx.saved_tensors
        decay = torch.exp(delta.sum(dim=2).unsqueeze(2) * a)
        end = link(_retreat(_zeros(delta, a), delta, a, c, grad), decay, reverse=True)
        flat = [part.flatten(0, 1) for part in (delta, w, b, c, grad, start, end)]  # (B K, ...)
        outs = [torch.empty_like(part) for part in flat[:4]]
        grad_a = torch.zeros_like(a)
        block = max(1, BLOCK_ELEMENTS // (delta.shape[2] * a.numel()))
        for first in range(0, len(flat[0]), block):
            rows = slice(first, first + block)
            grad_a += _backward_block(*(part[rows] for part in flat), a, *(part[rows] for part in outs))
        grads = [out.view_as(part) for out, part in zip(outs, (delta, w, b, c), strict=True)]
        return grads[0], grads[1], grad_a, grads[2], grads[3]


def _zeros(delta: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Empty states (B, K, N, E), one per chunk."""
    return delta.new_zeros(*delta.shape[:2], *a.shape)


def _advance(h, delta, w, a, b, c=None, y=None) -> torch.Tensor:
    """Run all chunks once from state `h` (B, K, N, E), changed in place and returned; with `c`, write y, too."""
    decay, inflow = torch.empty_like(h), torch.empty_like(h)
    for t in range(delta.shape[2]):
        torch.mul(delta[:, :, t, None, :], a, out=decay).exp_()
        torch.mul(w[:, :, t, None, :], b[:, :, t, :, None], out=inflow)
        torch.addcmul(inflow, decay, h, out=h)
        if c is not None:
            y[:, :, t] = torch.mul(h, c[:, :, t, :, None], out=inflow).sum(dim=2)
    return h


def _retreat(g, delta, a, c, grad) -> torch.Tensor:
    """Run all chunks once backwards: the gradient that each chunk hands to the state before it, from `g` after it."""
    decay, inflow = torch.empty_like(g), torch.empty_like(g)
    for t in reversed(range(delta.shape[2])):
        torch.mul(grad[:, :, t, None, :], c[:, :, t, :, None], out=inflow)
        torch.mul(delta[:, :, t, None, :], a, out=decay).exp_()
        torch.mul(g.add_(inflow), decay, out=g)
    return g


def link(leftover: torch.Tensor, decay: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    """State at the start of each chunk (B, K, N, E), from what each leaves behind and by how much it decays the rest.

    `reverse` walks from the last chunk to the first and gives the state after each chunk.
    """
    state = torch.zeros_like(leftover)
    order = range(leftover.shape[1])
    order = list(reversed(order) if reverse else order)
    for before, chunk in zip(order, order[1:], strict=False):
        torch.addcmul(leftover[:, before], decay[:, before], state[:, before], out=state[:, chunk])
    return state


def _backward_block(delta, w, b, c, grad, start, end, a, grad_delta, grad_w, grad_b, grad_c) -> torch.Tensor:
    """Gradients of some chunks, written to the last four arrays; returns their share of the gradient of `a`.

    `delta`, `w`, `grad` (R, S, E); `b`, `c` (R, S, N); `start`, `end` (R, N, E): state before, its gradient after.
    """
    decay, states = _remember(start, delta, w, a, b)  # (S, R, N, E) and (S+1, R, N, E)
    g, share = end.clone(), torch.zeros_like(end)
    for t in reversed(range(delta.shape[1])):
        torch.addcmul(g, grad[:, t, None, :], c[:, t, :, None], out=g)  # d loss / d h[t]
        grad_c[:, t] = (states[t + 1] * grad[:, t, None, :]).sum(dim=2)
        grad_b[:, t] = (g * w[:, t, None, :]).sum(dim=2)
        grad_w[:, t] = (g * b[:, t, :, None]).sum(dim=1)
        g *= decay[t]  # d loss / d h[t-1]
        exponent = g * states[t]  # d loss / d (delta[t] a)
        grad_delta[:, t] = (exponent * a).sum(dim=1)
        torch.addcmul(share, exponent, delta[:, t, None, :], out=share)
    return share.sum(dim=0)


def _remember(start, delta, w, a, b) -> tuple[torch.Tensor, torch.Tensor]:
    """All decay factors (S, R, N, E) and states (S + 1, R, N, E) of some chunks."""
    decay = torch.exp(delta.transpose(0, 1).unsqueeze(2) * a)
    states = torch.empty(len(decay) + 1, *start.shape, dtype=start.dtype, device=start.device)
    states[0] = start
    torch.mul(w.transpose(0, 1).unsqueeze(2), b.transpose(0, 1).unsqueeze(3), out=states[1:])
    for t in range(len(decay)):
        states[t + 1].addcmul_(decay[t], states[t])
    return decay, states
