"""Names and words that others have chosen: how they sort, how they are told apart, and how they are shown.

A file's name may hold any bytes: control characters that move the cursor, bytes that are no UTF-8 and cannot be written
(Python keeps them as surrogates), a formula, a tag. Imports nothing of the toolbox, so that all that writes may use it.
"""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from itertools import count
from pathlib import Path

LONGEST_NUMBER = 640  # digits: a name has at most 255, and int() refuses some thousand
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, ends of lines
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # these turn the order
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes instead of showing begins so
MARKS = re.compile(r"([\\`*\[\]|~$])")  # of Markdown
TAGS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plural(count: int, noun: str) -> str:
    """`1 recording`, `2 recordings`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span(names: Sequence[str]) -> str:
    """The first and the last of `names`, in natural order: `subject1 to subject10`."""
    ends = sorted(names, key=natural_key)
    return ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key by which subject2 comes before subject10, for any text."""
    parts = enumerate(re.split(r"(\d+)", name))  # digits at odd places; `isdigit` would take ² and ① for some, too
    return [(int(part[:LONGEST_NUMBER]), "") if place % 2 else (-1, part.lower()) for place, part in parts]


def natural_sort(paths: Iterable[Path]) -> list[Path]:
    """`paths` in natural order of their names (then of the whole path)."""
    return sorted(paths, key=lambda path: (natural_key(path.name), natural_key(str(path))))


def shown(text: object) -> str:
    r"""One line that can be printed and written anywhere: what would steer a terminal stands as \x1b, \u202e or \xe9.

    Bytes of a name that are no UTF-8 appear as such. Everything that can be seen stays.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    if unicodedata.category(letter) not in UNSEEN and letter not in TURNING:
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def cell(value: object) -> object:
    """`value` for a CSV file: a text that a spreadsheet would compute begins with an apostrophe; numbers stay."""
    if not isinstance(value, str):
        return value
    computed = value.lstrip(" ").startswith(FORMULA) and len(value) > 1 and not is_number(value)
    return f"'{shown(value)}" if computed else shown(value)


def is_number(text: str) -> bool:
    """Whether `text` reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def escaped(text: object) -> str:
    """`text` as words of a Markdown document: no tag, link, picture or table comes of it."""
    return MARKS.sub(r"\\\1", "".join(TAGS.get(letter, letter) for letter in shown(text)))


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, with the first number behind it that makes it new where it is `taken`: `II`, `II 2`, `II 3`."""
    return name if name not in taken else next(new for k in count(2) if (new := f"{name} {k}") not in taken)


def distinct(names: Sequence[str], paths: Sequence[Path], root: Path) -> list[str]:
    """`names`, where several are equal each with a sign of its own path below `root`; a sentence tells of each."""
    twice = {name for name, count in Counter(names).items() if count > 1}
    found = []
    for name, path in zip(names, paths, strict=True):
        if name in twice:
            place = os.path.relpath(path, root)
            sign = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
            print(f"Several recordings would be called {shown(name)!r}: '{shown(place)}' is {shown(name)}-{sign}.")
            name = f"{name}-{sign}"
        found.append(name)
    return found
