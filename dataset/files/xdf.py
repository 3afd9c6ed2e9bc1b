"""Extensible Data Format (XDF 1.0): streams of samples with their own time stamps, as Lab Streaming Layer records them.

Specification: https://github.com/sccn/xdf/wiki/Specifications. A file is `XDF:` and chunks, each with its length: a
header of the file, for every stream a header in XML, samples, differences between its clock and the recorder's, and a
footer. Lengths and counts are a stranger's claims: nothing is allocated that the file cannot hold.
"""

import io
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np

from dataset.files.reading import AGAIN, require_file, told
from dataset.files.writing import replacing
from dataset.files.xml import Node, small_tree

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, FOOTER = 1, 2, 3, 4, 5, 6
FORMATS = {"float32": "<f4", "double64": "<f8", "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}
STRING = "string"
MOST_STREAMS, MOST_CHANNELS = 1000, 4096
MOST_VALUES = 1 << 28  # of a file
MOST_STRINGS, LONGEST_STRING = 1 << 20, 1 << 16  # of a file; bytes
LARGEST_CHUNK = 1 << 28  # bytes
UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")  # of a boundary, from which a damaged file can be read on
BLOCK = 4096  # samples in a chunk that is written


@dataclass
class Stream:
    """One stream of a file.

    values   (n, channels) of the stream's own type; of strings: a list of n tuples
    times    (n,) s on the clock of the stream's source; `synced` are those of the recording computer
    fs       Hz, 0 for events
    offsets  (k, 2) s: when the clocks were compared, and what had to be added to the source's
    """

    name: str
    type: str = ""
    fs: float = 0.0
    values: Any = field(default_factory=list)
    times: np.ndarray = field(default_factory=lambda: np.zeros(0))
    labels: Sequence[str] = ()
    units: Sequence[str] = ()
    offsets: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    source: str = ""

    @property
    def synced(self) -> np.ndarray:
        """`times` on the recording computer's clock, by a straight line through the offsets: drift never jumps."""
        if not len(self.offsets):
            return self.times
        when, added = self.offsets.T
        if len(when) < 2 or not np.ptp(when):
            return self.times + np.median(added)
        middle = float(np.mean(when))
        slope, level = np.polyfit(when - middle, added, 1)
        return self.times + level + slope * (self.times - middle)


def read_xdf(path: Path, partial: bool = False) -> list[Stream]:
    """The streams of the file at `path`, in its order.

    ValueError for a file that is no XDF file, is damaged or cut off; with `partial` what is whole before that is given.
    """
    path = require_file(path)
    reader = _Reader()
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("it does not begin as one")
            for tag, content in _chunks(file, path.stat().st_size):
                reader.take(tag, content)
        if not reader.streams:
            raise ValueError("it has no stream")
    except (ValueError, struct.error, OverflowError) as error:
        if not (partial and reader.streams):
            raise ValueError(
                f"'{path}' is no whole XDF file: {told(error)}. {AGAIN} What is whole before that is "
                "read with partial=True (`--partial` of tools/multimodal/xdf.py)."
            ) from None
    return [one.stream() for one in reader.streams.values()]


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each chunk."""
    while width := file.read(1):
        length = _length(file, width[0])
        left = size - file.tell()
        if not 2 <= length <= left:
            raise ValueError(f"a chunk states {length} bytes, and {left} are left")
        if length > LARGEST_CHUNK:
            raise ValueError(f"a chunk of {length} bytes, where at most {LARGEST_CHUNK} can be meant")
        yield struct.unpack("<H", file.read(2))[0], file.read(length - 2)


def _length(file: BinaryIO | io.BytesIO, width: int) -> int:
    """A number of 1, 4 or 8 bytes."""
    if width not in (1, 4, 8):
        raise ValueError(f"a length of {width} bytes")
    data = file.read(width)
    if len(data) < width:
        raise ValueError("it ends in the middle of a chunk")
    return int.from_bytes(data, "little")


class _Reader:
    """Takes chunks in; keeps the parts of each stream."""

    def __init__(self) -> None:
        """Nothing was read."""
        self.streams: dict[int, _Parts] = {}
        self.values = self.strings = 0

    def take(self, tag: int, content: bytes) -> None:
        """One chunk; those of unknown kinds and footers say nothing that is needed."""
        if tag == STREAM_HEADER:
            number = _number(content)
            if number in self.streams or len(self.streams) >= MOST_STREAMS:
                raise ValueError(f"a second header of stream {number}, or more than {MOST_STREAMS} streams")
            self.streams[number] = _Parts(small_tree(content[4:]))
        elif tag in (SAMPLES, CLOCK_OFFSET):
            number = _number(content)
            if number not in self.streams:
                raise ValueError(f"stream {number} has no header before its samples")
            parts = self.streams[number]
            if tag == CLOCK_OFFSET:
                parts.offsets.append(_finite(struct.unpack("<dd", content[4:])))
            else:
                self._count(parts, parts.samples(content[4:]))

    def _count(self, parts: "_Parts", samples: int) -> None:
        self.values += samples * parts.channels
        self.strings += samples * parts.channels if parts.format == STRING else 0
        if self.values > MOST_VALUES or self.strings > MOST_STRINGS:
            raise ValueError(f"it holds more than {MOST_VALUES} numbers, or {MOST_STRINGS} texts")


def _number(content: bytes) -> int:
    return struct.unpack("<I", content[:4])[0]


def _finite(values: tuple[float, ...]) -> tuple[float, ...]:
    if not all(map(math.isfinite, values)):
        raise ValueError("a time that is no number")
    return values


class _Parts:
    """One stream while it is read."""

    def __init__(self, info: Node):
        """From its header; ValueError where that cannot be meant."""
        self.info, self.format = info, info.get("channel_format")
        self.channels, self.fs = int(info.get("channel_count")), float(info.get("nominal_srate") or 0.0)
        if self.format != STRING and self.format not in FORMATS:
            raise ValueError(f"a stream of {self.format[:40]!r}; known: {', '.join(FORMATS)}, {STRING}")
        if not 0 < self.channels <= MOST_CHANNELS or not (math.isfinite(self.fs) and self.fs >= 0):
            raise ValueError(f"a stream of {self.channels} channels at {self.fs} Hz")
        self.values: list[Any] = []
        self.times: list[np.ndarray] = []
        self.offsets: list[tuple[float, ...]] = []
        self.last = 0.0

    def samples(self, content: bytes) -> int:
        """Take in a chunk of samples; how many there were."""
        file = io.BytesIO(content)
        count = _length(file, file.read(1)[0] if content else 0)
        each = 1 if self.format == STRING else np.dtype(FORMATS[self.format]).itemsize
        if count * (1 + self.channels * each) > len(content):
            raise ValueError(f"a chunk of {len(content)} bytes states {count} samples")
        body = content[file.tell() :]
        if self.format == STRING:
            values, times = self._texts(body, count)
        else:
            values, times = self._numbers(body, count)
        self.values.append(values)
        self.times.append(self._filled(times))
        return count

    def _numbers(self, body: bytes, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Values (count, channels) and stamps (count,), NaN where a sample has none."""
        value = np.dtype((FORMATS[self.format], (self.channels,)))
        for width, stamp in ((8, [("time", "<f8")]), (0, [])):  # all alike: nearly every file
            kind = np.dtype([("width", "u1"), *stamp, ("value", value)])
            if len(body) == count * kind.itemsize:
                rows = np.frombuffer(body, kind)
                if (rows["width"] == width).all():
                    times = rows["time"].astype(float) if width else np.full(count, np.nan)
                    return rows["value"].reshape(count, self.channels).copy(), times
        return self._mixed(body, count, value)

    def _mixed(self, body: bytes, count: int, value: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        values, times, at = np.empty(count, value), np.full(count, np.nan), 0
        values = values.reshape(count, self.channels)
        for row in range(count):
            times[row], at = _stamp(body, at)
            values[row] = np.frombuffer(body, FORMATS[self.format], self.channels, at)
            at += value.itemsize
        if at != len(body):
            raise ValueError("a chunk of samples has bytes that belong to none")
        return values, times

    def _texts(self, body: bytes, count: int) -> tuple[list[tuple[str, ...]], np.ndarray]:
        values, times, at = [], np.full(count, np.nan), 0
        for row in range(count):
            times[row], at = _stamp(body, at)
            texts = []
            for _ in range(self.channels):
                file = io.BytesIO(body[at : at + 9])
                length = _length(file, file.read(1)[0] if at < len(body) else 0)
                at += file.tell()
                if length > min(LONGEST_STRING, len(body) - at):
                    raise ValueError(f"a text states {length} bytes")
                texts.append(body[at : at + length].decode("utf-8", "replace"))
                at += length
            values.append(tuple(texts))
        return values, times

    def _filled(self, times: np.ndarray) -> np.ndarray:
        """Stamps that were left out follow from the one before and the rate."""
        if np.isinf(times).any() or (self.last != self.last):
            raise ValueError("a time that is no number")
        for row in np.flatnonzero(np.isnan(times)) if np.isnan(times).any() else ():
            before = times[row - 1] if row else self.last
            times[row] = before + (1 / self.fs if self.fs else 0.0)
        self.last = float(times[-1]) if len(times) else self.last
        return times

    def stream(self) -> Stream:
        """What came of it."""
        info = self.info
        groups = [group for desc in info.each("desc") for group in desc.each("channels")]
        channels = [one for group in groups for one in group.each("channel")]
        values = [row for part in self.values for row in part] if self.format == STRING else self._together()
        return Stream(
            info.get("name"), info.get("type"), self.fs, values,
            np.concatenate(self.times) if self.times else np.zeros(0),
            [one.get("label") for one in channels], [one.get("unit") for one in channels],
            np.array(self.offsets, float).reshape(-1, 2), info.get("source_id"),
        )  # fmt: skip

    def _together(self) -> np.ndarray:
        return np.concatenate(self.values) if self.values else np.zeros((0, self.channels), FORMATS[self.format])


def _stamp(body: bytes, at: int) -> tuple[float, int]:
    """A sample's stamp (NaN: none), and where its values begin."""
    width = body[at] if at < len(body) else 255
    if width not in (0, 8) or at + 1 + width > len(body):
        raise ValueError("a sample without a whole time")
    return (struct.unpack_from("<d", body, at + 1)[0] if width else math.nan), at + 1 + width


# --- Writing --------------------------------------------------------------------------------------------------------


def write_xdf(path: Path, streams: Sequence[Stream]) -> Path:
    """Write `streams` to `path`, wholly or not at all. ValueError for values and times that do not belong together."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(MAGIC)
        _chunk(file, FILE_HEADER, b'<?xml version="1.0"?><info><version>1.0</version></info>')
        for number, stream in enumerate(streams, 1):
            _chunk(file, STREAM_HEADER, struct.pack("<I", number) + _header(stream))
        for number, stream in enumerate(streams, 1):
            for when, added in stream.offsets:
                _chunk(file, CLOCK_OFFSET, struct.pack("<Idd", number, when, added))
            for start in range(0, len(stream.times), BLOCK):
                _chunk(file, SAMPLES, struct.pack("<I", number) + _packed(stream, slice(start, start + BLOCK)))
                _chunk(file, BOUNDARY, UUID)
        for number, stream in enumerate(streams, 1):
            _chunk(file, FOOTER, struct.pack("<I", number) + _footer(stream))
    return Path(path)


def _chunk(file: BinaryIO, tag: int, content: bytes) -> None:
    length = len(content) + 2
    width = 1 if length < 256 else 4
    file.write(bytes([width]) + length.to_bytes(width, "little") + struct.pack("<H", tag) + content)


def _kind(stream: Stream) -> tuple[str, int]:
    """Format and number of channels."""
    if len(stream.values) != len(stream.times):
        raise ValueError(f"stream {stream.name!r}: {len(stream.values)} samples and {len(stream.times)} times.")
    if not isinstance(stream.values, np.ndarray):
        return STRING, len(stream.values[0]) if len(stream.values) else 1
    kind = next((name for name, code in FORMATS.items() if np.dtype(code) == stream.values.dtype.newbyteorder("<")), "")
    if not kind or stream.values.ndim != 2:
        raise ValueError(f"stream {stream.name!r}: {stream.values.shape} of {stream.values.dtype} is no (n, channels).")
    return kind, stream.values.shape[1]


def _header(stream: Stream) -> bytes:
    kind, channels = _kind(stream)
    units = [*stream.units, *[""] * channels][: len(stream.labels)]
    described = "".join(
        f"<channel><label>{escape(label)}</label><unit>{escape(unit)}</unit></channel>"
        for label, unit in zip(stream.labels, units, strict=True)
    )
    return (
        f'<?xml version="1.0"?><info><name>{escape(stream.name)}</name><type>{escape(stream.type)}</type>'
        f"<channel_count>{channels}</channel_count><nominal_srate>{stream.fs!r}</nominal_srate>"
        f"<channel_format>{kind}</channel_format><source_id>{escape(stream.source)}</source_id>"
        f"<desc><channels>{described}</channels></desc></info>"
    ).encode()


def _footer(stream: Stream) -> bytes:
    first, last = (stream.times[0], stream.times[-1]) if len(stream.times) else (0.0, 0.0)
    return (
        f'<?xml version="1.0"?><info><first_timestamp>{float(first)!r}</first_timestamp><last_timestamp>{float(last)!r}'
        f"</last_timestamp><sample_count>{len(stream.times)}</sample_count></info>"
    ).encode()


def _packed(stream: Stream, part: slice) -> bytes:
    """A chunk's samples, each with its stamp."""
    times, values = stream.times[part], stream.values[part]
    head = b"\x04" + struct.pack("<I", len(times))
    if not isinstance(stream.values, np.ndarray):
        return head + b"".join(
            b"\x08" + struct.pack("<d", time) + b"".join(_text(one) for one in row)
            for time, row in zip(times, values, strict=True)
        )
    code = FORMATS[_kind(stream)[0]]
    rows = np.empty(len(times), [("width", "u1"), ("time", "<f8"), ("value", code, (stream.values.shape[1],))])
    rows["width"], rows["time"], rows["value"] = 8, times, values
    return head + rows.tobytes()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"\x04" + struct.pack("<I", len(data)) + data
