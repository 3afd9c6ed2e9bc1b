"""BigSmall: pulse, respiration and action units from groups of three frames at two sizes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.loss.big_small import ACTION_UNITS, big_small_loss
from neural_methods.model.big_small import GROUP, SHRINK, BigSmall
from neural_methods.options.bigsmall import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS


@METHODS.register("BigSmall")
class BigSmallTrainer(Trainer):
    """AdamW without weight decay at a constant rate (the published recipe has no schedule), three losses summed.

    The frames are stored at the big size alone. The small ones are normalised at that size and then shrunk by area.
    Sizes and types come from DATA.PREPROCESS.BIGSMALL; MODEL.BIGSMALL.FRAME_DEPTH is read and not needed, the network's
    groups are of three. Labels: `ppg`, `resp` (B, T) and `au` (B, T, 12); a missing one leaves its head untrained.
    """

    OPTIONS = METHOD.options
    needs = Needs(channels=6, one_size=True, optional=("resp", "au"), parts={"au": tuple(ACTION_UNITS)})
    schedule = "constant"  # the published recipe has none
    heads = {"ppg": "wave", "resp": "wave", "au": "classes"}

    def use_data(self, data) -> None:
        """Frame size and types of both branches from PREPROCESS.BIGSMALL."""
        super().use_data(data)
        node = data.PREPROCESS.BIGSMALL
        self.frame_size = (int(node.RESIZE.BIG_H), int(node.RESIZE.BIG_W))
        self.image_size = self.frame_size[0]
        self.small_size = (int(node.RESIZE.SMALL_H), int(node.RESIZE.SMALL_W))
        self.data_types = [*node.BIG_DATA_TYPE, *node.SMALL_DATA_TYPE]

    @property
    def time_multiple(self) -> int:
        """Three frames share one big frame."""
        return GROUP

    def check_section(self, section: str) -> None:
        """Also: the small frames must be as large as what the big branch makes of the big ones."""
        super().check_section(section)
        if tuple(side * SHRINK for side in self.small_size) != self.frame_size:
            raise ValueError(
                f"BigSmall adds its big frames, shrunk to a {SHRINK}th, to the small ones: "
                f"{section}.PREPROCESS.BIGSMALL.RESIZE has big ones of {self.frame_size} and small ones of "
                f"{self.small_size} pixels; set them to 144 and 9."
            )

    def build_model(self) -> nn.Module:
        """BigSmall for big frames of PREPROCESS.BIGSMALL.RESIZE."""
        return BigSmall(image_size=self.frame_size)

    def prepare(self, batch: Batch) -> Batch:
        """Split the six normalised channels: `video` (B, 3, T, H, W) and `small` (B, 3, T, h, w).

        Chunks of rPPG-Toolbox hold the small frames themselves, as `small_float`.
        """
        video = batch["video"]
        if "small_float" in batch:
            return {**batch, "small": batch["small_float"][:, :, : video.shape[2]].float()}
        small = F.adaptive_avg_pool3d(video[:, 3:], (int(video.shape[2]), *self.small_size))  # int: to be exported
        return {**batch, "video": video[:, :3], "small": small}

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """{"au": (B, T, 12) logits, "ppg": (B, T), "resp": (B, T)}."""
        clips = batch["video"].shape[0]
        rows = [batch[name].transpose(1, 2).flatten(0, 1) for name in ("video", "small")]  # (B T, 3, H, W)
        units, pulse, respiration = model(*rows)
        return {
            "ppg": pulse.view(clips, -1),
            "resp": respiration.view(clips, -1),
            "au": units.view(clips, -1, units.shape[1]),
        }

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Cross-entropy of the action units plus both mean squared errors."""
        return big_small_loss(outputs, batch)

    def finish(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Action units as probabilities."""
        return {**outputs, "au": torch.sigmoid(outputs["au"])}

    def clip_options(self, section: str) -> dict[str, Any]:
        """As usual; tested against the measured pulse, also where pseudo labels are trained on (the published way)."""
        options = super().clip_options(section)
        return {**options, "pseudo": False} if section == "test" else options

    def checkpoint_options(self) -> dict:
        """None: FRAME_DEPTH does not change the network."""
        return {}
