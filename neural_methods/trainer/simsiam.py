"""SimSiam: a network predicts what it says of another view itself."""

import torch
from torch import nn

from neural_methods.loss.contrastive import negative_cosine
from neural_methods.model.simsiam import SimSiam
from neural_methods.trainer.two_views import READ, RESNET, TwoViewTrainer
from registry import METHODS


@METHODS.register("SimSiam")
class SimSiamTrainer(TwoViewTrainer):
    """The recipe of `neural_methods.model.simsiam` on windows of one signal."""

    key = "SIMSIAM"
    OPTIONS = {
        "SIMSIAM": {
            **READ,
            **RESNET,
            "FILTERS": 64,
            "OUTPUTS": 2048,
            "HIDDEN": 512,  # the narrow middle of the predictor
            "WEIGHT_DECAY": 5e-5,
            "WARMUP_EPOCHS": 10,
        }
    }

    def build_model(self) -> nn.Module:
        """Encoder and head with fresh weights."""
        return SimSiam(self.encoder(self.own), int(self.own.OUTPUTS), int(self.own.HIDDEN))

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """- cos, the mean of both ways."""
        first = negative_cosine(outputs["one"], outputs["of_other"])
        return (first + negative_cosine(outputs["other"], outputs["of_one"])) / 2
