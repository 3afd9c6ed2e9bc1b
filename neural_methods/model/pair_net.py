"""PairNet: which of two videos does a heart belong to? A vector for each video, one for the heart, and their distance.

PairNet21    per stage a spatial convolution (1 x k x k), norm, ReLU, then a temporal one (k x 1 x 1), norm, ReLU
PairNetProj  per stage one plain 3-D convolution (k x k x k), norm, ReLU
Between the stages stands a projection (1 x 1 x 1), a bottleneck of channels, as in both networks of the thesis this
task comes from, whose result was chance. What differs from them: each video is scored by itself, so that swapping
the videos swaps the probabilities, exactly; kernels are written for (frames, height, width); there are norms and
non-linearities; nothing depends on the size of the clip.

The head reads the wave of each channel, and of the mean colours, as a spectrum: power in steps of 1.5 bpm from 35 to
215 bpm, its logarithm through a small network along the rates; beside it the mean of each channel. Time keeps its
resolution until there. Frames larger than 32 pixels are averaged down first.

Input   video  (B, C, T, H, W) normalised, T frames at `fs` Hz; H and W any from 16
        heart  (B, 2): mean interval between beats (ms), coefficient of variation; standardised inside
Output  vectors (B, D) of videos and of hearts; score of both: minus their squared distance, or their product
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS, BOTTLENECKS = (16, 32, 64), (8, 16, 32)
LOWEST, HIGHEST, STEP = 35.0, 215.0, 1.5  # bpm
FLOOR = 1e-4  # of the mean power, below which nothing is told apart


class Stage(nn.Module):
    """Convolutions of one stage and the projection behind them; space shrinks by `stride`, time does not."""

    def __init__(self, channels: int, width: int, bottleneck: int, stride: int, factorised: bool, kernel: int = 3):
        """`factorised`: space, then time; else both at once."""
        super().__init__()
        half, steps = kernel // 2, (1, stride, stride)
        if factorised:
            spatial = nn.Conv3d(channels, width, (1, kernel, kernel), steps, (0, half, half), bias=False)
            temporal = nn.Conv3d(width, width, (kernel, 1, 1), padding=(half, 0, 0), bias=False)
            parts = [spatial, _norm(width), nn.ReLU(), temporal, _norm(width), nn.ReLU()]
        else:
            parts = [nn.Conv3d(channels, width, kernel, steps, half, bias=False), _norm(width), nn.ReLU()]
        self.body = nn.Sequential(*parts)
        self.projection = nn.Conv3d(width, bottleneck, 1)

    def forward(self, video: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, bottleneck, T, H / stride, W / stride)."""
        return self.projection(self.body(video))


def _norm(width: int) -> nn.Module:
    """Of groups: it does not mix clips, so a pair is the same in any company."""
    return nn.GroupNorm(math.gcd(8, width), width)


class Spectrum(nn.Module):
    """From waves to a vector: log power at each rate, convolutions along the rates, dense layers.

    Input (B, C, T) at `fs` Hz, output (B, D).
    """

    def __init__(self, channels: int, size: int, waves: int = 8):
        """`waves`: combinations of the channels whose spectra are looked at."""
        super().__init__()
        self.mix = nn.Conv1d(channels, waves, 1, bias=False)
        rates = torch.arange(LOWEST, HIGHEST + STEP / 2, STEP)
        self.register_buffer("rates", rates, persistent=False)
        self.along = nn.Sequential(nn.Conv1d(waves, 16, 5, padding=2), nn.ReLU(), nn.Conv1d(16, 1, 5, padding=2))
        self.dense = nn.Sequential(nn.Linear(len(rates) + channels, 64), nn.ReLU(), nn.Linear(64, size))

    def forward(self, waves: Tensor, fs: Tensor) -> Tensor:
        """`fs` (B,) in Hz."""
        power = self.power(self.mix(waves.float()), fs)
        share = torch.softmax(self.along(power)[:, 0], dim=-1)
        return self.dense(torch.cat([share * len(self.rates) ** 0.5, waves.float().mean(dim=-1)], dim=1))

    def power(self, waves: Tensor, fs: Tensor) -> Tensor:
        """(B, C, R) log power of `waves` (B, C, T) at each rate, as a share of their mean."""
        waves = waves - waves.mean(dim=-1, keepdim=True)
        frames = torch.arange(waves.shape[-1], device=waves.device, dtype=torch.float32)
        window = torch.hann_window(waves.shape[-1] + 2, periodic=False, device=waves.device)[1:-1]
        angle = 2 * math.pi / 60.0 * self.rates[None, :, None] * frames / fs.float()[:, None, None]  # (B, R, T)
        waves = waves * window
        power = (waves @ angle.cos().transpose(1, 2)) ** 2 + (waves @ angle.sin().transpose(1, 2)) ** 2
        mean = power.mean(dim=-1, keepdim=True)
        return torch.log(power / (mean + 1e-20) + FLOOR)


