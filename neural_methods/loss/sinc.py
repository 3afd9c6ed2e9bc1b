"""A loss without labels: what the spectrum of any pulse wave is like.

Speth, Vance, Flynn and Czajka, "Non-contrastive unsupervised learning of physiological signals from video" (SiNC), CVPR
2023. Power belongs into the band of heart rates, there close to one frequency; clips of a batch differ in theirs.
All take shares of power (B, F) at the rates `bins` (F,) in bpm, as `spectrum.power_spectrum` gives.
"""

import torch

LOW_BPM, HIGH_BPM = 40.0, 180.0  # the band
WIDTH_BPM = 6.0  # to each side of the highest frequency


def band_of(bins: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
    """Which bins (B, F) are a heart's in clips that run at `speed` (B,) times theirs: the band runs along."""
    rates = bins[None] / speed.to(bins)[:, None]
    return (rates >= LOW_BPM) & (rates <= HIGH_BPM)


def bandwidth(power: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Share of the power outside of the band (B, F) of each clip: (B,)."""
    return (power * ~band).sum(dim=1) / _some(power.sum(dim=1))


def sparsity(power: torch.Tensor, band: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Share of the power in the band that lies further than WIDTH_BPM from its highest frequency: (B,)."""
    inside = power * band
    peak = bins[inside.detach().argmax(dim=1)]
    far = (bins[None] - peak[:, None]).abs() > WIDTH_BPM
    return (inside * far).sum(dim=1) / _some(inside.sum(dim=1))


def variance(power: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of two cumulated distributions over all that is in a clip's band (B, F).

    One is the mean of the batch's spectra, the other of spectra that are flat over each clip's band. A scalar: 0 where
    the clips' frequencies fill the band evenly, most where all of them are at one end of it.
    """
    either = band.any(dim=0)
    inside, flat = power[:, either], band[:, either].to(power)
    shares = [each / _some(each.sum(dim=1, keepdim=True)) for each in (inside, flat)]
    return (shares[0] - shares[1]).mean(dim=0).cumsum(0).square().mean()


def _some(total: torch.Tensor) -> torch.Tensor:
    """Sums of power to divide by: never 0."""
    return total.clamp(min=torch.finfo(total.dtype).tiny)
