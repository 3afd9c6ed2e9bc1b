"""Which files are opened while something is read: a data set need not declare what its recordings are made of.

Readers of `dataset.files` note every path they are asked for, also of files that are not there. Imports nothing of the
toolbox, so that all of them may use it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Opened:
    """Absolute paths that were asked for, and those of them that were read as texts: no picture comes out of these."""

    files: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


_CURRENT: ContextVar[Opened | None] = ContextVar("opened", default=None)


@contextlib.contextmanager
def noting() -> Iterator[Opened]:
    """Within the block everything that is opened is entered into the value, and into those of the blocks around it."""
    opened, outer = Opened(), _CURRENT.get()
    token = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        _CURRENT.reset(token)
        if outer is not None:
            outer.files |= opened.files
            outer.texts |= opened.texts


def note(path: str | Path, text: bool = False) -> None:
    """Enter `path` where somebody notes; `text`: it is read as one."""
    opened = _CURRENT.get()
    if opened is not None:
        name = os.path.abspath(path)
        opened.files.add(name)
        if text:
            opened.texts.add(name)
