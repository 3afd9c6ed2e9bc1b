"""SensorFusion: pulse and breath from whatever sensors a multimodal recording has."""

from typing import Any

import numpy as np
import torch
from torch import nn

from dataset.clips.inputs import Input
from neural_methods.loss.neg_pearson import neg_pearson_per_clip
from neural_methods.model.sensor_fusion import SENSORS, SensorFusion
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS

VALID = ("valid_rgb", "valid_thermal", "valid_radar")  # in the order of SENSORS
DROPPED = 73  # stream of random numbers


@METHODS.register("SensorFusion")
class SensorFusionTrainer(Trainer):
    """AdamW, one cycle of the learning rate, 1 - r of pulse and of breath.

    Which sensors it reads is said by DATA.MODALITIES of each section, so one that was trained with all can be tested
    without some. In training each sensor of a clip is left out with the probability MODEL.FUSION.DROP, though never
    all of them. RGB frames enter as stored, whatever DATA_TYPE says: the network needs their level.
    """

    OPTIONS = {"FUSION": {"DROP": 0.2, "WIDTH": 16}}
    needs = Needs(
        optional=("resp",),
        inputs=(
            Input("there", streams=VALID, fs=30.0),
            Input("colour", streams=("faces",), fs=30.0, optional=True),
            Input("heat", fs=10.0, optional=True),
            Input("radar", fs=150.0, optional=True),
        ),
    )
    heads = {"ppg": "wave", "resp": "wave"}
    weight_decay = 1e-3
    unused_parameters = True  # encoders of sensors that no recording has

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        super().__init__(config, device)
        self.drop = float(config.MODEL.FUSION.DROP)
        if not 0 <= self.drop < 1:
            raise ValueError(f"MODEL.FUSION.DROP is {self.drop}; it is a probability from 0 to below 1.")

    def build_model(self) -> nn.Module:
        """The network."""
        return SensorFusion(int(self.config.MODEL.FUSION.WIDTH))

    def checkpoint_options(self) -> dict:
        """DROP does not change the network."""
        return {"FUSION": {"WIDTH": int(self.config.MODEL.FUSION.WIDTH)}}

    def augment(self, batch: Batch, epoch: int) -> Batch:
        """Leave sensors out, by (seed, epoch, sample) alone."""
        there = batch["there"].clone()
        for row, sample in enumerate(batch["index"].tolist()):
            random = np.random.default_rng((self.settings.seed, epoch, int(sample), DROPPED))
            had = (there[row].amax(dim=1) > 0).cpu().numpy()
            kept = random.random(len(SENSORS)) >= self.drop
            if not (kept & had).any():
                kept[random.choice(np.flatnonzero(had))] = True if had.any() else kept[0]
            there[row] *= torch.as_tensor(kept, dtype=there.dtype, device=there.device)[:, None]
        return {**batch, "there": there}

    def normalise(self, batch: Batch) -> Batch:
        """Grey levels from 0 to 1, degrees as they are."""
        colour = batch.get("colour")
        if colour is None or colour.ndim != 5:
            return batch
        return {**batch, "colour": colour.float() / 255}

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """{"ppg": (B, T), "resp": (B, T)}."""
        shapes = {"colour": 5, "heat": 5, "radar": 2}
        given = [batch[name] if batch[name].ndim == axes else None for name, axes in shapes.items()]
        given = [one if one is None else torch.nan_to_num(one.float()) for one in given]
        found = model((batch["there"] > 0.5).float(), *given)
        return {"ppg": found[:, 0], "resp": found[:, 1]}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Pulse, and breath where a belt was worn."""
        pulse = neg_pearson_per_clip(outputs["ppg"], batch["ppg"]).mean()
        label = batch.get("resp")
        if label is None:
            return {"loss": pulse + 0 * outputs["resp"].mean(), "pulse": pulse}
        worn = torch.isfinite(label).all(dim=1)
        breath = neg_pearson_per_clip(outputs["resp"], torch.where(worn[:, None], label, torch.zeros_like(label)))
        breath = torch.where(worn, breath, torch.zeros_like(breath)).mean()
        return {"loss": pulse + breath, "pulse": pulse, "breath": breath}
