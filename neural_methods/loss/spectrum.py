"""Losses on the spectrum of the pulse: where its power lies, in bins of one beat per minute.

Niu et al., "RhythmNet", IEEE TIP 29, 2020 (cross-entropy); Yu et al., "PhysFormer", CVPR 2022 (label distribution).

Each of the two losses has two forms. The reference form feeds the power, which already sums to one, to a soft-max as if
it were a logit: a second normalisation of numbers in [0, 1], so the loss is nearly flat (with 140 bins from 4.94 for a
flat spectrum down to 3.95 for a perfect one). Published results were trained with it, so it is the default. The proper
form takes the power as the probability that it is.
"""

import math

import numpy as np
import scipy
import torch
import torch.nn.functional as F

POWER_FLOOR = 1e-12  # keeps the logarithm of an empty bin finite
DENSITY_FLOOR = 1e-15  # of the label distribution
CE_FORMS = ("reference", "proper")
LD_FORMS = ("log_softmax", "log")


def power_spectrum(signal: torch.Tensor, fs: float | torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Power of `signal` (B, T) at the rates `bins` (F,) in bpm, as shares that sum to one: (B, F).

    Hann window over the clip; `fs` in Hz, one number or one per clip (B,). A signal without power has equal shares and
    no gradient.
    """
    waves = _windowed_waves(signal.shape[1], fs, bins).to(signal.device, signal.dtype)
    power = (waves @ signal.unsqueeze(-1)).squeeze(-1).square().sum(dim=0)  # (B, F)
    total = power.sum(dim=1, keepdim=True)
    empty = total <= 0
    share = power / torch.where(empty, torch.ones_like(total), total)
    return torch.where(empty, torch.full_like(power, 1 / len(bins)), share)


def _windowed_waves(frames: int, fs: float | torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Sines and cosines (2, 1 or B, F, T) at `bins` under a Hann window.

    Made in float64, as angles reach 1e3, and on the CPU, as some devices have no float64.
    """
    fs = torch.as_tensor(fs).cpu().double().reshape(-1, 1, 1)
    time = torch.arange(frames, dtype=torch.float64)
    angle = 2 * math.pi / 60 * bins[:, None] * time / fs
    return torch.stack([angle.sin(), angle.cos()]) * torch.hann_window(frames, periodic=False, dtype=torch.float64)


def rate_bins(first: int, last: int) -> torch.Tensor:
    """Rates first, first + 1 ... last in bpm, float64, on the CPU."""
    return torch.arange(first, last + 1, dtype=torch.float64)


def rate_classes(rates: torch.Tensor, bins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number of the bin of each rate (B,) in bpm, truncated; and whether it had to be put into the first or last bin.

    A rate that is not a number counts as outside and is put into the first bin. Both results lie on the CPU.
    """
    rates = rates.cpu().double()
    inside = (rates >= bins[0]) & (rates < bins[-1] + 1)
    offset = torch.nan_to_num(rates, nan=0.0) - bins[0]
    return offset.floor().clamp(0, len(bins) - 1).long(), ~inside


def spectrum_cross_entropy(power: torch.Tensor, classes: torch.Tensor, form: str = "reference") -> torch.Tensor:
    """Cross-entropy of shares of power (B, F) with the bins `classes` (B,) where they should lie: (B,).

    'reference': the shares serve as logits. 'proper': minus the logarithm of the share.
    """
    classes = classes.to(power.device)
    if form == "reference":
        return F.cross_entropy(power, classes, reduction="none")
    check_form("cross-entropy", form, CE_FORMS)
    return F.nll_loss(power.clamp_min(POWER_FLOOR).log(), classes, reduction="none")


def label_distribution_loss(
    power: torch.Tensor, rates: torch.Tensor, bins: torch.Tensor, std: float = 1.0, form: str = "log_softmax"
) -> torch.Tensor:
    """Kullback-Leibler divergence of shares of power (B, F) from a normal density about the rate: (B,).

    `rates` (B,) and `std` in bpm. 'log_softmax': soft-max over the shares, as in the reference; 'log': the shares.
    """
    distance = (bins - rates.cpu().double()[:, None]) / std
    density = torch.exp(-0.5 * distance**2) / (std * math.sqrt(2 * math.pi))
    density = density.clamp_min(DENSITY_FLOOR).to(power.device, power.dtype)
    if form == "log_softmax":
        log_power = power.log_softmax(dim=1)
    else:
        check_form("label distribution", form, LD_FORMS)
        log_power = power.clamp_min(POWER_FLOOR).log()
    return (density * (density.log() - log_power)).sum(dim=1)


def check_form(what: str, form: str, known: tuple[str, ...]) -> None:
    """ValueError with the known forms when `form` is none of them."""
    if form not in known:
        raise ValueError(f"There is no form {form!r} of the {what}; known: {', '.join(known)}.")


def standardise(signal: torch.Tensor) -> torch.Tensor:
    """Each clip of (B, T) with mean 0 and sample standard deviation 1; a constant one becomes 0."""
    centred = signal - signal.mean(dim=-1, keepdim=True)
    energy = centred.square().sum(dim=-1, keepdim=True) / max(signal.shape[-1] - 1, 1)
    flat = energy <= 0  # the root of zero would have an infinite gradient
    return centred / torch.where(flat, torch.ones_like(energy), energy).sqrt()


def welch_heart_rate(wave: np.ndarray, fs: float, band: tuple[float, float] = (0.5, 3.0)) -> float:
    """Rate (bpm) at the highest bin of Welch's density of `wave` (T,) strictly inside `band` (Hz); NaN without a bin.

    Segments of at most 256 samples, zero-padded to about 100,000 / fs points, so bins lie 0.018 bpm apart at 30 Hz.
    """
    segment = min(len(wave) - 1, 256)
    if segment < 1 or fs <= 0:
        return math.nan
    freqs, density = scipy.signal.welch(wave, fs, nperseg=segment, nfft=max(int(1e5 / fs), segment))
    inside = np.flatnonzero((freqs > band[0]) & (freqs < band[1]))
    return 60.0 * float(freqs[inside[density[inside].argmax()]]) if len(inside) else math.nan
