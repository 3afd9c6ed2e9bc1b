"""Raw data of a TI radar through a DCA1000EVM: commands over UDP, data over UDP, chirps by the radar's serial port.

The order matters, or the first packets are missed: bind the sockets, set the board up, start its recording, and only
then let the radar send. No packet has a time: `t_device` is the frame's number times the configured period. What the
network lost is filled with zeros and flagged `filled` with the number of bytes.
"""

import contextlib
import select
import socket
import struct
import time
from pathlib import Path
from typing import Any

from tools.multimodal.device import DEVICES, WAIT, Array, Device, DeviceError, Flag, Sample, host_ns
from tools.multimodal.radar_frames import Frame, Frames, samples
from tools.multimodal.radar_profile import compare, read_profile
from tools.multimodal.serial_port import Port

START, END = 0xA55A, 0xEEAA
RESET_FPGA, CONFIGURE, CONFIGURE_PACKETS, RECORD, STOP, PING = 1, 3, 11, 5, 6, 9  # commands
RAW, LVDS, ETHERNET, BITS16, TIMER = 1, 1, 2, 3, 30  # of the FPGA's configuration
PACKET = 1472  # bytes of a packet as the board counts them
NS_PER_TICK = 8  # of the pause between two packets
ANSWER, LINE, TRIES = 1.0, 2.0, 3  # s for an answer of the board, and of a line of the radar; attempts
MOST_AT_ONCE = 256  # packets in one `read`


