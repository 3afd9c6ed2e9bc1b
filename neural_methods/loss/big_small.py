"""BigSmall's multitask loss: cross-entropy of the action units plus the squared errors of pulse and respiration.

Narayanswamy et al., "BigSmall: Efficient Multi-Task Learning for Disparate Spatial and Temporal Physiological
Measurements", WACV 2024, https://arxiv.org/abs/2303.11573
"""

import torch
import torch.nn.functional as F

from neural_methods.loss.mse import known_mse

# Action unit -> how much its rarer presence weighs: frames without it over frames with it, in BP4D+.
ACTION_UNITS = {
    "AU01": 9.64,
    "AU02": 11.74,
    "AU04": 16.77,
    "AU06": 1.05,
    "AU07": 0.53,
    "AU10": 0.56,
    "AU12": 0.75,
    "AU14": 0.69,
    "AU15": 8.51,
    "AU17": 6.94,
    "AU23": 5.03,
    "AU24": 25.00,
}


def action_unit_loss(logits: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Weighted binary cross-entropy of `logits` (B, T, 12) against `present` (B, T, 12) in {0, 1}; a scalar.

    Values below 0 are not coded: they are left out of their clip's mean, where rPPG-Toolbox takes -1 as a target.
    """
    weights = logits.new_tensor(list(ACTION_UNITS.values()))
    coded = (present >= 0).to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, present.clamp(min=0), pos_weight=weights, reduction="none")
    return ((loss * coded).sum(dim=(1, 2)) / coded.sum(dim=(1, 2)).clamp(min=1)).mean()


def big_small_loss(outputs: dict[str, torch.Tensor], labels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The unweighted sum as "loss" and its parts; outputs and labels "au" (B, T, 12), "ppg" and "resp" (B, T).

    A label that is not there (a data set without it) leaves its part out; clips whose respiration is NaN count 0 in it.
    """
    errors = {"ppg": F.mse_loss, "resp": known_mse}
    parts = {name: error(outputs[name], labels[name]) for name, error in errors.items() if name in labels}
    if "au" in labels:
        parts["au"] = action_unit_loss(outputs["au"], labels["au"])
    # Outputs without a label take part with weight 0: several processes must agree on which weights get a gradient.
    unused = sum((outputs[name].sum() * 0.0 for name in outputs if name not in parts), torch.zeros(()))
    return {"loss": sum(parts.values()) + unused.to(outputs["ppg"].device), **parts}
