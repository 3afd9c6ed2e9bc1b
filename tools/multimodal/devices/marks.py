"""What every sensor sees at the same moment: an LED with a heater element and a plate, switched in coded bursts.

A transistor at the RTS line of a USB serial adapter (`port`) switches them; a burst (`dataset.multimodal.bursts.CODE`)
comes at the start, every `every_s` and, where the length of the recording is known, at its end. The computer's times of
the edges are the samples; the event `sync` is the beginning of a burst. Without a port nothing is switched.
"""

import contextlib
import fcntl
import os
import struct
import termios
import time
from collections.abc import Iterator
from typing import Any

from dataset.multimodal.bursts import CODE, PERIOD, SECONDS
from tools.multimodal.device import DEVICES, SYNC, WAIT, Device, DeviceError, Sample, Table, host_ns

LEAD, TAIL = 2.0, 2.0  # s before the first burst, and after the last
NEVER = 1 << 62  # ns


@DEVICES.register("sync marks")
class SyncMarks(Device):
    """Level 1 or 0 at each edge."""

    OPTIONS = {"port": "", "every_s": PERIOD, "first_ns": 0}
    store = Table("marks", ("level",))
    silent = 1e9  # it has nothing to say between two bursts

    def open(self) -> None:
        """Open the port and switch off."""
        if not SECONDS + 1 <= self.options["every_s"]:
            raise ValueError(f"every_s is {self.options['every_s']:g}; a burst takes {SECONDS:.1f} s.")
        self._line = None
        if self.options["port"]:
            try:
                self._line = os.open(self.options["port"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError as error:
                raise DeviceError(f"port {self.options['port']} cannot be opened ({error.strerror})") from None
            self._switch(0)

    def start(self) -> None:
        """Plan the bursts."""
        self._begins = self._plan(host_ns())
        self._edges, self._due, self._count = self._burst(), 0, 0

    def _plan(self, now: int) -> Iterator[int]:
        """When bursts begin; none that the end of the recording would cut off, and one just before it."""
        every, first = round(1e9 * self.options["every_s"]), self.options["first_ns"] or now + round(LEAD * 1e9)
        begin = first + max(0, -(-(now - first) // every)) * every  # the next of those agreed upon
        last = now + round(1e9 * (self.seconds - SECONDS - TAIL)) if self.seconds else None
        while last is None or begin <= last:
            yield begin
            begin += every
        if last - (begin - every) > 1e9 * (SECONDS + 1) and self._line is not None:
            yield last

    def _burst(self) -> Iterator[int]:
        """Times of the edges of all bursts."""
        for begin in self._begins:
            yield from (begin + round(1e9 * one) for one in CODE)

    def read(self) -> list[Sample]:
        """The next edge, where its time has come."""
        self._due = self._due or next(self._edges, NEVER)
        left = (self._due - host_ns()) / 1e9
        time.sleep(min(max(left, 0.0), WAIT))
        if left > WAIT:
            return []
        due, self._due, level = self._due, 0, 1 - self._count % 2
        if self._line is not None:
            self._switch(level)
        now = max(host_ns(), due)
        if self._count % len(CODE) == 0:
            self.noted.event(SYNC, due if self._line is None else now)
        self._count += 1
        return [Sample((level,), now, now)]

    def _switch(self, level: int) -> None:
        try:
            fcntl.ioctl(
                self._line, termios.TIOCMBIS if level else termios.TIOCMBIC, struct.pack("I", termios.TIOCM_RTS)
            )
        except OSError as error:
            raise DeviceError(f"port {self.options['port']} switches nothing ({error.strerror})") from None

    def stop(self) -> None:
        """Switch off."""
        if getattr(self, "_line", None) is not None:
            with contextlib.suppress(DeviceError):  # it is gone
                self._switch(0)
            os.close(self._line)
            self._line = None

    def describe(self) -> dict[str, Any]:
        """When it switches."""
        return {"settings": dict(self.options), "clock": "host", "delay_ns": 0}
