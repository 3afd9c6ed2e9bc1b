"""PhysDrive: 48 drivers on the road, several sessions each, aligned face images and PPG.

Wang et al., "PhysDrive: A Multimodal Remote Physiological Measurement Dataset for In-vehicle Driver Monitoring", 2025.

    DATA_PATH/AFH1/A1/Align/*.png      face images at 30 fps
    DATA_PATH/AFH1/A1/Label/BVP.mat    variable BVP (MATLAB up to version 7)

<subject>/<session>; a folder `processed` is left alone. Motion-augmented videos are the first .npy file of a session's
folder. As in rPPG-Toolbox, clips whose label scores below 0.5 are left out when a network reads them; they keep their
numbers. The layout is that of its reader; it has been tested on rendered files, not on the original ones.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, wants_motion
from dataset.files.arrays import iter_array
from dataset.files.frames import Frame, VideoError
from dataset.files.images import iter_images
from dataset.files.lookup import entry, first, folders, instead, matching, originals
from dataset.files.matlab import read_numbers
from dataset.files.reading import AGAIN
from dataset.files.tables import require_root, require_some
from registry import DATASETS

LOWEST_QUALITY = 0.5  # of a clip's label


@DATASETS.register("PhysDrive")
class PhysDriveLoader(BaseLoader):
    """Ids are subject and session, such as `AFH1_A1`."""

    fs = 30.0
    chunk_subject = r"([^_]+)_.+"  # AFH1_A1
    signals = ("ppg",)
    side_files = ("processed",)

    @staticmethod
    def keep_clip(label: np.ndarray, fs: float) -> bool:
        """Whether the label (T,) of a clip scores 0.5 or more, or cannot be scored: NeuroKit2 is optional."""
        try:
            return not clip_quality(label, fs) < LOWEST_QUALITY
        except ModuleNotFoundError:
            warnings.warn(
                "PhysDrive: clips with poor labels stay in. To leave them out: pip install neurokit2", stacklevel=2
            )
            return True

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder with `Align` or `Label`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "PhysDrive")
        sessions = [
            session
            for subject in originals(folders(root))
            if subject.name.lower() != "processed"
            for session in originals(folders(subject))
            if any(entry(session, name).is_dir() for name in ("Align", "Label"))
        ]
        require_some(sessions, root, "PhysDrive", "AFH1/A1/Align/*.png and AFH1/A1/Label/BVP.mat, AFH1/A2/...")
        return [Recording(id=f"{s.parent.name}_{s.name}", subject=s.parent.name, path=s) for s in sessions]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The PNG files in natural order."""
        if wants_motion(self.options):
            return iter_array(first(recording.path, "*.npy"))
        place = entry(recording.path, "Align")
        images = matching(place, "*.png")
        if not images:
            raise VideoError(f"'{place}' holds no PNG file{instead(place)}. {AGAIN}")
        return iter_images(images)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.), spread evenly over the video."""
        path = entry(recording.path, "Label/BVP.mat")
        return {"ppg": Signal(read_numbers(path, "BVP"))}


def clip_quality(label: np.ndarray, fs: float) -> float:
    """How alike the beats of a clip's label (T,) are, 0 to 1; 0 without beats, NaN where they cannot be compared.

    Elgendi's peaks and template matching as NeuroKit2 has them, which is what rPPG-Toolbox's choice of clips rests on.
    Raises ModuleNotFoundError when neurokit2 is not installed.
    """
    import neurokit2  # optional: only this choice needs it

    label = np.asarray(label, dtype=float)
    if len(label) < 10 or (label == label[0]).all():
        return 0.0
    try:
        _, found = neurokit2.ppg_peaks(label, sampling_rate=fs, method="elgendi")
        peaks = found["PPG_Peaks"]
        if not len(peaks):
            return 0.0
        quality = neurokit2.ppg_quality(label, peaks, sampling_rate=fs, method="templatematch")
    except ValueError:
        return 0.0
    quality = np.asarray(quality, dtype=float)
    return float(np.nanmean(quality)) if np.isfinite(quality).any() else float("nan")
