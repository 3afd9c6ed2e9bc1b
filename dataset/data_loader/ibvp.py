"""iBVP: 33 subjects, several sessions each, RGB and thermal video with PPG whose quality was graded sample by sample.

Joshi and Cho, "iBVP Dataset: RGB-Thermal rPPG Dataset with High Resolution Signal Quality Labels", Electronics 13(7),
2024.

    DATA_PATH/p01_a/p01_a_rgb/*.bmp   640x480 at 30 fps
    DATA_PATH/p01_a/p01_a_t/*.raw     thermal, 640x512 uint16 little-endian: value x 0.04 - 273.15 degrees Celsius
    DATA_PATH/p01_a/p01_a_bvp.csv     one header line; first column PPG, fourth column quality (SQ2)

PREPROCESS.IBVP.DATA_MODE chooses the channels of a clip: RGB, T (thermal) or RGBT. The face is found in the colour
picture in all of them; the thermal one, taken to show the same scene, is cut to its rows, and both to the shorter
series. Grey levels and degrees are normalised each by their own statistics (rPPG-Toolbox: by common ones).

Frames with a quality of at most 0.3 are left out of video and label, as rPPG-Toolbox does: the others keep their times,
and `quality` keeps the grades of all frames. Motion-augmented videos are the first .npy file of p01_a/p01_a. The layout
is that of rPPG-Toolbox's reader; it has been tested on rendered files, not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset.clips.labels import stretch
from dataset.data_loader.base import BaseLoader, Recording, Signal, wants_motion
from dataset.files.arrays import array_length, iter_array
from dataset.files.frames import Box, Frame, VideoError, cut
from dataset.files.images import iter_images
from dataset.files.lookup import entry, first, instead, matching, originals
from dataset.files.reading import AGAIN
from dataset.files.tables import column, read_table, require_root, require_some
from registry import DATASETS
from settings.checks import one_of

NAME = re.compile(r"(\w+?)_(\w+)")
LOWEST_QUALITY = 0.3  # frames at or below it are left out
THERMAL = (512, 640)  # rows, columns
SHARED_ROWS = 480  # those that the colour picture has, too


@DATASETS.register("iBVP")
class IBVPLoader(BaseLoader):
    """Ids are the names of the folders without the underscore: p01_a -> p01a; the first three characters: subject."""

    fs = 30.0
    chunk_subject = r"(p\d\d).+"  # p01a
    signals = ("ppg",)
    optional_signals = ("quality",)
    SHARED = {"PREPROCESS": {"IBVP": {"DATA_MODE": "RGB"}}}  # RGB, T (thermal) or RGBT
    CHECKS = {"PREPROCESS.IBVP.DATA_MODE": one_of("RGB", "T", "RGBT")}

    def __init__(self, options: dict[str, Any] | None = None):
        """ValueError for motion-augmented videos with thermal frames: there are none of those."""
        super().__init__(options)
        self.bands = self.options.get("DATA_MODE") or "RGB"
        if self.bands != "RGB" and wants_motion(self.options):
            raise ValueError(
                f"PREPROCESS.IBVP.DATA_MODE is {self.bands!r} and DATA_AUG ['Motion'], but thermal frames are not "
                f"augmented. Use DATA_MODE RGB or DATA_AUG ['None']."
            )

    @staticmethod
    def shared_options(data: Any) -> dict[str, Any]:
        """`DATA_MODE`."""
        return {"DATA_MODE": data.PREPROCESS.IBVP.DATA_MODE}

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder `p<nn>_<x>`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "iBVP")
        folders = originals(f for f in matching(root, "*_*") if f.is_dir() and NAME.fullmatch(f.name))
        require_some(folders, root, "iBVP", "p01_a/p01_a_rgb/*.bmp and p01_a/p01_a_bvp.csv, p01_b/...")
        names = [folder.name.replace("_", "").lower() for folder in folders]
        return [Recording(id=name, subject=name[:3], path=path) for name, path in zip(names, folders, strict=True)]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The BMP files in natural order without those of poor quality, with their times in seconds."""
        kept = np.flatnonzero(self.kept(recording))
        if not len(kept):
            raise VideoError(
                f"No frame of '{recording.path}' has a quality (SQ2) above {LOWEST_QUALITY}. Leave it out."
            )
        if wants_motion(self.options):
            return self._moved(recording, set(kept.tolist()))
        images = self._images(recording)
        frames = iter_images([images[index] for index in kept], kept / self.fs)
        if self.bands == "RGB":
            return frames
        heat = self._thermal_files(recording)
        return (_ThermalImage(frame, heat[index]) for frame, index in zip(frames, kept, strict=True))

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) at the frames that are kept and `quality` at all frames, with times in seconds."""
        table, path = self._table(recording)
        quality, kept = self.quality(recording), self.kept(recording)
        times = np.arange(len(quality)) / self.fs
        ppg = stretch(column(table, 0, path), len(quality))
        return {"ppg": Signal(ppg[kept], times=times[kept]), "quality": Signal(quality, times=times, unit="")}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """How many frames there are and how many were left out."""
        kept = self.kept(recording)
        return {"all_frames": len(kept), "low_quality_frames": int(np.count_nonzero(~kept))}

    def quality(self, recording: Recording) -> np.ndarray:
        """SQ2 at each frame of the file (T,)."""
        table, path = self._table(recording)
        return stretch(column(table, 3, path), self._frame_count(recording))

    def kept(self, recording: Recording) -> np.ndarray:
        """Which frames of the file are used (T,) bool."""
        return ~(self.quality(recording) <= LOWEST_QUALITY)

    def read_thermal(self, recording: Recording) -> Iterator[np.ndarray]:
        """Yield all thermal frames (512, 640) float32 in degrees Celsius; VideoError when one is missing or cut."""
        return map(read_degrees, self._thermal_files(recording))

    def _moved(self, recording: Recording, kept: set[int]) -> Iterator[Frame]:
        for index, frame in enumerate(iter_array(self._array(recording))):
            if index in kept:
                frame.time = index / self.fs
                yield frame

    def _array(self, recording: Recording) -> Path:
        return first(entry(recording.path, recording.path.name), "*.npy")

    def _thermal_files(self, recording: Recording) -> list[Path]:
        return _files(recording, "t", "*.raw", ".raw file")

    def _images(self, recording: Recording) -> list[Path]:
        return _files(recording, "rgb", "*.bmp", "BMP file")

    def _frame_count(self, recording: Recording) -> int:
        if not wants_motion(self.options):
            count = len(self._images(recording))
            return count if self.bands == "RGB" else min(count, len(self._thermal_files(recording)))
        return array_length(self._array(recording))

    def _table(self, recording: Recording) -> tuple[np.ndarray, Path]:
        path = entry(recording.path, f"{recording.path.name}_bvp.csv")
        return read_table(path, skip=1), path


class _ThermalImage(Frame):
    """A colour picture, and the file of the thermal one that was taken with it."""

    def __init__(self, colour: Frame, path: Path):
        """The thermal file is read when it is asked for."""
        self.time = colour.time
        self._colour, self._path = colour, path

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self._colour.shape

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        return self._colour.rgb(box)

    def thermal(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box` in degrees Celsius; the thermal camera sees some rows more below."""
        degrees = read_degrees(self._path)[:SHARED_ROWS]
        if degrees.shape != self.shape:  # colour pictures of another size: a miniature
            degrees = cv2.resize(degrees, self.shape[::-1], interpolation=cv2.INTER_AREA)
        return cut(degrees, box)


def read_degrees(path: Path) -> np.ndarray:
    """A thermal frame (512, 640) float32 in degrees Celsius; VideoError when its file is cut."""
    count = THERMAL[0] * THERMAL[1]
    counts = np.fromfile(path, "<u2", count=count)
    if len(counts) != count:
        raise VideoError(f"'{path}' ends early: {len(counts)} of {count} values. {AGAIN}")
    return counts.reshape(THERMAL).astype(np.float32) * np.float32(0.04) - np.float32(273.15)


def _files(recording: Recording, band: str, pattern: str, what: str) -> list[Path]:
    """The files of one camera in natural order; VideoError saying `what` is missing."""
    folder = entry(recording.path, f"{recording.path.name}_{band}")
    files = matching(folder, pattern)
    if not files:
        raise VideoError(f"'{folder}' holds no {what}{instead(folder)}. {AGAIN}")
    return files
