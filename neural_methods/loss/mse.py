"""Mean squared error of a predicted wave."""

import torch
import torch.nn.functional as F


def mse(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean of the squared difference of two (B, T) waves; a scalar."""
    return F.mse_loss(predicted, label)


def known_mse(prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """As `mse`, of waves (B, T) whose label may be NaN: each clip's mean over what is known, nothing known counts 0."""
    known = torch.isfinite(label)
    squares = (prediction - torch.where(known, label, prediction.detach())) ** 2
    return (squares.sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()
