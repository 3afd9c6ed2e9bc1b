"""One pass over clips, in training and in testing: a batch enters, goes through the network, leaves a loss or rows.

`Trainer` (base.py) is what methods subclass; this is the machinery below its hooks. Nothing here asks for a video or a
pulse: what a batch holds is treated as what it is.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from dataset.progress import show_progress
from evaluation.kinds.base import label_key
from neural_methods import distributed
from neural_methods.batches import Micro, PlannedBatches, clip_lengths, evaluation_plan, loader
from neural_methods.settings import worker_count

Batch = dict[str, Any]
Outputs = dict[str, torch.Tensor]
QUALITY = "quality"  # the output by which a method tells how sure it is of its wave: log-odds (B, T)
Losses = dict[str, Any]
Predictions = dict[str, dict[int, dict[str, np.ndarray]]]
AMP_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Passes:
    """What every trainer does with a batch; the hooks it calls are those of `Trainer`."""

    def enter(self, batch: Batch, epoch: int | None = None) -> Batch:
        """A collated batch as `predict` and `loss` get it: moved, normalised, cut to `time_multiple`, prepared.

        With the number of a training epoch it is augmented on the way.
        """
        moved = {
            key: value.to(self.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }
        if epoch is None:
            return self.prepare(self._cut(self.normalise(moved)))
        return self.prepare(self._change_rates(self._cut(self.normalise(self.augment(moved, epoch))), epoch))

    def _change_rates(self, batch: Batch, epoch: int) -> Batch:
        batch = self.augmentation.speeds(batch, epoch, self.needs.labels)
        if not self.augmentation.rate:
            return batch
        differential = self.label_type == "DiffNormalized"
        return self.augmentation.rates(batch, epoch, self.needs.labels, frame_rates(batch, self.fs), differential)

    def _cut(self, batch: Batch) -> Batch:
        """The batch with its inputs and the labels along them cut at the end to a multiple of `time_multiple`."""
        inputs = [name for name in dict.fromkeys(("video", *self.needs.input_names)) if name in batch]
        if not inputs or self.time_multiple == 1:
            return batch
        frames = batch[inputs[0]].shape[_time_axis(batch[inputs[0]])]
        kept = frames - frames % self.time_multiple
        if kept == frames:
            return batch
        if not kept:
            raise ValueError(
                f"{self.name} needs clips of at least {self.time_multiple} frames; there is one of {frames}."
            )
        shorter = {name: _shortened(batch[name], _time_axis(batch[name]), kept, frames) for name in inputs}
        for name in self.needs.labels:
            if name in batch and batch[name].ndim > 1 and batch[name].shape[1] == frames:
                shorter[name] = batch[name][:, :kept]
        return {**batch, **shorter}

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """`predict` under the precision of TRAIN.AMP; outputs as float32 (float64 stays)."""
        amp = AMP_TYPES.get(self.settings.amp)
        with torch.autocast(self.device.type, dtype=amp, enabled=amp is not None):
            outputs = self.predict(model, batch)
        return {name: value if value.dtype == torch.float64 else value.float() for name, value in outputs.items()}

    def accumulate(
        self,
        model: nn.Module,
        batches: Iterable[Batch],
        window: Sequence[Micro],
        epoch: int = 0,
        scale: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> Losses:
        """Backward passes of one window: afterwards the gradients are those of the mean loss over all its clips.

        `batches` are entered and read one at a time, `window` is their plan. The loss of a micro-batch is a mean over
        its clips, so it counts by its share of the window's clips; plain loss / steps would be wrong for unequal
        micro-batches. Returns the mean loss terms of the window (tensors).
        """
        clips, world = sum(micro.total for micro in window), distributed.size()
        sums: Losses = {}
        for position, (batch, micro) in enumerate(zip(batches, window, strict=True)):
            with distributed.synchronised(model, last=position == len(window) - 1):
                losses = self.loss(self.forward(model, batch), batch, epoch)
                # Gradients are averaged over the processes, so each counts its clips `world` times.
                part = losses["loss"] * (micro.count * world / clips)
                (scale(part) if scale else part).backward()
            for name, value in losses.items():
                # Terms come as tensors of the device, tensors of the CPU and plain numbers; they are stacked later on.
                term = torch.as_tensor(value, dtype=torch.float64, device=self.device).detach()
                share = term * (micro.count / clips)
                sums[name] = sums.get(name, 0) + share
        return sums

    @torch.no_grad()
    def evaluate(
        self, network: nn.Module, data: Dataset, visit: Callable[[Outputs, Batch], list[Any]], what: str
    ) -> list[Any]:
        """Run the network once over every clip of `data` and gather what `visit` returns, from all processes."""
        network.eval()
        rows: list[Any] = []
        batches = self._evaluation_loader(data)
        for batch in show_progress(batches, what, unit="batches", keep=False, silent=not distributed.is_main()):
            entered = self.enter(batch)
            rows += visit(self.forward(network, entered), entered)
        return [row for part in distributed.gather(rows) for row in part]

    def _evaluation_loader(self, data: Dataset) -> DataLoader:
        """The loader of a data set, made once, so that its workers live through all epochs."""
        if id(data) not in self._loaders:
            plan = evaluation_plan(
                len(data), self.settings.test_batch_size, distributed.rank(), distributed.size(), clip_lengths(data)
            )
            workers = worker_count(self.settings.num_workers, self.device)
            self._loaders[id(data)] = (loader(data, PlannedBatches(plan), workers, self.device), data)
        return self._loaders[id(data)][0]

    def predictions(self, network: nn.Module, clips: Dataset, section: str = "test") -> Predictions:
        """recording -> clip number -> {head: (T, ...), "label": (T,)} for every sample of `data(clips, section)`."""
        what = "Testing" if section == "test" else "Validation"
        rows = self.evaluate(network, self.data(clips, section), self._test_rows, what)
        result: Predictions = {}
        for recording, clip, values in sorted(rows, key=lambda row: row[:2]):
            result.setdefault(recording, {})[clip] = values
        return result

    def _test_rows(self, outputs: Outputs, batch: Batch) -> list[Any]:
        outputs = {name: value.float().cpu().numpy() for name, value in self.finish(outputs, batch).items()}
        labels = {name: batch[name].float().cpu().numpy() for name in self.needs.labels if name in batch}
        rows = []
        for row, recording in enumerate(batch["recording"]):
            values = {name: value[row] for name, value in outputs.items()}
            values |= {label_key(name): value[row] for name, value in labels.items()}
            rows.append((str(recording), int(batch["clip"][row]), values))
        return rows


def frame_rates(batch: Batch, fallback: float) -> torch.Tensor:
    """Frames per second of each clip (B,), on the CPU: the clip's own, or `fallback` where it has none.

    ValueError when neither is known.
    """
    found = torch.as_tensor(batch["fs"] if "fs" in batch else [0.0] * clip_count(batch)).cpu().double()
    rates = torch.where(found > 0, found, torch.full_like(found, fallback))
    if not bool((rates > 0).all()):
        raise ValueError("The loss needs the frame rate of the clips: set DATA.FS (frames per second).")
    return rates


def clip_count(batch: Batch) -> int:
    """Number of samples B in a batch."""
    return len(batch["recording"] if "recording" in batch else next(iter(batch.values())))


def _time_axis(value: torch.Tensor) -> int:
    """Time of a video (B, C, T, H, W) is its third axis, that of signals (B, L) or (B, C, L) the last."""
    return 2 if value.ndim == 5 else value.ndim - 1


def _shortened(value: torch.Tensor, axis: int, kept: int, frames: int) -> torch.Tensor:
    """The first `kept` of `frames` of an input; of one at another rate as long a time."""
    return value.narrow(axis, 0, value.shape[axis] * kept // frames)
