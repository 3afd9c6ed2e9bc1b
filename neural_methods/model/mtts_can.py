"""MTTS-CAN: TS-CAN with two heads, pulse and respiration, on shared convolutions.

Liu et al., "Multi-Task Temporal Shift Attention Networks for On-Device Contactless Vitals Measurement",
NeurIPS 2020, https://arxiv.org/abs/2006.03790

Input   frames  (N, 6, H, W): three DiffNormalized channels (motion), then three Standardized ones (appearance);
                N divisible by the frame depth, frames of one clip in a row
Output  ppg     (N, 1) and resp (N, 1), one value of each differentiated wave per frame
Each head has its own dropout after the shared features, as in the authors' network.
"""

import torch
from torch import nn

from neural_methods.model.ts_can import TSCAN, dense_features


class MTTSCAN(TSCAN):
    """TS-CAN's two branches; `final_dense_*_y` is the pulse head, `final_dense_*_r` the respiration head."""

    def __init__(self, frame_depth: int = 10, image_size: int | tuple[int, int] = 36):
        """Fresh weights for frames of `image_size`, H or (H, W), shifted in segments of `frame_depth` frames."""
        super().__init__(frame_depth, image_size)
        del self.final_dense_1, self.final_dense_2
        size = dense_features(image_size)
        self.final_dense_1_y = nn.Linear(size, 128)
        self.final_dense_2_y = nn.Linear(128, 1)
        self.final_dense_1_r = nn.Linear(size, 128)
        self.final_dense_2_r = nn.Linear(128, 1)

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (N, 6, H, W) -> pulse (N, 1), respiration (N, 1)."""
        features = self.features(frames)
        pulse = torch.tanh(self.final_dense_1_y(features))
        respiration = torch.tanh(self.final_dense_1_r(features))
        return self.final_dense_2_y(self.dropout_dense(pulse)), self.final_dense_2_r(self.dropout_dense(respiration))
