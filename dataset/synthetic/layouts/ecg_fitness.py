"""ECG-Fitness: sessions of each subject with two webcams, a table of their frames and one of the ECG.

Spetlik et al., "Visual Heart Rate Estimation with Convolutional Neural Network", BMVC 2018; files and columns as public
readers (pyVHR, HR-CNN and others) have them:

    00/01/c920-1.avi, c920-2.avi   30 fps, uncompressed planar YUV
    00/01/c920.csv                 time (ms), number of the ECG row; one row a frame, no heading
    00/01/viatom-raw.csv           a heading; milliseconds, ECG, ECG HR, PPG, PPG HR, SpO2, PI; 125 Hz in packets of 5
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi, takes
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_RATE = 125  # Hz
_PACKET = 5  # samples that share a time stamp
_START = 1_495_000_000_000  # ms: a day in May 2017; any start will do
_AHEAD = 2.0  # s of ECG before the first frame
_HEADING = "milliseconds, ECG, ECG HR, PPG, PPG HR, SpO2, PI"


@LAYOUTS.register("ECG-Fitness")
class ECGFitnessLayout:
    """Writes the sessions 01 and 02 of each subject; a codec that goes into an AVI is kept, another becomes i420."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"{number:02d}"

    def write(self, folder: Path, session: Session) -> None:
        """Both cameras see the same person and heart, one of them from further away."""
        for name, take in zip(("01", "02"), takes(in_avi(at_rate(session, 30.0), "i420"), 2), strict=True):
            place = folder / name
            place.mkdir()
            write_recording(place / "c920-1.avi", take)
            write_recording(place / "c920-2.avi", at_rate(take, 30.0, face_size=0.8 * take.settings.face_size))
            _write_tables(place, take)


def _write_tables(place: Path, take: Session) -> None:
    frames = take.course.times
    clock = np.arange(round((take.settings.seconds + 2 * _AHEAD) * _RATE)) / _RATE - _AHEAD
    stamps = _START + np.repeat(np.rint(1000 * clock[::_PACKET]), _PACKET)[: len(clock)]
    rates = np.rint(take.heart.rate(clock))
    rates[rates > 127] -= 256  # the device's numbers have eight bits
    zeros = np.zeros(len(clock))
    table = np.stack([stamps, take.heart.ecg(clock), rates, zeros, zeros - 1, zeros - 1, zeros], axis=1)
    np.savetxt(place / "viatom-raw.csv", table, ["%d", "%.4f", *["%d"] * 5], ", ", header=_HEADING, comments="")
    under_way = np.searchsorted(clock, frames, side="right") - 1
    np.savetxt(place / "c920.csv", np.stack([_START + np.rint(1000 * frames), under_way], axis=1), "%d", ",")
