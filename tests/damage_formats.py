"""What can be wrong inside a file of one format: headers that lie, bombs, values that are none, ways out of the folder.

`of(file)` lists (name, change, harmless): `change(path)` replaces the file by a damaged one; a harmless change may
leave a recording that can be used.
"""

import copy
import functools
import io
import json
import os
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import h5py
import numpy as np
import scipy.io
import scipy.sparse

Change = Callable[[Path], None]
Row = tuple[str, Change, bool]
FAR = "../../../../tmp/outside"  # leads out of everything
HUGE = 0x7FFFFFFF


def of(file: Path) -> list[Row]:
    """All ways to damage this file that belong to its format."""
    found = {
        ".avi": [*AVI, *PLAYLISTS],
        ".mp4": [*MP4, *PLAYLISTS],
        ".mkv": [*MKV, *PLAYLISTS],
        ".png": [*PNG, LARGER],
        ".bmp": [*BMP, LARGER],
        ".pgm": PGM,
        ".PW": TABLE,
        ".jpg": [*JPEG, LARGER],
        ".xml": XML,
        ".npy": NPY,
        ".json": JSON,
        ".csv": TABLE,
        ".txt": TABLE,
        ".xmp": TABLE,
        ".hdf5": HDF5,
        ".zip": ZIP,
    }
    if file.suffix == ".mat":
        return HDF5 if file.read_bytes()[:10] == b"MATLAB 7.3" else MAT
    return found.get(file.suffix, [])


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


# --- Video files -----------------------------------------------------------------------------------------------------


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

# --- Pictures and arrays ---------------------------------------------------------------------------------------------


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


def npy(header: str, data: bytes = bytes(64), version: int = 1) -> bytes:
    """A .npy file with this header, true or not."""
    text = header.encode("latin-1").ljust(118) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + data


