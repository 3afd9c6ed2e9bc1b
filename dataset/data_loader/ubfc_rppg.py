"""UBFC-rPPG (DATASET_2): 42 subjects, one webcam video each, finger PPG sampled once per frame.

Bobbia et al., "Unsupervised skin tissue segmentation for remote photoplethysmography", PRL 2017.

    DATA_PATH/subject1/vid.avi           640x480 at about 30 fps, uncompressed (bottom-up BGR)
    DATA_PATH/subject1/ground_truth.txt  line 1: PPG (a.u.), line 2: heart rate (bpm), line 3: time (s)

DATA_PATH may also be the folder above DATASET_2. Motion-augmented videos are the first .npy file of a subject's folder.
The layout is that of the published description; it has been tested on rendered files, not on the original ones.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, wants_motion
from dataset.files.arrays import array_length, iter_array
from dataset.files.frames import Frame
from dataset.files.lookup import entry, first, matching, originals
from dataset.files.reading import AGAIN, read_text, told
from dataset.files.tables import require_root, require_some
from dataset.files.video import frame_count, iter_frames, with_times
from registry import DATASETS


@DATASETS.register("UBFC-rPPG")
class UBFCrPPGLoader(BaseLoader):
    """One recording per subject; ids are the names of the folders."""

    fs = 30.0
    chunk_subject = r"(subject\d+)"
    signals = ("ppg",)
    optional_signals = ("hr",)

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder `subject*`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "UBFC-rPPG")
        for place in (root, entry(root, "DATASET_2")):
            folders = originals(folder for folder in matching(place, "subject*") if folder.is_dir())
            if folders:
                break
        require_some(folders, root, "UBFC-rPPG", "subject1/vid.avi and subject1/ground_truth.txt, subject2/...")
        names = [f"subject{folder.name[len('subject') :]}" for folder in folders]
        return [Recording(id=name, subject=name, path=folder) for name, folder in zip(names, folders, strict=True)]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames at the times of line 3 where it has one per frame, else at those of the container."""
        if wants_motion(self.options):
            path = first(recording.path, "*.npy")
            frames, count = iter_array(path), array_length(path)
        else:
            path = entry(recording.path, "vid.avi")
            frames, count = iter_frames(path), frame_count(path)
        times = _frame_times(entry(recording.path, "ground_truth.txt"))
        # An AVI knows no gaps, an array no times at all: those that were written down while recording do.
        return frames if times is None or count != len(times) else with_times(frames, times)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) and, where the file has it, `hr` (bpm), with their times in seconds."""
        path = entry(recording.path, "ground_truth.txt")
        rows = _read_rows(path)
        times = rows[2] - rows[2][0] if len(rows) > 2 else None
        signals = {"ppg": Signal(rows[0], times=times)}
        if len(rows) > 1:
            signals["hr"] = Signal(rows[1], times=times, unit="bpm")
        return signals


def _frame_times(path: Path) -> np.ndarray | None:
    """Line 3, counted from its first value; None where it is missing, broken or not rising."""
    try:
        rows = _read_rows(path)
    except (OSError, ValueError):
        return None  # read_wave says so
    usable = len(rows) > 2 and np.isfinite(rows[2]).all() and (np.diff(rows[2]) >= 0).all()
    return rows[2] - rows[2][0] if usable else None


def _read_rows(path: Path) -> list[np.ndarray]:
    """Up to three rows of numbers of one length."""
    rows: list[np.ndarray] = []
    lines = (line.split() for line in io.StringIO(read_text(path)))  # one at a time: there may be millions
    try:
        for line in filter(None, lines):
            row = np.array(line, dtype=float)
            rows += [row] if len(rows) < 3 else []
    except ValueError as error:
        raise ValueError(f"'{path}' is not rows of numbers: {told(error)}. {AGAIN}") from None
    if not rows:
        raise ValueError(f"'{path}' is empty. Copy the recording again, or leave it out.")
    if len({len(row) for row in rows}) > 1:
        lengths = ", ".join(str(len(row)) for row in rows)
        raise ValueError(f"The lines of '{path}' have {lengths} numbers; they must agree. Copy it again.")
    return rows
