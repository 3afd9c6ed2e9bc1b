"""BigSmall: pulse, respiration and facial action units from a sharp slow branch and a coarse fast one.

Narayanswamy et al., "BigSmall: Efficient Multi-Task Learning for Disparate Spatial and Temporal Physiological
Measurements", WACV 2024, https://arxiv.org/abs/2303.11573

Input   big    (N, 3, H, W) = (N, 3, 144, 144), Standardized; only the first of every three frames is looked at
        small  (N, 3, H/16, W/16) = (N, 3, 9, 9), DiffNormalized; N divisible by 3, frames of a clip in a row
Output  au     (N, 12) logits of the action units; ppg (N, 1); resp (N, 1), per frame
The temporal shift of the small branch wraps around inside each group of three frames.
"""

import torch
import torch.nn.functional as F
from torch import nn

GROUP = 3  # frames that share one big frame, and that the shift mixes
SHRINK = 16  # pixels of the big frame to one of the small frame, per side


class BigSmall(nn.Module):
    """Six convolutions on every third big frame, four shifted ones on all small frames, summed; three dense heads."""

    def __init__(self, image_size: int | tuple[int, int] = 144, action_units: int = 12):
        """Fresh weights for big frames of `image_size`, H or (H, W); ValueError when 16 does not divide it."""
        super().__init__()
        self.big_conv1, self.big_conv2 = _conv(3, 32), _conv(32, 32)
        self.big_conv3, self.big_conv4 = _conv(32, 32), _conv(32, 64)
        self.big_conv5, self.big_conv6 = _conv(64, 64), _conv(64, 64)
        self.small_conv1, self.small_conv2 = _conv(3, 32), _conv(32, 32)
        self.small_conv3, self.small_conv4 = _conv(32, 32), _conv(32, 64)
        features = _feature_count(image_size)
        self.au_fc1, self.au_fc2 = nn.Linear(features, 128), nn.Linear(128, action_units)
        self.bvp_fc1, self.bvp_fc2 = nn.Linear(features, 128), nn.Linear(128, 1)
        self.resp_fc1, self.resp_fc2 = nn.Linear(features, 128), nn.Linear(128, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)

    def forward(self, big: torch.Tensor, small: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Big (N, 3, H, W), small (N, 3, H/16, W/16) -> au logits (N, 12), ppg (N, 1), resp (N, 1)."""
        sharp = self._big_branch(big[::GROUP]).repeat_interleave(GROUP, dim=0)  # (N, 64, H/16, W/16)
        shared = (sharp + self._small_branch(small)).flatten(1)
        return (
            self.au_fc2(F.relu(self.au_fc1(shared))),
            self.bvp_fc2(F.relu(self.bvp_fc1(shared))),
            self.resp_fc2(F.relu(self.resp_fc1(shared))),
        )

    def _big_branch(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.big_conv2(F.relu(self.big_conv1(x))))
        x = self.dropout1(F.avg_pool2d(x, 2))
        x = F.relu(self.big_conv4(F.relu(self.big_conv3(x))))
        x = self.dropout2(F.avg_pool2d(x, 2))
        x = F.relu(self.big_conv6(F.relu(self.big_conv5(x))))
        return self.dropout2(F.avg_pool2d(x, 4))

    def _small_branch(self, x: torch.Tensor) -> torch.Tensor:
        for conv in (self.small_conv1, self.small_conv2, self.small_conv3, self.small_conv4):
            x = F.relu(conv(wrapping_shift(x, GROUP)))
        return x


def wrapping_shift(x: torch.Tensor, depth: int) -> torch.Tensor:
    """Shift a third of the channels of `x` (N, C, H, W) one frame back and a third one on, in a circle of `depth`.

    Unlike TS-CAN's shift no place stays empty: the last frame of a group takes from its first, and the other way round.
    Raises ValueError when N is not a multiple of `depth`.
    """
    if len(x) % depth:
        raise ValueError(
            f"{len(x)} frames cannot be cut into groups of {depth}: choose clips of a multiple of {depth} frames."
        )
    third = x.shape[1] // 3
    groups = x.reshape(-1, depth, *x.shape[1:])
    back = groups[:, :, :third].roll(-1, dims=1)
    on = groups[:, :, third : 2 * third].roll(1, dims=1)
    return torch.cat([back, on, groups[:, :, 2 * third :]], dim=2).view(x.shape)


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)


def _feature_count(image_size: int | tuple[int, int]) -> int:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height % SHRINK or width % SHRINK or not height * width:
        raise ValueError(
            f"BigSmall's big frames are {height}x{width} pixels: both sides have to be a multiple of {SHRINK}."
        )
    return 64 * (height // SHRINK) * (width // SHRINK)
