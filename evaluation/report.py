"""The report of a run: metrics.json, per_recording.csv, per_window.csv, report.md and its pictures, in one folder."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dataset.files.names import escaped, plural, span
from dataset.files.reading import read_text
from evaluation import console, figures, pictures, tables
from evaluation.intervals import FEW
from evaluation.metrics import unit_of
from evaluation.pictures import scored_by_mae
from evaluation.presets import PRESETS, Preset
from evaluation.results import RecordingResult
from evaluation.subgroups import subgroups
from evaluation.summary import Score, Table

WIDE = "; limits wider by sqrt(2), as rPPG-Toolbox draws them (INFERENCE.BLAND_ALTMAN_CORRECTION)"
NAMED = 8  # recordings named below a picture
LISTED = 20  # windows and recordings named in report.md; the CSV files name all
EXPLAINED = {
    "exact": "the true rate is read off the recording's own reference signal inside each window's time span; "
    "both rates are interpolated spectral peaks, free of bin rounding; waves that are summed up from differences lose "
    "their drift by a filter of order 1 and rPPG-Toolbox's detrending, adapted to the frame rate",
    "toolbox": "as rPPG-Toolbox computes them, bin rounding included: for comparison with its published tables",
    "rhythmformer": "as RhythmFormer's code computes them (Welch's density), to compare with its tables; there SNR is "
    "20 log10 of a ratio of powers, which is `SNR20` here",
    "cta2065": "as `exact`; ANSI/CTA-2065 allows each person a mean absolute percentage error of 10 %",
    "neurips2023": "as rPPG-Toolbox computed them for its NeurIPS 2023 paper (narrower band)",
}


EXPLANATION = (
    "± is the standard error over windows; in brackets the 95 % interval over subjects, without one after the other "
    "(needs three; of shuffled labels that of the shuffles). A dash: undefined, as windows are missing or constant: "
    "the reasons stand below. Coverage: share of the windows with a true rate that have a predicted one. Median: of "
    "the absolute errors. Within 5: share of windows with an error of at most 5 (3 and 10: metrics.json). Doubled, "
    "halved: share of windows whose rate is within 5 % of twice or half the true one. Noise: what white noise in place "
    "of the prediction reaches; shuffled labels: each predicted rate against those of other people."
)


@dataclass(frozen=True)
class Section:
    """What a report says of one output beside the pulse: `content` for metrics.json, `files` by name, Markdown."""

    name: str
    content: dict[str, Any]
    markdown: list[str]
    files: dict[str, str]


def write_report(
    folder: Path,
    title: str,
    results: Mapping[str, Sequence[Table]],
    failed: Iterable[tuple[Any, str]] = (),
    *,
    total: int | None = None,
    examples: Mapping[str, RecordingResult] | None = None,
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
    complete: Mapping[str, Any] | None = None,
    draws: Sequence[Any] = (),
    left_out: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the report of one or several methods to `folder` and return the path of report.md.

    `results`: method -> its tables of the pulse, one per preset (`evaluate`, `constant_mean`); all methods stand in one
    table per preset; {} for a run without pulse, which then says by `complete` what was evaluated (see
    `tables.completeness`). `failed`: (recording or id, reason) of what is missing; `total`: recordings there should be
    (default: evaluated + failed). `examples`: method -> the recording whose wave is drawn. `notes`: sentences
    for the head, such as warnings of the run. `sections`: what a network gives beside the pulse, `draws` their pictures
    (file, caption, draw). `left_out`: (id, reason) of recordings that nobody wanted evaluated. Numbers are saved before
    anything is drawn; a plot never fails a run.
    """
    folder = Path(folder)
    every = tables.ordered(table for found in results.values() for table in found)
    lost = tables.as_failed(failed)
    complete = complete or tables.completeness(every, lost, total)
    content = {"title": title, **complete, "notes": list(notes), "tables": [tables.as_dict(table) for table in every]}
    if left_out:
        content["left_out"] = [{"recording": name, "reason": reason} for name, reason in left_out]
    if any(section.content for section in sections):
        content["heads"] = {section.name: section.content for section in sections if section.content}
    tables.write_text(folder / "metrics.json", tables.json_text(content))
    for name, text in [item for section in sections for item in section.files.items()]:
        tables.write_text(folder / name, text)
    if every or not sections:
        _write_rows(folder, every, lost)
    drawn = _draw(folder, every, dict(examples or {}))
    for picture in draws:
        if figures.attempt(picture.file, picture.draw, folder / picture.file):
            drawn[picture.file] = picture.caption
    scope = " ".join(filter(None, [_scope(complete), escaped(tables.left_out_line(left_out))]))
    return tables.write_text(folder / "report.md", _markdown(title, every, complete, notes, drawn, sections, scope))


