"""Which clips make which batch, in every process: a function of (seed, epoch) alone, so any position can be resumed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


@dataclass(frozen=True)
class Micro:
    """One forward pass of one process: the clips it reads, how many of them count, and how many count in all."""

    indices: tuple[int, ...]
    count: int
    total: int


def seed_of(*parts: int) -> int:
    """One 63-bit seed from several numbers (seed, epoch, update, process), by NumPy's hash."""
    return int(np.random.SeedSequence([int(part) for part in parts]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def training_plan(n: int, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1) -> list[Micro]:
    """The micro-batches of one process in one epoch, every one of `n` clips exactly once over all processes.

    `batch_size` is the global one. A process that gets nothing of the last, smaller batch still takes part in it with
    one clip that counts nothing, because gradients are exchanged by all.
    """
    if batch_size % world:
        raise ValueError(
            f"TRAIN.BATCH_SIZE is {batch_size}: it must be a multiple of the {world} processes that share it."
        )
    order = np.random.default_rng(seed_of(seed, epoch)).permutation(n)
    return [_share(order[start : start + batch_size], rank, world) for start in range(0, n, batch_size)]


def _share(batch: np.ndarray, rank: int, world: int) -> Micro:
    mine = np.array_split(batch, world)[rank]
    indices = tuple(int(index) for index in (mine if len(mine) else batch[:1]))
    return Micro(indices, len(mine), len(batch))


def evaluation_plan(
    n: int, batch_size: int, rank: int = 0, world: int = 1, lengths: Sequence[int] | None = None
) -> list[Micro]:
    """The batches of one process for validation and test, in order; only clips of one length share a batch."""
    mine = range(rank, n, world)
    groups: list[list[int]] = []
    for index in mine:
        last = groups[-1] if groups else []
        if last and len(last) < batch_size and (lengths is None or lengths[last[0]] == lengths[index]):
            last.append(index)
        else:
            groups.append([index])
    return [Micro(tuple(group), len(group), len(group)) for group in groups]


def windows(plan: list[Micro], steps: int) -> list[list[Micro]]:
    """Consecutive micro-batches that make one update each; the last window may be smaller."""
    return [plan[start : start + steps] for start in range(0, len(plan), steps)]


class PlannedBatches(Sampler[list[int]]):
    """The batch sampler of a loader whose workers live on from epoch to epoch: set `plan`, then iterate the loader.

    Clips are asked for by an `Ask`, made by `ask` of their numbers: workers know nothing of epochs but what it says.
    """

    ask: Callable[[int], int] | None = None

    def __init__(self, plan: Sequence[Micro] = ()):
        """Start with `plan`."""
        self.plan: Sequence[Micro] = plan

    def __iter__(self) -> Iterator[list[int]]:
        """Clip numbers of each batch."""
        from dataset.clips.clips import Ask  # here, so that networks and plans need no data set code

        ask = self.ask or Ask
        return ([ask(index) for index in micro.indices] for micro in self.plan)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.plan)


def loader(dataset: Dataset, batches: PlannedBatches, workers: int, device: torch.device) -> DataLoader:
    """A loader of the planned batches; its workers start once and stay."""
    from dataset.clips.batch import collate  # here, so that networks and plans need no data set code

    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(0),  # else every epoch would draw from the global generator
    )


@runtime_checkable
class HasLengths(Protocol):
    """A data set that says how long its clips are, so that only equal ones share a batch."""

    def clip_lengths(self) -> list[int] | None:
        """Frames (or samples) of every clip; None: all are alike."""


def clip_lengths(dataset: Dataset) -> list[int] | None:
    """Lengths of all clips where the data set says them; None: they are held to be alike."""
    return dataset.clip_lengths() if isinstance(dataset, HasLengths) else None
