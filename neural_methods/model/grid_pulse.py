"""GridPulse: a pulse wave from a grid of mean colours, however many frames and at whatever rate of frames.

Ours. Each cell of the grid goes through the same dilated convolutions over time; attention over the cells, anew at each
moment, mixes them; more convolutions make the wave and a quality of it. What is read of a cell is its change relative
to its mean, slower changes than any heart's taken out, scaled to unit spread: so neither tone nor size of the pulse
counts, but how the three colours go together does.
"""

import torch
import torch.nn.functional as F
from torch import nn

RATE = 30.0  # frames per second that the convolutions are made for
LONGEST = 2.0  # s of the triangle that is taken out: what is slower than 0.5 Hz goes


def relative(grid: torch.Tensor, fs: float = RATE) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (B, C, 3, T) -> changes of unit spread in each cell (B, C, 3, T), and log of that spread (B, C)."""
    mean = grid.mean(dim=-1, keepdim=True)
    change = grid / mean.clamp(min=1e-6) - 1
    half = max(1, round(LONGEST * fs / 4))
    slow = _averaged(_averaged(change, half), half)
    change = change - slow
    spread = change.square().mean(dim=(-2, -1)).sqrt()
    return change / spread.clamp(min=1e-7)[..., None, None], spread.clamp(min=1e-7).log()


def means(size: int, cells: int) -> torch.Tensor:
    """(cells, size) that takes the means of `cells` stretches of `size` pixels, which may share one at their ends."""
    edges = [(place * size // cells, -(-(place + 1) * size // cells)) for place in range(cells)]
    found = torch.zeros(cells, size)
    for place, (first, last) in enumerate(edges):
        found[place, first:last] = 1 / (last - first)
    return found


def _averaged(values: torch.Tensor, half: int) -> torch.Tensor:
    """Moving mean over 2 * half + 1 samples of the last axis; at the ends over what is there."""
    shape = values.shape
    flat = values.reshape(-1, 1, shape[-1])
    half = min(half, (shape[-1] - 1) // 2)
    return F.avg_pool1d(flat, 2 * half + 1, stride=1, padding=half, count_include_pad=False).reshape(shape)


class Block(nn.Module):
    """A dilated convolution over time with a way around it."""

    def __init__(self, width: int, dilation: int):
        """`width` channels, three taps `dilation` samples apart."""
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.GroupNorm(4, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, T) -> the same."""
        return x + F.gelu(self.norm(self.conv(x)))


class GridPulse(nn.Module):
    """Grid (B, 3, T, H, W) of colours at 30 per second -> wave (B, T) and logits of its quality (B, T)."""

    def __init__(self, width: int = 32, grid: int = 4):
        """`width` channels; larger pictures are averaged to `grid` x `grid` cells."""
        super().__init__()
        self.grid = grid
        self.first = nn.Conv1d(3, width, 7, stride=2, padding=3)  # 15 per second hold two harmonics of any heart
        self.cell = nn.Sequential(*(Block(width, dilation) for dilation in (1, 2, 4)))
        self.score = nn.Conv1d(width + 1, 1, 5, padding=2)
        self.mixed = nn.Conv1d(2 * width, 2 * width, 1)
        reach = 1, 2, 4, 8, 16, 32  # 4 s to each side: enough beats of a slow heart to tell it from noise
        self.whole = nn.Sequential(*(Block(2 * width, dilation) for dilation in reach))
        self.wave = nn.Conv1d(2 * width, 2, 5, padding=2)  # two samples of the wave for each step
        self.quality = nn.Conv1d(2 * width, 1, 15, padding=7)

    def forward(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Colours (B, 3, T, H, W), any positive scale."""
        batch, _, length = video.shape[:3]
        with torch.autocast(video.device.type, enabled=False):  # a pulse is less than eight bits of a colour
            change, spread = relative(self._cells(video.float()))
        count = change.shape[1]
        x = self.cell(F.gelu(self.first(change.reshape(batch * count, 3, length))))
        steps = x.shape[-1]
        size = (spread - spread.mean(dim=1, keepdim=True)).reshape(-1, 1, 1).expand(-1, 1, steps)
        score = self.score(torch.cat([x, size], dim=1)).reshape(batch, count, 1, steps)
        x = x.reshape(batch, count, -1, steps)
        chosen = (score.softmax(dim=1) * x).sum(dim=1)
        x = self.whole(self.mixed(torch.cat([chosen, x.mean(dim=1)], dim=1)))
        wave = self.wave(x).transpose(1, 2).reshape(batch, 2 * steps)[:, :length]
        return wave, self.quality(x)[:, 0].repeat_interleave(2, dim=1)[:, :length]

    def _cells(self, video: torch.Tensor) -> torch.Tensor:
        """Means of the cells (B, grid * grid, 3, T)."""
        if video.shape[-2:] != (self.grid, self.grid):
            rows, columns = (means(int(size), self.grid).to(video) for size in video.shape[-2:])
            video = rows @ video @ columns.T
        return video.permute(0, 3, 4, 1, 2).flatten(1, 2)
