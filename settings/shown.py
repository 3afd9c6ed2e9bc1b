"""What a run prints of its settings: those that were set to something else than the default, and who set them."""

from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from settings.loaded import Loaded, value_of
from settings.modes import mode_of


def changes(loaded: Loaded, defaults: CfgNode) -> list[str]:
    """A line `KEY = value  (source)` for every key of this run that was set and differs from its default."""
    mode, lines = mode_of(loaded.config), []
    for key in _keys(defaults):
        source = loaded.sources.get(key)
        if source is None or key.rpartition(".")[2] == "BASE" or not mode.reads_key(key, loaded.config):
            continue  # what BASE names is printed as merged files
        value = value_of(loaded.config, key)
        if value != value_of(defaults, key):
            lines.append(f"{key} = {_shown(value)}  ({_short(source)})")
    return lines


def _keys(node: Any, path: str = "") -> list[str]:
    """Every key path below `node`, in the order of their declaration."""
    found = []
    for key, value in node.items():
        full = f"{path}.{key}" if path else key
        found += _keys(value, full) if isinstance(value, dict) else [full]
    return found


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _short(source: str) -> str:
    return Path(source).name if source.endswith((".yaml", ".yml")) else source
