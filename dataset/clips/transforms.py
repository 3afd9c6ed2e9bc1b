"""From stored uint8 faces to what a network sees. The only place where video is normalised.

Torch functions that run on whatever device the clip is on, in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

DATA_TYPES = ("Raw", "DiffNormalized", "Standardized")
EPSILON = 1e-7  # keeps 0/0 of two black pixels at 0


def normalise(video: Tensor, next_frame: Tensor, has_next: Tensor, stats: Tensor, types: Sequence[str]) -> Tensor:
    """Each of `types` of `video`, side by side on the channel axis: (B, C * len(types), T, H, W) float32.

    video       (B, C, T, H, W), uint8 grey levels 0-255 (or floats)
    next_frame  (B, C, H, W), the frame after the clip; ignored where `has_next` (B,) is False
    stats       (B, 3) of the whole recording: mean, standard deviation, standard deviation of the relative differences;
                (B, C, 3) where each channel has its own

    Raw             the grey levels
    Standardized    (x - mean) / std
    DiffNormalized  d[t] = (x[t+1] - x[t]) / (x[t+1] + x[t]), divided by its standard deviation over the recording;
                    0 for the last frame of the recording

    Equals normalising the whole recording and cutting it up afterwards. A constant recording gives zeros.
    Raises ValueError for an unknown type.
    """
    check_types(types)
    x = video.float()
    channels = x.shape[1]
    shape = (x.shape[0], channels * len(types), *x.shape[2:])
    out = torch.empty(shape, dtype=torch.float32, device=x.device)
    rows = stats.float().to(x.device).view(len(x), -1, 3)  # (B, 1 or C, 3)
    mean, std, diff_std = (column[..., None, None, None] for column in rows.unbind(2))
    for k, name in enumerate(types):
        target = out[:, k * channels : (k + 1) * channels]
        if name == "Raw":
            target.copy_(x)
        elif name == "Standardized":
            torch.mul(x - mean, _inverse(std), out=target)
        else:
            _relative_differences(x, next_frame.to(x), has_next, _inverse(diff_std), target)
    return out


def check_types(types: Sequence[str]) -> None:
    """ValueError unless `types` is a non-empty list of known data types."""
    unknown = [name for name in types if name not in DATA_TYPES]
    if unknown or not types:
        raise ValueError(f"DATA_TYPE is {list(types)!r}; it must list one or more of {', '.join(DATA_TYPES)}.")


def _relative_differences(x: Tensor, next_frame: Tensor, has_next: Tensor, scale: Tensor, target: Tensor) -> None:
    following = target  # the result's own memory holds x[t+1] first: one whole clip less
    following[:, :, :-1] = x[:, :, 1:]
    following[:, :, -1] = torch.where(has_next.to(x.device).view(-1, 1, 1, 1), next_frame, x[:, :, -1])
    total = x + following
    total += EPSILON
    following -= x
    following /= total
    following *= scale


def _inverse(std: Tensor) -> Tensor:
    """1 / std, and 0 where std is 0 (or NaN): a recording without variation becomes zeros."""
    return torch.where(std > 0, 1 / std, torch.zeros_like(std))
