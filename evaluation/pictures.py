"""The pictures of a report (PNG): an example wave and its spectrum, errors by recording and method, agreement."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import natural_key, plural, span
from evaluation import figures
from evaluation.bland_altman import draw_difference
from evaluation.console import extent
from evaluation.evaluate import aligned_waves
from evaluation.post_process import next_power_of_2, periodogram
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.summary import Table

SHOWN_SECONDS = 10.0  # of the example wave
NAMED = 40  # recordings that still fit on the axis by name
PANELS = 12  # Bland-Altman panels in one picture


def pick_example(table: Table, results: Sequence[RecordingResult]) -> RecordingResult | None:
    """The recording whose largest error is the median one, neither best nor worst; None without results."""
    if not results:
        return None
    worst: dict[str, float] = {}
    for row in table.valid:
        worst[row.id] = max(worst.get(row.id, 0.0), abs(row.error))
    known = sorted((result for result in results if result.id in worst), key=lambda result: worst[result.id])
    return known[(len(known) - 1) // 2] if known else results[0]


def ids_of(tables: Sequence[Table]) -> list[str]:
    """The recordings that enter a number of any of the tables, in natural order."""
    return sorted({row.id for table in tables for row in table.valid}, key=natural_key)


def about(tables: Sequence[Table]) -> str:
    """What a picture of these tables is of."""
    ids = ids_of(tables)
    return f"{plural(len(ids), 'recording')}, {span(ids)}; {extent(tables[0])}; preset {tables[0].preset.name}"


def _about(axes: Any, tables: Sequence[Table]) -> None:
    """Say above `axes` what they are of; a picture is passed on without the page it stands on."""
    axes.set_title(about(tables), fontsize=8)


def waveform(path: Path, examples: dict[str, RecordingResult], preset: Preset) -> Path:
    """Prediction and reference of one recording per method, 10 s from its middle, with the spectra beside it."""
    figure = figures.new_figure(11, 2.2 * len(examples) + 0.6, layout="constrained")
    axes = figure.subplots(len(examples), 2, squeeze=False, width_ratios=(3, 1))
    for (left, right), (method, result) in zip(axes, examples.items(), strict=True):
        _example(left, right, method, result, preset)
    axes[-1][0].set_xlabel("time [s]")
    axes[-1][1].set_xlabel("rate [bpm]")
    return figures.save(figure, path)


def _example(left: Any, right: Any, method: str, result: RecordingResult, preset: Preset) -> None:
    times, prediction, truth = aligned_waves(result, preset)
    begin = max(0.0, times[-1] / 2 - SHOWN_SECONDS / 2)
    shown = (times >= begin) & (times <= begin + SHOWN_SECONDS)
    fs = (len(times) - 1) / times[-1]
    if truth is not None and np.dot(prediction, truth) < 0:
        prediction = -prediction  # the sign of a camera pulse is arbitrary
    for wave, name, colour in ((truth, "reference", "0.45"), (prediction, method, "tab:red")):
        if wave is None:
            continue
        left.plot(times[shown], wave[shown] / (wave.std() or 1.0), color=colour, label=name)
        freqs, power = periodogram(wave * np.hanning(len(wave)), fs, next_power_of_2(8 * len(wave)))
        inside = (freqs >= preset.band[0]) & (freqs <= preset.band[1])
        right.plot(60 * freqs[inside], power[inside] / (power[inside].max() or 1.0), color=colour)
    left.set_title(f"{method}: {result.id}", fontsize=9)
    left.set_yticks([])
    right.set_yticks([])
    left.legend(fontsize=8, loc="upper right")


def errors(path: Path, tables: Sequence[Table]) -> Path:
    """Error of every window (predicted - true, bpm) over its recording, one colour per method; chance is left out."""
    tables = [table for table in tables if not table.chance]
    names = sorted({row.id for table in tables for row in table.rows}, key=natural_key)
    place = {name: k for k, name in enumerate(names)}
    figure = figures.new_figure(max(6.0, min(16.0, 3 + 0.3 * len(names))), 4.5, layout="constrained")
    axes = figure.add_subplot()
    for k, table in enumerate(tables):
        shift = 0.6 * ((k + 0.5) / len(tables) - 0.5)
        used = table.valid
        axes.plot([place[row.id] + shift for row in used], [row.error for row in used], "o", ms=4, label=table.method)
    axes.axhline(0, color="black", linewidth=1)
    _about(axes, tables)
    axes.set_yscale("symlog", linthresh=5)  # small errors stay visible beside a rate that was missed altogether
    axes.set_yticks([-50, -20, -5, -2, 0, 2, 5, 20, 50], ["-50", "-20", "-5", "-2", "0", "2", "5", "20", "50"])
    axes.set_ylabel("predicted - true rate [bpm]")
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    else:
        axes.set_xlabel("recording, in natural order")
    axes.grid(axis="y", alpha=0.4)
    figure.legend(fontsize=8, ncols=3, loc="outside upper center")  # inside it would hide points
    return figures.save(figure, path)


def scored_by_mae(tables: Sequence[Table]) -> list[Table]:
    """Those with a mean absolute error: METRICS may name others alone."""
    return [table for table in tables if "MAE" in table.scores and math.isfinite(table.scores["MAE"].value)]


def methods(path: Path, tables: Sequence[Table]) -> Path:
    """MAE of every method with its 95 % interval; baselines in grey. Some are `scored_by_mae`."""
    scored = scored_by_mae(tables)
    figure = figures.new_figure(7, 0.4 * len(scored) + 1.2, layout="constrained")
    axes = figure.add_subplot()
    for k, table in enumerate(reversed(scored)):
        score = table.scores["MAE"]
        axes.barh(k, score.value, color="0.7" if table.baseline else "tab:red", height=0.6)
        if math.isfinite(score.low):
            axes.plot([score.low, score.high], [k, k], color="black")
        end = max(score.value, score.high) if math.isfinite(score.high) else score.value
        axes.annotate(f"{score.value:.2f}", (end, k), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.margins(x=0.12)  # room for the number at the longest line
    axes.set_yticks(range(len(scored)), [table.method for table in reversed(scored)], fontsize=8)
    _about(axes, scored)
    axes.set_xlabel("mean absolute error [bpm], line: 95 % interval over subjects")
    return figures.save(figure, path)


def agreement(path: Path, tables: Sequence[Table]) -> Path:
    """Bland-Altman difference plots, one panel per method, on common axes; limits over people, with intervals."""
    shown = [table for table in tables if table.valid and not table.baseline][:PANELS]
    across = min(3, max(1, len(shown)))
    down = max(1, math.ceil(len(shown) / across))
    figure = figures.new_figure(4.2 * across, 3.4 * down, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    figure.suptitle(about(shown), fontsize=9)
    for panel, table in zip(axes, shown, strict=False):
        true, predicted = (np.array([getattr(row, key) for row in table.valid]) for key in ("hr_true", "hr_pred"))
        draw_difference(panel, true, predicted, table.preset.widened, found=table.limits)
        panel.set_title(f"{table.method}: {extent(table)}", fontsize=9)
        panel.set_xlabel("mean of both rates [bpm]", fontsize=8)
        panel.set_ylabel("predicted - true [bpm]", fontsize=8)
        panel.tick_params(labelbottom=True)  # shared axes name their ticks in the last row only, which may be empty
    for panel in axes[len(shown) :]:
        panel.set_visible(False)
    return figures.save(figure, path)
