"""A frame as PyAV decodes it: the part that is looked at is cut out of its planes, then converted to RGB."""

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from dataset.files.containers import PYAV
from dataset.files.frames import Box, Frame, cut

ALIGN = 16  # columns: swscale's vector code then takes the same path for a cut as for the whole frame
CHROMA = {  # pixel formats that can be cut exactly: (columns, rows) per chroma sample
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
}
# Before PyAV 18 the buffer of a bottom-up plane began at the wrong end: such frames are converted as a whole there.
NEGATIVE_STRIDES = PYAV >= 18


class DecodedFrame(Frame):
    """A frame as PyAV decodes it: planes of YUV or packed colour, to be shown after `rotation` quarter turns left."""

    def __init__(self, picture: Any, time: float | None, reformatter: VideoReformatter, rotation: int):
        """`reformatter` is shared by the frames of a video: it keeps what it needs for a conversion."""
        self.time = time
        self.shape = (picture.width, picture.height) if rotation % 2 else (picture.height, picture.width)
        self._picture = picture
        self._reformatter = reformatter
        self._rotation = rotation

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        if not self._rotation:
            return self._cut(box)
        stored = turned_back(box or (0, 0, self.shape[1], self.shape[0]), self.shape, self._rotation)
        return np.ascontiguousarray(np.rot90(self._cut(stored), self._rotation))

    def _cut(self, box: Box | None) -> np.ndarray:
        picture = self._picture
        name = picture.format.name
        if name in ("bgr24", "rgb24") and (picture.planes[0].line_size > 0 or NEGATIVE_STRIDES):
            part = cut(_packed(picture.planes[0], picture), box)
            return cv2.cvtColor(part, cv2.COLOR_BGR2RGB) if name == "bgr24" else part
        if box is None or name not in CHROMA or picture.width % 2 or picture.height % 2:
            return cut(self._convert(picture), box)
        x0, y0, smaller = _cut_planes(picture, box, CHROMA[name])
        x, y, w, h = box
        return cut(self._convert(smaller), (x - x0, y - y0, w, h))

    def _convert(self, picture: Any) -> np.ndarray:
        converted = self._reformatter.reformat(picture, format="rgb24")
        return _packed(converted.planes[0], converted)


def _packed(plane: Any, picture: Any) -> np.ndarray:
    """View (H, W, 3) of a plane of 3 bytes a pixel; rows from top to bottom."""
    rows = np.frombuffer(plane, np.uint8).reshape(picture.height, abs(plane.line_size))
    pixels = rows[:, : 3 * picture.width].reshape(picture.height, picture.width, 3)
    return pixels if plane.line_size > 0 else pixels[::-1]


def _cut_planes(picture: Any, box: Box, chroma: tuple[int, int]) -> tuple[int, int, Any]:
    """(x, y, frame): the smallest part around `box` that lies on the chroma grid, as a frame of the same format."""
    x, y, w, h = box
    x0, y0 = x // ALIGN * ALIGN, y // 2 * 2
    x1, y1 = min(-(-(x + w) // ALIGN) * ALIGN, picture.width), min(-(-(y + h) // 2) * 2, picture.height)
    part = av.VideoFrame(x1 - x0, y1 - y0, picture.format.name)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    for number, (source, target) in enumerate(zip(picture.planes, part.planes, strict=True)):
        sx, sy = chroma if number else (1, 1)
        pixels = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)
        copied = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)
        top, left = y0 // sy, x0 // sx
        copied[: target.height, : target.width] = pixels[top : top + target.height, left : left + target.width]
    return x0, y0, part


def turned_back(box: Box, shape: tuple[int, int], quarters: int) -> Box:
    """Where `box` of the frame as shown, (H, W) = `shape`, lies in the stored one, before `quarters` turns left."""
    x, y, w, h = box
    height, width = shape
    if quarters == 1:
        return height - y - h, x, h, w
    if quarters == 2:
        return width - x - w, height - y - h, w, h
    return y, width - x - w, h, w
