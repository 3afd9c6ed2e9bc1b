"""COHFACE: 40 subjects, four videos of a minute each in studio and natural light, finger PPG and breathing at 256 Hz.

Heusch, Anjos and Marcel, "A reproducible study on remote heart rate measurement", arXiv:1709.00962, 2017.

    DATA_PATH/1/0/data.avi    640x480 at 20 fps
    DATA_PATH/1/0/data.hdf5   datasets `pulse`, `respiration` and `time` (s)

DATA_PATH/<subject>/<session 0 to 3>. Ids are the numbers rPPG-Toolbox gives them: 1/0 -> 100, 12/3 -> 1203. The layout
is that of public readers (rPPG-Toolbox, pyVHR); it has been tested on rendered files, not on the original ones.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files import hdf5
from dataset.files.frames import Frame
from dataset.files.lookup import entry, folders
from dataset.files.reading import is_there
from dataset.files.tables import require_root, require_some
from dataset.files.video import iter_frames
from registry import DATASETS

RATE = 256.0  # Hz of the sensors, where the file has no times


@DATASETS.register("COHFACE")
class COHFACELoader(BaseLoader):
    """Subjects are the outer folders."""

    fs = 20.0
    chunk_subject = r"(\d+)0\d"  # 102
    signals = ("ppg",)
    optional_signals = ("resp",)
    unaugmented = "COHFACE"
    side_files = ("protocols",)

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder of two numbers, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "COHFACE")
        sessions = [
            session
            for subject in _numbered(root)
            for session in _numbered(subject)
            if any(is_there(entry(session, name)) for name in ("data.avi", "data.hdf5"))
        ]
        require_some(sessions, root, "COHFACE", "1/0/data.avi and 1/0/data.hdf5, 1/1/...")
        return [
            Recording(id=f"{int(path.parent.name)}0{path.name}", subject=str(int(path.parent.name)), path=path)
            for path in sessions
        ]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of `data.avi` at the times of the container."""
        return iter_frames(entry(recording.path, "data.avi"))

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` and, where the file has it, `resp` (a.u.), in seconds after their start or at 256 Hz."""
        with hdf5.open_file(entry(recording.path, "data.hdf5")) as file:
            times = hdf5.signal(file, "time") if hdf5.has(file, "time") else None
            signals = {"ppg": _signal(file, "pulse", times)}
            if hdf5.has(file, "respiration"):
                signals["resp"] = _signal(file, "respiration", times)
        return signals


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folders(folder) if path.name.isascii() and path.name.isdigit()]


def _signal(file: h5py.File, name: str, times: np.ndarray | None) -> Signal:
    values = hdf5.signal(file, name)
    if times is None or len(times) != len(values):
        return Signal(values, fs=RATE)
    return Signal(values, times=times - times[0] if len(times) else times)
