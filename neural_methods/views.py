"""Two views of one window for methods that compare: each change by its own probability, each to be switched off.

Time reversal and shuffled segments leave no rhythm and no physiology; they are in the published recipe and can be left
out by VIEWS. Drawn from (seed, epoch, window) alone, so that a resumed training draws the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips.altered import AlteredClips
from neural_methods.patches import normalised

PROBABILITY = {"jitter": 0.8, "scaling": 0.8, "reversal": 0.5, "shuffling": 0.7, "cutout": 0.5, "crop": 0.3}
SIGMA, SPREAD = 0.05, 0.2  # of the jitter, in spreads of the window; of the scale, about 1
SEGMENTS = 8
LONGEST_CUT, SHORTEST_CROP = (0.15, 0.20), 0.80  # shares of the window


def jitter(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """White noise, a twentieth of each channel's spread."""
    return waves + random.normal(0, SIGMA, waves.shape) * waves.std(axis=-1, keepdims=True)


def scaling(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each channel times a number of its own."""
    return waves * random.normal(1, SPREAD, (len(waves), 1))


def reversal(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Backwards in time."""
    return waves[:, ::-1]


def shuffling(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Segments in another order."""
    parts = np.array_split(waves, SEGMENTS, axis=-1)
    return np.concatenate([parts[number] for number in random.permutation(len(parts))], axis=-1)


def cutout(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One or two stretches become zero."""
    found, length = waves.copy(), waves.shape[-1]
    for _ in range(random.integers(1, 3)):
        size = int(length * random.uniform(0.05, random.uniform(*LONGEST_CUT)))
        start = random.integers(0, length - size + 1)
        found[:, start : start + size] = 0
    return found


def crop(waves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A part of at least four fifths, stretched over the whole."""
    length = waves.shape[-1]
    size = int(length * random.uniform(SHORTEST_CROP, 1.0))
    start = random.integers(0, length - size + 1)
    places = np.linspace(start, start + size - 1, length)
    return np.stack([np.interp(places, np.arange(length), row) for row in waves])


VIEWS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    one.__name__: one for one in (jitter, scaling, reversal, shuffling, cutout, crop)
}


def changed(waves: np.ndarray, names: Sequence[str], random: np.random.Generator) -> np.ndarray:
    """A view (C, L) float32 of a window: each of `names`, in the order of VIEWS, with its probability."""
    for name, change in VIEWS.items():
        if name in names and random.random() < PROBABILITY[name]:
            waves = change(waves, random)
    return np.ascontiguousarray(waves, dtype=np.float32)


class TwoViews(AlteredClips):
    """Clips with `first` and `second`, two views of their input `name` (C, L)."""

    def __init__(self, clips: Dataset, name: str, views: Sequence[str], seed: int, norm: str = "none"):
        """`views`: names in VIEWS; windows are scaled as `norm` says before they are changed."""
        super().__init__(clips)
        self.name, self.views, self.seed, self.norm = name, tuple(views), seed, norm

    def altered(self, sample: dict[str, Any], index: int) -> dict[str, Any]:
        """A sample, its views drawn anew in each epoch."""
        waves = normalised(sample[self.name], self.norm).numpy()
        random = np.random.default_rng((self.seed, getattr(index, "epoch", 0), int(index)))
        views = [torch.from_numpy(changed(waves, self.views, random)) for _ in range(2)]
        return {**sample, "first": views[0], "second": views[1]}
