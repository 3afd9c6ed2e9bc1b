"""MoCo v3: queries must find the keys of the other view, which a slower copy of the network gives.

Chen, Xie and He, "An empirical study of training self-supervised vision transformers", ICCV 2021.
"""

import torch
from torch import nn

from neural_methods.model.projector import SlowlyFollowed, mlp


class MoCoV3(SlowlyFollowed):
    """Two views (B, L) -> queries and keys of both (B, `outputs`); keys take no gradient."""

    def __init__(self, encoder: nn.Module, hidden: int = 4096, outputs: int = 256):
        """The slower copy begins as one."""
        projector = mlp(encoder.width, hidden, outputs, layers=3, last=True)
        super().__init__(encoder, projector, mlp(outputs, hidden, outputs, last=True))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Queries of each view, keys of each view."""
        features = [self.encoder(view) for view in (first, second)]
        queries = [self.predictor(self.projector(one)) for one in features]
        keys = [self.targets(view) for view in (first, second)]
        return {"one": queries[0], "other": queries[1], "of_one": keys[0], "of_other": keys[1], "features": features[0]}
