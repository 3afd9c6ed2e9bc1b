"""Mean squared error of a predicted wave."""

import torch
import torch.nn.functional as F


def mse(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean of the squared difference of two (B, T) waves; a scalar."""
    return F.mse_loss(predicted, label)
