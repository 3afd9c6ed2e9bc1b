"""Four sensors from nothing to a table: python tools/multimodal/demo.py

Simulates people, checks the set, puts all clocks on one axis, trains SensorFusion and prints what it reaches with each
choice of sensors, beside what signal processing reaches. What is there already is used again.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from dataset.files.names import plural
from dataset.multimodal.simulate import Setup, write_set
from dataset.program import answer
from tools.multimodal import align, table, validate

SIZE, HEAT = (96, 96), (40, 30)  # width, height of the RGB and the thermal pictures


def main(arguments: list[str] | None = None) -> int:
    """Run all steps; 2 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/multimodal_demo"), help="of the simulated set")
    parser.add_argument("--out", type=Path, default=Path("runs/multimodal_demo"), help="folder of runs and table")
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=41.0)
    parser.add_argument("--epochs", type=int, default=15)
    asked = parser.parse_args(arguments)
    return answer(lambda: run(asked))


def run(asked: argparse.Namespace) -> int:
    """Simulate, validate, align, train, table; the exit code of the first step that fails."""
    begin = time.monotonic()
    if not (asked.root / "dataset.json").exists():
        print(f"Simulating {asked.subjects} people for {asked.seconds:g} s each ...", flush=True)
        write_set(asked.root, Setup(asked.seconds, SIZE, HEAT), asked.subjects)
    code = validate.validate(asked.root) or align.run(asked.root, None, again=False)
    if code:
        return code
    print(f"Training SensorFusion for {plural(asked.epochs, 'epoch')} ...", flush=True)
    code = table.make(asked.root, asked.out, asked.epochs, once=True)
    report = next(iter(sorted(asked.root.rglob("report.html"))), None)
    print(f"\nDone in {time.monotonic() - begin:.0f} s. Open '{report}' and '{asked.out / 'table.md'}'.")
    return code


if __name__ == "__main__":
    sys.exit(main())
