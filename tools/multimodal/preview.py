"""What is shown of a camera while it records: the pixels of the face, in the messages of the live page.

The recorder gives them to the same session that measures the live page's: once a second a small JPEG in which the face
is looked for, and of every frame the region that this found, 72 x 72, raw. What nobody takes is dropped: the recording
never waits for its picture.
"""

from typing import Any

import cv2
import numpy as np

from tools.multimodal.device import Sample
from tools.multimodal.link import Link
from unsupervised_methods.live.protocol import HEADER, PICTURE, PIXELS, SIDE, VERSION

LOOK_EVERY = 1_000_000_000  # ns between two pictures
WIDTH = 320  # pixels of the picture


class Preview:
    """Sends what is seen; is told where the face is."""

    def __init__(self, link: Link):
        """Nobody has found a face yet."""
        self._link, self._region, self._number = link, None, 0
        self._sequence, self._looked, self.wanted = 0, 0, False

    def told(self, message: dict[str, Any]) -> None:
        """Take the region (shares of the frame: x, y, w, h) to send from now on, and whether anybody looks."""
        self.wanted = bool(message.get("preview", self.wanted))
        if "region" in message:
            self._region, self._number = message["region"], message.get("number", 0)

    def show(self, sample: Sample) -> None:
        """Send what belongs to this frame."""
        if not self.wanted:
            return
        frame = sample.data
        if sample.t_host_ns - self._looked >= LOOK_EVERY:
            self._looked = sample.t_host_ns
            self._send(PICTURE, sample, self._picture(frame))
        if self._region is not None:
            self._send(PIXELS, sample, region_pixels(frame, self._region).tobytes())

    def _picture(self, frame: np.ndarray) -> bytes:
        height = max(1, round(frame.shape[0] * WIDTH / frame.shape[1]))
        small = cv2.resize(bgr(frame), (WIDTH, height), interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", small)[1].tobytes()

    def _send(self, kind: int, sample: Sample, content: bytes) -> None:
        height, width = sample.data.shape[:2]
        head = HEADER.pack(
            VERSION, kind, 0, self._sequence, self._number * (kind == PIXELS), sample.t_host_ns / 1e6, width, height
        )
        self._link.send(head + content)
        self._sequence += 1


def region_pixels(frame: np.ndarray, region: list[float]) -> np.ndarray:
    """The `region` (shares x, y, w, h) of a frame, reduced or enlarged to (SIDE, SIDE, 3) RGB."""
    height, width = frame.shape[:2]
    left, top = (int(np.clip(share, 0, 1) * size) for share, size in zip(region[:2], (width, height), strict=True))
    left -= left % 2  # two pixels of YUYV share their colour
    right = min(width, max(left + 2, round((region[0] + region[2]) * width)))
    bottom = min(height, max(top + 2, round((region[1] + region[3]) * height)))
    cut = frame[top:bottom, left : left + (right - left) // 2 * 2]
    return cv2.resize(cv2.cvtColor(bgr(cut), cv2.COLOR_BGR2RGB), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def bgr(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) RGB or (H, W, 2) YUYV as (H, W, 3) BGR."""
    code = cv2.COLOR_YUV2BGR_YUY2 if frame.shape[2] == 2 else cv2.COLOR_RGB2BGR
    return cv2.cvtColor(np.ascontiguousarray(frame), code)
