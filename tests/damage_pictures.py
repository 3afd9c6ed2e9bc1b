"""What can be wrong inside a picture: sizes that lie, pixels that inflate, markers in the wrong place."""

import struct
import zlib
from collections.abc import Callable

import cv2

from tests.damage_bytes import HUGE, pack, put, row, zeros


def png(width: int, height: int, rows: bytes | None = None) -> bytes:
    """A PNG file whose header states this size, one bit a pixel; all zeros unless `rows` (deflated) are given."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    if rows is None:
        rows = zeros((1 + (width + 7) // 8) * height)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _pgm(header: bytes) -> Callable[[bytes], bytes]:
    """Another header in front of the same pixels."""
    return lambda content: header + content[-96 * 96 * 2 :]


PNG = [
    row("of 100000 x 100000 pixels", lambda c: png(100000, 100000, zlib.compress(bytes(1000)))),
    row("that inflates to 20000 x 20000 pixels", lambda c: png(20000, 20000)),
    row("of 0 x 0 pixels", lambda c: png(0, 0)),
    row("of a single pixel", lambda c: png(1, 1), True),
    row("with a wrong checksum", lambda c: pack(c, 29, ">I", 0), True),
]
BMP = [
    row("of 2^31 x 2^31 pixels", lambda c: pack(c, 18, "<ii", HUGE, HUGE)),
    row("of 18000 x 18000 pixels", lambda c: pack(c, 18, "<ii", 18000, 18000)),
    row("of -5 x -2^31 pixels", lambda c: pack(c, 18, "<ii", -5, -(2**31))),
    row("of 0 bits a pixel", lambda c: pack(c, 28, "<H", 0)),
    row("whose pixels lie beyond its end", lambda c: pack(c, 10, "<I", HUGE)),
]
PGM = [
    row("of 100000 x 100000 pixels", _pgm(b"P5 100000 100000 65535\n")),
    row("of 0 x 0 pixels", _pgm(b"P5 0 0 65535\n")),
    row("of -96 x 96 pixels", _pgm(b"P5 -96 96 65535\n")),
    row("of a million digits of width", _pgm(b"P5 " + b"9" * 1_000_000 + b" 96 65535\n")),
    row("without a brightest value", _pgm(b"P5 96 96 0\n")),
    row("with an endless comment", _pgm(b"P5\n#" + b"x" * 5_000_000)),
    row("with pixels in letters", _pgm(b"P2 96 96 65535\n")),
]


def _hidden_size(content: bytes) -> bytes:
    """Before the true size a marker without a length, which reads as the length that leads to a smaller size."""
    size = content.index(b"\xff\xc0")
    large, small = bytearray(content[size : size + 19]), content[size : size + 19]
    struct.pack_into(">HH", large, 5, 16000, 16000)
    filling = bytes(0xFFC0 - len(large) + 2)
    return content[:size] + b"\xff\xd0" + large + filling + small + content[size + 19 :]


LARGER = (
    "of another size",
    lambda path: put(path, cv2.imencode(path.suffix, cv2.resize(cv2.imread(str(path)), (40, 30)))[1].tobytes()),
    False,
)
JPEG = [
    row("with a size behind a lone marker", _hidden_size),
    row("of 65500 x 16000 pixels", lambda c: pack(c, c.index(b"\xff\xc0") + 5, ">HH", 16000, 65500)),
    row("of 0 x 0 pixels", lambda c: pack(c, c.index(b"\xff\xc0") + 5, ">HH", 0, 0)),
    row("without tables", lambda c: c.replace(b"\xff\xc4", b"\xff\xfe"), True),
]
