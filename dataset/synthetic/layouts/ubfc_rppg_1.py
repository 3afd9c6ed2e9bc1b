"""UBFC-rPPG, first part (DATASET_1): one uncompressed webcam video and one table for each subject.

Bobbia et al., "Unsupervised skin tissue segmentation for remote photoplethysmography", Pattern Recognition Letters 124,
2019, and the layout its authors publish:

    5-gt/vid.avi      640x480, raw BGR24, rows from the bottom up
    5-gt/gtdump.xmp   comma-separated: time (ms), heart rate (bpm), oxygen saturation (%), PPG, about 62 Hz
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, in_avi
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording


@LAYOUTS.register("UBFC-rPPG-1")
class UBFCrPPG1Layout:
    """Writes `<k>-gt` folders; a codec that goes into an AVI is kept, another becomes raw."""

    def folder(self, number: int) -> str:
        """Folder of recording `number`."""
        return f"{number}-gt"

    def write(self, folder: Path, session: Session) -> None:
        """Video and ground truth: whole milliseconds, bpm and grey levels, as the oximeter gives them."""
        session = in_avi(session, "raw")
        truth = session.truth()
        spread = float(np.ptp(truth.ppg_native)) or 1.0
        wave = 10 + 90 * (truth.ppg_native - truth.ppg_native.min()) / spread
        rates = np.nan_to_num(truth.hr_native)
        rows = np.rint(np.stack([1000 * truth.ppg_times, rates, np.full(len(wave), 98), wave], axis=1))
        np.savetxt(folder / "gtdump.xmp", rows, "%g", ",")
        write_recording(folder / "vid.avi", session)
