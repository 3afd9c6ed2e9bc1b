"""What the live page sends, read as the claim of a stranger. One binary message each, little-endian:

    u8  version      u8 kind: 1 pixels, 2 picture     u16 0
    u32 sequence     u32 number of the region         f64 capture time (ms)
    u16 width, u16 height of the camera's frame       then the content

The content of `pixels` is the region reduced to 72 x 72, RGB, row by row: raw, because JPEG at its usual quality
removes the differences between the colours in which the pulse lies. The content of `picture` is the whole frame as a
small JPEG, in which only the face is looked for.
"""

import math
import struct
from dataclasses import dataclass

import cv2
import numpy as np

from dataset.files.image_size import image_size

VERSION, PIXELS, PICTURE = 1, 1, 2
HEADER = struct.Struct("<BBHIIdHH")
SIDE = 72  # pixels
MOST_BYTES = 96_000  # of a message
MOST_SIDE = 480  # pixels of a picture: what a header states is allocated by its decoder
SMALLEST, LARGEST = 16, 8192  # pixels of a camera's side
LATEST = 1e12  # ms


class RefusedError(ValueError):
    """A message that the page does not send."""


@dataclass(frozen=True)
class Message:
    """One message: `pixels` (h, w, 3) uint8 RGB of a region, or of the whole frame where `whole`.

    `time` in s by the page's clock, `shape` (H, W) of the camera's frame.
    """

    sequence: int
    number: int
    time: float
    shape: tuple[int, int]
    pixels: np.ndarray
    whole: bool


def read_message(data: bytes) -> Message:
    """The message in `data`; RefusedError says what is wrong with it."""
    if not HEADER.size < len(data) <= MOST_BYTES:
        raise RefusedError(f"a message of {len(data)} bytes")
    version, kind, zero, sequence, number, milliseconds, width, height = HEADER.unpack_from(data)
    if version != VERSION or zero or kind not in (PIXELS, PICTURE):
        raise RefusedError(f"a message of version {version} and kind {kind}; reload the page")
    if not (math.isfinite(milliseconds) and 0 <= milliseconds <= LATEST):
        raise RefusedError(f"a time of {milliseconds} ms")
    if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
        raise RefusedError(f"a camera of {width} x {height} pixels")
    content = memoryview(data)[HEADER.size :]
    pixels = _pixels(content) if kind == PIXELS else _picture(content)
    return Message(sequence, number, milliseconds / 1000, (height, width), pixels, kind == PICTURE)


def _pixels(content: memoryview) -> np.ndarray:
    if len(content) != 3 * SIDE * SIDE:
        raise RefusedError(f"{len(content)} bytes of pixels, not {3 * SIDE * SIDE}")
    return np.frombuffer(content, np.uint8).reshape(SIDE, SIDE, 3)


def _picture(content: memoryview) -> np.ndarray:
    """Decoded only when its header states a small JPEG, and as large as it states."""
    size = image_size(content) if content[:2] == b"\xff\xd8" else None
    if size is None or not all(SMALLEST <= side <= MOST_SIDE for side in size):
        raise RefusedError("a picture that is no small JPEG")
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None or bgr.shape[1::-1] != size:
        raise RefusedError("a damaged picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
