"""DeepPhys: single frames in, mean squared error on the differentiated pulse."""

from torch import nn

from neural_methods.loss.mse import mse
from neural_methods.model.deepphys import DeepPhys
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("DeepPhys")
class DeepPhysTrainer(Trainer):
    """AdamW without weight decay, one-cycle rate, mean squared error."""

    needs = Needs(channels=6, one_size=True)
    prefix_module = True

    def build_model(self) -> nn.Module:
        """DeepPhys for frames of RESIZE."""
        return DeepPhys(image_size=self.frame_size)

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 6, T, H, W) -> {"ppg": (B, T)}; the network sees single frames."""
        video = batch["video"]
        frames = video.transpose(1, 2).flatten(0, 1)  # (B T, 6, H, W)
        return {"ppg": model(frames).view(video.shape[0], -1)}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Mean squared error over all frames."""
        return {"loss": mse(outputs["ppg"], batch["ppg"])}
