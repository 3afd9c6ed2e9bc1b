"""Cameras that are not there, as OpenCV would open them: frames come in time, and are lost when nobody takes them."""

import time
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from tools.multimodal.device import host_ns
from tools.multimodal.lepton import FFC_RUNNING, HEIGHT, WIDTH, Telemetry, joined
from tools.multimodal.simulated.body import Clock, breath, mark, pulse

BUFFERS = 4  # frames that a driver holds
EXPOSURE = 0.01  # s
COLOUR = np.array([0.35, 0.9, 0.55])  # of a beat, in counts of R, G, B
HEATER_LAG = 0.15  # s


class Paced:
    """What every simulated camera has in common: `grab` waits for the next frame; properties can be set and read.

    `refuse`: properties that keep their value whatever is set.
    """

    def __init__(self, fps: float, refuse: Mapping[int, float] | None = None, ppm: float = 0.0):
        """Frames begin now."""
        self._period, self._refuse = 1e9 / fps * (1 - ppm / 1e6), dict(refuse or {})
        self._values: dict[int, float] = {cv2.CAP_PROP_FPS: fps, **self._refuse}
        self._begin, self.index, self.open = host_ns(), -1, True

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether it is there."""
        return self.open

    def set(self, key: int, value: float) -> bool:
        """Take a setting, or not."""
        self._values[key] = self._refuse.get(key, value)
        return True

    def get(self, key: int) -> float:
        """A setting, or the time of the frame that was grabbed."""
        return self.taken / 1e6 if key == cv2.CAP_PROP_POS_MSEC else self._values.get(key, 0.0)

    @property
    def taken(self) -> int:
        """Host time (ns) of the current frame."""
        return self._begin + round(self.index * self._period)

    def grab(self) -> bool:
        """Wait for the next frame; whoever is late gets the oldest that the driver still holds."""
        newest = int((host_ns() - self._begin) / self._period)
        self.index = max(self.index + 1, newest - BUFFERS)
        time.sleep(max(0.0, (self.taken - host_ns()) / 1e9))
        return self.open

    def retrieve(self) -> tuple[bool, np.ndarray]:
        """The frame that was grabbed."""
        return True, self.picture(self.taken)

    def picture(self, t_ns: int) -> np.ndarray:
        """What is seen at a host time."""
        raise NotImplementedError

    def release(self) -> None:
        """Close it."""
        self.open = False


class FaceCamera(Paced):
    """A rendered person who sits still, as YUYV with the noise of a webcam; the LED in the upper left corner."""

    def __init__(self, options: Mapping[str, Any]):
        """`options`: width, height, fps, and those of the marks."""
        super().__init__(options["fps"], {cv2.CAP_PROP_FRAME_WIDTH: options["width"],
                                          cv2.CAP_PROP_FRAME_HEIGHT: options["height"],
                                          cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*"YUYV")})  # fmt: skip
        self._options = options
        face, inside = person(options["width"], options["height"])
        yuv = cv2.cvtColor(face, cv2.COLOR_RGB2YUV).astype(np.float32)
        self._luma, self._chroma = yuv[..., 0] * 219 / 255 + 16, (yuv[:, ::2, 1:] - 128) * 224 / 255 + 128
        beat = np.array([[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]]) @ COLOUR
        self._luma_beat, self._chroma_beat = inside * np.float32(beat[0]), inside[:, ::2, None] * np.float32(beat[1:])
        rng = np.random.default_rng(1)
        self._noise = rng.normal(0.5, 1.0, (len(face) + 64, face.shape[1])).astype(np.float32)
        self._dither = rng.uniform(0, 1, (len(face) + 64, face.shape[1] // 2, 2)).astype(np.float32)

    def picture(self, t_ns: int) -> np.ndarray:
        """YUYV (H, W, 2): blood darkens the skin."""
        height, shift, beat = len(self._luma), self.index * 37 % 64, -float(pulse(t_ns / 1e9))
        frame = np.empty((*self._luma.shape, 2), np.uint8)
        frame[..., 0] = np.clip(self._luma + beat * self._luma_beat + self._noise[shift : shift + height], 0, 255)
        chroma = self._chroma + beat * self._chroma_beat + self._dither[shift : shift + height]
        frame[:, ::2, 1], frame[:, 1::2, 1] = chroma[..., 0], chroma[..., 1]
        on = mark(t_ns, self._options, width=EXPOSURE)
        frame[8:40, 8:40, 0] = 40 + round(180 * on)
        frame[8:40, 8:40, 1] = 128
        return frame


def person(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A face (height, width, 3) RGB, and how far each pixel is skin (height, width) float32, 0 to 1."""
    session = Session(resolve({"PRESET": "easy", "SUBJECTS": 1, "SECONDS": 1.0, "WIDTH": width, "HEIGHT": height}), 1)
    face = next(iter(session.frames()))
    x, y, w, h = session.truth().box[0]
    inside = np.zeros((height, width), np.float32)
    axes = (max(1, round(0.42 * w)), max(1, round(0.48 * h)))
    cv2.ellipse(inside, (round(x + w / 2), round(y + h / 2)), axes, 0, 0, 360, 1.0, -1)
    return face, cv2.GaussianBlur(inside, (15, 15), 0)


class Lepton(Paced):
    """A thermal camera with telemetry: a warm face, nostrils that cool with each breath, a heater in the corner.

    `ffc_s`: every how many seconds the shutter closes for a second (0: never). `frozen_from`: the picture stands still
    from this frame on (0: never).
    """

    def __init__(self, options: Mapping[str, Any], radiometric: bool = True, telemetry: bool = True):
        """`options`: fps, ppm, ffc_s, frozen_from, and those of the marks."""
        rows = HEIGHT + 2 * telemetry
        super().__init__(options["fps"], {cv2.CAP_PROP_FRAME_HEIGHT: rows, cv2.CAP_PROP_FRAME_WIDTH: WIDTH})
        self._options, self._telemetry = options, telemetry
        self._clock = Clock(self._begin, 90_000_000_000, options["ppm"])
        rng = np.random.default_rng(2)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        face = ((x - 80) / 32) ** 2 + ((y - 62) / 44) ** 2 < 1
        self._kelvin = 296.0 + 9.0 * face + rng.normal(0, 0.02, face.shape)
        self._kelvin *= 1.0 if radiometric else 0.28
        self._noise = rng.normal(0, 0.04, (HEIGHT + 32, WIDTH))
        self._held: np.ndarray | None = None

    def picture(self, t_ns: int) -> np.ndarray:
        """Counts of hundredths of a kelvin (120 or 122, 160) uint16."""
        seconds, since = t_ns / 1e9, (t_ns - self._begin) / 1e9
        frozen = self._options["frozen_from"] and self.index >= self._options["frozen_from"]
        closed = self._options["ffc_s"] and since % self._options["ffc_s"] > self._options["ffc_s"] - 1
        if self._held is None or not (frozen or closed):
            kelvin = self._kelvin + self._noise[self.index * 7 % 32 :][:HEIGHT]
            kelvin[70:80, 74:86] += 0.35 * breath(seconds)
            kelvin[30:60, 60:100] += 0.03 * pulse(seconds)
            kelvin[4:12, 4:12] += 15.0 * mark(t_ns, self._options, lag=HEATER_LAG)
            self._held = np.round(100 * kelvin).astype(np.uint16)
        if not self._telemetry:
            return self._held
        told = Telemetry(self._clock.at(t_ns) // 1_000_000, FFC_RUNNING * bool(closed), 3 * self.index, 0.01)
        return joined(self._held, told)
