"""One recording of contact sensors, or its windows, examined: every check, the labels, and a picture of the waves."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dataset.data_loader.base import Recording, Signal
from dataset.doctor import sensors
from dataset.doctor.examine import Report, lost
from dataset.doctor.finding import GRADES, Finding
from dataset.files.names import plural
from dataset.files.windows import Windows
from dataset.store.cache import Cache
from evaluation import figures

MOST_WINDOWS = 12  # of a recording that are looked at, spread over it
SHOWN = 8.0  # s of a wave in the picture
HALF = 0.5  # of the windows that are bad: so is the recording
MARKS = {"ecg": "tab:red", "ppg": "tab:blue", "abp": "tab:green"}


@dataclass(frozen=True)
class SensorJob:
    """What a worker needs. The `cache` entry of the recording, or `rows` of `windows`; `drawn`: with a picture."""

    section: str
    recording: Recording
    cache: Cache | None = None
    windows: Windows | None = None
    rows: tuple[int, ...] = ()
    drawn: bool = True
    pieces: tuple[tuple[dict[str, Signal], dict[str, float]], ...] = field(default=(), repr=False)

    def loaded(self) -> "SensorJob":
        """The same with the windows read: a table of millions is not to travel to another process."""
        if self.windows is None:
            return self
        return replace(self, windows=None, pieces=tuple(_windows(self.windows, self.rows)))


def jobs_of(section: str, windows: Windows, recordings: Sequence[Recording], drawn: int) -> Iterator[SensorJob]:
    """A job for each recording of `windows`; the first `drawn` with a picture."""
    order = np.argsort(windows.of, kind="stable")
    bounds = np.searchsorted(windows.of[order], np.arange(len(windows.recordings) + 1))
    numbers = {name: number for number, name in enumerate(windows.recordings)}
    for count, recording in enumerate(recordings):
        number = numbers[recording.id]
        rows = order[bounds[number] : bounds[number + 1]]
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_WINDOWS)).astype(int)]
        yield SensorJob(section, recording, windows=windows, rows=tuple(map(int, chosen)), drawn=count < drawn)


def _windows(windows: Windows, rows: Sequence[int]) -> Iterator[tuple[dict[str, Signal], dict[str, float]]]:
    for row in rows:
        if row in windows.unfit:
            continue
        values = windows.read(row, range(len(windows.channels)))
        units = {"abp": "mmHg"}
        signals = {
            name: Signal(wave, fs=windows.fs, unit=units.get(name, "a.u."))
            for name, wave in zip(windows.channels, values, strict=True)
        }
        yield signals, {name: float(column[row]) for name, column in windows.targets.items()}


def examine_sensors(job: SensorJob) -> Report:
    """Examine one recording; a fault of it becomes its report, one of the code raises ProgramFault."""
    name = (job.section, job.recording.id, job.recording.subject)
    try:
        pieces = job.pieces or _entry(job)
        found = merged([sensors.examine(signals, targets) for signals, targets in pieces])
        if not found:
            signals = ", ".join(pieces[0][0]) or "no signal"
            return Report(*name, error=f"it has {signals}, and neither ECG, PPG nor arterial pressure")
        plot = figures.attempt(f"plot of {job.recording.id}", draw, pieces[0][0]) if job.drawn else None
        return Report(*name, found, plot=plot or b"")
    except Exception as error:  # any fault of one recording must leave the others alone
        return lost(name, error)


def _entry(job: SensorJob) -> tuple[tuple[dict[str, Signal], dict[str, float]], ...]:
    if job.cache is None:
        raise ValueError("none of its windows can be used")
    entry = job.cache.verified(job.recording.id)
    return ((dict(entry.signals), dict(entry.targets)),)


def merged(found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """The findings of several windows as those of their recording: bad where more than half of them are."""
    if len(found) == 1:
        return list(found[0])
    by_check: dict[str, list[Finding]] = {}
    for findings in found:
        for one in findings:
            by_check.setdefault(one.check, []).append(one)
    return [_of_windows(same) for same in by_check.values()]


def _of_windows(same: Sequence[Finding]) -> Finding:
    rank = {"": -1, **{grade: number for number, grade in enumerate(GRADES)}}
    worst = max(same, key=lambda one: rank[one.grade])
    odd = sum(one.grade in ("look", "bad") for one in same)
    if not odd:
        return worst
    bad = sum(one.grade == "bad" for one in same)
    level = "bad" if bad > HALF * len(same) else "look"
    text = f"In {odd} of {plural(len(same), 'window')}: {worst.text}"
    return replace(worst, grade=level, text=text)


def draw(signals: Mapping[str, Signal]) -> bytes:
    """A PNG file: eight seconds of each wave with its beats, one above the other on one clock."""
    found = sensors.sensors_of(signals)
    figure = figures.new_figure(9.0, 0.4 + 1.2 * len(found))
    panels: Any = figure.subplots(len(found), 1, sharex=True, squeeze=False, gridspec_kw={"hspace": 0.55})[:, 0]
    middle = min((one.start + len(one.values) / one.fs) for one in found) / 2
    for panel, one in zip(panels, found, strict=True):
        times = one.start + np.arange(len(one.values)) / one.fs
        begin = max(one.start, middle - SHOWN / 2)
        shown = (times >= begin) & (times <= begin + SHOWN)
        panel.plot(times[shown], one.values[shown], color="0.25", linewidth=0.8)
        beats = one.start + one.beats
        for beat in beats[(beats >= begin) & (beats <= begin + SHOWN)]:
            panel.axvline(beat, color=MARKS[one.kind], linewidth=0.7)
        what = {"ecg": "R peaks", "ppg": "steepest rises", "abp": "feet"}[one.kind]
        panel.set_title(f"{one.name} [{one.unit}], {one.fs:g} Hz, {what}", fontsize=7, loc="left")
        panel.tick_params(labelsize=6)
    panels[-1].set_xlabel("time [s]", fontsize=6)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=90, metadata={"Software": None})
    return content.getvalue()
