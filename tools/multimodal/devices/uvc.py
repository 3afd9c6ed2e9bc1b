"""A colour camera on USB (UVC), through OpenCV and V4L2.

`pixels` yuyv keeps what the camera sends (half the bytes of RGB, nothing computed); mjpg is for cameras that reach
their rate only so, and costs colour: JPEG halves the differences in which the pulse lies. Exposure is fixed where
`exposure_ms` says so; dynamic frame rate is off, because it halves 30 frames per second in a dim room.
"""

from typing import Any

import cv2
import numpy as np

from tools.multimodal.capture import Camera, fourcc, opened, require_usb
from tools.multimodal.device import DEVICES, Device, DeviceError, Flag, Sample, Video

FORMATS = {"yuyv": "YUYV", "mjpg": "MJPG"}
CODECS = ("h264", "ffv1")
SLOW = 0.9  # share of the wanted rate below which it is said that the camera is slow
DRIFTS = 0.03  # share of brightness within the first seconds: exposure is not fixed
MANUAL = 1  # of V4L2's exposure_auto
DYNAMIC_RATE = getattr(cv2, "CAP_PROP_EXPOSURE_DYNAMIC_FRAMERATE", None)


@DEVICES.register("uvc camera")
class UvcCamera(Device):
    """RGB frames; `t_device` is the driver's monotonic stamp where there is one."""

    OPTIONS = {
        "device": "/dev/video0", "width": 640, "height": 480, "fps": 30.0, "pixels": "yuyv", "exposure_ms": 0.0,
        "white_balance": 0, "gain": -1.0, "usb": "", "settle_s": 2.0,
        "codec": "h264",
    }  # fmt: skip
    store = Video()
    restarts = True
    opener = staticmethod(opened)

    def open(self) -> None:
        """Make the settings, read them back and watch what really comes for `settle_s`."""
        options = self.options
        if options["pixels"] not in FORMATS:
            raise ValueError(f"pixels is {options['pixels']!r}; known: {', '.join(FORMATS)}.")
        if options["codec"] not in CODECS:
            raise ValueError(f"codec is {options['codec']!r}; known: {', '.join(CODECS)}.")
        self.store = Video(codec=options["codec"])
        self.usb = require_usb(options["device"], options["usb"])
        self.camera = Camera(options["device"], self.opener, self.noted)
        self._set_size()
        self._set_light()
        self.fps, self.drift = (
            self.camera.measure(options["settle_s"]) if options["settle_s"] else (options["fps"], 0.0)
        )
        self.rate, self._before = options["fps"], None
        self._tell()

    def _set_size(self) -> None:
        options = self.options
        code = cv2.VideoWriter_fourcc(*FORMATS[options["pixels"]])
        self.camera.set({
            cv2.CAP_PROP_FOURCC: code, cv2.CAP_PROP_FRAME_WIDTH: options["width"],
            cv2.CAP_PROP_FRAME_HEIGHT: options["height"], cv2.CAP_PROP_FPS: options["fps"],
        })  # fmt: skip
        self._raw = options["pixels"] == "yuyv"
        if self._raw:
            self.camera.set({cv2.CAP_PROP_CONVERT_RGB: 0})
        given = fourcc(self.camera.get(cv2.CAP_PROP_FOURCC))
        size = (self.camera.get(cv2.CAP_PROP_FRAME_WIDTH), self.camera.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if given not in (FORMATS[options["pixels"]], "YUY2" if self._raw else "") or size != (
            options["width"], options["height"],
        ):  # fmt: skip
            wanted = f"{options['width']}x{options['height']} {FORMATS[options['pixels']]}"
            raise DeviceError(
                f"camera {options['device']} gives {size[0]:.0f}x{size[1]:.0f} {given}, not {wanted}. `v4l2-ctl -d "
                f"{options['device']} --list-formats-ext` shows what it can"
            )

    def _set_light(self) -> None:
        options, fixed = self.options, {}
        if options["exposure_ms"]:
            fixed |= {cv2.CAP_PROP_AUTO_EXPOSURE: MANUAL, cv2.CAP_PROP_EXPOSURE: 10 * options["exposure_ms"]}
        if options["white_balance"]:
            fixed |= {cv2.CAP_PROP_AUTO_WB: 0, cv2.CAP_PROP_WB_TEMPERATURE: options["white_balance"]}
        if options["gain"] >= 0:
            fixed |= {cv2.CAP_PROP_GAIN: options["gain"]}
        if DYNAMIC_RATE is not None:
            fixed |= {DYNAMIC_RATE: 0}
        self.camera.set(fixed)
        self.refused = [_name(key) for key in self.camera.refused(fixed) if key != DYNAMIC_RATE]

    def _tell(self) -> None:
        wanted = self.options["fps"]
        if self.fps < SLOW * wanted:
            self.noted.event(
                f"gives {self.fps:.1f} of {wanted:g} frames per second: fix the exposure below {1000 / wanted:.0f} ms "
                "or use another USB port"
            )
        if self.drift > DRIFTS:
            self.noted.event(f"brightness moved by {self.drift:.0%} while nothing was changed: exposure is not fixed")
        if self.refused:
            self.noted.event(f"does not take {' and '.join(self.refused)}")

    def start(self) -> None:
        """It streams since it was opened; what waited there is old."""
        self.camera.drain()

    def read(self) -> list[Sample]:
        """One frame."""
        frame, device, host = self.camera.take()
        if self._raw:
            frame = yuyv(frame, self.options["width"], self.options["height"])
        else:
            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        same = self._before is not None and np.array_equal(frame[::4], self._before[::4])
        self._before = frame
        if same:
            self.noted.counts["repeated"] += 1
        return [Sample(frame, device, host, (Flag("repeated"),) if same else ())]

    def stop(self) -> None:
        """Free the camera."""
        if hasattr(self, "camera"):
            self.camera.close()

    def describe(self) -> dict[str, Any]:
        """Settings as read back, and what was measured."""
        exposure = self.options["exposure_ms"]
        return {
            "settings": self.options | {"refused": self.refused, "locked": bool(exposure) and not self.refused},
            "usb": self.usb, "measured_fps": round(self.fps, 2), "brightness_drift": round(self.drift, 4),
            "clock": self.camera.clock, "delay_ns": -round(exposure * 1e6 / 2) if exposure else 0,
        }  # fmt: skip


def yuyv(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bytes as the camera sent them, in whatever shape OpenCV hands them on, as (H, W, 2). DeviceError for others."""
    if frame.size * frame.itemsize != 2 * width * height:
        raise DeviceError(f"a frame of {frame.size * frame.itemsize} bytes, where {2 * width * height} belong to YUYV")
    return np.ascontiguousarray(frame).view(np.uint8).reshape(height, width, 2)


def _name(key: int) -> str:
    names = {
        cv2.CAP_PROP_AUTO_EXPOSURE: "manual exposure", cv2.CAP_PROP_EXPOSURE: "the exposure time",
        cv2.CAP_PROP_AUTO_WB: "manual white balance", cv2.CAP_PROP_WB_TEMPERATURE: "the colour temperature",
        cv2.CAP_PROP_GAIN: "the gain",
    }  # fmt: skip
    return names.get(key, f"property {key}")
