"""Cameras of Linux through OpenCV: settings that are read back, frames with the driver's own times.

A driver may take a setting and not do it: nothing is believed that was not read back, and the rate is measured. The
stamp of a frame is the driver's where it is of this computer's monotonic clock (most USB cameras); otherwise the
frame's arrival counts, and meta.json says so.
"""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.multimodal.device import DeviceError, Noted, host_ns

NEAR_NS = 1_000_000_000  # between the driver's stamp and this computer's clock, for which the stamp is of that clock
MOST_HELD, WAITED = 8, 0.005  # frames that a driver may hold; s from which a frame was waited for
CLASS = Path("/sys/class/video4linux")
Opener = Callable[[str], Any]  # what gives a cv2.VideoCapture


def opened(name: str) -> cv2.VideoCapture:
    """The camera `name`, a number or a path, by the interface of Linux, which alone passes stamps on."""
    return cv2.VideoCapture(int(name) if name.isdigit() else name, cv2.CAP_V4L2)


def fourcc(code: float) -> str:
    """Four letters of a picture format."""
    return "".join(chr(int(code) >> 8 * place & 255) for place in range(4)).strip("\x00 ")


def usb_ids(name: str, root: Path = CLASS) -> str:
    """Vendor and product of a camera, as 046d:0825; "" where the system does not say."""
    device = root / (f"video{name}" if name.isdigit() else Path(name).resolve().name) / "device"
    for folder in (device, device / ".."):
        try:
            return ":".join((folder / part).read_text().strip() for part in ("idVendor", "idProduct"))
        except OSError:
            continue
    return ""


def require_usb(name: str, wanted: str, root: Path = CLASS) -> str:
    """The ids found; DeviceError for others than `wanted`: another camera has this number today."""
    found = usb_ids(name, root)
    if wanted and not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", wanted):
        raise ValueError(f"usb is {wanted!r}; two numbers as lsusb shows them are meant, such as 1e4e:0100.")
    if wanted and found and found != wanted:
        raise DeviceError(
            f"camera {name} is {found}, and {wanted} is wanted. `v4l2-ctl --list-devices` shows the others"
        )
    return found


class Camera:
    """An open camera: `set` what is wanted, `take` frames with their times, `describe` what it really does."""

    def __init__(self, name: str, opener: Opener, noted: Noted):
        """DeviceError where it cannot be opened."""
        self.name, self._noted, self.asked, self.host_times = name, noted, {}, 0
        self._capture = opener(name)
        if not self._capture.isOpened():
            self.close()
            raise DeviceError(
                f"camera {name} cannot be opened. Is it connected, used by no other program, and are you in the group "
                "video?"
            )

    def set(self, wanted: Mapping[int, float]) -> None:
        """Ask for properties in this order; those that were not taken are asked for once more, the other way round.

        Some drivers want the format before the size, others after it.
        """
        for key, value in wanted.items():
            self._capture.set(key, value)
        refused = self.refused(wanted)
        for key in reversed(list(refused)):
            self._capture.set(key, refused[key])
        if refused:
            for key in self.refused(wanted):  # the other order may have undone what was right
                self._capture.set(key, wanted[key])
        self.asked |= wanted

    def refused(self, wanted: Mapping[int, float]) -> dict[int, float]:
        """Those properties that read back as something else."""
        return {key: value for key, value in wanted.items() if abs(self._capture.get(key) - value) > 0.5}

    def get(self, key: int) -> float:
        """A property as the driver tells it."""
        return float(self._capture.get(key))

    def take(self) -> tuple[np.ndarray, int, int]:
        """The next frame as it came, and the times (ns) of the device and of its arrival; waits for it.

        DeviceError where there is none.
        """
        before = time.monotonic()
        if not self._capture.grab():
            raise DeviceError(f"camera {self.name} gives no frames any more. Connect it again, on a port of its own")
        host, self._waited = host_ns(), time.monotonic() - before
        stamp = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        there, frame = self._capture.retrieve()
        if not there or frame is None:
            raise DeviceError(f"camera {self.name} gave a frame that cannot be read")
        if abs(host - stamp) < NEAR_NS:
            return frame, stamp, host
        self.host_times += 1
        return frame, host, host

    def measure(self, seconds: float) -> tuple[float, float]:
        """Frames per second over `seconds`, and by which share the mean brightness moved in that time."""
        times, means, until = [], [], time.monotonic() + seconds
        while time.monotonic() < until:
            frame, stamp, _ = self.take()
            times.append(stamp)
            means.append(float(frame[::8, ::8].mean()))
        fps = 1e9 * (len(times) - 1) / max(times[-1] - times[0], 1) if len(times) > 1 else 0.0
        third = max(1, len(means) // 3)
        first, last = np.mean(means[:third]), np.mean(means[-third:])
        return fps, abs(last - first) / max(first, 1.0)

    def drain(self) -> None:
        """Forget frames that waited: until one had to be waited for."""
        for _ in range(MOST_HELD):
            self.take()
            if self._waited > WAITED:
                return

    @property
    def clock(self) -> str:
        """Whose times the frames have."""
        return "host, at arrival" if self.host_times else "driver, monotonic"

    def close(self) -> None:
        """Free the camera."""
        self._capture.release()
