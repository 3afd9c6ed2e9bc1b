"""Rate, amplitude and spectrum of a window in the place of a network: features that nobody had to learn."""

import torch
from torch import nn

from evaluation.ridge import standardised
from evaluation.wave_features import NAMES, features


class HandFeatures(nn.Module):
    """Windows (B, L) at `fs` (Hz) -> standardised features (B, F)."""

    width = len(NAMES)

    def __init__(self, fs: float):
        """Not yet standardised: the features are known when the training windows are."""
        super().__init__()
        self.fs = fs
        self.register_buffer("center", torch.zeros(self.width, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(self.width, dtype=torch.float64))

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """On the CPU, whatever the device: some are counted beat by beat."""
        table = features(waves.detach().cpu().numpy(), self.fs)
        found = standardised(table, self.center.cpu().numpy(), self.scale.cpu().numpy())
        return torch.from_numpy(found).to(waves.device, torch.float32)
