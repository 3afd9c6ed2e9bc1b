"""A serial port by the system's own means (Linux, macOS): raw bytes, no echo, no waiting beyond a time."""

import contextlib
import os
import select
import time

from tools.multimodal.device import DeviceError

try:
    import termios
except ImportError:  # Windows
    termios = None


class Port:
    """An open port. `parity`: N or O (odd); 8 bits, 1 stop bit."""

    def __init__(self, path: str, baud: int, parity: str = "N"):
        """DeviceError where it cannot be opened or set."""
        if termios is None:
            raise DeviceError("serial ports can be read on Linux and macOS only")
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(
                f"port {path} cannot be opened ({error.strerror}). Is it plugged in, and are you in the group dialout?"
            ) from None
        try:
            self._set(baud, parity)
        except (termios.error, AttributeError) as error:
            self.close()
            raise DeviceError(f"port {path} cannot be set to {baud} baud ({error}): is it a serial port?") from None

    def _set(self, baud: int, parity: str) -> None:
        speed = getattr(termios, f"B{baud}")
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        control |= termios.PARENB | termios.PARODD if parity == "O" else 0
        old = termios.tcgetattr(self._descriptor)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, [0, 0, control, 0, speed, speed, old[6]])
        self.flush()

    def flush(self) -> None:
        """Forget what waits on both ways."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self._descriptor, termios.TCIOFLUSH)

    def read(self, wait: float) -> bytes:
        """What there is, b"" after `wait` seconds of nothing. DeviceError where the port is gone."""
        try:
            if not select.select([self._descriptor], [], [], wait)[0]:
                return b""
            data = os.read(self._descriptor, 4096)
        except (OSError, ValueError) as error:
            raise DeviceError(f"port {self.path} is gone ({error}). Plug it in again") from None
        if not data:
            raise DeviceError(f"port {self.path} is gone. Plug it in again")
        return data

    def write(self, data: bytes) -> None:
        """Send `data`, within a second. DeviceError where the port does not take it."""
        until = time.monotonic() + 1.0
        while data:
            try:
                sent = os.write(self._descriptor, data)
            except BlockingIOError:
                sent = 0
                select.select([], [self._descriptor], [], 0.1)
            except OSError as error:
                raise DeviceError(f"port {self.path} is gone ({error.strerror}). Plug it in again") from None
            data = data[sent:]
            if data and time.monotonic() > until:
                raise DeviceError(f"port {self.path} takes no data. Unplug it and plug it in again")

    def close(self) -> None:
        """Close; may be called again."""
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)
