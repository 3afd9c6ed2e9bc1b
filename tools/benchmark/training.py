"""Clips per second of training, data loader included: TS-CAN, PhysNet, PhysFormer, RhythmFormer.

    python -m tools.benchmark.training                     on the GPU where there is one, else small clips on the CPU
    python -m tools.benchmark.training --device cpu --updates 4 --methods Physnet

Runs the training loop itself on a cache of noise: reading, collating, normalising on the device, forward and backward
pass, optimiser. The time of an update is what the loop writes into history.csv; the first updates do not count.
"""

import argparse
import csv
import math
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.clips.clips import ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.data_loader.base import Recording, Signal
from dataset.store.cache import Cache
from registry import METHODS
from tools.benchmark.measure import conditions
from tools.model_card import settings

METHOD_NAMES = ("Tscan", "Physnet", "PhysFormer", "RhythmFormer")
MODES = {
    "fp32": [],
    "bf16": ["TRAIN.AMP=bf16"],
    "compiled": ["TRAIN.COMPILE=True"],
    "bf16, compiled": ["TRAIN.AMP=bf16", "TRAIN.COMPILE=True"],
}
SMALL = {"Tscan": (40, 36), "Physnet": (64, 36), "PhysFormer": (64, 32), "RhythmFormer": (64, 32)}  # frames, pixels
FS = 30.0


@dataclass(frozen=True)
class Asked:
    """What to measure; `batch` clips per update, `skipped` updates before the measured ones."""

    device: str
    batch: int
    updates: int
    skipped: int
    workers: int

    @property
    def small(self) -> bool:
        """Whether clips are made small enough for a CPU."""
        return not self.device.startswith("cuda")


@dataclass(frozen=True)
class Speed:
    """Clips per second (median over updates), GPU utilisation (%) and peak memory (MiB), None on a CPU."""

    clips: float
    utilisation: float | None = None
    memory: float | None = None


def main() -> None:
    """Measure and print a Markdown section; with --out also write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="clips per update (GPU: 16, CPU: 2)")
    parser.add_argument("--updates", type=int, help="measured updates (GPU: 30, CPU: 6)")
    parser.add_argument("--workers", type=int, default=-1, help="loader processes; -1: as the toolbox chooses")
    parser.add_argument("--methods", nargs="+", default=METHOD_NAMES, choices=METHOD_NAMES)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--out", type=Path, help="Markdown file")
    given = parser.parse_args()
    asked = asked_by_default(given.device, given.batch, given.updates, given.workers)
    text = f"{conditions()}\n\n{section(asked, given.methods, given.modes)}"
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def asked_by_default(device: str, batch: int | None = None, updates: int | None = None, workers: int = -1) -> Asked:
    """What to measure on `device` where nothing else is said: few small updates on a CPU."""
    gpu = device.startswith("cuda")
    return Asked(device, batch or (16 if gpu else 2), updates or (30 if gpu else 6), 5 if gpu else 2, workers)


def section(asked: Asked, methods: Any = METHOD_NAMES, modes: Any = tuple(MODES)) -> str:
    """The table: clips per second by method and mode; a mode that fails here says so."""
    machine = torch.cuda.get_device_name(asked.device) if not asked.small else f"{torch.get_num_threads()} threads"
    lines = [
        f"{asked.batch} clips per update, medians of {asked.updates} updates on {machine}; compiling does not count.",
        "",
        "| method | clip | mode | clips/s | GPU busy | GPU memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in methods:
        for mode in modes:
            with tempfile.TemporaryDirectory() as folder:
                config = configuration(name, asked, MODES[mode], Path(folder))
                data = config.TRAIN.DATA.PREPROCESS
                clip = f"{data.CHUNK_LENGTH} x {data.RESIZE.H} x {data.RESIZE.W}"
                lines.append(f"| {name} | {clip} | {mode} | {cells(config, asked, Path(folder))} |")
                print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def cells(config: Any, asked: Asked, folder: Path) -> str:
    """The measured cells of a row."""
    try:
        speed = measure(config, asked, folder)
    except Exception as error:  # a compiler that is missing, memory that is too small: the other rows still count
        return f"failed: {type(error).__name__} | - | -"
    busy = "-" if speed.utilisation is None else f"{speed.utilisation:.0f} %"
    memory = "-" if speed.memory is None else f"{speed.memory:.0f} MiB"
    return f"{speed.clips:.2f} | {busy} | {memory}"


def configuration(name: str, asked: Asked, changes: list[str], folder: Path) -> Any:
    """The method's published clips on a GPU, small ones on a CPU; one epoch of the asked updates."""
    overrides = [
        *changes,
        f"DEVICE={asked.device}",
        f"NUM_WORKERS={asked.workers}",
        "DETERMINISTIC=False",
        "TRAIN.EPOCHS=1",
        f"TRAIN.BATCH_SIZE={asked.batch}",
        "TRAIN.MODEL_FILE_NAME=benchmark",
        "TRAIN.PLOT_LOSSES_AND_LR=False",
        f"LOG.PATH={folder / 'runs'}",
    ]
    if asked.small:
        frames, side = SMALL[name]
        for section in ("TRAIN", "TEST"):
            overrides += [f"{section}.DATA.PREPROCESS.CHUNK_LENGTH={frames}"]
            overrides += [f"{section}.DATA.PREPROCESS.RESIZE.{key}={side}" for key in "HW"]
    return settings(name, overrides)


