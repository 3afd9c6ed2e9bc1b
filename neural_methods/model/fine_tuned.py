"""A pre-trained network with a small head for one task: windows (B, L) -> answers (B, K).

As CM-SSL: features through a linear layer of half the width, GELU, and another one.
"""

import torch
from torch import nn

HEADS = ("mlp", "linear")


class FineTuned(nn.Module):
    """`mean` and `spread` (K,) are those of the training targets; of classes they stay 0 and 1."""

    def __init__(self, backbone: nn.Module, width: int, outputs: int, head: str = "mlp"):
        """`backbone`: (B, L) -> (B, `width`)."""
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, outputs)
        if head == "mlp":
            self.head = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, outputs))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Answers in units of the spread, or logits."""
        return self.head(self.backbone(waves))

    def know(self, mean: torch.Tensor, spread: torch.Tensor) -> None:
        """What the training targets are like."""
        self.mean.copy_(mean)
        self.spread.copy_(spread)
