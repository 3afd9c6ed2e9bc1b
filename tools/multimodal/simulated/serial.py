"""Devices on a serial port that are not there: the other end of a pseudo-terminal."""

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Mapping
from typing import Any

from tools.multimodal import cms50
from tools.multimodal.device import host_ns
from tools.multimodal.simulated.body import HEART, Clock, breath, mark, pulse

Line = Callable[[int, bytes], bytes]  # what arrives of packet number k


class Serial:
    """Sends `packet(k)` at its times, by a thread; `path` is the port to open. `line` may drop or change bytes.

    `burst`: how many packets are held back and sent together. `silent`: numbers of packets that are not sent. `on_ns`:
    how long it has been on.
    """

    def __init__(
        self, hz: float, ppm: float = 0.0, line: Line | None = None, burst: int = 1, silent: range = range(0),
        on_ns: int = 5_000_000_000,
    ):  # fmt: skip
        """Packets begin now, or when the device is told to."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._line, self._burst, self._silent = line or (lambda number, data: data), burst, silent
        self._clock, self._hz, self._ended = Clock(host_ns(), on_ns, ppm), hz, threading.Event()
        self.commands = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def packet(self, t_ns: int, t_device_ns: int) -> bytes:
        """What is sent of the host time `t_ns`; b"" while the device does not speak."""
        raise NotImplementedError

    def hear(self, data: bytes) -> None:
        """Take commands."""
        self.commands += data

    def _run(self) -> None:
        number, held = 0, []
        begin = self._clock.at(host_ns())
        while not self._ended.is_set():
            device = begin + round(number * 1e9 / self._hz)
            at = self._clock.when(device)
            time.sleep(max(0.0, (at - host_ns()) / 1e9))
            with contextlib.suppress(OSError):
                if select.select([self._master], [], [], 0)[0]:
                    self.hear(os.read(self._master, 256))
            if number not in self._silent:
                held.append(self._line(number, self.packet(at, device)))
            number += 1
            if len(held) >= self._burst:
                self._send(b"".join(held))
                held = []

    def _send(self, data: bytes) -> None:
        """A port that nobody reads is full after a while: the rest is lost, as it is on a real one."""
        if data and select.select([], [self._master], [], 0)[1]:
            with contextlib.suppress(OSError):
                os.write(self._master, data)

    def end(self) -> None:
        """Stop, as if it were pulled out."""
        self._ended.set()
        self._thread.join(2.0)
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Oximeter(Serial):
    """A CMS50 of the old or new protocol; `rate` bpm is what it shows."""

    def __init__(self, hz: float = cms50.RATE, protocol: str = "new", rate: float = 60 * HEART, **changed: Any):
        """The new protocol speaks when it is told to."""
        self._protocol, self._rate, self._on = protocol, rate, protocol == "old"
        self.finger = True
        super().__init__(hz, **changed)

    def hear(self, data: bytes) -> None:
        """Begin and end."""
        super().hear(data)
        for code in (cms50.BEGIN, cms50.END):
            if cms50.command(code) in data:
                self._on = self._protocol == "old" or code == cms50.BEGIN

    def packet(self, t_ns: int, t_device_ns: int) -> bytes:
        """A wave, a saturation and a rate."""
        if not self._on:
            return b""
        wave = round(64 + 40 * float(pulse(t_ns / 1e9)))
        reading = cms50.Reading(wave, self._rate, 98.0, self.finger)
        return (cms50.nine_bytes if self._protocol == "new" else cms50.five_bytes)(reading)


class Controller(Serial):
    """A microcontroller: micros, wave, mark and breathing belt."""

    def __init__(self, options: Mapping[str, Any], **changed: Any):
        """`options`: hz, ppm, and those of the marks."""
        self._options = options
        super().__init__(options["hz"], options["ppm"], **changed)

    def packet(self, t_ns: int, t_device_ns: int) -> bytes:
        """A line."""
        wave = 512 + 300 * float(pulse(t_ns / 1e9))
        belt = 512 + 300 * float(breath(t_ns / 1e9))
        on = mark(t_ns, self._options)
        return b"%d,%d,%d,%d\n" % (t_device_ns // 1000 % (1 << 32), wave, round(1023 * on), belt)
