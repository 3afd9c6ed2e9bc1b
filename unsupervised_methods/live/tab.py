"""One open page: its messages go in, what it is told comes out. Knows nothing of sockets."""

import math
import time as clock
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from dataset.face.boxes import Box
from evaluation.consensus import LEVEL, Answer
from unsupervised_methods.live.protocol import Message, RefusedError, read_message
from unsupervised_methods.live.rolling import GAP
from unsupervised_methods.live.session import Session
from unsupervised_methods.live.voters import Voter

MOST_MESSAGES = 160  # a second: a camera of 120 frames, and pictures
WAVE_SHOWN = 6.0  # s
TOLD_EVERY = 0.5  # s of the page's clock between two states


class Tab:
    """The session of one page. `take` answers each of its messages; RefusedError for what the page does not send.

    A picture waits in `picture`: `detect` takes long and may run beside `take`, and `found` says what came of it.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic, voter: Voter | None = None):
        """`now`: this machine's clock in s, by which messages are counted. `voter`: who measures."""
        self._session, self._now = Session(voter=voter), now
        self.picture: Message | None = None
        self._arrived: deque[float] = deque(maxlen=MOST_MESSAGES)
        self._sequence, self._last, self._before = -1, -math.inf, b""
        self._waved, self._told = -math.inf, -math.inf

    def take(self, data: bytes) -> dict[str, Any]:
        """What the page is told after the message `data`; always the `sequence` up to which it was read.

        A picture that comes while another one waits counts for nothing.
        """
        self._count()
        message = read_message(data)
        if message.sequence <= self._sequence:
            raise RefusedError(f"message {message.sequence} after {self._sequence}")
        self._sequence = message.sequence
        told = {"sequence": message.sequence}
        if message.whole:
            self.picture = self.picture or message
            return told
        if not self._measure(message):
            return told
        return told | self._wave(message) | self._state(message.time)

    def detect(self) -> np.ndarray:
        """Boxes (N, 4) in the picture that waits."""
        return self._session.detect(self.picture.pixels)

    def found(self, boxes: np.ndarray) -> dict[str, Any]:
        """What the page is told once `detect` has found `boxes`: face, and region to send, as shares of the frame."""
        one, session, self.picture = self.picture, self._session, None
        session.look(one.pixels, boxes, one.time, one.shape)
        face = None if session.face is None else _shares(session.face, one.shape)
        region = None if session.box is None else _shares(session.box, one.shape)
        told = {"sequence": one.sequence, "face": face, "region": region, "number": session.number}
        return told if session.box is not None else told | self._state(one.time)

    def _count(self) -> None:
        """RefusedError for more messages in a second than a page sends."""
        now = self._now()
        if len(self._arrived) == MOST_MESSAGES and now - self._arrived[0] < 1.0:
            raise RefusedError(f"more than {MOST_MESSAGES} messages in a second")
        self._arrived.append(now)

    def _measure(self, message: Message) -> bool:
        """Give the pixels to the session; False for those that were sent twice or come late."""
        pixels = message.pixels.tobytes()
        if message.time < self._last - GAP:
            self._session.start_anew()  # the page's clock was set back
            self._waved = self._told = -math.inf
        elif message.time <= self._last or pixels == self._before:
            return False
        self._last, self._before = message.time, pixels
        try:
            self._session.add(message.pixels, message.time, message.number)
        except ValueError as error:
            raise RefusedError(str(error)) from None
        return True

    def _wave(self, message: Message) -> dict[str, Any]:
        """The wave of the last seconds, in hundredths of its spread, now and then."""
        if message.time - self._waved < self._session.voter.every:
            return {}
        self._waved = message.time  # also where there is none: to find that out takes time, too
        found = self._session.wave(WAVE_SHOWN)
        if found is None:
            return {}
        times, wave = found
        scaled = np.clip(100 * wave / (wave.std() or 1.0), -999, 999).round().astype(int)
        return {"wave": scaled.tolist(), "step": round(1000 * float(times[1] - times[0]), 3)}

    def _state(self, time: float) -> dict[str, Any]:
        """Rate, confidence and advice, twice a second."""
        if abs(time - self._told) < TOLD_EVERY:
            return {}
        self._told = time
        return {"state": state(self._session)}


def state(session: Session) -> dict[str, Any]:
    """What is known now, for a page or a terminal."""
    one: Answer | None = session.colours.answer
    told = {
        "seconds": round(session.colours.kept.seconds, 1),
        "fps": _known(session.colours.kept.fps),
        "advice": session.advice(),
        "face": session.face is not None,
        "needed": LEVEL,
        "method": session.voter.name,
    }
    if one is None:
        return told
    low, high = one.interval
    return told | {
        "reliable": one.reliable,
        "rate": _known(one.heart_rate),
        "low": _known(low) if one.reliable else None,
        "high": _known(high) if one.reliable else None,
        "confidence": round(one.confidence, 2),
        "reason": one.reason,
    }


def _known(value: float) -> float | None:
    return round(float(value), 1) if math.isfinite(value) else None


def _shares(box: Box | np.ndarray, shape: tuple[int, int]) -> list[float]:
    """`box` x, y, w, h in pixels as shares of a frame of `shape` (H, W)."""
    size = (shape[1], shape[0], shape[1], shape[0])
    return [round(float(value) / whole, 5) for value, whole in zip(box, size, strict=True)]
