"""How samples become a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def collate(samples: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> dict[str, Any]:
    """One batch of samples: tensors stacked, numbers as tensors, texts as lists.

    A data set with `__getitems__` gives what it read at once: one mapping, a batch already.

    Videos are stacked as they lie in memory (channels last) and only viewed as (B, C, T, H, W): the copy stays one
    straight run, and `normalise` changes the order on the device. Raises ValueError for clips of different lengths.
    """
    if isinstance(samples, Mapping):
        return dict(samples)
    return {key: _stacked(key, [sample[key] for sample in samples]) for key in samples[0]}


def _stacked(key: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        if any(value.shape != first.shape for value in values):
            raise ValueError(
                f"A batch holds {key} of different sizes ({', '.join(str(tuple(value.shape)) for value in values)}). "
                f"With DO_CHUNK: False or mixed recordings use a BATCH_SIZE of 1."
            )
        if first.ndim == 4:
            return torch.stack([value.permute(1, 2, 3, 0) for value in values]).permute(0, 4, 1, 2, 3)
        return torch.stack(values)
    if isinstance(first, bool):
        return torch.tensor(values, dtype=torch.bool)
    if isinstance(first, int):
        return torch.tensor([int(value) for value in values])
    return torch.tensor(values, dtype=torch.float32) if isinstance(first, float) else values
