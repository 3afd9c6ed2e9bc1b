"""Small networks behind an encoder while it learns by comparison; fine-tuning leaves them out."""

from torch import nn


def mlp(inside: int, hidden: int, outside: int, layers: int = 2, norm: bool = True, last: bool = False) -> nn.Module:
    """Linear layers with ReLU between them; `norm`: batch norm after each but the last, and after that where `last`."""
    sizes = [inside, *[hidden] * (layers - 1), outside]
    made: list[nn.Module] = []
    for number, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        end = number == layers - 1
        made.append(nn.Linear(before, after, bias=not norm or (end and not last)))
        if norm and (not end or last):
            made.append(nn.BatchNorm1d(after, affine=not end))
        if not end:
            made.append(nn.ReLU())
    return nn.Sequential(*made)
