"""YOLO5Face, size s: a one-stage face detector with three scales.

Qi et al., "YOLO5Face: Why Reinventing a Face Detector", ECCV Workshops 2022, https://arxiv.org/abs/2105.12931

Input   frames (B, 3, H, W), RGB / 255; H and W divisible by 64
Output  (B, N, 6): centre x, centre y, width, height in pixels of the input, how sure of an object, how sure of a face
Names and shapes of the parameters are those of `Y5sF_WFRGB.pth` of rPPG-Toolbox: 374 entries, 7,074,640 parameters. The
five landmarks of each face are computed by the last layer and left undecoded: nothing here needs them.
"""

import torch
from torch import nn

STRIDES = (8, 16, 32)  # pixels per cell
ANCHORS = (  # width, height in pixels, three per scale
    ((4, 5), (8, 10), (13, 16)),
    ((23, 29), (43, 55), (73, 105)),
    ((146, 217), (231, 300), (335, 433)),
)
VALUES = 16  # per anchor: box (4), object, landmarks (10), face


class YOLO5FaceNet(nn.Module):
    """Backbone, feature pyramid down and up again, and one head per scale."""

    def __init__(self):
        """Build all layers; their numbers are those of the published configuration."""
        super().__init__()
        up = nn.Upsample(scale_factor=2, mode="nearest")
        join = nn.Identity()  # a place where two maps are concatenated
        self.model = nn.ModuleList(
            [
                Stem(3, 32),
                C3(32, 64, 1),
                Conv(64, 128, 3, 2),
                C3(128, 128, 3),
                Conv(128, 256, 3, 2),
                C3(256, 256, 3),
                Conv(256, 512, 3, 2),
                SPP(512, 512),
                C3(512, 512, 1, shortcut=False),
                Conv(512, 256),
                up,
                join,
                C3(512, 256, 1, shortcut=False),
                Conv(256, 128),
                up,
                join,
                C3(256, 128, 1, shortcut=False),
                Conv(128, 128, 3, 2),
                join,
                C3(256, 256, 1, shortcut=False),
                Conv(256, 256, 3, 2),
                join,
                C3(512, 512, 1, shortcut=False),
                Detect((128, 256, 512)),
            ]
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, N, 6)."""
        layer = self.model
        fine = self._run(frames, 0, 4)  # (B, 128, H/8, W/8)
        middle = self._run(fine, 4, 6)  # (B, 256, H/16, W/16)
        coarse = self._run(middle, 6, 10)  # (B, 256, H/32, W/32)
        inner = self._run(torch.cat([layer[10](coarse), middle], 1), 12, 14)  # (B, 128, H/16, W/16)
        small = layer[16](torch.cat([layer[14](inner), fine], 1))  # (B, 128, H/8, W/8)
        medium = layer[19](torch.cat([layer[17](small), inner], 1))  # (B, 256, H/16, W/16)
        large = layer[22](torch.cat([layer[20](medium), coarse], 1))  # (B, 512, H/32, W/32)
        return layer[23]([small, medium, large])

    def _run(self, x: torch.Tensor, first: int, end: int) -> torch.Tensor:
        for layer in self.model[first:end]:
            x = layer(x)
        return x


class Conv(nn.Module):
    """Convolution without bias, batch norm, SiLU."""

    def __init__(self, inside: int, outside: int, kernel: int = 1, stride: int = 1):
        """`inside` and `outside` channels; the map keeps its size but for the stride."""
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, H, W) -> (B, outside, H/stride, W/stride)."""
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolution, added to the input when `shortcut`."""

    def __init__(self, channels: int, shortcut: bool):
        """`channels` in and out."""
        super().__init__()
        self.cv1 = Conv(channels, channels)
        self.cv2 = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> the same."""
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage block: half the channels through `count` bottlenecks, half past them."""

    def __init__(self, inside: int, outside: int, count: int, shortcut: bool = True):
        """`shortcut`: of the bottlenecks."""
        super().__init__()
        half = outside // 2
        self.cv1 = Conv(inside, half)
        self.cv2 = Conv(inside, half)
        self.cv3 = Conv(2 * half, outside)
        self.m = nn.Sequential(*[Bottleneck(half, shortcut) for _ in range(count)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, H, W) -> (B, outside, H, W)."""
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))


class Stem(nn.Module):
    """Frames to features at a quarter of the size, by strided convolution and by pooling."""

    def __init__(self, inside: int, outside: int):
        """`inside` colours, `outside` channels."""
        super().__init__()
        self.stem_1 = Conv(inside, outside, 3, 2)
        self.stem_2a = Conv(outside, outside // 2)
        self.stem_2b = Conv(outside // 2, outside, 3, 2)
        self.stem_2p = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.stem_3 = Conv(2 * outside, outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, H, W) -> (B, outside, H/4, W/4)."""
        x = self.stem_1(x)
        return self.stem_3(torch.cat([self.stem_2b(self.stem_2a(x)), self.stem_2p(x)], 1))


class SPP(nn.Module):
    """Spatial pyramid pooling over 3, 5 and 7 cells: smaller than YOLOv5's, as faces ask for."""

    def __init__(self, inside: int, outside: int):
        """Channels in and out."""
        super().__init__()
        self.cv1 = Conv(inside, inside // 2)
        self.cv2 = Conv(inside // 2 * 4, outside)
        self.m = nn.ModuleList([nn.MaxPool2d(size, 1, size // 2) for size in (3, 5, 7)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, H, W) -> (B, outside, H, W)."""
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *[pool(x) for pool in self.m]], 1))


class Detect(nn.Module):
    """The heads: for each cell and anchor a box and how sure the network is of it."""

    def __init__(self, channels: tuple[int, ...]):
        """`channels` of the maps, from the finest to the coarsest."""
        super().__init__()
        anchors = torch.tensor(ANCHORS, dtype=torch.float32)  # (3, 3, 2)
        strides = torch.tensor(STRIDES, dtype=torch.float32).view(-1, 1, 1)
        self.register_buffer("anchors", anchors / strides)
        self.register_buffer("anchor_grid", anchors.view(len(STRIDES), 1, -1, 1, 1, 2))  # pixels
        self.m = nn.ModuleList([nn.Conv2d(count, len(ANCHORS[0]) * VALUES, 1) for count in channels])

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Three maps (B, C, H, W) -> (B, N, 6)."""
        return torch.cat([self._decode(level, features) for level, features in enumerate(maps)], 1)

    def _decode(self, level: int, features: torch.Tensor) -> torch.Tensor:
        found = self.m[level](features)
        batch, _, height, width = found.shape
        found = found.view(batch, -1, VALUES, height, width).permute(0, 1, 3, 4, 2)  # (B, 3, H, W, 16)
        found = found[..., [0, 1, 2, 3, 4, VALUES - 1]].sigmoid()
        rows, columns = torch.meshgrid(
            torch.arange(height, device=found.device), torch.arange(width, device=found.device), indexing="ij"
        )
        cells = torch.stack([columns, rows], -1)
        centre = (2 * found[..., :2] - 0.5 + cells) * STRIDES[level]
        size = (2 * found[..., 2:4]) ** 2 * self.anchor_grid[level]
        return torch.cat([centre, size, found[..., 4:]], -1).flatten(1, 3)
