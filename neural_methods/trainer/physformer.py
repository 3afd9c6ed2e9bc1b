"""PhysFormer: whole clips in, the pulse wave out, trained on correlation and on the spectrum about the heart rate."""

import math
from typing import Any

import torch
from torch import nn

from neural_methods import distributed
from neural_methods.extensions import DEFORM_OPTIONS, SE_OPTIONS
from neural_methods.loss.physformer import CURRICULA, curriculum, label_rates, physformer_loss
from neural_methods.loss.spectrum import CE_FORMS, LD_FORMS, standardise
from neural_methods.model.physformer import PhysFormer
from neural_methods.options.physformer import METHOD
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs
from neural_methods.trainer.extended import ExtendedTrainer
from neural_methods.trainer.passes import frame_rates
from registry import METHODS

NETWORK_OPTIONS = METHOD.options["PHYSFORMER"]
CHOICES = {"PROFILE": CURRICULA, "CE": CE_FORMS, "LD": LD_FORMS, "VALIDATION": ("rate", "loss")}  # defaults first


@METHODS.register("PhysFormer")
class PhysFormerTrainer(ExtendedTrainer):
    """PROFILE chooses optimiser, schedule and the weights of the loss over the epochs.

    toolbox (rPPG-Toolbox): Adam, weight decay 5e-5, rate halved every 50 epochs. paper, paper_formula: the same with
    the weights of the authors' code or paper. rf (RhythmFormer's protocol): AdamW without decay, one-cycle rate.
    CE and LD choose the forms of the two spectral losses ('reference', 'proper'; 'log_softmax', 'log').
    VALIDATION: the root mean square error of the heart rate (bpm), or the loss with the weights of the last epoch.
    """

    OPTIONS = {
        "PHYSFORMER": {**NETWORK_OPTIONS, **{key: known[0] for key, known in CHOICES.items()}},
        "SE": {**SE_OPTIONS, "STAGES": [2, 3]},
        "DEFORM": {**DEFORM_OPTIONS, "STAGE": 3},
    }
    needs = Needs(channels=3)
    prefix_module = True

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """Read and check the options; ValueError for an unknown choice."""
        super().__init__(config, device)
        self.sizes = {key: self.options.PHYSFORMER[key] for key in NETWORK_OPTIONS}
        self.profile, self.ce, self.ld, self.validation = (
            choice(self.options, "PHYSFORMER", key, known) for key, known in CHOICES.items()
        )
        self.clamped = 0.0  # clips of this epoch whose rate lay outside the bins

    @property
    def time_multiple(self) -> int:
        """Four frames make a token."""
        return 4

    @property
    def notes(self) -> tuple[str, ...]:
        """The extensions, and the oddities of the published recipe that are in use."""
        if (self.ce, self.ld) == ("proper", "log"):
            return super().notes
        return (
            *super().notes,
            f"the spectral losses put an already normalised spectrum through a soft-max, as published "
            f"(MODEL.PHYSFORMER.CE: {self.ce!r}, LD: {self.ld!r}; 'proper' and 'log' do not).",
        )

    def build_model(self) -> nn.Module:
        """PhysFormer with MODEL.DROP_RATE dropout; the token grid follows the clips."""
        sizes = {key.lower(): value for key, value in self.sizes.items()}
        return self.extended(PhysFormer(dropout=float(self.options.DROP_RATE), **sizes))

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 3, T, H, W) -> {"ppg": (B, T)}."""
        return {"ppg": model(batch["video"])[0]}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Time and spectral losses under the weights of `epoch`, with their parts and weights."""
        fs = frame_rates(batch, self.fs)
        weights = curriculum(self.profile, epoch, self.settings.epochs)
        rates = label_rates(batch["ppg"], fs)
        losses = physformer_loss(outputs["ppg"], batch["ppg"], rates, fs, weights, self.ce, self.ld)
        self.clamped += count_clamped(losses, len(fs))
        return self.with_extensions({**losses, "a": weights[0], "b": weights[1]}, outputs, batch)

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """As PROFILE says."""
        if self.profile == "rf":
            return super().optimizers(model, steps_per_epoch)
        optimizer = torch.optim.Adam(self.parameter_groups(model), lr=self.settings.lr, weight_decay=5e-5)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=50, gamma=0.5), "epoch"

    def validation_rows(self, outputs: Outputs, batch: Batch) -> list[Any]:
        """(predicted, true) heart rate of each clip in bpm, by Welch's density; or the loss."""
        if self.validation == "loss":
            return super().validation_rows(outputs, batch)
        fs = frame_rates(batch, self.fs)
        rates = (label_rates(wave, fs).tolist() for wave in (standardise(outputs["ppg"]), batch["ppg"]))
        return list(zip(*rates, strict=True))

    def validation_score(self, rows: list[Any]) -> float:
        """Root mean square error of the heart rate over all clips (bpm); or the mean loss."""
        if self.validation == "loss":
            return super().validation_score(rows)
        return math.sqrt(sum((predicted - true) ** 2 for predicted, true in rows) / len(rows))

    def after_epoch(self, network: nn.Module, epoch: int) -> dict[str, float | str]:
        """Also: say how many labels lay outside the bins of the spectrum."""
        self.clamped = say_clamped(self.clamped, epoch)
        return super().after_epoch(network, epoch)

    def checkpoint_options(self) -> dict[str, Any]:
        """The sizes of the network; how it was trained does not matter to its weights."""
        return {"PHYSFORMER": self.sizes, **self.extension_options()}


def count_clamped(losses: Losses, clips: int) -> float:
    """Clips whose rate was put into an outermost bin; 0 while validating."""
    return float(losses["clamped"]) * clips if torch.is_grad_enabled() else 0.0


def say_clamped(count: float, epoch: int) -> float:
    """Print the count of an epoch when there is one; returns the count to go on with, 0."""
    if round(count):
        distributed.say(
            f"epoch {epoch}: {round(count)} clips have a label whose heart rate lies outside the bins of the loss; "
            "the outermost bin stood in for it."
        )
    return 0.0


def choice(options: Any, section: str, key: str, known: tuple[str, ...]) -> str:
    """MODEL.<section>.<key>, the first of `known` where it is not set; ValueError when it is none of them."""
    value = options.get(section, {}).get(key, known[0])
    if value not in known:
        raise ValueError(f"MODEL.{section}.{key} is {value!r}; known: {', '.join(known)}.")
    return value
