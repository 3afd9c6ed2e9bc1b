"""Did pre-training help? One task, the same split, the same network from four starts.

    python -m tools.cmssl_table --experiment synth_hr [--pretrained runs/cmssl/tiny_encoder.pth] [KEY=VALUE ...]

Rows: random weights with a probe, pre-trained weights with a probe, all of it trained from scratch, all of it trained
from the pre-trained weights. Differences are paired by person, with 95 % intervals of a bootstrap over people.
"""

import argparse
import sys
from pathlib import Path

from dataset.program import answer
from evaluation.comparing.paired import difference
from evaluation.report import markdown_table
from evaluation.tables import write_text
from neural_methods.cmssl_command import experiment_file, parsed, pretrained_of
from neural_methods.cmssl_runs import PROBE, RANDOM, finetuned, score_of

STARTS = {
    "random_probe": ("random weights, probe", {**RANDOM, **PROBE}),
    "pretrained_probe": ("pre-trained, probe", PROBE),
    "scratch": ("from scratch, all trained", RANDOM),
    "pretrained": ("pre-trained, all trained", {}),
}
AGAINST = {"pretrained_probe": "random_probe", "pretrained": "scratch"}


def main(arguments: list[str] | None = None) -> int:
    """Train, test, compare; 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="synth_hr", help="a file of configs/cmssl/experiment (%(default)s)")
    parser.add_argument("--pretrained", default="", help="weights; without: those that the experiment names")
    parser.add_argument("--output", type=Path, help="file for the table, as Markdown")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="settings of all runs")
    asked = parser.parse_args(arguments)
    return answer(lambda: show(asked))


def show(asked: argparse.Namespace) -> int:
    """Print the table."""
    changes, _ = parsed(asked.changes)
    pretrained = asked.pretrained or pretrained_of(experiment_file(asked.experiment))
    stem = f"{Path(pretrained).stem}_{asked.experiment}"
    runs = {
        start: finetuned(asked.experiment, pretrained, f"{stem}_{start}", {**changes, **own})
        for start, (_, own) in STARTS.items()
    }
    rows = []
    for start, folder in runs.items():
        name, value = score_of(folder)
        rows.append([STARTS[start][0], f"{value:.3f}", _difference(start, runs)])
    text = markdown_table(["start", name, "error less than above it [95 % over people]"], rows)
    print(f"\n{asked.experiment}, from {pretrained}\n\n{text}")
    if asked.output:
        write_text(asked.output, text + "\n")
    return 0


def _difference(start: str, runs: dict[str, Path]) -> str:
    if start not in AGAINST:
        return ""
    found = difference(runs[start], runs[AGAINST[start]])
    clear = "" if found.clear else " (may be chance)"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], {found.people} people{clear}"


if __name__ == "__main__":
    sys.exit(main())
