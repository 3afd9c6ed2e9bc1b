"""Keys that are written without the sections above them: `CROP_FACE.NO_FACE` for the one key path that ends so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from yacs.config import CfgNode

from settings.layers import Layer
from settings.loaded import ConfigError, Loaded, value_of
from settings.merging import merge
from settings.modes import mode_of


def expand(loaded: Loaded, layers: list[Layer]) -> list[Layer]:
    """The `layers` with every short key at its place in the tree of `loaded`, which is said in its log.

    A key that is unknown where it stands means the only key of this run, below that section, whose path ends so.
    ConfigError, with the candidates, where several do; a key that none ends in stays, and is refused when it is merged.
    """
    if not any(_unknown(layer.values, loaded.config) for layer in layers):
        return layers
    run = _merged(loaded, layers)
    return [replace(layer, values=_expanded(layer.values, run, layer.source, loaded.log)) for layer in layers]


def _merged(loaded: Loaded, layers: list[Layer]) -> CfgNode:
    """The settings as far as they are written in full: they tell the mode, and so the sections it reads."""
    known = Loaded(loaded.config.clone(), file=loaded.file)
    for layer in layers:
        merge(known, known.config, _known(layer.values, known.config), layer.source)
    return known.config


def _unknown(values: dict[str, Any], node: CfgNode) -> bool:
    return any(
        key not in node or (isinstance(value, dict) and isinstance(node[key], CfgNode) and _unknown(value, node[key]))
        for key, value in values.items()
    )


def _known(values: dict[str, Any], node: CfgNode) -> dict[str, Any]:
    """`values` without the keys that are not in `node`."""
    return {
        key: _known(value, node[key]) if isinstance(value, dict) and isinstance(node[key], CfgNode) else value
        for key, value in values.items()
        if key in node
    }


def _expanded(values: dict[str, Any], run: CfgNode, source: str, log: list[str], path: str = "") -> dict[str, Any]:
    """`values`, which stand below `path`, with short keys written out."""
    node, found = value_of(run, path) if path else run, {}
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key in node:
            inner = isinstance(value, dict) and isinstance(node[key], CfgNode)
            _join(found, [key], _expanded(value, run, source, log, full) if inner else value, source, full)
            continue
        place = _meant(full, str(key), value, run, path, source)
        below = place[len(path) :].lstrip(".") if place else str(key)
        if place:
            log.append(f"{source}: {full}{_below(value)} stands for {place}{_below(value)}.")
        _join(found, below.split("."), value, source, full)
    return found


def _meant(full: str, key: str, value: Any, run: CfgNode, path: str, source: str) -> str:
    """The key path below `path` that ends in `key` and takes `value`; "" when there is none in this run."""
    node = value_of(run, path) if path else run
    ends = [place for place in _paths(node, path) if f".{place}".endswith(f".{key}") and _takes(run, place, value)]
    used = [place for place in ends if not run.TOOLBOX_MODE or mode_of(run).reads_key(place, run)]
    if len(used) > 1:
        places, end = " or ".join(place + _below(value) for place in used), _below(value)
        raise ConfigError(f"{source}: {full}{end} may be {places}. Write one of them, or each.")
    return used[0] if used else ""


def _below(value: Any) -> str:
    """The keys below a section that sets a single one: `.A.B` of {A: {B: 1}}."""
    end = ""
    while isinstance(value, dict) and len(value) == 1:
        key, value = next(iter(value.items()))
        end += f".{key}"
    return end


def _takes(run: CfgNode, place: str, value: Any) -> bool:
    """Whether what stands at `place` is a section with all keys of `value`, or a single value as `value` is one."""
    node = value_of(run, place)
    if not isinstance(node, CfgNode):
        return not isinstance(value, dict)
    return isinstance(value, dict) and not _unknown(value, node)


def _paths(node: CfgNode, path: str) -> Iterator[str]:
    """Every key path below `node`, of sections, too."""
    for key, value in node.items():
        full = f"{path}.{key}" if path else key
        yield full
        if isinstance(value, CfgNode):
            yield from _paths(value, full)


def _join(tree: dict[str, Any], keys: list[str], value: Any, source: str, full: str) -> None:
    """Enter `value` at `keys` of `tree`; ConfigError where the same source has set it already."""
    for key in keys[:-1]:
        tree[key] = {} if tree.get(key) is None else tree[key]
        tree = tree[key]
        if not isinstance(tree, dict):
            raise ConfigError(f"{source}: {full} is a key of {key}, which is set to {tree!r}. Remove one of them.")
    last = keys[-1]
    if isinstance(value, dict) and isinstance(tree.get(last), dict):
        for key, inner in value.items():
            _join(tree[last], [key], inner, source, f"{full}.{key}")
    elif last in tree:
        raise ConfigError(f"{source}: {full} is set twice, once by its short name. Remove one of them.")
    else:
        tree[last] = value
