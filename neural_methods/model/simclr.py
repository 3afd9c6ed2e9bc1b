"""SimCLR: one encoder, and a head whose output is compared.

Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.
"""

import torch
from torch import nn

from neural_methods.model.projector import mlp


class SimCLR(nn.Module):
    """Two views (B, L) -> two outputs (B, `outputs`) and the features of the first (B, width)."""

    def __init__(self, encoder: nn.Module, outputs: int = 512):
        """`encoder`: (B, L) -> (B, `encoder.width`)."""
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(encoder.width, encoder.width, outputs, norm=False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Both at once: they share batch statistics."""
        features = self.encoder(torch.cat([first, second]))
        one, other = self.projector(features).chunk(2)
        return {"one": one, "other": other, "features": features[: len(first)]}
