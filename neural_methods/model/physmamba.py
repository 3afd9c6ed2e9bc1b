"""PhysMamba: slow and fast state-space streams for remote PPG.

Luo et al., "PhysMamba: Efficient Remote Physiological Measurement with SlowFast Temporal Difference Mamba",
CCBR 2024, https://arxiv.org/abs/2409.12031

Input   video  (B, 3, T, H, W) = (B, 3, 128, 128, 128), DiffNormalized; T divisible by 4, H and W at least 16
Output  ppg    (B, T), no unit
Unusual: the Mamba layers read all tokens of a clip as one sequence of T H W samples (up to 65,536 at the published
size), in both directions, with own parameters for each direction. The scan is `selective_scan`: no CUDA package needed.
"""

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.physformer import double_rate
from neural_methods.model.selective_scan import selective_scan
from neural_methods.model.temporal_difference import TemporalDifferenceConv

THETA = 0.5


class PhysMamba(nn.Module):
    """The network; `theta` weighs the temporal difference, the two dropout rates are those of the early/late layers."""

    def __init__(self, theta: float = THETA, early_dropout: float = 0.25, late_dropout: float = 0.5):
        """Published values by default."""
        super().__init__()
        self.ConvBlock1 = conv_block(3, 16, (1, 5, 5), padding=(0, 2, 2))
        self.ConvBlock2 = conv_block(16, 32, 3, padding=1)
        self.ConvBlock3 = conv_block(32, 64, 3, padding=1)
        self.ConvBlock4 = conv_block(64, 64, (4, 1, 1), stride=(4, 1, 1))
        self.ConvBlock5 = conv_block(64, 32, (2, 1, 1), stride=(2, 1, 1))
        self.ConvBlock6 = conv_block(32, 32, (3, 1, 1), padding=(1, 0, 0), activation=nn.ELU())
        self.Block1, self.Block2, self.Block3 = (mamba_block(64, theta) for _ in range(3))
        self.Block4, self.Block5, self.Block6 = (mamba_block(32, theta) for _ in range(3))
        self.upsample1 = double_rate(64, 64)
        self.upsample2 = double_rate(96, 48)
        self.ConvBlockLast = nn.Conv3d(48, 1, 1)
        self.fuse_1 = FastToSlow()
        self.fuse_2 = FastToSlow()
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.early_drop = nn.Dropout(early_dropout)
        self.late_drop = nn.Dropout(late_dropout)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> ppg (B, T); ValueError when T or the image does not fit."""
        frames, height, width = video.shape[2:]
        if frames % 4 or not frames or min(height, width) < 16:
            raise ValueError(
                f"PhysMamba got clips of {frames} frames of {height}x{width} pixels. CHUNK_LENGTH has to be divisible "
                f"by 4, RESIZE.H and RESIZE.W at least 16."
            )
        x = self.pool(self.ConvBlock1(video))
        x = self.pool(self.ConvBlock3(self.ConvBlock2(x)))  # (B, 64, T, H/4, W/4)
        x = self._two_streams(self.ConvBlock4(x), self.ConvBlock5(x))  # (B, 96, T/2, H/16, W/16)
        x = self.upsample2(x).mean(dim=(3, 4), keepdim=True)  # (B, 48, T, 1, 1)
        return self.ConvBlockLast(x).flatten(1)

    def _two_streams(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        """`slow` (B, 64, T/4, h, w) and `fast` (B, 32, T/2, h, w) -> both at (B, 32 + 64, T/2, h/4, w/4)."""
        slow = self.early_drop(self.pool(self.Block1(slow)))
        fast = self.early_drop(self.pool(self.Block4(fast)))
        slow = slow + self.fuse_1(fast)
        slow = self.late_drop(self.pool(self.Block2(slow)))
        fast = self.late_drop(self.pool(self.Block5(fast)))
        slow = slow + self.fuse_2(fast)
        slow = self.late_drop(self.upsample1(self.Block3(slow)))
        fast = self.late_drop(self.ConvBlock6(self.Block6(fast)))
        return torch.cat([fast, slow], dim=1)


def conv_block(in_channels: int, out_channels: int, kernel, stride=1, padding=0, activation=None) -> nn.Sequential:
    """3-D convolution, batch norm, ReLU (or `activation`)."""
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, kernel, stride=stride, padding=padding),
        nn.BatchNorm3d(out_channels),
        activation or nn.ReLU(inplace=True),
    )


def mamba_block(channels: int, theta: float) -> nn.Sequential:
    """Temporal-difference convolution, batch norm, ReLU, Mamba layer, channel attention: (B, C, T, H, W) kept."""
    return nn.Sequential(
        TemporalDifferenceConv(channels, channels, theta),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
        MambaLayer(channels),
        ChannelAttention(channels),
    )


class FastToSlow(nn.Module):
    """Brings the fast stream (B, 32, T/2, h, w) to the slow one's channels and rate (B, 64, T/4, h, w)."""

    def __init__(self):
        """One convolution over three samples, every second one."""
        super().__init__()
        self.conv = conv_block(32, 64, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        """(B, 32, T/2, h, w) -> (B, 64, T/4, h, w)."""
        return self.conv(fast)


class ChannelAttention(nn.Module):
    """Weighs channels by a small network of their mean and of their largest value."""

    def __init__(self, channels: int):
        """Half as many channels inside."""
        super().__init__()
        self.fc = nn.Sequential(
            nn.Conv3d(channels, channels // 2, 1, bias=False),
            nn.ReLU(),
            nn.Conv3d(channels // 2, channels, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the same shape."""
        space_time = (2, 3, 4)
        gate = self.fc(x.mean(dim=space_time, keepdim=True)) + self.fc(x.amax(dim=space_time, keepdim=True))
        return x * gate.sigmoid()


class MambaLayer(nn.Module):
    """Mamba over all tokens of the grid as one sequence (time slowest), between two layer norms, with a short cut."""

    def __init__(self, channels: int):
        """Layer norms with their usual 1e-5, linear layers from a narrow normal distribution."""
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mamba = BidirectionalMamba(channels)
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the same shape."""
        tokens = x.flatten(2).transpose(1, 2)  # (B, T H W, C)
        tokens = self.norm2(tokens + self.mamba(self.norm1(tokens)))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class BidirectionalMamba(nn.Module):
    """Mamba block that reads a sequence forwards and, with other parameters (`_b`), backwards, and adds both."""

    def __init__(self, channels: int, states: int = 16, kernel: int = 4, expand: int = 2):
        """`states` per channel, `expand` * channels inside, causal convolution over `kernel` samples."""
        super().__init__()
        width, self.rank, self.states = expand * channels, -(-channels // 16), states
        rates = torch.arange(1, states + 1, dtype=torch.float32).log().repeat(width, 1)
        self.A_log, self.D = nn.Parameter(rates), nn.Parameter(torch.ones(width))
        self.A_b_log, self.D_b = nn.Parameter(rates.clone()), nn.Parameter(torch.ones(width))
        self.in_proj = nn.Linear(channels, 2 * width, bias=False)
        for suffix in ("", "_b"):
            depthwise = nn.Conv1d(width, width, kernel, padding=kernel - 1, groups=width)
            setattr(self, "conv1d" + suffix, depthwise)
            setattr(self, "x_proj" + suffix, nn.Linear(width, self.rank + 2 * states, bias=False))
            setattr(self, "dt_proj" + suffix, nn.Linear(self.rank, width))
        self.out_proj = nn.Linear(width, channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, L, C) -> (B, L, C)."""
        values, gate = self.in_proj(x).chunk(2, dim=-1)  # (B, L, E) each
        y = self._scan(values, self.conv1d, self.x_proj, self.dt_proj, self.A_log, self.D)
        reverse = self._scan(values.flip(1), self.conv1d_b, self.x_proj_b, self.dt_proj_b, self.A_b_log, self.D_b)
        return self.out_proj((y + reverse.flip(1)) * F.silu(gate))

    def _scan(self, x: torch.Tensor, conv1d, x_proj, dt_proj, a_log: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """One direction, before the gate (which is the same for both): (B, L, E) -> (B, L, E)."""
        u = F.silu(conv1d(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)  # causal: sees the past only
        step, b, c = x_proj(u).split([self.rank, self.states, self.states], dim=-1)
        delta = F.softplus(dt_proj(step))
        return selective_scan(u, delta, -torch.exp(a_log), b, c) + d * u


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
