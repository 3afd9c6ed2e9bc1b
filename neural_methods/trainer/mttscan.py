"""MTTS-CAN: pulse and respiration from the frames of each clip in a row, squared errors on the differentiated waves."""

from torch import nn

from neural_methods import distributed
from neural_methods.loss.mse import known_mse, mse
from neural_methods.model.mtts_can import MTTSCAN
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("MTTSCAN")
class MTTSCANTrainer(Trainer):
    """AdamW without weight decay, one-cycle rate, the sum of both mean squared errors.

    Where the data have no respiration (`resp`) only the pulse head is trained, the other keeps its first weights.
    MODEL.MTTSCAN.FRAME_DEPTH 0 means: as MODEL.TSCAN.FRAME_DEPTH, which older files set for this network.
    """

    OPTIONS = {"MTTSCAN": {"FRAME_DEPTH": 0, "RESP_WEIGHT": 1.0}}
    needs = Needs(channels=6, one_size=True, optional=("resp",))
    heads = {"ppg": "wave", "resp": "wave"}
    prefix_module = True
    _said = False

    @property
    def time_multiple(self) -> int:
        """Frames are shifted inside segments of FRAME_DEPTH."""
        tscan = getattr(self.options, "TSCAN", None)
        return int(self.options.MTTSCAN.FRAME_DEPTH or getattr(tscan, "FRAME_DEPTH", 10))

    def checkpoint_options(self) -> dict:
        """The depth that is in force, wherever it was set."""
        return {"MTTSCAN": {"FRAME_DEPTH": self.time_multiple}}

    def build_model(self) -> nn.Module:
        """MTTS-CAN for frames of RESIZE."""
        return MTTSCAN(frame_depth=self.time_multiple, image_size=self.frame_size)

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 6, T, H, W) -> {"ppg": (B, T), "resp": (B, T)}; the network sees single frames."""
        video = batch["video"]
        pulse, respiration = model(video.transpose(1, 2).flatten(0, 1))
        return {"ppg": pulse.view(video.shape[0], -1), "resp": respiration.view(video.shape[0], -1)}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Mean squared errors of pulse and, where it is known, respiration."""
        pulse = mse(outputs["ppg"], batch["ppg"])
        if "resp" not in batch:
            self._say_once()
            # Weight 0, not left out: several processes must agree on which weights get a gradient.
            return {"loss": pulse + 0.0 * outputs["resp"].sum()}
        respiration = known_mse(outputs["resp"], batch["resp"])
        loss = pulse + float(self.options.MTTSCAN.RESP_WEIGHT) * respiration
        return {"loss": loss, "ppg": pulse, "resp": respiration}

    def _say_once(self) -> None:
        if not self._said:
            distributed.say("Note: these data have no respiration, so MTTSCAN's pulse head alone is trained.")
        self._said = True
