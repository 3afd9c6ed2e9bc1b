"""Heart rate variability of fingertip videos against a chest strap: python -m tools.benchmark.variability FOLDER

`--beats neurokit2` takes the beats that this package finds in the place of our own.

FOLDER holds one folder per recording, as the Welltory PPG data set has them: `PPG.csv` (time in ms, R, G, B) and
`RR.txt` (intervals in ms). Prints a table of errors for docs/own_videos.md.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.files.names import natural_sort
from dataset.files.reading import read_text
from evaluation.consensus import Answer
from evaluation.presets import FINDERS, OWN, preset
from evaluation.rhythm import usual, variability
from unsupervised_methods.signals import Asked, measure

SHOWN = ("mean_rr", "rmssd", "sdnn")


def main() -> None:
    """Measure every recording and print the table."""
    parser = argparse.ArgumentParser(description="Heart rate variability against intervals of a chest strap.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--beats", choices=FINDERS, default=OWN)
    asked = parser.parse_args()
    folders = natural_sort(one for one in asked.folder.iterdir() if (one / "RR.txt").is_file())
    found = [compare(folder, asked.beats) for folder in folders]
    print("| recording | rate | confidence | coverage | mean RR | RMSSD | SDNN |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for folder, (one, true) in zip(folders, found, strict=True):
        cells = [f"{getattr(one.rhythm, name):.0f} / {true[name]:.0f}" for name in SHOWN]
        rate = f"{one.rate:.1f}" if one.reliable else "none"
        print(f"| {folder.name} | {rate} | {one.confidence:.2f} | {one.rhythm.coverage:.0%} | {' | '.join(cells)} |")
    errors = {name: [abs(getattr(one.rhythm, name) - true[name]) for one, true in found] for name in SHOWN}
    known = [value for value in errors["mean_rr"] if math.isfinite(value)]
    said = ", ".join(f"{name} {np.nanmean(one):.1f} (median {np.nanmedian(one):.1f})" for name, one in errors.items())
    print(f"\n{len(known)} of {len(found)} recordings; mean absolute error in ms: {said}")


def compare(folder: Path, beats: str = OWN) -> tuple[Answer, dict[str, float]]:
    """What the video says, and the variability of the strap's own intervals by the same rules."""
    intervals = np.array([float(word) for word in read_text(folder / "RR.txt").split()]) / 1e3
    answer = measure(folder.name, folder / "PPG.csv", Asked(unit="ms"), replace(preset("exact"), beats=beats))
    return answer, variability(intervals, usual(intervals))


if __name__ == "__main__":
    main()
