"""report.html of a run: built of the files in its folder and of the recordings that were worst.

Tables, plots and words are those of metrics.json, per_window.csv, history.csv, environment.json and config.yaml, which
lie beside it: nothing is computed anew, so the page cannot say anything else than they do.
"""

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import natural_key, plural
from dataset.files.reading import read_json, read_text
from evaluation import figures, provenance, tables
from evaluation.charts import Chart, figure
from evaluation.page import scores, worst
from evaluation.page.scores import words
from evaluation.page.style import foot, head
from evaluation.page.worst import Worst

PAGE = "report.html"
ROOM = 0.08  # of the range of a curve, above and below it
DIGITS = 3  # of the rates behind a plot; the CSV files have all
NOT_LOSSES = {"epoch", "update", "samples", "lr", "seconds", "validation", "skipped"}
SHOWN = 4  # notes that stand open
MAIN, SECOND = "line", "line second"


def write_page(folder: Path, found: Sequence[Worst] = ()) -> Path | None:
    """Write the page of the run in `folder`; its path, or None, with a warning, where it cannot be drawn."""
    path = folder / PAGE
    path.unlink(missing_ok=True)  # of an earlier run: it must not stand for this one
    text = figures.attempt(PAGE, page, folder, found)
    return tables.write_text(path, text) if text else None


def page(folder: Path, found: Sequence[Worst] = ()) -> str:
    """The page of the run in `folder`, whose metrics.json is there; ValueError or OSError where it is not."""
    metrics = read_json(folder / "metrics.json")
    rows = rows_of(folder, metrics)
    parts = [
        head(metrics["title"]),
        _notes(metrics),
        scores.headed(_results(metrics), metrics),
        _plots(rows),
        worst.section(found, folder),
        _curves(folder),
        scores.headed(_folds(folder), metrics),
        scores.headed(_others(metrics), metrics),
        _lost(metrics),
        _origin(folder),
        foot(json.dumps(rows, separators=(",", ":"), allow_nan=False)),
    ]
    return "\n".join(filter(None, parts))


def _section(name: str, title: str, body: str) -> str:
    return f"<section id='{name}'><h2>{title}</h2>{body}</section>" if body else ""


def _notes(metrics: Mapping[str, Any]) -> str:
    lines = [f"<p>Evaluated: {metrics['evaluated']} of {plural(metrics['recordings'], 'recording')}.</p>"]
    if warning := tables.incomplete(metrics):
        lines = [f"<p class='lost'>{warning}: every number here is of a part of the data only.</p>"]
    if left_out := metrics.get("left_out"):
        said = tables.left_out_line([(one["recording"], one["reason"]) for one in left_out])
        lines.append(f"<p>{words(said)}</p>")
    notes = [f"<p class='note'>{words(note)}</p>" for note in metrics["notes"]]
    if len(notes) > SHOWN:
        rest = f"<details><summary>and {plural(len(notes) - SHOWN, 'note')} more</summary>{''.join(notes[SHOWN:])}"
        notes = [*notes[:SHOWN], f"{rest}</details>"]
    return "".join(lines + notes)


def _results(metrics: Mapping[str, Any]) -> str:
    found = [f"<p class='spec'>{words(said)}</p>{html}" for said, html in scores.by_preset(metrics["tables"], "tables")]
    return _section("results", "Results", "".join(found))


def _others(metrics: Mapping[str, Any]) -> str:
    parts = [
        _section(f"head{number}", words(name), scores.head(name, content))
        for number, (name, content) in enumerate(metrics.get("heads", {}).items())
    ]
    return "\n".join(parts)


def _lost(metrics: Mapping[str, Any]) -> str:
    failed = "".join(f"<li>{words(one['recording'])}: {words(one['reason'])}</li>" for one in metrics["failed"])
    excluded = [
        f"<li>{words(table['method'])}, {words(table['preset'])}: {words(one['recording'])}, window {one['window']}: "
        f"{words(one['reason'])}</li>"
        for table in metrics["tables"]
        for one in table["excluded"]
    ]
    body = f"<ul>{failed}</ul>" if failed else ""
    if excluded:
        said = f"{plural(len(excluded), 'window')} without an error"
        body += f"<details><summary>{said}</summary><ul>{''.join(excluded)}</ul></details>"
    return _section("lost", "Left out of the errors", body)


# --- Plots of the windows -------------------------------------------------------------------------------------------