def shaped(shape: str, descr: str = "'|u1'") -> Callable[[bytes], bytes]:
    """The header of a .npy file that states this shape and type."""
    return lambda content: npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def saved(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """The array after `change` of it."""
    return lambda path: np.save(path, change(np.load(path)), allow_pickle=False)


def _hostile_npy(path: Path) -> None:
    np.save(path, hostile(path), allow_pickle=True)


def _archive(path: Path) -> None:
    video = np.load(path)
    with path.open("wb") as file:
        np.savez_compressed(file, video)


NPY = [
    row("of 2^60 frames", shaped(f"({2**60}, 72, 96, 3)")),
    row("of 2^70 frames", shaped(f"({2**70}, 72, 96, 3)")),
    row("of -1 frames", shaped("(-1, 72, 96, 3)")),
    row("of 0 frames", shaped("(0, 72, 96, 3)")),
    row("of 0 columns", shaped("(5, 72, 0, 3)")),
    row("of words for a shape", shaped("('ten', 72)")),
    row("of no type", shaped("(2, 2, 2, 3)", "'what'")),
    row("of rows of several types", shaped("(4, 1, 1, 3)", "[('a', '<u2'), ('b', '<f4')]")),
    row("whose header is no header", lambda c: npy("__import__('os').mkdir('code_ran')")),
    row("whose header is deeply nested", lambda c: npy("(" * 9000)),
    row("of a version to come", lambda c: npy("{}", version=9)),
    ("with code in it", _hostile_npy, False),
    ("that is a pickle", lambda path: put(path, pickle.dumps(hostile(path))), False),
    ("that is an archive", _archive, False),
    ("of NaN", saved(lambda video: np.full(video.shape, np.nan, np.float32)), False),
    ("of numbers to 255 in floats", saved(lambda video: video.astype(np.float32)), False),
    ("of complex numbers", saved(lambda video: video.astype(np.complex64)), False),
    ("of grey pictures", saved(lambda video: video[..., 0]), False),
    ("of truth values", saved(lambda video: video > 100), False),
    ("of columns first", saved(np.asfortranarray), True),
]

# --- Labels ----------------------------------------------------------------------------------------------------------


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

# --- MATLAB and HDF5 -------------------------------------------------------------------------------------------------


def _variable(path: Path) -> str:
    """The variable of a .mat file that is damaged: its video, or its signal."""
    names = [name for name, _, _ in scipy.io.whosmat(str(path))]
    return "video" if "video" in names else names[0]


def _mat(change: Callable[[np.ndarray], Any]) -> Change:
    """The file after `change` of its variable."""

    def write(path: Path) -> None:
        name, content = _variable(path), scipy.io.loadmat(str(path))
        content[name] = change(content[name])
        path.unlink()
        scipy.io.savemat(path, {k: v for k, v in content.items() if not k.startswith("_")}, do_compression=True)

    return write


def _stated(rows: int, columns: int) -> Change:
    """The size in the header of the variable, which is stored without compression, is another one."""

    def write(path: Path) -> None:
        name, content = _variable(path), scipy.io.loadmat(str(path))
        path.unlink()
        scipy.io.savemat(path, {name: content[name]}, do_compression=False)
        bytes_ = path.read_bytes()
        put(path, pack(bytes_, 128 + 8 + 16 + 8, "<ii", rows, columns))

    return write


def inflating(name: str, shape: tuple[int, ...]) -> bytes:
    """A MATLAB file whose variable of zeros of this shape is as good as nothing on the disk."""
    count = int(np.prod(shape))
    title = name.encode()
    parts = struct.pack("<IIII", 6, 8, 9, 0)  # flags: class uint8
    parts += struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape) + bytes(-4 * len(shape) % 8)
    parts += struct.pack("<II", 1, len(title)) + title + bytes(-len(title) % 8) + struct.pack("<II", 2, count)
    press = zlib.compressobj(1)  # nobody reads on to the checksum at the end, which is that of the zeros alone
    packed = press.compress(struct.pack("<II", 14, len(parts) + count) + parts) + press.flush(zlib.Z_FULL_FLUSH)
    packed += zeros(count)[2:]
    return (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + struct.pack("<H2s", 0x0100, b"IM")
        + struct.pack("<II", 15, len(packed))
        + packed
    )


def _inflate(path: Path) -> None:
    name = _variable(path)
    put(path, inflating(name, (12000, 300, 300, 3) if name == "video" else (1, 2_000_000_000)))


