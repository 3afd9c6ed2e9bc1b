"""DeepPhys: a motion branch on frame differences, gated by an appearance branch, one frame at a time.

Chen and McDuff, "DeepPhys: Video-Based Physiological Measurement Using Convolutional Attention Networks", ECCV 2018,
https://arxiv.org/abs/1805.07888

Input   frames  (N, 6, H, W): three DiffNormalized channels (motion), then three Standardized ones (appearance)
Output  ppg     (N, 1), one value of the differentiated pulse wave per frame
Differs from the paper: dropout of 0.25 and 0.5, and tanh in both branches (as in the released weights). TS-CAN is this
network with temporal shifts, so this one is written as TS-CAN without them: no frame sees another.
"""

import torch

from neural_methods.model.ts_can import TSCAN


class DeepPhys(TSCAN):
    """Motion branch, appearance branch, two attention gates, two dense layers."""

    def __init__(self, image_size: int | tuple[int, int] = 36):
        """Fresh weights for frames of `image_size`, H or (H, W)."""
        super().__init__(frame_depth=1, image_size=image_size)

    def shift(self, motion: torch.Tensor) -> torch.Tensor:
        """No shift: the maps as they are."""
        return motion
