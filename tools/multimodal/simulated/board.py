"""A DCA1000 and a radar that are not there: they answer commands and send packets on this computer's loopback."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tools.multimodal.device import host_ns
from tools.multimodal.radar_frames import MOST_DATA, frame_bytes, packet
from tools.multimodal.simulated.body import Clock, breath, mark, pulse

LIGHT = 299_792_458.0  # m/s
CHEST, PLATE = 0.8, 1.6  # m
BREATHING, BEATING = 4.0e-3, 0.25e-3  # m
RECORD, STOP = 5, 6
Network = Callable[[int, bytes], Iterable[bytes]]  # what arrives of packet number k


class Chest:
    """What the radar measures: a chest that breathes and beats, a plate that shows the marks, and a constant offset."""

    def __init__(self, options: Mapping[str, Any]):
        """`options` of the driver and of the marks."""
        self._options = options
        count, rate = options["samples"], options["sample_rate_ksps"] * 1e3
        slope, start = options["slope_mhz_per_us"] * 1e12, options["start_frequency_ghz"] * 1e9
        self._length = LIGHT / start
        self._turns = [2j * np.pi * 2 * slope * d / LIGHT * np.arange(count) / rate for d in (CHEST, PLATE)]
        rng = np.random.default_rng(3)
        shape = (options["chirps"], options["rx"], count, 2)
        self._noise = [rng.normal(0, 12, shape).astype(np.float32) for _ in range(4)]

    def frame(self, t_ns: int, index: int) -> np.ndarray:
        """(chirp, rx, sample, 2) int16 at the host time of the middle of the frame."""
        seconds = t_ns / 1e9
        distance = BREATHING * float(breath(seconds)) + BEATING * float(pulse(seconds))
        chest = 900 * np.exp(self._turns[0] + 4j * np.pi * (CHEST + distance) / self._length)
        plate = 700 * mark(t_ns, self._options, width=0.01) * np.exp(self._turns[1])
        signal = chest + plate + (120 - 80j)
        return np.round(np.stack([signal.real, signal.imag], -1) + self._noise[index % 4]).astype(np.int16)


class Board:
    """The board as threads; `network` may lose, swap and double packets. `port` takes commands, `end` stops it."""

    def __init__(self, options: Mapping[str, Any], network: Network | None = None, deaf: bool = False):
        """`options`: those of the driver; commands are answered unless `deaf`."""
        self._options, self._network, self._deaf = options, network or (lambda number, data: (data,)), deaf
        self._commands = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._commands.bind(("127.0.0.1", 0))
        self._commands.settimeout(0.1)
        self.port = self._commands.getsockname()[1]
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ended, self._recording, self.heard = threading.Event(), threading.Event(), []
        self.sent_frames = 0
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._answer, self._send)]
        for thread in self._threads:
            thread.start()

    def _answer(self) -> None:
        while not self._ended.is_set():
            try:
                message, sender = self._commands.recvfrom(2048)
            except TimeoutError:
                continue
            code = struct.unpack("<HH", message[:4])[1]
            self.heard.append((code, message[6:-2]))
            if code in (RECORD, STOP):
                (self._recording.set if code == RECORD else self._recording.clear)()
            if not self._deaf:
                self._commands.sendto(struct.pack("<HHHH", 0xA55A, code, 0, 0xEEAA), sender)

    def _send(self) -> None:
        while not self._recording.wait(0.05):
            if self._ended.is_set():
                return
        begin, period, chest = host_ns(), self._options["frame_period_ms"] * 1e6, Chest(self._options)
        clock = Clock(begin, 0, self._options["ppm"])
        half = self._options["chirps"] * self._options["chirp_period_us"] * 500  # ns of half of a frame's chirps
        number, offset = 0, 0
        while self._recording.is_set() and not self._ended.is_set():
            at = clock.when(round(self.sent_frames * period))
            time.sleep(max(0.0, (at + 2 * half - host_ns()) / 1e9))
            data = frame_bytes(chest.frame(round(at + half), self.sent_frames), self._options["order"])
            for start in range(0, len(data), MOST_DATA):
                piece = data[start : start + MOST_DATA]
                number += 1
                for arriving in self._network(number, packet(number, offset, piece)):
                    with contextlib.suppress(OSError):
                        self._sender.sendto(arriving, (self._options["host"], self._options["data_port"]))
                offset += len(piece)
            self.sent_frames += 1

    def end(self) -> None:
        """Stop the threads."""
        self._ended.set()
        for thread in self._threads:
            thread.join(2.0)
        self._commands.close()
        self._sender.close()


def free_port() -> int:
    """A UDP port of the loopback that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
