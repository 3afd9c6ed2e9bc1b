"""Clips per second out of the cache: faces stored once as uint8 beside chunks stored as normalised floats.

    python -m tools.benchmark.loading

Clips of 128 frames of 72x72 for two input types, from files in the page cache, through the loader that trains: mapping,
copying and collating; for uint8 faces also the normalisation, which rPPG-Toolbox's chunks have behind them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.clips.clips import ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.clips.transforms import normalise
from dataset.data_loader.base import Recording, Signal
from dataset.prepare.legacy import LegacyChunks, find_chunks
from dataset.store.cache import Cache
from neural_methods.batches import PlannedBatches, loader, training_plan
from tools.benchmark.measure import conditions

FRAMES, SIDE, FS, BATCH = 128, 72, 30.0, 4
TYPES = ("DiffNormalized", "Standardized")  # what TS-CAN reads: six channels
WORKERS = (0, 1, 2)


def main() -> None:
    """Print the Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    print(f"{conditions()}\n\n{section(asked.clips, asked.repeats)}")


def section(count: int = 64, repeats: int = 5) -> str:
    """Rows of clips per second by kind of cache and number of loader processes."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "uint8 faces, normalised when read": (faces(Path(folder) / "faces", count), _normalised),
            "rPPG-Toolbox's float64 chunks": (chunks(Path(folder) / "chunks", count), lambda batch: batch),
        }
        sizes = [_bytes(Path(folder) / name) / (count * FRAMES) for name in ("faces", "chunks")]
        lines = [
            f"Clips of {FRAMES} frames of {SIDE}x{SIDE}, {' + '.join(TYPES)}, {BATCH} to a batch; {count} clips, files "
            f"in the page cache, median of {repeats} epochs in random order.",
            "",
            f"| cache | bytes a frame | {' | '.join(f'{n} processes (clips/s)' for n in WORKERS)} |",
            f"| --- | --- | {' | '.join('---' for _ in WORKERS)} |",
        ]
        for (name, (dataset, finish)), size in zip(kinds.items(), sizes, strict=True):
            rates = [f"{speed(dataset, finish, workers, repeats):.0f}" for workers in WORKERS]
            lines.append(f"| {name} | {size:,.0f} | {' | '.join(rates)} |")
    return "\n".join(lines)


def speed(dataset: Any, finish: Any, workers: int, repeats: int) -> float:
    """Clips per second of an epoch; the first epoch, in which the processes start, does not count."""
    batches = PlannedBatches()
    reader = loader(dataset, batches, workers, torch.device("cpu"))
    seconds = []
    for epoch in range(repeats + 1):
        batches.plan = training_plan(len(dataset), BATCH, seed=0, epoch=epoch)
        begin = time.perf_counter()
        for batch in reader:
            finish(batch)
        seconds.append(time.perf_counter() - begin)
    return len(dataset) / statistics.median(seconds[1:])


def _normalised(batch: dict[str, Any]) -> torch.Tensor:
    return normalise(batch["video"], batch["next_frame"], batch["has_next"], batch["stats"], TYPES)


def faces(root: Path, count: int) -> ClipDataset:
    """A face cache of noise: one recording with so many clips."""
    cache, recording = Cache(root, {}), Recording(id="noise", subject="noise", path=root)
    cache.freeze([recording])
    with cache.write(recording) as entry:
        entry.fs = FS
        for frame in noise(count * FRAMES):
            entry.append(frame)
        entry.signals = {"ppg": Signal(np.sin(2 * np.pi * 1.2 * np.arange(count * FRAMES) / FS), fs=FS)}
    return ClipDataset(cache.entry, ["noise"], ClipOptions(length=FRAMES))


def chunks(root: Path, count: int) -> LegacyChunks:
    """The same number of clips as rPPG-Toolbox stores them: (T, H, W, 6) float64."""
    root.mkdir()
    values = np.random.default_rng(0).normal(size=(FRAMES, SIDE, SIDE, 3 * len(TYPES)))
    for number in range(count):
        np.save(root / f"noise_input{number}.npy", values)
        np.save(root / f"noise_label{number}.npy", values[:, 0, 0, 0])
    return LegacyChunks(find_chunks(root), FS)


def noise(count: int) -> Iterator[np.ndarray]:
    """So many frames (H, W, 3) uint8; one block over and over."""
    block: Sequence[np.ndarray] = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), dtype=np.uint8)
    return (block[number % len(block)] for number in range(count))


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.npy"))


if __name__ == "__main__":
    main()
