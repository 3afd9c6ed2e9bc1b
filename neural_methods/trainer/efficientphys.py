"""EfficientPhys: clips in, which the network differentiates itself; mean squared error on the differentiated pulse."""

import torch
from torch import nn

from neural_methods.loss.mse import mse
from neural_methods.model.efficient_phys import EfficientPhys
from neural_methods.options.efficientphys import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("EfficientPhys")
class EfficientPhysTrainer(Trainer):
    """AdamW without weight decay, one-cycle rate, mean squared error.

    Each clip's last frame is repeated, so its last difference is 0 and a prediction depends on no other clip.
    rPPG-Toolbox repeats it once per batch: there a clip's last difference is against the first frame of the next clip.
    """

    OPTIONS = METHOD.options
    needs = Needs(channels=3, one_size=True)
    prefix_module = True

    @property
    def time_multiple(self) -> int:
        """Frames are shifted inside segments of FRAME_DEPTH."""
        return int(self.options.EFFICIENTPHYS.FRAME_DEPTH)

    def build_model(self) -> nn.Module:
        """EfficientPhys for frames of RESIZE."""
        return EfficientPhys(frame_depth=self.time_multiple, image_size=self.frame_size)

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 3, T, H, W) -> {"ppg": (B, T)}."""
        clips = batch["video"].transpose(1, 2)  # (B, T, 3, H, W)
        clips = torch.cat([clips, clips[:, -1:]], dim=1)
        return {"ppg": model(clips).view(clips.shape[0], -1)}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Mean squared error over all frames."""
        return {"loss": mse(outputs["ppg"], batch["ppg"])}
