"""Shape and spectrum of a pulse wave together, and whether the wave found is the right one."""

import torch
import torch.nn.functional as F

from neural_methods.loss.neg_pearson import neg_pearson_per_clip
from neural_methods.loss.spectrum import power_spectrum, rate_bins

BINS = rate_bins(38, 212)  # bpm
NEAR = 5  # bpm between two spectra's peaks that are one
ALL = 1e-4  # keeps the logarithm of no power at all finite


def wave_and_spectrum(
    wave: torch.Tensor, quality: torch.Tensor, label: torch.Tensor, fs: float, weights: tuple[float, float]
) -> dict[str, torch.Tensor]:
    """Loss of waves (B, T) and of logits of their quality (B, T) against true waves (B, T) at `fs` (Hz).

    `pearson`: 1 - correlation. `spectrum`: minus the log of the share of power within 6 bpm of the true peak. Both are
    means over the clips that have a pulse; clips whose label is constant have none. `quality`: cross-entropy of whether
    the peaks of wave and label are within 5 bpm. `weights` are those of the last two.
    """
    alive = label.std(dim=-1) > 1e-6
    count = alive.sum().clamp(min=1)
    bins = BINS.to(wave.device)
    with torch.no_grad():
        true = bins[power_spectrum(label, fs, BINS).argmax(dim=1)]
    power = power_spectrum(wave, fs, BINS)
    near = (bins[None] - true[:, None]).abs() <= NEAR + 1
    spectrum = -torch.log((power * near).sum(dim=1) + ALL)
    right = alive & ((bins[power.detach().argmax(dim=1)] - true).abs() <= NEAR)
    pearson = (neg_pearson_per_clip(wave, label) * alive).sum() / count
    spectrum = (spectrum * alive).sum() / count
    sure = F.binary_cross_entropy_with_logits(quality.mean(dim=-1), right.to(quality.dtype))
    return {
        "loss": pearson + weights[0] * spectrum + weights[1] * sure, "pearson": pearson, "spectrum": spectrum,
        "quality": sure,
    }  # fmt: skip
