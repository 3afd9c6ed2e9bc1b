"""Answers for recordings of contact sensors, where there are no methods to compare: screen, files, picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import escaped
from evaluation import figures, tables
from evaluation.consensus import Answer
from evaluation.vitals import answer_content, answer_lines, in_words
from evaluation.vitals_files import PAGE, say_page, write_page

DRAWN = 6  # recordings in the picture
COLUMNS = ("recording", "time_s", "interval_ms", "alike")
_BESIDE = "Each beat is in beats.csv, the answers are in vitals.json."
_EXPLAINED = (
    "Rate: of windows of 10 s, a second apart; in brackets the middle 90 % of them. Confidence, from 0 to 1: for a "
    "pulse wave the share of the band's power at the rate and its double; for an ECG the share of the time between "
    "beats that look alike. Breaths and RMSSD come from the intervals between clean beats, where at least half of the "
    "recording has them. `vitals.json` holds all of it, `beats.csv` each beat and how much it looks like the others "
    "(1: fully).\n\nResearch software, not a medical device.\n"
)


def publish_answers(folder: Path, title: str, answers: Sequence[Answer], failed: Sequence[tuple[str, str]]) -> Path:
    """Print and write what is known of each recording; `failed`: (id, reason). Returns the path of report.md."""
    said = answer_lines(answers, (), failed)
    content = {
        "recordings": [answer_content(one) for one in answers],
        "failed": [{"recording": name, "reason": reason} for name, reason in failed],
    }
    tables.write_text(folder / "vitals.json", tables.json_text(content))
    tables.write_text(folder / "beats.csv", tables.csv_text(COLUMNS, beat_rows(answers)))
    shown, drawn = [one for one in answers if one.beats is not None and len(one.beats.times) > 1], ""
    if shown and figures.attempt("beats.png", picture, folder / "beats.png", shown[:DRAWN]):
        more = f" of the first {DRAWN} of {len(shown)} recordings" if len(shown) > DRAWN else ""
        drawn = f"\n![Rate by the intervals between beats{more}](beats.png)\n"
    if write_page(folder, title, answers, {}, dict(failed), in_words, _BESIDE):
        drawn += f"\nThe answers as a page to look at: [{PAGE}]({PAGE}).\n"
    text = f"# {escaped(title)}\n\n```\n{said}\n```\n{drawn}\n{_EXPLAINED}"
    report = tables.write_text(folder / "report.md", text)
    print(said)
    say_page(folder)
    print(f"Report: {report}")
    return report


def beat_rows(answers: Sequence[Answer]) -> Iterator[dict[str, Any]]:
    """A line per beat: when it came, how long after the one before, and its likeness to the others."""
    for one in answers:
        if one.beats is None:
            continue
        intervals = np.diff(one.beats.times, prepend=np.nan)
        for time, interval, alike in zip(one.beats.times, intervals, one.beats.alike, strict=True):
            yield {"recording": one.id, "time_s": time, "interval_ms": 1e3 * interval, "alike": alike}


def picture(path: Path, answers: Sequence[Answer]) -> Path:
    """The rate by each interval and its course, a row per recording; beats that are not clean are grey."""
    figure = figures.new_figure(10, 1.9 * len(answers) + 0.6, layout="constrained")
    for axes, one in zip(figure.subplots(len(answers), squeeze=False)[:, 0], answers, strict=True):
        times, rates = one.beats.times[1:], 60.0 / np.diff(one.beats.times)
        clean = one.beats.clean[1:] & one.beats.clean[:-1]
        axes.plot(times[~clean], rates[~clean], ".", color="0.75", label="interval beside a beat unlike the others")
        axes.plot(times[clean], rates[clean], ".", color="tab:blue", label="interval between clean beats")
        axes.plot(one.course.times, one.course.rates, color="tab:red", label="rate of 10 s")
        low, high = np.percentile(one.course.rates, (0, 100))
        axes.set_ylim(max(0, low - 25), high + 25)
        axes.set_title(f"{escaped(one.id)} ({one.region})", fontsize=9)
        axes.set_ylabel("rate [bpm]")
        axes.grid(axis="y", alpha=0.4)
    axes.set_xlabel("time [s]")
    figure.legend(*axes.get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside upper center")
    return figures.save(figure, path)
