"""Pressures from an ECG, a pulse wave, or both: encoders, and a head that starts at the mean of the training targets.

Input   the waves of each branch (B, 1, L), z-scored, rates and lengths of their own
Output  the K targets (B, K) in their own unit (mmHg)
The head works on z-scores: y = mean + spread * out, or between bounds. Mean, spread and bounds are entries of the state
dict, so a weight file is whole. Encoders that average over time one by one do not see the delay from ECG to pulse wave;
`SmallEncoder`, which reads both as rows of one wave, does.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

CONSTRAINTS = ("none", "clip", "sigmoid", "tanh")
FLOOR = 1e-6  # of a spread


class PressureHead(nn.Module):
    """Features (B, F) -> the targets (B, K), constrained as one of `CONSTRAINTS`.

    none     mean + spread * out                   sigmoid  low + (high - low) * sigmoid(out)
    clip     the same, cut at the bounds           tanh     low + (high - low) * (tanh(out) + 1) / 2
    """

    def __init__(self, features: int, targets: int, constrain: str = "none", hidden: int = 512, dropout: float = 0.1):
        """One hidden layer with GELU."""
        super().__init__()
        self.constrain = constrain
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, targets)
        )
        nn.init.zeros_(self.layers[-1].bias)
        start = {"mean": torch.zeros(targets), "spread": torch.ones(targets)}
        for name, value in {**start, "low": -torch.ones(targets), "high": torch.ones(targets)}.items():
            self.register_buffer(name, value)

    @torch.no_grad()
    def know(self, mean: Sequence[float], spread: Sequence[float], low: Sequence[float], high: Sequence[float]) -> None:
        """Take over what is known of the training targets (K,); a bounded head then starts at their mean."""
        for name, value in {"mean": mean, "spread": spread, "low": low, "high": high}.items():
            getattr(self, name).copy_(torch.as_tensor(value, dtype=torch.float32))
        self.spread.clamp_(min=FLOOR)
        share = ((self.mean - self.low) / (self.high - self.low)).clamp(1e-4, 1 - 1e-4)
        starts = {"sigmoid": torch.logit(share), "tanh": torch.atanh(2 * share - 1)}
        if self.constrain in starts:
            self.layers[-1].bias.copy_(starts[self.constrain])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, F) -> (B, K); float32 whatever the precision of the features: mmHg do not fit into half of it."""
        out = self.layers(features).float()
        if self.constrain == "sigmoid":
            return self.low + (self.high - self.low) * torch.sigmoid(out)
        if self.constrain == "tanh":
            return self.low + (self.high - self.low) * (torch.tanh(out) + 1) / 2
        value = self.mean + self.spread * out
        return torch.minimum(torch.maximum(value, self.low), self.high) if self.constrain == "clip" else value


class PressureNet(nn.Module):
    """An encoder for each branch, a linear layer to `width` features for each, and the head."""

    def __init__(self, encoders: Mapping[str, nn.Module], targets: int, constrain: str = "none", width: int = 512):
        """`encoders` by branch ("ecg", "ppg"): (B, 1, L) -> (B, encoder.features)."""
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.projections = nn.ModuleDict({name: nn.Linear(one.features, width) for name, one in encoders.items()})
        self.head = PressureHead(width * len(encoders), targets, constrain, hidden=width)

    def forward(self, waves: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Waves (B, 1, L) by branch -> (B, K)."""
        features = [self.projections[name](encoder(waves[name])) for name, encoder in self.encoders.items()]
        return self.head(torch.cat(features, dim=1))


class SmallEncoder(nn.Module):
    """Four stages of two convolutions, each half as fast; (B, C, L) -> (B, 2 * 96): mean and largest over time."""

    FILTERS = (32, 48, 64, 96)

    def __init__(self, channels: int, kernel: int = 7):
        """`channels` waves at one rate, the rows of one input."""
        super().__init__()
        self.features = 2 * self.FILTERS[-1]
        self.stem = nn.Conv1d(channels, self.FILTERS[0], kernel, 2, kernel // 2)
        self.stages = nn.ModuleList(
            SmallStage(before, after, kernel) for before, after in zip((32, *self.FILTERS), self.FILTERS, strict=False)
        )

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """(B, C, L) -> (B, features)."""
        wave = F.gelu(self.stem(wave))
        for stage in self.stages:
            wave = stage(wave)
        return torch.cat([wave.mean(dim=-1), wave.amax(dim=-1)], dim=1)


class SmallStage(nn.Module):
    """Half the rate, then a residual convolution. (B, C, L) -> (B, C', L / 2)."""

    def __init__(self, channels: int, filters: int, kernel: int):
        """Batch norm behind each convolution."""
        super().__init__()
        self.down = nn.Conv1d(channels, filters, kernel, 2, kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm1d(filters)
        self.same = nn.Conv1d(filters, filters, kernel, 1, kernel // 2, bias=False)
        self.norm2 = nn.BatchNorm1d(filters)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Down, and further."""
        wave = F.gelu(self.norm1(self.down(wave)))
        return F.gelu(wave + self.norm2(self.same(wave)))


class SmallPressureNet(nn.Module):
    """All waves as rows of one input, the small encoder and a narrow head: under 0.5 M parameters."""

    def __init__(self, channels: int, targets: int, constrain: str = "none", width: int = 64):
        """`channels` waves."""
        super().__init__()
        self.encoders = nn.ModuleDict({"waves": SmallEncoder(channels)})
        self.head = PressureHead(self.encoders["waves"].features, targets, constrain, hidden=width)

    def forward(self, waves: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Waves (B, 1, L) by branch, all of one length -> (B, K)."""
        return self.head(self.encoders["waves"](torch.cat(list(waves.values()), dim=1)))
