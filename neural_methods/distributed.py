"""Several processes training one model: everything torchrun needs, and nothing when there is one process.

`torchrun --nproc_per_node=2 main.py --config_file X.yaml` starts the processes; the batch size of the configuration is
the global one, shared between them.
"""

import contextlib
import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def started_by_torchrun() -> bool:
    """Whether this process is one of a torchrun group."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def start(device: torch.device) -> torch.device:
    """Join the torchrun group, where there is one; returns this process's device."""
    if not started_by_torchrun():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        # One process preprocesses while the others wait, which may take hours.
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=2))
    return device


def stop() -> None:
    """Leave the group, together: a process must not close connections that another one still reads from."""
    if dist.is_available() and dist.is_initialized():
        barrier()
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process prints and writes files."""
    return rank() == 0


def say(*words: Any) -> None:
    """Print from the main process alone, at once."""
    if is_main():
        print(*words, flush=True)


def barrier() -> None:
    """Wait for all processes."""
    if size() > 1:
        dist.barrier()


def gather(value: Any) -> list[Any]:
    """`value` of every process, in the order of their numbers; picklable values."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    dist.all_gather_object(values, value)
    return values


def add(values: torch.Tensor) -> torch.Tensor:
    """Sum of a tensor over all processes."""
    if size() > 1:
        dist.all_reduce(values)
    return values


def gathered(values: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Rows (B, ...) of all processes behind one another, and where this one's begin; gradients flow to their owners.

    In validation, where processes have batches of their own, each keeps to its rows.
    """
    if size() == 1 or not torch.is_grad_enabled():
        return values, 0
    import torch.distributed.nn.functional as differentiable

    counts = gather(len(values))
    padding = values.new_zeros(max(counts) - len(values), *values.shape[1:])
    parts = differentiable.all_gather(torch.cat([values, padding]))
    every = torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
    return every, sum(counts[: rank()])


def lowest(value: float) -> float:
    """The least `value` of all processes; in validation, as with `gathered`, this one's own."""
    return min(gather(value)) if torch.is_grad_enabled() else value


def from_main(values: torch.Tensor) -> torch.Tensor:
    """The main process's tensor, in all of them; others may hold one of another shape."""
    if size() == 1:
        return values
    held = [values.cpu()]  # by way of the CPU: a pickled tensor would bring its sender's device
    dist.broadcast_object_list(held, src=0)
    return held[0].to(values.device)


def wrap(model: nn.Module, device: torch.device, unused_parameters: bool = False) -> nn.Module:
    """The model with synchronised gradients; itself when there is one process."""
    if size() == 1:
        return model
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids, find_unused_parameters=unused_parameters)


def synchronised(model: nn.Module, last: bool) -> contextlib.AbstractContextManager:
    """Context of a backward pass: gradients are exchanged after a window's last one, before that only added up."""
    parallel = isinstance(model, nn.parallel.DistributedDataParallel)
    return model.no_sync() if parallel and not last else contextlib.nullcontext()
