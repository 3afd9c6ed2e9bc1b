"""COHFACE: four sessions of each subject, a video and an HDF5 file each.

Heusch, Anjos and Marcel, "A reproducible study on remote heart rate measurement", arXiv:1709.00962, 2017:

    1/0/data.avi    640x480 at 20 fps        1/0/data.hdf5   pulse, respiration and time (s) at 256 Hz
"""

from pathlib import Path

import h5py
import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi, takes
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_RATE = 256  # Hz


@LAYOUTS.register("COHFACE")
class COHFACELayout:
    """Writes four sessions of each subject at 20 fps; a codec that goes into an AVI is kept, another becomes mjpg."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return str(number)

    def write(self, folder: Path, session: Session) -> None:
        """Videos and sensor files."""
        for number, take in enumerate(takes(in_avi(at_rate(session, 20.0), "mjpg"), 4)):
            place = folder / str(number)
            place.mkdir()
            write_recording(place / "data.avi", take)
            truth = take.truth()
            clock = np.arange(max(1, round(take.settings.seconds * _RATE))) / _RATE
            with h5py.File(place / "data.hdf5", "w") as file:
                file["time"] = clock
                file["pulse"] = np.interp(clock, truth.ppg_times, truth.ppg_native)
                file["respiration"] = np.interp(clock, truth.ppg_times, truth.resp_native)
