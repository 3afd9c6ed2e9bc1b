"""Fine-tuning of a pre-trained network, or a probe of it, on a folder that tools/prepare_downstream.py wrote."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from dataset.clips.inputs import Input
from dataset.files.downstream import Meta, read_meta
from evaluation import classification
from neural_methods import distributed, patches, schedules
from neural_methods.backbones import Backbone, load_backbone, make_backbone, open_backbone, set_dropout
from neural_methods.checkpoint import WeightsError, read_sidecar
from neural_methods.model.fine_tuned import HEADS, FineTuned
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS, did_you_mean
from settings.modes import trains, used_sections

CHOICES = {
    "MODE": ("full_finetuning", "linear_probing"),
    "INIT": ("pretrained", "random"),
    "HEAD": HEADS,
    "SCHEDULE": ("cosine", "none"),
    "RESIZE": ("crop", "stretch"),
    "INPUT_NORM": ("", *patches.NORMS),
}
DATA_SET = "Downstream"
SMALLEST = 1e-6  # spread of a target that never changes


@METHODS.register("Finetune")
class FinetuneTrainer(Trainer):
    """AdamW, the backbone at LR_BACKBONE and the head at TRAIN.LR; cosine per epoch; the best epoch by validation."""

    OPTIONS = {
        "FINETUNE": {
            "PRETRAINED": "",  # file of the pre-trained network
            "METHOD": "",  # what it holds, where it does not say so; with INIT random no file is needed
            "INIT": "pretrained",  # random: the same network with fresh weights, for comparison
            "MODE": "full_finetuning",  # or linear_probing: the backbone stays as it is
            "HEAD": "mlp",  # or linear
            "LR_BACKBONE": 1e-5,  # the head's is TRAIN.LR
            "WEIGHT_DECAY": 1e-4,
            "SCHEDULE": "cosine",  # over TRAIN.EPOCHS, per epoch; or none
            "TARGETS": [],  # of the folder's labels; []: all of them
            "LEAD": "II",  # which channel, where the folder has several
            "LENGTH": 1250,  # samples at 125 Hz that the network reads
            "RESIZE": "crop",  # other lengths: cut off, or pad with zeros; stretch: as if they lasted 10 s (as CM-SSL)
            "INPUT_NORM": "",  # '': as in pre-training
            "DROPOUT": -1.0,  # of the backbone while it is trained; -1: as its method has it
            "CLASS_WEIGHTS": False,  # choice: rare classes count more in the loss
        }
    }
    needs = Needs(signals=("label",), inputs=(Input("wave", ("ppg",), fs=patches.FS),))
    heads = {"label": "regression"}  # of an instance: what the folder says

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """Look at the folder and at the pre-trained file. ValueError, WeightsError, FileNotFoundError."""
        self.own = config.MODEL.FINETUNE
        patches.require(self.own, CHOICES, "MODEL.FINETUNE")
        if not (self.own.DROPOUT == -1 or 0 <= self.own.DROPOUT < 1):
            raise ValueError(f"MODEL.FINETUNE.DROPOUT is {self.own.DROPOUT:g}, but must be from 0 to below 1, or -1.")
        self.meta = _meta(config)
        self.targets = _targets(self.own.TARGETS, self.meta)
        self._testing = str(config.INFERENCE.get("MODEL_PATH", "")) if not trains(config) else ""
        self.base, self.stated = self._backbone()
        self.channel = channel_of(self.meta, str(self.own.LEAD))
        self.norm = self._norm(self.base)
        self.output = self.targets[0] if len(self.targets) == 1 else "targets"
        self._declare()
        self.statistics: dict[str, list[float]] | None = None
        self.class_weights: torch.Tensor | None = None
        super().__init__(config, device)
        self.notes = tuple(self._notes())

    def _declare(self) -> None:
        """Inputs, labels and outputs, as the folder says."""
        parts = {self.output: self.targets} if len(self.targets) > 1 or self.meta.task == "labels" else {}
        rate = None if self.own.RESIZE == "stretch" else patches.FS
        self.needs = Needs(
            signals=(self.output,), parts=parts, kinds={self.output: "scalar"},
            inputs=(Input("wave", (self.channel,), fs=rate),),
        )  # fmt: skip
        self.heads = {self.output: _kind(self.meta, self.targets)}
        self.units = dict(self.meta.units)

    def _backbone(self) -> tuple[Backbone, dict[str, Any]]:
        """The backbone, still without weights, and its method and options: as weights that are tested state them, as
        the pre-trained file does, or as METHOD's defaults are."""
        own, method = self.own, str(self.own.METHOD)
        tested = read_sidecar(self._testing).get("options", {}).get("FINETUNE", {}) if self._testing else {}
        if "BACKBONE" in tested:
            stated = tested["BACKBONE"]
            return make_backbone(str(stated["method"]), stated["options"], self._testing), stated
        if own.PRETRAINED and Path(own.PRETRAINED).is_file():
            base, said = open_backbone(own.PRETRAINED, read_sidecar(own.PRETRAINED) or _defaults(method))
            return base, {key: said[key] for key in ("method", "options")}
        if own.INIT == "random" and method:
            stated = _defaults(method)
            return make_backbone(method, stated["options"], f"MODEL.FINETUNE.METHOD {method}"), stated
        if own.PRETRAINED:
            raise FileNotFoundError(f"No weights at '{own.PRETRAINED}' (MODEL.FINETUNE.PRETRAINED): pre-train first.")
        raise ValueError("MODEL.FINETUNE.PRETRAINED names no file: pre-train first, and name its file there.")

    def _norm(self, base: Backbone) -> str:
        asked = str(self.own.INPUT_NORM)
        if asked and asked != base.norm:
            raise WeightsError(
                f"MODEL.FINETUNE.INPUT_NORM is {asked!r}, but '{self.own.PRETRAINED}' was trained with {base.norm!r}. "
                "Remove the key."
            )
        return base.norm

    def _notes(self) -> Iterable[str]:
        kind = "ppg" if self.channel == "ppg" else "ecg"
        if self.base.channel and self.base.channel != kind:
            yield f"the backbone was trained on {self.base.channel}, the windows are {self.channel}."
        if self.own.RESIZE == "stretch" and self.meta.window != self.own.LENGTH:
            yield "windows are stretched, so their hearts beat at another rate than in pre-training."

    def build_model(self) -> nn.Module:
        """Backbone and head with fresh weights."""
        base, _ = self._backbone()
        if self.own.DROPOUT >= 0:
            set_dropout(base.network, float(self.own.DROPOUT))
        outputs = len(self.meta.classes) if self.meta.task == "choice" else len(self.targets)
        return FineTuned(base.network, base.width, outputs, str(self.own.HEAD))

    def begin(self, network: nn.Module) -> None:
        """The backbone gets the pre-trained weights, all of them."""
        if self.own.INIT == "pretrained":
            distributed.say(load_backbone(Backbone(network.backbone, *self._rest()), self.own.PRETRAINED))
        else:
            distributed.say("Backbone: fresh weights, nothing is taken from a pre-training.")

    def _rest(self) -> tuple[Any, ...]:
        return self.base.width, self.base.channel, self.base.norm, self.base.rename

    def start(self) -> nn.Module:
        """The network with mean and spread of the training targets."""
        network = super().start()
        if self.statistics is not None:
            network.know(*(torch.tensor(self.statistics[name]) for name in ("mean", "spread")))
        return network

    def load(self, path: Any, network: nn.Module | None = None) -> nn.Module:
        """As any method; what the weights know of the training targets becomes known here."""
        network = super().load(path, network)
        self.statistics = {name: getattr(network, name).tolist() for name in ("mean", "spread")}
        return network

    def data(self, clips: Dataset, section: str) -> Dataset:
        """The clips; those of the training say what the targets are like."""
        if section == "train":
            labels = clips.scalars(self.output).reshape(len(clips), -1)
            if self.meta.task == "regression":
                self.statistics = _statistics(labels)
            if self.meta.task == "choice":
                self._count(labels[:, 0])
        return clips

    def _count(self, labels: np.ndarray) -> None:
        """Weights of the classes; ValueError for one that nobody has."""
        counts = np.bincount(labels.astype(int), minlength=len(self.meta.classes))
        if not counts.all():
            name = self.meta.classes[int(np.argmin(counts))]
            raise ValueError(f"No training window is of class {name!r}: divide the people anew, or leave it out.")
        if self.own.CLASS_WEIGHTS:
            self.class_weights = torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32)

    def frozen(self, network: nn.Module) -> Iterable[nn.Module]:
        """The backbone of a probe."""
        return [network.backbone] if self.own.MODE == "linear_probing" else []

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`waves` (B, LENGTH), scaled as in pre-training."""
        waves, length = batch["wave"][:, 0], int(self.own.LENGTH)
        if self.own.RESIZE == "stretch" and waves.shape[-1] != length:
            waves = F.interpolate(waves[:, None], length, mode="linear")[:, 0]
        waves = patches.normalised(waves[:, :length], self.norm)
        return {**batch, "waves": F.pad(waves, (0, length - waves.shape[-1]))}

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """(B, K): targets in units of their spread, or logits."""
        return {self.output: model(batch["waves"])}

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """Squared error of scaled targets, cross-entropy, or that of each label."""
        answers, labels = outputs[self.output], batch[self.output].reshape(len(batch["waves"]), -1)
        if self.meta.task == "choice":
            weights = None if self.class_weights is None else self.class_weights.to(answers.device)
            entropy = F.cross_entropy(answers, labels[:, 0].long(), weights, reduction="none")
            return {"loss": entropy.mean()}
        if self.meta.task == "labels":
            return {"loss": F.binary_cross_entropy_with_logits(answers, labels)}
        mean, spread = self._scale(answers)
        return {"loss": F.mse_loss(answers, (labels - mean) / spread)}

    def finish(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Targets in their own units; probabilities."""
        answers = outputs[self.output]
        if self.meta.task == "choice":
            return {self.output: answers.softmax(dim=-1)}
        if self.meta.task == "labels":
            return {self.output: answers.sigmoid()}
        mean, spread = self._scale(answers)
        return {self.output: answers * spread + mean}

    def _scale(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(torch.tensor(self.statistics[name]).to(like) for name in ("mean", "spread"))

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """(answer, label) of each window."""
        answers = self.finish(outputs, batch)[self.output].cpu().numpy()
        labels = batch[self.output].reshape(len(answers), -1).cpu().numpy()
        return list(zip(answers, labels, strict=True))

    def validation_score(self, rows: list[Any]) -> float:
        """MAE; 1 - balanced accuracy of a choice; 1 - macro AUROC of labels."""
        answers, labels = (np.stack(part) for part in zip(*rows, strict=True))
        if self.meta.task == "regression":
            return float(np.mean(np.abs(answers - labels)))
        weights = np.ones(len(answers))
        if self.meta.task == "choice":
            matrix = classification.confusion(labels[:, 0].astype(int), answers.argmax(1), answers.shape[1], weights)
            return 1 - float(classification.balanced_accuracy(matrix))
        return 1 - float(classification.macro(classification.auroc, answers, labels > 0.5)(weights))

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """AdamW; the rate follows a cosine, epoch by epoch."""
        decay = float(self.own.WEIGHT_DECAY)
        optimizer = torch.optim.AdamW(self.parameter_groups(model), lr=self.settings.lr, weight_decay=decay)
        factor = schedules.warmup_cosine(self.settings.epochs, 0)
        factor = factor if self.own.SCHEDULE == "cosine" else (lambda step: 1.0)
        return optimizer, schedules.scheduled(optimizer, factor), "epoch"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The head at TRAIN.LR, the backbone at its own rate."""
        return [
            {"params": list(model.head.parameters())},
            {"params": list(model.backbone.parameters()), "lr": float(self.own.LR_BACKBONE)},
        ]

    def checkpoint_options(self) -> dict[str, Any]:
        """What the network is and reads."""
        own = {"HEAD": str(self.own.HEAD), "RESIZE": str(self.own.RESIZE), "INPUT_NORM": self.norm}
        own |= {"TARGETS": list(self.targets), "TASK": self.meta.task, "BACKBONE": self.stated}
        return {"FINETUNE": own}

    def evaluation_options(self, head: str) -> dict[str, Any]:
        """Names of classes; whether the windows of a recording vote."""
        return dict(self.meta.evaluation)


# --- Parts ----------------------------------------------------------------------------------------------------------


def _meta(config: Any) -> Meta:
    """What the folder of the data says of itself; ValueError for another data set."""
    data = config["TRAIN" if trains(config) else used_sections(config)[-1]].DATA
    if data.DATASET != DATA_SET:
        raise ValueError(f"Finetune reads folders of tools/prepare_downstream.py: set DATASET: {DATA_SET}.")
    return read_meta(data.DATA_PATH)


def _targets(asked: Iterable[str], meta: Meta) -> tuple[str, ...]:
    asked = tuple(map(str, asked))
    for name in asked:
        if name not in meta.labels:
            hint = did_you_mean(name, meta.labels)
            raise ValueError(f"MODEL.FINETUNE.TARGETS: no label {name!r}.{hint} There are: {', '.join(meta.labels)}.")
    return asked or meta.labels


def _kind(meta: Meta, targets: Iterable[str]) -> str:
    """The kind of output: pressures have their own."""
    pressures = meta.task == "regression" and set(targets) <= {"sbp", "dbp"}
    return "pressure" if pressures else meta.task


def channel_of(meta: Meta, lead: str) -> str:
    """The channel that is read: the only one, or the one called `lead`; ValueError where there is none."""
    if len(meta.channels) == 1:
        return meta.channels[0]
    found = next((name for name in meta.channels if name.lower() == lead.lower()), None)
    if found is None:
        raise ValueError(f"MODEL.FINETUNE.LEAD is {lead!r}; the windows have {', '.join(meta.channels)}.")
    return found


def _defaults(method: str) -> dict[str, Any]:
    """What a file would say of the backbone of `method` with its default options."""
    return {"method": method, "options": METHODS[method].OPTIONS if method in METHODS else {}}


def _statistics(labels: np.ndarray) -> dict[str, list[float]]:
    """Mean and population spread of training targets (n, K)."""
    spread = np.maximum(np.nanstd(labels, axis=0), SMALLEST)
    return {"mean": np.nanmean(labels, axis=0).tolist(), "spread": spread.tolist()}
