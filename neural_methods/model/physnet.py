"""PhysNet: spatio-temporal encoder-decoder for remote PPG.

Yu et al., "Remote Photoplethysmograph Signal Measurement from Facial Videos Using Spatio-Temporal Networks",
BMVC 2019, https://arxiv.org/abs/1905.02419

Input   video  (B, 3, T, H, W), DiffNormalized; T divisible by 4, H and W at least 16 (72 or 128 in publications)
Output  ppg    (B, T), no unit; then the video and the feature maps after blocks 5 and 7, for viewing
Differs from the paper: max pooling in the encoder, ELU in the decoder (as in the released weights).
768,577 parameters whatever T, H and W; extensions (see `neural_methods.extensions`) add theirs at the end.
"""

import torch
from torch import nn


class PhysNet(nn.Module):
    """Nine 3-D convolutions that shrink time by 4 and space by 16, two transposed ones that restore time."""

    ALIGNED = (2, 4)  # stages whose convolution may be deformable

    def __init__(self):
        """Fresh weights."""
        super().__init__()
        self.ConvBlock1 = _block(3, 16, kernel=(1, 5, 5))
        self.ConvBlock2 = _block(16, 32)
        self.ConvBlock3 = _block(32, 64)
        self.ConvBlock4 = _block(64, 64)
        self.ConvBlock5 = _block(64, 64)
        self.ConvBlock6 = _block(64, 64)
        self.ConvBlock7 = _block(64, 64)
        self.ConvBlock8 = _block(64, 64)
        self.ConvBlock9 = _block(64, 64)
        self.upsample = _double_time(64)
        self.upsample2 = _double_time(64)
        self.ConvBlock10 = nn.Conv3d(64, 1, kernel_size=1)
        self.halve_space = nn.MaxPool3d((1, 2, 2))
        self.halve_both = nn.MaxPool3d((2, 2, 2))
        self.gates = nn.ModuleDict()  # by block number; empty in the published network

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Video (B, 3, T, H, W) -> ppg (B, T), the video, and the features after blocks 5 and 7."""
        x = self.halve_space(self._blocks(video, 1))  # (B, 16, T, H/2, W/2)
        x = self.halve_both(self._blocks(x, 2, 3))  # (B, 64, T/2, H/4, W/4)
        half = self._blocks(x, 4, 5)
        x = self.halve_both(half)  # (B, 64, T/4, H/8, W/8)
        quarter = self._blocks(x, 6, 7)
        x = self._blocks(self.halve_space(quarter), 8, 9)  # (B, 64, T/4, H/16, W/16)
        x = self.upsample2(self.upsample(x))  # (B, 64, T, H/16, W/16)
        x = x.mean(dim=(3, 4), keepdim=True)
        return self.ConvBlock10(x).flatten(1), video, half, quarter

    @property
    def stages(self) -> dict[int, nn.Sequential]:
        """The blocks that extensions may change, by number: convolution, norm, activation."""
        return {number: getattr(self, f"ConvBlock{number}") for number in range(1, 10)}

    def _blocks(self, x: torch.Tensor, *numbers: int) -> torch.Tensor:
        for number in numbers:
            x = getattr(self, f"ConvBlock{number}")(x)
            if str(number) in self.gates:
                x = self.gates[str(number)](x)
        return x


def _block(channels_in: int, channels_out: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> nn.Sequential:
    padding = tuple(size // 2 for size in kernel)
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, kernel, padding=padding),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),  # in place: batch norm needs its input again, not its output
    )


def _double_time(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose3d(channels, channels, kernel_size=(4, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0)),
        nn.BatchNorm3d(channels),
        nn.ELU(inplace=True),
    )
