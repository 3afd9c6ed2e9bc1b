"""A transformer for waves: a window is cut into patches, each becomes a token, a token of its own gathers them.

Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, in one dimension; the projection of patches stays as it
was drawn, as Chen, Xie and He, "An empirical study of training self-supervised vision transformers", ICCV 2021, found
to be steadier. Input (B, L); output (B, width).
"""

import torch
from torch import nn

from neural_methods.model.tokenizer import SinePositions


class WaveViT(nn.Module):
    """`depth` layers that normalise first, `width` wide, with `heads`."""

    def __init__(self, patch: int = 125, width: int = 384, depth: int = 12, heads: int = 6):
        """`patch`: samples of one token."""
        super().__init__()
        self.patch, self.width = patch, width
        self.projection = nn.Linear(patch, width)
        self.projection.requires_grad_(False)
        self.gather = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = SinePositions(width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Cut, project, gather."""
        waves = waves.flatten(1) if waves.ndim == 3 else waves
        tokens = self.projection(waves.unflatten(-1, (-1, self.patch)))
        tokens = torch.cat([self.gather.expand(len(tokens), 1, -1), tokens], dim=1)
        return self.layers(self.positions(tokens))[:, 0]
