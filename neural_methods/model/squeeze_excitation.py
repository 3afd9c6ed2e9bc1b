"""Squeeze-and-excitation for maps over time and space: each channel is weighted by a gate made from all channels.

Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, https://arxiv.org/abs/1709.01507

Input   features  (B, C, T, H, W)
Output  the same, each channel times its gate in (0, 1): one gate per clip, or one per frame with `temporal`
Unusual: the last bias starts at 2, so that gates start near 0.88 and the network close to the one without them.
"""

import torch
from torch import nn

LEAST_WIDTH = 4  # channels inside, however strong the reduction
FIRST_BIAS = 2.0  # sigmoid(2) = 0.88
FRAMES = 5  # a temporal gate sees so many frames at once


class SqueezeExcitation(nn.Module):
    """Gates s = sigmoid(W2 relu(W1 z)), z the mean of each channel over time and space, or over space alone."""

    def __init__(self, channels: int, reduction: int = 16, temporal: bool = False):
        """`channels` shrink by `reduction` inside; ValueError when that is below 1."""
        super().__init__()
        if reduction < 1:
            raise ValueError(f"MODEL.SE.REDUCTION is {reduction}; it divides the channels and must be at least 1.")
        width = max(channels // reduction, LEAST_WIDTH)
        self.temporal = temporal
        self.squeeze = _layer(channels, width, temporal)
        self.excite = _layer(width, channels, temporal)
        nn.init.constant_(self.excite.bias, FIRST_BIAS)
        self.seen: torch.Tensor | None = None  # gates of the last training batch, for statistics

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the same shape."""
        gates = self.gates(x)
        if self.training:
            self.seen = gates.detach()
        return x * (gates[..., None, None] if self.temporal else gates[..., None, None, None])

    def gates(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> gates (B, C), or (B, C, T) with `temporal`."""
        z = x.mean(dim=(3, 4) if self.temporal else (2, 3, 4))
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(z))))


def _layer(channels_in: int, channels_out: int, temporal: bool) -> nn.Module:
    if temporal:
        return nn.Conv1d(channels_in, channels_out, FRAMES, padding=FRAMES // 2)
    return nn.Linear(channels_in, channels_out)
