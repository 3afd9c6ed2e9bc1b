"""The loss of PhysFormer: correlation over time, and two losses on the spectrum that gain weight while training.

Yu et al., "PhysFormer: Facial Video-based Physiological Measurement with Temporal Difference Transformer",
CVPR 2022, https://arxiv.org/abs/2111.12082

    loss = a * (1 - Pearson) + b * (cross-entropy + label distribution)
"""

import numpy as np
import torch

from neural_methods.loss.neg_pearson import neg_pearson_per_clip
from neural_methods.loss.spectrum import (
    label_distribution_loss,
    power_spectrum,
    rate_bins,
    rate_classes,
    spectrum_cross_entropy,
    standardise,
    welch_heart_rate,
)

FIRST_BPM, LAST_BPM = 40, 179
CURRICULA = ("toolbox", "rf", "paper", "paper_formula")


def physformer_loss(
    predicted: torch.Tensor,
    label: torch.Tensor,
    rates: torch.Tensor,
    fs: float | torch.Tensor,
    weights: tuple[float, float] = (1.0, 1.0),
    ce: str = "reference",
    ld: str = "log_softmax",
) -> dict[str, torch.Tensor]:
    """Loss of `predicted` against `label` (B, T), means over clips: loss, time, ce, ld, and clamped.

    `rates` (B,) are the labels' heart rates in bpm, `fs` in Hz (one number or (B,)), `weights` a and b. The spectrum is
    that of the standardised prediction. Rates outside 40-180 bpm are put into the outermost bin; `clamped` is their
    share. With the proper forms the label distribution lies about the rate itself, not about the rate cut to an
    integer. `ce` and `ld`: see `spectrum`.
    """
    bins = rate_bins(FIRST_BPM, LAST_BPM)
    classes, outside = rate_classes(rates, bins)
    power = power_spectrum(standardise(predicted), fs, bins)
    exact = torch.nan_to_num(rates.cpu().double(), nan=FIRST_BPM).clamp(FIRST_BPM, LAST_BPM)
    centres = exact if ld == "log" else bins[classes]
    parts = {
        "time": neg_pearson_per_clip(predicted, label).mean(),
        "ce": spectrum_cross_entropy(power, classes, ce).mean(),
        "ld": label_distribution_loss(power, centres, bins, form=ld).mean(),
    }
    a, b = weights
    loss = a * parts["time"] + b * (parts["ce"] + parts["ld"])
    return {"loss": loss, **parts, "clamped": outside.float().mean()}


def curriculum(profile: str, epoch: int, epochs: int) -> tuple[float, float]:
    """Weights a (time) and b (spectrum) in `epoch` (from 0) of `epochs`.

    toolbox: 1 and 1 up to epoch 10, then 0.05 and 5. rf (RhythmFormer's protocol): 1 and 5^(e/30), at most 5.
    paper (the authors' code): 0.1 and 5^(e/25), at most 5. paper_formula: 0.1 and 5^(e/epochs).
    """
    if profile == "toolbox":
        return (1.0, 1.0) if epoch <= 10 else (0.05, 5.0)
    lengths = {"rf": (1.0, 30), "paper": (0.1, 25), "paper_formula": (0.1, max(epochs, 1))}
    if profile not in lengths:
        raise ValueError(f"There is no curriculum {profile!r}; known: {', '.join(CURRICULA)}.")
    a, length = lengths[profile]
    return a, 5.0 ** min(epoch / length, 1.0)


def label_rates(waves: torch.Tensor, fs: torch.Tensor) -> torch.Tensor:
    """Heart rates (bpm) of waves (B, T) by Welch's density, float64 on the CPU (B,); `fs` (B,) in Hz."""
    arrays = waves.detach().float().cpu().numpy()
    rates = [welch_heart_rate(wave, float(rate)) for wave, rate in zip(arrays, fs, strict=True)]
    return torch.from_numpy(np.array(rates, dtype=np.float64))
