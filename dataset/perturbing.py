"""Clips without something that a viewer may go by: upright faces, their middle, motion, colour, the order of time.

As in the study of people who do this task (Galvez-Pol et al., Cortex 151, 2022: inverted, masked and still faces); grey
and shuffled frames are added. A clip keeps its statistics, so that it is normalised as before.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataset.clips.altered import AlteredClips

MASKED = 0.5  # of each side of the frame, in its middle


def inverted(video: Tensor, random: np.random.Generator) -> Tensor:
    """(C, T, H, W) upside down."""
    return video.flip(2)


def masked(video: Tensor, random: np.random.Generator) -> Tensor:
    """The middle of the face under one grey: half of each side."""
    height, width = video.shape[2:]
    rows, columns = (slice(round(side * (1 - MASKED) / 2), round(side * (1 + MASKED) / 2)) for side in (height, width))
    changed = video.clone()
    changed[:, :, rows, columns] = 128
    return changed


def static(video: Tensor, random: np.random.Generator) -> Tensor:
    """The first frame all the time."""
    return video[:, :1].expand_as(video).clone()


def grey(video: Tensor, random: np.random.Generator) -> Tensor:
    """The mean of the channels in each of them."""
    return video.float().mean(dim=0, keepdim=True).expand_as(video).to(video.dtype)


def shuffled_time(video: Tensor, random: np.random.Generator) -> Tensor:
    """The frames in random order."""
    return video[:, torch.from_numpy(random.permutation(video.shape[1]))]


PERTURBATIONS: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "inverted": inverted, "masked": masked, "static": static, "grey": grey, "shuffled_time": shuffled_time,
}  # fmt: skip


class Perturbed(AlteredClips):
    """Clips with their video changed by the perturbation called `name`; what is random comes from (seed, index)."""

    def __init__(self, clips: Any, name: str, seed: int):
        """KeyError for an unknown name."""
        super().__init__(clips)
        self.change, self.seed = PERTURBATIONS[name], int(seed)

    def altered(self, sample: dict[str, Any], index: int) -> dict[str, Any]:
        """The sample with its video changed; what followed the clip does not follow it any more."""
        video = self.change(sample["video"], np.random.default_rng((self.seed, int(index), 5)))
        return {**sample, "video": video, "has_next": False}
