"""What methods on patches of ECG and PPG share: which channels there are, how windows are scaled and cut."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

CHANNELS = ("ecg", "ppg")  # in this order wherever there are both
FS = 125.0  # Hz that encoders read at
NORMS = ("zscore", "none")


def channels_of(names: Sequence[str], key: str) -> tuple[str, ...]:
    """The channels of a setting `key`, ECG first; ValueError for others."""
    found = tuple(name for name in CHANNELS if name in names)
    if list(found) != list(names) or not found:
        raise ValueError(f"{key} is {list(names)}, but must be [ecg, ppg], [ecg] or [ppg].")
    return found


def require(options: Mapping[str, Any], choices: Mapping[str, Sequence[str]], section: str) -> None:
    """ValueError for the first of `options` that is none of its `choices`."""
    for key, allowed in choices.items():
        if options[key] not in allowed:
            raise ValueError(f"{section}.{key} is {options[key]!r}, but must be one of: {', '.join(allowed)}.")


def normalised(waves: torch.Tensor, norm: str) -> torch.Tensor:
    """Windows (..., L), each with mean 0 and standard deviation 1 (constant ones: 0), or as they are for 'none'."""
    if norm == "none":
        return waves
    waves = waves - waves.mean(dim=-1, keepdim=True)
    return waves / waves.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)


def patched(waves: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, N * size) -> patches (B, N, C, size), patch after patch."""
    return waves.unflatten(-1, (-1, size)).transpose(1, 2)


def decays(parameter: torch.nn.Parameter) -> bool:
    """Whether weight decay is meant for a parameter: not for vectors, biases and norms."""
    return parameter.ndim > 1
