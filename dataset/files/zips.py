"""Zip files whose members are read one by one: nothing is unpacked to the disk, and nothing leads out of the file."""

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from dataset.data_loader.base import natural_key
from dataset.files.reading import AGAIN, require_file, told
from dataset.files.video import VideoError

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
        with zipfile.ZipFile(require_file(path)) as archive:
            yield archive
    except VideoError:
        raise
    except Exception as error:  # zipfile and the decompressors below it fail in many ways on damaged files
        reason = (
            str(error) if str(path) in str(error) else f"'{path}' cannot be read as a zip file: {told(error)}. {AGAIN}"
        )
        raise VideoError(reason) from None


def members(
    archive: zipfile.ZipFile, path: Path, wanted: Callable[[PurePosixPath], bool], what: str
) -> list[zipfile.ZipInfo]:
    """The members of an open file that are `wanted`; errors as above."""
    found = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or PureWindowsPath(name).drive:
            raise VideoError(f"'{path}' has a member {member.filename!r} that leads out of it. {AGAIN}")
        if wanted(name):
            if member.file_size > LARGEST:
                raise VideoError(f"'{member.filename}' in '{path}' is no picture: {member.file_size} bytes. {AGAIN}")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise VideoError(f"'{member.filename}' in '{path}' is compressed in an unusual way. {AGAIN}")
            found.append(member)
    if not found:
        raise VideoError(f"'{path}' holds no {what}. {AGAIN}")
    return sorted(found, key=lambda member: natural_key(member.filename))
