"""What a pre-training leaves to fine-tuning: a network from windows to features, opened from its file alone.

A method that pre-trains has a class method `backbone(options)`, which makes a `Backbone` of the options that its weight
files state; nothing else need be known of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from neural_methods import checkpoint
from neural_methods.checkpoint import WeightsError
from registry import METHODS


@dataclass(frozen=True)
class Backbone:
    """Windows (B, L) of one channel at 125 Hz, scaled by `norm`, -> features (B, `width`).

    `channel` is what it was trained on, '' for any; `rename` turns a name of the weight file into one of `network`, or
    None for what fine-tuning does without.
    """

    network: nn.Module
    width: int
    channel: str
    norm: str
    rename: Callable[[str], str | None] | None = None


def open_backbone(path: str | Path, known: Mapping[str, Any] | None = None) -> tuple[Backbone, Mapping[str, Any]]:
    """The backbone of a weight file, still without its weights, and what the file says: `method` and `options`.

    `known` replaces what the file says, for files of other programs. FileNotFoundError, or WeightsError for weights
    of a method that leaves no backbone.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No weights at '{path}'. Pre-train first, and name the file in PRETRAINED.")
    said = dict(known or checkpoint.read_sidecar(path))
    return make_backbone(str(said.get("method", "")), said.get("options", {}), str(path)), said


def make_backbone(method: str, options: Mapping[str, Any], whose: str) -> Backbone:
    """The backbone of `method` with fresh weights; WeightsError, which calls its owner `whose`, where it has none."""
    maker = getattr(METHODS[method], "backbone", None) if method in METHODS else None
    if maker is None:
        able = sorted(name for name in METHODS.names() if hasattr(METHODS[name], "backbone"))
        raise WeightsError(
            f"'{whose}' holds weights of {method or 'a method that it does not name'}, which leaves no backbone. "
            f"Known: {', '.join(able)}."
        )
    return maker(options)


def load_backbone(backbone: Backbone, path: str | Path) -> str:
    """Fill it with the weights of a file, all of them; returns a sentence. WeightsError where one is missing."""
    report = checkpoint.load_part(backbone.network, path, backbone.rename, minimum=1.0)
    return f"Backbone {path}: {report}."


def set_dropout(network: nn.Module, probability: float) -> None:
    """Every layer of dropout, and that of attention, drops with this `probability` (from 0 to 1) in training."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = probability
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = probability
