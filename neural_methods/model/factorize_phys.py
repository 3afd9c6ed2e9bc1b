"""FactorizePhys: 3-D convolutions whose features are weighed by a low-rank factorisation of themselves (FSAM).

Joshi et al., "FactorizePhys: Matrix Factorization for Multidimensional Attention in Remote Physiological Sensing",
NeurIPS 2024, https://arxiv.org/abs/2411.01542. The factorisation follows Geng et al., "Is Attention Better Than Matrix
Decomposition?", ICLR 2021.

Input   video  (B, C, T+1, H, W) = (B, 3, 161, 72, 72), raw grey levels, the last frame repeated by the caller;
               C = 1, 3 or 4 (RGB and thermal); H, W at least 71 (`standard`) or 125 (`big`, made for 128)
Output  ppg    (B, T), no unit; the features (B, 16, T, h, w); with FSAM also the weighed features and the norm of what
               the factorisation leaves over
Differs from rPPG-Toolbox: the minimum that FSAM subtracts is taken per clip (`per_clip`), not over the whole batch, so
that a prediction does not depend on its neighbours; its constant `bias1` is never trained and not saved.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from neural_methods.model.normed_difference import check_channels, normed_difference

SMALLEST = {"Standard": 71, "Big": 125}  # pixels a side below which convolutions without padding leave nothing
TRANSFORMS = ("T_KAB", "TK_AB", "K_TAB")  # what forms the columns: time, time and channels, channels
BETA = 1.0  # added to both factors of the attention, so that neither is zero


@dataclass(frozen=True)
class Factorisation:
    """Settings of FSAM: `kind` NMF or VQ, rank, groups, steps; and whether it runs outside training."""

    kind: str = "NMF"
    transform: str = "T_KAB"
    rank: int = 1
    groups: int = 1
    steps: int = 4
    inference: bool = True
    residual: bool = True
    per_clip: bool = True

    def __post_init__(self):
        """Refuse names that stand for nothing; ValueError."""
        if self.kind.upper() not in FACTORISE:
            raise ValueError(f"MD_TYPE is {self.kind!r}: choose one of {', '.join(FACTORISE)}.")
        if self.transform.upper() not in TRANSFORMS:
            raise ValueError(f"MD_TRANSFORM is {self.transform!r}: choose one of {', '.join(TRANSFORMS)}.")


class FactorizePhys(nn.Module):
    """Feature extractor, then a head that pools space away, with the factorised attention inside it."""

    def __init__(self, channels: int = 3, fsam: Factorisation | None = None, big: bool = False, dropout: float = 0.0):
        """Fresh weights; `fsam` None leaves the factorisation out, `big` is the variant for 128x128 pixels."""
        super().__init__()
        self.channels = check_channels(channels)
        self.smallest = SMALLEST["Big" if big else "Standard"]
        self.rppg_feature_extractor = _FeatureExtractor(channels, big, dropout)
        self.rppg_head = _Head(fsam, big, dropout)

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Video (B, C, T+1, H, W) -> ppg (B, T), features; with FSAM also the weighed features and the error."""
        if min(video.shape[3:]) < self.smallest:
            raise ValueError(
                f"This FactorizePhys needs frames of at least {self.smallest}x{self.smallest} pixels and got "
                f"{tuple(video.shape[3:])}: set RESIZE to 72 (TYPE Standard) or 128 (TYPE Big)."
            )
        features = self.rppg_feature_extractor(normed_difference(video, self.channels))
        ppg, *rest = self.rppg_head(features)
        return ppg, features, *rest


