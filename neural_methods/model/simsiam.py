"""SimSiam: one network predicts what it says of the other view, through which no gradient flows.

Chen and He, "Exploring simple Siamese representation learning", CVPR 2021.
"""

import torch
from torch import nn

from neural_methods.model.projector import mlp


class SimSiam(nn.Module):
    """Two views (B, L) -> predictions and what they are to predict, of both (B, `outputs`)."""

    def __init__(self, encoder: nn.Module, outputs: int = 2048, hidden: int = 512):
        """A projector of three layers, a predictor with a narrow middle."""
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(encoder.width, outputs, outputs, layers=3, last=True)
        self.predictor = mlp(outputs, hidden, outputs)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """View by view: each has batch statistics of its own."""
        features = [self.encoder(view) for view in (first, second)]
        mine, theirs = (self.projector(one) for one in features)
        return {
            "one": self.predictor(mine), "other": self.predictor(theirs), "of_one": mine.detach(),
            "of_other": theirs.detach(), "features": features[0],
        }  # fmt: skip