def measure(config: Any, asked: Asked, folder: Path) -> Speed:
    """Train one epoch and read the times of its updates."""
    torch.compiler.reset()
    trainer = METHODS[config.MODEL.NAME](config)
    clips = noise_clips(config, asked.batch * (asked.updates + asked.skipped), folder / "cache")
    if asked.small:
        trainer.fit(clips, folder=folder / "run")
        return Speed(asked.batch / seconds(folder / "run" / "history.csv", asked.skipped))
    torch.cuda.reset_peak_memory_stats()
    with watched() as samples:
        trainer.fit(clips, folder=folder / "run")
    speed = asked.batch / seconds(folder / "run" / "history.csv", asked.skipped)
    memory = torch.cuda.max_memory_allocated() / 2**20
    # The start (imports, compiling) is no part of the measurement; the end of the list is.
    kept = samples[-max(1, math.ceil(asked.updates * asked.batch / speed / INTERVAL)) :]
    return Speed(speed, statistics.mean(kept) if kept else None, memory)


def seconds(history: Path, skipped: int) -> float:
    """Median seconds per update, without the first `skipped`."""
    with history.open() as file:
        rows = list(csv.DictReader(file))
    return statistics.median(float(row["seconds"]) for row in rows[skipped:])


def noise_clips(config: Any, count: int, root: Path) -> ClipDataset:
    """So many clips of noise in a face cache on the disk, eight to a recording, with a pulse as the label."""
    data = config.TRAIN.DATA.PREPROCESS
    length, cache, rng = int(data.CHUNK_LENGTH), Cache(root, {}), np.random.default_rng(0)
    names = [f"noise{number}" for number in range(math.ceil(count / 8))]
    recordings = [Recording(id=name, subject=name, path=root) for name in names]
    cache.freeze(recordings)
    block = rng.integers(0, 256, (64, data.RESIZE.H, data.RESIZE.W, 3), dtype=np.uint8)
    for recording in recordings:
        with cache.write(recording) as entry:
            entry.fs = FS
            for frame in range(8 * length):
                entry.append(block[frame % len(block)])
            entry.signals = {"ppg": Signal(np.sin(2 * np.pi * 1.2 * np.arange(8 * length) / FS), fs=FS)}
    options = ClipOptions(length=length, label_type=str(data.LABEL_TYPE))
    clips = ClipDataset(cache.entry, names, options)
    clips.clips = clips.clips[:count]
    return clips


INTERVAL = 0.2  # seconds between looks at the GPU


@contextmanager
def watched() -> Iterator[list[float]]:
    """A list that fills with the GPU's utilisation (%) while the block runs; stays empty without nvidia-smi."""
    samples: list[float] = []
    fields = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
    try:
        # One process for all looks: starting it can take seconds.
        command = ["nvidia-smi", *fields, f"--loop-ms={INTERVAL * 1000:.0f}"]
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield samples
        return

    def read() -> None:
        samples.extend(float(line) for line in watcher.stdout if line.strip().isdecimal())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        watcher.kill()
        watcher.wait()
        thread.join()


if __name__ == "__main__":
    main()
