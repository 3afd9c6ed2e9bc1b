"""The plain answer beside fine-tuned networks: ridge regression on rate, amplitude and spectrum of each window."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from evaluation import ridge
from evaluation.wave_features import features
from neural_methods import checkpoint, distributed, patches
from neural_methods.backbones import Backbone
from neural_methods.model.fine_tuned import FineTuned
from neural_methods.model.hand_features import HandFeatures
from neural_methods.trainer.finetune import FinetuneTrainer
from neural_methods.training import Fitted
from registry import METHODS

STRENGTHS = tuple(10.0**power for power in range(-1, 6))  # the one with the least validation score is taken
USUAL = 10.0  # without validation
BLOCK = 512  # windows at once
LEAST = 1e-3  # probability of a class that the squares give nothing or less


@METHODS.register("PlainRidge")
class PlainRidgeTrainer(FinetuneTrainer):
    """Any file for Finetune can be run with MODEL.NAME=PlainRidge: the same windows, split, scores and report.

    Classes and labels are regressed as 0 and 1; what comes out is cut to probabilities.
    """

    def _backbone(self) -> tuple[Backbone, Mapping[str, Any]]:
        """The features; no file is read."""
        return Backbone(HandFeatures(patches.FS), HandFeatures.width, "", "none"), {}

    def _norm(self, base: Backbone) -> str:
        return base.norm

    def begin(self, network: nn.Module) -> None:
        """Nothing is loaded."""

    def build_model(self) -> nn.Module:
        """Features and one linear layer."""
        outputs = len(self.meta.classes) if self.meta.task == "choice" else len(self.targets)
        return FineTuned(HandFeatures(patches.FS), HandFeatures.width, outputs, "linear")

    def fit(self, train: Dataset, valid: Dataset | None = None, folder: str | Path | None = None, **_: Any) -> Fitted:
        """Solve for each strength, keep the best on the validation windows, write its weights.

        ValueError where there is nothing to train on.
        """
        train = self.data(train, "train")
        if not len(train):
            raise ValueError("There is not one window to train on: check TRAIN.DATA.BEGIN and END.")
        tables = [(self._table(part), self._targets(part)) for part in (train, valid) if part is not None and len(part)]
        solutions = {strength: ridge.fit(*tables[0], strength) for strength in STRENGTHS}
        strength = USUAL
        if len(tables) > 1:
            strength = min(solutions, key=lambda one: self._score(solutions[one], *tables[1]))
        distributed.say(f"Ridge on {HandFeatures.width} features of {len(train)} windows, strength {strength:g}.")
        network = self.start()
        self._fill(network, solutions[strength])
        path = self.checkpoint_path(0)
        if distributed.is_main():
            checkpoint.write_weights(path, network, {**self.description(), **self.origin(), "epoch": 0})
        distributed.barrier()
        return Fitted(path, 0, None, True)

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """(B, K)."""
        return {self.output: model(batch["waves"])}

    def finish(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Targets in their own units; probabilities."""
        if self.meta.task == "regression":
            return super().finish(outputs, batch)
        return {self.output: torch.from_numpy(self._answers(outputs[self.output].cpu().numpy()))}

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _table(self, clips: Dataset) -> np.ndarray:
        """Features (n, F) of all windows."""
        found = []
        for start in range(0, len(clips), BLOCK):
            waves = torch.stack([clips[k]["wave"] for k in range(start, min(start + BLOCK, len(clips)))])
            found.append(features(self.prepare({"wave": waves})["waves"].numpy(), patches.FS))
        return np.concatenate(found)

    def _targets(self, clips: Dataset) -> np.ndarray:
        """(n, K): in units of the training spread, or 0 and 1."""
        labels = clips.scalars(self.output).reshape(len(clips), -1).astype(float)
        if self.meta.task == "choice":
            return np.eye(len(self.meta.classes))[labels[:, 0].astype(int)]
        if self.meta.task == "labels":
            return labels
        mean, spread = (np.array(self.statistics[name]) for name in ("mean", "spread"))
        return (labels - mean) / spread

    def _answers(self, values: np.ndarray) -> np.ndarray:
        """Probabilities (n, K) of what was regressed."""
        if self.meta.task == "regression":
            return values
        values = np.clip(values, LEAST, 1.0)
        return values / values.sum(axis=1, keepdims=True) if self.meta.task == "choice" else values

    def _score(self, solution: ridge.Ridge, table: np.ndarray, targets: np.ndarray) -> float:
        """As networks are validated; of several targets, errors in units of their spread."""
        answers = self._answers(solution.predict(table))
        labels = targets.argmax(axis=1)[:, None] if self.meta.task == "choice" else targets
        score = self.validation_score(list(zip(answers, labels, strict=True)))
        return score if np.isfinite(score) else np.inf

    @staticmethod
    def _fill(network: nn.Module, solution: ridge.Ridge) -> None:
        with torch.no_grad():
            network.backbone.center.copy_(torch.from_numpy(solution.center))
            network.backbone.scale.copy_(torch.from_numpy(solution.scale))
            network.head.weight.copy_(torch.from_numpy(solution.weights.T.copy()))
            network.head.bias.copy_(torch.from_numpy(solution.intercept))
