"""LARS: each layer's step in proportion to the size of its weights, for very large batches.

You, Gitman and Ginsburg, "Large batch training of convolutional networks", 2017; vectors (biases, norms) take plain
steps without weight decay, as MoCo v3 does.
"""

from collections.abc import Callable
from typing import Any

import torch


class LARS(torch.optim.Optimizer):
    """Momentum SGD with a trust ratio for what has more than one axis."""

    def __init__(
        self, params: Any, lr: float = 0.05, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 0.001
    ):
        """`trust`: share of its weights by which a layer moves at rate 1."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; parameters without gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        change = parameter.grad
        if parameter.ndim > 1:
            change = change + group["weight_decay"] * parameter
            weights, gradient = parameter.norm(), change.norm()
            ratio = torch.where((weights > 0) & (gradient > 0), group["trust"] * weights / gradient, 1.0)
            change = change * ratio
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(group["momentum"]).add_(change)
        parameter.sub_(group["lr"] * state["momentum"])