def _write_rows(folder: Path, every: Sequence[Table], lost: Sequence[tuple[str, str]]) -> None:
    """The CSV files of recordings and windows."""
    recordings = tables.recording_rows(every, lost)
    tables.write_text(folder / "per_recording.csv", tables.csv_text(tables.RECORDING_COLUMNS, recordings))
    tables.write_text(folder / "per_window.csv", tables.csv_text(tables.WINDOW_COLUMNS, tables.window_rows(every)))


def print_comparison(
    results: Mapping[str, Sequence[Table]],
    failed: Iterable[tuple[Any, str]],
    report: Path,
    complete: Mapping[str, Any] | None = None,
) -> None:
    """Print all methods under the first preset with errors, `INCOMPLETE n/m` above if that is so, and the path."""
    by_preset = list(zip(*results.values(), strict=True))
    first = next((same for same in by_preset if any(table.valid for table in same)), by_preset[0])
    every, lost = [table for found in results.values() for table in found], tables.as_failed(failed)
    complete = complete or tables.completeness(every, lost)
    print(f"\n{console.header(first[0]).split(': ', 1)[1]}")
    print(f"Specification: {first[0].specification.line}")
    missing = [f"FAILED {item['recording']}: {item['reason']}" for item in complete["failed"]]
    doubts = few(first).strip("*") if any(table.valid for table in first) else ""
    print(*filter(None, [tables.incomplete(complete), console.comparison(first), doubts, *missing]), sep="\n")
    print(f"Report: {report}")


def _draw(folder: Path, every: Sequence[Table], examples: dict[str, RecordingResult]) -> dict[str, str]:
    """Draw what can be drawn from the first preset that has errors; file name -> caption."""
    with_errors = [table for table in every if table.valid]
    first = [table for table in with_errors if table.preset == with_errors[0].preset]
    drawn = {}
    if examples:
        preset = every[0].preset if every else PRESETS["exact"]
        if figures.attempt("waveform.png", pictures.waveform, folder / "waveform.png", examples, preset):
            ids = ", ".join(dict.fromkeys(result.id for result in examples.values()))
            drawn["waveform.png"] = (
                f"Predicted and reference wave (filtered), and their spectra, of {ids}, a typical recording, by "
                f"{', '.join(examples)}"
            )
    wide = WIDE if first and first[0].preset.widened else ""
    for name, draw, caption, of in (
        ("methods.png", pictures.methods, "Mean absolute error by method; grey: baselines", scored_by_mae(first)),
        ("errors.png", pictures.errors, "Error of every window by recording (scale linear up to 5 bpm)", first),
        ("bland_altman.png", pictures.agreement, f"Agreement: difference over mean of both rates{wide}", first),
    ):
        if of and figures.attempt(name, draw, folder / name, first):
            drawn[name] = f"{caption}. {_subject_of(first)}"
    return drawn


def _subject_of(first: Sequence[Table]) -> str:
    """What a picture of these tables shows: methods, recordings, preset."""
    ids = pictures.ids_of(first)
    named = ", ".join(ids) if len(ids) <= NAMED else f"{plural(len(ids), 'recording')}, {span(ids)}"
    methods = ", ".join(table.method for table in first if not table.baseline)
    return f"Methods: {methods}. Recordings: {named}. Preset {first[0].preset.name}."


def _markdown(
    title: str,
    every: Sequence[Table],
    complete: Mapping[str, Any],
    notes: Sequence[str],
    drawn: Mapping[str, str],
    sections: Sequence[Section],
    scope: str,
) -> str:
    found: list[str] = []
    for preset in dict.fromkeys(table.preset for table in every):
        found += preset_section(preset, [table for table in every if table.preset == preset])
    for section in sections:
        found += section.markdown
    parts = [f"# {escaped(title)}", *[f"> {escaped(note)}" for note in notes], scope]
    parts.append(headed("\n\n".join(part for part in found if part), tables.incomplete(complete)))
    if drawn:
        parts.append("## Pictures")
        said = {name: escaped(caption) for name, caption in drawn.items()}
        parts += [f"![{caption}]({name})\n\n*{caption}*" for name, caption in said.items()]
    parts += _left_out(every, complete)
    parts.append(_FILES if every or not sections else _files_of(sections))
    return "\n\n".join(part for part in parts if part) + "\n"


def _scope(complete: Mapping[str, Any]) -> str:
    words = f"Evaluated: {complete['evaluated']} of {plural(complete['recordings'], 'recording')}."
    if not complete["complete"]:
        words += " The others are named below; every number here is of a part of the data only."
    return words


