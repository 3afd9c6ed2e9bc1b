"""Windows per second of the three stages of CM-SSL beside a plain PyTorch loop, and what the quantiser and a million
windows need.

    python -m tools.benchmark.cmssl                     loops with the networks of the tiny configurations, batch 64
    python -m tools.benchmark.cmssl --sizes published   tokenizer as published, encoder of 256
    python -m tools.benchmark.cmssl --only quantizer million

Both loops train the same network on the same array for one epoch, from the fresh network to its last update; the plain
one has no states, history, checks or files. Epochs alternate, and CPU seconds count, so that what else the machine does
counts little; the median of each counts, and the first pair does not.
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from config import load_config
from dataset.files.downstream import open_downstream
from dataset.prepare.section import prepare
from neural_methods import patches
from neural_methods.cmssl_command import CONFIGS, EXPERIMENTS
from registry import METHODS
from tools import make_synthetic_ecgppg
from tools.benchmark.measure import conditions

BATCH = 64
STAGES = ("tokenizer", "encoder", "finetuning")
PUBLISHED = {
    "tokenizer": ["MODEL.TOKENIZER.LAYERS=10", "MODEL.TOKENIZER.HEADS=8", "MODEL.TOKENIZER.CODES=8192"],
    "encoder": ["MODEL.TOKENENCODER.WIDTH=256", "MODEL.TOKENENCODER.HEADS=8", "MODEL.TOKENENCODER.LAYERS=12"],
    "finetuning": [],
}
COMMON = ["DEVICE=cpu", "NUM_WORKERS=0", "TRAIN.EPOCHS=1", f"TRAIN.BATCH_SIZE={BATCH}", "TEST.USE_LAST_EPOCH=True",
          "TRAIN.PLOT_LOSSES_AND_LR=False"]  # fmt: skip
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
    parser.add_argument("--only", nargs="+", choices=("loops", "quantizer", "million"))
    parser.add_argument("--sizes", choices=("tiny", "published"), default="tiny")
    parser.add_argument("--epochs", type=int, default=5, help="measured pairs of epochs")
    asked = parser.parse_args(arguments)
    wanted = asked.only or ("quantizer", "loops", "million")
    print(conditions())
    if "quantizer" in wanted:
        print(f"Quantiser, 8,192 codes, 5,120 vectors: {quantizer_memory():.0f} MB more at the peak.")
    with tempfile.TemporaryDirectory() as folder:
        if "loops" in wanted:
            for line in loops(Path(folder), asked.sizes, asked.epochs):
                print(line, flush=True)
        if "million" in wanted:
            print(million(Path(folder)))
    return 0


def quantizer_memory() -> float:
    """MB by which the peak of a fresh process grows in three updates, forward and backward."""
    done = subprocess.run([sys.executable, "-c", QUANTIZER], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


# --- Loops -----------------------------------------------------------------------------------------------------------


def loops(folder: Path, sizes: str, epochs: int) -> Iterator[str]:
    """A line for each stage."""
    with contextlib.redirect_stdout(io.StringIO()):
        make_synthetic_ecgppg.main(["--out", str(folder / "data"), "--subjects", "40", "--windows", "16"])
    for stage in STAGES:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer, clips, array = prepared(folder, stage, sizes)
            loop, plain = measured(trainer, clips, array, folder / stage, epochs)
        yield (
            f"{stage} ({sizes}), batch {BATCH}, {len(array)} windows: the loop {loop:.0f} windows a CPU second, a "
            f"plain one {plain:.0f}: {100 * loop / plain:.0f} %."
        )


def prepared(folder: Path, stage: str, sizes: str) -> tuple[Any, Any, np.ndarray]:
    """Trainer, clips, and the same windows as an array."""
    more = PUBLISHED[stage] if sizes == "published" else []
    data, task = folder / "data" / "pretraining.npy", folder / "data" / "synth_hr"
    paths = {
        "tokenizer": (CONFIGS / "tiny_tokenizer.yaml", data, ["MODEL.TOKENIZER.KMEANS=False"]),
        "encoder": (CONFIGS / "tiny_encoder.yaml", data, [f"MODEL.TOKENENCODER.TOKENIZER={folder / 'tokenizer.pth'}"]),
        "finetuning": (EXPERIMENTS / "synth_hr.yaml", task, [f"MODEL.FINETUNE.PRETRAINED={folder / 'encoder.pth'}"]),
    }
    file, path, own = paths[stage]
    own += [f"{section}.DATA.DATA_PATH={path}" for section in ("TRAIN", "VALID", "TEST")]
    own += [f"LOG.PATH={folder / 'runs'}", "SPLIT.KIND="]
    config = load_config(str(file), [*COMMON, *own, *more])
    trainer = METHODS[config.MODEL.NAME](config)
    clips = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))
    if stage == "finetuning":
        windows = open_downstream(path)
        rows = [number for number in range(len(windows)) if windows.parts[windows.of[number]] == "train"]
        return trainer, clips, np.stack([windows.read(number, [0]) for number in rows])
    return trainer, clips, np.load(path, mmap_mode="r")


def measured(trainer: Any, clips: Any, array: np.ndarray, folder: Path, epochs: int) -> tuple[float, float]:
    """(loop, plain) in windows per CPU second."""
    from neural_methods.checkpoint import write_bundle

    times: tuple[list[float], list[float]] = ([], [])
    for number in range(epochs + 1):
        begin = time.process_time()
        fitted = trainer.fit(clips, folder=folder / f"run{number}")
        times[0].append(time.process_time() - begin)
        begin = time.process_time()
        plain_epoch(trainer, array, clips)
        times[1].append(time.process_time() - begin)
    write_bundle(folder.with_suffix(".pth"), fitted.path, {})
    return tuple(len(clips) / statistics.median(found[1:]) for found in times)


def plain_epoch(trainer: Any, array: np.ndarray, clips: Any) -> None:
    """One epoch as one would write it."""
    network = trainer.start().train()
    for part in trainer.frozen(network):
        part.requires_grad_(False).eval()
    step = STEPS[trainer.name](trainer, network, clips)
    groups = trainer.parameter_groups(network)
    optimizer = torch.optim.AdamW(groups, lr=trainer.settings.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    for rows in np.array_split(np.random.permutation(len(array)), range(BATCH, len(array), BATCH)):
        loss = step(torch.from_numpy(np.ascontiguousarray(array[np.sort(rows)])), np.sort(rows))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if trainer.name == "Tokenizer":
            network.quantizer.update()


def _tokenizer_step(trainer: Any, network: nn.Module, clips: Any) -> Callable[[torch.Tensor, np.ndarray], torch.Tensor]:
    def step(waves: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        seen = patches.patched(patches.normalised(waves, "zscore"), 125)
        again, quantised = network(seen)
        return (again - seen).abs().mean() + 0.25 * quantised.commitment

    return step


def _encoder_step(trainer: Any, network: nn.Module, clips: Any) -> Callable[[torch.Tensor, np.ndarray], torch.Tensor]:
    def step(waves: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        seen = patches.patched(patches.normalised(waves, "zscore"), 125)
        scores, tokens = network(seen, seen[:, :, 1])
        return nn.functional.cross_entropy(scores.flatten(0, 1), tokens.flatten())

    return step


def _finetune_step(trainer: Any, network: nn.Module, clips: Any) -> Callable[[torch.Tensor, np.ndarray], torch.Tensor]:
    labels = torch.from_numpy(clips.scalars(trainer.output))
    labels = (labels - labels.mean()) / labels.std()

    def step(waves: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        answers = network(patches.normalised(waves[:, 0], "zscore"))
        return nn.functional.mse_loss(answers[:, 0], labels[rows])

    return step


STEPS = {"Tokenizer": _tokenizer_step, "TokenEncoder": _encoder_step, "Finetune": _finetune_step}


# --- A million windows -----------------------------------------------------------------------------------------------


def million(folder: Path, count: int = 1_000_000) -> str:
    """Seconds from the configuration to the first batch of a sparse array, looked through before, and memory."""
    path = folder / "million.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (count, 2, 1250)).flush()
    np.save(folder / "million_subjects.npy", np.repeat(np.arange(count // 1000), 1000))
    sections = [f"{section}.DATA.DATA_PATH={path}" for section in ("TRAIN", "VALID", "TEST")]
    config = load_config(str(CONFIGS / "tiny_tokenizer.yaml"), [*COMMON, *sections, "SPLIT.KIND="])
    trainer = METHODS["Tokenizer"](config)
    begin = time.perf_counter()
    prepare(config.TRAIN.DATA, "train", config)
    looked = time.perf_counter() - begin
    begin, seconds = time.perf_counter(), time.process_time()
    clips = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))
    from neural_methods.batches import PlannedBatches, loader, training_plan

    plan = training_plan(len(clips), BATCH, 0, 0)
    next(iter(loader(clips, PlannedBatches(plan), 0, torch.device("cpu"))))
    wall, cpu = time.perf_counter() - begin, time.process_time() - seconds
    return (
        f"{count:,} windows: looked through once in {looked:.0f} s; then from the file to the first batch {wall:.1f} s "
        f"({cpu:.1f} CPU s), {_private():.0f} MB of private memory."
    )


def _private() -> float:
    """MB that only this process has."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
