"""RhythmFormer: hierarchical transformer with sparse attention between periodic regions for remote PPG.

Zou et al., "RhythmFormer: Extracting Patterned rPPG Signals based on Periodic Sparse Attention",
Pattern Recognition 164, 2025, https://arxiv.org/abs/2402.12788

Input   video  (B, T, 3, H, W) = (B, 160, 3, 128, 128), Standardized; T divisible by 8, H and W by 64 (32 works, too)
Output  ppg    (B, T), no unit
Unusual: T comes before the channels. Tokens are grouped into regions and each region attends to the tokens of its 40
nearest regions only (all of them when there are fewer). The scores are scaled by the whole width, 64 ** -0.5, though
a head has 16 channels. `qkv_linear` is never used: it is kept because released weights have it.
"""

import torch
from torch import nn

from neural_methods.model.physformer import double_rate
from neural_methods.model.temporal_difference import TemporalDifferenceConv, contiguous_gradient

TOP_REGIONS = 40
THETA = 0.2


class RhythmFormer(nn.Module):
    """The network; everything but `dim`, `heads` and the mlp's width follows from the input."""

    def __init__(self, dim: int = 64, heads: int = 4, mlp_dim: int = 96):
        """Published sizes by default."""
        super().__init__()
        self.Fusion_Stem = FusionStem(dim)
        self.patch_embedding = nn.Conv3d(dim, dim, (1, 4, 4), stride=(1, 4, 4))
        self.ConvBlockLast = nn.Conv1d(dim, 1, 1)
        self.stages = nn.ModuleList(Stage(dim, heads, mlp_dim, halvings) for halvings in (1, 2, 3))

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """(B, T, 3, H, W) -> ppg (B, T); ValueError for sizes that the regions do not tile."""
        _check_input(video)
        x = self.Fusion_Stem(video)  # (B, dim, T, H/4, W/4)
        x = self.patch_embedding(x)  # (B, dim, T, H/16, W/16)
        for stage in self.stages:
            x = stage(x)
        return self.ConvBlockLast(x.mean(dim=(3, 4))).squeeze(1)


class FusionStem(nn.Module):
    """Two small 2-D towers, on the frame and on four differences of its neighbours, fused half and half."""

    def __init__(self, dim: int):
        """`dim` channels in each tower."""
        super().__init__()
        self.stem11 = _quarter_size(3, dim)
        self.stem12 = _quarter_size(12, dim)
        self.stem21 = _same_size(dim)
        self.stem22 = _same_size(dim)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """(B, T, 3, H, W) -> (B, dim, T, H/4, W/4)."""
        batch = video.shape[0]
        frame = self.stem11(video.flatten(0, 1))
        change = self.stem12(neighbour_differences(video).flatten(0, 1))
        fused = 0.5 * self.stem21(0.5 * frame + 0.5 * change) + 0.5 * self.stem22(change)
        return fused.unflatten(0, (batch, -1)).transpose(1, 2)


def neighbour_differences(video: torch.Tensor) -> torch.Tensor:
    """Differences of the five frames around each frame, (B, T, 3, H, W) -> (B, T, 12, H, W).

    In order x[-1]-x[-2], x[0]-x[-1], x[1]-x[0], x[2]-x[1]; beyond the ends the end frame repeats.
    """
    first, last = video[:, :1], video[:, -1:]
    padded = torch.cat([first, first, video, last, last], dim=1)  # (B, T+4, 3, H, W)
    steps = padded.diff(dim=1)  # (B, T+3, 3, H, W)
    frames = video.shape[1]
    return torch.cat([steps[:, k : k + frames] for k in range(4)], dim=2)


class Stage(nn.Module):
    """Halve the frame rate `halvings` times, two blocks, double it back: one time scale of the hierarchy."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, halvings: int):
        """Regions are 4 / 2**halvings tokens long in time, at least 1."""
        super().__init__()
        self.downsample_layers = nn.ModuleList(_halve_rate(dim) for _ in range(halvings))
        self.upsample_layers = nn.ModuleList(double_rate(dim, dim) for _ in range(halvings))
        region_time = max(4 // 2**halvings, 1)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_dim, region_time) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, T, h, w) -> (B, dim, T, h, w)."""
        for layer in (*self.downsample_layers, *self.blocks, *self.upsample_layers):
            x = layer(x)
        return x


