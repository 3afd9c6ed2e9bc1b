"""iBVPNet: whole raw clips in, the pulse wave out, trained on its correlation with the label."""

import torch
from torch import nn

from neural_methods.loss.correlation import ACROSS_BATCH_NOTE, correlation_loss
from neural_methods.model.ibvpnet import SMALLEST, iBVPNet
from neural_methods.model.normed_difference import missing_channels
from neural_methods.options.ibvpnet import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


class DifferencedTrainer(Trainer):
    """What iBVPNet and FactorizePhys share: the repeated last frame, the loss, channels chosen by an option, Adam."""

    optimizer = torch.optim.Adam
    channels_of: str  # section of MODEL whose CHANNELS says how many the network reads

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

    def channel_problem(self, found: int, section: str) -> str:
        """CHANNELS 3 and 4 are the first of a video, 1 is its last where that is heat or grey."""
        if not missing_channels(found, channels := int(self.options[self.channels_of].CHANNELS)):
            return ""
        return (
            f"MODEL.{self.channels_of}.CHANNELS is {channels}, {section} gives a video of {found} (DATA_TYPE "
            f"{self.data_types}): set it to {found}, or {section}.PREPROCESS.IBVP.DATA_MODE as the network reads."
        )

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """1 - Pearson correlation along time, the mean over clips (MODEL.LEGACY_LOSS: across the batch)."""
        return {"loss": correlation_loss(outputs["ppg"], batch["ppg"], self.legacy_loss)}


def with_repeated_end(video: torch.Tensor) -> torch.Tensor:
    """Video (B, C, T, H, W) -> (B, C, T+1, H, W): its T differences keep the clip's length, the last one is 0."""
    return torch.cat([video, video[:, :, -1:]], dim=2)


@METHODS.register("iBVPNet")
class iBVPNetTrainer(DifferencedTrainer):
    """Adam, one-cycle rate, negative Pearson correlation along time (MODEL.LEGACY_LOSS: across the batch).

    The network takes the clip length from the video, so FRAME_NUM is read and not needed.
    """

    OPTIONS = METHOD.options
    needs = Needs(smallest=SMALLEST)
    channels_of = "iBVPNet"

    def build_model(self) -> nn.Module:
        """IBVPNet for CHANNELS."""
        return iBVPNet(int(self.options.iBVPNet.CHANNELS))

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, C, T, H, W) -> {"ppg": (B, T)}."""
        return {"ppg": model(with_repeated_end(batch["video"]))}

    def checkpoint_options(self) -> dict:
        """The channels alone: the weights work for any clip length."""
        return {"iBVPNet": {"CHANNELS": int(self.options.iBVPNet.CHANNELS)}}
