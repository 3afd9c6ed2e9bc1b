"""GridPulse on short clips of somebody whose rate is known: python -m tools.benchmark.clips CLIP.mp4=53 ...

Each clip is measured by the command, `main.py --video CLIP --method GridPulse`, with the face found by two detectors
and boxes of four sizes. First table: the network's rate and confidence, a `*` where it is withheld. Second: mean
absolute error in bpm of the clip's windows of 10 s over detectors and boxes, by method.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset.program import INCOMPLETE
from tools.benchmark.own_videos import command

DETECTORS = ("HC", "CF")
BOXES = (0.8, 1.0, 1.2, 1.5)
METHODS = ("GridPulse", "POS", "CHROM", "LGI")
CROP = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP=BPM", type=_clip)
    parser.add_argument("--weights", help="other ones than those that come with the toolbox")
    asked = parser.parse_args(arguments)
    print(f"| clip (reference) | detector | {' | '.join(f'box x {box:g}' for box in BOXES)} |")
    print(f"| --- | --- |{' --- |' * len(BOXES)}")
    windows: dict[tuple[str, str], list[float]] = defaultdict(list)
    for clip, rate in asked.clips:
        for detector in DETECTORS:
            cells = []
            for box in BOXES:
                said, rates = measured(clip, detector, box, asked.weights)
                cells.append(said)
                for method in METHODS:
                    windows[clip.stem, method] += [abs(one - rate) for one in rates[method]]
            print(f"| {clip.stem} ({rate:g}) | {detector} | {' | '.join(cells)} |", flush=True)
    print(f"\n| clip | {' | '.join(METHODS)} | windows |\n| --- |{' ---: |' * (len(METHODS) + 1)}")
    for clip, _ in asked.clips:
        own = [windows[clip.stem, method] for method in METHODS]
        print(f"| {clip.stem} | {' | '.join(f'{np.mean(one):.2f}' for one in own)} | {len(own[0])} |")
    return 0


def measured(clip: Path, detector: str, box: float, weights: str | None) -> tuple[str, dict[str, list[float]]]:
    """Rate and confidence in words, and each method's rates (bpm) window by window."""
    with tempfile.TemporaryDirectory() as empty:
        more = ["--method", "GridPulse", *(["--weights", os.path.abspath(weights)] if weights else [])]
        crop = {"BACKEND": detector, "LARGE_BOX_COEF": box, "USE_LARGE_FACE_BOX": True}
        more += [f"{CROP}.{key}={value}" for key, value in crop.items()]
        done = subprocess.run(
            command(clip, Path(empty), more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode not in (0, INCOMPLETE):
            raise SystemExit(done.stderr)
        answer = json.loads(next(Path(empty).rglob("vitals.json")).read_text())["recordings"][0]
        rates: dict[str, list[float]] = {method: [] for method in METHODS}
        with next(Path(empty).rglob("vitals.csv")).open(newline="") as lines:
            for line in csv.DictReader(lines):
                if line["method"] in rates and line["status"] == "ok":
                    rates[line["method"]].append(float(line["rate_bpm"]))
    star = "" if answer["reliable"] else "*"
    return f"{answer['votes_bpm']['GridPulse']:.1f}{star}, {answer['confidence']:.2f}", rates


def _clip(text: str) -> tuple[Path, float]:
    path, _, rate = text.rpartition("=")
    return Path(path), float(rate)


if __name__ == "__main__":
    sys.exit(main())
