"""Deformable alignment: a convolution of single frames that reads each tap where the content has moved to.

Dai et al., "Deformable Convolutional Networks", ICCV 2017, https://arxiv.org/abs/1703.06211; the weights of the taps
(`modulated`) are those of Zhu et al., "Deformable ConvNets v2", CVPR 2019, https://arxiv.org/abs/1811.11168

Input   features  (B, C, T, H, W)
Output  features  (B, C', T, H, W); with fresh weights exactly those of a zero-padded convolution of every frame
Unusual: plain tensor operations (one bilinear sampling for all taps), so it runs on a CPU and in double precision. It
keeps KERNEL^2 copies of its input: its place is where the map is small.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class DeformableConv2d(nn.Module):
    """y(p) = sum over the K = k k taps of w_k m_k(p) x(p + p_k + d_k(p)): bilinear, zero outside the map.

    The shifts d (pixels) and the weights m = 2 sigmoid(logit) of the taps come from a k x k convolution of the same
    features that starts at zero, so d starts at 0 and m at 1.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        modulated: bool = True,
        max_offset: float = 0.0,
        bias: bool = True,
    ):
        """Shifts are clamped to +-`max_offset` pixels, 0: a quarter of the map; ValueError for an even `kernel`."""
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"MODEL.DEFORM.KERNEL is {kernel}; it must be odd, such as 3.")
        if max_offset < 0:
            raise ValueError(f"MODEL.DEFORM.MAX_OFFSET is {max_offset} pixels; use 0 for a quarter of the map.")
        self.kernel, self.max_offset, self.taps = kernel, float(max_offset), kernel * kernel
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)
        self.offsets = nn.Conv2d(channels_in, (3 if modulated else 2) * self.taps, kernel, padding=kernel // 2)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)
        self.keep_graph = False  # whether `seen` can be differentiated, for a penalty on shifts
        self.seen: tuple[torch.Tensor, torch.Tensor | None] | None = None  # shifts and weights of the last batch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames (N, C, H, W) -> (N, C', H, W)."""
        shifts, weights = self.shifts(x)
        if self.training:
            self.seen = (shifts, weights) if self.keep_graph else (shifts.detach(), _detached(weights))
        taps = sample(x, shifts, self.kernel)  # (N, C, K, H, W)
        if weights is not None:
            taps = taps * weights[:, None]
        out = self.conv.weight.flatten(1) @ taps.flatten(3).flatten(1, 2)  # (C', C K) (N, C K, H W)
        if self.conv.bias is not None:
            out = out + self.conv.bias[:, None]
        return out.unflatten(2, x.shape[2:])

    def shifts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Frames (N, C, H, W) -> shifts (N, 2, K, H, W) in pixels, down and right, and weights (N, K, H, W) or None."""
        wide = torch.promote_types(x.dtype, torch.float32)
        maps = self.offsets(x).to(wide)  # bfloat16 has no room for positions
        parts = zip(maps[:, : 2 * self.taps].chunk(2, dim=1), self.limits(x.shape[2:]), strict=True)
        shifts = torch.stack([part.clamp(-limit, limit) for part, limit in parts], dim=1)
        logits = maps[:, 2 * self.taps :]
        return shifts, 2 * torch.sigmoid(logits) if logits.shape[1] else None

    def limits(self, sides: Sequence[int]) -> list[float]:
        """Longest shifts (pixels), down and right, on a map with the given sides (H, W)."""
        return [self.max_offset or side / 4 for side in sides]


class DeformablePair(nn.Module):
    """A 3-D convolution in two steps: every frame deformably, then a convolution over three frames."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, modulated: bool, max_offset: float):
        """Keeps T, H and W."""
        super().__init__()
        self.spatial = DeformableConv2d(channels_in, channels_out, kernel, modulated, max_offset, bias=False)
        self.temporal = nn.Conv3d(channels_out, channels_out, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T, H, W)."""
        frames = x.transpose(1, 2).flatten(0, 1)
        y = self.spatial(frames).unflatten(0, (x.shape[0], -1)).transpose(1, 2)
        return self.temporal(y)


def sample(x: torch.Tensor, shifts: torch.Tensor, kernel: int) -> torch.Tensor:
    """Frames (N, C, H, W) at every tap, shifted by (N, 2, K, H, W) pixels -> (N, C, K, H, W); zero outside."""
    height, width = x.shape[2:]
    reach = torch.arange(kernel, device=x.device, dtype=shifts.dtype) - kernel // 2
    taps = torch.stack(torch.meshgrid(reach, reach, indexing="ij")).reshape(2, -1, 1, 1)
    rows = torch.arange(height, device=x.device, dtype=shifts.dtype)[:, None]
    columns = torch.arange(width, device=x.device, dtype=shifts.dtype)[None]
    at = taps + shifts  # (N, 2, K, H, W), relative to the location
    # A side of one pixel has no scale of its own: with a second, empty pixel it has, and outside stays zero.
    x = F.pad(x.to(shifts.dtype), (0, int(width == 1), 0, int(height == 1)))
    v = 2 * (rows + at[:, 0]) / (x.shape[2] - 1) - 1
    u = 2 * (columns + at[:, 1]) / (x.shape[3] - 1) - 1
    grid = torch.stack([u, v], dim=-1).flatten(1, 2)  # (N, K H, W, 2)
    taken = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return taken.unflatten(2, (-1, height))


def restlessness(shifts: torch.Tensor, frames: int) -> torch.Tensor:
    """Mean change of the shifts (B T, 2, K, H, W) from frame to frame in pixels; 0 for clips of one frame."""
    clips = shifts.unflatten(0, (-1, frames))
    return clips.diff(dim=1).abs().mean() if frames > 1 else shifts.sum() * 0.0


def _detached(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach()
