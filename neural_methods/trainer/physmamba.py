"""PhysMamba: whole clips in, the pulse wave out, trained on its correlation with the label."""

import torch
from torch import nn

from neural_methods.loss.neg_pearson import neg_pearson
from neural_methods.model.physmamba import PhysMamba
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("PhysMamba")
class PhysMambaTrainer(Trainer):
    """Adam with weight decay 5e-4, one-cycle rate, negative Pearson correlation along time."""

    needs = Needs(channels=3)
    prefix_module = True
    optimizer = torch.optim.Adam  # which adds the decay to the gradient
    weight_decay = 5e-4

    @property
    def time_multiple(self) -> int:
        """The slow stream sees one sample for four frames."""
        return 4

    def build_model(self) -> nn.Module:
        """PhysMamba; it takes any clip length."""
        return PhysMamba()

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """1 - Pearson correlation, the mean over clips."""
        return {"loss": neg_pearson(outputs["ppg"], batch["ppg"])}
