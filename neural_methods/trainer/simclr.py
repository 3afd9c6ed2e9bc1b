"""SimCLR: two views of a window find one another among all others of the batch."""

import torch
from torch import nn

from neural_methods.loss.contrastive import nt_xent
from neural_methods.model.simclr import SimCLR
from neural_methods.trainer.two_views import READ, RESNET, TwoViewTrainer
from registry import METHODS


@METHODS.register("SimCLR")
class SimCLRTrainer(TwoViewTrainer):
    """The recipe of `neural_methods.model.simclr` on windows of one signal."""

    key = "SIMCLR"
    OPTIONS = {
        "SIMCLR": {
            **READ,
            **RESNET,
            "OUTPUTS": 512,  # of the head
            "TEMPERATURE": 0.07,
            "WEIGHT_DECAY": 1e-5,
            "WARMUP_EPOCHS": 0,
        }
    }

    def build_model(self) -> nn.Module:
        """Encoder and head with fresh weights."""
        return SimCLR(self.encoder(self.own), int(self.own.OUTPUTS))

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """NT-Xent."""
        return nt_xent(outputs["one"], outputs["other"], float(self.own.TEMPERATURE))

    @property
    def loss_mixes_samples(self) -> bool:
        """Each window is told from the others of its batch."""
        return True
