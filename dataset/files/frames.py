"""One picture of a video, turned into RGB only where it is looked at.

`Frame.rgb(box)` cuts the box out of the decoded planes first and converts that. The pixels are the same as those of the
whole frame converted and cut afterwards.
"""

from typing import Any

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # x, y, width, height in pixels, inside the frame
LUMA = np.array([0.299, 0.587, 0.114])  # shares of red, green and blue in brightness: ITU-R BT.601


class VideoError(ValueError):
    """A video or image that cannot be read as it should; the message names file, reason and remedy."""


class Frame:
    """One picture of a video: `time` in seconds after the first frame (None where unknown), `shape` = (H, W)."""

    time: float | None = None
    shape: tuple[int, int]

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box` = (x, y, w, h), or all of it: (h, w, 3) uint8 RGB; maybe a view, not to be changed."""
        raise NotImplementedError

    def thermal(self, box: Box | None = None) -> np.ndarray | None:
        """The same part as a thermal camera sees it: (h, w) float32, degrees Celsius; None without such a camera."""
        return None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole frame as an array, for `np.asarray(frame)`."""
        return np.array(self.rgb(), dtype=dtype)


class ArrayFrame(Frame):
    """A frame that is already an array (H, W, 3) uint8; `order` says whether it is RGB or BGR."""

    def __init__(self, array: np.ndarray, time: float | None = None, order: str = "RGB"):
        """Wrap `array` without copying it."""
        self.array = array
        self.time = time
        self.shape = array.shape[:2]
        self._swap = order == "BGR"

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        part = cut(self.array, box)
        return cv2.cvtColor(part, cv2.COLOR_BGR2RGB) if self._swap else part


def as_frame(frame: Frame | np.ndarray) -> Frame:
    """`frame` itself, or an array (H, W, 3) uint8 RGB wrapped; VideoError for other arrays."""
    if isinstance(frame, Frame):
        return frame
    array = np.asarray(frame)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise VideoError(
            f"A frame is an array {array.shape} of {array.dtype}; read_video must yield (H, W, 3) uint8 RGB frames."
        )
    return ArrayFrame(array)


def cut(array: np.ndarray, box: Box | None) -> np.ndarray:
    """View of `array` (H, W, ...) inside `box`; all of it without one."""
    if box is None:
        return array
    x, y, w, h = box
    return array[y : y + h, x : x + w]