class Heart(nn.Module):
    """The vector of a heart: dense layers on its standardised features. Unknown variation (NaN) is the usual one."""

    def __init__(self, size: int):
        """`size` of the vector."""
        super().__init__()
        self.register_buffer("mean", torch.tensor([800.0, 0.05]))
        self.register_buffer("spread", torch.tensor([200.0, 0.03]))
        self.dense = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, size))

    def know(self, features: Tensor) -> None:
        """Take mean and spread of the training features (n, 2)."""
        self.mean.copy_(features.double().mean(dim=0))
        self.spread.copy_(features.double().std(dim=0, correction=0).clamp(min=1e-6))

    def standard(self, features: Tensor) -> Tensor:
        """(B, 2) standardised."""
        return torch.nan_to_num((features - self.mean) / self.spread, nan=0.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, 2) -> (B, D)."""
        return self.dense(self.standard(features))


class PairNet(nn.Module):
    """Both networks; `factorised` is PairNet21."""

    def __init__(self, channels: int = 3, factorised: bool = True, size: int = 32, stride: int = 4):
        """`stride` of the first stage in space; the later ones halve it."""
        super().__init__()
        self.smallest = 8 * stride
        inputs = (channels, *BOTTLENECKS[:-1])
        strides = (stride, 2, 2)
        self.stages = nn.ModuleList(
            Stage(*one, factorised, kernel=5 if k == 0 and factorised else 3)
            for k, one in enumerate(zip(inputs, WIDTHS, BOTTLENECKS, strides, strict=True))
        )
        self.head = Spectrum(BOTTLENECKS[-1] + channels, size)
        self.heart = Heart(size)
        self.rate = nn.Linear(size, 1)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, video: Tensor, heart: Tensor, fs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of videos and of hearts (B, D), and the standardised interval (B,) that the video tells of."""
        colours = video.mean(dim=(3, 4))
        pool = max(1, min(video.shape[3:]) // self.smallest)
        video = F.avg_pool3d(video, (1, pool, pool)) if pool > 1 else video
        for stage in self.stages:
            video = stage(video)
        vector = self.head(torch.cat([video.mean(dim=(3, 4)), colours], dim=1), fs)
        scale = torch.exp(self.scale)
        return vector * scale, self.heart(heart) * scale, self.rate(vector)[:, 0]


def scores(videos: Tensor, hearts: Tensor, rule: str) -> Tensor:
    """(B, V, H) of the vectors of videos (B, V, D) and of hearts (B, H, D)."""
    if rule == "dot":
        return videos @ hearts.transpose(1, 2)
    return -((videos[:, :, None] - hearts[:, None]) ** 2).sum(dim=-1)


def choice_loss(scores: Tensor, both: bool) -> Tensor:
    """Cross-entropy of scores (B, V, H), video k being that of heart k; `both`: of choosing the heart, too."""
    target = torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
    loss = F.cross_entropy(scores, target)
    return (loss + F.cross_entropy(scores.transpose(1, 2), target)) / 2 if both else loss
