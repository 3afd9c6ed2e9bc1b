"""Temporal difference convolution (CDC-T): a 3-D convolution that also sees the change over time.

Yu et al., "PhysFormer: Facial Video-based Physiological Measurement with Temporal Difference Transformer",
CVPR 2022, https://arxiv.org/abs/2111.12082

Input   x  (B, C, T, H, W)
Output  y  (B, C', T, H, W)
"""

import torch
import torch.nn.functional as F
from torch import nn


class TemporalDifferenceConv(nn.Module):
    """3x3x3 convolution minus `theta` times its two outer time slices, summed over space, at the centre.

    y = conv(x) - theta * conv1(x), where conv1 is 1x1x1 with weight sum_{h,w} (w[0] + w[2]). Both have stride 1
    and share the centre, so the second one is folded into the centre tap of the first: one convolution, not two.
    The kernel is the parameter `conv.weight` (C', C, 3, 3, 3), without bias.
    """

    def __init__(self, in_channels: int, out_channels: int, theta: float):
        """`theta` 0 is the plain convolution."""
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False)
        self.theta = theta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T, H, W)."""
        return F.conv3d(x, self.kernel(), padding=1)

    def kernel(self) -> torch.Tensor:
        """The one kernel (C', C, 3, 3, 3) that both convolutions come to."""
        weight = self.conv.weight
        outer = weight[:, :, ::2].sum(dim=(2, 3, 4))  # (C', C)
        centre = F.pad(outer[:, :, None, None, None], (1, 1, 1, 1, 1, 1))  # zero but for the middle tap
        return weight - self.theta * centre

    @torch.no_grad()
    def folded(self) -> nn.Conv3d:
        """A plain convolution that gives the same, with weights of its own."""
        plain = nn.Conv3d(self.conv.in_channels, self.conv.out_channels, 3, padding=1, bias=False)
        plain.weight.copy_(self.kernel())
        return plain


def contiguous_gradient(x: torch.Tensor) -> torch.Tensor:
    """`x` itself; the gradient that comes back to it is made contiguous.

    torch 2.13 on the CPU: for a batch of one, the backward pass of batch norm is wrong when the gradient lies in memory
    with its channels last and with a batch stride shorter than a sample, as products of token matrices hand it back.
    """
    return _ContiguousGradient.apply(x)


class _ContiguousGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        """A view: a function may not return its input itself."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        """A copy where the layout asks for one."""
        return grad.contiguous()