def headed(text: str, warning: str) -> str:
    """Markdown with `warning` above each of its tables, whoever wrote them; as it is where there is nothing to warn of.

    A table is a part between empty lines that begins with a bar, as those of `markdown_table` do.
    """
    parts = text.split("\n\n")
    return "\n\n".join(f"**{warning}**\n\n{part}" if warning and part.startswith("| ") else part for part in parts)


def preset_section(preset: Preset, found: Sequence[Table], of: str = "") -> list[str]:
    """Heading, what was computed, the comparison table and the table in which each subject counts once."""
    heading = f"## {of or 'Results'}, preset `{preset.name}`"
    if not any(table.valid for table in found):
        return [heading, f"No window has both a predicted and a true rate under preset `{preset.name}`: no errors. "
                "The predicted rates are in per_recording.csv."]  # fmt: skip
    names = list(dict.fromkeys(name for table in found for name in table.scores))
    return [
        heading, described(preset, found[0]), few(found), comparison(found, names, preset.unit), EXPLANATION,
        "Each subject counting once (mean over subjects ± standard error):",
        by_subject(found, names, preset.unit), *bar(found, preset),
        *agreement(found, preset), *by_attribute(found, preset.unit),
    ]  # fmt: skip


def few(found: Sequence[Table]) -> str:
    """A sentence where there are too few people for intervals; "" otherwise."""
    people = max(table.people for table in found)
    return f"**Only {plural(people, 'subject')}: intervals over so few say little.**" if people < FEW else ""


def bar(found: Sequence[Table], preset: Preset) -> list[str]:
    """How many people are within what a standard allows, where the preset has one."""
    words = [f"{table.method} {table.bar['reached']} of {table.people}" for table in found if table.bar]
    return [f"People within the bar of {preset.bar:g} %: {', '.join(words)}."] if words else []


def agreement(found: Sequence[Table], preset: Preset) -> list[str]:
    """Bias and limits of agreement of each method, with intervals over people."""
    unit = preset.unit
    heads = ["method", f"bias [{unit}]", "lower limit", "upper limit", "SD of people", "SD of windows", "people"]
    lines = []
    for table in (one for one in found if one.valid and not one.chance):
        one = table.limits
        cells = [
            _with_span(value, span)
            for value, span in ((one.bias, one.bias_ci95), (one.low, one.low_ci95), (one.high, one.high_ci95))
        ]
        spread = [_plus_minus(value, math.nan) for value in (one.between, one.within)]
        lines.append([table.method, *cells, *spread, str(one.subjects)])
    if not lines:
        return []
    how = (
        "Bias (predicted - true) and limits that hold 95 % of the differences, each person's mean counting once; SD "
        "between people and within one; in brackets 95 % intervals over people (Bland and Altman 2007, Zou 2013)."
    )
    return [f"{how} The limits are sqrt(2) wider, as rPPG-Toolbox draws them." if preset.widened else how,
            markdown_table(heads, lines)]  # fmt: skip


def by_attribute(found: Sequence[Table], unit: str) -> list[str]:
    """The errors of the first method in groups of recordings, by each attribute that divides them."""
    table = next((one for one in found if one.valid and not one.baseline), None)
    groups = subgroups(table) if table else []
    if not groups:
        return []
    lines = [
        [
            one.attribute, f"{one.value}{' *' if one.few else ''}", *map(_cell, one.scores.values()),
            _plus_minus(one.bias, math.nan), str(one.n), str(one.recordings), str(one.people), str(one.excluded),
        ]
        for one in groups
    ]  # fmt: skip
    heads = ["attribute", "value", *[f"{name} [{unit}]" for name in groups[0].scores], f"bias [{unit}]"]
    return [
        f"Errors of {escaped(table.method)} by attribute of the recordings (*: fewer than {FEW} people, so the "
        "interval says little; what many comparisons show by chance is not corrected for):",
        markdown_table([*heads, "n", "recordings", "people", "excluded"], lines),
    ]


def _with_span(value: float, span: tuple[float, float]) -> str:
    text = _plus_minus(value, math.nan)
    return f"{text} [{span[0]:.2f}, {span[1]:.2f}]" if math.isfinite(span[0]) else text


def described(preset: Preset, table: Table) -> str:
    """One sentence: how the numbers of a table came about."""
    low, high = preset.band
    window = f"{table.window_seconds:g} s windows" if table.window_seconds else "whole recordings"
    how = EXPLAINED.get(preset.name, "")
    return (
        f"Band {low:g}-{high:g} Hz ({60 * low:g}-{60 * high:g} {preset.unit}), {window}, estimator: {table.estimator}"
        + (f"; {how}." if how else ".")
        + f"\n\nSpecification: {table.specification.line}."
    )


