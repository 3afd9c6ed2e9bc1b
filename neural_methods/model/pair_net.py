"""PairNet: which of two videos does a heart belong to? A vector for each video, one for the heart, and their distance.

PairNet21    per stage a spatial convolution (1 x k x k), norm, ReLU, then a temporal one (k x 1 x 1), norm, ReLU
PairNetProj  per stage one plain 3-D convolution (k x k x k), norm, ReLU
Between the stages stands a projection (1 x 1 x 1), a bottleneck of channels, as in both networks of the thesis this
task comes from, whose result was chance. What differs from them: each video is scored by itself, so that swapping
the videos swaps the probabilities, exactly; kernels are written for (frames, height, width); there are norms and
non-linearities; nothing depends on the size of the clip.

The head reads the wave of each channel, of the mean colours, and of three classical methods as a spectrum: power in
steps of 1.5 bpm from 35 to 215 bpm, from which a small network makes weights of all rates; the heart is a bump on the
same grid. So the network starts as a comparison of the classical methods' spectra, at all rates and not at their
highest peaks alone, and learns from there. Beside the weights stands what a still picture tells: the mean of each
channel, and how bright the frames as they came are in each of 4 x 4 cells. No pulse is in it: where it tells the rate
the data leak, and clips that stand still show that the network goes by it. Time keeps its resolution until the head.
Frames larger than 32 pixels are averaged down first.

Input   video   (B, C, T, H, W) normalised, T frames at `fs` Hz; H and W any from 16
        heart   (B, 2): mean interval between beats (ms), coefficient of variation; standardised inside
        levels  (B, K, 4, 4): grey levels 0-255 of the cells in K colours, mean over the clip
        waves   (B, V, T) of the classical methods; zeros where one finds none
Output  vectors (B, D) of videos and of hearts; score of both: minus their squared distance, or their product
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS, BOTTLENECKS = (16, 32, 64), (8, 16, 32)
LOWEST, HIGHEST, STEP = 35.0, 215.0, 1.5  # bpm
FLOOR = 1e-4  # of the mean power, below which nothing is told apart
RATES = torch.arange(LOWEST, HIGHEST + STEP / 2, STEP)
WIDTH, SCALE = 2.0, 2.0  # bpm of a heart's bump, and length of the vectors, at the start
CELLS = 4  # along each side of the frame, whose brightness is told
GREY_LEVEL, CONTRAST = 128.0, 64.0  # grey levels that are 0, and that are 1 more
COMBINATIONS = {False: ([0.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]), True: ([1.0],)}  # of colours; of grey
TRUSTED, LOOKED_AT = 0.4, 0.0  # weights of a spectrum at the start: of a classical method, and of the others


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
    """From waves to a weight for each rate: log power, a sum over the waves, and what convolutions along it add.

    Input channels (B, C, T) at `fs` Hz, the last `colours` being mean colours, and classical waves (B, V, T); output
    (B, R), a softmax over `rates`. It starts as the spectra of the classical waves; without any, as those of green, and
    of green less red and less blue. Convolutions add nothing yet.
    """

    def __init__(self, channels: int, colours: int, classical: int = 0, mixed: int = 8):
        """`mixed`: combinations of the channels whose spectra are looked at."""
        super().__init__()
        waves = mixed + classical
        self.mix = nn.Conv1d(channels, mixed, 1, bias=False)
        self.register_buffer("rates", RATES.clone(), persistent=False)
        self.weights = nn.Parameter(torch.full((waves, 1), LOOKED_AT))
        self.along = nn.Sequential(nn.Conv1d(waves, 16, 5, padding=2), nn.ReLU(), nn.Conv1d(16, 1, 5, padding=2))
        nn.init.zeros_(self.along[-1].weight)
        nn.init.zeros_(self.along[-1].bias)
        combined = COMBINATIONS[colours % 3 != 0]
        with torch.no_grad():
            for wave, one in enumerate(combined):
                self.mix.weight[wave] = 0.0
                self.mix.weight[wave, -colours:, 0] = torch.tensor(one).repeat(max(1, colours // 3))[:colours]
            self.weights[slice(mixed, None) if classical else slice(len(combined))] = TRUSTED

    def forward(self, channels: Tensor, classical: Tensor, fs: Tensor) -> Tensor:
        """`fs` (B,) in Hz."""
        power = self.power(torch.cat([self.mix(channels.float()), classical.float()], dim=1), fs)
        return torch.softmax((power * self.weights).sum(dim=1) + self.along(power)[:, 0], dim=-1)

    def power(self, waves: Tensor, fs: Tensor) -> Tensor:
        """(B, C, R) log power of `waves` (B, C, T) at each rate, as a share of their mean.

        No window, which would take half of the seconds away: what is slower than a heart is taken out instead.
        """
        waves = without_drift(waves, fs)
        frames = torch.arange(waves.shape[-1], device=waves.device, dtype=torch.float32)
        angle = 2 * math.pi / 60.0 * self.rates[None, :, None] * frames / fs.float()[:, None, None]  # (B, R, T)
        power = (waves @ angle.cos().transpose(1, 2)) ** 2 + (waves @ angle.sin().transpose(1, 2)) ** 2
        mean = power.mean(dim=-1, keepdim=True)
        return torch.log(power / (mean + 1e-20) + FLOOR)


def without_drift(waves: Tensor, fs: Tensor) -> Tensor:
    """`waves` (B, C, T) at `fs` (B,) Hz without their cosines (DCT-II) below LOWEST bpm, and so without their mean."""
    length = waves.shape[-1]
    highest = 2 * length * LOWEST / 60.0 / fs.float()  # (B,) half periods of the clip
    orders = torch.arange(1 + int(highest.max()), device=waves.device, dtype=torch.float32)
    places = (torch.arange(length, device=waves.device, dtype=torch.float32) + 0.5) * math.pi / length
    basis = F.normalize(torch.cos(orders[:, None] * places), dim=1)  # (K, T)
    slow = (waves @ basis.T) * (orders < highest[:, None, None])
    return waves - slow @ basis


class Heart(nn.Module):
    """The vector of a heart: a bump at its rate, changed by a dense layer, and dense layers on all its features.

    The features are standardised; an unknown variation (NaN) is the usual one.
    """

    def __init__(self, size: int):
        """`size` of the part that has nothing to do with the grid of rates."""
        super().__init__()
        self.register_buffer("mean", torch.tensor([800.0, 0.05]))
        self.register_buffer("spread", torch.tensor([200.0, 0.03]))
        self.register_buffer("rates", RATES.clone(), persistent=False)
        self.width = nn.Parameter(torch.tensor(WIDTH).log())
        self.change = nn.Linear(len(RATES), len(RATES))
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)
        self.dense = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, size))

    def know(self, features: Tensor) -> None:
        """Take mean and spread of the training features (n, 2)."""
        self.mean.copy_(features.double().mean(dim=0))
        self.spread.copy_(features.double().std(dim=0, correction=0).clamp(min=1e-6))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2) -> (B, R) of length 1, and (B, size)."""
        rate = 60_000.0 / features[:, :1]
        bump = torch.exp(-0.5 * ((self.rates - rate) / self.width.exp()) ** 2)
        standard = torch.nan_to_num((features - self.mean) / self.spread, nan=0.0)
        return F.normalize(bump + self.change(bump), dim=1), self.dense(standard)


