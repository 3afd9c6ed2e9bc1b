"""BYOL: what one network says of a view is predicted by the other, whose average the first one is.

Grill et al., "Bootstrap your own latent: a new approach to self-supervised learning", NeurIPS 2020.
"""

import torch
from torch import nn

from neural_methods.model.projector import SlowlyFollowed, mlp


class BYOL(SlowlyFollowed):
    """Two views (B, L) -> predictions and targets of both (B, `outputs`); targets take no gradient."""

    def __init__(self, encoder: nn.Module, hidden: int = 512, outputs: int = 256):
        """The target begins as a copy."""
        projector = mlp(encoder.width, hidden, outputs)
        super().__init__(encoder, projector, mlp(outputs, hidden, outputs))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each predicts the target of the other."""
        both = torch.cat([first, second])
        features = self.encoder(both)
        one, other = self.predictor(self.projector(features)).chunk(2)
        mine, theirs = self.targets(both).chunk(2)
        return {"one": one, "other": other, "of_one": mine, "of_other": theirs, "features": features[: len(first)]}
