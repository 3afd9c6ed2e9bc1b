"""Write, then rename: a file is wholly there or not at all, however the writing ends."""

import contextlib
import glob
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from dataset.files.locks import is_owned, locked

UNFINISHED = ".tmp"


@contextlib.contextmanager
def replacing(
    path: str | Path, scratch: Path | None = None, sync: bool = False, tidy: bool = False, ending: str = UNFINISHED
) -> Iterator[Path]:
    """A new path beside `path` (or in the folder `scratch`) to write to; renamed to `path` when the block ends well.

    `sync` flushes the file to the disk first. `tidy` also removes what killed processes left of this file, never what a
    living one is writing. `ending` is that of the new path, for libraries that go by it. Whatever happens, the new path
    is gone afterwards. An OSError names `path`.
    """
    path = Path(path)
    folder = path.parent if scratch is None else scratch
    folder.mkdir(parents=True, exist_ok=True)
    # Not the number of the process: processes of several machines may write here.
    temporary = folder / f".{path.name}.{uuid.uuid4().hex[:12]}{ending}"
    try:
        with _owned(temporary):
            yield temporary
            if ending != UNFINISHED and not temporary.stat().st_size:
                raise FileNotFoundError(f"'{temporary}' was not written.")  # by a library that says nothing
            if sync:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, path)  # while it is owned: else another process may tidy it away just before
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # a full disk names no file
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if tidy:
            clear(folder, f".{glob.escape(path.name)}.*{ending}")


@contextlib.contextmanager
def _owned(temporary: Path) -> Iterator[None]:
    """Mark a file that is about to be written as that of a living process; it is there when the block begins."""
    descriptor = _claimed(temporary)
    try:
        yield
    finally:
        os.close(descriptor)


def _claimed(temporary: Path) -> int:
    """A locked descriptor of the new file; made anew where it was tidied away before it was locked."""
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if locked(descriptor) and temporary.exists():
            return descriptor
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def clear(folder: Path, pattern: str = "*") -> None:
    """Remove the files in `folder` that match and that no living process is writing."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if path.is_file() and not is_owned(path):
                path.unlink()


def write_whole(
    path: str | Path, content: str | bytes, scratch: Path | None = None, sync: bool = False, tidy: bool = False
) -> Path:
    """Write `content` (text in UTF-8) to `path`, wholly or not at all; returns `path`. The rest as by `replacing`."""
    path = Path(path)
    with replacing(path, scratch, sync, tidy) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
