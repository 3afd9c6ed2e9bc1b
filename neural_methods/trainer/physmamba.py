"""PhysMamba: whole clips in, the pulse wave out, trained on its correlation with the label."""

from typing import Any

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

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """Adam, the decay added to the gradient, with the one-cycle rate."""
        optimizer = torch.optim.Adam(model.parameters(), lr=self.settings.lr, weight_decay=5e-4)
        return optimizer, self.one_cycle(optimizer, steps_per_epoch), "update"
