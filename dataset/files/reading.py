"""Files that others have written: opened only when they are ordinary files of a size that can be, errors name them.

A pipe in place of a file would block for ever, a device never end, a link lead in circles. Imports nothing of the
toolbox but `faults` and `opened`, so that everything that reads may use it.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.faults import is_own
from dataset.files.opened import note

AGAIN = "Copy or download it again, or leave the recording out."
LARGEST_TEXT = 1 << 24  # bytes of what is parsed as a whole: its parts take some thirty times as much in memory
LARGEST_TABLE = 1 << 27  # bytes of what is parsed line by line; an hour of numbers at 1000 Hz has a third of it
LONGEST_LINE = 1 << 20  # letters
MOST_LINES = 1 << 22  # an hour at 1000 Hz has fewer
LONGEST = 200  # characters of another library's words in a message


def require_file(path: str | Path, largest: int | None = None, remedy: str = AGAIN) -> Path:
    """`path` when it is an ordinary file of at most `largest` bytes.

    FileNotFoundError when it is missing, OSError when it cannot be reached, ValueError for a folder, a pipe, a device
    or a larger file; each names it and ends with `remedy`.
    """
    path = Path(path)
    note(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"'{path}' does not exist. {remedy}") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise OSError(f"'{path}' cannot be read: {told(error)}. {remedy}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise ValueError(f"'{path}' is {kind} and not a file. {remedy}")
    if largest is not None and found.st_size > largest:
        raise ValueError(f"'{path}' has {found.st_size} bytes, but at most {largest} can be meant. {remedy}")
    return path


def is_there(path: str | Path) -> bool:
    """Whether anything has this name, be it a link to nothing: an optional file that cannot be read is not absent."""
    note(path)
    return os.path.lexists(path)


def read_bytes(path: str | Path, largest: int, remedy: str = AGAIN) -> bytes:
    """The whole content; errors as by `require_file`."""
    path = require_file(path, largest, remedy)
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(f"'{path}' cannot be read: {told(error)}. {remedy}") from None


def read_text(path: str | Path, largest: int = LARGEST_TEXT, remedy: str = AGAIN) -> str:
    """The whole text in UTF-8, without a byte order mark; ValueError for other bytes, else as `require_file`."""
    note(path, text=True)
    try:
        return read_bytes(path, largest, remedy).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is no text in UTF-8 ({told(error)}). {remedy}") from None


def iter_lines(path: str | Path, remedy: str = AGAIN) -> Iterator[str]:
    """The lines of a table in UTF-8, one at a time.

    ValueError, without the name of the file, for a line that is too long or for too many, else as `require_file`.
    """
    path = require_file(path, LARGEST_TABLE, remedy)
    note(path, text=True)
    with path.open("rb") as file:
        if sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) > MOST_LINES:
            raise ValueError(f"it has more than {MOST_LINES} lines")
    with path.open(encoding="utf-8-sig") as file:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise ValueError(f"a line has more than {LONGEST_LINE} letters")
            yield line


def read_json(path: str | Path, remedy: str = AGAIN) -> dict[str, Any]:
    """The object in a JSON file; ValueError when it holds anything else, else as `require_file`."""
    text = read_text(path, remedy=remedy)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON file: {told(error)}. {remedy}") from None
    except RecursionError:
        raise ValueError(f"'{path}' is no JSON file that can be meant: it is nested too deeply. {remedy}") from None
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' holds no JSON object. {remedy}")
    return content


def open_array(path: str | Path, remedy: str = AGAIN) -> np.ndarray:
    """The array of a .npy file as a read-only memory map; unlike np.load never a pickle or an archive.

    ValueError when it is damaged or holds objects, else as `require_file`.
    """
    require_file(path, remedy=remedy)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # its header is Python text: a damaged one fails in many ways
        if is_own(error):
            raise
        raise ValueError(f"'{path}' cannot be read as a .npy array: {told(error)}. {remedy}") from None


def told(error: BaseException) -> str:
    """What a library said, on one line of bounded length and without the full stop."""
    text = getattr(error, "strerror", None) or str(error)  # PyAV has it, too
    text = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>", "code", " ".join(text.split())).rstrip(".")
    text = text or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
