"""Videos whose true frame times lie in another file, because the container knows only a constant, often wrong, rate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.files.frames import Frame, VideoError
from dataset.files.reading import AGAIN
from dataset.files.video import frame_count, iter_frames, with_times

TOLERATED = 0.01  # share of the frames that may lack a stamp: recorders are stopped between picture and stamp


def frames_at(path: Path, stamps: np.ndarray, source: str) -> Iterator[Frame]:
    """The frames of the video `path` at `stamps` (L,) in seconds, counted from the first; see `stamps_of_frames`."""
    frames = iter_frames(path)  # first: a missing file is its error
    return with_times(frames, stamps_of_frames(path, stamps, source))


def frames_at_rate(path: Path, fs: float) -> Iterator[Frame]:
    """The frames of the video `path`, 1 / `fs` s apart, whatever the container says."""
    for index, frame in enumerate(iter_frames(path)):
        frame.time = index / fs
        yield frame


def stamps_of_frames(path: Path, stamps: np.ndarray, source: str) -> np.ndarray:
    """Time stamp (T,) of each of the T frames of the video `path`, counted from the first frame's.

    Stamps beyond the last frame are left out; up to 1 % that are missing at the end follow at the usual distance.
    VideoError when more are missing, or when `stamps`, which the file `source` holds, run backwards.
    """
    stamps = np.asarray(stamps, dtype=float)
    count = frame_count(path) or len(stamps)
    missing = count - len(stamps)
    if missing > max(1, TOLERATED * count):
        raise VideoError(f"'{source}' has {len(stamps)} time stamps for the {count} frames of '{path}'. {AGAIN}")
    steps = np.diff(stamps)
    if not np.isfinite(stamps).all() or (steps < 0).any():
        raise VideoError(f"The time stamps in '{source}' of '{path}' run backwards or are NaN. {AGAIN}")
    if missing > 0:
        step = float(np.median(steps)) if len(steps) else 0.0
        stamps = np.append(stamps, stamps[-1] + step * np.arange(1, missing + 1))
    return stamps[:count] - stamps[0]
