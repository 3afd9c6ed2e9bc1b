"""TFC: waves and their spectra, each told from the others, and close to one another."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from neural_methods.loss.contrastive import nt_xent
from neural_methods.model.tfc import TFC, TimeAndSpectrum
from neural_methods.trainer.two_views import READ, RESNET, TwoViewTrainer
from registry import METHODS


@METHODS.register("TFC")
class TFCTrainer(TwoViewTrainer):
    """The recipe of `neural_methods.model.tfc` on windows of one signal; its backbone is twice as wide."""

    key = "TFC"
    OPTIONS = {
        "TFC": {
            **READ,
            **RESNET,
            "FILTERS": 48,
            "OUTPUTS": 128,
            "TEMPERATURE": 0.1,
            "WEIGHT_DECAY": 1e-4,
            "WARMUP_EPOCHS": 0,
        }
    }

    @classmethod
    def encoder(cls, own: Mapping[str, Any]) -> nn.Module:
        """One for waves and one for spectra."""
        make = super().encoder
        return TimeAndSpectrum(make(own), make(own))

    @property
    def loss_mixes_samples(self) -> bool:
        """Each window is told from the others of its batch."""
        return True

    def build_model(self) -> nn.Module:
        """Both encoders and their heads with fresh weights."""
        return TFC(self.encoder(self.own), int(self.own.OUTPUTS))

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """NT-Xent of waves, of spectra, and across."""
        pairs = (("one", "other"), ("of_one", "of_other"), ("one", "of_one"))
        return sum(nt_xent(outputs[a], outputs[b], float(self.own.TEMPERATURE)) for a, b in pairs)
