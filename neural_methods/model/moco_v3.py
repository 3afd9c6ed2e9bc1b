"""MoCo v3: queries must find the keys of the other view, which a slower copy of the network gives.

Chen, Xie and He, "An empirical study of training self-supervised vision transformers", ICCV 2021.
"""

import copy

import torch
from torch import nn

from neural_methods.model.projector import mlp


class MoCoV3(nn.Module):
    """Two views (B, L) -> queries and keys of both (B, `outputs`); keys take no gradient."""

    def __init__(self, encoder: nn.Module, hidden: int = 4096, outputs: int = 256):
        """The slower copy begins as one."""
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(encoder.width, hidden, outputs, layers=3, last=True)
        self.predictor = mlp(outputs, hidden, outputs, last=True)
        self.target = copy.deepcopy(nn.ModuleDict({"encoder": self.encoder, "projector": self.projector}))
        self.target.requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Queries of each view, keys of each view."""
        features = [self.encoder(view) for view in (first, second)]
        queries = [self.predictor(self.projector(one)) for one in features]
        with torch.no_grad():
            keys = [self.target["projector"](self.target["encoder"](view)) for view in (first, second)]
        return {"one": queries[0], "other": queries[1], "of_one": keys[0], "of_other": keys[1], "features": features[0]}

    def follow(self, momentum: float) -> None:
        """The copy becomes `momentum` of itself and the rest of the network that learns."""
        learns = {"encoder": self.encoder, "projector": self.projector}
        with torch.no_grad():
            for name, part in learns.items():
                for mine, theirs in zip(self.target[name].parameters(), part.parameters(), strict=True):
                    mine.mul_(momentum).add_(theirs, alpha=1 - momentum)