def comparison(found: Sequence[Table], names: Sequence[str], unit: str = "bpm") -> str:
    """Markdown: a line per method, a column per metric, with n, subjects and what was left out."""
    own = ("n", "subjects", "excluded", "coverage", f"median [{unit}]", "within 5", "doubled", "halved")
    heads = ["method", *[_head(name, unit) for name in names], *own]
    lines = [
        [
            table.method,
            *[_cell(table.scores.get(name)) for name in names],
            str(len(table.valid)),
            str(len({row.subject for row in table.valid})),
            str(len(table.excluded)),
            _percent(table.coverage),
            _plus_minus(table.median_error, math.nan),
            _percent(table.within(5.0)),
            _percent(table.share(2.0)),
            _percent(table.share(0.5)),
        ]
        for table in found
    ]
    return markdown_table(heads, lines)


def by_subject(found: Sequence[Table], names: Sequence[str], unit: str = "bpm") -> str:
    """Markdown: the same with each subject counting once."""
    lines = []
    for table in found:
        values = [table.subjects.get(name) for name in names]
        cells = ["–" if v is None else _plus_minus(v.value, v.standard_error) for v in values]
        lines.append([table.method, *cells, str(len({row.subject for row in table.valid}))])
    return markdown_table(["method", *[_head(name, unit) for name in names], "subjects"], lines)


def _head(name: str, of_rates: str) -> str:
    unit = unit_of(name, of_rates)
    return f"{name} [{unit}]" if unit else name


def _cell(score: Score | None) -> str:
    if score is None or not math.isfinite(score.value):
        return "–"
    text = _plus_minus(score.value, score.standard_error)
    text = f"{text} [{score.low:.2f}, {score.high:.2f}]" if math.isfinite(score.low) else text
    return f"{text}, noise {score.floor:.2f}" if math.isfinite(score.floor) else text


def _plus_minus(value: float, error: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f} ± {error:.2f}" if math.isfinite(error) else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "–"


def markdown_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(
        "| " + " | ".join([escaped(line[0]), *(cell.replace("|", "\\|") for cell in line[1:])]) + " |"
        for line in [heads, rule, *lines]
    )


def add_links(path: Path, folders: Iterable[tuple[str, Path]]) -> None:
    """Append to the report at `path` links to those of `folders` (what is there, where) that are."""
    lines = []
    for what, folder in folders:
        if folder.is_dir():
            way = Path(os.path.relpath(folder, path.parent)).as_posix()
            lines.append(f"- {what}: [{escaped(folder.name)}](<{quote(way)}>)")
    if lines:
        text = "\n".join(["## Files under the names of rPPG-Toolbox", "", *lines])
        tables.write_text(path, f"{read_text(path)}\n{text}\n")


def _left_out(every: Sequence[Table], complete: Mapping[str, Any]) -> list[str]:
    """Failed recordings and excluded windows, by name."""
    parts = []
    if complete["failed"]:
        lines = [f"- {escaped(item['recording'])}: {escaped(item['reason'])}" for item in complete["failed"]]
        parts += ["## Failed recordings", some(lines, "per_recording.csv")]
    lines = [
        f"- {table.method}, {table.preset.name}: {escaped(row.id)}, window {row.window}: {escaped(row.note)}"
        for table in every
        if not table.chance
        for row in table.excluded
    ]
    if lines:
        parts += ["## Windows without an error", some(lines, "per_window.csv")]
    return parts


def some(lines: list[str], where: str) -> str:
    """The first of many `lines`, and where the others are."""
    more = [f"- and {len(lines) - LISTED} more: see {where}"] if len(lines) > LISTED else []
    return "\n".join(lines[:LISTED] + more)


def _files_of(sections: Sequence[Section]) -> str:
    """The end of a report without a pulse."""
    lines = [f"- `{name}`" for section in sections for name in section.files]
    return "\n".join(
        ["## Files", "", "- `metrics.json`: every number of this page", *lines, RUN_FILES, "", _DISCLAIMER]
    )


_DISCLAIMER = "Research software, not a medical device."
RUN_FILES = """- `config.yaml`: all settings
- `environment.json`: the path of the data, the date, the versions of the libraries, the machine"""
_FILES = f"""## Files

- `metrics.json`: every table with preset, band, window, estimator, n, standard errors and intervals
- `per_recording.csv`: one line per recording, method and preset, failed recordings with the reason
- `per_window.csv`: one line per window; `quality_db` needs no reference (power at the predicted rate over the rest)
{RUN_FILES}

Rates are in beats per minute. SNR: power at the true rate and its double over the rest of the band; above 0 dB the
pulse is stronger than everything else. MACC: how alike the waves are, from 0 to 1. Compare with the constant mean,
where it is in the table: a method that is not better has not measured the pulse.

{_DISCLAIMER}"""
