"""PURE: 10 subjects, up to 6 recordings of a minute each (still, talking, moving), finger PPG at 60 Hz.

Stricker et al., "Non-contact video-based pulse rate measurement on a mobile service robot", RO-MAN 2014.

    DATA_PATH/01-01/01-01/Image<ns>.png  640x480 at 30 fps, lossless; the name is the time stamp in nanoseconds
    DATA_PATH/01-01/01-01.json           /Image: time stamps of the frames; /FullPackage: time stamps, waveform, pulse
                                         rate and oxygen saturation of the oximeter on the same clock

The part before the dash is the subject. Motion-augmented videos are the first .npy file of the inner folder. The layout
is that of the published description; it has been tested on rendered files, not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, wants_motion
from dataset.files.arrays import array_length, iter_array
from dataset.files.frames import Frame, VideoError
from dataset.files.images import iter_images
from dataset.files.lookup import entry, first, instead, matching
from dataset.files.reading import AGAIN, read_json, told
from dataset.files.tables import require_root, require_some
from dataset.files.video import with_times
from registry import DATASETS

NAME = re.compile(r"(\d+)-(\d+)")
SIDE_SIGNALS = {"hr": ("pulseRate", "bpm"), "spo2": ("o2saturation", "%")}


@DATASETS.register("PURE")
class PURELoader(BaseLoader):
    """Ids are the numbers of subject and session without the dash, as rPPG-Toolbox names its files: 01-02 -> 102."""

    fs = 30.0
    chunk_subject = r"(\d+)\d\d"  # 102
    signals = ("ppg",)
    optional_signals = (*SIDE_SIGNALS,)

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder `ss-tt`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "PURE")
        folders = [f for f in matching(root, "*-*") if f.is_dir() and NAME.fullmatch(f.name)]
        require_some(folders, root, "PURE", "01-01/01-01/*.png and 01-01/01-01.json, 01-02/...")
        return [
            Recording(
                id=str(int(folder.name.replace("-", ""))), subject=str(int(folder.name.split("-")[0])), path=folder
            )
            for folder in folders
        ]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The PNG files in the order of their time stamps, with their times in seconds; or an array at those times."""
        folder = entry(recording.path, recording.path.name)
        images = matching(folder, "*.png")
        if wants_motion(self.options):
            path = first(folder, "*.npy")
            times = image_times(images, _read_json(recording.path))
            known = times is not None and len(times) == array_length(path)
            return with_times(iter_array(path), times) if known else iter_array(path)
        if not images:
            raise VideoError(f"'{folder}' holds no PNG file{instead(folder)}. {AGAIN}")
        return iter_images(images, image_times(images, _read_json(recording.path)))

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.), `hr` (bpm) and `spo2` (%), in seconds after the first frame."""
        content = _read_json(recording.path)
        packages = content.get("/FullPackage")
        try:
            stamps = np.array([package["Timestamp"] for package in packages], dtype=np.int64)
            values = [package["Value"] for package in packages]
            ppg = np.array([value["waveform"] for value in values], dtype=float)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"'{_json(recording.path)}' has no /FullPackage with Timestamp and Value.waveform ({told(error)}). "
                f"{AGAIN}"
            ) from None
        times = (stamps - self._start(recording, content, stamps)) * 1e-9
        signals = {"ppg": Signal(ppg, times=times)}
        for name, (key, unit) in SIDE_SIGNALS.items():
            if all(isinstance(value.get(key), (int, float)) for value in values):
                signals[name] = Signal(np.array([value[key] for value in values], float), times=times, unit=unit)
        return signals

    def _start(self, recording: Recording, content: dict[str, Any], stamps: np.ndarray) -> int:
        """Time stamp (ns) of the first frame; of the first sample when the frames have none."""
        images = matching(entry(recording.path, recording.path.name), "*.png")
        frames = image_stamps(images, content)
        return int(stamps[0]) if frames is None else frames[0]


def image_times(images: list[Path], content: dict[str, Any]) -> np.ndarray | None:
    """Seconds of each image after the first; None when time stamps are missing."""
    stamps = image_stamps(images, content)
    return None if stamps is None else (np.array(stamps, np.int64) - stamps[0]) * 1e-9


def image_stamps(images: list[Path], content: dict[str, Any]) -> list[int] | None:
    """Time stamp (ns) of each image: by name from the JSON, from its own name, or by order from the JSON; else None.

    Without images (motion-augmented copies need none) those of the JSON.
    """
    listing = content.get("/Image")
    rows = [row for row in listing if isinstance(row, dict)] if isinstance(listing, list) else []
    listed = {str(row.get("Source")): row.get("Timestamp") for row in rows}
    stamps = [listed.get(image.stem, _stamp_in(image.stem)) for image in images]
    if (None in stamps and len(rows) == len(images)) or not images:
        stamps = [row.get("Timestamp") for row in rows]
    return stamps if stamps and all(isinstance(stamp, int) and abs(stamp) < 2**63 for stamp in stamps) else None


def _stamp_in(name: str) -> int | None:
    digits = re.search(r"\d{16,19}$", name)
    return int(digits.group()) if digits else None


def _read_json(folder: Path) -> dict[str, Any]:
    return read_json(_json(folder))


def _json(folder: Path) -> Path:
    return entry(folder, f"{folder.name}.json")
