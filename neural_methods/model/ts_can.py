"""TS-CAN: two-branch attention network on frame differences, with temporal shifts.

Liu et al., "Multi-Task Temporal Shift Attention Networks for On-Device Contactless Vitals Measurement",
NeurIPS 2020, https://arxiv.org/abs/2006.03790

Input   frames  (N, 6, H, W): three DiffNormalized channels (motion), then three Standardized ones (appearance);
                N divisible by the frame depth, frames of one clip in a row
Output  ppg     (N, 1), one value of the differentiated pulse wave per frame
The appearance branch gates the motion branch twice; temporal shifts let motion see its neighbours at no cost.
"""

import torch
import torch.nn.functional as F
from torch import nn


class TSCAN(nn.Module):
    """Motion branch with temporal shifts, appearance branch, two attention gates, two dense layers.

    `image_size` is H, or (H, W); the first dense layer depends on it. Frames are shifted inside segments of
    `frame_depth` frames.
    """

    def __init__(self, frame_depth: int = 10, image_size: int | tuple[int, int] = 36):
        """Fresh weights."""
        super().__init__()
        self.frame_depth = frame_depth
        self.motion_conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.motion_conv2 = nn.Conv2d(32, 32, kernel_size=3)
        self.motion_conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.motion_conv4 = nn.Conv2d(64, 64, kernel_size=3)
        self.apperance_conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)  # the spelling of the released weights
        self.apperance_conv2 = nn.Conv2d(32, 32, kernel_size=3)
        self.apperance_conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.apperance_conv4 = nn.Conv2d(64, 64, kernel_size=3)
        self.apperance_att_conv1 = nn.Conv2d(32, 1, kernel_size=1)
        self.apperance_att_conv2 = nn.Conv2d(64, 1, kernel_size=1)
        self.final_dense_1 = nn.Linear(dense_features(image_size), 128)
        self.final_dense_2 = nn.Linear(128, 1)
        self.dropout_maps = nn.Dropout(0.25)
        self.dropout_dense = nn.Dropout(0.5)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (N, 6, H, W) -> (N, 1)."""
        features = self.features(frames)
        hidden = self.dropout_dense(torch.tanh(self.final_dense_1(features)))
        return self.final_dense_2(hidden)

    def features(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (N, 6, H, W) -> the flattened gated motion maps (N, F)."""
        motion, appearance = frames[:, :3], frames[:, 3:]
        motion = torch.tanh(self.motion_conv1(self.shift(motion)))
        motion = torch.tanh(self.motion_conv2(self.shift(motion)))
        appearance = torch.tanh(self.apperance_conv2(torch.tanh(self.apperance_conv1(appearance))))
        motion = motion * attention_mask(self.apperance_att_conv1(appearance))
        motion = self.dropout_maps(F.avg_pool2d(motion, 2))
        appearance = self.dropout_maps(F.avg_pool2d(appearance, 2))
        motion = torch.tanh(self.motion_conv3(self.shift(motion)))
        motion = torch.tanh(self.motion_conv4(self.shift(motion)))
        appearance = torch.tanh(self.apperance_conv4(torch.tanh(self.apperance_conv3(appearance))))
        motion = motion * attention_mask(self.apperance_att_conv2(appearance))
        return self.dropout_maps(F.avg_pool2d(motion, 2)).flatten(1)

    def shift(self, motion: torch.Tensor) -> torch.Tensor:
        """Mix neighbouring frames of the motion branch (N, C, H, W), in front of each of its convolutions."""
        return temporal_shift(motion, self.frame_depth)


def temporal_shift(x: torch.Tensor, depth: int) -> torch.Tensor:
    """Shift a third of the channels of `x` (N, C, H, W) one frame back, a third one frame on, inside segments.

    Segments are `depth` consecutive frames (N divisible by it); places without a neighbour become 0.
    """
    if len(x) % depth:
        raise ValueError(
            f"{len(x)} frames cannot be cut into segments of {depth}: choose clips of a multiple of FRAME_DEPTH."
        )
    third = x.shape[1] // 3
    segments = x.view(-1, depth, *x.shape[1:])
    shifted = torch.zeros_like(segments)
    shifted[:, :-1, :third] = segments[:, 1:, :third]
    shifted[:, 1:, third : 2 * third] = segments[:, :-1, third : 2 * third]
    shifted[:, :, 2 * third :] = segments[:, :, 2 * third :]
    return shifted.view(x.shape)


def attention_mask(logits: torch.Tensor) -> torch.Tensor:
    """Soft attention (N, 1, H, W) from `logits`: a sigmoid scaled so that every map sums to half its pixels."""
    gate = torch.sigmoid(logits)
    pixels = gate.shape[2] * gate.shape[3]
    return gate / gate.sum(dim=(2, 3), keepdim=True) * (0.5 * pixels)


def dense_features(image_size: int | tuple[int, int]) -> int:
    """Number of features in front of the dense layers: two unpadded convolutions and two halvings of each side."""
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if min(height, width) < 10:
        raise ValueError(f"Frames of {height}x{width} pixels are too small for this network: RESIZE needs at least 10.")
    return 64 * (((height - 2) // 2 - 2) // 2) * (((width - 2) // 2 - 2) // 2)
