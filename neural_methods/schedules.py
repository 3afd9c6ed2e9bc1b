"""Learning rates as closed forms of the step: factors of the nominal rate, so that every group keeps its own.

Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017 (cosine); Goyal et al., 2017
(warm-up). Steps are counted from 0: the rate of the first update is `factor(0)`.
"""

import math
from collections.abc import Callable

import torch

Factor = Callable[[int], float]


def warmup_cosine(total: int, warmup: int, first: float = 0.0, last: float = 0.0) -> Factor:
    """From `first` of the rate linearly to all of it at step `warmup`, then by a cosine to `last` at step `total`."""
    warmup = min(warmup, total)

    def factor(step: int) -> float:
        if step < warmup:
            return first + (1 - first) * step / warmup
        done = min(1.0, (step - warmup) / max(1, total - warmup))
        return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


def warmup_steps(warmup: int, every: int, gamma: float, first: float = 0.0) -> Factor:
    """The same warm-up, then `gamma` times the rate after each `every` steps."""

    def factor(step: int) -> float:
        if step < warmup:
            return first + (1 - first) * step / warmup
        return gamma ** ((step - warmup) // max(1, every))

    return factor


def scheduled(optimizer: torch.optim.Optimizer, factor: Factor) -> torch.optim.lr_scheduler.LambdaLR:
    """The rate of every group times `factor(step)`."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
