"""iBVPNet: whole raw clips in, the pulse wave out, trained on its correlation with the label."""

import torch
from torch import nn

from neural_methods.loss.correlation import ACROSS_BATCH_NOTE, correlation_loss
from neural_methods.model.ibvpnet import iBVPNet
from neural_methods.trainer.base import Batch, Losses, Outputs, Trainer
from registry import METHODS


class DifferencedTrainer(Trainer):
    """What iBVPNet and FactorizePhys share: the repeated last frame, the loss, Adam with the one-cycle rate."""

    @property
    def legacy_loss(self) -> bool:
        """Whether to correlate across the batch, as rPPG-Toolbox does, and not along time."""
        return bool(getattr(self.options, "LEGACY_LOSS", False))

    @property
    def loss_mixes_samples(self) -> bool:
        """True with MODEL.LEGACY_LOSS: that loss compares the clips of a batch."""
        return self.legacy_loss

    @property
    def notes(self) -> tuple[str, ...]:
        """The warning about MODEL.LEGACY_LOSS, where it is on."""
        return (ACROSS_BATCH_NOTE,) if self.legacy_loss else ()

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """1 - Pearson correlation along time, the mean over clips (MODEL.LEGACY_LOSS: across the batch)."""
        return {"loss": correlation_loss(outputs["ppg"], batch["ppg"], self.legacy_loss)}

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, object, str]:
        """Adam with the one-cycle rate, stepped once per update."""
        optimizer = torch.optim.Adam(model.parameters(), lr=self.settings.lr)
        return optimizer, self.one_cycle(optimizer, steps_per_epoch), "update"


def with_repeated_end(video: torch.Tensor) -> torch.Tensor:
    """Video (B, C, T, H, W) -> (B, C, T+1, H, W): its T differences keep the clip's length, the last one is 0."""
    return torch.cat([video, video[:, :, -1:]], dim=2)


@METHODS.register("iBVPNet")
class iBVPNetTrainer(DifferencedTrainer):
    """Adam, one-cycle rate, negative Pearson correlation along time (MODEL.LEGACY_LOSS: across the batch).

    The network takes the clip length from the video, so FRAME_NUM is read and not needed.
    """

    OPTIONS = {"iBVPNet": {"FRAME_NUM": 160, "CHANNELS": 3}}

    def build_model(self) -> nn.Module:
        """IBVPNet for CHANNELS."""
        return iBVPNet(int(self.options.iBVPNet.CHANNELS))

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, C, T, H, W) -> {"ppg": (B, T)}."""
        return {"ppg": model(with_repeated_end(batch["video"]))}

    def checkpoint_options(self) -> dict:
        """The channels alone: the weights work for any clip length."""
        return {"iBVPNet": {"CHANNELS": int(self.options.iBVPNet.CHANNELS)}}
