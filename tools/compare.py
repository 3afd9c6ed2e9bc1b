"""Compare runs: python tools/compare.py RUN1 RUN2 ... [--published] [--output DIR]

RUN is the folder of a report, or FOLDER:METHOD for another method in it. Runs are compared on the windows they all
have: one table, paired tests by person, ranks, and one plot. With --published the numbers that others published for
these data sets stand beside, and a verdict where the protocol is the same. --output leaves comparison.md, .tex, .csv,
.json and the plots.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

from dataset.program import answer
from evaluation import figures
from evaluation.comparing import pictures, tables
from evaluation.comparing.compare import Comparison, by_test, compare, over_data_sets
from evaluation.comparing.hypothesis import Ranking
from evaluation.comparing.published import Published, Verdict, beside, read_published, verdicts
from evaluation.comparing.runs import Run, read_runs
from evaluation.tables import csv_text, json_text, write_text


def main(arguments: list[str] | None = None) -> int:
    """Compare what was named; 1 and one sentence for what cannot be."""
    asked = parser().parse_args(arguments)
    return answer(lambda: show(asked), code=1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folder of a report, or FOLDER:METHOD")
    add("--preset", default="", help="that all were evaluated under; without it `exact`, or what they share")
    add("--published", action="store_true", help="put published numbers of these data sets beside")
    add("--output", type=Path, help="folder of the comparison; without it nothing is written")
    return parser


def show(asked: argparse.Namespace) -> None:
    """Compare, print and, where it is asked for, write."""
    if len(asked.runs) < 2 and not asked.published:
        raise ValueError("One run alone is compared with nothing: name another one, or add --published.")
    runs = read_runs(asked.runs, asked.preset)
    found = [compare(group) for group in by_test(runs)]
    lines, given = _published(runs) if asked.published else ([], [])
    _say(found, over_data_sets(found), lines, given)
    if asked.output:
        print(f"Comparison: {write(asked.output, found, lines, given, asked.published)}")


def _published(runs: Sequence[Run]) -> tuple[list[Published], list[Verdict]]:
    """The lines of the runs' data sets, each once, and the verdict on each run."""
    known = read_published()
    lines = [one for one in known if any(one in beside(run, known) for run in runs)]
    return lines, [verdict for run in runs for verdict in verdicts(run, known)]


def _say(
    found: Sequence[Comparison], over: Ranking | None, lines: Sequence[Published], given: Sequence[Verdict]
) -> None:
    """All of it on the screen."""
    for one in found:
        print(f"\n{one.name}: {one.runs[0].specification['line']}", tables.text(one), *one.notes, sep="\n")
        if one.pairs:
            print("", "Paired by person:", tables.pairs_text(one.pairs), sep="\n")
        if one.ranking:
            print(tables.ranking_words(one.ranking, "people"))
    if over:
        print("", tables.ranking_words(over, "data sets"), sep="\n")
    for line in lines:
        print(tables.published_line(line))
    for verdict in given:
        print(tables.verdict_line(verdict))


def write(
    folder: Path, found: Sequence[Comparison], lines: Sequence[Published], given: Sequence[Verdict], published: bool
) -> Path:
    """Write all files of the comparison to `folder`; returns the path of comparison.md. A plot never fails it."""
    over = over_data_sets(found)
    write_text(folder / "comparison.json", json_text(tables.content(found, over, lines, given)))
    write_text(folder / "comparison.csv", csv_text(tables.CSV_COLUMNS, tables.csv_rows(found)))
    write_text(folder / "comparison.tex", tables.latex(found, lines))
    parts = ["# Comparison"]
    if figures.attempt("comparison.png", pictures.errors, folder / "comparison.png", found):
        parts.append("![Mean absolute error of each run, and of each person](comparison.png)")
    for number, one in enumerate(found):
        parts += [f"## {one.name}", one.runs[0].specification["line"], *tables.markdown(one)]
        parts += _ranks(folder, f"ranks_{number + 1}.png", one.ranking, "people")
    if over:
        parts += ["## Over data sets", tables.ranking_words(over, "data sets")]
        parts += _ranks(folder, "ranks.png", over, "data sets")
    if published:
        parts += ["## Published", *tables.published_markdown(lines, given)]
    return write_text(folder / "comparison.md", "\n\n".join(parts) + "\n")


def _ranks(folder: Path, name: str, ranking: Ranking | None, blocks: str) -> list[str]:
    """The critical-difference plot, where there are ranks."""
    if ranking and figures.attempt(name, pictures.critical_difference, folder / name, ranking, blocks):
        return [f"![Mean ranks over {blocks} and what does not differ]({name})"]
    return []


if __name__ == "__main__":
    sys.exit(main())
