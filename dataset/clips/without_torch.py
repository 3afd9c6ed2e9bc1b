"""Clips of one recording as a network sees them, in NumPy: for whoever has no torch, with the values of `transforms`.

A recording is read from its first frame to its last: the clip at its end overlaps the one before, so that no frame is
left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.clips.inputs import ClipOptions
from dataset.clips.resampling import resample_grid, resampled
from dataset.clips.track import Camera, make_track, open_faces

EPSILON = np.float32(1e-7)  # keeps 0/0 of two black pixels at 0
DATA_TYPES = ("Raw", "DiffNormalized", "Standardized")


@dataclass(frozen=True)
class Reel:
    """The faces of a recording: `camera` with its frames, their rate `fs` (Hz), `times` (count,) s; None: even."""

    camera: Camera
    fs: float
    times: np.ndarray | None

    def clips(self, length: int, types: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first frame, video) of every clip: (C * len(types), length, H, W) float32.

        ValueError where the recording is shorter than a clip.
        """
        count, video = self.camera.count, open_faces(self.camera.videos[0])
        if count < length:
            raise ValueError(
                f"{count} frames at {self.fs:.4g} per second are fewer than the {length} that the network reads at once"
            )
        for start in starts(count, length):
            stop = min(start + length + 1, count)
            places = self.camera.positions
            block = video[start:stop] if places is None else resampled(video, places[start:stop])
            yield start, normalise(np.asarray(block), length, self.camera.stats, types)


def reel(entry: Any, fs: float = 0.0) -> Reel:
    """The faces of a cache entry, as recorded or at `fs` (Hz); ValueError where there are none."""
    track, _ = make_track(entry, ClipOptions(labels=(), fs=fs))
    stored = len(entry.faces)
    times = resample_grid(entry.times, stored, float(entry.fs), fs)[0] if fs else entry.times
    return Reel(track.inputs["video"], track.fs, None if times is None else np.asarray(times, dtype=float))


def starts(count: int, length: int) -> list[int]:
    """First frames of clips of `length` that cover all of `count` frames: only the last one may overlap."""
    whole = list(range(0, count - length + 1, length))
    return whole if count % length == 0 else [*whole, count - length]


def normalise(block: np.ndarray, length: int, stats: np.ndarray, types: Sequence[str]) -> np.ndarray:
    """Each of `types` of a clip, side by side on the channel axis: (C * len(types), length, H, W) float32.

    `block` (length or length + 1, H, W, C): the clip, and the frame after it unless it ends the recording. `stats` and
    values as in `transforms.normalise`. ValueError for an unknown type.
    """
    frames = np.moveaxis(np.asarray(block, dtype=np.float32), 3, 0)  # (C, T, H, W)
    clip = frames[:, :length]
    mean, std, diff_std = (column[:, None, None, None] for column in np.float32(stats).reshape(-1, 3).T)
    made = []
    for name in types:
        if name == "Raw":
            made.append(clip)
        elif name == "Standardized":
            made.append((clip - mean) * _inverse(std))
        elif name == "DiffNormalized":
            following = np.concatenate([frames[:, 1:], frames[:, -1:]], axis=1)[:, :length]
            made.append((following - clip) / (clip + following + EPSILON) * _inverse(diff_std))
        else:
            raise ValueError(f"DATA_TYPE is {list(types)!r}; it must list one or more of {', '.join(DATA_TYPES)}.")
    return np.concatenate(made)


def _inverse(std: np.ndarray) -> np.ndarray:
    """1 / std, and 0 where std is 0 (or NaN): a recording without variation becomes zeros."""
    return np.divide(np.float32(1), std, out=np.zeros_like(std), where=std > 0)
