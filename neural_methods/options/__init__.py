"""What the configuration knows of rPPG-Toolbox's methods in every run, without importing torch: one file per method.

Its files may set the keys of several methods, whatever MODEL.NAME says. Any other method needs no file here: the
OPTIONS of its trainer are known when MODEL.NAME names it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from yacs.config import CfgNode


@dataclass(frozen=True)
class Published:
    """Keys below MODEL with their defaults, and what else its published files ask for."""

    name: str  # as in MODEL.NAME
    options: Mapping[str, Any]
    warnings: tuple[Callable[[CfgNode], Iterable[str]], ...] = ()  # of settings of a test that cannot be meant
    measured: bool = False  # always tested against the measured pulse, whatever labels it learns


def _found() -> dict[str, Published]:
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {module.METHOD.name: module.METHOD for module in modules}


PUBLISHED = _found()
