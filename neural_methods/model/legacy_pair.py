"""The two networks of the thesis this task comes from, as they were: for documentation, they cannot solve it.

Both average a sigmoid over the two orders of the videos, so that the output is the same for (v1, v2, h) and
(v2, v1, h), while the answer is the other one. Their kernels are written for (height, width, frames) and applied to
(frames, height, width): the "spatial" kernel spans time and height. There is no norm and no non-linearity between the
convolutions; grey levels come as 0 to 255, intervals in ms beside a coefficient near 0.05; almost all weights lie in
one dense layer tied to the size of the clip.

Input   video  (B, 1, 300, 480, 640) grey levels; heart (B, 2): mean interval (ms), coefficient of variation
Output  vectors of `evaluation.pairing.symmetric`: both halves of the dense layer for a video, all the rest for a heart
"""

import math

import torch
from torch import Tensor, nn

UNITS = 4
PROJ = ((1, 4, 5, (2, 2, 1), 2), (2, 8, (3, 3, 5), 1, 4), (4, 16, (3, 3, 5), 1, 8))
FACTORISED = ((1, 4, 2), (2, 8, 4), (4, 16, 4))


def projection_encoder() -> nn.Sequential:
    """conv, 1x1x1 projection and max-pooling three times, one ReLU at the end; 4,310 parameters."""
    parts: list[nn.Module] = []
    for inputs, width, kernel, stride, outputs in PROJ:
        parts += [nn.Conv3d(inputs, width, kernel, stride), nn.Conv3d(width, outputs, 1), nn.MaxPool3d(2)]
    return nn.Sequential(*parts, nn.ReLU(), nn.Flatten())


def factorised_encoder() -> nn.Sequential:
    """(3,3,1), then (1,1,3), a projection and average-pooling three times; 1,934 parameters."""
    parts: list[nn.Module] = []
    for inputs, width, outputs in FACTORISED:
        parts += [nn.Conv3d(inputs, width, (3, 3, 1)), nn.Conv3d(width, width, (1, 1, 3)), nn.Conv3d(width, outputs, 1)]
        parts += [nn.AvgPool3d(2)]
    return nn.Sequential(*parts, nn.Flatten())


ENCODERS = {"legacy_cnn_proj": projection_encoder, "legacy_cnn21": factorised_encoder}


class LegacyPair(nn.Module):
    """Encoder `name` and its head, for clips of `shape` (frames, height, width)."""

    def __init__(self, name: str, shape: tuple[int, int, int] = (300, 480, 640)):
        """ValueError for a clip that the convolutions leave nothing of."""
        super().__init__()
        self.encoder = ENCODERS[name]()
        size = flat_size(name, shape)
        self.first = nn.Linear(2 * size, UNITS)
        self.last = nn.Linear(UNITS + 2, 1)

    def forward(self, video: Tensor, heart: Tensor, fs: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of videos (B, 2 UNITS) and hearts (B, 2 UNITS + 5), and zeros: it tells no rate."""
        flat = self.encoder(video)
        halves = self.first.weight.chunk(2, dim=1)
        vector = torch.cat([flat @ half.T for half in halves], dim=1)
        weights = self.last.weight[0]
        rest = torch.cat([self.first.bias, weights[:UNITS], weights[UNITS:], self.last.bias])
        return (
            vector,
            torch.cat([heart.nan_to_num(), rest.expand(len(heart), -1)], dim=1),
            vector.new_zeros(len(vector)),
        )

    @staticmethod
    def decide(first: Tensor, second: Tensor, heart: Tensor) -> Tensor:
        """Probability (B,) that the hearts are those of the second videos, by the vectors of `forward`."""
        bias, weights, rest = heart[:, 2 : 2 + UNITS], heart[:, 2 + UNITS : 2 + 2 * UNITS], heart[:, 2 + 2 * UNITS :]
        total = 0.0
        for one, other in ((first, second), (second, first)):
            hidden = torch.relu(one[:, :UNITS] + other[:, UNITS:] + bias)
            logit = (hidden * weights).sum(-1) + (heart[:, :2] * rest[:, :2]).sum(-1) + rest[:, 2]
            total = total + torch.sigmoid(logit)
        return total / 2


def flat_size(name: str, shape: tuple[int, int, int]) -> int:
    """Numbers that encoder `name` leaves of one clip (frames, height, width); nothing is computed."""
    with torch.device("meta"):
        try:
            return math.prod(ENCODERS[name]()(torch.empty(1, 1, *shape)).shape)
        except RuntimeError as error:
            raise ValueError(f"Clips of {shape} (frames, height, width) are too small for {name}.") from error
