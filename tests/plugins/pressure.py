"""Pressure: a systolic pressure from ten seconds of ECG and PPG."""

import torch.nn.functional as F
from torch import nn

from dataset.clips.inputs import Input
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS


class Waves(nn.Module):
    """Root mean squares of short filters of all channels, weighed by one linear layer. (B, C, L) -> (B,)."""

    def __init__(self, channels: int):
        """`channels` waves at one rate."""
        super().__init__()
        self.encoder = nn.Conv1d(channels, 8, 9, stride=2)
        self.head = nn.Linear(8, 1)

    def forward(self, waves):
        """Around the middle of adult pressures: the network learns the difference."""
        return 120 + 20 * self.head(self.encoder(waves).pow(2).mean(dim=2).sqrt())[:, 0]


@METHODS.register("Pressure")
class PressureTrainer(Trainer):
    """Mean squared error, the defaults of the loop otherwise."""

    needs = Needs(signals=("sbp",), inputs=(Input("waves", streams=("ecg", "ppg"), fs=125.0),))
    heads = {"sbp": "regression"}
    units = {"sbp": "mmHg"}

    def build_model(self):
        """Two channels."""
        return Waves(2)

    def predict(self, model, batch):
        """Waves (B, 2, L) -> {"sbp": (B,)}."""
        return {"sbp": model(batch["waves"])}

    def loss(self, outputs, batch, epoch):
        """Squared error over 100 mmHg^2."""
        return {"loss": F.mse_loss(outputs["sbp"], batch["sbp"]) / 100}
