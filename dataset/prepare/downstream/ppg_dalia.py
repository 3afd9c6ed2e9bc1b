"""PPG-DaLiA: 15 people in daily life, PPG of the wrist at 64 Hz, breathing of the chest at 700 Hz.

Reiss, Indlekofer, Schmidt and Van Laerhoven, "Deep PPG: Large-scale heart rate estimation with convolutional neural
networks", Sensors 19(14):3079, 2019. The files are described in the readme of the published archive:

    RAW/S1/S1.pkl   Python 2 pickle: {"signal": {"wrist": {"BVP": (n, 1)}, "chest": {"Resp": (m, 1)}},
                    "label": (w,) bpm of windows of 8 s every 2 s, "subject": "S1", ...}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

from dataset.clips.resampling import change_rate
from dataset.files.pickles import read_pickle
from dataset.files.reading import AGAIN
from dataset.prepare.downstream.common import Options, Piece, Preparation
from evaluation.post_process import bandpass
from registry import PREPARATIONS

PPG_FS, RESP_FS = 64.0, 700.0
SLOWER = 28  # the breathing is looked at at 25 Hz
FILTER, BAND = (0.08, 2.0), (0.1, 0.5)  # Hz: what is kept of the breathing, and where its rate is looked for
BINS = 1 << 14  # of the spectrum: 0.0015 Hz apart


class PPGDaLiA(Preparation):
    """Both tasks; 12, 1 and 2 of 15 people."""

    source = "Reiss et al., Sensors 19(14):3079, 2019 (PPG-DaLiA); CC BY 4.0"
    ratios = (12 / 15, 1 / 15, 2 / 15)

    def __init__(self, raw: Path, options: Options):
        """Find the pickles."""
        super().__init__(raw, options)
        self.about["rate"] = PPG_FS
        self.paths = self.files("S*.pkl", "one pickle of each person, S1/S1.pkl")

    def subjects(self) -> list[str]:
        """S1, S2 ..."""
        return [path.stem for path in self.paths]

    def read(self, path: Path) -> dict[str, Any]:
        """The pickle; ValueError for one that is none, holds code, or has another layout."""
        content = read_pickle(path)
        try:
            found = {"bvp": np.ravel(content["signal"]["wrist"]["BVP"]).astype(float), "label": content.get("label")}
            found["resp"] = content["signal"]["chest"].get("Resp")
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise ValueError(f"'{path}' has another layout than S1.pkl of PPG-DaLiA: {error}. {AGAIN}") from None
        return found


@PREPARATIONS.register("ppg_dalia_hr")
class HeartRate(PPGDaLiA):
    """The given rate of each window of 8 s, every 2 s."""

    labels, units = ("hr",), {"hr": "bpm"}

    def pieces(self) -> Iterator[Piece]:
        """A person at a time."""
        for path in self.paths:
            found = self.read(path)
            windows, count = self.windows(found["bvp"], PPG_FS, 8.0, 2.0)
            if found["label"] is None:
                raise ValueError(f"'{path}' has no 'label', the rates of its windows. {AGAIN}")
            rates = np.ravel(found["label"]).astype(float)
            count = min(count, len(rates))
            yield Piece(path.stem, windows[:count], rates[:count])


@PREPARATIONS.register("ppg_dalia_rr")
class BreathingRate(PPGDaLiA):
    """The breathing rate of each window of 1,250 samples at 64 Hz (19.53 s), every second.

    Of 19.53 s the middle 10 s are the input (`resize` stretch: all of them), the label is of all.
    """

    labels = ("rr",)
    used = ("label_unit",)

    def __init__(self, raw: Path, options: Options):
        """Breaths per minute, or Hz as CM-SSL stores them."""
        super().__init__(raw, options)
        self.units = {"rr": "Hz" if options.label_unit == "hz" else "breaths/min"}

    def pieces(self) -> Iterator[Piece]:
        """A person at a time."""
        for path in self.paths:
            found, seconds = self.read(path), 1250 / PPG_FS
            if found["resp"] is None:
                raise ValueError(f"'{path}' has no 'Resp' of the chest. {AGAIN}")
            windows, count = self.windows(found["bvp"], PPG_FS, seconds, 1.0)
            rates = breathing(np.ravel(found["resp"]).astype(float), RESP_FS, seconds, 1.0)
            count = min(count, len(rates))
            factor = 1.0 if self.options.label_unit == "hz" else 60.0
            yield Piece(path.stem, windows[:count], rates[:count] * factor)


def breathing(belt: np.ndarray, fs: float, seconds: float, shift: float) -> np.ndarray:
    """Breathing rate (k,) in Hz of windows of a belt (T,): peak of the spectrum from 0.1 to 0.5 Hz; NaN if flat."""
    slow = change_rate(belt, 1, SLOWER).astype(float)
    rate = fs / SLOWER
    wave = bandpass(slow, rate, FILTER, order=2)
    length = round(seconds * rate)
    count = max(0, int((len(belt) / fs - seconds) / shift + 1e-9) + 1)
    found = np.full(count, np.nan)
    for k in range(count):
        part = wave[round(k * shift * rate) :][:length]
        if len(part) < length - 1 or not np.isfinite(part).all() or np.ptp(part) < 1e-12:
            continue
        where, power = scipy.signal.welch(part, rate, nperseg=len(part), nfft=BINS)
        inside = (where >= BAND[0]) & (where <= BAND[1])
        found[k] = where[inside][np.argmax(power[inside])]
    return found
