"""The correlation loss of iBVPNet and FactorizePhys: over time, or across the batch as rPPG-Toolbox has it."""

import torch

from neural_methods.loss.neg_pearson import neg_cosine_across_batch, neg_pearson

ACROSS_BATCH_NOTE = (
    "MODEL.LEGACY_LOSS correlates the clips of a batch with each other at every time step, as rPPG-Toolbox does; "
    "at TRAIN.BATCH_SIZE 1 it is the constant 1 and nothing is learnt."
)


def correlation_loss(predicted: torch.Tensor, label: torch.Tensor, across_batch: bool) -> torch.Tensor:
    """1 - correlation of two (B, T) waves; along time, or `across_batch` after standardising both tensors whole."""
    if across_batch:
        return neg_cosine_across_batch(_standardised(predicted), _standardised(label))
    return neg_pearson(predicted, label)


def _standardised(wave: torch.Tensor) -> torch.Tensor:
    return (wave - wave.mean()) / wave.std()
