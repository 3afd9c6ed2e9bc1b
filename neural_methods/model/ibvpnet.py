"""iBVPNet: 3-D convolutional encoder-decoder for RGB and thermal video.

Joshi and Cho, "iBVP Dataset: RGB-Thermal rPPG Dataset with High Resolution Signal Quality Labels", Electronics 2024,
https://doi.org/10.3390/electronics13071334

Input   video  (B, C, T+1, H, W) = (B, 3, 161, 72, 72), raw grey levels, the last frame repeated by the caller;
               C = 1, 3 or 4 (RGB and thermal); H, W at least 64; T at least 4
Output  ppg    (B, T), no unit
The decoder's paddings shrink space by 2 and lengthen time by a few frames, as in the released weights; pooling brings
both to (T, 1, 1). The maximum over space is taken where others average.
"""

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.normed_difference import check_channels, normed_difference

SMALLEST = 64  # pixels a side below which nothing is left in front of the last pooling


class iBVPNet(nn.Module):
    """Encoder (space, then long windows of time), decoder, maximum over space, one weighted sum of channels."""

    def __init__(self, channels: int = 3):
        """Fresh weights for a video of 1, 3 or 4 channels; ValueError for another number."""
        super().__init__()
        self.channels = check_channels(channels)
        # Slot 2 is the pooling: it has no parameters, and the last layer is called `ibvpnet.3` in released weights.
        self.ibvpnet = nn.Sequential(_Encoder(channels), _Decoder(), nn.Identity(), nn.Conv3d(24, 1, kernel_size=1))

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Video (B, C, T+1, H, W) -> ppg (B, T)."""
        if min(video.shape[3:]) < SMALLEST:
            raise ValueError(
                f"iBVPNet needs frames of at least {SMALLEST}x{SMALLEST} pixels and got {tuple(video.shape[3:])}: "
                f"set RESIZE.H and RESIZE.W to 72."
            )
        x = normed_difference(video, self.channels)
        time = int(x.shape[2])  # int: to be exported
        encoder, decoder, _, last = self.ibvpnet
        x = F.adaptive_max_pool3d(decoder(encoder(x)), (time, 1, 1))
        return last(x).flatten(1)


class _Encoder(nn.Module):
    """(B, C, T, H, W) -> (B, 64, about T/4, H/8 - 1, W/8 - 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.spatio_temporal_encoder = nn.Sequential(
            _ConvBlock(channels, 8, (1, 3, 3)),
            _ConvBlock(8, 16, (3, 3, 3)),
            nn.MaxPool3d((1, 2, 2)),
            _ConvBlock(16, 24, (1, 3, 3)),
            _ConvBlock(24, 40, (3, 3, 3)),
            nn.MaxPool3d((1, 2, 2)),
            _ConvBlock(40, 64, (1, 3, 3)),
            _ConvBlock(64, 64, (3, 3, 3)),
        )
        self.temporal_encoder = nn.Sequential(
            _ConvBlock(64, 64, (11, 1, 1)),
            _ConvBlock(64, 64, (11, 3, 3)),
            nn.MaxPool3d(2),
            _ConvBlock(64, 64, (11, 1, 1)),
            _ConvBlock(64, 64, (11, 3, 3)),
            nn.MaxPool3d(2, stride=(2, 1, 1)),
            _ConvBlock(64, 64, (7, 1, 1)),
            _ConvBlock(64, 64, (7, 3, 3)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.temporal_encoder(self.spatio_temporal_encoder(x))


class _ConvBlock(nn.Module):
    """Convolution that keeps the size, tanh, instance norm."""

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int, int]):
        super().__init__()
        padding = tuple(size // 2 for size in kernel)
        self.conv_block_3d = nn.Sequential(
            nn.Conv3d(channels_in, channels_out, kernel, padding=padding), nn.Tanh(), nn.InstanceNorm3d(channels_out)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # On CPUs, torch 2.13's bfloat16 gradient of a kernel longer than the clip writes past its memory and ends the
        # process; such short clips are computed in float32.
        if x.device.type == "cpu" and x.shape[2] < self.conv_block_3d[0].kernel_size[0]:
            with torch.autocast("cpu", enabled=False):
                return self.conv_block_3d(x.float())
        return self.conv_block_3d(x)


class _Decoder(nn.Module):
    """(B, 64, t, h, w) -> (B, 24, more than T, 1 or more, 1 or more)."""

    def __init__(self):
        super().__init__()
        self.decoder_block = nn.Sequential(_DeconvBlock(64, 40), _DeconvBlock(40, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder_block(x)


class _DeconvBlock(nn.Module):
    """Twice the time, half the space: (B, C, t, h, w) -> (B, C', 2t + 5, about h/2 - 1, about w/2 - 1)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.deconv_block_3d = nn.Sequential(
            nn.ConvTranspose3d(channels_in, channels_in, (7, 1, 1), stride=(2, 1, 1), padding=(2, 1, 1)),
            nn.Tanh(),
            nn.InstanceNorm3d(channels_in),
            nn.Conv3d(channels_in, channels_out, (1, 3, 3), stride=(1, 2, 2), padding=(2, 1, 1)),
            nn.Tanh(),
            nn.InstanceNorm3d(channels_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.deconv_block_3d(x)
