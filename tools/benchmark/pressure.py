"""Records per second of a training on blood pressure, beside a plain PyTorch loop on the same data and network.

    python -m tools.benchmark.pressure                  400 synthetic records, the small network, on the CPU

Both read the same files through the same data set, with no loader processes, for whole epochs of the same batches;
reading is most of the work. The plain loop has no states, history, checks or checkpoints. Epochs alternate, so that
what else the machine does meets both; the median of each counts, and the first pair does not.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from config import load_config
from dataset.clips.batch import collate
from dataset.prepare.kailuan import Settings
from dataset.prepare.kailuan import prepare as make_files
from dataset.prepare.section import prepare
from dataset.synthetic.kailuan import write_kailuan
from neural_methods.bp_command import CONFIGS
from registry import METHODS
from tools.benchmark.measure import conditions

TARGETS = ("right_arm_sbp", "right_arm_dbp")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=5, help="measured pairs of epochs")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer, clips = prepared(Path(folder), asked.records)
        loop, plain = measure(trainer, clips, Path(folder), asked.epochs)
    print(
        f"Records per second, median of {asked.epochs} epochs of {len(clips)}: the loop {loop:.0f}, a plain one "
        f"{plain:.0f}, share {100 * loop / plain:.0f} %. {conditions()}"
    )
    return 0


def prepared(folder: Path, records: int) -> tuple[Any, Any]:
    """A trainer of the small network and the clips of synthetic records."""
    write_kailuan(folder / "data.h5", records)
    make_files(Settings(folder / "data.h5", folder / "npz", folder / "labels.csv", TARGETS, subject_key=("name",)))
    changes = [f"{section}.DATA.DATA_PATH={folder / 'npz'}" for section in ("TRAIN", "VALID", "TEST")]
    changes += ["DEVICE=cpu", "NUM_WORKERS=0", "TRAIN.EPOCHS=1", f"LOG.PATH={folder / 'runs'}", "SPLIT.KIND="]
    changes += [f"MODEL.BP.TARGETS={list(TARGETS)}", "TEST.USE_LAST_EPOCH=True", "TRAIN.PLOT_LOSSES_AND_LR=False"]
    config = load_config(CONFIGS / "KAILUAN_SMALL.yaml", changes)
    trainer = METHODS["BP"](config)
    return trainer, prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))


def measure(trainer: Any, clips: Any, folder: Path, epochs: int) -> tuple[float, float]:
    """(loop, plain) in records per second."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(epochs + 1):
        for found, run in zip(times, (whole_loop, plain_loop), strict=True):
            begin = time.perf_counter()
            run(trainer, clips, folder / f"run{number}")
            found.append(time.perf_counter() - begin)
    return tuple(len(clips) / statistics.median(found[1:]) for found in times)


def whole_loop(trainer: Any, clips: Any, folder: Path) -> None:
    """One epoch as the toolbox trains it, from the fresh network to the saved weights."""
    trainer.fit(clips, folder=folder)


def plain_loop(trainer: Any, clips: Any, folder: Path) -> None:
    """One epoch as one would write it."""
    network, size = trainer.build(), trainer.settings.batch_size
    mean, spread = (torch.tensor(trainer.statistics[name]) for name in ("mean", "spread"))
    network.head.know(**trainer.statistics)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    network.train()
    for batch in DataLoader(clips, size, shuffle=True, collate_fn=collate):
        waves = batch["waves"] - batch["waves"].mean(dim=-1, keepdim=True)
        waves = waves / waves.std(dim=-1, keepdim=True)
        predicted = network({"ecg": waves[:, :1], "ppg": waves[:, 1:]})
        loss = torch.nn.functional.smooth_l1_loss((predicted - mean) / spread, (batch["bp"] - mean) / spread)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


if __name__ == "__main__":
    raise SystemExit(main())
