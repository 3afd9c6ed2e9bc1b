"""What trainers share whose networks take the extensions MODEL.SE and MODEL.DEFORM."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neural_methods import checkpoint, distributed
from neural_methods.extensions import TRAINING_ONLY, Watch, add_gates, align, aligned, count
from neural_methods.model.deformable import restlessness
from neural_methods.trainer.base import Batch, Losses, Outputs, Trainer, other_networks

FRESH = ("gates.*", "*.spatial.*", "*.temporal.*")  # entries that only extensions have


class ExtendedTrainer(Trainer):
    """Extensions on the network, their learning rate, their penalty, and their statistics in the history.

    `MODEL.WEIGHTS` may name weights without the extensions: the entries these add then start fresh.
    """

    watch: Watch | None = None
    _sizes = (0, 0)  # parameters without and with extensions

    def extended(self, network: nn.Module) -> nn.Module:
        """`network` with the extensions that are enabled; ValueError for options that do not fit it."""
        plain = count(network)
        if "SE" in self.extensions:
            add_gates(network, self.options.SE)
        if "DEFORM" in self.extensions:
            align(network, self.options.DEFORM)
            for module in aligned(network).values():
                module.keep_graph = self._smoothness > 0
        self._sizes = (plain, count(network))
        return network

    @property
    def extensions(self) -> list[str]:
        """The sections of MODEL that are enabled."""
        return [name for name in ("SE", "DEFORM") if self.options.get(name, {}).get("ENABLE", False)]

    @property
    def notes(self) -> tuple[str, ...]:
        """How many parameters the extensions add."""
        if not self.extensions:
            return ()
        plain, now = self._sizes
        names = " and ".join(f"MODEL.{name}" for name in self.extensions)
        share = f"{100 * (now - plain) / plain:+.2f} %"
        notes = [f"{names}: {now - plain:+,} parameters ({plain:,} -> {now:,}, {share})."]
        if "DEFORM" in self.extensions and self.device.type == "cuda":
            notes.append("the gradient of MODEL.DEFORM is summed in no fixed order on a GPU: runs differ in last bits.")
        return tuple(notes)

    def extension_options(self) -> dict[str, Any]:
        """What weights with extensions must agree with; {} without them."""
        return {
            name: {key: value for key, value in self.options[name].items() if key not in TRAINING_ONLY}
            for name in self.extensions
        }

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """All parameters, with those that make the shifts apart, at their own rate."""
        shifting = {id(p) for module in aligned(model).values() for p in module.offsets.parameters()}
        if not shifting:
            return super().parameter_groups(model)
        others = [p for p in model.parameters() if id(p) not in shifting]
        slow = [p for p in model.parameters() if id(p) in shifting]
        rate = self.settings.lr * float(self.options.DEFORM.LR_FACTOR)
        return [{"params": others}, {"params": slow, "lr": rate}]

    def normalise(self, batch: Batch) -> Batch:
        """Also: the mean grey level of every frame, where gates are watched and frames keep their places in time."""
        moved = self.augmentation.rate or self.augmentation.speed
        watched = "SE" in self.extensions and torch.is_grad_enabled() and not moved
        if not watched or "video_float" in batch:
            return super().normalise(batch)
        brightness = batch["video"].mean(dim=(1, 3, 4), dtype=torch.float32)
        return {**super().normalise(batch), "brightness": brightness}

    def before_epoch(self, network: nn.Module, epoch: int) -> None:
        """Begin new statistics."""
        self.watch = Watch(network) if self.extensions else None

    def after_epoch(self, network: nn.Module, epoch: int) -> dict[str, float | str]:
        """The statistics of gates and shifts, for the history."""
        return self.watch.summary() if self.watch is not None else {}

    def with_extensions(self, losses: Losses, outputs: Outputs, batch: Batch) -> Losses:
        """`losses` of a training batch, its statistics taken, plus the penalty on restless shifts."""
        if self.watch is None or not torch.is_grad_enabled():
            return losses
        brightness = batch.get("brightness")
        frames = outputs["ppg"].shape[1]
        self.watch.add(brightness if brightness is None else brightness[:, :frames])
        if not self._smoothness:
            return losses
        penalty = sum(self._restless(sums.module, len(outputs["ppg"])) for sums in self.watch.shifts.values())
        return {**losses, "loss": losses["loss"] + self._smoothness * penalty, "restless": penalty}

    @property
    def _smoothness(self) -> float:
        return float(self.options.DEFORM.get("SMOOTHNESS", 0.0)) if "DEFORM" in self.extensions else 0.0

    def _restless(self, module: nn.Module, clips: int) -> torch.Tensor:
        shifts, module.seen = module.seen[0], None  # let go of the graph with this update
        return restlessness(shifts, len(shifts) // clips)

    def load(self, path: str | Path, network: nn.Module | None = None) -> nn.Module:
        """As every trainer; a training with extensions may also start from weights without them."""
        if network is None or not self.extensions or _has_extensions(path):
            return super().load(path, network)
        plain = {key: value for key, value in self.checkpoint_options().items() if key not in self.extensions}
        expected = {**self.description(), "options": plain}
        missing = [*self.ignored_weights, *FRESH, *(f"{stage}.0.*" for stage in self._replaced(network))]
        said = checkpoint.load_weights(network, path, self.name, expected, missing, lambda: other_networks(self.config))
        distributed.say(f"{said} What {' and '.join(f'MODEL.{name}' for name in self.extensions)} adds starts fresh.")
        return network

    def _replaced(self, network: nn.Module) -> list[str]:
        """Names of the stages whose convolution was replaced."""
        stages = {id(network.stages[int(number)]) for number in aligned(network)}
        return [name for name, module in network.named_modules() if id(module) in stages]


def _has_extensions(path: str | Path) -> bool:
    return any(fnmatch(key, pattern) for key in checkpoint.read_weights(path) for pattern in FRESH)
