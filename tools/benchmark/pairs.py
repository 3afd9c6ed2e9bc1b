"""What pairs of clips cost beside the training on them: drawing, reading, and an update; memory by the number of pairs.

    python -m tools.benchmark.pairs
    python -m tools.benchmark.pairs data.size=32 params.batch_size=4

Faces of noise in a cache, as configs/pairing/train_model.yaml reads them; seconds of the CPU, in one process.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import config as settings
from dataset.clips.batch import collate
from dataset.clips.clips import Ask, ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.data_loader.base import Recording, Signal
from dataset.pairs import PairDataset
from dataset.store.cache import Cache
from neural_methods.run import make_trainer
from tools.benchmark.measure import conditions
from tools.pairing.data import parser

PEOPLE, SECONDS, FS = 8, 20.0, 30.0
NUMBERS = (100, 100_000_000)  # of pairs in an epoch


def main() -> None:
    """Print the Markdown section."""
    made = parser(__doc__)
    made.add_argument("--batches", type=int, default=4, help="that are read, and learnt from")
    asked = made.parse_args()
    print(f"{conditions()}\n\n{section(asked)}")


def section(asked: argparse.Namespace) -> str:
    """Seconds for a pair, and what share of it each part has; the memory of many pairs."""
    config = settings.load_config(asked.config_file, [*asked.override, ("NUM_WORKERS", 0)])
    size, length = int(config.TRAIN.DATA.PREPROCESS.RESIZE.H), int(config.TRAIN.DATA.PREPROCESS.CHUNK_LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        clips = people(Path(folder), size, length)
        trainer = make_trainer(config)
        data = trainer.data(clips, "train")
        batch, parts = int(config.TRAIN.BATCH_SIZE), {}
        count = asked.batches * batch
        parts["drawing"], _ = timed(lambda: [data.draw(0, index) for index in range(count)])
        read, samples = timed(lambda: [data[Ask(index, 0)] for index in range(count)])
        parts["reading"] = read - parts["drawing"]
        groups = [samples[start : start + batch] for start in range(0, count, batch)]
        parts["learning"], _ = timed(lambda: learn(trainer, groups))
        memory = {number: held(clips, number) for number in NUMBERS}
    whole = sum(parts.values())
    told = f"Clips of {length} frames of {size}x{size}, {config.MODEL.NAME}, {batch} pairs an update; {count} pairs."
    lines = [told, "",
             "| part | ms of the CPU a pair | share of an epoch |", "| --- | ---: | ---: |"]  # fmt: skip
    lines += [f"| {name} | {1000 * value / count:.2f} | {value / whole:.2%} |" for name, value in parts.items()]
    said = ", ".join(f"{value / 1e6:.2f} MB of {number:,}" for number, value in memory.items())
    return "\n".join([*lines, "", f"Held by the pairs of an epoch, a thousand of them drawn: {said}."])


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the CPU that `action` takes, and what it returns."""
    begin = time.process_time()
    found = action()
    return time.process_time() - begin, found


def learn(trainer: Any, groups: list[list[dict[str, Any]]]) -> None:
    """An update for each group of samples."""
    network = trainer.start().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    for samples in groups:
        batch = trainer.enter(collate(samples), epoch=0)
        loss = trainer.loss(trainer.forward(network, batch), batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def held(clips: ClipDataset, number: int) -> int:
    """Bytes that `number` pairs hold at most, while a thousand are drawn."""
    tracemalloc.start()
    data = PairDataset(clips, 0, number, speed=1.0)
    for index in range(1000):
        data.draw(0, index * (number // 1000 or 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def people(root: Path, size: int, length: int) -> ClipDataset:
    """Faces of noise of some people whose hearts are known."""
    cache, random = Cache(root, {}), np.random.default_rng(0)
    recordings = [Recording(id=f"p{number}", subject=f"p{number}", path=root) for number in range(PEOPLE)]
    cache.freeze(recordings)
    block = random.integers(0, 256, (64, size, size, 3), dtype=np.uint8)
    for number, recording in enumerate(recordings):
        phase = np.arange(round(SECONDS * FS)) / FS * (50 + 8 * number) / 60.0
        with cache.write(recording) as entry:
            entry.fs = FS
            for frame in range(len(phase)):
                entry.append(block[frame % len(block)])
            entry.signals = {"ppg": Signal(np.exp(-4.0 * (phase % 1.0)), fs=FS)}
    return ClipDataset(cache.entry, [one.id for one in recordings], ClipOptions(length=length))


if __name__ == "__main__":
    main()
