"""Windows per second of the stages of CM-SSL beside a plain PyTorch loop; what the quantiser and many windows need.

    python -m tools.benchmark.cmssl                     loops with the networks of the tiny configurations, batch 64
    python -m tools.benchmark.cmssl --sizes published   tokenizer as published, encoder of 256
    python -m tools.benchmark.cmssl --only quantizer million growth

Both loops train the same network on the same array, from the fresh network to its last update; the plain one has a data
set, a DataLoader and the mean of its losses, and no states, history, checks or files. Their updates alternate, so that
what else the machine does falls on both alike; a first epoch does not count.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from config import load_config
from dataset.files.downstream import FolderWriter, Meta, open_downstream
from dataset.prepare.section import prepare
from neural_methods import patches
from neural_methods.checkpoint import write_bundle
from neural_methods.cmssl_command import CONFIGS, EXPERIMENTS
from registry import METHODS
from tools.benchmark.measure import conditions

BATCH = 64
WINDOWS = 3200  # of an epoch: 50 updates
STAGES = ("tokenizer", "encoder", "finetuning")
PUBLISHED = {
    "tokenizer": ["MODEL.TOKENIZER.LAYERS=10", "MODEL.TOKENIZER.HEADS=8", "MODEL.TOKENIZER.CODES=8192"],
    "encoder": ["MODEL.TOKENENCODER.WIDTH=256", "MODEL.TOKENENCODER.HEADS=8", "MODEL.TOKENENCODER.LAYERS=12"],
    "finetuning": [],
}
SMALLEST = [
    f"MODEL.TOKENIZER.{name}={value}"
    for name, value in {"WIDTH": 16, "HEADS": 2, "LAYERS": 1, "DECODER_HEADS": 2, "DECODER_LAYERS": 1, "CODES": 64,
                        "CODE_WIDTH": 16}.items()
]  # fmt: skip
COMMON = ["DEVICE=cpu", "NUM_WORKERS=0", "TRAIN.EPOCHS=1", f"TRAIN.BATCH_SIZE={BATCH}", "TEST.USE_LAST_EPOCH=True",
          "TRAIN.PLOT_LOSSES_AND_LR=False", "SPLIT.KIND="]  # fmt: skip
QUANTIZER = """
import json, resource, torch
from neural_methods.model.quantizer import Quantizer
torch.set_num_threads(1)
quantizer = Quantizer(8192, 128, kmeans=False).train()
vectors = torch.randn(512, 10, 128, requires_grad=True)
Quantizer(64, 128, kmeans=False).train()(vectors).codes.sum().backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(3):
    found = quantizer(vectors)
    (found.codes.sum() + found.commitment).backward()
    quantizer.update()
print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--sizes", choices=("tiny", "published"), default="tiny")
    parser.add_argument("--epochs", type=int, default=2, help="measured epochs")
    asked = parser.parse_args(arguments)
    print(conditions())
    print(section(asked.only, asked.sizes, asked.epochs))
    return 0


