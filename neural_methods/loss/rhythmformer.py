"""The loss of RhythmFormer: correlation over time and the cross-entropy of the spectrum.

Zou et al., "RhythmFormer: Extracting Patterned rPPG Signals based on Periodic Sparse Attention",
Pattern Recognition 164, 2025, https://arxiv.org/abs/2402.12788

    loss = 0.2 * (1 - Pearson) + cross-entropy

The published code adds a divergence between two one-element distributions: always 0, without gradient. Left out here.
"""

import numpy as np
import torch

from evaluation.heart_rate import fft_heart_rate
from evaluation.post_process import bandpass, detrend, integrate
from neural_methods.loss.neg_pearson import neg_pearson_per_clip
from neural_methods.loss.spectrum import power_spectrum, rate_bins, rate_classes, spectrum_cross_entropy

FIRST_BPM, LAST_BPM = 45, 149
TIME_WEIGHT = 0.2


def rhythmformer_loss(
    predicted: torch.Tensor, label: torch.Tensor, rates: torch.Tensor, fs: float | torch.Tensor, ce: str = "reference"
) -> dict[str, torch.Tensor]:
    """Loss of `predicted` against `label` (B, T), means over clips: loss, time, ce, and clamped.

    `rates` (B,) are the labels' heart rates in bpm, `fs` in Hz (one number or (B,)). Rates outside 45-150 bpm are put
    into the outermost bin; `clamped` is their share. `ce`: see `spectrum`.
    """
    bins = rate_bins(FIRST_BPM, LAST_BPM)
    classes, outside = rate_classes(rates, bins)
    power = power_spectrum(predicted, fs, bins)
    parts = {
        "time": neg_pearson_per_clip(predicted, label).mean(),
        "ce": spectrum_cross_entropy(power, classes, ce).mean(),
    }
    return {"loss": TIME_WEIGHT * parts["time"] + parts["ce"], **parts, "clamped": outside.float().mean()}


def label_rates(waves: torch.Tensor, fs: torch.Tensor, differential: bool) -> torch.Tensor:
    """Heart rates (bpm) of waves (B, T) by their periodogram, float64 on the CPU (B,); `fs` (B,) in Hz.

    `differential` waves are summed up first; then detrended and band-passed to 0.6-3.3 Hz, as for evaluation.
    """
    arrays = waves.detach().float().cpu().numpy()
    rates = [_rate(wave, float(rate), differential) for wave, rate in zip(arrays, fs, strict=True)]
    return torch.from_numpy(np.array(rates, dtype=np.float64))


def _rate(wave: np.ndarray, fs: float, differential: bool) -> float:
    wave = integrate(wave) if differential else wave
    return fft_heart_rate(bandpass(detrend(wave, 100.0), fs), fs)
