"""MoCo v3: a transformer's queries find the keys of its slower copy; LARS, momentum from 0.99 to 1 by a cosine."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from neural_methods.lars import LARS
from neural_methods.loss.contrastive import info_nce
from neural_methods.model.moco_v3 import MoCoV3
from neural_methods.model.wave_vit import WaveViT
from neural_methods.trainer.two_views import READ, TwoViewTrainer
from registry import METHODS


@METHODS.register("MoCoV3")
class MoCoV3Trainer(TwoViewTrainer):
    """The recipe of `neural_methods.model.moco_v3` on windows of one signal."""

    key = "MOCOV3"
    sizes = ("PATCH", "WIDTH", "DEPTH", "HEADS")
    optimizer = LARS
    OPTIONS = {
        "MOCOV3": {
            **READ,
            "PATCH": 125,
            "WIDTH": 384,
            "DEPTH": 12,
            "HEADS": 6,
            "HIDDEN": 4096,
            "OUTPUTS": 256,
            "MOMENTUM": 0.99,  # of the copy at the start
            "TEMPERATURE": 0.2,
            "WEIGHT_DECAY": 0.1,
            "WARMUP_EPOCHS": 10,
        }
    }

    @classmethod
    def encoder(cls, own: Mapping[str, Any]) -> nn.Module:
        """A transformer of patches."""
        return WaveViT(*(int(own[key]) for key in cls.sizes))

    @property
    def time_multiple(self) -> int:
        """Whole patches."""
        return int(self.own.PATCH)

    @property
    def loss_mixes_samples(self) -> bool:
        """Each window is told from the others of its batch."""
        return True

    def build_model(self) -> nn.Module:
        """Encoder, its copy and the heads with fresh weights."""
        return MoCoV3(self.encoder(self.own), int(self.own.HIDDEN), int(self.own.OUTPUTS))

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """InfoNCE, both ways."""
        temperature = float(self.own.TEMPERATURE)
        first = info_nce(outputs["one"], outputs["of_other"], temperature)
        return first + info_nce(outputs["other"], outputs["of_one"], temperature)

    def after_update(self, network: nn.Module, epoch: int, update: int) -> None:
        """The copy follows, slower and slower."""
        network.follow(self.momentum(epoch * self.updates + update))

    def momentum(self, step: int) -> float:
        """Of the copy after so many updates."""
        done = min(1.0, step / max(1, self.settings.epochs * self.updates))
        return 1 - (1 - float(self.own.MOMENTUM)) * 0.5 * (1 + math.cos(math.pi * done))
