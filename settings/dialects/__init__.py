"""Other people's layouts of a configuration: groups of keys that stand for keys of this toolbox.

A dialect is an entry of `registry.DIALECTS`, in a file of this folder or in a plug-in:

    DIALECTS.register("name")(Dialect({"params": {"lr": 1e-3}}, lambda found: {"TRAIN": {"LR": found["params"]["lr"]}}))

A file that has one of its groups is read in it, keys of the toolbox beside them; `params.lr=1e-4` works on the command
line. What it comes to is weaker than every key of the toolbox that is written out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry import DIALECTS, did_you_mean
from settings.layers import Layer
from settings.loaded import ConfigError
from settings.merging import Written, decode

Groups = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Dialect:
    """One entry: every key of every group with its default, and what all of them come to.

    `translate` gets the groups complete and returns keys of the toolbox; it raises ValueError for what cannot be.
    """

    groups: Mapping[str, Mapping[str, Any]]
    translate: Callable[[Groups], dict[str, Any]]


def translated(layers: Sequence[Layer]) -> list[Layer]:
    """`layers` with the groups of a dialect as keys of the toolbox, where a file has such groups; else as they are.

    ConfigError for an unknown key, for a value of another type, and for what the dialect refuses.
    """
    found = [DIALECTS[name] for name in DIALECTS if any(_speaks(layer, DIALECTS[name]) for layer in layers)]
    for dialect in found:
        layers = _translated(list(layers), dialect)
    return list(layers)


def _speaks(layer: Layer, dialect: Dialect) -> bool:
    return layer.file is not None and any(isinstance(layer.values.get(group), dict) for group in dialect.groups)


def _translated(layers: list[Layer], dialect: Dialect) -> list[Layer]:
    groups: Groups = {group: dict(keys) for group, keys in dialect.groups.items()}
    first = next(number for number, layer in enumerate(layers) if _speaks(layer, dialect))
    rest = []
    for layer in layers:
        for group in set(layer.values) & set(groups):
            _enter(groups[group], layer.values[group], group, layer.source)
        rest.append(replace(layer, values={key: one for key, one in layer.values.items() if key not in groups}))
    try:
        made = dialect.translate(groups)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{layers[first].source}: {error}") from None
    return [*rest[:first], Layer(layers[first].source, made, layers[first].file), *rest[first:]]


def _enter(known: dict[str, Any], values: Any, group: str, source: str) -> None:
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: {group} is {values!r}, but it is a section: {', '.join(known)}.")
    for key, value in values.items():
        if key not in known:
            hint = did_you_mean(key, known)
            raise ConfigError(f"{source}: unknown key {group}.{key}.{hint} Known: {', '.join(known)}.")
        known[key] = _value(value, known[key], f"{group}.{key}", source)


def _value(value: Any, before: Any, key: str, source: str) -> Any:
    """`value` in the type of what stood there."""
    if isinstance(value, Written):
        value = str(value) if isinstance(before, str) else value.value
    found = value if isinstance(before, str) else decode(value)
    if isinstance(before, dict) and isinstance(found, dict):
        return {**before, **{name: decode(one) for name, one in found.items()}}
    if isinstance(before, float) and type(found) is int:
        return float(found)
    if type(found) is not type(before):
        raise ConfigError(f"{source}: {key} is {value!r}, but must be like {before!r}.")
    return found
