"""Net1D: a one-dimensional residual network with grouped convolutions, the encoder of ECGFounder.

Hong et al., "HOLMES: Health OnLine Model Ensemble Serving for Deep Learning Models in Intensive Care Units", KDD 2020,
https://arxiv.org/abs/2008.04063; trained on ten million ECGs by Li et al., "An Electrocardiogram Foundation Model Built
on over 10 Million Recordings", NEJM AI 2(7), 2025, https://arxiv.org/abs/2410.04133

Input   a wave (B, C, L), z-scored; any L
Output  features (B, filters[-1]): the mean over time
Unusual: padding keeps ceil(L / stride) samples, more zeros at the end than at the start; the identity path is
max-pooled and gets zero channels on both sides, so it has no weights; layers of batch norm exist in every network, used
or not, because published files hold them: ECGFounder was trained without batch norm and without dropout.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ECG_FOUNDER: Mapping[str, Any] = {
    "first": (64, 16, 2),
    "filters": (64, 160, 160, 400, 400, 1024, 1024),
    "blocks": (2, 2, 2, 3, 3, 4, 4),
    "kernel": 16,
}


class SameConv(nn.Module):
    """A convolution (B, C, L) -> (B, C', ceil(L / stride)) with zeros around, the odd one at the end."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1):
        """The layer is called `conv`, as in published files."""
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv1d(channels, filters, kernel, stride, groups=groups)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        length = wave.shape[-1]
        total = max(0, (-(-length // self.stride) - 1) * self.stride + self.kernel - length)
        return self.conv(F.pad(wave, (total // 2, total - total // 2)) if total else wave)


def same_pool(wave: torch.Tensor, stride: int) -> torch.Tensor:
    """The largest of each `stride` samples, (B, C, L) -> (B, C, ceil(L / stride)), zeros around as in `SameConv`."""
    spare = stride - 1
    return F.max_pool1d(F.pad(wave, (spare // 2, spare - spare // 2)), stride)


class Block(nn.Module):
    """Pointwise, grouped and pointwise convolution, squeeze and excitation, plus the identity."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int, width: int, very_first: bool, **norm):
        """`stride` of the first block of a stage, else 1; `width` channels a group; `norm`: see `Net1D`."""
        super().__init__()
        self.stride, self.very_first = stride, very_first
        self.use_bn, self.dropout = norm["use_bn"], norm["dropout"]
        self.bn1, self.conv1 = nn.BatchNorm1d(channels), SameConv(channels, filters, 1)
        self.bn2 = nn.BatchNorm1d(filters)
        self.conv2 = SameConv(filters, filters, kernel, stride, groups=filters // width)
        self.bn3, self.conv3 = nn.BatchNorm1d(filters), SameConv(filters, filters, 1)
        self.se_fc1, self.se_fc2 = nn.Linear(filters, filters // 2), nn.Linear(filters // 2, filters)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """(B, C, L) -> (B, filters, ceil(L / stride))."""
        out = self.conv1(wave if self.very_first else self._active(wave, self.bn1))
        out = self.conv2(self._active(out, self.bn2))
        out = self.conv3(self._active(out, self.bn3))
        weight = torch.sigmoid(self.se_fc2(F.silu(self.se_fc1(out.mean(dim=-1)))))
        identity = same_pool(wave, self.stride) if self.stride > 1 else wave
        grown = out.shape[1] - identity.shape[1]
        return out * weight[..., None] + F.pad(identity, (0, 0, grown // 2, grown - grown // 2))

    def _active(self, wave: torch.Tensor, norm: nn.Module) -> torch.Tensor:
        wave = F.silu(norm(wave) if self.use_bn else wave)
        return F.dropout(wave, self.dropout, self.training) if self.dropout else wave


class Net1D(nn.Module):
    """The network without its classifier: features, by default those of ECGFounder."""

    def __init__(
        self,
        channels: int = 1,
        first: tuple[int, int, int] = ECG_FOUNDER["first"],
        filters: Sequence[int] = ECG_FOUNDER["filters"],
        blocks: Sequence[int] = ECG_FOUNDER["blocks"],
        kernel: int = ECG_FOUNDER["kernel"],
        stride: int = 2,
        width: int = 16,
        use_bn: bool = False,
        dropout: float = 0.0,
    ):
        """`first`: filters, kernel and stride of the first convolution; `blocks` in each stage of `filters` channels.

        `use_bn`: whether batch norm is applied; `dropout` after each activation, 0: none.
        """
        super().__init__()
        self.use_bn, self.features = use_bn, filters[-1]
        self.first_conv = SameConv(channels, *first)
        self.first_bn = nn.BatchNorm1d(first[0])
        self.stage_list = nn.ModuleList()
        channels, norm = first[0], {"use_bn": use_bn, "dropout": dropout}
        for stage, (size, count) in enumerate(zip(filters, blocks, strict=True)):
            made = [
                Block(size if number else channels, size, kernel, 1 if number else stride, width,
                      very_first=not stage and not number, **norm)
                for number in range(count)
            ]  # fmt: skip
            self.stage_list.append(Stage(made))
            channels = size

    def steps(self, wave: torch.Tensor) -> torch.Tensor:
        """(B, C, L) -> features of every step in time (B, features, L')."""
        wave = self.first_conv(wave)
        wave = F.silu(self.first_bn(wave) if self.use_bn else wave)
        for stage in self.stage_list:
            wave = stage(wave)
        return wave

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """(B, C, L) -> (B, features)."""
        return self.steps(wave).mean(dim=-1)


class Stage(nn.Module):
    """Blocks in a row, called `block_list` as in published files."""

    def __init__(self, blocks: Sequence[nn.Module]):
        """The blocks."""
        super().__init__()
        self.block_list = nn.ModuleList(blocks)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """One after the other."""
        for block in self.block_list:
            wave = block(wave)
        return wave
