"""PhysFormer: video transformer with temporal-difference attention for remote PPG.

Yu et al., "PhysFormer: Facial Video-based Physiological Measurement with Temporal Difference Transformer",
CVPR 2022, https://arxiv.org/abs/2111.12082

Input   video  (B, 3, T, H, W) = (B, 3, 160, 128, 128), DiffNormalized; T divisible by 4, H and W by 8 * 4 = 32
Output  ppg    (B, T), no unit; and the attention maps (B, heads, P, P) of the last block of each of the three groups,
        P = T/4 * H/32 * W/32 tokens
Unusual: the scores are divided by a fixed temperature (2.0) instead of the square root of the head width. Query and
key are temporal-difference convolutions on the token grid, and the grid's size is read off the input.
Extensions (see `neural_methods.extensions`) sit in the stem.
"""

import torch
from torch import nn

from neural_methods.model.temporal_difference import TemporalDifferenceConv, contiguous_gradient

STEM_STRIDE = 8  # the three stem stages halve H and W each


class PhysFormer(nn.Module):
    """The network; the defaults are the published ones.

    `patch_size` is the edge of a token in time and space (after the stem). The head doubles the frame rate twice, so
    only 4 gives as many samples as frames; `temperature` divides the attention scores.
    """

    ALIGNED = (2, 3)  # stages whose convolution may be deformable

    def __init__(
        self,
        patch_size: int = 4,
        dim: int = 96,
        ff_dim: int = 144,
        num_heads: int = 4,
        num_layers: int = 12,
        theta: float = 0.7,
        dropout: float = 0.1,
        temperature: float = 2.0,
    ):
        """Published sizes by default; ValueError for sizes that do not fit each other."""
        super().__init__()
        _check_sizes(patch_size, dim, num_heads, num_layers)
        self.patch_size = patch_size
        self.patch_embedding = nn.Conv3d(dim, dim, patch_size, stride=patch_size)
        groups = [Transformer(num_layers // 3, dim, ff_dim, num_heads, theta, dropout, temperature) for _ in range(3)]
        self.transformer1, self.transformer2, self.transformer3 = groups
        self.Stem0 = _stem(3, dim // 4, (1, 5, 5), (0, 2, 2))
        self.Stem1 = _stem(dim // 4, dim // 2, 3, 1)
        self.Stem2 = _stem(dim // 2, dim, 3, 1)
        self.upsample = double_rate(dim, dim)
        self.upsample2 = double_rate(dim, dim // 2)
        self.ConvBlockLast = nn.Conv1d(dim // 2, 1, 1)
        self.apply(_initialise)
        self.gates = nn.ModuleDict()  # by stem stage, from 1; empty in the published network

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, 3, T, H, W) -> ppg (B, T) and three attention maps (B, heads, P, P); ValueError on an uneven grid."""
        self._check_input(video)
        x = self.patch_embedding(self._shrink(video))  # (B, dim, T/4, H/32, W/32)
        grid = tuple(x.shape[2:])
        tokens = x.flatten(2).transpose(1, 2)  # (B, P, dim)
        tokens, score1 = self.transformer1(tokens, grid)
        tokens, score2 = self.transformer2(tokens, grid)
        tokens, score3 = self.transformer3(tokens, grid)
        x = to_grid(tokens, grid)
        x = self.upsample2(self.upsample(x))  # (B, dim/2, T, H/32, W/32)
        ppg = self.ConvBlockLast(x.mean(dim=(3, 4))).squeeze(1)
        return ppg, score1, score2, score3

    @property
    def stages(self) -> dict[int, nn.Sequential]:
        """The stem stages, which extensions may change, from 1: convolution, norm, activation, pooling."""
        return {1: self.Stem0, 2: self.Stem1, 3: self.Stem2}

    def _shrink(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> (B, dim, T, H/8, W/8)."""
        for number, stage in self.stages.items():
            x = stage(x)
            if str(number) in self.gates:
                x = self.gates[str(number)](x)
        return x

    def _check_input(self, video: torch.Tensor) -> None:
        frames, height, width = video.shape[2:]
        space = STEM_STRIDE * self.patch_size
        if frames % self.patch_size or height % space or width % space or not video.numel():
            raise ValueError(
                f"PhysFormer got clips of {frames} frames of {height}x{width} pixels. CHUNK_LENGTH has to be divisible "
                f"by {self.patch_size}, RESIZE.H and RESIZE.W by {space}."
            )


class Transformer(nn.Module):
    """A group of blocks; the attention of its last block is handed out with the tokens."""

    def __init__(self, depth: int, dim: int, ff_dim: int, heads: int, theta: float, dropout: float, temperature: float):
        """`depth` blocks."""
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, ff_dim, heads, theta, dropout, temperature) for _ in range(depth))

    def forward(self, tokens: torch.Tensor, grid: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, P, dim) on `grid` (t, h, w), P = t h w -> tokens and scores (B, heads, P, P)."""
        for block in self.blocks:
            tokens, scores = block(tokens, grid)
        return tokens, scores


class Block(nn.Module):
    """Pre-norm transformer block: temporal-difference attention, then a convolutional feed-forward part."""

    def __init__(self, dim: int, ff_dim: int, heads: int, theta: float, dropout: float, temperature: float):
        """`dropout` acts on the scores and on both branches."""
        super().__init__()
        self.attn = Attention(dim, heads, theta, dropout, temperature)
        self.proj = nn.Linear(dim, dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.pwff = FeedForward(dim, ff_dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, grid: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, P, dim) -> tokens and this block's scores (B, heads, P, P)."""
        attended, scores = self.attn(self.norm1(tokens), grid)
        tokens = tokens + self.drop(self.proj(attended))
        tokens = tokens + self.drop(self.pwff(self.norm2(tokens), grid))
        return tokens, scores


class Attention(nn.Module):
    """Multi-head attention whose queries and keys are temporal-difference convolutions of the token grid."""

    def __init__(self, dim: int, heads: int, theta: float, dropout: float, temperature: float):
        """`heads` of dim / heads channels each."""
        super().__init__()
        self.proj_q = nn.Sequential(TemporalDifferenceConv(dim, dim, theta), nn.BatchNorm3d(dim))
        self.proj_k = nn.Sequential(TemporalDifferenceConv(dim, dim, theta), nn.BatchNorm3d(dim))
        self.proj_v = nn.Sequential(nn.Conv3d(dim, dim, 1, bias=False))
        self.drop = nn.Dropout(dropout)
        self.heads = heads
        self.temperature = temperature

    def forward(self, tokens: torch.Tensor, grid: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, P, dim) -> attended tokens (B, P, dim), scores after dropout (B, heads, P, P)."""
        x = to_grid(tokens, grid)
        q, k, v = (self._split_heads(project(x)) for project in (self.proj_q, self.proj_k, self.proj_v))
        scores = self.drop((q.transpose(2, 3) @ k / self.temperature).softmax(dim=-1))
        out = scores @ v.transpose(2, 3)  # (B, heads, P, dim / heads)
        return out.transpose(1, 2).flatten(2), scores

    def _split_heads(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, t, h, w) -> (B, heads, dim / heads, P): head j owns a run of neighbouring channels."""
        return contiguous_gradient(x).flatten(2).unflatten(1, (self.heads, -1))


class FeedForward(nn.Module):
    """1x1x1 convolution, depth-wise 3x3x3 convolution, 1x1x1 convolution on the token grid, each with batch norm."""

    def __init__(self, dim: int, ff_dim: int):
        """`ff_dim` channels inside."""
        super().__init__()
        self.fc1 = nn.Sequential(nn.Conv3d(dim, ff_dim, 1, bias=False), nn.BatchNorm3d(ff_dim), nn.ELU())
        self.STConv = nn.Sequential(
            nn.Conv3d(ff_dim, ff_dim, 3, padding=1, groups=ff_dim, bias=False), nn.BatchNorm3d(ff_dim), nn.ELU()
        )
        self.fc2 = nn.Sequential(nn.Conv3d(ff_dim, dim, 1, bias=False), nn.BatchNorm3d(dim))

    def forward(self, tokens: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
        """Tokens (B, P, dim) -> (B, P, dim)."""
        x = self.fc2(self.STConv(self.fc1(to_grid(tokens, grid))))
        return x.flatten(2).transpose(1, 2)


def to_grid(tokens: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
    """Tokens (B, t h w, C) -> (B, C, t, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def double_rate(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice the samples over time: nearest neighbour, convolution over three of them, batch norm, ELU."""
    return nn.Sequential(
        nn.Upsample(scale_factor=(2, 1, 1)),
        nn.Conv3d(in_channels, out_channels, (3, 1, 1), padding=(1, 0, 0)),
        nn.BatchNorm3d(out_channels),
        nn.ELU(),
    )


def _stem(in_channels: int, out_channels: int, kernel: int | tuple[int, ...], padding: int | tuple[int, ...]):
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, kernel, padding=padding),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 2, 2)),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.normal_(module.bias, std=1e-6)


def _check_sizes(patch_size: int, dim: int, num_heads: int, num_layers: int) -> None:
    if patch_size != 4:
        raise ValueError(
            f"MODEL.PHYSFORMER.PATCH_SIZE is {patch_size}: the head doubles the rate twice, so only 4 gives one "
            f"sample per frame."
        )
    if dim % 4 or dim % num_heads or num_layers % 3 or num_layers < 3:
        raise ValueError(
            f"MODEL.PHYSFORMER: DIM {dim} has to be divisible by 4 and by NUM_HEADS ({num_heads}), "
            f"NUM_LAYERS ({num_layers}) by 3."
        )