@DEVICES.register("dca1000")
class Dca1000(Device):
    """Frames (chirp, rx, sample, 2) int16."""

    OPTIONS = {
        "host": "192.168.33.30", "board": "192.168.33.180", "board_port": 4096, "command_port": 4096, "data_port": 4098,
        "lanes": 2, "delay_us": 25, "order": "IQ", "cli": "", "config": "", "chirps": 16, "rx": 4, "samples": 128,
        "frame_period_ms": 50.0, "start_frequency_ghz": 77.0, "slope_mhz_per_us": 60.0, "sample_rate_ksps": 5000,
        "chirp_period_us": 100.0, "tx": 1,
    }  # fmt: skip
    store = Array("adc")

    def open(self) -> None:
        """Bind, and set the board up."""
        options = self.options
        self._require_possible()
        self._lines = self._profile(options["config"]) if options["config"] else []
        self._size = 4 * options["chirps"] * options["rx"] * options["samples"]  # I and Q of 16 bits
        self.rate = 1e3 / options["frame_period_ms"]
        self._frames = Frames(self._size, self.noted.counts)
        self._data = self._bound(options["data_port"])
        self._commands = self._bound(options["command_port"])
        self._room = self._make_room()
        lanes = {4: 1, 2: 2}[options["lanes"]]
        self._command(PING)
        self._command(RESET_FPGA)
        self._command(CONFIGURE, bytes([RAW, lanes, LVDS, ETHERNET, BITS16, TIMER]))
        ticks = options["delay_us"] * 1000 // NS_PER_TICK
        self._command(CONFIGURE_PACKETS, struct.pack("<HHH", PACKET, ticks, 0))

    def _require_possible(self) -> None:
        options = self.options
        counts = [options[name] for name in ("chirps", "rx", "samples")]
        if not all(0 < count <= 4096 for count in counts) or options["samples"] % 2 or options["lanes"] not in (2, 4):
            raise ValueError("dca1000: chirps, rx and samples (even) are 1 to 4096, lanes is 2 or 4.")
        if (
            options["order"] not in ("IQ", "QI")
            or not 5 <= options["delay_us"] <= 500
            or not options["frame_period_ms"] > 0
        ):
            raise ValueError("dca1000: order is IQ or QI, delay_us 5 to 500, frame_period_ms above 0.")
        if bool(options["cli"]) != bool(options["config"]):
            raise ValueError("dca1000: cli (the radar's port) and config (its lines) belong together.")

    def _profile(self, name: str) -> list[str]:
        """What the radar is told; ValueError where it would then send other frames than the options say."""
        lines = read_profile(Path(name))
        unknown = compare(lines, self.options, name)
        if unknown:
            self.noted.event(f"'{name}' does not say {', '.join(unknown)}: taken as the setup has them")
        return lines

    def _bound(self, port: int) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            one.bind((self.options["host"], port))
        except OSError as error:
            one.close()
            raise DeviceError(
                f"radar: {self.options['host']}:{port} cannot be bound ({error.strerror}). Give the network card this "
                "address, and end other programs that read the board"
            ) from None
        one.setblocking(False)
        return one

    def _make_room(self) -> int:
        """Ask the system to hold two frames for us; how many bytes it gives."""
        wanted = max(2 * self._size, 4 << 20)
        self._data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        given = self._data.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if given < 2 * self._size:
            self.noted.event(
                f"the system holds {given} bytes of packets; sysctl net.core.rmem_max={wanted} lets it hold more"
            )
        return given

    def _command(self, code: int, payload: bytes = b"") -> None:
        """Send a command until it is answered. DeviceError without an answer, or with one that says no."""
        message = struct.pack("<HHH", START, code, len(payload)) + payload + struct.pack("<H", END)
        place = (self.options["board"], self.options["board_port"])
        for _ in range(TRIES):
            with contextlib.suppress(OSError):
                self._commands.sendto(message, place)
            status = self._answer(code)
            if status == 0:
                return
            if status is not None:
                raise DeviceError(f"radar: the DCA1000 refuses command {code} (status {status}). Reset it")
        raise DeviceError(
            f"radar: the DCA1000 at {place[0]} does not answer command {code}. Is it on, in software mode, and on this "
            "network card?"
        )

    def _answer(self, code: int) -> int | None:
        until = time.monotonic() + ANSWER
        while (left := until - time.monotonic()) > 0 and select.select([self._commands], [], [], left)[0]:
            with contextlib.suppress(OSError, struct.error):
                begin, answered, status, end = struct.unpack("<HHHH", self._commands.recv(64))
                if (begin, answered, end) == (START, code, END):
                    return status
        return None

    def start(self) -> None:
        """Record, then let the radar send."""
        self._command(RECORD)
        if not self.options["cli"]:
            return
        self._cli = Port(self.options["cli"], 115200)
        for line in [*self._lines, "sensorStart"]:
            self._tell_radar(line)

    def _tell_radar(self, line: str) -> None:
        """Send a line and wait until the radar says Done."""
        self._cli.flush()
        self._cli.write(line.encode("ascii", "replace") + b"\n")
        heard, until = b"", time.monotonic() + LINE
        while b"Done" not in heard and time.monotonic() < until:
            heard += self._cli.read(WAIT)
            if b"Error" in heard or b"not recognized" in heard:
                break
        if b"Done" not in heard:
            said = heard.decode("ascii", "replace").strip().splitlines()
            raise DeviceError(
                f"radar: {line!r} was not done ({said[-1] if said else 'no answer'}). Press its reset button"
            )

    def read(self) -> list[Sample]:
        """Frames that are whole, or given up."""
        if not select.select([self._data], [], [], WAIT)[0]:
            return []
        found: list[Sample] = []
        for _ in range(MOST_AT_ONCE):
            try:
                received, sender = self._data.recvfrom(2048)
            except BlockingIOError:
                break
            if sender[0] != self.options["board"]:
                self.noted.counts["stray packets"] += 1
                continue
            found += [self._sample(frame) for frame in self._frames.add(received, host_ns())]
        return found

    def _sample(self, frame: Frame) -> Sample:
        options = self.options
        data = samples(
            bytes(frame.data), options["chirps"], options["rx"], options["samples"], options["lanes"], options["order"]
        )
        device = round(frame.index * options["frame_period_ms"] * 1e6)
        return Sample(data, device, frame.t_host_ns, (Flag("filled", frame.missing),) if frame.missing else ())

    def stop(self) -> None:
        """Stop the radar, then the board."""
        if getattr(self, "_cli", None):
            with contextlib.suppress(DeviceError):
                self._tell_radar("sensorStop")
            self._cli.close()
            self._cli = None
        if hasattr(self, "_commands") and self._commands.fileno() >= 0:
            with contextlib.suppress(DeviceError):
                self._command(STOP)
            self._commands.close()
        if hasattr(self, "_data"):
            self._data.close()

    def describe(self) -> dict[str, Any]:
        """Chirps, and how much the system holds."""
        options = self.options
        chirp = {
            "start_frequency_hz": options["start_frequency_ghz"] * 1e9,
            "slope_hz_per_s": options["slope_mhz_per_us"] * 1e12,
            "sample_rate_hz": options["sample_rate_ksps"] * 1e3, "chirps_per_frame": options["chirps"],
            "chirp_period_s": options["chirp_period_us"] / 1e6, "frame_period_s": options["frame_period_ms"] / 1e3,
            "antennas": [[tx, rx] for tx in range(options["tx"]) for rx in range(options["rx"])],
        }  # fmt: skip
        half = round(options["chirps"] * options["chirp_period_us"] * 1e3 / 2)
        return {
            "settings": dict(options), "clock": "frame number x configured period", "receive_buffer": self._room,
            "delay_ns": -half, "files": {"chirp.json": chirp},
        }  # fmt: skip
