"""Pulse and breath from any of colour, heat and motion: a branch per sensor, joined by how far each is to be trusted.

Made for PulseScope's multimodal sets; no published network. Each sensor has an encoder and a head of its own, so what
it tells does not depend on the others. Beside its waves a branch says how far it trusts them: the correlation with the
truth that it expects, from how clearly one rhythm stands out of each wave, how strongly the sensor's courses change and
how bright the picture is. Waves of one rhythm in independent noise are best added in proportion to r / (1 - r^2), so
what comes from a dark picture, or from a body that moves, counts for next to nothing.

    colour  (B, 3, T, H, W) grey levels 0 to 1      heat    (B, 1, T', h, w) degrees Celsius
    motion  (B, 5 T) mm                             there   (B, 3, T) 1 where a sensor has measured, else 0
    output  Fused: pulse and breath (B, 2, T), and those of each sensor with the correlation it expects

A sensor that is missing (None, or `there` 0) has no weight; without any, the output is 0.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

SENSORS = ("colour", "heat", "motion")
CELLS = 8  # on each side of the grid
COURSES = 4  # weighted means of the cells
WIDTH = 16  # features of a sensor
LONGEST = 5  # doublings of the head's reach: it sees 2 x 2 x (1 + 2 + ... + 32) frames
HASTE = 4  # times as fast as the branches a judge learns: it has little to learn, and few clips to learn it from
MOST = 0.98  # correlation: no sensor is trusted more, or the others would never count
BANDS = ((0.6, 3.3), (0.1, 0.6))  # Hz, of pulse and breath
FS = 30.0  # Hz


class Fused(NamedTuple):
    """`waves` (B, 2, T) of all sensors; `own` (B, S, 2, T) of each one, and the correlation `trust` (B, S, 2) of it."""

    waves: torch.Tensor
    own: torch.Tensor
    trust: torch.Tensor


class SensorFusion(nn.Module):
    """See the module; `width` features per sensor."""

    def __init__(self, width: int = WIDTH):
        """Fresh weights."""
        super().__init__()
        encoders = {"colour": Pictures(3, width, relative=True), "heat": Pictures(1, width), "motion": Motion(width)}
        self.branches = nn.ModuleDict({name: Branch(encoder, width) for name, encoder in encoders.items()})

    def forward(
        self,
        there: torch.Tensor,
        colour: torch.Tensor | None = None,
        heat: torch.Tensor | None = None,
        motion: torch.Tensor | None = None,
    ) -> Fused:
        """See the module."""
        found = []
        for place, (name, given) in enumerate(zip(SENSORS, (colour, heat, motion), strict=True)):
            seen = there[:, place : place + 1]
            if given is None:
                found.append((seen.new_zeros(len(seen), 2, seen.shape[2]), seen.new_zeros(len(seen), 2)))
            else:
                found.append(self.branches[name](given, seen))
        own, trust = (torch.stack(one, dim=1) for one in zip(*found, strict=True))
        trust = MOST * trust
        weights = (trust / (1 - trust**2))[..., None] * there[:, :, None]
        return Fused((weights * own).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-6), own, trust)


class Branch(nn.Module):
    """What one sensor tells: waves (B, 2, T) of variance 1, 0 where it was not there, and its trust (B, 2) in them."""

    def __init__(self, encoder: nn.Module, width: int):
        """`encoder` gives features (B, width, T) and what is known of its input (B, 3)."""
        super().__init__()
        self.encoder, self.head = encoder, Head(width, 2 * width)
        self.judges = nn.ModuleList(nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1)) for _ in BANDS)

    def forward(self, given: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`seen` (B, 1, T): 1 where the sensor has measured."""
        features, known = self.encoder(given, seen)
        waves = _standardised(self.head(torch.where(seen > 0, features, 0)), seen)
        trust = [
            # Judging does not change the wave: it would become what looks certain.
            torch.sigmoid(HASTE * judge(torch.cat([_rhythm(waves[:, kind].detach(), band), known.detach()], dim=1)))
            for kind, (band, judge) in enumerate(zip(BANDS, self.judges, strict=True))
        ]
        return waves, torch.where(seen.amax(dim=2) > 0, torch.cat(trust, dim=1), 0)


class Pictures(nn.Module):
    """Frames (B, C, T', H, W) -> features (B, width, T) and what is known of them (B, 3)."""

    def __init__(self, channels: int, width: int, relative: bool = False):
        """`relative`: changes count as a share of the level (light), otherwise as they are (degrees)."""
        super().__init__()
        self.width, self.relative = width, relative
        self.score = nn.Sequential(nn.Linear(channels, 16), nn.GELU(), nn.Linear(16, COURSES))
        self.place = nn.Parameter(torch.zeros(CELLS * CELLS, COURSES))
        self.mix = Courses((channels + 2 * relative) * COURSES, width)

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
            red, green, blue = change.unbind(dim=2)  # beside them the two directions across light and motion (POS)
            change = torch.cat([change, torch.stack([green - blue, green + blue - 2 * red], dim=2)], dim=2)
        weights = torch.softmax(self.score(scaled) + self.place, dim=1)  # over the cells
        courses = torch.einsum("bnk,bnct->bkct", weights, change).flatten(1, 2)
        told = torch.stack([scaled.mean(dim=(1, 2)), *_strength(courses)], dim=1)
        if count != seen.shape[2]:
            courses = F.interpolate(courses, size=seen.shape[2], mode="linear", align_corners=True)
        return self.mix(courses), told


class Motion(nn.Module):
    """Displacement (B, L) in mm -> features (B, width, T) and what is known of them (B, 3)."""

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


def _standardised(waves: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """`waves` (B, 2, T) with mean 0 and variance 1 over what was `seen` (B, 1, T), and 0 elsewhere."""
    count = seen.sum(dim=2, keepdim=True).clamp_min(1)
    waves = torch.where(seen > 0, waves, 0)
    waves = torch.where(seen > 0, waves - waves.sum(dim=2, keepdim=True) / count, 0)
    return waves / (waves.pow(2).sum(dim=2, keepdim=True) / count + 1e-8).sqrt()


def _rhythm(wave: torch.Tensor, band: tuple[float, float]) -> torch.Tensor:
    """How much of the power of `wave` (B, T) in `band` (Hz) lies about its strongest frequency (B, 1), -2 to 2."""
    count = wave.shape[1]
    window = torch.hann_window(count, device=wave.device, dtype=wave.dtype)
    power = torch.fft.rfft(wave * window, n=2 * count).abs() ** 2
    low, high = (round(edge * 2 * count / FS) for edge in band)
    power = power[:, low : high + 1]
    near = F.avg_pool1d(power[:, None], 7, stride=1, padding=3)[:, 0] * 7  # the main lobe of the window
    return 4 * near.amax(dim=1, keepdim=True) / power.sum(dim=1, keepdim=True).clamp_min(1e-9) - 2
