"""What can be wrong inside a video file: headers that lie, pictures of other sizes, playlists that lead elsewhere."""

import functools
import io
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.damage_bytes import HUGE, Change, pack, put, row


def strf(form: str, offset: int, *values: int) -> Callable[[bytes], bytes]:
    """Change a field of the stream format of an AVI, the size of its pictures for one."""
    return lambda content: pack(content, content.index(b"strf") + 8 + offset, form, *values)


def _avih(form: str, offset: int, *values: int) -> Callable[[bytes], bytes]:
    return lambda content: pack(content, content.index(b"avih") + 8 + offset, form, *values)


def _strh(form: str, offset: int, *values: int) -> Callable[[bytes], bytes]:
    return lambda content: pack(content, content.index(b"strh") + 8 + offset, form, *values)


def _chunk(content: bytes) -> bytes:
    place = re.search(rb"00d[bc]", content[content.index(b"movi") :]).start() + content.index(b"movi")
    return pack(content, place + 4, "<I", 0xFFFFFFF0)


def jpeg_in_avi(pictures: list[bytes], width: int = 160, height: int = 120) -> bytes:
    """A Motion JPEG file whose header states this size, whatever the size of its pictures."""
    out = io.BytesIO()
    with av.open(out, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for index, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 30)
            packet.is_keyframe = True
            container.mux(packet)
    return out.getvalue()


@functools.cache
def jpeg(width: int, height: int) -> bytes:
    """A JPEG file of one colour."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


AVI = [
    row("whose pictures grow to 9000 x 9000", lambda c: jpeg_in_avi([jpeg(160, 120)] * 5 + [jpeg(9000, 9000)] * 5)),
    row("whose pictures all have 9000 x 9000", lambda c: jpeg_in_avi([jpeg(9000, 9000)] * 5)),
    row("whose pictures change to 320 x 240", lambda c: jpeg_in_avi([jpeg(160, 120)] * 5 + [jpeg(320, 240)] * 5)),
    row("of 2^31 x 2^31 pixels", strf("<ii", 4, HUGE, HUGE), True),
    row("of 100000 x 100000 pixels", strf("<ii", 4, 100000, 100000), True),
    row("of 16000 x 16000 pixels", strf("<ii", 4, 16000, 16000), True),
    row("of 0 x 0 pixels", strf("<ii", 4, 0, 0), True),
    row("of 2^32 frames", lambda c: _strh("<I", 32, 0xFFFFFFFF)(_avih("<I", 16, 0xFFFFFFFF)(c))),
    row("without a rate", _strh("<II", 20, 0, 0), True),
    row("of 4e9 frames a second", _strh("<II", 20, 1, 0xFFFFFFFF), True),
    row("with a picture of 4 GB", _chunk, True),
    row("of 65535 streams", _avih("<I", 24, 65535), True),
    row("of an unknown codec", lambda c: _strh("<4s", 4, b"XYZW")(strf("<4s", 16, b"XYZW")(c)), True),
    row("of 64 bits a pixel", strf("<H", 14, 64), True),
]


def box(name: bytes, offset: int, form: str, *values: int) -> Callable[[bytes], bytes]:
    """Change a field of the first MP4 box `name`, counted from the end of the name."""
    return lambda content: pack(content, content.index(name) + 4 + offset, form, *values)


def _nested(content: bytes) -> bytes:
    inner = b""
    for _ in range(3000):
        inner = struct.pack(">I", 8 + len(inner)) + b"moov" + inner
    return content[: content.index(b"moov") - 4] + inner


MP4 = [
    row("whose index is 4 GB", box(b"moov", -8, ">I", 0xFFFFFFFF), True),
    row("without an index", lambda c: c.replace(b"moov", b"free"), True),
    row("of 2^32 time steps", box(b"stts", 8, ">I", 0xFFFFFFFF), True),
    row("of 2^32 samples", box(b"stsz", 8, ">I", 0xFFFFFFFF), True),
    row("of samples of 2 GB", box(b"stsz", 12, ">I", HUGE), True),
    row("whose samples lie beyond its end", box(b"stco", 8, ">I", 0xFFFFFF00)),
    row("of 65535 x 65535 pixels", box(b"avc1", 24, ">HH", 65535, 65535), True),
    row("whose clock stands still", box(b"mdhd", 12, ">I", 0), True),
    row("of 2^32 seconds", box(b"mdhd", 12, ">II", 1, 0xFFFFFFFF), True),
    row("of nested boxes", _nested),
]
MKV = [
    row("of unknown size", lambda c: pack(c, c.index(b"\x18\x53\x80\x67") + 4, ">Q", 0x01FFFFFFFFFFFFFF), True),
    row(
        "with a block of 2^55 bytes",
        lambda c: pack(c, c.index(b"\x1f\x43\xb6\x75") + 4, ">Q", 0x017FFFFFFFFFFFFF),
        True,
    ),
    row("of other pixels", lambda c: pack(c, c.index(b"\xb0\x81") + 2, "B", 255), True),
    row("of nested elements", lambda c: b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff" * 3000),
]


def _list_of(text: str) -> Change:
    """A playlist that names the good video of another subject."""

    def write(path: Path) -> None:
        put(path, b"")
        other = next(file for file in sorted(path.parents[2].rglob(f"*{path.suffix}")) if file.stat().st_size)
        near = path.with_name("near.bin")
        near.write_bytes(other.read_bytes())
        put(path, text.format(file=other, near=near.name).encode())

    return write


PLAYLISTS = [
    ("that is a playlist of another file", _list_of("#EXTM3U\n#EXTINF:1,\n{file}\n#EXT-X-ENDLIST\n"), False),
    (
        "that is a playlist of a server",
        _list_of("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        False,
    ),
    ("that is a list of files", _list_of("ffconcat version 1.0\nfile {near}\n"), False),
    ("that describes a stream", _list_of("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"), False),
]
