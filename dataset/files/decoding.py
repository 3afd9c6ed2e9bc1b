"""Which decoder is in use, and what was noticed while decoding, for whoever asked: loaders know neither."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Decoding:
    """The decoder in use, what it noticed (counts by name, such as `corrupt_frames`), and the files it was given.

    Of a folder of images only the first is named. With `unseen`, files are not decoded: so many frames without time
    and pixels stand for theirs, to learn what times a data set gives to them.
    """

    decoder: str = "pyav"
    notes: dict[str, int] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    unseen: int | None = None


_CURRENT: ContextVar[Decoding | None] = ContextVar("decoding", default=None)


@contextlib.contextmanager
def decoding(decoder: str = "pyav", unseen: int | None = None) -> Iterator[Decoding]:
    """Within the block `iter_frames` uses `decoder`, whoever calls it, and enters what it notices into the value.

    Loaders call `iter_frames(path)` without knowing the settings of the run; this is how the setting reaches them.
    """
    state = Decoding(decoder, unseen=unseen)
    token = _CURRENT.set(state)
    try:
        yield state
    finally:
        _CURRENT.reset(token)


def current() -> Decoding | None:
    """The value of the enclosing `decoding` block, if there is one."""
    return _CURRENT.get()


def remember(path: Path) -> None:
    """Enter `path` among the files of the enclosing block."""
    state = _CURRENT.get()
    if state is not None:
        state.files.append(path)


def note(name: str, count: int) -> None:
    """Enter how often something was noticed into the enclosing block; nothing for 0."""
    state = _CURRENT.get()
    if state is not None and count:
        state.notes[name] = count
