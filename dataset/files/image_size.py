"""How large a picture is by the header of its file, before memory is taken for its pixels.

What a decoder might read in another way than this, such as a tag that comes twice, is no header that can be read.
"""

import struct

ALONE = {0x01, *range(0xD0, 0xD8)}  # markers of JPEG without a length
ENDS = {0xD8, 0xD9, 0xDA}  # a second start, the end, the pixels: the size comes before them
TAGS = {256: "width", 257: "height", 258: "bits", 277: "samples", 322: "tile width", 323: "tile height"}
MOST_BITS = 128  # of a pixel of TIFF: four channels of 32
FRAME_MARKERS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def image_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, BMP, TIFF or WebP file in pixels; None when its header is none of these."""
    head = bytes(data[:32])
    try:
        if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR":
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
        mark, kind = struct.unpack(">BB", data[place : place + 2])
        if mark != 0xFF or kind in ENDS:
            return None
        if kind == 0xFF or kind in ALONE:
            place += 1 if kind == 0xFF else 2  # a marker may be preceded by any number of FF
            continue
        length = struct.unpack(">H", data[place + 2 : place + 4])[0]
        if kind in FRAME_MARKERS:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 2 + max(length, 2)


def _bmp(head: bytes) -> tuple[int, int]:
    """Both versions of the header; rows may be counted from the top by a negative height."""
    if struct.unpack("<I", head[14:18])[0] == 12:
        return struct.unpack("<HH", head[18:22])
    width, height = struct.unpack("<ii", head[18:26])
    return abs(width), abs(height)


def _tiff(data: bytes | memoryview, order: str) -> tuple[int, int] | None:
    """Of the first directory: the larger of picture and tile, since both are held; None for tags that repeat."""
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    found: dict[str, int] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack(order + "HHI", data[place : place + 8])
        name = TAGS.get(tag)
        if name is None:
            continue
        if name in found:
            return None
        found[name] = _first_value(data, place + 8, kind, length, order)
    if not found.get("width") or not found.get("height"):
        return None
    if found.get("bits", 1) * found.get("samples", 1) > MOST_BITS:
        return None
    return max(found["width"], found.get("tile width", 0)), max(found["height"], found.get("tile height", 0))


def _first_value(data: bytes | memoryview, place: int, kind: int, length: int, order: str) -> int:
    """Of a tag: a byte, two or four, here or where the value points to."""
    form, size = {1: ("B", 1), 3: ("H", 2)}.get(kind, ("I", 4))
    if length * size > 4:
        place = struct.unpack(order + "I", data[place : place + 4])[0]
    return struct.unpack(order + form, data[place : place + size])[0]


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
