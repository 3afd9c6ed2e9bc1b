"""Netpbm pictures of up to 16 bits (.pgm, .ppm): raw sensor data as measuring cameras store them.

Formats P5 (one channel) and P6 (three) of the Netpbm manual: text of four numbers, then the samples row by row, two
bytes each, the high one first, where the largest level is over 255.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from dataset.files.frames import Box, Frame, VideoError, cut
from dataset.files.lookup import below
from dataset.files.names import natural_sort
from dataset.files.reading import AGAIN, read_bytes
from dataset.files.zips import LARGEST, iter_members, members, open_zip

HEADER = re.compile(rb"(P[56])(?:\s+#[^\n]*)*\s+(\d{1,6})(?:\s+#[^\n]*)*\s+(\d{1,6})(?:\s+#[^\n]*)*\s+(\d{1,5})\s")
MOSAIC = 0.01  # of the mean level: how far apart the four places of a colour mosaic lie (grey: under 0.001)


@dataclass(frozen=True)
class Raw:
    """One picture as it was stored: `levels` (H, W) or (H, W, 3) from 0 to `top`."""

    levels: np.ndarray
    top: int

    @property
    def coloured(self) -> bool:
        """Whether it has three channels, or the four places of a colour mosaic differ."""
        if self.levels.ndim == 3:
            return True
        height, width = (size // 2 * 2 for size in self.levels.shape)
        places = self.levels[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(0, 2))
        return bool(np.ptp(places) > MOSAIC * places.mean())

    def rgb(self, mosaic: bool) -> np.ndarray:
        """(H, W, 3) uint8 RGB: levels scaled by 255 / `top` and rounded.

        One channel is a `mosaic` (RGGB), interpolated before that, or grey and fills all three.
        """
        levels = self.levels
        if levels.ndim == 2 and mosaic:
            levels = cv2.cvtColor(levels, cv2.COLOR_BayerRGGB2RGB)
        scaled = np.rint(levels.astype(np.float32) * np.float32(255 / self.top)).astype(np.uint8)
        return scaled if scaled.ndim == 3 else np.repeat(scaled[..., None], 3, axis=2)


def decode(data: bytes, name: str) -> Raw:
    """The bytes of a .pgm or .ppm file; VideoError with its `name` when they are none, or too few."""
    header = HEADER.match(data)
    if not header:
        raise VideoError(f"{name} is no PGM file ({len(data)} bytes). {AGAIN}")
    width, height, top = (int(number) for number in header.groups()[1:])
    kind = np.dtype(">u2" if top > 255 else "u1")
    shape = (height, width, 3) if header[1] == b"P6" else (height, width)
    count = int(np.prod(shape))
    if not count or not top or len(data) - header.end() < count * kind.itemsize:
        raise VideoError(
            f"{name} is cut short: {len(data)} bytes for {width}x{height} of {8 * kind.itemsize} bits. {AGAIN}"
        )
    levels = np.frombuffer(data, kind, count, header.end()).reshape(shape)
    return Raw(np.ascontiguousarray(levels, dtype=kind.newbyteorder("=")), top)


class PGMFrame(Frame):
    """A picture in memory, turned into colours at the first look."""

    def __init__(self, raw: Raw, time: float | None = None, mosaic: bool = False):
        """`raw` as it was decoded; `mosaic`: its one channel holds colours."""
        self.time, self.shape = time, raw.levels.shape[:2]
        self._raw, self._mosaic, self._pixels = raw, mosaic, None

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        if self._pixels is None:
            self._pixels = self._raw.rgb(self._mosaic)
        return cut(self._pixels, box)


@dataclass(frozen=True)
class Stream:
    """The `count` pictures of one folder, with those below it, or of one zip file."""

    place: Path
    count: int

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Their names for messages and their bytes, in natural order."""
        if self.place.is_file():
            for name, data in iter_members(self.place, _is_picture, ".pgm picture"):
                yield f"'{name}' in '{self.place}'", data
        else:
            for file in _files(self.place):
                yield f"'{file}'", read_bytes(file, LARGEST)

    def raw(self) -> Iterator[Raw]:
        """The pictures as they were stored."""
        return (decode(data, name) for name, data in self.read())


def streams(places: Iterable[Path]) -> list[Stream]:
    """Those of `places`, folders and zip files, that hold pictures; VideoError for a damaged zip file."""
    found = []
    for place in places:
        if place.is_dir():
            found.append(Stream(place, len(_files(place))))
        elif place.suffix.lower() == ".zip":
            with open_zip(place) as archive:
                found.append(Stream(place, len(members(archive, place, _is_picture, ".pgm picture"))))
    return [stream for stream in found if stream.count]


def _is_picture(name: PurePosixPath) -> bool:
    return name.suffix.lower() in (".pgm", ".ppm")


def _files(folder: Path) -> list[Path]:
    return natural_sort(file for file in below(folder) if _is_picture(PurePosixPath(file.name)))
