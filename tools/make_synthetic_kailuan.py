"""A file like the Kailuan study's, of invented people: python tools/make_synthetic_kailuan.py --n 200 --h5_path X.h5

`--cue` says what of the signals tells the pressure: the shape of the PPG, the delay from ECG to PPG, both, or nothing.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

from dataset.program import answer
from dataset.synthetic.kailuan import CUES, write_kailuan


def main(arguments: list[str] | None = None) -> int:
    """Write the file; 2 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--h5_path", type=Path, required=True, help="the file to write")
    parser.add_argument("--n", type=int, default=200, help="records (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cue", choices=CUES, default="both", help="what tells the pressure (both)")
    parser.add_argument("--fs", type=float, default=600.0, help="samples per second (600)")
    parser.add_argument("--lead", type=int, help="samples by which the PPG begins before the ECG (one second)")
    asked = parser.parse_args(arguments)
    return answer(lambda: make(asked))


def make(asked: argparse.Namespace) -> None:
    """Write the file and say what is in it."""
    write_kailuan(asked.h5_path, asked.n, asked.seed, asked.cue, asked.fs, asked.lead)
    cue = {"both": "the shape of the PPG and its delay", "none": "nothing"}.get(
        asked.cue, f"the {asked.cue} of the PPG"
    )
    print(f"Wrote '{asked.h5_path}': {asked.n} synthetic records at {asked.fs:g} Hz; what tells the pressure is {cue}.")


if __name__ == "__main__":
    sys.exit(main())
