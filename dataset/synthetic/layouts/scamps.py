"""SCAMPS: one MATLAB 7.3 file (HDF5) for each avatar, video and signals in it.

McDuff et al., "SCAMPS: Synthetics for Camera Measurement of Physiological Signals", NeurIPS 2022; variables as
rPPG-Toolbox's reader has them:

    P000001.mat   Xsub (T, 72, 72, 3) from 0 to 1 at 30 fps, d_ppg (T, 1) and d_br (T, 1), one sample a frame
"""

from pathlib import Path

import cv2
import h5py
import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate
from dataset.synthetic.render import Session

_SIZE = 72  # pixels: the videos are cut to the head
_HEAD = 1.7  # side of what is cut out, relative to the face box
_CHUNK = 8  # frames
_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created by PulseScope HDF5 schema 1.00 ."


@LAYOUTS.register("SCAMPS")
class SCAMPSLayout:
    """Writes one file per subject directly into DATA_PATH; `codec` has no meaning here."""

    spread = True

    def folder(self, number: int) -> str:
        """File of subject `number`."""
        return f"P{number:06d}.mat"

    def write(self, folder: Path, session: Session) -> None:
        """One .mat file; MATLAB counts columns first, so the axes are reversed in HDF5."""
        session = at_rate(session, 30.0)
        path, truth = folder / self.folder(session.subject), session.truth()
        breath = np.interp(truth.times, truth.ppg_times, truth.resp_native)
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, values in (("d_ppg", truth.ppg), ("d_br", breath)):
                _mark(file.create_dataset(name, data=values[None]))
            shape = (3, _SIZE, _SIZE, len(truth.times))
            chunk = (3, _SIZE, _SIZE, min(_CHUNK, shape[3]))
            video = file.create_dataset("Xsub", shape, "f8", chunks=chunk, compression=3)
            _fill(_mark(video), session)
        with path.open("r+b") as file:  # the block before the HDF5 data, by which MATLAB knows its own files
            file.write(_HEADER.ljust(124) + b"\x00\x02IM")


def _fill(video: h5py.Dataset, session: Session) -> None:
    box = session.truth().box[0]
    side = int(_HEAD * box[2])
    height, width = session.settings.height, session.settings.width
    x = int(np.clip(box[0] + box[2] / 2 - side / 2, 0, max(0, width - side)))
    y = int(np.clip(box[1] + box[3] / 2 - side / 2, 0, max(0, height - side)))
    waiting, done = [], 0
    for frame in session.frames():
        head = cv2.resize(frame[y : y + side, x : x + side], (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
        waiting.append(head / 255)
        if len(waiting) == _CHUNK or done + len(waiting) == video.shape[3]:
            video[..., done : done + len(waiting)] = np.stack(waiting).transpose(3, 2, 1, 0)
            done += len(waiting)
            waiting.clear()


def _mark(dataset: h5py.Dataset) -> h5py.Dataset:
    dataset.attrs["MATLAB_class"] = np.bytes_("double")
    return dataset
