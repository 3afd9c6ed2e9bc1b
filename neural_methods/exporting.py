"""Weights out: a network with what goes before and after it as one ONNX file, kept if torch gives the same.

torch's exporter by tracing: it needs no further package, and all torch versions of requirements.txt have it. What it
does not know of our networks is spelt out in `onnx_symbols`.
"""

import copy
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dataset.files.reading import told
from dataset.files.writing import replacing
from neural_methods.described import Wave, expects_of
from neural_methods.onnx_symbols import OPSET, completed, known
from neural_methods.trainer.base import Trainer
from unsupervised_methods.expects import Expects
from unsupervised_methods.onnx_file import INPUT, KEY, OUTPUT, NetworkError, OnnxNetwork, packages

PARITY = 1e-4  # largest difference to torch, as a part of the wave's largest value
BATCHES = (1, 3)  # that are compared; the file is traced with 2


class ExportError(ValueError):
    """A network that cannot be exported, with the reason."""


@dataclass(frozen=True)
class Exported:
    """What was written: its description, its bytes, and the largest difference to torch as a part of the wave."""

    path: Path
    expects: Expects
    size: int
    parity: float


def export(trainer: Trainer, network: nn.Module, path: Path, batches: Sequence[int] = BATCHES) -> Exported:
    """Write `network`, loaded by `trainer`, to the ONNX file `path`, which is only there when it gives the same.

    Compared with as many clips at once as `batches` say.

    ExportError, NoWaveError for a method without a pulse of videos, ImportError without the packages.
    """
    packages()
    expects = replace(expects_of(trainer), shortest=0)  # the file takes clips of one length
    wave = Wave(trainer, simplified(network.cpu())).eval()  # all of it: the exporter leaves it as it was
    data = described_bytes(traced(wave, clips(expects, 2)), expects)
    with replacing(path, sync=True) as temporary:
        temporary.write_bytes(data)
        try:
            found = parity(wave, OnnxNetwork(temporary), batches)
        except NetworkError as error:
            raise ExportError(f"what torch wrote of {expects.method} cannot be run ({told(error)}).") from error
        if not found <= PARITY:
            raise ExportError(
                f"{expects.method} gives other waves as an ONNX file (by {found:.1e} of their largest value, "
                f"{PARITY:g} allowed), so it is not kept."
            )
    return Exported(path, expects, len(data), found)


def simplified(network: nn.Module) -> nn.Module:
    """A copy in which modules that can be `folded` into a plain one are."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "folded"):
                setattr(module, name, child.folded())
    return network


def traced(wave: nn.Module, video: torch.Tensor) -> bytes:
    """The ONNX model of `wave`, whose number of clips is free; ExportError where torch cannot write it."""
    buffer = io.BytesIO()
    try:
        with torch.no_grad(), warnings.catch_warnings(), known():
            warnings.simplefilter("ignore")  # of the tracer, of what will be deprecated
            torch.onnx.export(
                wave, (video,), buffer, dynamo=False, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "clips"}, OUTPUT: {0: "clips"}},
            )  # fmt: skip
    except Exception as error:  # the exporter fails in many ways
        raise ExportError(f"torch cannot export it ({told(error).split('. ')[0]}).") from error
    return buffer.getvalue()


def described_bytes(data: bytes, expects: Expects) -> bytes:
    """The model with what it expects written into it."""
    onnx = packages()[0]
    model = onnx.ModelProto.FromString(data)
    completed(model)
    onnx.helper.set_model_props(model, {KEY: expects.text()})
    model.producer_name = "PulseScope"
    return model.SerializeToString()


def clips(expects: Expects, count: int, seed: int = 0) -> torch.Tensor:
    """Noise (count, C, T, H, W) that looks like the representation it reads."""
    noise = torch.randn((count, *expects.shape), generator=torch.Generator().manual_seed(seed))
    for place, name in enumerate(expects.data_types):
        if name == "Raw":
            part = noise[:, 3 * place : 3 * place + 3]
            part.mul_(20).add_(128).round_().clamp_(0, 255)
    return noise


@torch.no_grad()
def parity(wave: nn.Module, exported: OnnxNetwork, batches: Sequence[int] = BATCHES) -> float:
    """Largest difference of an exported network to `wave`, as a part of the wave's largest value; NaN counts as inf."""
    worst = 0.0
    for seed, count in enumerate(batches, start=1):
        video = clips(exported.expects, count, seed)
        wanted, given = wave(video).numpy(), exported(video.numpy())
        off = float(np.abs(wanted - given).max() / max(float(np.abs(wanted).max()), np.finfo(np.float32).tiny))
        worst = max(worst, off if np.isfinite(off) else np.inf)
    return worst
