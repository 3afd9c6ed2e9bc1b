"""Negative Pearson correlation: the shape of the wave counts, its offset and scale do not.

Yu et al., "Remote Photoplethysmograph Signal Measurement from Facial Videos Using Spatio-Temporal Networks",
BMVC 2019, https://arxiv.org/abs/1905.02419
"""

import torch
import torch.nn.functional as F


def neg_pearson(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """1 - Pearson correlation along time of two (B, T) waves, averaged over the clips; a scalar.

    A clip in which either wave is constant has no correlation: it counts as 1 and gives no gradient.
    """
    return neg_pearson_per_clip(predicted, label).mean()


def neg_pearson_per_clip(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """1 - Pearson correlation along time of two (B, T) waves, one value per clip (B,)."""
    x = predicted - predicted.mean(dim=-1, keepdim=True)
    y = label - label.mean(dim=-1, keepdim=True)
    energy = (x * x).sum(dim=-1) * (y * y).sum(dim=-1)
    flat = energy <= 0
    # The guard sits inside the root: a root at zero would make the gradient NaN even where it is masked.
    correlation = (x * y).sum(dim=-1) / torch.where(flat, torch.ones_like(energy), energy).sqrt()
    return 1 - torch.where(flat, torch.zeros_like(correlation), correlation)


def neg_cosine_across_batch(predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """1 - cosine of the centred signals along axis 0, averaged over the rest; a scalar.

    For (B, T) this correlates the B clips with each other at every time step: the form rPPG-Toolbox trains iBVPNet and
    FactorizePhys with, constant 1 at B = 1. Kept for repeating its results; `neg_pearson` is the meant loss.
    """
    x = predicted - predicted.mean(dim=0, keepdim=True)
    y = label - label.mean(dim=0, keepdim=True)
    return (1 - F.cosine_similarity(x, y, dim=0, eps=1e-6)).mean()
