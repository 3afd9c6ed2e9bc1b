"""RhythmFormer: whole clips in, the pulse wave out, trained on correlation and on where the spectrum peaks."""

from typing import Any

import torch
from torch import nn

from neural_methods.loss.rhythmformer import label_rates, rhythmformer_loss
from neural_methods.loss.spectrum import CE_FORMS, standardise
from neural_methods.model.rhythmformer import RhythmFormer
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from neural_methods.trainer.passes import frame_rates
from neural_methods.trainer.physformer import choice, count_clamped, say_clamped
from registry import METHODS


@METHODS.register("RhythmFormer")
class RhythmFormerTrainer(Trainer):
    """AdamW without weight decay, one-cycle rate; outputs are standardised clip by clip, for the loss and for the test.

    CE chooses the form of the cross-entropy: 'reference' (as published) or 'proper'.
    """

    OPTIONS = {"RHYTHMFORMER": {"CE": "reference"}}
    needs = Needs(channels=3)
    prefix_module = True
    unused_parameters = True  # qkv_linear is in the released weights and never used

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """Read and check the options; ValueError for an unknown choice."""
        super().__init__(config, device)
        self.ce = choice(self.options, "RHYTHMFORMER", "CE", CE_FORMS)
        self.clamped = 0.0  # clips of this epoch whose rate lay outside the bins

    @property
    def time_multiple(self) -> int:
        """Time is halved up to three times inside the network."""
        return 8

    @property
    def notes(self) -> tuple[str, ...]:
        """The oddity of the published recipe, when it is in use."""
        if self.ce != "reference":
            return ()
        return (
            "the cross-entropy puts an already normalised spectrum through a soft-max, as published "
            "(MODEL.RHYTHMFORMER.CE: 'proper' does not).",
        )

    def build_model(self) -> nn.Module:
        """RhythmFormer; regions follow the size of the clips."""
        return RhythmFormer()

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 3, T, H, W) -> {"ppg": (B, T)}; the network wants time before the channels."""
        return {"ppg": model(batch["video"].transpose(1, 2))}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """0.2 (1 - correlation) + cross-entropy, with its parts."""
        fs = frame_rates(batch, self.fs)
        rates = label_rates(batch["ppg"], fs, differential=self.label_type == "DiffNormalized")
        predicted = standardise(outputs["ppg"])
        losses = rhythmformer_loss(predicted, batch["ppg"], rates, fs, self.ce)
        self.clamped += count_clamped(losses, len(fs))
        return losses

    def finish(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Standardised clip by clip."""
        return {"ppg": standardise(outputs["ppg"])}

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        """Say how many labels lay outside the bins of the spectrum."""
        self.clamped = say_clamped(self.clamped, epoch)

    def checkpoint_options(self) -> dict[str, Any]:
        """None: how it was trained does not matter to its weights."""
        return {}
