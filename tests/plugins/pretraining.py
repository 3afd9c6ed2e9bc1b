"""Masked: an encoder that learns without any label; Tuned: a pressure on top of that encoder, which stays as it is."""

import torch
import torch.nn.functional as F
from pressure import PressureTrainer
from torch import nn

from dataset.clips.inputs import Input
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS


class Restorer(nn.Module):
    """The encoder of `Waves` and a way back: waves with a hole (B, 2, L) -> waves (B, 2, L)."""

    def __init__(self):
        """Two channels."""
        super().__init__()
        self.encoder = nn.Conv1d(2, 8, 9, stride=2)
        self.decoder = nn.ConvTranspose1d(8, 2, 9, stride=2, output_padding=1)

    def forward(self, waves):
        """As long as they came."""
        return self.decoder(self.encoder(waves))[:, :, : waves.shape[2]]


@METHODS.register("Masked")
class MaskedTrainer(Trainer):
    """No label, no head: the loss is the validation score."""

    needs = Needs(signals=(), inputs=(Input("waves", streams=("ecg", "ppg"), fs=125.0),))
    heads = {}
    updated = 0  # updates that the hook saw

    def build_model(self):
        """The restorer."""
        return Restorer()

    def predict(self, model, batch):
        """The waves, restored from all but a tenth of them."""
        whole = batch["waves"]
        start = whole.shape[2] // 2
        hole = torch.ones_like(whole)
        hole[:, :, start : start + whole.shape[2] // 10] = 0
        return {"waves": model(whole * hole)}

    def loss(self, outputs, batch, epoch):
        """Mean squared error of the restored waves."""
        whole = batch["waves"][:, :, : outputs["waves"].shape[2]]
        return {"loss": F.mse_loss(outputs["waves"], whole)}

    def after_update(self, network, epoch, update):
        """Count, as a codebook would be cared for here."""
        self.updated += 1


@METHODS.register("Tuned")
class TunedTrainer(PressureTrainer):
    """Starts from the encoder of Masked, which is frozen; the head is new."""

    def frozen(self, network):
        """The encoder."""
        return [network.encoder]

    def initial_weights(self, state):
        """The encoder's entries of the other method; the rest of the network may start fresh."""
        return {name: value for name, value in state.items() if name.startswith("encoder.")}, ("head.*",)
