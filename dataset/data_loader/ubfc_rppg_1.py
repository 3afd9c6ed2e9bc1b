"""UBFC-rPPG, first part (DATASET_1): 8 webcam videos of people sitting still, finger PPG with its own clock.

Bobbia et al., "Unsupervised skin tissue segmentation for remote photoplethysmography", PRL 2017.

    DATA_PATH/5-gt/vid.avi      640x480 at about 29 fps, uncompressed
    DATA_PATH/5-gt/gtdump.xmp   comma-separated: time (ms), heart rate (bpm), oxygen saturation (%), PPG (a.u.)

Any folder name will do (`after-exercise` is one). DATA_PATH may also be the folder above DATASET_1. rPPG-Toolbox has no
reader for this part. The layout is that of the authors' description; it has been tested on rendered files, not on the
original ones.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, wants_motion
from dataset.files.arrays import array_length, iter_array
from dataset.files.frames import Frame
from dataset.files.lookup import entry, first, originals, visible
from dataset.files.reading import is_there
from dataset.files.tables import column, read_table, require_root, require_some
from dataset.files.video import iter_frames, with_times
from registry import DATASETS

FILES = ("vid.avi", "gtdump.xmp")


@DATASETS.register("UBFC-rPPG-1")
class UBFCrPPG1Loader(BaseLoader):
    """One recording per subject; ids are the names of the folders, the frame rate is that of each video."""

    signals = ("ppg",)
    optional_signals = ("hr", "spo2")

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder with a video or its labels, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "UBFC-rPPG-1")
        folders: list[Path] = []
        for place in (root, entry(root, "DATASET_1")):
            if not folders:
                folders = [f for f in originals(visible(place)) if any(is_there(entry(f, name)) for name in FILES)]
        require_some(folders, root, "UBFC-rPPG-1", "5-gt/vid.avi and 5-gt/gtdump.xmp, 6-gt/...")
        return [Recording(id=folder.name, subject=folder.name, path=folder) for folder in folders]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of `vid.avi` at the times of the container; an array's spread evenly over those of the labels."""
        if not wants_motion(self.options):
            return iter_frames(entry(recording.path, "vid.avi"))
        path, times = first(recording.path, "*.npy"), self.read_wave(recording)["ppg"].times
        return with_times(iter_array(path), np.linspace(times[0], times[-1], array_length(path)))

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.), `hr` (bpm) and `spo2` (%) with their times in seconds."""
        path = entry(recording.path, "gtdump.xmp")
        table = read_table(path)
        ppg = column(table, 3, path)
        times = np.asarray(table[:, 0]) / 1000
        return {
            "ppg": Signal(ppg, times=times),
            "hr": Signal(table[:, 1], times=times, unit="bpm"),
            "spo2": Signal(table[:, 2], times=times, unit="%"),
        }