def rows_of(folder: Path, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the script draws: recordings in natural order, and the windows with both rates of every method.

    A window: number of its recording, its own, its start and length (s), true and predicted rate.
    """
    found = _windows(folder / "per_window.csv", "", metrics["tables"], "hr_")
    for name, content in metrics.get("heads", {}).items():
        if known := scores.tables_of_rates(content):
            found += _windows(folder / f"{name}_per_window.csv", f"{name}, ", known, "rate_")
    subjects = {row["recording"]: row["subject"] for one in found for row in one["rows"]}
    names = sorted(subjects, key=natural_key)
    number = {name: place for place, name in enumerate(names)}
    for one in found:
        one["rows"] = [
            [
                number[row["recording"]],
                int(row["window"]),
                *(_short(row[key]) for key in ("start_s", "seconds")),
                *rates,
            ]
            for row in one["rows"]
            for rates in [[_short(row[f"{one['column']}true"]), _short(row[f"{one['column']}pred"])]]
        ]
    return {"recordings": names, "subjects": [subjects[name] for name in names], "tables": found}


def _short(text: str) -> float:
    value = float(text or 0)
    return round(value, DIGITS) if math.isfinite(value) else 0.0


def _windows(path: Path, prefix: str, known: Sequence[Mapping[str, Any]], column: str) -> list[dict[str, Any]]:
    """The windows with both rates of each method and preset in a CSV file; baselines are no points."""
    try:
        groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for line in tables.csv_lines(path):
            if line[f"{column}true"] and line[f"{column}pred"]:
                groups[line["method"], line["preset"]].append(line)
    except (OSError, KeyError, csv.Error):
        return []
    methods = {(one["method"], one["preset"]): one for one in known if not one["baseline"]}
    return [
        {"name": f"{prefix}{key[0]}, {key[1]}", "unit": _unit(methods[key]), "column": column, "rows": found}
        | {"agreement": _limits(methods[key])}
        for key, found in groups.items()
        if key in methods
    ]


def _limits(table: Mapping[str, Any]) -> list[float | None]:
    """Bias and limits of agreement, as metrics.json has them; [] where it has none."""
    known = table.get("agreement") or {}
    return [known.get(name) for name in scores.AGREEMENT] if known.get("bias") is not None else []


def _unit(table: Mapping[str, Any]) -> str:
    return next((one["unit"] for name, one in table["metrics"].items() if name in ("MAE", "RMSE")), "bpm")


def _plots(rows: Mapping[str, Any]) -> str:
    if not rows["tables"]:
        return ""
    options = "".join(f"<option value='{k}'>{words(one['name'])}</option>" for k, one in enumerate(rows["tables"]))
    columns = ("recording", "subject", "windows", "true", "predicted", "absolute error")
    heads = "".join(f"<th scope='col'>{name}</th>" for name in columns)
    body = (
        f"<p><label>Method and preset: <select id='method'>{options}</select></label></p>"
        "<noscript><p class='note'>These plots need the page's script. The same are in report.md as pictures.</p>"
        "</noscript><div class='pair tall'><div class='chart'><h3>Predicted over true rate</h3><div id='scatter'></div>"
        "</div><div class='chart'><h3>Agreement (Bland-Altman)</h3><div id='difference'></div></div></div>"
        "<div class='chart tall'><h3>Error by recording</h3><div id='recordings'></div></div>"
        "<p class='about'>A point is a window; near the pointer it says whose. Agreement: bias and the limits that "
        "hold 95 % of the differences, as in the table above. The scale of errors is linear up to 5.</p>"
        "<details><summary>Every recording</summary><div class='scroll'><table class='sort' id='every'><thead><tr>"
        f"{heads}</tr></thead><tbody></tbody></table></div><p id='more' hidden>The first 2000; all are in "
        "per_recording.csv.</p></details>"
    )
    return _section("plots", "Every window", body)


# --- Training -------------------------------------------------------------------------------------------------------


def _curves(folder: Path) -> str:
    """The course of the training, where the run has one."""
    try:
        charts = list(_training(tables.csv_lines(folder / "history.csv")))
    except (OSError, ValueError, KeyError, csv.Error):
        return ""
    return _section("training", "Training", f"<div class='pair'>{''.join(charts)}</div>" if charts else "")


def _training(lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    epochs: dict[int, list[Mapping[str, str]]] = defaultdict(list)
    for line in lines:
        epochs[int(line["epoch"])].append(line)
    names = list(epochs)
    losses = {"training": [_mean(found, "loss") for found in epochs.values()]}
    losses |= {"validation": [_last(found, "validation") for found in epochs.values()]}
    yield curve("Loss", "epoch", names, losses, "Mean of every epoch; broken: validation, where there is one.")
    terms = [name for name in lines[0] if name not in NOT_LOSSES | {"loss"} and "/" not in name] if lines else []
    for name in terms:
        yield curve(words(name), "epoch", names, {name: [_mean(found, name) for found in epochs.values()]}, "")
    rates = [_number(line.get("lr")) for line in lines]
    yield curve("Learning rate", "update", list(range(1, len(rates) + 1)), {"learning rate": rates}, "")


def _folds(folder: Path) -> str:
    """A line per fold, where the run has some; each has a page of its own."""
    try:
        lines = list(csv.reader(io.StringIO(read_text(folder / "folds.csv"), newline="")))
    except (OSError, ValueError, csv.Error):
        return ""
    if len(lines) < 2:
        return ""
    heads = "".join(f"<th scope='col'>{words(name)}</th>" for name in lines[0])
    rows = "".join(f"<tr>{''.join(map(_fold_cell, line))}</tr>" for line in lines[1:])
    return _section(
        "folds",
        "Folds",
        f"<div class='scroll'><table class='sort'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        "<p class='about'>Each fold has a page of its own in the folder named last, beside this one's.</p>",
    )


def _fold_cell(text: str) -> str:
    value = _number(text)
    if not math.isfinite(value):
        return f"<td>{words(text)}</td>"
    return f"<td data-v='{value!r}'>{text if value.is_integer() else f'{value:.2f}'}</td>"


def curve(title: str, unit: str, x: Sequence[float], lines: Mapping[str, Sequence[float]], said: str) -> str:
    """A chart of named courses over `x`; "" where nothing of them is known."""
    known = {name: np.array(values, dtype=float) for name, values in lines.items()}
    known = {name: values for name, values in known.items() if np.isfinite(values).any()}
    if not known or not len(x):
        return ""
    every = np.concatenate([values[np.isfinite(values)] for values in known.values()])
    low, high = float(every.min()), float(every.max())
    room = ROOM * (high - low) or abs(high) * ROOM or 1.0
    first, last = float(x[0]), float(x[-1])
    chart = Chart((first, last) if last > first else (first - 1, last + 1), (low - room, high + room), unit, " ")
    for number, (name, values) in enumerate(known.items()):
        good = np.isfinite(values)
        at = np.asarray(x, dtype=float)[good]
        chart.line(at, values[good], SECOND if number else MAIN, name)
        chart.dots(at, values[good]) if len(at) < 2 else None
    return figure(title, chart.html(f"{title} by {unit}"), said)


def _mean(lines: Sequence[Mapping[str, str]], name: str) -> float:
    """Mean over the samples of an epoch."""
    pairs = [(float(line.get("samples") or 1), _number(line.get(name))) for line in lines]
    pairs = [(weight, value) for weight, value in pairs if math.isfinite(value)]
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else math.nan


def _last(lines: Sequence[Mapping[str, str]], name: str) -> float:
    return next((value for line in reversed(lines) if math.isfinite(value := _number(line.get(name)))), math.nan)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


# --- Where it comes from --------------------------------------------------------------------------------------------


def _origin(folder: Path) -> str:
    """Environment, code, data and configuration."""
    machine = provenance.known(folder / "environment.json")
    data = machine.pop("data", {})
    rows = [(name, value) for name, value in machine.items() if value not in ("", None)]
    rows += [(f"{section}.DATA", f"{one['dataset']}, {one['path']}") for section, one in data.items()]
    rows += _provenance(provenance.known(folder / provenance.PROVENANCE))
    lines = "".join(f"<tr><td>{words(name)}</td><td>{words(value)}</td></tr>" for name, value in rows)
    body = f"<div class='scroll plain'><table><tbody>{lines}</tbody></table></div>" if rows else ""
    try:
        whole = words_of_file(folder / "config.yaml")
        body += f"<details><summary>Configuration: every setting of the run</summary><pre>{whole}</pre></details>"
    except (OSError, ValueError):
        pass
    return _section("origin", "Environment and configuration", body)


def words_of_file(path: Path) -> str:
    """A text file as words of the page, line by line."""
    return "\n".join(words(line) for line in read_text(path).splitlines())


def _provenance(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    code = known.get("code", {})
    if code:
        changed = ", with changes" if code.get("changed") else ""
        commit = f", commit {code['commit'][:12]}{changed}" if code.get("commit") else ""
        yield "code", f"version {code.get('version')}{commit}, sign {code.get('sign')}"
    for section, one in known.get("data", {}).items():
        count = plural(one["split"]["recordings"], "recording")
        people = plural(one["split"]["subjects"], "subject")
        yield (
            f"{section}: split and data",
            f"{count} of {people}, split {one['split']['hash']}, fingerprint {one['fingerprint']}",
        )
    for what, one in known.get("weights", {}).items():
        yield f"weights, {what}", f"{one['path']}, SHA-256 {one['sha256'][:16]}"
