"""iBVP: a folder of BMP files, one of thermal frames and a table with graded PPG for each session.

Joshi and Cho, "iBVP Dataset: RGB-Thermal rPPG Dataset with High Resolution Signal Quality Labels", Electronics 13(7),
2024; columns as rPPG-Toolbox's reader has them:

    p01_a/p01_a_rgb/00000.bmp    30 fps
    p01_a/p01_a_t/00000.raw      640x512 uint16, (degrees Celsius + 273.15) / 0.04
    p01_a/p01_a_bvp.csv          a heading; PPG, time, quality SQ1, quality SQ2
"""

import os
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate
from dataset.synthetic.layouts.physdrive import write_image
from dataset.synthetic.render import Session

_THERMAL = (512, 640)
_SHARED = 480  # rows that colour and thermal pictures both show
_POOR = (0.40, 0.50)  # the part of a recording whose PPG is graded as poor


@LAYOUTS.register("iBVP")
class IBVPLayout:
    """Writes one session of each subject; `codec` has no meaning here. Thermal frames change once a second."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`, session a."""
        return f"p{number:02d}_a"

    def write(self, folder: Path, session: Session) -> None:
        """Images, thermal frames, table."""
        session, name = at_rate(session, 30.0), self.folder(session.subject)
        rgb, thermal = folder / f"{name}_rgb", folder / f"{name}_t"
        rgb.mkdir()
        thermal.mkdir()
        for index, frame in enumerate(session.frames()):
            write_image(rgb / f"{index:05d}.bmp", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            _write_thermal(thermal, index, frame)
        truth = session.truth()
        share = np.linspace(0, 1, len(truth.ppg_times))
        quality = np.where((share > _POOR[0]) & (share < _POOR[1]), 0.0, 1.0)
        rows = np.stack([truth.ppg_native, truth.ppg_times, quality, quality], axis=1)
        np.savetxt(folder / f"{name}_bvp.csv", rows, "%.6f", ",", header="BVP,time,SQ1,SQ2", comments="")


def _write_thermal(folder: Path, index: int, frame: np.ndarray) -> None:
    """A warm face; frames of the same second are one file on the disk, which real ones would fill quickly."""
    path, first = folder / f"{index:05d}.raw", folder / f"{index // 30 * 30:05d}.raw"
    if path == first:
        brightness = np.zeros(_THERMAL, np.uint8)  # the colour picture ends above its last rows
        brightness[:_SHARED] = cv2.resize(frame[..., 0], (_THERMAL[1], _SHARED), interpolation=cv2.INTER_AREA)
        np.rint((22 + brightness / 20 + 273.15) / 0.04).astype("<u2").tofile(path)
        return
    try:
        os.link(first, path)
    except OSError:  # a file system without links
        path.write_bytes(first.read_bytes())
