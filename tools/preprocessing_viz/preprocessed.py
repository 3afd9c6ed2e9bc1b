"""Preprocessed recordings of both kinds as one: entries of the cache, and rPPG-Toolbox's chunks.

<cache>/<DATASET>_.../<recording>/entry.json, faces.npy, signals.npz     a whole recording, uint8
<stem>_input<k>.npy with <stem>_label<k>.npy                             a clip, normalised or raw, float
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.files.names import natural_sort
from dataset.files.reading import open_array
from dataset.store.entry import ENTRY, read_about, read_entry

CHUNK = re.compile(r"(.+)_input(\d{1,9})\.npy", re.DOTALL)
MOST = 100_000  # files that are looked at below a folder


@dataclass(frozen=True)
class Preprocessed:
    """One recording or one chunk: `frames` (T, H, W, C), mapped, and `labels`: name -> (seconds, values), each (L,).

    Of a chunk with six channels the first three are DiffNormalized and the last three Standardized, as usual.
    """

    name: str
    frames: np.ndarray
    fs: float
    labels: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @property
    def times(self) -> np.ndarray:
        """Seconds (T,) of the frames, as even as `fs` says."""
        return np.arange(len(self.frames)) / self.fs

    @property
    def colours(self) -> np.ndarray:
        """Mean of each frame and channel (T, C)."""
        return np.array([frame.reshape(-1, frame.shape[-1]).mean(axis=0) for frame in self.frames], dtype=float)


def find(path: str | Path) -> list[Path]:
    """Entries (their folders) and chunks below `path`, in natural order; FileNotFoundError where there are none."""
    path = Path(path)
    if (path / ENTRY).is_file() or CHUNK.fullmatch(path.name):
        return [path]
    below = [one for one, _ in zip(path.rglob("*"), range(MOST), strict=False)] if path.is_dir() else []
    found = [one.parent for one in below if one.name == ENTRY] + [one for one in below if CHUNK.fullmatch(one.name)]
    if not found:
        raise FileNotFoundError(
            f"'{path}' holds neither preprocessed recordings ({ENTRY}) nor chunks (..._input0.npy). Name the folder of "
            "CACHED_PATH; a run of main.py fills it."
        )
    return natural_sort(found)


def open_one(path: str | Path, fs: float = 30.0) -> Preprocessed:
    """The entry in the folder `path`, or the chunk at it, which does not know its rate: `fs` (Hz)."""
    path = Path(path)
    return _chunk(path, fs) if path.suffix == ".npy" else _entry(path)


def _entry(folder: Path) -> Preprocessed:
    entry = read_entry(folder, read_about(folder / ENTRY))
    if entry.faces is None:
        raise ValueError(f"'{folder}' is a recording without video: there are no frames to look at.")
    labels = {}
    for name, signal in entry.signals.items():
        values = np.asarray(signal.values, dtype=float)
        spread = np.linspace(0, len(entry.faces) / entry.fs, len(values))
        times = (
            signal.times if signal.times is not None else np.arange(len(values)) / signal.fs if signal.fs else spread
        )
        labels[name] = (np.asarray(times, dtype=float), values)
    return Preprocessed(entry.id, entry.faces, float(entry.fs), labels)


def _chunk(path: Path, fs: float) -> Preprocessed:
    named = CHUNK.fullmatch(path.name)
    if named is None:
        raise ValueError(f"'{path}' is not called <recording>_input<number>.npy, as chunks are.")
    frames = open_array(path)
    if frames.ndim != 4:
        raise ValueError(f"'{path}' has the shape {frames.shape}; a chunk is (frames, height, width, channels).")
    own = path.with_name(f"{named[1]}_label{named[2]}.npy")
    labels = {}
    if own.is_file():
        values = np.asarray(open_array(own), dtype=float).reshape(len(frames), -1)
        names = ["label"] if values.shape[1] == 1 else [f"label {k}" for k in range(values.shape[1])]
        labels = {name: (np.arange(len(frames)) / fs, values[:, k]) for k, name in enumerate(names)}
    return Preprocessed(f"{named[1]}, chunk {named[2]}", frames, fs, labels)


def pictures(frames: np.ndarray) -> np.ndarray:
    """`frames` (N, H, W, C) as uint8 RGB (N, H, W, 3) to look at; normalised ones are stretched between percentiles."""
    frames = np.asarray(frames[..., :3])
    if frames.dtype == np.uint8 and frames.shape[-1] == 3:
        return frames
    low, high = np.percentile(frames, [1, 99])
    scaled = (frames - low) / ((high - low) or 1.0)
    return np.repeat((255 * np.clip(scaled, 0, 1)).astype(np.uint8), 3 // frames.shape[-1], axis=-1)
