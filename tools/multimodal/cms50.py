"""What finger oximeters of the CMS50 family send, byte by byte.

Old (CMS50D+ to firmware 4.5): five bytes at 19200 baud, 8O1, unprompted; only the first has bit 7. New (4.6, EW, FW):
nine bytes at 115200, 8N1, after a command; only the first lacks bit 7, the second holds the top bits of the others.
Both 60 times a second; neither has a counter, so a lost packet shows only in time.
"""

from collections.abc import Callable
from dataclasses import dataclass

RATE = 60.0  # packets per second
BEGIN, END, KEEP = 0xA1, 0xA2, 0xAF  # commands of the new protocol
LIVE = 1  # type of a packet with a wave


@dataclass(frozen=True)
class Reading:
    """Wave 0 to 127 (a.u.), pulse rate in bpm and saturation in percent (NaN where unknown), finger in place."""

    wave: int
    rate: float
    saturation: float
    finger: bool


def command(code: int) -> bytes:
    """A command of the new protocol."""
    return bytes([0x7D, 0x81, code]) + b"\x80" * 6


class Parser:
    """Bytes in, readings out. `broken` counts packets that were given up because a byte was missing or wrong."""

    def __init__(self, size: int, is_first: Callable[[int], bool], decode: Callable[[bytes], Reading | None]):
        """`is_first` tells a first byte from the others; `decode` gives None for a packet without a reading."""
        self._size, self._is_first, self._decode = size, is_first, decode
        self._held = bytearray()
        self.broken = 0

    def feed(self, data: bytes) -> list[Reading]:
        """The readings that `data` completes."""
        found = []
        for byte in data:
            if self._is_first(byte):
                self.broken += bool(self._held)
                self._held.clear()
            elif not self._held:
                continue  # the rest of a packet whose beginning was not heard
            self._held.append(byte)
            if len(self._held) == self._size:
                reading = self._decode(bytes(self._held))
                self._held.clear()
                found += [reading] if reading else []
        return found


def old() -> Parser:
    """Five bytes."""
    return Parser(5, lambda byte: byte >= 0x80, _five)


def new() -> Parser:
    """Nine bytes; packets of other types have other lengths and count for nothing."""
    return Parser(9, lambda byte: byte < 0x80, _nine)


def _five(packet: bytes) -> Reading:
    rate = packet[3] | (packet[2] & 0x40) << 1
    return _reading(packet[1], rate, packet[4], finger=not packet[0] & 0x10)


def _nine(packet: bytes) -> Reading | None:
    if packet[0] & 0x0F != LIVE:
        return None
    values = [packet[place] & 0x7F | (packet[1] >> place - 2 & 1) << 7 for place in range(2, 9)]
    status, wave, _, rate, saturation = values[:5]
    return _reading(wave & 0x7F, rate, saturation, finger=not status & 0x10)


def _reading(wave: int, rate: int, saturation: int, finger: bool) -> Reading:
    known = finger and 0 < rate < 255
    return Reading(
        wave,
        float(rate) if known else float("nan"),
        float(saturation) if 0 < saturation <= 100 else float("nan"),
        finger,
    )


def five_bytes(reading: Reading) -> bytes:
    """A packet of the old protocol: the inverse of its parser, for simulated devices."""
    rate = 0 if reading.rate != reading.rate else round(reading.rate)
    saturation = 127 if reading.saturation != reading.saturation else round(reading.saturation)
    return bytes([0x85 | (not reading.finger) << 4, reading.wave, (rate & 0x80) >> 1 | 3, rate & 0x7F, saturation])


def nine_bytes(reading: Reading) -> bytes:
    """A packet of the new protocol."""
    rate = 0 if reading.rate != reading.rate else round(reading.rate)
    saturation = 127 if reading.saturation != reading.saturation else round(reading.saturation)
    values = [(not reading.finger) << 4, reading.wave, 3, rate, saturation, 127, 127]
    tops = sum((value >> 7) << place for place, value in enumerate(values))
    return bytes([LIVE, 0x80 | tops, *(0x80 | value & 0x7F for value in values)])
