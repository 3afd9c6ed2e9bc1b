"""A complete synthetic multimodal data set with known clocks: python tools/multimodal/synth.py --root DIR --subjects 4

Each device has an offset to 300 ms and a drift to 80 ppm of its own; truth.json of each recording says which.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from dataset.files.names import plural
from dataset.multimodal.layout import DEVICES
from dataset.multimodal.simulate import Setup, write_set
from dataset.program import answer


def main(arguments: list[str] | None = None) -> int:
    """Write the set; 2 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/multimodal"), help="a new folder (data/multimodal)")
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--recordings", type=int, default=1, help="of each subject (1)")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--width", type=int, default=192, help="of the RGB picture (192)")
    parser.add_argument("--height", type=int, default=144)
    parser.add_argument(
        "--thermal", type=int, nargs=2, default=(80, 60), metavar=("W", "H"), help="its picture (80 60)"
    )
    parser.add_argument("--seed", type=int, default=100, help="another seed: other people (100)")
    parser.add_argument("--dark-from", type=int, default=0, help="recordings from this number on are made in the dark")
    parser.add_argument("--missing", nargs="*", default=[], choices=DEVICES, help="devices that were not there")
    asked = parser.parse_args(arguments)
    return answer(lambda: make(asked))


def make(asked: argparse.Namespace) -> None:
    """Write the set and say what is in it."""
    if min(asked.subjects, asked.recordings) < 1:
        raise ValueError("--subjects and --recordings are numbers from 1 on.")
    if not (96 <= asked.width <= 4096 and 96 <= asked.height <= 4096):
        raise ValueError(f"A picture of {asked.width} x {asked.height} cannot be: use 96 to 4096 pixels on each side.")
    if not all(16 <= side <= 1024 for side in asked.thermal):
        raise ValueError(f"--thermal is {asked.thermal[0]} {asked.thermal[1]}; use 16 to 1024 pixels on each side.")
    begin = time.monotonic()
    size = asked.width, asked.height
    setup = Setup(asked.seconds, size, tuple(asked.thermal), missing=tuple(asked.missing), seed=asked.seed)
    folders = write_set(asked.root, setup, asked.subjects, asked.recordings, asked.dark_from)
    print(
        f"Wrote {plural(len(folders), 'recording')} of {asked.seconds:g} s to '{asked.root}' in "
        f"{time.monotonic() - begin:.0f} s."
    )


if __name__ == "__main__":
    sys.exit(main())
