"""Locks that a dead owner does not keep: the system frees them when its process ends, however it ends.

Imports nothing of the toolbox, so that everything that writes may use it.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there two runs must not write one thing at the same time
    fcntl = None


class TakenError(RuntimeError):
    """Another process that still runs has it; the message says which."""


def locked(descriptor: int) -> bool:
    """Whether the lock of an open file or folder could be had."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def is_owned(path: Path) -> bool:
    """Whether a process that still runs holds the lock of a file; of none that can be asked: no."""
    if fcntl is None or path.is_symlink():
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not locked(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def holding(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` inside the block; TakenError, which calls it `what` and names the owner, without it."""
    new = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _taken(path, what)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode(errors="replace"))
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        with contextlib.suppress(OSError):  # a folder in which something was written stays
            for folder in new:
                folder.rmdir()


def _taken(path: Path, what: str) -> int:
    """The descriptor of the locked file, which is still the one of that name."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if not locked(descriptor):
            owner = os.read(descriptor, 200).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise TakenError(
                f"{what} is going on already: {owner} holds '{path}'. Nothing was changed. Wait for it to end; the "
                f"same command then continues or finds it done. For another run change a setting."
            )
        with contextlib.suppress(OSError):
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                return descriptor
        os.close(descriptor)  # its owner has just ended
