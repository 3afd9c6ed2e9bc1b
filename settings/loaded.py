"""A configuration on its way from files to a run, and the error that stops it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yacs.config import CfgNode

SECTIONS = ("TRAIN", "VALID", "TEST", "UNSUPERVISED")  # the parts of a run that have a DATA node

Check = Callable[[Any], str | None]  # the problem with a value, None when there is none


class ConfigError(ValueError):
    """A setting that cannot work; the message names file, key, value and the nearest valid one."""


@dataclass
class Loaded:
    """A resolved configuration and what was said on the way."""

    config: CfgNode
    log: list[str] = field(default_factory=list)  # merged files, data roots
    warnings: list[str] = field(default_factory=list)  # settings that run but may not mean what was meant
    sources: dict[str, str] = field(default_factory=dict)  # key path -> file or place that set it
    file: str = ""
    changes: list[str] = field(default_factory=list)  # a line for each key that was set to something else

    def error(self, key: str, problem: str) -> ConfigError:
        """The error for `key`, naming the place that set it."""
        return ConfigError(f"{self.sources.get(key, self.file)}: {key} {problem}")


@dataclass(frozen=True)
class Owner:
    """What one part of the toolbox brings to the configuration; `config.OWNERS` lists them."""

    declare: Callable[[CfgNode], None]  # enters its keys with their defaults
    checks: Callable[[], Mapping[str, Check]] = dict  # by key path; `D` stands for the DATA node of each used section
    rules: tuple[Callable[[Loaded], None], ...] = ()  # what only several keys together can tell; they raise
    warnings: tuple[Callable[[CfgNode], Iterable[str]], ...] = ()  # what runs but cannot be meant
    derive: Callable[[Loaded], None] = lambda loaded: None  # names and paths made of others, after all checks
    later: tuple[str, ...] = ()  # keys younger than run folders: left out of a run's hash at their defaults


def value_of(config: CfgNode, key: str) -> Any:
    """The value at the key path `key`."""
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node
