"""Losses of several targets at once, on z-scores (B, K); a label that is NaN counts nowhere.

mse, huber (beta 1), mae_pearson: alpha * mean over targets of (1 - r) + beta * MAE, r over the batch and never over
targets thrown together, which would measure how far the targets lie apart.
"""

import torch
import torch.nn.functional as F

LOSSES = ("mse", "huber", "mae_pearson")


def regression_loss(
    predicted: torch.Tensor, true: torch.Tensor, kind: str = "huber", alpha: float = 0.5, beta: float = 0.5,
    alpha_corr: float = 0.0,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """{"loss", and "correlation": mean of 1 - r, where it counts} of z-scores (B, K); zero where no label is known."""
    known = torch.isfinite(true)
    true = torch.where(known, true, predicted.detach())  # no error, no gradient
    count = known.sum().clamp(min=1)
    share = {"mse": 0.0, "huber": 0.0, "mae_pearson": alpha}[kind] or alpha_corr
    if kind == "mae_pearson":
        point = beta * (predicted - true).abs().sum() / count
    else:
        point = (F.mse_loss if kind == "mse" else F.smooth_l1_loss)(predicted, true, reduction="sum") / count
    if not share:
        return {"loss": point}
    apart = correlation_loss(predicted, true, known)
    return {"loss": point + share * apart, "correlation": apart}


def correlation_loss(predicted: torch.Tensor, true: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean over the targets of 1 - r over the batch; a target without spread in the batch counts 1, with no gradient.

    In float32: the small numbers that keep it finite vanish in half precision.
    """
    weight = known.float()
    count = weight.sum(dim=0).clamp(min=1)

    def centred(values: torch.Tensor) -> torch.Tensor:
        values = values.float()
        return (values - (values * weight).sum(dim=0) / count) * weight

    x, y = centred(predicted), centred(true)
    power = (x**2).sum(dim=0) * (y**2).sum(dim=0)
    r = (x * y).sum(dim=0) / power.clamp(min=1e-12).sqrt()
    return (1 - torch.where(power > 1e-12, r, torch.zeros_like(r))).mean()
