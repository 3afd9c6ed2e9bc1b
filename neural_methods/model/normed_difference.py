"""The first step of iBVPNet and FactorizePhys: frame differences of raw video, each channel normalised per clip.

Joshi and Cho, "iBVP Dataset: RGB-Thermal rPPG Dataset with High Resolution Signal Quality Labels", Electronics 2024,
https://doi.org/10.3390/electronics13071334

Input   video  (B, C, T+1, H, W): RGB, thermal, or RGB and then thermal
Output  x      (B, channels, T, H, W), mean 0 and variance 1 per clip and channel
"""

import torch
import torch.nn.functional as F

CHANNELS = (1, 3, 4)  # thermal (or grey), RGB, RGB and thermal


def normed_difference(video: torch.Tensor, channels: int) -> torch.Tensor:
    """Differences of `video` (B, C, T+1, H, W) over time, normalised per clip and channel: (B, channels, T, H, W).

    Of a video with more channels, `channels` 1 takes the last (thermal) and 3 the first three (RGB).
    Raises ValueError when the video has too few channels, or when one channel of an RGB video is asked for.
    """
    given = video.shape[1]
    if missing_channels(given, channels):
        raise ValueError(
            f"The network was built for {channels} channels and got a video of {given}: set MODEL.<name>.CHANNELS to "
            f"{given}."
        )
    chosen = video[:, -1:] if channels == 1 else video[:, :channels]
    return F.instance_norm(chosen.diff(dim=2))


def missing_channels(given: int, channels: int) -> bool:
    """Whether a video of `given` channels lacks those that a network of `channels` reads."""
    return given < channels or (channels, given) == (1, 3)  # the last of three would be blue, not heat or grey


def check_channels(channels: int) -> int:
    """Return `channels` when a network can be built for it; ValueError otherwise."""
    if channels not in CHANNELS:
        raise ValueError(f"CHANNELS is {channels}: choose 1 (thermal), 3 (RGB) or 4 (RGB and thermal).")
    return channels