class _FeatureExtractor(nn.Module):
    """(B, C, T, H, W) -> (B, 16, T, h, w); 72 pixels become 13, and 128 become 25 in the big variant."""

    def __init__(self, channels: int, big: bool, dropout: float):
        super().__init__()
        self.FeatureExtractor = nn.Sequential(
            _ConvBlock(channels, 8, padding=0 if big else 1),
            _ConvBlock(8, 12, stride=2),
            _ConvBlock(12, 12),
            nn.Dropout3d(dropout),
            _ConvBlock(12, 12, stride=2 if big else 1),
            _ConvBlock(12, 16, stride=1 if big else 2),
            _ConvBlock(16, 16),
            nn.Dropout3d(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.FeatureExtractor(x)


class _Head(nn.Module):
    """Features (B, 16, T, h, w) -> ppg (B, T), and what FSAM made of the features when it ran."""

    def __init__(self, fsam: Factorisation | None, big: bool, dropout: float):
        super().__init__()
        self.options, self.big = fsam, big
        self.register_buffer("bias1", torch.tensor(BETA), persistent=False)
        self.conv_block = nn.Sequential(
            _ConvBlock(16, 16, stride=2 if big else 1), _ConvBlock(16, 16), _ConvBlock(16, 16), nn.Dropout3d(dropout)
        )
        if fsam is not None:
            self.fsam = FSAM(fsam)
        self.final_layer = nn.Sequential(
            _ConvBlock(16, 12, size=4 if big else 3),
            _ConvBlock(12, 8),
            nn.Conv3d(8, 1, kernel_size=3, padding=(1, 0, 0), bias=False),
        )

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The big variant weighs before `conv_block`, where it sees more pixels; the standard one after it."""
        x = features if self.big else self.conv_block(features)
        extra: tuple[torch.Tensor, ...] = ()
        if self.options is not None and (self.training or self.options.inference):
            x, error = self._weigh(x)
            extra = (x, error)
        x = self.conv_block(x) if self.big else x
        return self.final_layer(x).mean(dim=(3, 4)).flatten(1), *extra  # one pixel is left at 72 and at 128

    def _weigh(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Multiply x (B, 16, T, h, w) by its low-rank form, both shifted to be positive; also the part left over."""
        positive = x - self._minimum(x)
        attention, error = self.fsam(x if self.options.kind.upper() == "VQ" else positive)
        weighed = F.instance_norm((positive + self.bias1) * (attention - self._minimum(attention) + self.bias1))
        return (weighed + x if self.options.residual else weighed), error

    def _minimum(self, x: torch.Tensor) -> torch.Tensor:
        return x.amin(dim=(1, 2, 3, 4), keepdim=True) if self.options.per_clip else x.min()


class _ConvBlock(nn.Module):
    """Convolution without bias, tanh, instance norm; keeps time, `padding` and `stride` concern space."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 3, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv_block_3d = nn.Sequential(
            nn.Conv3d(
                channels_in,
                channels_out,
                kernel_size=(3, size, size),
                stride=(1, stride, stride),
                padding=(1, padding, padding),
                bias=False,
            ),
            nn.Tanh(),
            nn.InstanceNorm3d(channels_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_block_3d(x)


class FSAM(nn.Module):
    """Factorised self-attention: 16 channels to 8, a low-rank approximation of those, and back to 16."""

    def __init__(self, options: Factorisation):
        """Fresh weights."""
        super().__init__()
        self.options = options
        squeeze, expand = nn.Conv3d(16, 8, kernel_size=1), nn.Conv3d(8, 16, kernel_size=1, bias=False)
        signed = options.kind.upper() == "VQ"  # NMF needs what is not negative; the names follow the weights
        self.pre_conv_block = squeeze if signed else nn.Sequential(squeeze, nn.ReLU())
        self.post_conv_block = nn.Sequential(_Mix(8, nn.Identity() if signed else nn.ReLU()), expand)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):  # He's rule, counted over outputs
                nn.init.normal_(module.weight, 0.0, (2.0 / module.out_channels) ** 0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, 16, T, h, w) -> attention of the same shape, and the norm of the approximation's error."""
        z = self.pre_conv_block(x)
        rows, columns = matrix_shape(z.shape[1:], self.options.transform, self.options.groups)
        # A view in memory order (C, T, h, w), without moving axes: with T_KAB a row is therefore not one point in
        # time. Released weights were trained so.
        matrix = z.reshape(-1, rows, columns)
        approximation = FACTORISE[self.options.kind.upper()](matrix, self.options.rank, self.options.steps).view(
            z.shape
        )
        return self.post_conv_block(approximation), (z - approximation).norm()


class _Mix(nn.Module):
    """A 1x1x1 convolution without bias and its activation, under the name the weights have."""

    def __init__(self, channels: int, activation: nn.Module):
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, kernel_size=1, bias=False)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.conv(x))


def matrix_shape(shape: torch.Size, transform: str, groups: int) -> tuple[int, int]:
    """Rows D and columns N of the matrices that features of `shape` (C, T, h, w) are seen as, `groups` per clip.

    Raises ValueError when the rows cannot be divided into `groups`.
    """
    channels, time, height, width = shape
    space = height * width
    rows, columns = {
        "T_KAB": (time, channels * space),
        "TK_AB": (time * channels, space),
        "K_TAB": (channels, time * space),
    }[transform.upper()]
    if rows % groups:
        raise ValueError(
            f"MD_S is {groups}: {rows} rows ({transform}) cannot be divided by it. Choose a divisor, or 1."
        )
    return rows // groups, columns


def nmf(z: torch.Tensor, rank: int, steps: int) -> torch.Tensor:
    """Non-negative approximation of z (M, D, N), z >= 0, of `rank`, by multiplicative updates; (M, D, N).

    Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NeurIPS 2000. The gradient passes through one
    last update of the coefficients only.
    """
    with torch.no_grad():
        bases = _equal_bases(z, rank)  # (M, D, R)
        coefficients = (z.mT @ bases).softmax(dim=-1)  # (M, N, R)
        for _ in range(steps):
            coefficients = _update(coefficients, z.mT, bases)
            bases = _update(bases, z, coefficients)
    return bases @ _update(coefficients, z.mT, bases).mT


def _update(factor: torch.Tensor, z: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Multiplicative update of `factor` (M, D, R) for z ~ factor other^T, other (M, N, R)."""
    return factor * (z @ other) / (factor @ (other.mT @ other) + 1e-6)


def vector_quantisation(z: torch.Tensor, rank: int, steps: int) -> torch.Tensor:
    """Approximation of z (M, D, N) by `rank` soft cluster centres of its columns; (M, D, N)."""
    with torch.no_grad():
        bases = _equal_bases(z, rank)
        columns = F.normalize(z, dim=1)
        for _ in range(steps):
            coefficients = _similarity(columns, bases)
            bases = z @ (coefficients / (coefficients.sum(dim=1, keepdim=True) + 1e-6))
        norm = z.norm(dim=1, keepdim=True)
    return bases @ _similarity(z / (norm + 1e-6), bases).mT


def _similarity(columns: torch.Tensor, bases: torch.Tensor) -> torch.Tensor:
    """Softmax over the R centres of the cosine between unit `columns` (M, D, N) and `bases` (M, D, R): (M, N, R)."""
    return (columns.mT @ F.normalize(bases, dim=1, eps=1e-6)).softmax(dim=-1)


def _equal_bases(z: torch.Tensor, rank: int) -> torch.Tensor:
    return F.normalize(z.new_ones(z.shape[0], z.shape[1], rank), dim=1)


FACTORISE = {"NMF": nmf, "VQ": vector_quantisation}