class PairNet(nn.Module):
    """Both networks; `factorised` is PairNet21."""

    def __init__(
        self,
        channels: int = 3,
        factorised: bool = True,
        still: int = 8,
        stride: int = 4,
        colours: int = 3,
        classical: int = 3,
    ):
        """`still`: numbers that tell of what does not move. `stride` of the first stage; the later ones halve it.

        `colours`: K of the levels; `classical`: V of the waves.
        """
        super().__init__()
        self.smallest = 8 * stride
        inputs = (channels, *BOTTLENECKS[:-1])
        strides = (stride, 2, 2)
        self.stages = nn.ModuleList(
            Stage(*one, factorised, kernel=5 if k == 0 and factorised else 3)
            for k, one in enumerate(zip(inputs, WIDTHS, BOTTLENECKS, strides, strict=True))
        )
        width = BOTTLENECKS[-1] + channels
        self.head = Spectrum(width, channels, classical)
        self.still = nn.Linear(width + colours * CELLS**2, still)
        nn.init.zeros_(self.still.weight)
        nn.init.zeros_(self.still.bias)
        self.heart = Heart(still)
        self.scale = nn.Parameter(torch.tensor(SCALE).log())

    def forward(
        self, video: Tensor, heart: Tensor, fs: Tensor, levels: Tensor, classical: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of videos and of hearts (B, D), and the rate (B,) in bpm that the video tells of."""
        colours = video.mean(dim=(3, 4))
        pool = max(1, min(video.shape[3:]) // self.smallest)
        video = F.avg_pool3d(video, (1, pool, pool)) if pool > 1 else video
        for stage in self.stages:
            video = stage(video)
        waves = torch.cat([video.mean(dim=(3, 4)), colours], dim=1)
        with torch.autocast(waves.device.type, enabled=False):  # eight bits do not tell one rate from the next
            brightness = ((levels.float() - GREY_LEVEL) / CONTRAST).flatten(1)
            share = self.head(waves, classical, fs.float())
            return self._vectors(share, waves.float(), heart.float(), brightness)

    def _vectors(
        self, share: Tensor, waves: Tensor, heart: Tensor, brightness: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale = torch.exp(self.scale)
        rate, other = self.heart(heart)
        still = self.still(torch.cat([waves.mean(dim=-1), brightness], dim=1))
        videos = torch.cat([scale * F.normalize(share, dim=1), still], dim=1)
        return videos, torch.cat([scale * rate, other], dim=1), share @ self.head.rates


def levels_of(video: Tensor) -> Tensor:
    """Levels (B, K, 4, 4) of frames as they came (B, K, T, H, W): the mean over the clip of each cell."""
    return F.adaptive_avg_pool2d(video.float().mean(dim=2), CELLS)


def scores(videos: Tensor, hearts: Tensor, rule: str) -> Tensor:
    """(B, V, H) of the vectors of videos (B, V, D) and of hearts (B, H, D)."""
    if rule == "dot":
        return videos @ hearts.transpose(1, 2)
    return -((videos[:, :, None] - hearts[:, None]) ** 2).sum(dim=-1)


def choice_loss(scores: Tensor, both: bool) -> Tensor:
    """Cross-entropy of scores (B, V, H), video k being that of heart k; `both`: of choosing the heart, too.

    B = 1 with all clips of a batch as V and H: each against all others.
    """
    target = torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
    loss = F.cross_entropy(scores, target)
    return (loss + F.cross_entropy(scores.transpose(1, 2), target)) / 2 if both else loss
