"""The pulse while it is recorded: of the face, as the live page measures it, beside that of the finger.

A camera's process sends what the live page would send (`preview`); one `Tab` measures it and tells where the face is.
Looking for the face takes long and happens in a thread; everything else is asked for by the recorder's own loop.
"""

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.post_process import in_band
from tools.multimodal.recorder import Recorder
from unsupervised_methods.live.protocol import RefusedError
from unsupervised_methods.live.tab import Tab

SECONDS, LEAST, SHOWN = 20.0, 8.0, 6.0  # s of the finger's wave that are kept; from which there is a rate; shown
FS = 50.0  # Hz at which the finger's wave is looked at
BAND = (0.6, 3.3)  # Hz
FINGER = "ppg"  # the table of a device with a pulse wave in its first column
MOST = 20_000  # samples that are kept


class Finger:
    """The last seconds of a wave, and its rate."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._kept: deque[tuple[float, float]] = deque(maxlen=MOST)

    def add(self, points: list[list[float]]) -> None:
        """Points (s, value); what is older than SECONDS is forgotten."""
        self._kept.extend((time, value) for time, value in points if value == value)
        while self._kept and self._kept[0][0] < self._kept[-1][0] - SECONDS:
            self._kept.popleft()

    def wave(self) -> np.ndarray:
        """The wave at FS (L,), filtered; empty where there is too little of it, or none that moves."""
        points = np.array(self._kept).reshape(-1, 2)
        if len(points) < 2 or np.ptp(points[:, 0]) < LEAST or not np.ptp(points[:, 1]):
            return np.zeros(0)
        times = np.arange(points[0, 0], points[-1, 0], 1 / FS)
        return in_band(np.interp(times, points[:, 0], points[:, 1]), FS, BAND)

    def seen(self) -> dict[str, Any]:
        """Rate (bpm) and the last SHOWN seconds of the wave, in hundredths of its spread."""
        wave = self.wave()
        if not len(wave):
            return {"rate": None, "wave": []}
        rate = spectral_peak_heart_rate(wave, FS, BAND)
        shown = wave[-round(SHOWN * FS) :: 2]
        scaled = np.clip(100 * shown / (wave.std() or 1.0), -999, 999).round().astype(int)
        return {"rate": round(rate, 1) if math.isfinite(rate) else None, "wave": scaled.tolist()}


class Face:
    """The tab that measures one camera."""

    def __init__(self, looking: ThreadPoolExecutor):
        """`looking`: where the face is looked for."""
        self._tab, self._looking, self._look = Tab(), looking, None
        self.state: dict[str, Any] = {}
        self.wave: list[int] = []

    def take(self, message: bytes) -> dict[str, Any] | None:
        """Measure a message; where a face was found meanwhile, what its camera has to be told."""
        try:
            told = self._tab.take(message)
        except RefusedError:  # more in a second than a page may send: a fast camera shows less
            return None
        self._keep(told)
        found = self._found()
        if self._tab.picture and self._look is None:
            self._look = self._looking.submit(self._tab.detect)
        return found

    def _found(self) -> dict[str, Any] | None:
        look: Future | None = self._look
        if look is None or not look.done():
            return None
        self._look = None
        told = self._tab.found(look.result())
        self._keep(told)
        return {"region": told["region"], "number": told["number"]}

    def _keep(self, told: dict[str, Any]) -> None:
        self.state = told.get("state", self.state)
        self.wave = told.get("wave", self.wave)


class Pulses:
    """What is measured of every camera and every finger of a recording."""

    def __init__(self, recorder: Recorder):
        """Take part in `recorder`, whose cameras are told that somebody looks."""
        self._recorder, self._looking = recorder, ThreadPoolExecutor(1, "looking")
        self.faces: dict[str, Face] = {}
        self.fingers: dict[str, Finger] = {}
        self._asked: set[str] = set()
        recorder.watchers.append(self._camera)
        recorder.listeners.append(self._table)

    def ask(self) -> None:
        """Tell devices that have begun that somebody looks."""
        for name, one in self._recorder.devices.items():
            if one.alive and one.state and name not in self._asked:
                self._asked.add(name)
                one.link.tell(preview=True, points=True)

    def _camera(self, name: str, message: bytes) -> None:
        told = self.faces.setdefault(name, Face(self._looking)).take(message)
        if told:
            self._recorder.devices[name].link.tell(**told)

    def _table(self, name: str, points: list[list[float]]) -> None:
        if self._recorder.devices[name].described.get("table") == FINGER:
            self.fingers.setdefault(name, Finger()).add(points)

    def seen(self) -> dict[str, dict[str, Any]]:
        """By device: rate (bpm or None), wave, and for faces what the session says."""
        faces = {
            name: {"rate": face.state.get("rate"), "wave": face.wave, "reason": face.state.get("reason", ""),
                   "advice": face.state.get("advice", [])}
            for name, face in self.faces.items()
        }  # fmt: skip
        return faces | {name: finger.seen() for name, finger in self.fingers.items()}

    def close(self) -> None:
        """End the thread."""
        self._looking.shutdown(wait=False, cancel_futures=True)
