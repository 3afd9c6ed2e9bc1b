"""UBFC-rPPG, second part (DATASET_2): one uncompressed webcam video and one text file for each subject.

Bobbia et al., "Unsupervised skin tissue segmentation for remote photoplethysmography", Pattern Recognition Letters 124,
2019, and the layout its authors publish:

    subject1/vid.avi            640 x 480, about 30 fps, raw BGR24, rows from the bottom up
    subject1/ground_truth.txt   line 1: PPG at each frame (a.u.), line 2: heart rate (bpm), line 3: time (s)
"""

import dataclasses
from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS
from dataset.synthetic.render import Session
from dataset.synthetic.writer import extension, write_recording


@LAYOUTS.register("UBFC-rPPG")
class UBFCrPPGLayout:
    """Writes `subject<k>` folders; a codec that goes into an AVI (raw, mjpg) is kept, another becomes raw."""

    def folder(self, number: int) -> str:
        """Folder of recording `number`."""
        return f"subject{number}"

    def write(self, folder: Path, session: Session) -> None:
        """Video and ground truth."""
        if extension(session.settings.codec) != ".avi":
            session = dataclasses.replace(session, settings=dataclasses.replace(session.settings, codec="raw"))
        truth = session.truth()
        spread = float(truth.ppg.std()) or 1.0
        rate = np.interp(truth.times, truth.ppg_times, np.nan_to_num(truth.hr_native))
        rows = ((truth.ppg - truth.ppg.mean()) / spread, np.round(rate), truth.times)  # the device gives whole bpm
        lines = ["".join(f"  {value: .7e}" for value in row) for row in rows]
        (folder / "ground_truth.txt").write_text("\n".join(lines) + "\n")
        write_recording(folder / "vid.avi", session)
