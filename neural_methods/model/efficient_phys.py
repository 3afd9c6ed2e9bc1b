"""EfficientPhys: one convolutional branch that takes its own differences, gates itself and shifts in time.

Liu et al., "EfficientPhys: Enabling Simple, Fast and Accurate Camera-Based Cardiac Measurement", WACV 2023,
https://arxiv.org/abs/2110.04447

Input   clips  (B, T+1, 3, H, W), Standardized; or the T+1 frames of one clip (T+1, 3, H, W). B T divisible by the
               frame depth
Output  ppg    (B T, 1), one value of the differentiated pulse wave per pair of neighbouring frames
The convolutional version of the paper. rPPG-Toolbox takes the differences over all frames of a batch in one line, so a
clip's last difference is against the first frame of the next clip; here they stay inside a clip (to repeat its way,
hand the whole batch over as one clip).
"""

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.ts_can import attention_mask, dense_features, temporal_shift


class EfficientPhys(nn.Module):
    """Normalised differences, four convolutions with temporal shifts, two self-attention gates, two dense layers."""

    def __init__(self, frame_depth: int = 10, image_size: int | tuple[int, int] = 72):
        """Fresh weights for frames of `image_size`, H or (H, W), shifted in segments of `frame_depth` frames."""
        super().__init__()
        self.frame_depth = frame_depth
        self.motion_conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.motion_conv2 = nn.Conv2d(32, 32, kernel_size=3)
        self.motion_conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.motion_conv4 = nn.Conv2d(64, 64, kernel_size=3)
        self.apperance_att_conv1 = nn.Conv2d(32, 1, kernel_size=1)  # the spelling of the released weights
        self.apperance_att_conv2 = nn.Conv2d(64, 1, kernel_size=1)
        self.final_dense_1 = nn.Linear(dense_features(image_size), 128)
        self.final_dense_2 = nn.Linear(128, 1)
        self.batch_norm = nn.BatchNorm2d(3)
        self.dropout_maps = nn.Dropout(0.25)
        self.dropout_dense = nn.Dropout(0.5)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Clips (B, T+1, 3, H, W) or frames (T+1, 3, H, W) -> (B T, 1)."""
        clips = clips.unsqueeze(0) if clips.dim() == 4 else clips
        x = self.batch_norm(clips.diff(dim=1).flatten(0, 1))  # (B T, 3, H, W)
        x = torch.tanh(self.motion_conv1(self._shift(x)))
        x = torch.tanh(self.motion_conv2(self._shift(x)))
        x = self._gate_and_halve(x, self.apperance_att_conv1)
        x = torch.tanh(self.motion_conv3(self._shift(x)))
        x = torch.tanh(self.motion_conv4(self._shift(x)))
        x = self._gate_and_halve(x, self.apperance_att_conv2)
        hidden = self.dropout_dense(torch.tanh(self.final_dense_1(x.flatten(1))))
        return self.final_dense_2(hidden)

    def _shift(self, x: torch.Tensor) -> torch.Tensor:
        return temporal_shift(x, self.frame_depth)

    def _gate_and_halve(self, x: torch.Tensor, attention: nn.Conv2d) -> torch.Tensor:
        """Weigh the maps (N, C, H, W) by the attention they give themselves, then halve each side."""
        return self.dropout_maps(F.avg_pool2d(x * attention_mask(attention(x)), 2))
