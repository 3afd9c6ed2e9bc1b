"""Pulse and breath from any of colour, heat and motion: one encoder per sensor, features per frame side by side.

Made for PulseScope's multimodal sets; no published network. Pictures are averaged over a grid of cells, the cells are
weighed by where they are and how bright or warm (skin, nostrils), and what is left are a few courses per sensor. A gate
per sensor is told how strongly these change and how bright the picture is, so that noise from a dark one can be turned
down. Then one head reads them all.

    colour  (B, 3, T, H, W) grey levels 0 to 1      heat    (B, 1, T', h, w) degrees Celsius
    motion  (B, 5 T) mm                             there   (B, 3, T) 1 where a sensor has measured, else 0
    output  (B, 2, T): pulse, breath

A sensor that is missing (None, or `there` 0) gives zeros in place of its features.
"""

import torch
import torch.nn.functional as F
from torch import nn

SENSORS = ("colour", "heat", "motion")
CELLS = 8  # on each side of the grid
COURSES = 4  # weighted means of the cells
WIDTH = 16  # features of a sensor
LONGEST = 5  # doublings of the head's reach: it sees 2 x 2 x (1 + 2 + ... + 32) frames


class SensorFusion(nn.Module):
    """See the module; `width` features per sensor."""

    def __init__(self, width: int = WIDTH):
        """Fresh weights."""
        super().__init__()
        self.encoders = nn.ModuleDict(
            {"colour": Pictures(3, width, relative=True), "heat": Pictures(1, width), "motion": Motion(width)}
        )
        self.gates = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 1)) for name in SENSORS}
        )
        self.head = Head(3 * (width + 1), 2 * width)

    def forward(
        self,
        there: torch.Tensor,
        colour: torch.Tensor | None = None,
        heat: torch.Tensor | None = None,
        motion: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, 2, T)."""
        parts = []
        for place, (name, given) in enumerate(zip(SENSORS, (colour, heat, motion), strict=True)):
            seen = there[:, place : place + 1]
            parts += [self._features(name, given, seen), seen]
        return self.head(torch.cat(parts, dim=1))

    def _features(self, name: str, given: torch.Tensor | None, seen: torch.Tensor) -> torch.Tensor:
        """(B, width, T), 0 where the sensor was not there."""
        if given is None:
            return seen.new_zeros(seen.shape[0], self.encoders[name].width, seen.shape[2])
        features, strength = self.encoders[name](given, seen)
        gate = torch.sigmoid(self.gates[name](strength))[:, :, None]
        return torch.where(seen > 0, features * gate, torch.zeros_like(features))


class Pictures(nn.Module):
    """Frames (B, C, T', H, W) -> features (B, width, T) and what the gate is told (B, 3)."""

    def __init__(self, channels: int, width: int, relative: bool = False):
        """`relative`: changes count as a share of the level (light), otherwise as they are (degrees)."""
        super().__init__()
        self.width, self.relative = width, relative
        self.score = nn.Sequential(nn.Linear(channels, 16), nn.GELU(), nn.Linear(16, COURSES))
        self.place = nn.Parameter(torch.zeros(CELLS * CELLS, COURSES))
        self.mix = Courses(channels * COURSES, width)

    def forward(self, frames: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`seen` (B, 1, T) says how many frames are wanted."""
        clips, channels, count = frames.shape[:3]
        rows = frames.transpose(1, 2).flatten(0, 1)
        cells = F.adaptive_avg_pool2d(rows, CELLS).view(clips, count, channels, -1).permute(0, 3, 2, 1)  # B, N, C, T
        level = cells.mean(dim=3)
        change = cells - level[..., None]
        scaled = (level - 30) / 5 if not self.relative else level
        if self.relative:
            change = 100 * change / (level[..., None] + 0.02)
        weights = torch.softmax(self.score(scaled) + self.place, dim=1)  # over the cells
        courses = torch.einsum("bnk,bnct->bkct", weights, change).flatten(1, 2)
        told = torch.stack([scaled.mean(dim=(1, 2)), *_strength(courses)], dim=1)
        if count != seen.shape[2]:
            courses = F.interpolate(courses, size=seen.shape[2], mode="linear", align_corners=True)
        return self.mix(courses), told


class Motion(nn.Module):
    """Displacement (B, L) in mm -> features (B, width, T) and what the gate is told (B, 3)."""

    def __init__(self, width: int):
        """Position, speed and acceleration enter: beats are small beside breath, but faster."""
        super().__init__()
        self.width = width
        self.mix = Courses(3, width)

    def forward(self, motion: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`seen` (B, 1, T) says how many frames are wanted."""
        count = seen.shape[2]
        place = F.adaptive_avg_pool1d((motion - motion.mean(dim=1, keepdim=True))[:, None], count)
        speed = F.pad(place[..., 2:] - place[..., :-2], (1, 1), mode="replicate")
        faster = F.pad(speed[..., 2:] - speed[..., :-2], (1, 1), mode="replicate")
        courses = torch.cat([place, 10 * speed, 40 * faster], dim=1)
        return self.mix(courses), torch.stack([courses.new_zeros(len(courses)), *_strength(courses)], dim=1)


class Courses(nn.Module):
    """A few courses over time (B, n, T) -> features (B, width, T)."""

    def __init__(self, courses: int, width: int):
        """Two convolutions."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(courses, width, 5, padding=2), nn.GELU(), nn.Conv1d(width, width, 5, padding=2), nn.GELU()
        )

    def forward(self, courses: torch.Tensor) -> torch.Tensor:
        """Squeezed, so that a jump does not drown what follows."""
        return self.layers(3 * torch.tanh(courses / 3))


class Head(nn.Module):
    """Features (B, n, T) -> pulse and breath (B, 2, T), by convolutions that reach ever further in time."""

    def __init__(self, features: int, width: int):
        """Six residual layers."""
        super().__init__()
        self.enter = nn.Conv1d(features, width, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * 2**k, dilation=2**k) for k in range(LONGEST + 1)
        )
        self.leave = nn.Conv1d(width, 2, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, 2, T)."""
        found = self.enter(features)
        for layer in self.layers:
            found = found + F.gelu(layer(found))
        return self.leave(found)


def _strength(courses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithms of how much courses (B, n, T) vary, and how much from one frame to the next, (B,) each."""
    steps = courses[..., 1:] - courses[..., :-1]
    return tuple(torch.log(one.pow(2).mean(dim=(1, 2)) + 1e-6) / 4 for one in (courses, steps))
