"""Score what any program has predicted: python tools/evaluate.py --predictions P --labels L --fs 30 [--output DIR]

P and L: arrays (.npy, one wave or windows x samples), tables with a column per recording, or rPPG-Toolbox's output
pickle as P alone. Prints a table that says its band, window, estimator and n, and, with --output, leaves the report of
a run with intervals: report.md, metrics.json, CSV files and plots.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

from dataset.program import answer
from evaluation import console
from evaluation.baselines import beside, noise
from evaluation.external import Given, read_given
from evaluation.intervals import FEW
from evaluation.metrics import computed
from evaluation.page.report import write_page
from evaluation.page.worst import pick
from evaluation.pictures import pick_example
from evaluation.presets import METHODS, PRESETS, presets
from evaluation.report import write_report
from evaluation.summary import LIMITS, Table, constant_mean, evaluate
from registry import METRICS


def main(arguments: list[str] | None = None) -> int:
    """Evaluate what was named; 1 and one sentence for what cannot be."""
    asked = parser().parse_args(arguments)
    return answer(lambda: score(asked), code=1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--predictions", type=Path, required=True, help=".npy, .csv, or rPPG-Toolbox's output pickle")
    add("--labels", type=Path, help="the true pulse waves, in the same form")
    add("--fs", type=float, help="samples per second of the predictions")
    add("--label_fs", type=float, help="those of the labels, where they differ")
    add("--subjects", type=Path, help="one name a line: whose each recording (window) is")
    add("--differential", action="store_true", help="both waves are derivatives (DiffNormalized)")
    add("--attributes", type=Path, help="table (.csv) with a column `recording` and others to group the errors by")
    add("--preset", choices=list(PRESETS), default="exact", help="shown first; exact is always computed, too")
    add("--estimator", choices=METHODS, default="FFT", help="of the presets that do not have their own")
    add("--window", type=float, help="seconds; without it whole recordings, and window arrays as they are")
    add("--band", type=float, nargs=2, default=(), metavar="HZ", help="lowest and highest rate looked for")
    add("--output", type=Path, help="folder of the report; without it nothing is written")
    return parser


def score(asked: argparse.Namespace) -> None:
    """Print the tables, write the report where one is asked for. ValueError when nothing could be judged."""
    given = read_given(
        asked.predictions, asked.labels, asked.fs, asked.label_fs, asked.subjects, asked.differential, asked.attributes
    )
    chosen = presets(asked.preset, asked.band)
    window = None if given.windows else asked.window
    if given.windows and asked.window:
        raise ValueError(f"'{asked.predictions}' holds windows, which are judged as they are: leave out --window.")
    names, title = computed(METRICS.names()), asked.predictions.stem
    own = evaluate(title, given.recordings, chosen, asked.estimator, window, names)
    found = {title: own, "constant mean": [constant_mean(one) for one in own]}
    found = beside(found, lambda: [noise(one, given.recordings, asked.estimator) for one in own])
    notes = remarks(given)
    written = write(asked.output, title, given, found, notes) if asked.output else []
    for one in sorted(zip(*found.values(), strict=True), key=lambda same: same[0].preset.name != asked.preset):
        print(f"\n{console.header(one[0])}", one[0].specification.line, sep="\n")
        print(console.comparison(one), errors(one[0]), sep="\n")
        print(*console.excluded_lines(one[0]), sep="\n", end="\n" * bool(one[0].excluded))
    print(*[f"Note: {note}" for note in notes], *written, sep="\n")
    if not any(one.valid for one in own):
        raise ValueError("not one window has both rates: why is said above.")


def write(folder: Path, title: str, given: Given, found: Mapping[str, list[Table]], notes: list[str]) -> list[str]:
    """Write report and page of the tables `found`, the first of which is the predictions' own; where they are."""
    own = found[title]
    typical = pick_example(own[0], given.recordings)
    examples = {title: typical} if typical else {}
    report = write_report(folder, f"Predictions of {title}", found, examples=examples, notes=notes)
    first = next((one for one in own if one.valid), own[0])
    page = write_page(folder, pick([first], {title: given.recordings}))
    return [*([f"Page: {page}"] if page else []), f"Report: {report}"]


def errors(one: Table) -> str:
    """How the errors are spread."""
    shares = ", ".join(f"{one.within(limit):.0%} within {limit:g}" for limit in LIMITS)
    return f"{one.method}: median absolute error {one.median_error:.2f} {one.preset.unit}; {shares} {one.preset.unit}"


def remarks(given: Given) -> list[str]:
    """What a reader must know of these intervals."""
    people = len({one.subject for one in given.recordings})
    if not given.people:
        what = "window" if given.windows else "recording"
        return [
            f"Which {what}s share a person is not known (--subjects): each counts as a person of its own, and "
            f"intervals are too narrow where they do."
        ]
    if people == 1:
        return ["All is of one person: there are no intervals, and nothing is known of others."]
    return [f"Only {people} people: the intervals over them say little."] if people < FEW else []


if __name__ == "__main__":
    sys.exit(main())
