"""A method that learns from recordings without labels: its network and its batches, another loss (TRAIN.LOSS)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from dataset.signals import PULSE_WAVE
from neural_methods.trainer.base import Batch, Trainer
from registry import LABEL_FREE, METHODS
from settings.modes import trains


def method_of(config: Any) -> type[Trainer]:
    """The trainer that a configuration asks for: the method's own, or with the loss that TRAIN.LOSS names."""
    method, name = METHODS[config.MODEL.NAME], str(config.TRAIN.get("LOSS", "")) if trains(config) else ""
    return type(method.__name__, (LABEL_FREE[name], method), {"objective": name}) if name else method


class LabelFree(Trainer):
    """What such a loss stands before: a method whose only output is a pulse wave, and that reads faces.

    No label is read in training and in validation, which is by the same loss; a test is the method's own. Subclasses
    say `loss`; a batch of training holds `speed` (B,) where TRAIN.AUGMENT.SPEED changed it.
    """

    objective = ""

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for a method that cannot learn so."""
        super().__init__(config, device)
        others = [name for name in self.heads if name != PULSE_WAVE]
        if others or PULSE_WAVE not in self.heads or not self.needs.reads_video:
            what = f"also gives {others[0]!r}" if others else "gives or reads another thing"
            raise ValueError(
                f"TRAIN.LOSS {self.objective} teaches a pulse wave read off faces; {self.name} {what}. Choose another "
                "MODEL.NAME, or TRAIN.LOSS: ''."
            )
        if self.augmentation.rate:
            raise ValueError(
                f"TRAIN.AUGMENT.RATE goes by the label, which TRAIN.LOSS {self.objective} does not read: set it to "
                "False; TRAIN.AUGMENT.SPEED needs no label."
            )
        self.needs = replace(self.needs, signals=(), optional=self.needs.labels)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is other than usual."""
        return (
            f"TRAIN.LOSS {self.objective}: no label is read in training or validation. Nothing here says whether the "
            "network got better, nor does how sure it is: test it on recordings whose rate is known.",
        )

    def clip_options(self, section: str) -> dict[str, Any]:
        """As usual in a test; else without labels, so that those that cannot be used do no harm."""
        found = super().clip_options(section)
        return found if section == "test" else {**found, "labels": (), "pseudo": False}

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: Batch) -> list[Any]:
        """(clips, loss), whatever the method validates by."""
        return Trainer.validation_rows(self, outputs, batch)

    def validation_score(self, rows: list[Any]) -> float:
        """Mean loss over clips."""
        return Trainer.validation_score(self, rows)

    def validation_columns(self, rows: list[Any]) -> Mapping[str, float | str] | None:
        """None."""
        return Trainer.validation_columns(self, rows)

    def origin(self) -> dict[str, Any]:
        """Also which loss it was."""
        return {**super().origin(), "loss": self.objective}
