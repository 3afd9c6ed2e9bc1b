"""Extensions of published networks, off by default: channel gates (MODEL.SE), deformable alignment (MODEL.DEFORM).

A network that takes them has `stages` (number -> Sequential that begins with a 3-D convolution), an empty ModuleDict
`gates`, applied behind each stage, and `ALIGNED`, the stages whose convolution may be deformable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods import distributed
from neural_methods.model.deformable import DeformableConv2d, DeformablePair
from neural_methods.model.squeeze_excitation import SqueezeExcitation

SE_OPTIONS: dict[str, Any] = {
    "ENABLE": False,
    "REDUCTION": 16,  # channels divided by this inside
    "STAGES": [],  # stages followed by gates
    "TEMPORAL": False,  # a gate for every frame
}
DEFORM_OPTIONS: dict[str, Any] = {
    "ENABLE": False,
    "STAGE": 0,  # the stage whose convolution is replaced
    "KERNEL": 3,
    "MODULATED": True,  # taps have weights, too
    "MAX_OFFSET": 0.0,  # pixels of the stage's map; 0: a quarter of the map
    "LR_FACTOR": 0.1,  # learning rate of the shifts, relative to the others'
    "SMOOTHNESS": 0.0,  # weight of the change of the shifts from frame to frame in the loss; 0.01 is a start
}
TRAINING_ONLY = ("ENABLE", "LR_FACTOR", "SMOOTHNESS")  # what does not decide which weights fit


def add_gates(network: nn.Module, options: Mapping[str, Any]) -> None:
    """Gates behind the stages of MODEL.SE.STAGES; ValueError for a stage that is not there."""
    stages = network.stages
    for number in sorted(set(options["STAGES"])):
        if number not in stages:
            raise ValueError(f"MODEL.SE.STAGES names stage {number}; known: {', '.join(map(str, stages))}.")
        channels = stages[number][0].out_channels
        gate = SqueezeExcitation(channels, int(options["REDUCTION"]), bool(options["TEMPORAL"]))
        network.gates[str(number)] = gate


def align(network: nn.Module, options: Mapping[str, Any]) -> None:
    """Replace the convolution of MODEL.DEFORM.STAGE; ValueError where the map would be too large."""
    number = int(options["STAGE"])
    if number not in network.ALIGNED:
        raise ValueError(
            f"MODEL.DEFORM.STAGE is {number}; known: {', '.join(map(str, network.ALIGNED))} (elsewhere the map is too "
            "large for a copy per tap, or too small to align)."
        )
    stage = network.stages[number]
    old, kernel = stage[0], int(options["KERNEL"])
    stage[0] = DeformablePair(
        old.in_channels, old.out_channels, kernel, bool(options["MODULATED"]), float(options["MAX_OFFSET"])
    )


def aligned(network: nn.Module) -> dict[str, DeformableConv2d]:
    """The deformable convolutions by stage."""
    pairs = {str(number): stage[0] for number, stage in network.stages.items()}
    return {number: pair.spatial for number, pair in pairs.items() if isinstance(pair, DeformablePair)}


def count(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


class Watch:
    """Statistics of gates and shifts over the training batches of one epoch, summed over the processes."""

    def __init__(self, network: nn.Module):
        """Look at the extensions of `network` from now on."""
        self.gates = {number: GateSums(gate) for number, gate in network.gates.items()}
        self.shifts = {number: ShiftSums(module) for number, module in aligned(network).items()}

    def add(self, brightness: torch.Tensor | None) -> None:
        """Enter the batch that has just passed the network; `brightness` (B, T) of its frames, where it is known."""
        for sums in self.gates.values():
            sums.add(brightness)
        for sums in self.shifts.values():
            sums.add()

    def summary(self) -> dict[str, float | str]:
        """Columns for the history: `se/<stage>/...` and `deform/<stage>/...`; empty when nothing was added."""
        columns = {f"se/{number}/{name}": v for number, sums in self.gates.items() for name, v in sums.summary()}
        return columns | {
            f"deform/{number}/{name}": v for number, sums in self.shifts.items() for name, v in sums.summary()
        }


@dataclass
class GateSums:
    """Sums over the gates of one stage, and over gates times brightness."""

    module: SqueezeExcitation
    sums: torch.Tensor | None = None  # (8, C) float64: n, gate; pairs, x, y, x^2, y^2, x y

    def add(self, brightness: torch.Tensor | None) -> None:
        """Enter the gates of the last batch, (B, C) or (B, C, T)."""
        gates = self.module.seen
        if gates is None:
            return
        self.module.seen = None
        gates = gates.double().reshape(*gates.shape[:2], -1)  # (B, C, t)
        plain = torch.stack([torch.ones_like(gates), gates])
        sums = torch.cat([plain.sum(dim=(1, 3)), self._pairs(gates, brightness)])
        self.sums = sums if self.sums is None else self.sums + sums

    def _pairs(self, gates: torch.Tensor, brightness: torch.Tensor | None) -> torch.Tensor:
        if brightness is None:
            return gates.new_zeros(6, gates.shape[1])
        light = F.adaptive_avg_pool1d(brightness.double()[:, None], gates.shape[2]).expand_as(gates)
        if self.module.temporal:  # changes within a clip; people differ in brightness for other reasons than light
            gates, light = (part - part.mean(dim=2, keepdim=True) for part in (gates, light))
        terms = (torch.ones_like(gates), gates, light, gates**2, light**2, gates * light)
        return torch.stack(terms).sum(dim=(1, 3))

    def summary(self) -> list[tuple[str, float | str]]:
        """Mean and spread over channels, mean |correlation with brightness|, and the mean gate of every channel."""
        if self.sums is None:
            return []
        n, gate, pairs, x, y, xx, yy, xy = distributed.add(self.sums)
        means = gate / n
        columns = [("gate", float(means.mean())), ("gate_std", float(means.std(correction=0)))]
        if bool((pairs > 1).all()):
            spread = (xx - x**2 / pairs).clamp(min=0) * (yy - y**2 / pairs).clamp(min=0)
            columns.append(("brightness", float(((xy - x * y / pairs) / spread.sqrt()).abs().mean())))
        return [*columns, ("channels", " ".join(f"{value:.4f}" for value in means.tolist()))]


@dataclass
class ShiftSums:
    """Sums over the shifts and weights of one deformable convolution."""

    module: DeformableConv2d
    sums: torch.Tensor | None = None  # n, length, share at the limit, weight, weight^2

    def add(self) -> None:
        """Enter the shifts (N, 2, K, H, W) of the last batch."""
        if self.module.seen is None:
            return
        shifts, weights = (None if part is None else part.detach() for part in self.module.seen)
        limits = shifts.new_tensor(self.module.limits(shifts.shape[3:])).view(2, 1, 1, 1)
        weights = torch.ones_like(shifts[:, 0]) if weights is None else weights
        at_limit = (shifts.abs() >= limits).any(dim=1)
        terms = (torch.ones_like(weights), shifts.norm(dim=1), at_limit, weights, weights**2)
        sums = torch.stack([term.sum(dtype=torch.float64) for term in terms])
        self.sums = sums if self.sums is None else self.sums + sums

    def summary(self) -> list[tuple[str, float]]:
        """Mean length of a shift (pixels of the map), share at the limit, mean and spread of the weights."""
        if self.sums is None:
            return []
        n, length, at_limit, weight, square = distributed.add(self.sums).tolist()
        spread = max(square / n - (weight / n) ** 2, 0.0) ** 0.5
        return [("shift", length / n), ("at_limit", at_limit / n), ("weight", weight / n), ("weight_std", spread)]
