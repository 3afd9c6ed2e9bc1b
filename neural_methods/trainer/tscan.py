"""TS-CAN: the frames of each clip in a row, mean squared error on the differentiated pulse."""

from torch import nn

from neural_methods.loss.mse import mse
from neural_methods.model.ts_can import TSCAN
from neural_methods.options.tscan import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("Tscan")
class TSCANTrainer(Trainer):
    """AdamW without weight decay, one-cycle rate, mean squared error.

    Every clip is cut to a multiple of FRAME_DEPTH, so no segment runs from one clip into the next.
    """

    OPTIONS = METHOD.options
    needs = Needs(channels=6, one_size=True)
    prefix_module = True

    @property
    def time_multiple(self) -> int:
        """Frames are shifted inside segments of FRAME_DEPTH."""
        return int(self.options.TSCAN.FRAME_DEPTH)

    def build_model(self) -> nn.Module:
        """TSCAN for frames of RESIZE."""
        return TSCAN(frame_depth=self.time_multiple, image_size=self.frame_size)

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 6, T, H, W) -> {"ppg": (B, T)}; the network sees single frames."""
        video = batch["video"]
        frames = video.transpose(1, 2).flatten(0, 1)  # (B T, 6, H, W)
        return {"ppg": model(frames).view(video.shape[0], -1)}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Mean squared error over all frames."""
        return {"loss": mse(outputs["ppg"], batch["ppg"])}