def _as_hdf5(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["BVP"] = np.zeros(5)


def _as_version_4(path: Path) -> None:
    name = _variable(path)
    path.unlink()
    scipy.io.savemat(path, {name: np.zeros((2, 2))}, format="4")
    put(path, pack(path.read_bytes(), 4, "<ii", HUGE, HUGE))


def _complex(value: np.ndarray) -> np.ndarray:
    """The same numbers, those in cells of one number, too."""
    return np.array([complex(np.ravel(one)[0]) for one in value.flat]).reshape(value.shape)


MAT = [
    ("without variables", _mat(lambda value: []), False),
    ("of words", _mat(lambda value: "many words"), False),
    ("of objects", _mat(lambda value: np.array([[1, "a"]], dtype=object)), False),
    ("of a structure", _mat(lambda value: {"a": 1, "b": [1, 2]}), False),
    ("of complex numbers", _mat(_complex), False),
    ("of a sparse matrix", _mat(lambda value: scipy.sparse.csc_matrix(np.eye(4))), False),
    ("of NaN", _mat(lambda value: np.full(value.shape, np.nan)), False),
    ("of values to 10000", _mat(lambda value: value * 0 + 10000.0), True),
    ("of another shape", _mat(lambda value: value.reshape(-1, 1)), True),
    ("of a size of 2^31 x 2^31", _stated(HUGE, HUGE), False),
    ("of a size of -5 x -5", _stated(-5, -5), False),
    ("that inflates to 2 GB", _inflate, False),
    ("that is an HDF5 file", _as_hdf5, False),
    ("of version 4 and a huge size", _as_version_4, False),
]


def _dataset(path: Path) -> str:
    """The dataset that is damaged: the video or the pulse."""
    with h5py.File(path, "r") as file:
        return "Xsub" if "Xsub" in file else "pulse"


def _hdf5(change: Callable[[h5py.File, str, np.ndarray], Any]) -> Change:
    """The file after its dataset was taken away and `change(file, name, values)` put something in its place."""

    def write(path: Path) -> None:
        name = _dataset(path)
        put(path, path.read_bytes())  # a copy of its own
        with h5py.File(path, "r+") as file:
            values = file[name][()]
            del file[name]
            change(file, name, values)

    return write


def _chunk_bomb(file: h5py.File, name: str, values: np.ndarray) -> None:
    """One chunk of 1.5 GB of zeros, of which a small part is the array."""
    long = 1_500_000_000 // 8 // int(np.prod(values.shape[:-1], dtype=int))
    made = file.create_dataset(
        name, values.shape, "f8", maxshape=(*values.shape[:-1], None), chunks=(*values.shape[:-1], long), compression=1
    )
    made.id.write_direct_chunk((0,) * values.ndim, zeros(long * int(np.prod(values.shape[:-1], dtype=int)) * 8))


def _external(file: h5py.File, name: str, values: np.ndarray) -> None:
    file.create_dataset(name, values.shape, values.dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, name: str, values: np.ndarray) -> None:
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("/tmp/outside.h5", name, values.shape)
    file.create_virtual_dataset(name, layout)


def _link(link: Any) -> Callable[[h5py.File, str, np.ndarray], None]:
    return lambda file, name, values: file.__setitem__(name, link(name))


HDF5 = [
    ("without its array", _hdf5(lambda file, name, values: None), False),
    ("of words", _hdf5(lambda file, name, values: file.__setitem__(name, "text")), False),
    ("of texts", _hdf5(lambda f, n, v: f.create_dataset(n, data=["a", "b"], dtype=h5py.string_dtype())), False),
    ("of complex numbers", _hdf5(lambda f, n, v: f.__setitem__(n, v.astype(complex))), False),
    ("of structures", _hdf5(lambda f, n, v: f.__setitem__(n, np.zeros(4, [("a", "f4"), ("b", "i2")]))), False),
    ("of NaN", _hdf5(lambda f, n, v: f.__setitem__(n, v * np.nan)), False),
    ("of nothing", _hdf5(lambda f, n, v: f.create_dataset(n, (0,), "f8")), False),
    ("of a null space", _hdf5(lambda f, n, v: f.create_dataset(n, data=h5py.Empty("f8"))), False),
    ("of one value", _hdf5(lambda f, n, v: f.__setitem__(n, 5.0)), True),
    ("that states 2^50 values", _hdf5(lambda f, n, v: f.create_dataset(n, (2**50,), "f8", chunks=(1000,))), False),
    (
        "that states 2^40 frames",
        _hdf5(lambda f, n, v: f.create_dataset(n, (3, 72, 72, 2**40), "f8", chunks=True)),
        False,
    ),
    ("of a chunk of 1.5 GB", _hdf5(_chunk_bomb), False),
    ("with a folder in its place", _hdf5(lambda file, name, values: file.create_group(name)), False),
    ("of another file's bytes", _hdf5(_external), False),
    ("of another file's array", _hdf5(_virtual), False),
    ("that links to another file", _hdf5(_link(lambda name: h5py.ExternalLink("/tmp/outside.h5", name))), False),
    ("that links to itself", _hdf5(_link(lambda name: h5py.SoftLink(f"/{name}"))), False),
    ("that links to nothing", _hdf5(_link(lambda name: h5py.SoftLink("/nowhere"))), False),
]

# --- Zip files -------------------------------------------------------------------------------------------------------


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
