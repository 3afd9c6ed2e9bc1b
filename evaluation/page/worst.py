"""The recordings with the largest errors, as one looks at them: face, wave, spectrum, spectrogram, findings."""

import base64
import contextlib
import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import natural_key
from dataset.store.disk import CacheError
from evaluation.charts import Chart, figure, heat, held
from evaluation.evaluate import aligned_waves
from evaluation.page.scores import words
from evaluation.path import STRIDE, Spectra, spectra
from evaluation.post_process import next_power_of_2, periodogram
from evaluation.presets import Preset
from evaluation.results import RecordingResult, Row
from evaluation.summary import Table
from evaluation.tables import csv_lines

WORST = 6  # recordings that are shown
SECONDS = 20.0  # of the wave that is shown, from the middle
SMALL = 96  # pixels: width of a face


@dataclass(frozen=True)
class Worst:
    """One recording: its windows under `preset` by `method`, the wave they came from, and pictures of its face."""

    method: str
    preset: Preset
    rows: tuple[Row, ...]
    result: RecordingResult
    photos: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    @property
    def error(self) -> float:
        """The largest absolute error of its windows, in the unit of the rate."""
        return max(abs(row.error) for row in self.rows)


def pick(
    tables: Sequence[Table],
    results: Mapping[str, Sequence[RecordingResult]],
    entry_of: Callable[[str], Any] = lambda _: None,
    most: int = WORST,
) -> tuple[Worst, ...]:
    """The recordings with the largest errors of the best of `tables` (one preset), the largest first.

    `results`: method -> what it found of each recording. `entry_of` gives a recording of the cache, or None.
    """
    tables = [one for one in tables if one.valid and one.method in results]
    if not tables:
        return ()
    table = min(tables, key=lambda one: sum(abs(row.error) for row in one.valid) / len(one.valid))
    rows: dict[str, list[Row]] = {}
    for row in table.valid:
        rows.setdefault(row.id, []).append(row)
    found = {one.id: one for one in results[table.method] if one.id in rows}
    ids = sorted(found, key=lambda name: (-max(abs(row.error) for row in rows[name]), natural_key(name)))
    return tuple(
        Worst(table.method, table.preset, tuple(rows[name]), found[name], faces(entry_of, name)) for name in ids[:most]
    )


def of_all(parts: Sequence[Sequence[Worst]], most: int = WORST) -> tuple[Worst, ...]:
    """The worst of several tests."""
    every = [one for part in parts for one in part]
    return tuple(sorted(every, key=lambda one: (-one.error, natural_key(one.result.id)))[:most])


def faces(entry_of: Callable[[str], Any], name: str) -> tuple[tuple[str, bytes], ...]:
    """The stored face at start, middle and end; () of a recording without, or one that cannot be read."""
    with contextlib.suppress(CacheError, OSError, ValueError):
        entry = entry_of(name)
        stored = None if entry is None else entry.faces
        if stored is not None and len(stored):
            places = {"start": 0, "middle": len(stored) // 2, "end": len(stored) - 1}
            return tuple((what, _jpeg(stored[number])) for what, number in places.items())
    return ()


def _jpeg(rgb: np.ndarray) -> bytes:
    import cv2

    size = (SMALL, max(1, round(SMALL * rgb.shape[0] / rgb.shape[1])))
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1].tobytes()


# --- As HTML --------------------------------------------------------------------------------------------------------


def section(found: Sequence[Worst], folder: Path) -> str:
    """The part of the page; `folder` is that of the run, where the doctor's findings may lie. "" without any."""
    if not found:
        return ""
    noted = findings(folder)
    hint = "" if noted else " <code>--doctor</code> with the same settings says what is wrong with recordings."
    head = f"By {words(found[0].method)}, {words(found[0].preset.name)}: the largest error of a window decides.{hint}"
    parts = "".join(_recording(one, noted.get(one.result.id, "")) for one in found)
    return f"<section id='worst'><h2>Worst recordings</h2><p class='about'>{head}</p>{parts}</section>"


def findings(folder: Path) -> dict[str, str]:
    """What the doctor says of each recording, where doctor.csv lies in the folder of the run; else {}."""
    try:
        rows = csv_lines(folder / "doctor.csv")
    except (OSError, ValueError, csv.Error):
        return {}
    return {row["recording"]: row.get("findings") or "nothing found" for row in rows if row.get("recording")}


