"""Rates: one heart rate (bpm) a clip, judged by the rate of the recording's own pulse in the same span of time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dataset.clips.references import pulse_reference
from evaluation import bland_altman, console, report
from evaluation.baselines import shuffled
from evaluation.evaluate import reference_rate, too_short
from evaluation.kinds.base import Head, Kind, Names, Predicted
from evaluation.kinds.wave import draw_agreement, lost_of, rate_content, rate_files, wave_result
from evaluation.metrics import OF_RATES, USUAL
from evaluation.presets import Preset
from evaluation.results import UNLABELLED, RecordingResult, Row, frame_times, reference_wave
from evaluation.summary import Table, constant_mean, pooled, table
from registry import KINDS

QUANTITY = bland_altman.Quantity(prediction="predicted HR")


@KINDS.register("rate")
class Rate(Kind):
    """A number in beats per minute, shape () or (1,), for each clip; the truth is that of the preset `exact`.

    A clip must be as long as that preset asks for; shorter ones are named and left out.
    """

    per = "clip"
    label = None

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[Row]:
        """A row per clip; none at all when no recording has a pulse signal."""
        found = [row for one in recordings for row in _rows_of(one, head)]
        return found if any(row.note not in UNLABELLED for row in found) else []

    def metrics(self, rows: Sequence[Row], head: Head) -> list[Table]:
        """A table of the clips, and those of the constant mean and of shuffled labels."""
        how = head.settings
        names = [name for name in how.metrics if name in OF_RATES] or list(USUAL)
        own = replace(table(head.method, list(rows), how.exact, "", None, names), estimator="one rate per clip")
        return [own, constant_mean(own, head.constant), shuffled(own)]

    def merge(self, parts: Sequence[list[Table]], head: Head) -> list[Table]:
        """One table over the rows of all."""
        own, constant, _ = (pooled(same) for same in zip(*parts, strict=True))
        return [own, constant, shuffled(own)]

    def training(self, entries: Iterable[Any], head: Head) -> float | None:
        """The mean rate (bpm) of the recordings that are trained on."""
        from evaluation.kinds.pulse import mean_rate

        return mean_rate(entries, head.settings)

    def lines(self, found: list[Table], head: Head) -> list[str]:
        """A line per metric."""
        one = found[0]
        scores = [f"{name} ({head.name}): {console.said(name, score)}" for name, score in one.scores.items()]
        size = f"{head.name}: one rate per clip, n = {console.plural(len(one.valid), 'clip')}"
        return [size, *scores, *console.excluded_lines(one)]

    def section(self, found: list[Table], head: Head) -> report.Section:
        """The table with the constant mean, and CSV files of recordings and clips."""
        one, how = found[0], head.settings.exact
        text = ["No clip has both a predicted and a true rate: no errors. The rates are in the CSV files."]
        if one.valid:
            text = [
                f"One rate per clip, against the rate of the recording's own pulse in the same span of time (preset "
                f"`{how.name}`, band {how.band[0]:g}-{how.band[1]:g} Hz).",
                report.comparison(found, list(one.scores)), "Each subject counting once:",
                report.by_subject(found, list(one.scores)),
            ]  # fmt: skip
        content = rate_content(found, head.kind)
        return report.Section(head.name, content, [f"## {head.name}", *text], rate_files(found[:1], head.name))

    def agreement(self, found: list[Table], head: Head, names: Names) -> None:
        """Bland-Altman plots of the clips' rates."""
        draw_agreement({f"{names.id}_{head.name}": found[0]}, head, names, QUANTITY)

    def summary(self, found: list[Table]) -> dict[str, Any]:
        """The scores."""
        return {name: score.value for name, score in found[0].scores.items()} | {"n": len(found[0].valid)}

    def lost(self, found: list[Table]) -> tuple[set[str], dict[str, str]]:
        """As the report counts them."""
        return lost_of(found[:1])


def _rows_of(one: Predicted, head: Head) -> list[Row]:
    """A row per clip of a recording."""
    clips = [
        Row(one.id, one.subject, number, 0.0, hr_pred=float(np.ravel(parts[head.name])[0]), info=one.info)
        for number, parts in one.ordered
    ]
    reference = None if one.entry is None else pulse_reference(one.entry.signals)
    if reference is None:
        return [replace(row, note=UNLABELLED[1]) for row in clips]
    whole = _whole(one, reference)
    clock, wave = frame_times(whole), reference_wave(whole)
    return [_judged(row, clock[one.reading.part(row.window)], wave, head.settings.exact, clock[0]) for row in clips]


def _whole(one: Predicted, reference: Any) -> RecordingResult:
    """The recording from its first frame to its last: only its clock and its reference are used."""
    last = one.reading.part(max(one.clips)).stop
    count = one.count if one.count is not None else last
    return wave_result(replace(one, clips={0: {"span": np.zeros(count or 0)}}), "span", reference)


def _judged(
    row: Row, times: np.ndarray, wave: tuple[np.ndarray, np.ndarray], exact: Preset, start: float
) -> Row:  # fmt: skip
    """`row` with the rate of `wave` (times in s, values) in the span of the clip's frames at `times` (s)."""
    if len(times) < 2:
        return replace(row, note="a clip of one frame tells no rate")
    span = float(times[-1] - times[0])
    step = span / (len(times) - 1)
    row = replace(row, start_s=float(times[0] - start), seconds=span + step)
    if row.seconds < exact.min_seconds:
        return replace(row, note=too_short(row.seconds, exact))
    inside = (wave[0] >= times[0] - step / 2) & (wave[0] <= times[-1] + step / 2)
    rate, problem = reference_rate(wave[0][inside], wave[1][inside], span, exact, "FFT")
    if problem or not math.isfinite(rate):
        return replace(row, note=f"the reference {problem or 'has no rate'}")
    return replace(row, hr_true=rate) if math.isfinite(row.hr_pred) else replace(row, note="the prediction is NaN")
