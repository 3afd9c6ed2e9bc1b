"""What can be wrong inside a text file of labels: tables, XML, PURE's JSON."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.damage_bytes import row


def _tokens(word: str) -> Callable[[bytes], bytes]:
    """Some of the numbers of a table become `word`."""

    def replace(content: bytes) -> bytes:
        first, _, rest = content.partition(b"\n")
        if rest.count(b"\n") > 3:  # it may be a heading
            return first + b"\n" + replace_in(rest)
        return replace_in(content)

    def replace_in(content: bytes) -> bytes:
        places = [match.span() for match in re.finditer(rb"[-+.\deE]+", content)]
        start, stop = places[min(3, len(places) - 1)][0], places[min(9, len(places) - 1)][1]
        return content[:start] + re.sub(rb"[-+.\deE]+", word.encode(), content[start:stop]) + content[stop:]

    return replace


def _half(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    if len(lines) > 3:
        return b"".join(lines[: len(lines) // 2])
    return b"".join(b" ".join(line.split()[: len(line.split()) // 2]) + b"\n" for line in lines)


def _ragged(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:1], lines[1].strip() + b" , 1 2 3 ,,\n", *lines[2:]])


TABLE = [
    row("with NaN in it", _tokens("nan"), True),
    row("with infinity in it", _tokens("1e999"), True),
    row("with words in it", _tokens("lost")),
    row("with huge numbers in it", _tokens("1e300"), True),
    row("of half the length", _half, True),
    row("of rows that differ", _ragged),
    row("of a heading alone", lambda c: b"time,ppg\n"),
    row("of a single number", lambda c: b"1\n", True),
    row("with a line of 20 MB", lambda c: c.splitlines(keepends=True)[0] + b"1," * 10_000_000 + b"\n"),
    row("with a word of 5 MB", lambda c: c + b"7" * 5_000_000 + b"x\n"),
    row("with a million empty lines", lambda c: b"\n" * 1_000_000),
    row("in UTF-16", lambda c: c.decode().encode("utf-16")),
    row("with a byte order mark", lambda c: b"\xef\xbb\xbf" + c, True),
    row("with the line ends of Windows", lambda c: c.replace(b"\n", b"\r\n"), True),
    row("with zero bytes in it", lambda c: c.replace(b"0", b"\0")),
    row("with an open quote", lambda c: b'"' + c, True),
    row("of five million lines", lambda c: b"1\n" * 5_000_000),
]
XML = [
    row("nested deeply", lambda c: b"<a>" * 5_000_000),
    row("of five million tags", lambda c: b"<a>" + b"<b/>" * 5_000_000 + b"</a>"),
    row("with a tag of 20 MB", lambda c: b"<a " + b"".join(b'a%x="" ' % i for i in range(2_000_000)) + b"></a>"),
    row("with a value of 20 MB", lambda c: c.replace(b"</value1>", b"1" * 20_000_000 + b"</value1>", 1)),
    row("with entities of its own", lambda c: b'<!DOCTYPE a [<!ENTITY x "1">]>' + c[c.index(b"<cereal") :]),
    row("that names another file", lambda c: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + b"<a>&x;</a>"),
    row("with words in it", lambda c: re.sub(rb"<value1>[^<]*", b"<value1>lost", c)),
    row("without a value", lambda c: c.replace(b"value1", b"value9")),
    row("of two million entries", lambda c: b"<a>" + b"<e><value1>1</value1></e>" * 2_000_000 + b"</a>"),
]


def _package(change: Callable[[dict], Any]) -> Callable[[bytes], bytes]:
    """PURE's JSON after `change` of its content."""

    def write(content: bytes) -> bytes:
        everything = json.loads(content)
        changed = change(everything)
        return json.dumps(everything if changed is None else changed).encode()

    return write


def _each(key: str, value: Any) -> Callable[[bytes], bytes]:
    return _package(lambda c: [one["Value"].update({key: value}) for one in c["/FullPackage"]] and None)


def _stamps(place: str, value: Any) -> Callable[[bytes], bytes]:
    return _package(lambda c: [one.update(Timestamp=value) for one in c[place]] and None)


JSON = [
    row("that is nested deeply", lambda c: b"[" * 200_000),
    row("that is an object nested deeply", lambda c: b'{"a":' * 200_000),
    row("of a number of a million digits", lambda c: b'{"/FullPackage": ' + b"9" * 1_000_000 + b"}"),
    row("that is a list", lambda c: b"[1, 2]"),
    row("that is a text", lambda c: b'"text"'),
    row("without samples", _package(lambda c: c.update({"/FullPackage": []}))),
    row("without packages", _package(lambda c: c.pop("/FullPackage") and None)),
    row("whose packages are a number", _package(lambda c: c.update({"/FullPackage": 5}))),
    row("whose packages are numbers", _package(lambda c: c.update({"/FullPackage": [1, 2]}))),
    row("whose waveforms are lists", _each("waveform", [1, 2])),
    row("whose waveforms are words", _each("waveform", "high")),
    row("whose waveforms are missing", _each("waveform", None), True),
    row("whose waveforms are objects", _each("waveform", {"a": 1})),
    row("whose waveforms are huge", _each("waveform", 10**400)),
    row("whose rates are words", _each("pulseRate", "fast"), True),
    row("whose values are lists", _package(lambda c: [one.update(Value=[1]) for one in c["/FullPackage"]] and None)),
    row("whose stamps are words", _stamps("/FullPackage", "noon")),
    row("whose stamps are huge", _stamps("/FullPackage", 10**30)),
    row("whose stamps are one", _stamps("/FullPackage", 1), True),
    row("whose images are a number", _package(lambda c: c.update({"/Image": 5})), True),
    row("whose images are words", _package(lambda c: c.update({"/Image": ["a"]})), True),
    row("whose images have huge stamps", lambda c: _stamps("/Image", 10**30)(c), True),
    row("of NaN", _each("waveform", float("nan"))),
    row("with a byte order mark", lambda c: b"\xef\xbb\xbf" + c, True),
    row("in UTF-16", lambda c: c.decode().encode("utf-16")),
    row("of 40 MB of lists", lambda c: b'{"/FullPackage": [' + b"[]," * 13_000_000 + b"1]}"),
]
