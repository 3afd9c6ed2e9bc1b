"""BYOL: a network predicts what its own slow average says of another view."""

import torch
from torch import nn

from neural_methods.loss.contrastive import bootstrap
from neural_methods.model.byol import BYOL
from neural_methods.trainer.two_views import READ, RESNET, TwoViewTrainer
from registry import METHODS


@METHODS.register("BYOL")
class BYOLTrainer(TwoViewTrainer):
    """The recipe of `neural_methods.model.byol` on windows of one signal."""

    key = "BYOL"
    OPTIONS = {
        "BYOL": {
            **READ,
            **RESNET,
            "HIDDEN": 512,
            "OUTPUTS": 256,
            "MOMENTUM": 0.99,  # of the average
            "WEIGHT_DECAY": 1e-5,
            "WARMUP_EPOCHS": 0,
        }
    }

    def build_model(self) -> nn.Module:
        """Encoder and head with fresh weights."""
        return BYOL(self.encoder(self.own), int(self.own.HIDDEN), int(self.own.OUTPUTS))

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """2 - 2 cos, both ways."""
        first = bootstrap(outputs["one"], outputs["of_other"])
        return first + bootstrap(outputs["other"], outputs["of_one"])

    def after_update(self, network: nn.Module, epoch: int, update: int) -> None:
        """The average follows."""
        network.follow(float(self.own.MOMENTUM))
