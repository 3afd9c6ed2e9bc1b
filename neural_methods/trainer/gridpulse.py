"""GridPulse: learns from drawn signals, reads videos: both are a grid of mean colours."""

from typing import Any

import torch
from torch import nn

from dataset.clips.inputs import Input
from dataset.data_loader.drawn_signals import channels_of
from neural_methods.loss.wave_and_spectrum import wave_and_spectrum
from neural_methods.model.grid_pulse import RATE, GridPulse
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from neural_methods.trainer.passes import QUALITY
from registry import DATASETS, METHODS
from settings.modes import used_sections

GRID = "grid"  # the input of drawn signals
WEIGHTS = 0.3, 0.2  # of spectrum and quality beside the correlation


@METHODS.register("GridPulse")
class GridPulseTrainer(Trainer):
    """AdamW, one-cycle rate; correlation, spectrum and quality."""

    OPTIONS = {"GRIDPULSE": {"WIDTH": 32, "GRID": 4}}  # channels of a cell; cells along each side
    needs = Needs(channels=3, smallest=1)
    weight_decay = 0.01
    shortest_clip = 120

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """As any method; what is read depends on the data set of the sections in use."""
        self.needs = _needs_of(config)
        super().__init__(config, device)

    def build_model(self) -> nn.Module:
        """GridPulse; it takes clips of any length."""
        return GridPulse(int(self.options.GRIDPULSE.WIDTH), self.grid)

    @property
    def grid(self) -> int:
        """Means of cells are all that it reads."""
        return int(self.options.GRIDPULSE.GRID)

    def prepare(self, batch: Batch) -> Batch:
        """Drawn colours (B, cells * 3, T) as the pictures (B, 3, T, H, W) they stand for."""
        if GRID not in batch:
            return batch
        side, found = self.grid, batch[GRID]
        video = found.reshape(len(found), side, side, 3, -1).permute(0, 3, 4, 1, 2)
        return {**batch, "video": video}

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, 3, T, H, W) -> `ppg` (B, T) and logits (B, T) of how sure it is of that."""
        wave, quality = model(batch["video"])
        return {"ppg": wave, QUALITY: quality}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Means over the clips that have a pulse; quality over all."""
        return wave_and_spectrum(outputs["ppg"], outputs[QUALITY], batch["ppg"], RATE, WEIGHTS)


def _needs_of(config: Any) -> Needs:
    """Videos, or the grids of drawn signals where a section in use has these."""
    names = {config[name].DATA.get("DATASET", "") for name in used_sections(config) if "DATA" in config[name]}
    if not any(name in DATASETS and getattr(DATASETS[name], "windows", False) for name in names):
        return GridPulseTrainer.needs
    return Needs(inputs=(Input(GRID, streams=channels_of(int(config.MODEL.GRIDPULSE.GRID)), fs=RATE),))
