"""What touches the disk for the cache: one clear error when it cannot be written, locks, moves, flushes."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dataset.files.locks import locked
from dataset.files.writing import clear, write_whole

ATTEMPTS = 20  # to put an entry where other processes may be putting theirs
FULL = (errno.ENOSPC, errno.EDQUOT)
MAKE_ROOM = (
    "make room, or set another CACHED_PATH (what is in this one can be moved there) or, for faces, a smaller RESIZE, "
    "then run again; finished entries stay."
)


class CacheError(RuntimeError):
    """The cache cannot be written, or what lies there cannot be used; the message says what to do."""


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what the file system says while writing into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            remedy = f"The disk is full: {MAKE_ROOM}"
        else:
            remedy = "Set CACHED_PATH to a folder you may write to."
        raise CacheError(f"The cache '{place}' cannot be written: {error.strerror or error}. {remedy}") from error


def free(place: Path) -> int | None:
    """Bytes that may still be written where `place` is, or will be; None where the system does not say."""
    try:
        return shutil.disk_usage(next(path for path in (place, *place.absolute().parents) if path.exists())).free
    except (OSError, StopIteration):
        return None


def taken(folder: Path) -> int:
    """Bytes of the disk that the files below `folder` take; 0 where it is not there."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # another process has just renamed it
                status = os.lstat(os.path.join(parent, name))
                total += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return total


def own_folder(parent: Path, name: str) -> tuple[Path, int]:
    """An empty folder that no other process writes to, and its lock; leftovers of a killed run are taken over."""
    make_own(parent)
    for number in range(1000):
        folder = parent / (f"{name}.{number}" if number else name)
        make_own(folder)
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # its owner has just renamed it
            continue
        if locked(lock) and folder.exists():
            for item in folder.iterdir():
                shutil.rmtree(item) if item.is_dir() else item.unlink()
            return folder, lock
        os.close(lock)
    raise OSError(errno.EBUSY, f"too many processes write '{name}'")


def make_own(folder: Path) -> None:
    """A folder in which only the cache works; where a link stands in its place, another folder would be emptied."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"'{folder}' is a link to another place; take it away")


def remove_abandoned(folder: Path) -> None:
    """Remove a folder whose owner no longer runs; that of a process which still does stays."""
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            if locked(lock):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def clear_abandoned(scratch: Path) -> None:
    """Remove everything in the folder `scratch` that no living process owns: what killed runs have left."""
    if scratch.is_symlink() or not scratch.is_dir():
        return
    for folder in scratch.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            remove_abandoned(folder)
    clear(scratch)


def move(source: Path, target: Path, trash: Path) -> None:
    """Rename the folder `source` to `target`; an entry that is already there goes."""
    old, collisions = trash / f"{target.name}.old", (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
    for attempt in range(ATTEMPTS):
        shutil.rmtree(old, ignore_errors=True)
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(source, target)
            break
        except OSError as error:  # another process has put its own entry there, or taken the old one away, just now
            if error.errno not in collisions or attempt == ATTEMPTS - 1:
                raise
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def remove(folder: Path, trash: Path) -> None:
    """Take a folder away as a whole: half of it is never seen under its name."""
    make_own(trash)
    old = trash / f"{folder.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
        sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def replace(path: Path, content: str | bytes, scratch: Path) -> Path:
    """Write a small file in the folder `scratch`, which is the cache's own, and rename it to `path`."""
    make_own(scratch)
    return write_whole(path, content, scratch)


def write(path: Path, content: bytes) -> None:
    """Write a file that has its final name already, because its folder has not."""
    with path.open("wb", buffering=0) as file:
        write_all(file, memoryview(content))
        os.fsync(file.fileno())


def write_all(file: BinaryIO, content: memoryview) -> None:
    """An unbuffered file may take less than it is given, such as on a disk about to be full."""
    while len(content):
        content = content[file.write(content) :]


def sync_folder(path: Path) -> None:
    """Flush the names in a folder, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