def _recording(one: Worst, noted: str) -> str:
    result, unit = one.result, one.preset.unit
    about = "".join(f", {words(key)} {words(value)}" for key, value in result.info.items() if _plain(value))
    subject = f", subject {words(result.subject)}" if result.subject != result.id else ""
    rates = "; ".join(f"true {row.hr_true:.1f}, predicted {row.hr_pred:.1f} {unit}" for row in one.rows[:4])
    rates += f"; and {len(one.rows) - 4} windows more" if len(one.rows) > 4 else ""
    doctor = f"<p class='note'>Doctor: {words(noted)}</p>" if noted else ""
    return (
        f"<div class='worst'><h3>{words(result.id)}: off by {one.error:.1f} {unit}</h3>"
        f"<p>{rates}<span class='about'>{subject}{about}</span></p>{doctor}{_photos(one)}{_charts(one)}</div>"
    )


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and len(str(value)) < 40


def _photos(one: Worst) -> str:
    tags = "".join(
        f"<figure><img alt='{what}' src='data:image/jpeg;base64,{base64.b64encode(content).decode()}'>"
        f"<figcaption>{what}</figcaption></figure>"
        for what, content in one.photos
    )
    return f"<div class='photos'>{tags}</div>" if tags else ""


def _charts(one: Worst) -> str:
    times, wave, truth = aligned_waves(one.result, one.preset)
    if len(times) < 2 or not np.isfinite(wave).all():
        return ""
    if truth is not None and np.dot(wave, truth) < 0:
        wave = -wave  # the sign of a camera's pulse is arbitrary
    fs = (len(times) - 1) / float(times[-1])
    seen = spectra(wave, fs, one.preset.band)
    return (
        _wave(times, wave, truth)
        + f"<div class='pair'>{_spectrum(one, wave, truth, fs)}{_spectrogram(one, seen)}</div>"
    )


def _wave(times: np.ndarray, wave: np.ndarray, truth: np.ndarray | None) -> str:
    begin = max(0.0, float(times[-1]) / 2 - SECONDS / 2)
    inside = (times >= begin) & (times <= begin + SECONDS)
    waves = {"predicted": ("line", wave), "reference": ("line reference", truth)}
    scaled = {n: (kind, w[inside] / (w.std() or 1.0)) for n, (kind, w) in waves.items() if w is not None}
    edge = 1.1 * max(float(np.abs(w).max()) for _, w in scaled.values()) or 1.0
    chart = Chart((float(times[inside][0]), float(times[inside][-1])), (-edge, edge), "time [s]", "")
    for name, (kind, values) in reversed(scaled.items()):
        chart.line(times[inside], values, kind, name)
    said = "Predicted wave, filtered" + ("." if truth is None else "; grey: the reference, filtered in the same way.")
    return figure("Wave", chart.html("predicted and reference wave"), said, " style='min-width:36em'")


def _spectrum(one: Worst, wave: np.ndarray, truth: np.ndarray | None, fs: float) -> str:
    low, high = (60 * edge for edge in one.preset.band)
    chart = Chart((low, high), (0.0, 1.05), one.preset.unit, "")
    for name, values, kind in (("reference", truth, "line reference"), ("predicted", wave, "line")):
        if values is not None:
            freqs, power = periodogram(values * np.hanning(len(values)), fs, next_power_of_2(8 * len(values)))
            inside = (60 * freqs >= low) & (60 * freqs <= high)
            chart.line(60 * freqs[inside], power[inside] / (power[inside].max() or 1.0), kind, name)
    chart.marks(np.array([row.hr_true for row in one.rows if low <= row.hr_true <= high]))
    return figure("Spectrum", chart.html("spectra of both waves"), "Of the whole recording. Upright: the true rate.")


def _spectrogram(one: Worst, seen: Spectra) -> str:
    half = STRIDE / 2 if len(seen.times) > 1 else seen.window / 2
    times = np.concatenate([[seen.times[0] - half], seen.times, [seen.times[-1] + half]])
    chart = Chart((float(times[0]), float(times[-1])), (float(seen.rates[0]), float(seen.rates[-1])), "time [s]", "bpm")
    chart.picture(heat(seen.power))
    true = held([_rate_at(one.rows, at, "hr_true") for at in seen.times])
    found = held([_rate_at(one.rows, at, "hr_pred") for at in seen.times])
    for values, kind, name in ((true, "path", "true"), (found, "path second", "predicted")):
        if np.isfinite(values).all():
            chart.line(times, values, "path under")
            chart.line(times, values, kind, name)
    said = "Brighter: more of the predicted wave beats at that rate. White: the true rate; broken: the predicted one."
    return figure("Spectrogram", chart.html("spectrogram of the predicted wave"), said)


def _rate_at(rows: Sequence[Row], at: float, which: str) -> float:
    """The rate of the window around `at` (s), or of the nearest."""
    row = min(rows, key=lambda row: abs(row.start_s + (row.seconds if math.isfinite(row.seconds) else 0) / 2 - at))
    return float(getattr(row, which))
