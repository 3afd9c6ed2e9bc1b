"""TFC: one encoder reads the wave, one its spectrum, and what both say of a window must be close.

Zhang et al., "Self-supervised contrastive pre-training for time series via time-frequency consistency", NeurIPS 2022.
"""

import torch
from torch import nn

from neural_methods.model.projector import mlp


class TimeAndSpectrum(nn.Module):
    """Waves (B, L) -> what the encoders of wave and spectrum say, behind one another (B, 2 width)."""

    def __init__(self, time: nn.Module, spectrum: nn.Module):
        """Both encoders: (B, L) -> (B, width)."""
        super().__init__()
        self.time, self.spectrum, self.width = time, spectrum, time.width + spectrum.width

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Both."""
        return torch.cat([self.time(waves), self.spectrum(magnitudes(waves))], dim=-1)


class TFC(nn.Module):
    """Two views (B, L) -> outputs of wave and spectrum of both, (B, `outputs`) each."""

    def __init__(self, encoder: TimeAndSpectrum, outputs: int = 128):
        """A head for each encoder, into one space."""
        super().__init__()
        self.encoder = encoder
        half = encoder.time.width
        self.time_head = mlp(half, 2 * outputs, outputs)
        self.spectrum_head = mlp(half, 2 * outputs, outputs)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Both views at once."""
        waves, spectra = self.encoder(torch.cat([first, second])).chunk(2, dim=-1)
        one, other = self.time_head(waves).chunk(2)
        of_one, of_other = self.spectrum_head(spectra).chunk(2)
        features = torch.cat([waves, spectra], dim=-1)[: len(first)]
        return {"one": one, "other": other, "of_one": of_one, "of_other": of_other, "features": features}


def magnitudes(waves: torch.Tensor) -> torch.Tensor:
    """Magnitudes (B, L // 2 + 1) of the Fourier transform of waves (B, L), in spreads of white noise."""
    return torch.fft.rfft(waves.float()).abs() / waves.shape[-1] ** 0.5
