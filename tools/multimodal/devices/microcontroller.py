"""A microcontroller on a serial port that sends a line per sample: its own microseconds, then numbers.

    1234567,512,1\n        micros, wave, mark [, saturation, rate, breathing belt: as `columns` says]

This is what an oximeter lacks: a clock, and a second input for the current that lights the sync mark. Any sensor board
with a few lines of program can do it; `columns` names what follows the time. `micros` begins anew after 71.6 minutes.
"""

from typing import Any

from dataset.multimodal.layout import PPG_EXTRAS
from tools.multimodal.device import DEVICES, WAIT, Device, DeviceError, Sample, Table, host_ns
from tools.multimodal.serial_port import Port

TURN = 1 << 32  # us
LONGEST = 200  # letters of a line
PROBE = 3.0  # s: boards that begin anew when the port is opened need two
KNOWN = ("value", *PPG_EXTRAS)


@DEVICES.register("microcontroller")
class Microcontroller(Device):
    """Rows of numbers into ppg.csv."""

    OPTIONS = {"port": "/dev/ttyACM0", "baud": 115200, "columns": "value,mark", "hz": 100.0, "filter_delay_ms": 0.0}

    def open(self) -> None:
        """Wait for a first whole line."""
        columns = tuple(part.strip() for part in self.options["columns"].split(","))
        if columns[0] != KNOWN[0] or not set(columns) <= set(KNOWN) or len(set(columns)) != len(columns):
            raise ValueError(
                f"columns is {self.options['columns']!r}; value first, then any of {', '.join(PPG_EXTRAS)}."
            )
        self.store, self.rate = Table("ppg", columns), self.options["hz"]
        self._port = Port(self.options["port"], self.options["baud"])
        self._begin_anew()
        until = host_ns() + PROBE * 1e9
        while not self._rows(self._port.read(WAIT)):
            if host_ns() > until:
                raise DeviceError(
                    f"board at {self.options['port']}: no line of {1 + len(columns)} numbers "
                    f"(micros,{','.join(columns)}). Is its program running, at the same speed?"
                )

    def start(self) -> None:
        """What waited is old."""
        self._port.flush()
        self._begin_anew()
        self._last = host_ns()

    def _begin_anew(self) -> None:
        """Nothing came yet: the next bytes may be the end of a line, whose number is not the whole time."""
        self._held, self._cut, self._turns, self._micros = b"", True, 0, 0

    def read(self) -> list[Sample]:
        """The lines that have come; those of one burst are spread backwards by the board's own times."""
        data, now = self._port.read(WAIT), host_ns()
        rows = self._rows(data)
        found = []
        for micros, values in rows:
            self._last = max(self._last + 1, now - 1000 * (rows[-1][0] - micros))
            found.append(Sample(values, 1000 * micros, self._last))
        return found

    def _rows(self, data: bytes) -> list[tuple[int, tuple[float, ...]]]:
        """Whole lines as (microseconds, values); a damaged one counts and is left out."""
        *lines, self._held = (self._held + data).split(b"\n")
        self._held = self._held[-LONGEST:]
        whole, found = lines[1:] if self._cut else lines, []
        self._cut = self._cut and not lines
        for line in whole:
            try:
                micros, *values = line.strip().split(b",")
                row = (self._since(int(micros)), tuple(float(value) for value in values))
                if len(values) != len(self.store.columns):
                    raise ValueError
            except ValueError:
                self.noted.counts["damaged lines"] += 1
                continue
            found.append(row)
        return found

    def _since(self, micros: int) -> int:
        """Microseconds since power-on."""
        if not 0 <= micros < TURN:
            raise ValueError
        if micros < self._micros - TURN // 2:
            self._turns += 1
        self._micros = micros
        return micros + self._turns * TURN

    def stop(self) -> None:
        """Free the port."""
        if hasattr(self, "_port"):
            self._port.close()

    def describe(self) -> dict[str, Any]:
        """What the columns are."""
        delay = round(1e6 * self.options["filter_delay_ms"])
        return {"settings": dict(self.options), "clock": "board, micros", "delay_ns": 0, "filter_delay_ns": delay}
