"""SENSORS: a face video, a second camera of another size and rate, and a radar; one recording lacks the radar."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dataset.clips.inputs import Input
from dataset.data_loader.base import BaseLoader, Frames, Recording, Signal
from neural_methods.trainer.base import Needs, Trainer
from registry import DATASETS, METHODS

FRAMES, FS = 96, 24.0
RATES = {"s1": 60.0, "s2": 75.0, "s3": 90.0, "s4": 105.0}  # bpm


def pulse(name, times):
    """The pulse wave of a person at `times` (s)."""
    return np.sin(2 * np.pi * RATES[name] / 60 * times)


@DATASETS.register("SENSORS")
class SensorsLoader(BaseLoader):
    """Everything is made on the spot."""

    fs = FS
    generated = True
    signals = ("ppg", "radar")
    streams = ("side",)

    def recordings(self, root):
        """Four people."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in RATES]

    def read_video(self, recording):
        """Frames (16, 16, 3) whose green carries the pulse."""
        for wave in pulse(recording.id, np.arange(FRAMES) / FS):
            yield np.clip(120 + np.array([0.3, 1, 0.5]) * 20 * wave + np.zeros((16, 16, 3)), 0, 255).astype(np.uint8)

    def read_stream(self, recording, name):
        """The second camera: 12 frames per second of 6 x 10 pixels of heat; the last person sat out of its sight."""
        if recording.id == "s4":
            return None
        times = np.arange(FRAMES // 2) / (FS / 2)
        return Frames(frames=(np.full((6, 10, 1), 30 + w, np.float32) for w in pulse(recording.id, times)), fs=FS / 2)

    def read_wave(self, recording):
        """Finger PPG at 100 Hz; radar at 50 Hz, which one recording lacks."""
        seconds = FRAMES / FS
        waves = {"ppg": Signal(pulse(recording.id, np.arange(0, seconds, 0.01)), fs=100.0)}
        if recording.id != "s3":
            waves["radar"] = Signal(pulse(recording.id, np.arange(0, seconds, 0.02)), fs=50.0)
        return waves


class Fusion(nn.Module):
    """A gain per sensor: nothing to be proud of, but each sensor reaches the pulse."""

    def __init__(self):
        """Three gains."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, video, side, radar):
        """Mean green (B, T), heat and displacement at their own rates -> (B, T)."""
        green = video[:, 1].mean(dim=(2, 3))
        length = green.shape[1]
        heat = F.interpolate(side.mean(dim=(3, 4)), length)[:, 0]
        moved = F.interpolate(radar[:, None], length)[:, 0]
        return self.gain[0] * green + self.gain[1] * heat + self.gain[2] * moved


@METHODS.register("Fusion")
class FusionTrainer(Trainer):
    """The video must be there; heat and radar may be missing."""

    needs = Needs(inputs=("video", Input("side", optional=True), Input("radar", fs=48.0, optional=True)))

    def build_model(self):
        """Three gains."""
        return Fusion()

    def predict(self, model, batch):
        """What is missing comes as zeros, and `has_<name>` says so."""
        for name in ("side", "radar"):
            missing = ~batch[f"has_{name}"]
            assert not batch[name][missing].any()
        return {"ppg": model(batch["video"], batch["side"], batch["radar"])}

    def loss(self, outputs, batch, epoch):
        """Mean squared error."""
        return {"loss": F.mse_loss(outputs["ppg"], batch["ppg"])}
