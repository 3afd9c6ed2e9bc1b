"""DrawnSignals: grids of mean colours made of arithmetic, other ones in each epoch. See dataset/synthetic/signals.py.

Nothing is stored and nothing is read: DATA_PATH need not exist. A window is a recording of a person of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader
from dataset.files.windows import Windows
from dataset.synthetic.signals import EFFECTS, NO_PULSE, draw
from registry import DATASETS

COLOURS = ("red", "green", "blue")
MOST_WINDOWS, LONGEST, LARGEST_GRID = 10_000_000, 600.0, 16


def channels_of(grid: int) -> tuple[str, ...]:
    """Names of the channels of `grid` x `grid` cells, row by row, each cell's red, green and blue."""
    return tuple(f"cell{cell}_{colour}" for cell in range(grid**2) for colour in COLOURS)


@DATASETS.register("DrawnSignals")
class DrawnSignalsLoader(BaseLoader):
    """Windows with the colours of each cell and the pulse wave `ppg` (of unit spread; zero where there is no pulse)."""

    has_video, windows, generated = False, True, True
    signals = ()  # how many cells there are is a setting
    OPTIONS = {
        "SIGNALS": {
            "SEED": 100,
            "WINDOWS": 4800,  # in an epoch
            "SECONDS": 10.0,  # of a window, at 30 samples per second
            "GRID": 4,  # cells along each side
            "WITHOUT": [],  # names of effects to leave out: dataset/synthetic/signals.py
        }
    }

    def read_windows(self, root: Path) -> Windows:
        """The windows, which are drawn when they are read; ValueError for settings that cannot be."""
        own = {**self.OPTIONS["SIGNALS"], **dict(self.options.get("SIGNALS", {}))}
        _check(own)
        store = DrawnWindows(
            int(own["SEED"]), int(own["WINDOWS"]), round(30.0 * own["SECONDS"]), int(own["GRID"]), tuple(own["WITHOUT"])
        )
        names, rows = tuple(f"drawn{number + 1}" for number in range(len(store))), np.arange(len(store), dtype=np.int32)
        return Windows(
            (*channels_of(store.grid), "ppg"), 30.0, store.length, store, rows, np.zeros_like(rows), names,
            tuple(f"seed{store.seed}-{name}" for name in names), {},
        )  # fmt: skip


def _check(own: dict[str, Any]) -> None:
    limits = {
        "WINDOWS": (1, MOST_WINDOWS),
        "SECONDS": (2.0, LONGEST),
        "GRID": (1, LARGEST_GRID),
        "SEED": (0, 2**32 - 1),
    }
    for key, (low, high) in limits.items():
        if not low <= own[key] <= high:
            raise ValueError(f"SIGNALS.{key} is {own[key]}: possible are {low:g} to {high:g}.")
    if unknown := [name for name in own["WITHOUT"] if name not in EFFECTS]:
        raise ValueError(f"SIGNALS.WITHOUT names {unknown[0]!r}, which is no effect. Known: {', '.join(EFFECTS)}.")


class DrawnWindows:
    """Reads a window by drawing it: by (seed, epoch, number) alone, so a resumed training sees the same."""

    drawn = True

    def __init__(self, seed: int, count: int, length: int, grid: int, without: tuple[str, ...]):
        """`count` windows of `length` samples at 30 Hz."""
        self.seed, self.count, self.length, self.grid, self.without = seed, count, length, grid, without

    def __len__(self) -> int:
        """Windows of an epoch."""
        return self.count

    def read(self, number: int, rows: Sequence[int], epoch: int = 0) -> np.ndarray:
        """Channels `rows` of a window of `epoch`, (len(rows), L) float32."""
        alive = number % NO_PULSE != NO_PULSE - 1
        found = draw((self.seed, epoch, number), self.length, 30.0, self.grid, alive, self.without)
        whole = np.concatenate([found.colours.reshape(self.length, -1).T, found.ppg[None]])
        return whole[list(rows)]
