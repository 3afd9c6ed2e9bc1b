"""BYOL: what one network says of a view is predicted by the other, whose average the first one is.

Grill et al., "Bootstrap your own latent: a new approach to self-supervised learning", NeurIPS 2020.
"""

import copy

import torch
from torch import nn

from neural_methods.model.projector import mlp


class BYOL(nn.Module):
    """Two views (B, L) -> predictions and targets of both (B, `outputs`); targets take no gradient."""

    def __init__(self, encoder: nn.Module, hidden: int = 512, outputs: int = 256):
        """The target begins as a copy."""
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(encoder.width, hidden, outputs)
        self.predictor = mlp(outputs, hidden, outputs)
        self.target = copy.deepcopy(nn.ModuleDict({"encoder": self.encoder, "projector": self.projector}))
        self.target.requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each predicts the target of the other."""
        both = torch.cat([first, second])
        features = self.encoder(both)
        one, other = self.predictor(self.projector(features)).chunk(2)
        with torch.no_grad():
            mine, theirs = self.target["projector"](self.target["encoder"](both)).chunk(2)
        return {"one": one, "other": other, "of_one": mine, "of_other": theirs, "features": features[: len(first)]}

    def follow(self, momentum: float) -> None:
        """The target becomes `momentum` of itself and the rest of the network that learns; statistics alike."""
        learns = {"encoder": self.encoder, "projector": self.projector}
        with torch.no_grad():
            for name, part in learns.items():
                for mine, theirs in zip(self.target[name].parameters(), part.parameters(), strict=True):
                    mine.mul_(momentum).add_(theirs, alpha=1 - momentum)
