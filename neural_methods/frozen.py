"""Parts of a network that a training leaves as they are."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Frozen:
    """The modules that stay in eval mode, and the parameters (their own, and single ones) that are not trained."""

    modules: tuple[nn.Module, ...] = ()
    parameters: tuple[nn.Parameter, ...] = ()

    def leave(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the parameters out of `optimizer`, whose groups keep their places."""
        out = {id(parameter) for parameter in self.parameters}
        for group in optimizer.param_groups if out else ():
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in out]


def freeze(network: nn.Module, parts: Iterable[nn.Module | nn.Parameter]) -> Frozen:
    """Take the gradient off `parts` of `network`. ValueError for what is none of its parts, or when nothing is left."""
    parts = tuple(parts)
    modules = tuple(part for part in parts if isinstance(part, nn.Module))
    parameters = [part for part in parts if isinstance(part, nn.Parameter)]
    known = {id(part) for part in (*network.modules(), *network.parameters())}
    for part in parts:
        if id(part) not in known:
            raise ValueError(f"frozen() names a {type(part).__name__} that is no module or parameter of the network.")
    for parameter in (*parameters, *(own for module in modules for own in module.parameters())):
        parameter.requires_grad_(False)
    frozen = Frozen(modules, (*parameters, *(own for module in modules for own in module.parameters())))
    if parts and not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError("frozen() names every parameter of the network: nothing is left to train.")
    return frozen
