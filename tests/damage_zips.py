"""What can be wrong inside a zip file: names that lead out, bombs, a directory that lies."""

import copy
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.damage_bytes import FAR, Change, pack, put, row
from tests.damage_pictures import png

CHOSEN = 4  # number of the picture that is damaged: the first ones may be left out on purpose


def _members(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _zip(change: Callable[[zipfile.ZipFile, list[tuple[str, bytes]]], None]) -> Change:
    """A new archive that `change(archive, members)` fills."""

    def write(path: Path) -> None:
        members, content = _members(path), io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            change(archive, members)
        put(path, content.getvalue())

    return write


def _renamed(name: Callable[[str], str]) -> Change:
    """One picture has another name; the others stay."""

    def fill(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for number, (old, content) in enumerate(members):
            archive.writestr(name(old) if number == CHOSEN else old, content)

    return _zip(fill)


def _first(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Change:
    """One picture is `content`; all are compressed."""

    def fill(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for number, (name, old) in enumerate(members):
            archive.writestr(name, content if number == CHOSEN else old, method)

    return _zip(fill)


def _symlink(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
    for number, (name, content) in enumerate(members):
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o120777 << 16) if number == CHOSEN else 0
        archive.writestr(info, b"/etc/passwd" if number == CHOSEN else content)


def _directory(form: str, offset: int, *values: int) -> Callable[[bytes], bytes]:
    """Change a field of the first entry of the directory at the end of the archive."""
    return lambda content: pack(content, content.index(b"PK\x01\x02") + offset, form, *values)


def _crowd(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
    for name, content in members:
        archive.writestr(name, content)
    for number in range(40_000):
        archive.writestr(f"a/b{number}", b"")


def overlapping(content: bytes, copies: int) -> bytes:
    """The archive with `copies` more members that are its largest one under other names."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    out = io.BytesIO(content)
    largest = max(archive.infolist(), key=lambda member: member.file_size)
    with zipfile.ZipFile(out, "a") as changed:
        for number in range(copies):
            other = copy.copy(largest)
            other.filename = other.orig_filename = largest.filename.replace("/data/", f"/data/9{number}").replace(
                ".", f"{number}."
            )
            changed.filelist.append(other)
            changed.NameToInfo[other.filename] = other
        changed._didModify = True
    return out.getvalue()


def _task(old: str) -> str:
    return "/".join(old.split("/")[1:])


ZIP = [
    ("with a way out", _renamed(lambda old: f"{FAR}/{_task(old)}"), False),
    ("with a way out inside", _renamed(lambda old: f"a/../../../{_task(old)}"), False),
    ("with an absolute name", _renamed(lambda old: f"/{old}"), False),
    ("with a backslash name", _renamed(lambda old: "..\\..\\" + old.replace("/", "\\")), False),
    ("with a drive name", _renamed(lambda old: f"C:/{_task(old)}"), False),
    ("with a link in it", _zip(_symlink), False),
    ("with a picture of 64 MB of zeros", _first(bytes(64 << 20)), False),
    ("with a picture that inflates", _first(png(20000, 20000)), False),
    ("with a picture in LZMA", _first(b"\xff\xd8" + bytes(9000), zipfile.ZIP_LZMA), False),
    ("with a picture in BZIP2", _first(b"\xff\xd8" + bytes(9000), zipfile.ZIP_BZIP2), False),
    ("with an unknown method", lambda path: put(path, _directory("<H", 10, 77)(path.read_bytes())), False),
    ("with a locked picture", lambda path: put(path, _directory("<H", 8, 1)(path.read_bytes())), False),
    (
        "with a picture of 4 GB",
        lambda path: put(path, _directory("<II", 20, 0xFFFFFFF0, 0xFFFFFFF0)(path.read_bytes())),
        False,
    ),
    ("with a picture of 0 bytes", lambda path: put(path, _directory("<II", 20, 0, 0)(path.read_bytes())), False),
    ("with a wrong checksum", lambda path: put(path, _directory("<I", 16, 1)(path.read_bytes())), False),
    (
        "with a picture beyond its end",
        lambda path: put(path, _directory("<I", 42, 0xFFFFFF00)(path.read_bytes())),
        False,
    ),
    ("with 40000 members more", _zip(_crowd), True),
    row("whose members overlap", lambda content: overlapping(content, 100)),
    ("of no members", _zip(lambda archive, members: None), False),
    ("of other tasks", _zip(lambda archive, members: archive.writestr("F001/T99/0001.jpg", b"x")), False),
    ("without its directory", lambda path: put(path, path.read_bytes().replace(b"PK\x05\x06", b"PK\x05\x07")), False),
]
