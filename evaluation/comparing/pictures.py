"""The plots of a comparison: errors of each run and person, and which ranks differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import plural
from evaluation import figures
from evaluation.comparing.compare import Comparison
from evaluation.comparing.hypothesis import Ranking

LINES = 60  # people that are drawn as lines from run to run
LINEAR, TICKS = 5.0, [0, 1, 2, 5, 10, 20, 50]  # bpm: scale of the errors up to there; above logarithmic
STEP = 0.42  # inches from one method's line to the next


def errors(path: Path, found: Sequence[Comparison]) -> Path:
    """Mean absolute error of each run with its 95 % interval over people; every person's own as a thin line."""
    widest = max(len(one.runs) for one in found)
    figure = figures.new_figure(max(5.0, 1.5 * widest + 2) * len(found), 4.6, layout="constrained")
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        _errors(axes, one)
    return figures.save(figure, path)


def _errors(axes: Any, one: Comparison) -> None:
    places = np.arange(len(one.runs))
    for person in one.by_person[:LINES]:
        axes.plot(places, person, color="0.75", linewidth=0.8, marker=".", markersize=3, zorder=1)
    for place, run in zip(places, one.runs, strict=True):
        score = one.scores[run.label]["MAE"]
        axes.plot(place, score.value, "o", color="tab:red", zorder=3)
        if np.isfinite(score.low):
            axes.plot([place, place], [score.low, score.high], color="tab:red", zorder=2)
        axes.annotate(f"{score.value:.2f}", (place, score.value), (7, 4), textcoords="offset points", fontsize=8)
    highest = max(one.by_person.max(), *(np.nan_to_num(one.scores[run.label]["MAE"].high) for run in one.runs))
    if highest > LINEAR:  # small errors stay visible beside a rate that was missed altogether
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_ylim(0, 1.25 * highest or 1.0)
    axes.set_xlim(-0.5, len(one.runs) - 0.5)
    axes.set_xticks(places, [_wrapped(run.label) for run in one.runs], fontsize=8)
    axes.set_ylabel("mean absolute error [bpm]")
    axes.grid(axis="y", alpha=0.4)
    more = f", the first {LINES} drawn" if len(one.people) > LINES else ""
    about = f"{plural(len(one.windows), 'window')}, {len(one.people)} people{more}"
    preset = one.runs[0].specification["preset"]
    axes.set_title(
        f"{one.name}: {about}; preset {preset}\nred: all, 95 % interval over people; grey: each person", fontsize=8
    )


def _wrapped(label: str) -> str:
    """A label on several lines, so that neighbours do not meet."""
    return label.replace(", ", ",\n").replace(" (", "\n(")


def critical_difference(path: Path, found: Ranking, blocks: str) -> Path:
    """Demsar's plot: methods on a line of mean ranks; bars join those that do not differ at 5 % by Nemenyi's test."""
    names, ranks = list(found.ranks), np.array(list(found.ranks.values()))
    count, left = len(names), (len(names) + 1) // 2
    bars = found.alike
    figure = figures.new_figure(8, STEP * (left + len(bars)) + 1.5, layout="constrained")
    axes = figure.add_subplot()
    depth = 0.5 + 0.45 * len(bars)
    axes.set(xlim=(count + 0.6, 0.4), ylim=(-depth - 0.8 * (left - 1) - 0.5, 2.0))  # the best on the right
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1.5)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.18], color="black")
        axes.text(rank, 0.3, str(rank), ha="center", va="bottom", fontsize=9)
    _reach(axes, found, count)
    for number, group in enumerate(bars):
        ends = [found.ranks[group[0]] - 0.04, found.ranks[group[-1]] + 0.04]
        axes.plot(ends, [-0.35 - 0.45 * number] * 2, color="tab:red", linewidth=4, solid_capstyle="butt")
    for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        best = place < count - left
        down = depth + (place if best else count - 1 - place) * 0.8
        end = 0.8 if best else count + 0.2
        axes.plot([rank, rank, end], [0, -down, -down], color="black", linewidth=0.8)
        axes.text(end, -down, f" {name} ({rank:.2f}) ", ha="left" if best else "right", va="center", fontsize=8)
    p = f"= {found.p:.3f}" if found.p >= 0.001 else "< 0.001"
    axes.set_title(f"Mean ranks over {found.blocks} {blocks}, 1 is best (Friedman: p {p})", fontsize=9)
    return figures.save(figure, path)


def _reach(axes: Any, found: Ranking, count: int) -> None:
    """The critical difference as a bar above the line, or in words where it is longer than that."""
    words = f"critical difference {found.critical:.2f} (Nemenyi, 5 %)"
    if found.critical > count - 1:
        axes.text((1 + count) / 2, 1.3, f"{words}: more than all ranks", ha="center", fontsize=8)
        return
    axes.plot([count, count - found.critical], [1.2, 1.2], color="tab:red", linewidth=2)
    axes.text(count - found.critical / 2, 1.35, words, ha="center", va="bottom", fontsize=8)