def section(parts: Sequence[str] = (), sizes: str = "tiny", epochs: int = 2) -> str:
    """Markdown of what is asked for; () for all."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        found = [PARTS[name](Path(folder), sizes, epochs) for name in parts or PARTS]
    return "\n\n".join(found)


def quantizer(folder: Path, sizes: str, epochs: int) -> str:
    """A sentence on the memory of the quantiser."""
    return f"Quantiser with 8,192 codes and 5,120 vectors: {quantizer_memory():.0f} MB more at the peak."


def quantizer_memory() -> float:
    """MB by which the peak of a fresh process grows in three updates, forward and backward."""
    done = subprocess.run([sys.executable, "-c", QUANTIZER], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


# --- Loops -----------------------------------------------------------------------------------------------------------


def loops(folder: Path, sizes: str, epochs: int) -> str:
    """A table with a line for each stage."""
    lines = [
        f"Epochs of {WINDOWS:,} windows: {epochs}, batch {BATCH}, threads: {torch.get_num_threads()}, the networks of "
        f"the {sizes} configurations; updates of both loops in turn.",
        "",
        "| stage | the loop (windows/s) | a plain one | share, CPU time | share, wall time |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    write_data(folder)
    for stage in STAGES:
        own, plain = measured(*prepared(folder, stage, sizes), folder / stage, epochs)
        speeds = [f"{epochs * WINDOWS / one.wall:.0f}" for one in (own, plain)]
        lines.append(
            f"| {stage} | {' | '.join(speeds)} | **{plain.cpu / own.cpu:.2f}** | {plain.wall / own.wall:.2f} |"
        )
    return "\n".join(lines)


def write_data(folder: Path) -> None:
    """Windows of noise: an array of pairs, and a task."""
    random = np.random.default_rng(0)
    np.save(folder / "pairs.npy", random.standard_normal((WINDOWS, 2, 1250), np.float32))
    np.save(folder / "pairs_subjects.npy", np.arange(WINDOWS) // 32)
    with FolderWriter(folder / "task", Meta("noise", 125.0, 1250, ("ppg",), ("hr",))) as writer:
        for part, count in (("train", WINDOWS), ("val", 32), ("test", 32)):
            waves = random.standard_normal((count, 1, 1250), np.float32)
            for start in range(0, count, 32):
                writer.add(part, f"{part}{start}", waves[start : start + 32], random.normal(70, 10, 32))


def prepared(folder: Path, stage: str, sizes: str) -> tuple[Any, Any, np.ndarray]:
    """Trainer, clips, and the same windows as an array."""
    more = PUBLISHED[stage] if sizes == "published" else []
    data, task = folder / "pairs.npy", folder / "task"
    paths = {
        "tokenizer": (CONFIGS / "tiny_tokenizer.yaml", data, ["MODEL.TOKENIZER.KMEANS=False"]),
        "encoder": (CONFIGS / "tiny_encoder.yaml", data, [f"MODEL.TOKENENCODER.TOKENIZER={folder / 'tokenizer.pth'}"]),
        "finetuning": (EXPERIMENTS / "synth_hr.yaml", task, [f"MODEL.FINETUNE.PRETRAINED={folder / 'encoder.pth'}"]),
    }
    file, path, own = paths[stage]
    own += [f"{part}.DATA.DATA_PATH={path}" for part in ("TRAIN", "VALID", "TEST")]
    config = load_config(str(file), [*COMMON, *own, f"LOG.PATH={folder / 'runs'}", *more])
    trainer = METHODS[config.MODEL.NAME](config)
    clips = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))
    if stage == "finetuning":
        windows = open_downstream(path)
        rows = [number for number in range(len(windows)) if windows.parts[windows.of[number]] == "train"]
        return trainer, clips, np.stack([windows.read(number, [0]) for number in rows])
    return trainer, clips, np.load(path, mmap_mode="r")


class Seconds:
    """CPU and wall seconds of all that was done inside, time after time."""

    cpu = wall = 0.0

    def __enter__(self) -> "Seconds":
        """Go on."""
        self._begin = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Stop."""
        self.cpu += time.process_time() - self._begin[0]
        self.wall += time.perf_counter() - self._begin[1]


def measured(trainer: Any, clips: Any, array: np.ndarray, folder: Path, epochs: int) -> tuple[Seconds, Seconds]:
    """What `epochs` epochs of the loop took, and what as many updates of the plain one between them."""
    for number in range(epochs + 1):
        if number < 2:  # the first epoch warms up
            own, plain = Seconds(), Seconds()
        fitted = in_turn(trainer, clips, plain_updates(trainer, array, clips), folder / f"run{number}", own, plain)
    write_bundle(folder.with_suffix(".pth"), fitted.path, {})
    return own, plain


def in_turn(trainer: Any, clips: Any, updates: Iterator[None], folder: Path, own: Seconds, plain: Seconds) -> Any:
    """An epoch of the loop, with one of the plain `updates` before each of its own."""
    accumulate = type(trainer).accumulate

    def interrupted(*arguments: Any, **more: Any) -> Any:
        own.__exit__()
        with plain:
            next(updates)
        own.__enter__()
        return accumulate(trainer, *arguments, **more)

    trainer.accumulate = interrupted
    with own:
        return trainer.fit(clips, folder=folder)


Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # windows and their numbers -> loss


class Rows(Dataset):
    """Number and windows (C, L) of each row of an array."""

    def __init__(self, array: np.ndarray):
        """`array` (n, C, L)."""
        self.array = array

    def __len__(self) -> int:
        """Rows."""
        return len(self.array)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        """A copy of one."""
        return index, torch.from_numpy(np.array(self.array[index]))


