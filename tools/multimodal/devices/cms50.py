"""A serial finger oximeter of the CMS50 family (old and new protocol), or one that speaks like it.

It has no clock and no counter: `t_device` is the number of the sample times the nominal period, and what times these
really were, the alignment finds from the arrivals. Samples of one burst arrive together; their host times are spread
backwards by the period. After a silence the count goes on by as many samples as are missing, and an event says so.
"""

import contextlib
import time
from typing import Any

from tools.multimodal import cms50
from tools.multimodal.device import DEVICES, WAIT, Device, DeviceError, Flag, Sample, Table, host_ns
from tools.multimodal.serial_port import Port

PROTOCOLS = {"new": (cms50.new, 115200, "N"), "old": (cms50.old, 19200, "O")}
PROBE = 1.5  # s in which a device that speaks a protocol has sent packets
ENOUGH = 10  # packets by which it is known
KEEP_EVERY = 5.0  # s; without it, some stop after half a minute
SILENT = 1.0  # s after which it is told to begin again


@DEVICES.register("cms50")
class Cms50(Device):
    """The wave (0 to 127, a.u.), saturation (%) and pulse rate (bpm)."""

    OPTIONS = {"port": "/dev/ttyUSB0", "protocol": "auto", "hz": cms50.RATE, "filter_delay_ms": 0.0}
    store = Table("ppg", ("value", "spo2", "hr"))
    restarts = True

    def open(self) -> None:
        """Find out which protocol it speaks."""
        wanted = self.options["protocol"]
        if wanted != "auto" and wanted not in PROTOCOLS:
            raise ValueError(f"protocol is {wanted!r}; known: auto, {', '.join(PROTOCOLS)}.")
        if not 1 <= self.options["hz"] <= 1000:
            raise ValueError(f"hz is {self.options['hz']:g}; 1 to 1000 can be meant.")
        self.rate, self._period = self.options["hz"], round(1e9 / self.options["hz"])
        for name in PROTOCOLS if wanted == "auto" else (wanted,):
            if self._speaks(name):
                break
        else:
            raise DeviceError(
                f"oximeter at {self.options['port']}: no packets. Switch it on with a finger in it, and use the cable "
                "that came with it: its plug is serial, not USB"
            )

    def _speaks(self, name: str) -> bool:
        make, baud, parity = PROTOCOLS[name]
        self.stop()
        self._port, self._parser, self.protocol = Port(self.options["port"], baud, parity), make(), name
        self._begin()
        until, heard = time.monotonic() + PROBE, 0
        while heard < ENOUGH and time.monotonic() < until:
            heard += len(self._parser.feed(self._port.read(WAIT)))
        return heard >= ENOUGH

    def _begin(self) -> None:
        if self.protocol == "new":
            self._port.write(cms50.command(cms50.BEGIN))
        self._kept = time.monotonic()

    def start(self) -> None:
        """Count from here; what waited is old."""
        self._port.flush()
        self._parser = PROTOCOLS[self.protocol][0]()  # the other one may hold half a packet
        now = host_ns()
        if not hasattr(self, "_next"):  # opened again, it counts on
            self._next, self._last, self._heard = 0, now, now
        self._broken = self._parser.broken

    def read(self) -> list[Sample]:
        """The samples that have come."""
        data, now = self._port.read(WAIT), host_ns()
        readings = self._parser.feed(data)
        self._stay_awake(now, bool(readings))
        if not readings:
            return []
        self._count_gap(now, len(readings))
        return [
            self._sample(one, now - (len(readings) - 1 - place) * self._period) for place, one in enumerate(readings)
        ]

    def _stay_awake(self, now: int, heard: bool) -> None:
        if self._parser.broken > self._broken:
            self.noted.counts["broken packets"] += self._parser.broken - self._broken
            self._broken = self._parser.broken
        quiet = (now - self._heard) / 1e9 > SILENT and not heard
        if self.protocol == "new" and time.monotonic() - self._kept > (SILENT if quiet else KEEP_EVERY):
            self._port.write(cms50.command(cms50.BEGIN if quiet else cms50.KEEP))
            self._kept = time.monotonic()

    def _count_gap(self, now: int, count: int) -> None:
        """After a silence, count on by what would have come."""
        gap = (now - self._heard) / 1e9
        self._heard = now
        if gap > SILENT:
            self._next += max(0, round(gap * self.rate) - count)
            self.noted.event(f"silent for {gap:.1f} s")

    def _sample(self, reading: cms50.Reading, host: int) -> Sample:
        self._last = max(host, self._last + 1)  # bursts may overlap by a little
        device, self._next = self._next * self._period, self._next + 1
        flags = () if reading.finger else (Flag("no finger"),)
        self.noted.counts["no finger"] += not reading.finger
        return Sample((reading.wave, reading.saturation, reading.rate), device, self._last, flags)

    def stop(self) -> None:
        """Let it be quiet, and free the port."""
        port = getattr(self, "_port", None)
        if port is None:
            return
        with contextlib.suppress(DeviceError):  # it is gone
            if self.protocol == "new":
                port.write(cms50.command(cms50.END))
        port.close()
        self._port = None

    def describe(self) -> dict[str, Any]:
        """Protocol, and that the times are counted."""
        delay = round(1e6 * self.options["filter_delay_ms"])
        return {
            "settings": dict(self.options), "protocol": self.protocol, "clock": "sample number x nominal period",
            "delay_ns": 0, "filter_delay_ns": delay,
        }  # fmt: skip
