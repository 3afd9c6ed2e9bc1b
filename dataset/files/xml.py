"""Numbers out of XML, one entry at a time: as a tree, a file takes some twenty-five times its size in memory.

Small documents inside other files become a tree (`small_tree`).
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from dataset.files.opened import note
from dataset.files.reading import AGAIN, LARGEST_TABLE, require_file, told

BLOCK = 1 << 16  # bytes parsed at once
LONGEST_TAG = 1 << 20  # bytes that may pass before a tag ends
LONGEST_VALUE = 64  # letters of a number
DEEPEST = 16  # elements within elements
LARGEST_SMALL, MOST_SMALL = 1 << 20, 1 << 14  # bytes and elements of a document that becomes a tree
MOST_TAGS = 1 << 21  # two hours of entries of three values at 60 Hz have fewer


def read_columns(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The values called `names` of every entry that has the first of them: one array (L,) for each name.

    An entry is an element directly below the outermost one, a value an element in it. FileNotFoundError when the file
    is missing; ValueError when it is no XML, has an entry with a value that is missing or no number, or no such entry.
    """
    columns = _Columns(names)
    note(path, text=True)
    try:
        with require_file(path, LARGEST_TABLE).open("rb") as file:
            columns.read(file)
    except (expat.ExpatError, ValueError) as error:
        reason = str(error) if str(path) in str(error) else f"'{path}' is no XML of numbers: {told(error)}. {AGAIN}"
        raise ValueError(reason) from None
    if not len(columns.found[0]):
        raise ValueError(f"'{path}' has no entries with {', '.join(names)}. {AGAIN}")
    return [np.array(numbers) for numbers in columns.found]


@dataclass
class Node:
    """An element: its name, its text without the blanks around it, and the elements in it."""

    name: str
    text: str = ""
    inside: list["Node"] = field(default_factory=list)

    def each(self, name: str) -> Iterator["Node"]:
        """The elements of that name directly in this one."""
        return (one for one in self.inside if one.name == name)

    def get(self, *names: str) -> str:
        """The text of the first element down this path; "" where there is none."""
        node: Node | None = self
        for name in names:
            node = next(node.each(name), None) if node else None
        return node.text if node else ""


def small_tree(data: bytes) -> Node:
    """The outermost element of a document of at most LARGEST_SMALL bytes; ValueError for what is no such document."""
    if len(data) > LARGEST_SMALL:
        raise ValueError(f"XML of {len(data)} bytes, where at most {LARGEST_SMALL} can be meant")
    stack, count = [Node("")], 0
    parser = expat.ParserCreate()

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > DEEPEST or count > MOST_SMALL:
            raise ValueError(f"it is nested more than {DEEPEST} deep, or has more than {MOST_SMALL} elements")
        node = Node(name)
        stack[-1].inside.append(node)
        stack.append(node)

    def text(part: str) -> None:
        stack[-1].text += part

    def end(_: str) -> None:
        node = stack.pop()
        node.text = node.text.strip()

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"XML that is none ({told(error)})") from None
    return stack[0].inside[0]


class _Columns:
    """What the parser calls for each tag and text; keeps the values of the entry it is in."""

    def __init__(self, names: Sequence[str]):
        """Nothing is read yet."""
        self.names, self.found = names, [array("d") for _ in names]
        self._depth = self._tags = 0
        self._entry: dict[str, str] = {}
        self._open = ""  # the value whose text comes

    def read(self, file) -> None:
        """All of an open file; ExpatError or ValueError for what is no XML, or can be none that is meant."""
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = self._text, _refuse
        count = 0
        while block := file.read(BLOCK):
            count += len(block)
            parser.Parse(block)
            if count - parser.CurrentByteIndex > LONGEST_TAG:
                raise ValueError(f"a tag has more than {LONGEST_TAG} bytes")
        parser.Parse(b"", True)

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth, self._tags = self._depth + 1, self._tags + 1
        if self._depth > DEEPEST or self._tags > MOST_TAGS:
            raise ValueError(f"it is nested more than {DEEPEST} deep, or has more than {MOST_TAGS} elements")
        if self._depth == 2:
            self._entry = {}
        self._open = name if self._depth == 3 and name in self.names and name not in self._entry else ""
        if self._open:
            self._entry[name] = ""

    def _text(self, text: str) -> None:
        if self._open:
            self._entry[self._open] += text
            if len(self._entry[self._open]) > LONGEST_VALUE:
                raise ValueError(f"a value has more than {LONGEST_VALUE} letters")

    def _end(self, _: str) -> None:
        if self._depth == 2 and self.names[0] in self._entry:
            for name, numbers in zip(self.names, self.found, strict=True):
                numbers.append(float(self._entry.get(name, "")))
        self._depth -= 1
        self._open = ""


def _refuse(*_: object) -> None:
    raise ValueError("it has a document type, whose definitions may grow without end")
