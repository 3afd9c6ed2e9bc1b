"""Values into the tree of keys: decoding, conversion to the type of the default, unknown keys."""

import copy
import re
from ast import literal_eval
from collections.abc import Iterable, Mapping
from typing import Any

from yacs.config import CfgNode

from registry import did_you_mean
from settings.loaded import ConfigError, Loaded


class Exact(str):
    """A text that means itself, whatever it looks like: the name of a file."""


class Written(str):
    """A VALUE of the command line that is `value` as YAML; a key that takes a text gets it as it was written."""

    NOTHING = ("~", "null", "Null", "NULL")

    def __new__(cls, text: str, value: Any):
        """`text` with what it is as YAML."""
        made = super().__new__(cls, text)
        made.value = value
        return made

    def as_text(self) -> str | None:
        """For a key that takes a text: `#1.mp4` and `on` are names, null is none."""
        return None if self.strip() in self.NOTHING else str(self)


def declare(node: CfgNode, options: Mapping[str, Any]) -> None:
    """Enter `options` (nested mappings of defaults) below `node`, as values of its own."""
    for key, value in options.items():
        if not isinstance(value, dict):
            node[key] = copy.deepcopy(value)
        else:
            node.setdefault(key, CfgNode())
            declare(node[key], value)


def decode(value: Any) -> Any:
    """A text that is a Python literal as that literal (`9e-3`, `None`, `(0.9, 0.99)`); anything else unchanged."""
    if isinstance(value, Written):
        return decode(value.value)
    if not isinstance(value, str) or isinstance(value, Exact):
        return value
    try:
        return literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def merge(loaded: Loaded, node: CfgNode, values: Any, source: str, path: str = "") -> None:
    """Enter the values of one source below `node`; ConfigError for an unknown key or a value of another type."""
    for key, value in values.items():
        full = f"{path}.{key}" if path else str(key)
        if key not in node:
            raise ConfigError(_unknown_key(loaded, node, full, key, source))
        if isinstance(node[key], CfgNode):
            if value is None or (isinstance(value, Written) and value.value is None):
                continue
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {full} is {value!r}, but it is a section: {_known(node[key])}.")
            merge(loaded, node[key], value, source, full)
        else:
            node[key] = _converted(value, node[key], full, source)
            loaded.sources[full] = source


def _unknown_key(loaded: Loaded, node: CfgNode, full: str, key: Any, source: str) -> str:
    hint = did_you_mean(key, node)
    if not hint and full.startswith("MODEL."):
        hint = f" (A method's own section is known when MODEL.NAME names it; it is {loaded.config.MODEL.NAME!r}.)"
    return f"{source}: unknown key {full}.{hint} Known: {_known(node)}."


def _known(node: Iterable[str]) -> str:
    return ", ".join(node)


def _converted(value: Any, default: Any, key: str, source: str) -> Any:
    """`value` in the type of `default`; ConfigError when it cannot be."""
    _refuse_control(value, key, source)
    if isinstance(value, Written):
        value = value.as_text() if isinstance(default, str) else value.value
    if isinstance(value, Exact) and isinstance(default, str):
        return str(value)
    found = decode(value)
    _refuse_unmeant(found, key, source)
    kind = type(default)
    if isinstance(default, str) and isinstance(value, str) and not (found is None or isinstance(found, str)):
        return value  # a name that happens to read as a number, such as 12_3
    if default is None or type(found) is kind:
        return found
    if found is None and kind in (str, list, tuple):
        return kind()  # a key with nothing behind it; whether that can be is for its check to say
    if found is None:
        raise ConfigError(f"{source}: {key} has no value, but must be {_TYPES[kind]}, such as {_example(default)}.")
    if kind in (list, tuple) and type(found) in (list, tuple):
        return kind(found)
    if kind is float and type(found) is int:
        return float(found)
    if key.endswith(".FS") and type(found) is float:
        return found
    example = repr([found]) if isinstance(found, str) and kind in (list, tuple) else _example(default)
    raise ConfigError(f"{source}: {key} is {value!r}, but must be {_TYPES[kind]}, such as {example}.")


def _refuse_unmeant(found: Any, key: str, source: str) -> None:
    """ConfigError for what no key takes, whatever its type: numbers out of every range, lists of more than names."""
    several = isinstance(found, (list, tuple))
    for part in found if several else [found]:
        if isinstance(part, (int, float)) and not abs(part) < LARGEST:
            raise ConfigError(f"{source}: {key} holds a number of 2^63 or more, or NaN: no setting means that.")
        if several and not isinstance(part, (str, int, float)):
            raise ConfigError(f"{source}: {key} holds {part!r}, but must be a list of texts or numbers.")


def _refuse_control(value: Any, key: str, source: str) -> None:
    """ConfigError for a text with a line break or tab in it: a Windows path in double quotes."""
    for text in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(text, str) and not isinstance(text, Exact) and CONTROL.search(text):
            what = CONTROLS.get(CONTROL.search(text)[0], "a control character")
            raise ConfigError(
                f"{source}: {key} is {text!r}, with {what} in it: between double quotes YAML reads \\n, \\t and the "
                f"like so. Write a path between single quotes or with /: "
                f"'{CONTROL.sub(lambda found: SLASHED.get(found[0], '?'), text)}'."
            )


LARGEST = 1 << 63  # of a number
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
CONTROLS = {"\n": "a line break", "\t": "a tab", "\r": "a carriage return"}
SLASHED = {
    "\n": "/n", "\t": "/t", "\r": "/r", "\a": "/a", "\b": "/b", "\f": "/f", "\v": "/v", "\0": "/0", "\x1b": "/e"
}  # fmt: skip


_TYPES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
}


def _example(default: Any) -> str:
    return repr(default) if default not in ("", [], [""]) else "'name'" if default == "" else "['name']"
