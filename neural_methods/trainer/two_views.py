"""What methods share that learn by comparing two views of a window of one signal: SimCLR, BYOL, SimSiam, MoCo v3, TFC.

No labels and no outputs: mode `train`, validated by their loss. Their encoders are read by Finetune.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from dataset.clips.inputs import Input
from neural_methods import distributed, patches, schedules
from neural_methods.backbones import Backbone
from neural_methods.loss.contrastive import spread
from neural_methods.model.resnet1d import ResNet1D
from neural_methods.trainer.base import Needs, Trainer
from neural_methods.views import PROBABILITY, TwoViews
from registry import did_you_mean

COLLAPSED = 0.1  # spread of the features below which all windows say the same
READ = {  # of all of them: what the encoder reads, and how it is shown
    "CHANNEL": "ppg",  # ecg or ppg
    "INPUT_NORM": "zscore",  # of each window
    "VIEWS": list(PROBABILITY),  # jitter, scaling, reversal, shuffling, cutout, crop: those that may be applied
}
RESNET = {"FILTERS": 32, "BLOCKS": 16, "KERNEL": 3, "WIDTH": 512}  # the sizes of an encoder


class TwoViewTrainer(Trainer):
    """AdamW, a warm-up in epochs and a cosine over all steps; subclasses say `key`, `build_model` and `compare`."""

    key = ""  # section of MODEL with the options
    sizes = tuple(RESNET)  # options that say what the encoder is
    needs = Needs(signals=(), inputs=(Input("wave", ("ppg",), fs=patches.FS),))
    heads: dict[str, str] = {}

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        self.own = config.MODEL[self.key]
        choices = {"CHANNEL": patches.CHANNELS, "INPUT_NORM": patches.NORMS}
        patches.require(self.own, choices, f"MODEL.{self.key}")
        for name in self.own.VIEWS:
            if name not in PROBABILITY:
                hint = did_you_mean(name, PROBABILITY)
                raise ValueError(f"MODEL.{self.key}.VIEWS: no view {name!r}.{hint} Known: {', '.join(PROBABILITY)}.")
        self.needs = Needs(signals=(), inputs=(Input("wave", (str(self.own.CHANNEL),), fs=patches.FS),))
        self.weight_decay = float(self.own.WEIGHT_DECAY)
        self.updates = 1
        super().__init__(config, device)

    def compare(self, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of a batch."""
        raise NotImplementedError

    @classmethod
    def encoder(cls, own: Mapping[str, Any]) -> nn.Module:
        """The encoder that the options describe."""
        return ResNet1D(1, int(own["FILTERS"]), int(own["BLOCKS"]), int(own["KERNEL"]), int(own["WIDTH"]))

    @classmethod
    def backbone(cls, options: Mapping[str, Any]) -> Backbone:
        """The encoder for fine-tuning, from the options of a weight file."""
        own = {**cls.OPTIONS[cls.key], **options.get(cls.key, {})}
        network = cls.encoder(own)
        return Backbone(
            network, network.width, str(own["CHANNEL"]), str(own["INPUT_NORM"]),
            rename=lambda key: key.removeprefix("encoder.") if key.startswith("encoder.") else None,
        )  # fmt: skip

    def data(self, clips: Dataset, section: str) -> Dataset:
        """Two views of every window."""
        return TwoViews(clips, "wave", list(self.own.VIEWS), self.settings.seed, str(self.own.INPUT_NORM))

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """What the network says of both views."""
        return model(batch["first"][:, 0], batch["second"][:, 0])

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """The comparison, and how the features spread: 0 where they have collapsed."""
        return {"loss": self.compare(outputs), "spread": spread(outputs["features"])}

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """(clips, loss, spread)."""
        terms = self.loss(outputs, batch, self.settings.epochs)
        return [(len(batch["first"]), float(terms["loss"]), float(terms["spread"]))]

    def validation_score(self, rows: list[Any]) -> float:
        """Mean loss over clips."""
        return sum(clips * loss for clips, loss, _ in rows) / sum(clips for clips, *_ in rows)

    def validation_columns(self, rows: list[Any]) -> Mapping[str, float | str]:
        """Spread of the features, with a warning where there is none."""
        found = sum(clips * one for clips, _, one in rows) / sum(clips for clips, *_ in rows)
        if found < COLLAPSED:
            distributed.say(
                f"Warning: the features have collapsed (spread {found:.3f} of 1): all windows say the same."
            )
        return {"valid/spread": found}

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """Warm-up and cosine over all steps."""
        self.updates = steps_per_epoch
        optimizer = self.optimizer(self.parameter_groups(model), lr=self.settings.lr)
        total = self.settings.epochs * steps_per_epoch
        factor = schedules.warmup_cosine(total, int(self.own.WARMUP_EPOCHS) * steps_per_epoch)
        return optimizer, schedules.scheduled(optimizer, factor), "update"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """What learns: with weight decay, and the vectors without."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in model.parameters():
            if parameter.requires_grad:
                groups[patches.decays(parameter)].append(parameter)
        return [
            {"params": found, "weight_decay": self.weight_decay if decays else 0.0} for decays, found in groups.items()
        ]

    def checkpoint_options(self) -> dict[str, Any]:
        """What the encoder is and reads."""
        kept = {"CHANNEL": str(self.own.CHANNEL), "INPUT_NORM": str(self.own.INPUT_NORM)}
        return {self.key: {**kept, **{key: int(self.own[key]) for key in self.sizes}}}
