"""Where settings come from, weakest first: BASE files, the file, the local file, the environment, KEY=VALUE."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from settings.files import ROOT, UniqueKeyLoader, near_files, read_yaml, require_small
from settings.loaded import SECTIONS, ConfigError
from settings.merging import Exact, Written, decode


@dataclass(frozen=True)
class Layer:
    """Settings of one source; `file` is None for the ones that are no config file."""

    source: str
    values: dict[str, Any]
    file: Path | None = None


Known = dict[Path, list[Layer]]


def file_layers(path: Path, chain: tuple[Path, ...] = (), known: Known | None = None) -> list[Layer]:
    """The file at `path` preceded by its BASE files, in merging order. `chain`: the files that led here.

    `known` holds what other files have led to already: a hundred files that name each other are read once each.
    """
    known = {} if known is None else known
    try:
        place = path.resolve()
    except OSError as error:  # such as a name that is too long
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    if place in chain:
        names = " -> ".join(str(file) for file in (*chain, place))
        raise ConfigError(f"{path}: BASE goes in a circle: {names}")
    if place in known:
        return known[place]
    values = read_yaml(path)
    chain = (*chain, place)
    layers = []
    for base in _base_files(values.get("BASE"), "BASE", str(path), path.parent):
        layers += file_layers(base, chain, known)
    known[place] = _each_once([*layers, Layer(str(path), values, path)])
    return known[place]


def _each_once(layers: list[Layer]) -> list[Layer]:
    """Of a file that several name as BASE the last layer: it says again all that the ones before have said."""
    last: dict[str, Layer] = {}
    for layer in reversed(layers):
        last.setdefault(layer.source, layer)
    return list(last.values())[::-1]


def data_base_layers(layers: list[Layer]) -> list[Layer]:
    """What the BASE of each DATA node names: the strongest layer that sets it decides, as with every other key."""
    found = []
    for section in SECTIONS:
        setters = [layer for layer in layers if "BASE" in node_of(layer.values, section, "DATA")]
        if not setters:
            continue
        layer = setters[-1]
        folder = layer.file.parent if layer.file else Path()
        names = node_of(layer.values, section, "DATA")["BASE"]
        for file in _base_files(names, f"{section}.DATA.BASE", layer.source, folder):
            for part in file_layers(file):
                found.append(Layer(part.source, {section: {"DATA": part.values}}, part.file))
    return found


def _base_files(names: Any, key: str, source: str, folder: Path) -> list[Path]:
    """The files a BASE names, relative to `folder`; ConfigError when one is missing."""
    names = decode(names) or []
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"{source}: {key} is {names!r}, but must be a list of files, such as ['base.yaml'].")
    files = [folder / str(name) for name in names if name]
    for file in files:
        if not os.path.isfile(file):  # also for a name that is too long to be one
            raise ConfigError(f"{source}: {key} names {str(file)!r}, which does not exist.{near_files(file)}")
    return [Path(os.path.normpath(file)) for file in files]


def local_file() -> Path | None:
    """The user's own settings for this machine: `configs/local.yaml`, or the file that $RPPG_LOCAL names."""
    named = os.environ.get("RPPG_LOCAL")
    path = ROOT / "configs" / "local.yaml" if named is None else Path(named)
    return path if path.is_file() else None


def local_values() -> dict[str, Any]:
    """What the local file says; {} without one."""
    path = local_file()
    return read_yaml(path) if path else {}


LOCAL_KEYS = ("DATA_ROOT", "DATA_PATHS", "CACHED_PATH")  # of the local file only; all others are ordinary keys


def local_layers() -> list[Layer]:
    """The local file as a layer; its CACHED_PATH stands for that key of each section."""
    values = local_values()
    if not values:
        return []
    source = str(local_file())
    rest = {key: value for key, value in values.items() if key not in LOCAL_KEYS}
    layers = [Layer(source, rest)]
    if values.get("CACHED_PATH"):
        layers.insert(0, Layer(source, everywhere("CACHED_PATH", values["CACHED_PATH"])))
    return layers


def environment_layers() -> list[Layer]:
    """$RPPG_CACHE as the CACHED_PATH of each section."""
    cache = os.environ.get("RPPG_CACHE")
    return [Layer("environment RPPG_CACHE", everywhere("CACHED_PATH", cache))] if cache else []


def everywhere(key: str, value: Any) -> dict[str, Any]:
    """`key` of the DATA node in every section."""
    return {section: {"DATA": {key: value}} for section in SECTIONS}


COMMAND_LINE = "command line"
Override = str | tuple[str, Any]  # KEY=VALUE, or a key and what it is set to


def override_layers(overrides: Iterable[Override]) -> list[Layer]:
    """One layer per `KEY=VALUE`, whose VALUE is read as it would be in a YAML file, or per (key, value)."""
    layers = []
    for override in overrides:
        key, values = _split(override) if isinstance(override, str) else (override[0], _exact(override[1]))
        for part in reversed(key.strip().split(".")):
            values = {part: values}
        layers.append(Layer(COMMAND_LINE, values))
    return layers


def _split(override: str) -> tuple[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{COMMAND_LINE}: {override!r} is not KEY=VALUE, such as TRAIN.LR=1e-3")
    return key, _yaml_value(text)


def _exact(value: Any) -> Any:
    return Exact(value) if isinstance(value, str) else value


def _yaml_value(text: str) -> Any:
    if not text:
        return ""
    try:
        value = yaml.load(text, Loader=UniqueKeyLoader)
    except (yaml.YAMLError, ConfigError, ValueError, OverflowError, RecursionError):
        return text
    require_small(value, COMMAND_LINE)
    # A number that was meant as a name (MODEL_FILE_NAME=2024) must stay text: decoding happens when the type is known.
    if isinstance(value, (bool, list)) or value is None:
        return Written(text, value)
    return value if isinstance(value, dict) else text


def node_of(values: Any, *keys: str) -> dict[str, Any]:
    """The mapping below `keys`; {} when there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def named(layers: list[Layer], *path: str) -> list[str]:
    """Every text that some layer gives to the key, in merging order."""
    values = [decode(node_of(layer.values, *path[:-1]).get(path[-1])) for layer in layers]
    return [value for value in values if value and isinstance(value, str)]
