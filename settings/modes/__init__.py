"""Modes: what TOOLBOX_MODE may say. A mode is an entry of `registry.MODES`, in a file of this folder or in a plug-in.

    MODES.register("train")(Mode("train", ("TRAIN",), run="package.module:function", reads=("TRAIN", "MODEL")))

Nothing else knows a mode by its name: who needs to know what a mode does asks its entry.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yacs.config import CfgNode

from registry import MODES
from settings.loaded import SECTIONS


@dataclass(frozen=True)
class Mode:
    """One entry: which settings a mode reads, the function that runs it, and where what it computes goes."""

    name: str
    sections: tuple[str, ...] | Callable[[CfgNode], Sequence[str]]  # whose DATA it reads, in the order of SECTIONS
    run: str  # "module:function", called with the resolved configuration; it may return an exit code
    output: tuple[str, str] | None = None  # section and default folder of its OUTPUT_SAVE_DIR
    reads: tuple[str, ...] = ()  # top-level nodes it reads beside those DATA nodes and the general keys
    needs: Mapping[str, str] = field(default_factory=dict)  # keys that must be set -> what for
    splits: tuple[str, ...] = ()  # kinds of SPLIT it can make
    video: str = ""  # the section that --video fills; '': it measures nothing
    title: Callable[[CfgNode], str] | None = None  # what a person calls a run; None: the mode and its data sets

    @property
    def neural(self) -> bool:
        """Whether it has a network, so that the methods must be imported to know their keys."""
        return "MODEL" in self.reads

    @property
    def evaluates(self) -> bool:
        """Whether rates and errors are computed."""
        return "INFERENCE" in self.reads

    def used(self, config: CfgNode) -> list[str]:
        """The sections whose data this run reads."""
        return list(self.sections(config) if callable(self.sections) else self.sections)

    def reads_key(self, key: str, config: CfgNode) -> bool:
        """Whether the key path `key` has an effect in this run."""
        first, _, rest = key.partition(".")
        if first in SECTIONS and first not in self.used(config):
            return False
        if first in SECTIONS and rest.startswith("DATA."):
            return True
        return first in self.reads or first not in (*SECTIONS, "MODEL", "INFERENCE", "SIGNAL")

    def function(self) -> Callable[[CfgNode], Any]:
        """The function that runs it, imported now: classical modes start without torch."""
        module, name = self.run.split(":")
        return getattr(importlib.import_module(module), name)


def mode_of(config: CfgNode) -> Mode:
    """The entry that TOOLBOX_MODE names; KeyError with the nearest name otherwise."""
    return MODES[config.TOOLBOX_MODE]


def used_sections(config: CfgNode) -> list[str]:
    """The sections whose data this run reads, in the order TRAIN, VALID, TEST, UNSUPERVISED."""
    return mode_of(config).used(config)


def trains(config: CfgNode) -> bool:
    """Whether this run trains a network."""
    return "TRAIN" in mode_of(config).reads


def only_tests(config: CfgNode) -> bool:
    """Whether this run starts from a file of weights and only tests them."""
    return "INFERENCE.MODEL_PATH" in mode_of(config).needs