def plain_updates(trainer: Any, array: np.ndarray, clips: Any) -> Iterator[None]:
    """One epoch as one would write it, update by update."""
    network = trainer.start().train()
    for part in trainer.frozen(network):
        part.requires_grad_(False).eval()
    step = STEPS[trainer.name](trainer, network, clips)
    groups = trainer.parameter_groups(network)
    optimizer = torch.optim.AdamW(groups, lr=trainer.settings.lr)
    scheduler, losses = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0), []
    for rows, waves in DataLoader(Rows(array), BATCH, shuffle=True):
        loss = step(waves, rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if trainer.name == "Tokenizer":
            network.quantizer.update()
        losses.append(loss.item())
        yield


def _tokenizer_step(trainer: Any, network: nn.Module, clips: Any) -> Step:
    def step(waves: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        seen = patches.patched(patches.normalised(waves, "zscore"), 125)
        again, quantised = network(seen)
        return (again - seen).abs().mean() + 0.25 * quantised.commitment

    return step


def _encoder_step(trainer: Any, network: nn.Module, clips: Any) -> Step:
    def step(waves: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        seen = patches.patched(patches.normalised(waves, "zscore"), 125)
        scores, tokens = network(seen, seen[:, :, 1])
        return nn.functional.cross_entropy(scores.flatten(0, 1), tokens.flatten())

    return step


def _finetune_step(trainer: Any, network: nn.Module, clips: Any) -> Step:
    labels = torch.from_numpy(clips.scalars(trainer.output))
    labels = (labels - labels.mean()) / labels.std()

    def step(waves: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        answers = network(patches.normalised(waves[:, 0], "zscore"))
        return nn.functional.mse_loss(answers[:, 0], labels[rows])

    return step


STEPS = {"Tokenizer": _tokenizer_step, "TokenEncoder": _encoder_step, "Finetune": _finetune_step}


# --- Many windows ----------------------------------------------------------------------------------------------------


def million(folder: Path, sizes: str, epochs: int, count: int = 1_000_000) -> str:
    """Seconds from the configuration to the first batch of a sparse array, looked through before, and memory."""
    path = folder / "million.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (count, 2, 1250)).flush()
    np.save(folder / "million_subjects.npy", np.repeat(np.arange(count // 1000), 1000))
    config = tokenizer_config(path)
    trainer = METHODS["Tokenizer"](config)
    with Seconds() as looked:
        prepare(config.TRAIN.DATA, "train", config)
    with Seconds() as started:
        clips = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))
        from neural_methods.batches import PlannedBatches, loader, training_plan

        plan = training_plan(len(clips), BATCH, 0, 0)
        next(iter(loader(clips, PlannedBatches(plan), 0, torch.device("cpu"))))
    return (
        f"{count:,} windows (a sparse file of 10 GB): looked through once in {looked.wall:.0f} s; then from the file "
        f"to the first batch {started.wall:.1f} s ({started.cpu:.1f} s of CPU), {private_memory():.0f} MB private."
    )


def growth(folder: Path, sizes: str, epochs: int, count: int = 50_000) -> str:
    """Memory along one epoch of the smallest tokenizer."""
    path, random = folder / "long.npy", np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, "w+", np.float32, (count, 2, 1250))
    for start in range(0, count, 1000):
        array[start : start + 1000] = random.standard_normal((1000, 2, 1250), np.float32)
    array.flush()
    del array
    np.save(folder / "long_subjects.npy", np.arange(count) // 100)
    config = tokenizer_config(path, *SMALLEST, f"LOG.PATH={folder / 'growth'}")
    trainer = METHODS["Tokenizer"](config)
    clips = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))
    process, found = psutil.Process(), []

    def watched(network: nn.Module, epoch: int, update: int, old: Callable[..., None] = trainer.after_update) -> None:
        old(network, epoch, update)
        found.append((process.memory_info().rss / 2**20, private_memory()))

    trainer.after_update = watched
    trainer.fit(clips, folder=folder / "growth_run")
    resident, private = zip(*found, strict=True)
    return (
        f"One epoch of {count:,} windows, {len(found)} updates: {resident[99]:.0f} MB resident after 100 updates, "
        f"{resident[-1]:.0f} MB after the last, at most {max(resident[99:]):.0f}; private {private[99]:.0f} MB, "
        f"{private[-1]:.0f} MB, at most {max(private[99:]):.0f}."
    )


def tokenizer_config(path: Path, *more: str) -> Any:
    """The settings of the tiny tokenizer on the array at `path`."""
    sections = [f"{part}.DATA.DATA_PATH={path}" for part in ("TRAIN", "VALID", "TEST")]
    return load_config(str(CONFIGS / "tiny_tokenizer.yaml"), [*COMMON, *sections, *more])


def private_memory() -> float:
    """MB that only this process has."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


PARTS = {"quantizer": quantizer, "loops": loops, "million": million, "growth": growth}

if __name__ == "__main__":
    raise SystemExit(main())
