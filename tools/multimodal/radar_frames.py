"""From the packets of a DCA1000 to radar frames: every byte goes where its counter says.

A packet holds a sequence number (u32, from 1), the offset of its first byte since the start (u48) and up to 1456 bytes;
frames begin and end anywhere in it. Packets may come late, twice or never. A frame waits for what it lacks until
PATIENCE frames after it have begun; then zeros stand for what never came, and their number is told.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

HEAD, MOST_DATA = 10, 1456  # bytes
PATIENCE, LATEST = 2, 4  # frames, and packets where frames are small, after which nothing is waited for
FARTHEST = 1 << 30  # bytes ahead of the newest that a counter may jump; more is damage
_HEAD = struct.Struct("<IHI")  # sequence, lower 16 and upper 32 bits of the offset


def packet(sequence: int, offset: int, data: bytes) -> bytes:
    """A packet as the board sends it."""
    return _HEAD.pack(sequence, offset & 0xFFFF, offset >> 16) + data


@dataclass
class Frame:
    """Bytes of one frame while they come; `missing` of them have not; `t_host_ns` is when the newest came."""

    index: int
    data: bytearray
    missing: int
    t_host_ns: int = 0
    offsets: set[int] = field(default_factory=set)  # of the pieces that are in


class Frames:
    """Put packets together into frames of `size` bytes, in order. `counts` are of packets, frames and bytes."""

    def __init__(self, size: int, counts: Counter):
        """Nothing has come."""
        self._size, self.counts = size, counts
        self._patience = max(PATIENCE, -(-LATEST * MOST_DATA // size) + 1)
        self._open: dict[int, Frame] = {}
        self._next, self._newest, self._end = 0, 0, 0  # frame to hand out, newest sequence number, newest byte
        self._missing: set[int] = set()  # sequence numbers that may still come late

    def add(self, received: bytes | memoryview, t_host_ns: int) -> list[Frame]:
        """Take in a packet; the frames that this completes or gives up, in order."""
        if not HEAD < len(received) <= HEAD + MOST_DATA:
            self.counts["stray packets"] += 1
            return []
        sequence, low, high = _HEAD.unpack_from(received)
        offset, length = low | high << 16, len(received) - HEAD
        if not self._is_possible(sequence, offset):
            self.counts["stray packets"] += 1
            return []
        if not self._is_new(sequence):
            return []
        self._end = max(self._end, offset + length)
        self._place(offset, memoryview(received)[HEAD:], t_host_ns)
        return self._ready()

    def _is_possible(self, sequence: int, offset: int) -> bool:
        """Whether the counters go on from those before; the first packet may be any."""
        near = offset <= self._end + FARTHEST and sequence <= self._newest + FARTHEST // MOST_DATA
        return sequence > 0 and (near or not self._newest)

    def _is_new(self, sequence: int) -> bool:
        """Whether this packet has not come before; what is skipped counts as lost until it comes."""
        if sequence > self._newest:
            skipped = range(max(self._newest + 1, sequence - 4096), sequence)
            self.counts["lost packets"] += sequence - self._newest - 1
            self._missing.update(skipped)
            self._newest = sequence
            if len(self._missing) > 8192:
                self._missing = {one for one in self._missing if one > sequence - 4096}
            return True
        if sequence in self._missing:
            self._missing.discard(sequence)
            self.counts["late packets"] += 1
            self.counts["lost packets"] -= 1
            return True
        self.counts["doubled packets"] += 1
        return False

    def _place(self, offset: int, data: memoryview, t_host_ns: int) -> None:
        while len(data):
            index, start = divmod(offset, self._size)
            piece = data[: self._size - start]
            if index >= self._next:
                frame = self._open.get(index) or self._open.setdefault(
                    index, Frame(index, bytearray(self._size), self._size)
                )
                if start not in frame.offsets:
                    frame.offsets.add(start)
                    frame.data[start : start + len(piece)] = piece
                    frame.missing = max(0, frame.missing - len(piece))
                    frame.t_host_ns = max(frame.t_host_ns, t_host_ns)
            else:
                self.counts["packets after their frame"] += 1
            offset, data = offset + len(piece), data[len(piece) :]

    def _ready(self) -> list[Frame]:
        """Frames that are whole, and those for which the patience is at its end."""
        begun, found = max(self._open, default=-1), []
        while self._next <= begun:
            frame = self._open.get(self._next)
            if (frame is None or frame.missing) and begun - self._next < self._patience:
                break
            handed = self._hand_out(self._next)
            if handed is not None:
                found.append(handed)
            elif not self._open:
                break
        return found

    def _hand_out(self, index: int) -> Frame | None:
        """The frame, with what is missing counted; None where nothing of it came."""
        frame = self._open.pop(index, None)
        self._next = index + 1
        if frame is None:
            first = min(self._open, default=self._next)
            self.counts["lost frames"] += first - index
            self._next = max(self._next, first)
            return None
        if frame.missing:
            self.counts["filled bytes"] += frame.missing
        return frame


def samples(data: bytes, chirps: int, rx: int, count: int, lanes: int = 2, order: str = "IQ") -> np.ndarray:
    """A frame's bytes as int16 (chirp, rx, sample, 2), the last axis I and Q.

    Two lanes: two samples of one part, then two of the other; four lanes: each part of all receivers in turn. `order`
    says which part the board sends first: check it with a reflector, because swapped parts mirror the range.
    """
    raw = np.frombuffer(data, "<i2")
    if lanes == 2:
        parts = raw.reshape(chirps, rx, count // 2, 2, 2).swapaxes(3, 4).reshape(chirps, rx, count, 2)
    else:
        parts = raw.reshape(chirps, count, 2, rx).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(parts if order == "IQ" else parts[..., ::-1])


def frame_bytes(array: np.ndarray, order: str = "IQ") -> bytes:
    """An array (chirp, rx, sample, 2) int16 as two lanes send it: the inverse of `samples`."""
    parts = array if order == "IQ" else array[..., ::-1]
    chirps, rx, count, _ = parts.shape
    return parts.reshape(chirps, rx, count // 2, 2, 2).swapaxes(3, 4).astype("<i2").tobytes()
