"""A thermal camera that sends 16-bit counts over USB (Y16): a FLIR Lepton on a PureThermal board, and its like.

With telemetry rows `t_device` is the camera's own milliseconds since power-on; without, the driver's stamp. While the
shutter corrects the picture (FFC: about a second every three minutes) frames are kept and flagged `ffc`; identical ones
are flagged `frozen`.
"""

from typing import Any

import cv2
import numpy as np

from tools.multimodal.capture import Camera, fourcc, opened, require_usb
from tools.multimodal.device import DEVICES, Array, Device, DeviceError, Flag, Sample, host_ns
from tools.multimodal.lepton import FFC_RUNNING, PLAUSIBLE, Telemetry, scale_of, split

PURETHERMAL = "1e4e:0100"
FROZEN = 5.0  # s of identical frames after which the camera is opened again
Y16 = cv2.VideoWriter_fourcc(*"Y16 ")


@DEVICES.register("uvc y16")
class Y16Camera(Device):
    """Counts (height, width) uint16."""

    OPTIONS = {
        "device": "/dev/video2", "width": 160, "height": 120, "fps": 9.0, "usb": PURETHERMAL, "emissivity": 0.98,
        "telemetry": True,
    }  # fmt: skip
    store = Array("frames")
    restarts = True
    opener = staticmethod(opened)

    def open(self) -> None:
        """Ask for raw counts and check on a first frame that they are temperatures."""
        options = self.options
        self.usb, self.rate = require_usb(options["device"], options["usb"]), options["fps"]
        self.camera = Camera(options["device"], self.opener, self.noted)
        self.camera.set({cv2.CAP_PROP_FOURCC: Y16, cv2.CAP_PROP_CONVERT_RGB: 0})
        given = fourcc(self.camera.get(cv2.CAP_PROP_FOURCC))
        if given not in ("Y16", ""):
            raise DeviceError(f"camera {options['device']} gives {given}, not Y16: is it the thermal one?")
        rows = options["height"] + 2 * options["telemetry"]
        self.camera.set({cv2.CAP_PROP_FRAME_WIDTH: options["width"], cv2.CAP_PROP_FRAME_HEIGHT: rows})
        self._before, self._same_since = None, 0
        self._milliseconds = self._turns = 0
        picture, telemetry, *_ = self._take()
        self.scale = telemetry.per_count if telemetry else scale_of(picture)
        self.telemetry = telemetry is not None
        middle = float(np.median(picture)) * (self.scale or 0.01)
        if self.scale is None or not PLAUSIBLE[0] <= middle <= PLAUSIBLE[1]:
            raise DeviceError(
                f"camera {options['device']} shows {middle - 273.15:.0f} deg C in the middle: its counts are no "
                "temperatures. Switch on TLinear, or use a radiometric part (Lepton 2.5, 3.5)"
            )

    def _take(self) -> tuple[np.ndarray, Telemetry | None, int, int]:
        frame, stamp, host = self.camera.take()
        picture, telemetry = split(self._counts(frame), self.options["height"])
        return picture, telemetry, self._since_power_on(telemetry) if telemetry else stamp, host

    def _since_power_on(self, telemetry: Telemetry) -> int:
        """Nanoseconds; the camera's 32 bits of milliseconds begin anew after 49.7 days."""
        if telemetry.milliseconds < self._milliseconds - (1 << 31):
            self._turns += 1
        self._milliseconds = telemetry.milliseconds
        return (telemetry.milliseconds + (self._turns << 32)) * 1_000_000

    def _counts(self, frame: np.ndarray) -> np.ndarray:
        """The frame as (rows, width) uint16, in whatever shape OpenCV hands its bytes on."""
        width, height = self.options["width"], self.options["height"]
        rows, rest = divmod(frame.size * frame.itemsize, 2 * width)
        if rest or rows not in (height, height + 2):
            raise DeviceError(
                f"camera {self.options['device']} gave {frame.size * frame.itemsize} bytes, not {height} or "
                f"{height + 2} rows of {width} counts of 16 bits: is it set to Y16?"
            )
        return np.ascontiguousarray(frame).view("<u2").reshape(rows, width)

    def start(self) -> None:
        """It streams since it was opened; what waited there is old."""
        self.camera.drain()

    def read(self) -> list[Sample]:
        """One frame."""
        picture, telemetry, device, host = self._take()
        flags = [Flag("ffc")] if telemetry and telemetry.ffc == FFC_RUNNING else []
        if self._before is not None and np.array_equal(picture, self._before):
            flags.append(Flag("frozen"))
            if host_ns() - self._same_since > FROZEN * 1e9:
                raise DeviceError(f"camera {self.options['device']} shows the same picture for {FROZEN:.0f} s")
        else:
            self._before, self._same_since = picture, host_ns()
        for flag in flags:
            self.noted.counts[flag.kind] += 1
        return [Sample(picture, device, host, tuple(flags))]

    def stop(self) -> None:
        """Free the camera."""
        if hasattr(self, "camera"):
            self.camera.close()

    def describe(self) -> dict[str, Any]:
        """Scale and clock as found."""
        scale = {"kelvin_per_count": self.scale, "offset_kelvin": 0.0, "emissivity": self.options["emissivity"]}
        return {
            "settings": dict(self.options), "usb": self.usb, "telemetry": self.telemetry,
            "clock": "camera, ms since power-on" if self.telemetry else self.camera.clock,
            "delay_ns": 0, "files": {"scale.json": scale},
        }  # fmt: skip
