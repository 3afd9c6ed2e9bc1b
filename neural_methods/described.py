"""Weights with all that goes with them: from their sidecar, from a configuration, or as published for their method."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from config import ROOT, Loaded, Override, read
from dataset.signals import PULSE_WAVE
from evaluation.kinds import kind_name
from neural_methods.checkpoint import read_sidecar
from neural_methods.needs import VIDEO
from neural_methods.settings import one_thread
from neural_methods.trainer.base import Trainer
from neural_methods.trainer.passes import QUALITY
from registry import METHODS
from unsupervised_methods.expects import USUAL_BOX, Expects

BASE = ROOT / "configs" / "base"
CLIPS = {"MTTSCAN": "tscan"}  # methods whose published clips are another method's, by the files of configs/base/clips
PUBLISHED_RATE = 30.0  # frames per second, of nearly all that weights were published for


class NoWaveError(ValueError):
    """A method that cannot measure own videos: what it reads or gives is something else."""


def clips_file(method: str) -> Path | None:
    """The settings of the clips that a method was published with; None where none are known."""
    file = BASE / "clips" / f"{CLIPS.get(method, method).lower()}.yaml"
    return file if file.is_file() else None


def described(
    weights: str, method: str = "", file: str | None = None, changed: Iterable[Override] = (), device: str = "auto"
) -> Loaded:
    """The settings in which `weights` are at home: those of `file`; else of their sidecar over the published ones.

    ValueError, KeyError, WeightsError or ConfigError where nothing says what they are, each in one sentence.
    """
    found = [("INFERENCE.MODEL_PATH", str(weights)), ("DEVICE", device)]
    if file:
        named = [("MODEL.NAME", method)] if method else []
        return read(file, [*found, *named, *changed])
    sidecar = read_sidecar(weights)
    name = method or str(sidecar.get("method", ""))
    if not name:
        raise ValueError(
            f"'{weights}' has no sidecar file (.json) that says what network it is: name the method (--method NAME, "
            "see --list), or the configuration it was trained with (--config_file X.yaml)."
        )
    METHODS[name]  # KeyError with the nearest name
    sidecar = sidecar if sidecar.get("method") == name else {}
    clips = clips_file(name)
    if clips is None and not sidecar:
        raise ValueError(
            f"'{weights}' has no sidecar file (.json), and no clips of {name} were published: name the configuration "
            "it was trained with (--config_file X.yaml)."
        )
    base = [str(BASE / "data" / "Folder.yaml"), *([str(clips)] if clips else [])]
    found += [("MODEL.NAME", name), ("TEST.DATA.BASE", base), *_of_sidecar(sidecar)]
    return read(BASE / "only_test.yaml", [*found, *changed])


def _of_sidecar(sidecar: dict[str, Any]) -> list[Override]:
    """What a sidecar says, as settings of a test."""
    if not sidecar:
        return []
    process = "TEST.DATA.PREPROCESS"
    height, width = sidecar["size"]
    said = {f"{process}.RESIZE": {"H": height, "W": width}, f"{process}.DATA_TYPE": sidecar["data_types"]}
    said |= {f"{process}.LABEL_TYPE": sidecar["label_type"]}
    said |= {f"{process}.CHUNK_LENGTH": sidecar["frames"]} if sidecar.get("frames") else {}
    if box := sidecar.get("box", USUAL_BOX):
        said |= {f"{process}.CROP_FACE.USE_LARGE_FACE_BOX": box != 1, f"{process}.CROP_FACE.LARGE_BOX_COEF": box}
    said |= {f"{process}.CROP_FACE.DO_CROP_FACE": box > 0}
    said |= {f"MODEL.{name}": options for name, options in sidecar.get("options", {}).items()}
    return list(said.items())


def expects_of(trainer: Trainer) -> Expects:
    """What the network of `trainer` expects, as its settings say; NoWaveError where it cannot measure own videos."""
    name = trainer.name
    if kind_name(PULSE_WAVE, trainer.heads.get(PULSE_WAVE, "")) != "pulse":
        raise NoWaveError(f"{name} gives {', '.join(trainer.heads) or 'nothing'}, and no pulse wave '{PULSE_WAVE}'.")
    if trainer.needs.input_names != (VIDEO,) or trainer.needs.sources[VIDEO] != (VIDEO,):
        raise NoWaveError(f"{name} reads {', '.join(trainer.needs.input_names)}, where own videos have colours alone.")
    frames = (trainer.chunk_length or 0) // trainer.time_multiple * trainer.time_multiple
    if not frames:
        raise NoWaveError(f"{name} reads whole recordings here: set DO_CHUNK: True and CHUNK_LENGTH as it was trained.")
    weights = trainer.config.INFERENCE.get("MODEL_PATH", "")
    sidecar = read_sidecar(weights) if weights else {}
    types = tuple(trainer.data_types)
    return Expects(
        name, frames, trainer.frame_size, types, 3 * len(types), trainer.label_type,
        float(trainer.fs or sidecar.get("fs") or PUBLISHED_RATE), trainer.box, min(trainer.shortest_clip, frames),
        trainer.grid,
    )  # fmt: skip


class Wave(nn.Module):
    """A network with what its trainer does before and after it: normalised video in, the pulse wave out.

    A network that tells how sure it is of its wave gives that beside it.
    """

    def __init__(self, trainer: Trainer, network: nn.Module):
        """Of a `network` that `trainer` has built or loaded."""
        super().__init__()
        self.trainer, self.network = trainer, network

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Video (B, C, T, H, W) -> wave (B, T), or (B, 2, T): wave and logits of being right."""
        batch = self.trainer.prepare({VIDEO: video})
        found = self.trainer.finish(self.trainer.predict(self.network, batch), batch)
        return torch.stack([found[PULSE_WAVE], found[QUALITY]], dim=1) if QUALITY in found else found[PULSE_WAVE]


class TorchNetwork:
    """A network with torch, called as one of an ONNX file is."""

    def __init__(self, trainer: Trainer, network: nn.Module):
        """Of a `network` with its weights; NoWaveError where it gives no pulse of own videos."""
        self.name, self.expects = trainer.name, expects_of(trainer)
        self._wave, self._device = Wave(trainer, network.eval()), trainer.device

    @torch.no_grad()
    def __call__(self, video: np.ndarray) -> np.ndarray:
        """Clips (B, C, T, H, W) float32 -> waves (B, T) float32, or (B, 2, T) with how sure it is."""
        with one_thread() if self.expects.grid else contextlib.nullcontext():
            return self._wave(torch.from_numpy(video).to(self._device)).float().cpu().numpy()
