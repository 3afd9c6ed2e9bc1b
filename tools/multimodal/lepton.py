"""Frames of a FLIR Lepton on a PureThermal board: pixels, and what the telemetry rows below them say.

Two rows of 160 words follow the picture: telemetry rows A, B and C of 80 words each. Row A holds the time since
power-on (words 1 and 2, ms), the status (3 and 4), the frame counter (20 and 21); low word first. Row C word 49 holds
the scale of radiometric parts: 0 for tenths of a kelvin, 1 for hundredths.
"""

from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, EXTRA = 160, 120, 2
FFC_RUNNING = 2  # of the shutter that is used to correct the picture
WORDS = 80  # of a telemetry row
PLAUSIBLE = (230.0, 430.0)  # K: a room with people in it


@dataclass(frozen=True)
class Telemetry:
    """What a frame says of itself; `per_count` in kelvin."""

    milliseconds: int
    ffc: int
    counter: int
    per_count: float


def split(frame: np.ndarray, height: int = HEIGHT) -> tuple[np.ndarray, Telemetry | None]:
    """The picture (height, W) and its telemetry, None where there are no rows for it."""
    if len(frame) < height + EXTRA:
        return frame[:height], None
    words = frame[height : height + EXTRA].reshape(-1).astype(np.int64)
    scale = 0.01 if words[2 * WORDS + 49] == 1 else 0.1
    return frame[:height], Telemetry(_long(words, 1), _long(words, 3) >> 4 & 3, _long(words, 20), scale)


def joined(picture: np.ndarray, one: Telemetry) -> np.ndarray:
    """A frame as the board sends it: `picture` (H, W) uint16 with telemetry rows below."""
    words = np.zeros(EXTRA * picture.shape[1], np.uint16)
    for place, value in ((1, one.milliseconds), (3, one.ffc << 4), (20, one.counter)):
        words[place : place + 2] = value & 0xFFFF, value >> 16 & 0xFFFF
    words[2 * WORDS + 49] = one.per_count == 0.01
    return np.vstack([picture, words.reshape(EXTRA, -1)])


def scale_of(picture: np.ndarray) -> float | None:
    """Kelvin per count of a picture without telemetry: the one with which it shows a room, None where none does."""
    middle = float(np.median(picture))
    return next((scale for scale in (0.01, 0.1) if PLAUSIBLE[0] <= middle * scale <= PLAUSIBLE[1]), None)


def _long(words: np.ndarray, place: int) -> int:
    return int(words[place]) | int(words[place + 1]) << 16