class Block(nn.Module):
    """Attention between regions, then a convolutional mlp, both behind a batch norm and with a short cut."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, region_time: int):
        """`region_time` tokens along a region's time axis."""
        super().__init__()
        self.norm1 = nn.BatchNorm3d(dim)
        self.attn = RegionAttention(dim, heads, region_time)
        self.norm2 = nn.BatchNorm3d(dim)
        self.mlp = nn.Sequential(
            nn.Conv3d(dim, mlp_dim, 1),
            nn.BatchNorm3d(mlp_dim),
            nn.GELU(),
            nn.Conv3d(mlp_dim, mlp_dim, 3, padding=1),
            nn.BatchNorm3d(mlp_dim),
            nn.GELU(),
            nn.Conv3d(mlp_dim, dim, 1),
            nn.BatchNorm3d(dim),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, t, h, w) -> (B, dim, t, h, w)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class RegionAttention(nn.Module):
    """Token attention from each region to its TOP_REGIONS most similar regions (by region means, all channels)."""

    def __init__(self, dim: int, heads: int, region_time: int):
        """`heads` of dim / heads channels each."""
        super().__init__()
        self.lepe = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.qkv_linear = nn.Conv3d(dim, 3 * dim, 1)  # unused, see the head of the file
        self.output_linear = nn.Conv3d(dim, dim, 1)
        self.proj_q = nn.Sequential(TemporalDifferenceConv(dim, dim, THETA), nn.BatchNorm3d(dim))
        self.proj_k = nn.Sequential(TemporalDifferenceConv(dim, dim, THETA), nn.BatchNorm3d(dim))
        self.proj_v = nn.Sequential(nn.Conv3d(dim, dim, 1, bias=False))
        self.heads = heads
        self.scale = dim**-0.5
        self.region_time = region_time

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, t, h, w) -> (B, dim, t, h, w)."""
        q, k, v = self.proj_q(x), self.proj_k(x), self.proj_v(x)
        region = (self.region_time, *(region_side(side) for side in x.shape[3:]))
        parts = [to_regions(contiguous_gradient(part), region) for part in (q, k, v)]  # (B, R, S, dim)
        nearest = nearest_regions(parts[0], parts[1])
        out = region_attention(*parts, nearest, self.heads, self.scale)
        return self.output_linear(from_regions(out, region, x.shape[2:]) + self.lepe(v))


def region_side(side: int) -> int:
    """Tokens along one edge of a region: a quarter of the map, so that 4 regions lie along it (at least one token)."""
    return max(side // 4, 1)


def to_regions(x: torch.Tensor, region: tuple[int, int, int]) -> torch.Tensor:
    """(B, C, t, h, w) -> (B, R, S, C): R regions in scan order, each of S = prod(region) tokens in scan order."""
    for axis, size in zip((2, 4, 6), region, strict=True):
        x = x.unflatten(axis, (-1, size))  # (B, C, t/rt, rt, h/rh, rh, w/rw, rw) in the end
    return x.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4, 6).flatten(1, 3)


def from_regions(x: torch.Tensor, region: tuple[int, int, int], shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse of `to_regions`: (B, R, S, C) -> (B, C, t, h, w) with `shape` (t, h, w)."""
    counts = [side // size for side, size in zip(shape, region, strict=True)]
    x = x.unflatten(2, region).unflatten(1, counts)  # (B, nt, nh, nw, rt, rh, rw, C)
    return x.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


@torch.no_grad()
def nearest_regions(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Numbers of the TOP_REGIONS (or all) regions whose mean key fits each region's mean query: (B, R, K)."""
    affinity = q.mean(dim=2) @ k.mean(dim=2).transpose(1, 2)  # (B, R, R)
    return affinity.topk(min(TOP_REGIONS, affinity.shape[-1]), dim=-1).indices


def region_attention(q, k, v, nearest: torch.Tensor, heads: int, scale: float) -> torch.Tensor:
    """Softmax attention of each region's tokens to all tokens of its `nearest` regions.

    q, k, v: (B, R, S, C), the heads being runs of neighbouring channels; nearest: (B, R, K). Returns (B, R, S, C).
    """
    rows = torch.arange(q.shape[0], device=q.device)[:, None, None]
    k, v = (part[rows, nearest].flatten(2, 3) for part in (k, v))  # (B, R, K S, C)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(2, 3) for part in (q, k, v))  # (B, R, heads, tokens, width)
    scores = (q * scale @ k.transpose(3, 4)).softmax(dim=-1)
    return (scores @ v).transpose(2, 3).flatten(3)


def _quarter_size(in_channels: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, dim, 5, stride=2, padding=2),
        nn.BatchNorm2d(dim),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _same_size(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim), nn.ReLU(inplace=True))


def _halve_rate(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm3d(dim), nn.Conv3d(dim, dim, (2, 1, 1), stride=(2, 1, 1)))


def _check_input(video: torch.Tensor) -> None:
    frames, height, width = video.shape[1], *video.shape[3:]
    sides = [side // 16 for side in (height, width)]
    fits = all(side and side % region_side(side) == 0 for side in sides) and not (height % 16 or width % 16)
    if frames % 8 or not frames or not fits:
        raise ValueError(
            f"RhythmFormer got clips of {frames} frames of {height}x{width} pixels. CHUNK_LENGTH has to be divisible "
            f"by 8, RESIZE.H and RESIZE.W by 64 (below 128 by 16)."
        )
