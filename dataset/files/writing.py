"""Write, then rename: a file is wholly there or not at all, however the writing ends.

Imports nothing of the toolbox, so that everything that writes may use it.
"""

import contextlib
import glob
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = ".tmp"


@contextlib.contextmanager
def replacing(
    path: str | Path, scratch: Path | None = None, sync: bool = False, tidy: bool = False, ending: str = UNFINISHED
) -> Iterator[Path]:
    """A new path beside `path` (or in the folder `scratch`) to write to; renamed to `path` when the block ends well.

    `sync` flushes the file to the disk first. `tidy` also removes what killed processes left of this file, and may
    take away what another process is writing. `ending` is that of the new path, for libraries that go by it. Whatever
    happens, the new path is gone afterwards.
    """
    path = Path(path)
    folder = path.parent if scratch is None else scratch
    folder.mkdir(parents=True, exist_ok=True)
    # Not the number of the process: processes of several machines may write here.
    temporary = folder / f".{path.name}.{uuid.uuid4().hex[:12]}{ending}"
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        left = folder.glob(f".{glob.escape(path.name)}.*{ending}") if tidy else [temporary]
        for unfinished in left:
            with contextlib.suppress(OSError):
                unfinished.unlink()


def write_whole(
    path: str | Path, content: str | bytes, scratch: Path | None = None, sync: bool = False, tidy: bool = False
) -> Path:
    """Write `content` (text in UTF-8) to `path`, wholly or not at all; returns `path`. The rest as by `replacing`."""
    path = Path(path)
    with replacing(path, scratch, sync, tidy) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
