"""PURE: a folder of PNG files with time stamps in their names, and one JSON file with the pulse oximeter's samples.

Stricker, Mueller & Gross, "Non-contact video-based pulse rate measurement on a mobile service robot", RO-MAN 2014:

    01-01/01-01/Image<ns>.png   640 x 480, 30 Hz; <ns> counts nanoseconds on the recording computer's clock
    01-01/01-01.json            /FullPackage: [{Timestamp, Value: {waveform, pulseRate, o2saturation, signalStrength}}]
                                at 60 Hz (pulox CMS50E: whole numbers), /Image: [{Timestamp, Value}]
"""

import json
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.layouts import LAYOUTS
from dataset.synthetic.render import Session, Truth

_START = 1_392_643_993_642_815_000  # ns: a day in February 2014; any start will do
_STEADY = 3  # PNG compression: the level trades time for size only


@LAYOUTS.register("PURE")
class PURELayout:
    """Writes one recording (setup 01) of each subject; `codec` has no meaning here."""

    def folder(self, number: int) -> str:
        """Folder of recording `number`: subject and setup, two digits each."""
        return f"{number:02d}-01"

    def write(self, folder: Path, session: Session) -> None:
        """Images and JSON."""
        name = self.folder(session.subject)
        truth = session.truth()
        stamps = [_START + round(time * 1e9) for time in truth.times]
        (folder / name).mkdir()
        for stamp, frame in zip(stamps, session.frames(), strict=True):
            picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            good, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, _STEADY])
            if not good:
                raise OSError(f"OpenCV cannot encode a PNG of {picture.shape}.")
            (folder / name / f"Image{stamp}.png").write_bytes(data.tobytes())
        images = [{"Timestamp": stamp, "Value": {}} for stamp in stamps]
        content = {"/FullPackage": _samples(truth), "/Image": images}
        (folder / f"{name}.json").write_text(json.dumps(content))


def _samples(truth: Truth) -> list[dict]:
    """The oximeter's packages: a wave of whole numbers from 0 to 127, whole bpm and per cent."""
    low, high = float(truth.ppg_native.min()), float(truth.ppg_native.max())
    wave = np.rint(10 + 90 * (truth.ppg_native - low) / ((high - low) or 1.0)).astype(int).tolist()
    rates = np.rint(np.nan_to_num(truth.hr_native)).astype(int).tolist()
    return [
        {
            "Timestamp": _START + round(time * 1e9),
            "Value": {"waveform": value, "pulseRate": rate, "o2saturation": 98, "signalStrength": 6},
        }
        for time, value, rate in zip(truth.ppg_times.tolist(), wave, rates, strict=True)
    ]
