"""PPG encoder: Net1D with narrow kernels and batch norm, its steps weighed by channel and temporal attention (CBAM).

Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018, https://arxiv.org/abs/1807.06521; Net1D: net1d.py

Input   a pulse wave (B, 1, L), z-scored; any L
Output  features (B, 512): the mean over time, before any projection
"""

import torch
from torch import nn

from neural_methods.model.net1d import Net1D


class CBAM(nn.Module):
    """Weights for channels, then for steps in time. (B, C, L) -> (B, C, L)."""

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7):
        """One small network for the mean and the largest value of each channel, one kernel for those of each step."""
        super().__init__()
        hidden = channels // reduction
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )
        self.temporal = nn.Conv1d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Weigh."""
        wave = wave * torch.sigmoid(self.channel(wave.mean(dim=-1)) + self.channel(wave.amax(dim=-1)))[..., None]
        both = torch.stack([wave.mean(dim=1), wave.amax(dim=1)], dim=1)
        return wave * torch.sigmoid(self.temporal(both))


class PPGNet1D(Net1D):
    """As published: five stages of kernel 3, the first convolution keeps the rate."""

    def __init__(self, dropout: float = 0.5):
        """`dropout` after each activation."""
        super().__init__(
            1, first=(32, 3, 1), filters=(32, 64, 128, 256, 512), blocks=(3, 4, 4, 4, 2), kernel=3, use_bn=True,
            dropout=dropout,
        )  # fmt: skip
        self.cbam = CBAM(self.features)

    def steps(self, wave: torch.Tensor) -> torch.Tensor:
        """Weighed features of every step (B, 512, L')."""
        return self.cbam(super().steps(wave))
