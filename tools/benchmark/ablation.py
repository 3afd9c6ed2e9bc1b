"""What each effect of the drawn signals is worth: python -m tools.benchmark.ablation TRACES [KEY=VALUE ...]

Trains GridPulse by configs/own_weights/grid_pulse.yaml with one effect left out at a time, once per seed, and reads
TRACES (as for `tools.benchmark.traces`) with each network. KEY=VALUE changes the recipe: TRAIN.EPOCHS=2 for a short
one. Prints a table of mean absolute errors in bpm over all traces and rates: the mean of the seeds, and the lowest and
highest of them. Trainings that are done are kept in --work; one that was ended goes on where it was.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import main as program
from config import ROOT, load_config, run_folder
from dataset.synthetic.signals import EFFECTS
from evaluation import provenance
from evaluation.tables import csv_text
from tools.benchmark.traces import judged, network

RECIPE = ROOT / "configs" / "own_weights" / "grid_pulse.yaml"
NOTHING = "nothing"
KINDS = "windows", "path"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, print the table and, with --csv, write a line per training, trace and rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path)
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--effects", nargs="+", choices=EFFECTS, default=list(EFFECTS), metavar="EFFECT")
    parser.add_argument("--work", type=Path, default=Path("runs") / "ablation")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_intermixed_args(arguments)
    runs = [(left_out, seed) for left_out in (NOTHING, *asked.effects) for seed in asked.seeds]
    networks = {name(*run): network(str(trained(*run, asked.work, asked.changes))) for run in runs}
    lines = list(judged(asked.traces, networks))
    print("\n".join(table(lines, asked.effects, asked.seeds)))
    if asked.csv:
        asked.csv.write_text(csv_text(list(lines[0]), lines))
    return 0


def name(left_out: str, seed: int) -> str:
    """What a training is called."""
    return f"without_{left_out}_{seed}"


def trained(left_out: str, seed: int, work: Path, changes: Sequence[str]) -> Path:
    """The weights of a recipe without an effect. SystemExit where the training did not end well."""
    effects = [] if left_out == NOTHING else [left_out]
    own = [f"SEED={seed}", f"TRAIN.MODEL_FILE_NAME={name(left_out, seed)}", f"LOG.PATH={work}"]
    own += [f"TRAIN.DATA.SIGNALS.SEED={seed}", f"TRAIN.DATA.SIGNALS.WITHOUT={effects}", *changes]
    folder = run_folder(load_config(RECIPE, own))
    if "trained" not in provenance.read(folder).get("weights", {}) and (
        code := program.main(["--config_file", str(RECIPE), *own])
    ):
        raise SystemExit(code)
    return Path(provenance.read(folder)["weights"]["trained"]["path"])


def table(lines: Sequence[dict], effects: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    """Markdown: a row for nothing left out and one for each effect; `lines` as `traces.judged` makes them."""
    yield f"| left out | {' | '.join(f'{kind}, mean of {len(seeds)} seeds | lowest to highest' for kind in KINDS)} |"
    yield f"| --- |{' ---: | --- |' * len(KINDS)}"
    for left_out in (NOTHING, *effects):
        cells = [left_out.replace("_", " ")]
        for kind in KINDS:
            each = [np.mean([one[kind] for one in lines if one["method"] == name(left_out, seed)]) for seed in seeds]
            cells += [f"{np.mean(each):.2f}", f"{min(each):.2f} to {max(each):.2f}"]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
