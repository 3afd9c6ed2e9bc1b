"""Frames out of picture files, decoded when their pixels are asked for."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from dataset.files.decoding import remember
from dataset.files.frames import Box, Frame, VideoError, cut
from dataset.files.image_size import image_size
from dataset.files.limits import OneSize, require_size
from dataset.files.reading import AGAIN, read_bytes

LARGEST_IMAGE = 1 << 28  # bytes of an image file


def iter_images(paths: Iterable[str | Path], times: Sequence[float] | np.ndarray | None = None) -> Iterator[Frame]:
    """Yield one frame per image file in the given order; `times` in seconds, as many as there are files.

    A file is decoded when its pixels are asked for; VideoError names one that cannot be.
    """
    paths = [Path(path) for path in paths]
    if times is not None and len(times) != len(paths):
        raise VideoError(f"{len(paths)} images but {len(times)} frame times.")
    if paths:
        remember(paths[0])
    size = OneSize()
    for index, path in enumerate(paths):
        yield ImageFrame(functools.partial(read_image, path, size), None if times is None else float(times[index]))


class ImageFrame(Frame):
    """A compressed picture, decoded once at the first look; `decode` returns its pixels as BGR."""

    def __init__(self, decode: Callable[[], np.ndarray], time: float | None):
        """Nothing is read yet."""
        self.time = time
        self._decode = decode
        self._pixels: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self._bgr().shape[:2]

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        return cv2.cvtColor(cut(self._bgr(), box), cv2.COLOR_BGR2RGB)

    def _bgr(self) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._decode()
        return self._pixels


def read_image(path: Path, one: OneSize | None = None) -> np.ndarray:
    """The image file `path` as (H, W, 3) uint8 BGR; VideoError when it is missing, no image, or cut short.

    With `one`, all its pictures have to be of one size.
    """
    try:
        data = np.frombuffer(read_bytes(path, LARGEST_IMAGE), np.uint8)
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    return decode_image(data, f"'{path}'", one)


def decode_image(data: np.ndarray, name: str, one: OneSize | None = None) -> np.ndarray:
    """The bytes (L,) uint8 of an image file as (H, W, 3) uint8 BGR; VideoError with its `name` when that fails."""
    # A cut JPEG decodes without an error, its lower part grey: only the missing end marker tells.
    if data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:].tobytes():
        raise VideoError(f"{name} is cut short (no end of the JPEG data). {AGAIN}")
    size = image_size(memoryview(data))
    if size is not None:
        require_size(*size, name)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise VideoError(f"{name} cannot be decoded as an image ({data.size} bytes). {AGAIN}")
    if one is not None:
        one.check(pixels.shape, name)
    return pixels
