"""What all damages inside a file are made of: changed bytes, a great many zeros, a pickle that runs code."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Change = Callable[[Path], None]
Row = tuple[str, Change, bool]
FAR = "../../../../tmp/outside"  # leads out of everything
HUGE = 0x7FFFFFFF


def row(name: str, change: Callable[[bytes], bytes], harmless: bool = False) -> Row:
    """A damage that is a function of the file's content."""
    return name, lambda path: put(path, change(path.read_bytes())), harmless


def put(path: Path, content: bytes) -> None:
    """Another content for `path`."""
    path.unlink()
    path.write_bytes(content)


def pack(content: bytes, place: int, form: str, *values: int) -> bytes:
    """`content` with `values` written at `place`."""
    changed = bytearray(content)
    struct.pack_into(form, changed, place, *values)
    return bytes(changed)


def zeros(count: int) -> bytes:
    """`count` zero bytes as zlib packs them, made of one packed megabyte as often as needed."""
    press = zlib.compressobj(9)
    start = press.compress(b"") + press.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    last = last.compress(bytes(count % (1 << 20))) + last.flush()
    return start[:2] + block * (count >> 20) + last + struct.pack(">I", (count % 65521) << 16 | 1)


class Bomb:
    """Unpickling this makes a folder: the proof that code ran."""

    def __init__(self, mark: Path):
        """`mark` is the folder."""
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """What a hostile pickle does."""
        return os.mkdir, (str(self.mark),)


def hostile(path: Path) -> np.ndarray:
    """An array of objects whose pickle runs code."""
    return np.array([Bomb(path.with_name("code_ran"))], dtype=object)
