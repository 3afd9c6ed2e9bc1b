"""A comparison as rows, and those as text, Markdown, LaTeX, CSV and JSON."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluation import console, report
from evaluation.comparing.compare import METRICS, Comparison
from evaluation.comparing.hypothesis import Pair, Ranking
from evaluation.comparing.published import COLUMNS, Published, Verdict
from evaluation.metrics import unit_of
from evaluation.summary import Score

LOWER = ("MAE", "RMSE", "MAPE")
SHOWN = 0.001  # smaller p are told as below it


def best(one: Comparison, name: str) -> list[str]:
    """The runs with the best value of a metric, as it is printed; none where there is one run only."""
    known = {label: scores[name].value for label, scores in one.scores.items() if math.isfinite(scores[name].value)}
    if len(known) < 2:
        return []
    top = (min if name in LOWER else max)(known.values())
    return [label for label, value in known.items() if f"{value:.2f}" == f"{top:.2f}"]


def text(one: Comparison) -> str:
    """For the screen: a line per run, on what all share."""
    heads = ["run", *[_head(name) for name in METRICS], "bias", "n", "people", "excluded"]
    lines = [
        [run.label, *[_value(one.scores[run.label][name]) for name in METRICS],
         _number(one.agreement[run.label].bias), str(len(one.windows)), str(len(one.people)), str(len(run.excluded))]
        for run in one.runs
    ]  # fmt: skip
    return "\n".join(filter(None, [one.warning, console.text_table(heads, lines)]))


def pairs_text(found: Sequence[Pair]) -> str:
    """For the screen: the paired tests."""
    return console.text_table(PAIR_HEADS, [pair_cells(one) for one in found])


PAIR_HEADS = [
    "first", "second", "people", "MAE second - first", "95 %", "p permutation", "Holm", "p Wilcoxon", "Holm ",
]  # fmt: skip


def pair_cells(one: Pair) -> list[str]:
    """A line of the paired tests."""
    span = f"{one.low:.2f} to {one.high:.2f}" if math.isfinite(one.low) else "-"
    found = (one.p_permutation, one.p_permutation_holm, one.p_wilcoxon, one.p_wilcoxon_holm)
    return [one.first, one.second, str(one.people), f"{one.difference:+.2f}", span, *map(_p, found)]


def _p(value: float) -> str:
    return "< 0.001" if value < SHOWN else f"{value:.3f}"


def markdown(one: Comparison) -> list[str]:
    """Table, tests and ranks of one data set."""
    heads = ["run", *[_head(name) for name in METRICS], "bias", "limits", "n", "people", "excluded", "failed"]
    lines = []
    for run in one.runs:
        cells = [_cell(one.scores[run.label][name], run.label in best(one, name)) for name in METRICS]
        own = one.agreement[run.label]
        lines.append([
            run.label, *cells, _number(own.bias), f"{_number(own.low)} to {_number(own.high)}", str(len(one.windows)),
            str(len(one.people)), str(len(run.excluded)), str(len(run.failed)),
        ])  # fmt: skip
    parts = [report.markdown_table(heads, lines), *one.notes, *_failures(one)]
    if one.pairs:
        parts += [
            "Differences of each person's mean absolute error (bpm), paired by person: permutation of signs and "
            "Wilcoxon's signed ranks, both also corrected for all pairs (Holm). Below 0: the second is better.",
            report.markdown_table([head.strip() for head in PAIR_HEADS], [pair_cells(pair) for pair in one.pairs]),
        ]
    parts = [report.headed(part, one.warning) for part in parts]
    return [*parts, *([ranking_words(one.ranking, "people")] if one.ranking else [])]


def ranking_words(found: Ranking, blocks: str) -> str:
    """Friedman and Nemenyi in two sentences."""
    ranks = ", ".join(f"{name} {rank:.2f}" for name, rank in found.ranks.items())
    alike = "; ".join(" = ".join(group) for group in found.alike) or "none"
    p = _p(found.p) if found.p < SHOWN else f"= {_p(found.p)}"
    return (
        f"Mean ranks over {found.blocks} {blocks} (1 is best): {ranks}. Friedman: chi-squared = {found.statistic:.2f}, "
        f"p {p}; ranks nearer than {found.critical:.2f} do not differ at 5 % "
        f"(Nemenyi): {alike}."
    )


def _failures(one: Comparison) -> list[str]:
    """What each run lacks, and why."""
    lines = [f"- {run.label}: {name}: {reason}" for run in one.runs for name, reason in run.failed.items()]
    lines += [f"- {run.label}: {row.id}, window {row.window}: {row.note}" for run in one.runs for row in run.excluded]
    return [
        "What single runs lack:",
        report.some([report.escaped(line) for line in lines], "the runs' own reports"),
    ] * bool(lines)


def published_markdown(lines: Sequence[Published], found: Sequence[Verdict]) -> list[str]:
    """Published numbers, and the verdict of each run on the line of its own method."""
    if not lines:
        return ["No number is known that was published for these data sets."]
    rows = [
        [one.setting, one.method, *[_number(one.values[name]) for name in COLUMNS], one.says, one.source]
        for one in lines
    ]
    parts = [
        "Published, by others and by their own protocol: beside, not in one table with the runs.",
        report.markdown_table(["setting", "method", *map(_head, COLUMNS), "protocol", "source"], rows),
    ]
    if found:
        cells = [[one.run, one.published.setting, one.published.protocol, _number(one.measured),
                  _number(one.published.values["MAE"]), one.words] for one in found]  # fmt: skip
        heads = ["run", "setting", "protocol", "measured MAE", "published MAE", "verdict"]
        parts += ["Verdict (reached: within 0.5 bpm or two standard errors; all windows of the run by itself):",
                  report.markdown_table(heads, cells)]  # fmt: skip
    return parts


def published_line(one: Published) -> str:
    """A published line for the screen."""
    numbers = ", ".join(f"{name} {one.values[name]:g}" for name in COLUMNS if math.isfinite(one.values[name]))
    return f"Published: {one.method}, {one.setting}: {numbers} ({one.protocol}; {one.source})"


def verdict_line(one: Verdict) -> str:
    """A verdict for the screen."""
    numbers = f"MAE {one.measured:.2f} here, {one.published.values['MAE']:.2f} published"
    return f"{one.run}, {one.published.setting} ({one.published.protocol}): {numbers}: {one.words}"


# --- LaTeX -----------------------------------------------------------------------------------------------------------

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
            ">": r"\textgreater{}", **{mark: f"\\{mark}" for mark in "&%$#_{}"}}  # fmt: skip
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))
_ARROWS = {True: r"$\downarrow$", False: r"$\uparrow$"}


def escaped_latex(words: str) -> str:
    """`words` as LaTeX prints them."""
    return _PATTERN.sub(lambda found: _SPECIAL[found[0]], words)


def latex(found: Sequence[Comparison], lines: Sequence[Published] = ()) -> str:
    """One table in the layout of papers (package booktabs): a block per data set, the best of each column bold.

    Published lines stand below, behind a rule of their own, never bold.
    """
    names = METRICS[:4]
    heads = " & ".join(f"{escaped_latex(_head(name))} {_ARROWS[name in LOWER]}" for name in names)
    rows = [r"\toprule", rf"Method & {heads} & $n$ & People \\"]
    for one in found:
        rows += [r"\midrule", rf"\multicolumn{{7}}{{l}}{{\textit{{{escaped_latex(_block(one))}}}}} \\"]
        for run in one.runs:
            cells = [_latex_cell(one.scores[run.label][name], run.label in best(one, name)) for name in names]
            rows.append(_latex_row([escaped_latex(run.label), *cells, str(len(one.windows)), str(len(one.people))]))
    if lines:
        rows += [r"\midrule", r"\multicolumn{7}{l}{\textit{Published, by their own protocols}} \\"]
        for line in lines:
            cells = [_latex_number(line.values[name]) for name in names]
            rows.append(
                _latex_row([escaped_latex(f"{line.method}, {line.setting} ({line.protocol})"), *cells, "--", "--"])
            )
    caption = escaped_latex(_caption(found))
    body = "\n".join([*rows, r"\bottomrule"])
    return (
        "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{caption}}}\n\\begin{{tabular}}{{lrrrrrr}}\n{body}\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _block(one: Comparison) -> str:
    return f"{one.name} ({one.warning})" if one.warning else one.name


def _caption(found: Sequence[Comparison]) -> str:
    line = found[0].runs[0].specification["line"]
    what = "Heart rate errors, value ± standard error over windows, on the windows that all methods of a block share"
    return f"{what}. {line}."


def _latex_row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _latex_cell(score: Score, bold: bool) -> str:
    if not math.isfinite(score.value):
        return "--"
    value = rf"\mathbf{{{score.value:.2f}}}" if bold else f"{score.value:.2f}"
    error = rf" \pm {score.standard_error:.2f}" if math.isfinite(score.standard_error) else ""
    return f"${value}{error}$"


def _latex_number(value: float) -> str:
    return f"${value:.2f}$" if math.isfinite(value) else "--"


# --- Data ------------------------------------------------------------------------------------------------------------

CSV_COLUMNS = ("data", "run", "method", "folder", "metric", "value", "standard_error", "low", "high", "n", "people")


def csv_rows(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """A line per run and metric."""
    return [
        {
            "data": one.name, "run": run.label, "method": run.method, "folder": run.folder.name, "metric": name,
            "value": score.value, "standard_error": score.standard_error, "low": score.low, "high": score.high,
            "n": score.n, "people": len(one.people),
        }
        for one in found
        for run in one.runs
        for name, score in one.scores[run.label].items()
    ]  # fmt: skip


def content(
    found: Sequence[Comparison], over: Ranking | None, lines: Sequence[Published], given: Sequence[Verdict]
) -> dict[str, Any]:
    """All of it for comparison.json."""
    return {
        "comparisons": [_content(one) for one in found],
        "over_data_sets": asdict(over) if over else None,
        "published": [_published(one) for one in lines],
        "verdicts": [
            {"run": one.run, "published": _published(one.published), "measured": one.measured,
             "difference": one.difference, "tolerance": one.tolerance, "differs": list(one.differs),
             "verdict": one.words}
            for one in given
        ],
    }  # fmt: skip


def _published(one: Published) -> Mapping[str, Any]:
    return {**asdict(one), "train": one.train.words, "test": one.test.words}


def _content(one: Comparison) -> dict[str, Any]:
    return {
        "data": one.name, "n": len(one.windows), "recordings": one.recordings, "people": len(one.people),
        "specification": dict(one.runs[0].specification), "notes": one.notes,
        "runs": [
            {
                "label": run.label, "method": run.method, "folder": run.folder.name, "own_n": len(run.by_window),
                "failed": dict(run.failed), "excluded": len(run.excluded),
                "metrics": {name: asdict(score) for name, score in one.scores[run.label].items()},
                "agreement": one.agreement[run.label].as_dict(),
            }
            for run in one.runs
        ],
        "pairs": [asdict(pair) for pair in one.pairs],
        "ranking": asdict(one.ranking) if one.ranking else None,
    }  # fmt: skip


# --- Cells -----------------------------------------------------------------------------------------------------------


def _head(name: str) -> str:
    unit = unit_of(name)
    return f"{name} [{unit}]" if unit else name


def _value(score: Score) -> str:
    if not math.isfinite(score.value):
        return "-"
    error = f" +/- {score.standard_error:.2f}" if math.isfinite(score.standard_error) else ""
    return f"{score.value:.2f}{error}"


def _cell(score: Score, bold: bool) -> str:
    if not math.isfinite(score.value):
        return "–"
    value = f"**{score.value:.2f}**" if bold else f"{score.value:.2f}"
    error = f" ± {score.standard_error:.2f}" if math.isfinite(score.standard_error) else ""
    span = f" [{score.low:.2f}, {score.high:.2f}]" if math.isfinite(score.low) else ""
    return f"{value}{error}{span}"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"
