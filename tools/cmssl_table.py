"""Did pre-training help? One task, the same split: a plain ridge, and one network from four starts.

    python tools/cmssl_table.py --experiment synth_hr [--shares 1 10 100] [--folds 5] [--pretrained FILE] [KEY=VALUE]

Rows: ridge regression on rate, amplitude and spectrum; random weights with a probe; pre-trained weights with a probe;
all of it trained from scratch; all of it trained from the pre-trained weights. Differences are of the score that the
task is selected by, on the same windows, with 95 % intervals over people. --shares: percent of the training people.
--folds: beside the given split a cross-validation over all people, in so many parts, or `loso`: each person alone.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

import numpy as np

from dataset.files.names import plural
from dataset.program import answer
from evaluation.comparing.paired import Difference, difference
from evaluation.report import markdown_table
from evaluation.tables import csv_text, write_text
from neural_methods.cmssl_command import experiment_file, parsed, pretrained_of
from neural_methods.cmssl_runs import PROBE, RANDOM, RIDGE, fewer_people, finetuned, score_of, spread_of

STARTS = {
    "ridge": ("ridge on rate, amplitude, spectrum", RIDGE),
    "random_probe": ("random weights, probe", {**RANDOM, **PROBE}),
    "pretrained_probe": ("pre-trained, probe", PROBE),
    "scratch": ("from scratch, all trained", RANDOM),
    "pretrained": ("pre-trained, all trained", {}),
}
AGAINST = {"pretrained_probe": "random_probe", "pretrained": "scratch"}
LEAVE_ONE_OUT = "loso"


def main(arguments: list[str] | None = None) -> int:
    """Train, test, compare; 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--experiment", default="synth_hr", help="a file of configs/cmssl/experiment (%(default)s)")
    add("--pretrained", default="", help="weights; without: those that the experiment names")
    add("--shares", type=float, nargs="+", default=[100.0], metavar="PERCENT", help="of the training people (100)")
    add("--folds", default="", metavar="N", help="also a cross-validation: parts, or loso")
    add("--starts", nargs="+", choices=list(STARTS), default=list(STARTS), help="rows (all)")
    add("--output", type=Path, help="file for the table, as Markdown; a .csv beside it")
    add("changes", nargs="*", metavar="KEY=VALUE", help="settings of all runs")
    asked = parser.parse_args(arguments)
    return answer(lambda: show(asked))


def show(asked: argparse.Namespace) -> int:
    """Print the table."""
    changes, _ = parsed(asked.changes)
    file = experiment_file(asked.experiment)
    asked.pretrained = asked.pretrained or pretrained_of(file)
    blocks = [(f"{share:g} %", fewer_people(file, changes, share) if share < 100 else {}) for share in asked.shares]
    if asked.folds:
        blocks.append(_folds(asked.folds))
    rows = [row for split, own in blocks for row in block(asked, split, {**changes, **own})]
    heads = list(rows[0])
    text = markdown_table(heads, [list(row.values()) for row in rows])
    print(f"\n{asked.experiment}, from {asked.pretrained}\n\n{text}")
    if asked.output:
        write_text(asked.output, text + "\n")
        write_text(asked.output.with_suffix(".csv"), csv_text(heads, rows))
    return 0


def block(asked: argparse.Namespace, split: str, changes: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of one split: what was trained on, each start, its score, and the differences."""
    folder_name = f"{Path(asked.pretrained).stem}_{asked.experiment}_{split.replace(' %', '').replace(' ', '')}"
    runs = {
        start: finetuned(asked.experiment, asked.pretrained, f"{folder_name}_{start}", {**changes, **STARTS[start][1]})
        for start in asked.starts
    }
    people = len(changes.get("TRAIN.DATA.FOLD.SUBJECTS", ()))
    rows = []
    for start, folder in runs.items():
        name, value = score_of(folder)
        rows.append({
            "trained on": f"{split} of the people" + (f" ({people})" if people else "") if "%" in split else split,
            "start": STARTS[start][0],
            f"{name} [95 % over people]": _score(value, spread_of(folder, name)),
            "error less its counterpart's": _against(AGAINST.get(start, ""), start, runs),
            "error less the ridge's": _against("ridge" if start != "ridge" else "", start, runs),
        })  # fmt: skip
    return rows


def _folds(asked: str) -> tuple[str, dict[str, Any]]:
    if asked == LEAVE_ONE_OUT:
        return "all but one person", {"SPLIT.KIND": LEAVE_ONE_OUT}
    if not asked.isdigit() or int(asked) < 3:
        raise ValueError(f"--folds {asked!r} is neither a number of at least 3 nor {LEAVE_ONE_OUT}.")
    return f"{plural(int(asked), 'fold')} of all people", {"SPLIT.KIND": "kfold", "SPLIT.FOLDS": int(asked)}


def _score(value: float, ends: tuple[float, float]) -> str:
    return f"{value:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if np.isfinite(ends).all() else "")


def _against(other: str, start: str, runs: dict[str, Path]) -> str:
    """The difference to another run, said to be chance where its interval holds 0."""
    if other not in runs:
        return ""
    found: Difference = difference(runs[start], runs[other])
    if not np.isfinite([found.low, found.high]).all():
        return f"{found.mean:+.3f} (no interval over {plural(found.people, 'subject')})"
    clear = "" if found.clear else " (may be chance)"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]{clear}"


if __name__ == "__main__":
    sys.exit(main())
