"""RECORDS: ECG at 250 Hz and PPG at 125 Hz of made-up people, one systolic pressure each; no video anywhere."""

from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from registry import DATASETS


@DATASETS.register("RECORDS")
class RecordsLoader(BaseLoader):
    """DATA_PATH/p01.npz holds `ecg`, `ppg` and `sbp` (mmHg)."""

    has_video = False
    signals = ("ecg", "ppg")

    def recordings(self, root):
        """One per file."""
        files = natural_sort(Path(root).glob("*.npz"))
        return [Recording(id=file.stem, subject=file.stem, path=file) for file in files]

    def read_wave(self, recording):
        """Both waves at their own rates."""
        with np.load(recording.path, allow_pickle=False) as file:
            return {"ecg": Signal(file["ecg"], fs=250.0, unit="mV"), "ppg": Signal(file["ppg"], fs=125.0)}

    def read_targets(self, recording):
        """The cuff pressure, mmHg."""
        with np.load(recording.path, allow_pickle=False) as file:
            return {"sbp": float(file["sbp"])}
