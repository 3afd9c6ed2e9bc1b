"""A residual network for waves: blocks that normalise before they convolve, wider and shorter as they go deeper.

He et al., "Identity mappings in deep residual networks", ECCV 2016, in one dimension, as Hong et al. use it for ECGs.
Input (B, C, L); output (B, width): the mean over time.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """(B, inside, L) -> (B, outside, L / stride); the way past it is pooled and gets channels of zeros."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, first: bool):
        """`first`: what comes in is normalised already."""
        super().__init__()
        self.stride, self.more = stride, outside - inside
        self.before = nn.Identity() if first else nn.Sequential(nn.BatchNorm1d(inside), nn.ReLU())
        self.conv1 = nn.Conv1d(inside, outside, kernel, stride, kernel // 2)
        self.between = nn.Sequential(nn.BatchNorm1d(outside), nn.ReLU())
        self.conv2 = nn.Conv1d(outside, outside, kernel, 1, kernel // 2)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Convolve twice and add."""
        found = self.conv2(self.between(self.conv1(self.before(waves))))
        past = F.max_pool1d(waves, self.stride, self.stride, ceil_mode=True) if self.stride > 1 else waves
        return found + F.pad(past[..., : found.shape[-1]], (0, 0, 0, self.more))


class ResNet1D(nn.Module):
    """`blocks` of which every second halves the time, and every fourth doubles the channels."""

    def __init__(self, channels: int = 1, filters: int = 32, blocks: int = 16, kernel: int = 3, width: int = 512):
        """`width` of the features."""
        super().__init__()
        self.width = width
        self.begin = nn.Sequential(
            nn.Conv1d(channels, filters, kernel, 1, kernel // 2), nn.BatchNorm1d(filters), nn.ReLU()
        )
        made, inside = [], filters
        for number in range(blocks):
            outside = filters * 2 ** (number // 4)
            made.append(Block(inside, outside, kernel, 2 if number % 2 else 1, number == 0))
            inside = outside
        self.blocks = nn.Sequential(*made)
        self.end = nn.Sequential(nn.BatchNorm1d(inside), nn.ReLU())
        self.features = nn.Linear(inside, width)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """(B, C, L), or (B, L) of one channel -> (B, width)."""
        waves = waves[:, None] if waves.ndim == 2 else waves
        return self.features(self.end(self.blocks(self.begin(waves))).mean(dim=-1))
