"""How large a picture is by the header of its file, before memory is taken for its pixels."""

import struct

FRAME_MARKERS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def image_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, BMP, TIFF or WebP file in pixels; None when its header is none of these."""
    head = bytes(data[:32])
    try:
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return struct.unpack(">II", head[16:24])
        if head[:2] == b"\xff\xd8":
            return _jpeg(data)
        if head[:2] == b"BM":
            return _bmp(head)
        if head[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data, "<" if head[:2] == b"II" else ">")
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
    except (struct.error, IndexError):
        pass
    return None


def _jpeg(data: bytes | memoryview) -> tuple[int, int] | None:
    """From the start-of-frame segment, which comes after others of stated length."""
    place = 2
    while True:
        mark, kind, length = struct.unpack(">BBH", data[place : place + 4])
        if mark != 0xFF:
            return None
        if kind in FRAME_MARKERS:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 1 if kind == 0xFF else 2 + max(length, 2)  # a marker may be preceded by any number of FF


def _bmp(head: bytes) -> tuple[int, int]:
    """Both versions of the header; rows may be counted from the top by a negative height."""
    if struct.unpack("<I", head[14:18])[0] == 12:
        return struct.unpack("<HH", head[18:22])
    width, height = struct.unpack("<ii", head[18:26])
    return abs(width), abs(height)


def _tiff(data: bytes | memoryview, order: str) -> tuple[int, int] | None:
    """Tags 256 and 257 of the first directory."""
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    sizes = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack(order + "HH", data[place : place + 4])
        if tag in (256, 257):
            form, length = ("H", 2) if kind == 3 else ("I", 4)
            sizes[tag] = struct.unpack(order + form, data[place + 8 : place + 8 + length])[0]
    return (sizes[256], sizes[257]) if len(sizes) == 2 else None


def _webp(head: bytes) -> tuple[int, int] | None:
    """Extended, lossless and lossy files keep the size in different bits."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack("<I", head[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
