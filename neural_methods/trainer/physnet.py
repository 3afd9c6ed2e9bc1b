"""PhysNet: whole clips in, the pulse wave out, trained on its correlation with the label."""

import torch
from torch import nn

from neural_methods.extensions import DEFORM_OPTIONS, SE_OPTIONS
from neural_methods.loss.neg_pearson import neg_pearson
from neural_methods.model.physnet import PhysNet
from neural_methods.options.physnet import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs
from neural_methods.trainer.extended import ExtendedTrainer
from registry import METHODS


@METHODS.register("Physnet")
class PhysNetTrainer(ExtendedTrainer):
    """Adam, one-cycle rate, negative Pearson correlation along time."""

    OPTIONS = {
        **METHOD.options,
        "SE": {**SE_OPTIONS, "STAGES": [3, 5, 7, 9]},
        "DEFORM": {**DEFORM_OPTIONS, "STAGE": 4},
    }
    needs = Needs(channels=3, smallest=16)
    optimizer = torch.optim.Adam
    cpu_layout = torch.channels_last_3d  # a third less time per update

    @property
    def time_multiple(self) -> int:
        """Time is halved twice inside the network."""
        return 4

    def build_model(self) -> nn.Module:
        """PhysNet; it takes any clip length, so FRAME_NUM is read and not needed."""
        return self.extended(PhysNet())

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 3, T, H, W) -> {"ppg": (B, T)}."""
        return {"ppg": model(batch["video"])[0]}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """1 - Pearson correlation, the mean over clips."""
        return self.with_extensions({"loss": neg_pearson(outputs["ppg"], batch["ppg"])}, outputs, batch)

    def checkpoint_options(self) -> dict:
        """The extensions alone: the weights work for any clip length."""
        return self.extension_options()
