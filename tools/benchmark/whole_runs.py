"""Whole runs through main.py on six rendered 30 s videos of 640x480, preprocessing included.

    python -m tools.benchmark.whole_runs [--folder DIR]

All seven classical methods, and PhysNet 72x72 (4 train, 2 test, 2 epochs, batch 4): seconds, and the peak memory of all
processes together.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from config import ROOT
from dataset.synthetic.layouts import write_layout
from dataset.synthetic.settings import resolve
from tools.benchmark.measure import Measured, conditions, measure

VIDEOS = {"PRESET": "standard", "SUBJECTS": 6, "SECONDS": 30, "WIDTH": 640, "HEIGHT": 480, "CODEC": "mjpg"}
SECTIONS = ("TRAIN", "VALID", "TEST", "UNSUPERVISED")
CLASSICAL = "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml"
PHYSNET = "configs/train_configs/PURE_PURE_UBFC-rPPG_PHYSNET_BASIC.yaml"


def main() -> None:
    """Render once into `--folder`, run both, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "pulsescope_whole_runs")
    print(f"{conditions()}\n\n{section(parser.parse_args().folder)}")


def section(folder: Path) -> str:
    """Markdown rows of both runs; the videos are rendered first and are not part of the time."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = folder / "UBFC-rPPG"
    write_layout("UBFC-rPPG", videos, resolve(VIDEOS))
    lines = ["| run | s | peak memory (GB) |", "| --- | --- | --- |"]
    runs = {
        "seven classical methods": classical(videos),
        "PhysNet 72x72, 4 train, 2 test, 2 epochs, batch 4": physnet(videos),
    }
    for title, overrides in runs.items():
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            result = run(overrides, Path(empty))
        lines.append(f"| {title} | {result.seconds:.1f} | {result.peak_pss / 1e9:.2f} |")
    return "\n".join(lines)


def run(overrides: list[str], empty: Path) -> Measured:
    """One run with cache and outputs in an `empty` folder, so that nothing is reused."""
    command = [sys.executable, str(ROOT / "main.py"), *overrides, f"LOG.PATH={empty / 'runs'}"]
    command += [f"{section}.DATA.CACHED_PATH={empty / 'cache'}" for section in SECTIONS]
    return measure(command, cwd=empty)


def classical(videos: Path) -> list[str]:
    """Arguments of the classical run."""
    return ["--config_file", str(ROOT / CLASSICAL), f"UNSUPERVISED.DATA.DATA_PATH={videos}"]


def physnet(videos: Path) -> list[str]:
    """Arguments of the PhysNet run: the first four subjects train, the other two test."""
    paths = [f"{section}.DATA.DATA_PATH={videos}" for section in SECTIONS[:3]]
    names = [f"{section}.DATA.DATASET=UBFC-rPPG" for section in SECTIONS[:3]]
    ranges = ["TRAIN.DATA.BEGIN=0.0", "TRAIN.DATA.END=0.67", "TEST.DATA.BEGIN=0.67", "TEST.DATA.END=1.0"]
    rest = ["TRAIN.EPOCHS=2", "TRAIN.BATCH_SIZE=4", "DEVICE=cpu"]
    return ["--config_file", str(ROOT / PHYSNET), *paths, *names, *ranges, *rest]


if __name__ == "__main__":
    main()
