"""Small networks behind an encoder while it learns by comparison; fine-tuning leaves them out."""

import copy

import torch
from torch import nn


def mlp(inside: int, hidden: int, outside: int, layers: int = 2, norm: bool = True, last: bool = False) -> nn.Module:
    """Linear layers with ReLU between them; `norm`: batch norm after each but the last, and after that where `last`."""
    sizes = [inside, *[hidden] * (layers - 1), outside]
    made: list[nn.Module] = []
    for number, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        end = number == layers - 1
        made.append(nn.Linear(before, after, bias=not norm or (end and not last)))
        if norm and (not end or last):
            made.append(nn.BatchNorm1d(after, affine=not end))
        if not end:
            made.append(nn.ReLU())
    return nn.Sequential(*made)


class SlowlyFollowed(nn.Module):
    """An encoder with projector and predictor, and as `target` a copy of the first two that learns by following."""

    def __init__(self, encoder: nn.Module, projector: nn.Module, predictor: nn.Module):
        """The target begins as it is; it takes no gradient."""
        super().__init__()
        self.encoder, self.projector, self.predictor = encoder, projector, predictor
        self.target = copy.deepcopy(nn.ModuleDict({"encoder": encoder, "projector": projector}))
        self.target.requires_grad_(False)

    @torch.no_grad()
    def targets(self, views: torch.Tensor) -> torch.Tensor:
        """What the target makes of views (B, L)."""
        return self.target["projector"](self.target["encoder"](views))

    def follow(self, momentum: float) -> None:
        """The target becomes `momentum` of itself and the rest of the network that learns; statistics alike."""
        learns = {"encoder": self.encoder, "projector": self.projector}
        with torch.no_grad():
            for name, part in learns.items():
                for mine, theirs in zip(self.target[name].parameters(), part.parameters(), strict=True):
                    mine.mul_(momentum).add_(theirs, alpha=1 - momentum)
