"""Zip files whose members are read one by one: nothing is unpacked to the disk, and nothing leads out of the file.

Weights and arrays are zip files, too. What all of them state of their members has to fit into the file: members that
overlap would give the same bytes again and again.
"""

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from dataset.faults import is_own
from dataset.files.frames import VideoError
from dataset.files.lookup import is_system
from dataset.files.names import natural_key
from dataset.files.reading import AGAIN, require_file, told

LARGEST = 1 << 25  # bytes of a member: an ordinary picture has about 300,000


def iter_members(path: Path, wanted: Callable[[PurePosixPath], bool], what: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the members that are `wanted`, in natural order of their names.

    VideoError for a file that is missing, damaged or encrypted, holds no such member (`what` says what is missed) or
    one of more than 32 MB, or has names that lead out of it.
    """
    with open_zip(path) as archive:
        for member in members(archive, path, wanted, what):
            with archive.open(member) as file:
                data = file.read(LARGEST + 1)
            yield member.filename, data


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """`path` for reading; VideoError naming it for whatever goes wrong inside the block."""
    try:
        with require_file(path).open("rb") as file, zipfile.ZipFile(_Limited(file)) as archive:
            _refuse_overlaps(archive, path.stat().st_size)
            yield archive
    except VideoError:
        raise
    except Exception as error:  # zipfile and the decompressors below it fail in many ways on damaged files
        if is_own(error):
            raise
        reason = (
            str(error) if str(path) in str(error) else f"'{path}' cannot be read as a zip file: {told(error)}. {AGAIN}"
        )
        raise VideoError(reason) from None


def require_stored(source: Path | bytes) -> None:
    """ValueError unless an archive of weights or arrays stores its members as they are, each in its own place.

    What is no archive at all passes: its own reader says so. The caller names the file.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else require_file(source).open("rb") as file:
        if file.read(2) != b"PK":
            return
        size = file.seek(0, io.SEEK_END)
        try:
            with zipfile.ZipFile(_Limited(file)) as archive:
                _refuse_overlaps(archive, size)
                members = archive.infolist()
        except Exception as error:  # damaged archives fail in many ways
            raise ValueError(f"it is no archive that can be read ({told(error)})") from None
    if any(one.compress_type != zipfile.ZIP_STORED or one.file_size != one.compress_size for one in members):
        raise ValueError("it is a compressed archive")


def _refuse_overlaps(archive: zipfile.ZipFile, size: int) -> None:
    if sum(member.compress_size for member in archive.infolist()) > size:
        raise zipfile.BadZipFile("its members have more bytes than the file")


class _Limited:
    """An open file of which no more than a member may be read at once: the list of members is, too, and as a whole."""

    def __init__(self, file: BinaryIO):
        """`file` stays open."""
        self._file = file

    def __getattr__(self, name: str) -> Any:
        """All but `read` is the file's own."""
        return getattr(self._file, name)

    def read(self, count: int = -1) -> bytes:
        """As of any file; BadZipFile for more."""
        data = self._file.read(LARGEST + 2 if count < 0 else min(count, LARGEST + 2))
        if len(data) > LARGEST + 1:
            raise zipfile.BadZipFile("the list of its members is too long")
        return data


def members(
    archive: zipfile.ZipFile, path: Path, wanted: Callable[[PurePosixPath], bool], what: str
) -> list[zipfile.ZipInfo]:
    """The members of an open file that are `wanted`; errors as above."""
    found = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or PureWindowsPath(name).drive:
            raise VideoError(f"'{path}' has a member {member.filename!r} that leads out of it. {AGAIN}")
        if wanted(name) and not any(map(is_system, name.parts)):
            if member.file_size > LARGEST:
                raise VideoError(f"'{member.filename}' in '{path}' is no picture: {member.file_size} bytes. {AGAIN}")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise VideoError(f"'{member.filename}' in '{path}' is compressed in an unusual way. {AGAIN}")
            found.append(member)
    if not found:
        raise VideoError(f"'{path}' holds no {what}. {AGAIN}")
    return sorted(found, key=lambda member: natural_key(member.filename))
