"""WFDB records with an arterial line (MIMIC, VitalDB exports ...): windows of ECG and PPG, and the pressure in each.

    DATA_PATH/**/<record>.hea    with its signals beside it: an ECG lead, a PPG (PLETH) and a line in mmHg (ABP, ART)

SBP and DBP of a window are the medians over its beats. Windows in which the line is damped, flat, clipped, flushed or
has a gap, or in which ECG or PPG have one, are left out and counted by reason; so are records without one of the
CHANNELS. Targets: sbp, dbp, mbp (mmHg), hr (bpm, of the line). A subject is a folder like p000020 in the path, else the
first folder below DATA_PATH, else the record.

Data banks of the ward change the delay between channels by up to half a second (MIMIC-III): no pulse arrival time of
them without a look at the doctor's check of it.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Signal
from dataset.files.lookup import below, listed
from dataset.files.names import natural_key, plural
from dataset.files.tables import require_root, require_some
from dataset.files.wfdb import read_header, read_record
from dataset.files.windows import Windows, arrange
from dataset.pressure import refusal
from dataset.progress import show_progress
from dataset.signal_quality import longest_flat
from registry import DATASETS
from settings.checks import above, at_least

PERSON = re.compile(r"p\d{5,8}")
NAMES = {  # channel -> names it has in records, the likeliest first
    "ecg": ("ii", "mlii", "ecg", "ecg ii", "ecg_ii", "i", "v", "v5", "iii", "avf", "mcl1", "ecg1"),
    "ppg": ("pleth", "ppg", "pleth l", "plethl", "spo2 pleth", "pleth t"),
    "abp": ("abp", "art", "ibp", "bp", "art1", "ao"),
}
LONGEST_GAP, FLAT = 0.1, 1.0  # s that are bridged; s without any change that are none of a heart


class Stored:
    """Windows (n, C, L) in memory."""

    def __init__(self, values: np.ndarray):
        """Keep them."""
        self.values, self.length = values, values.shape[2]

    def __len__(self) -> int:
        """Windows."""
        return len(self.values)

    def read(self, number: int, rows: list[int]) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), L) float32, a copy."""
        return self.values[number][list(rows)]


@DATASETS.register("WFDB-ABP")
class WFDBPressureLoader(BaseLoader):
    """Windows of SECONDS at RATE, of the CHANNELS ecg, ppg and abp that are asked for."""

    has_video, windows = False, True
    signals = ()
    OPTIONS = {"SECONDS": 10.0, "STRIDE_SECONDS": 0.0, "RATE": 125.0, "CHANNELS": ["ecg", "ppg"], "LEAD": ""}
    CHECKS = {"SECONDS": at_least(2), "STRIDE_SECONDS": at_least(0), "RATE": above(0)}

    def read_windows(self, root: Path) -> Windows:
        """The windows of all records; ValueError where none can be used, with the reasons."""
        asked = {key: self.options.get(key, default) for key, default in self.OPTIONS.items()}
        unknown = [name for name in asked["CHANNELS"] if name not in NAMES]
        if unknown or not asked["CHANNELS"]:
            raise ValueError(f"CHANNELS is {asked['CHANNELS']}; known: {', '.join(NAMES)}.")
        values = (tuple(value) if isinstance(value, list) else value for value in asked.values())
        root = require_root(root, "WFDB-ABP")
        return _windows(root, tuple(zip(asked, values, strict=True)), os.stat(root).st_mtime_ns)


def records(root: Path) -> list[Path]:
    """The headers below `root`, without those that are segments of another one."""
    found = sorted(below(root, "*.hea"), key=lambda path: natural_key(str(path)))
    segments = set()
    for path in found:
        try:
            segments |= {path.with_name(f"{name}.hea") for name, _ in read_header(path).segments}
        except (ValueError, OSError):
            continue  # said when it is read
    return require_some([path for path in found if path not in segments], root, "WFDB-ABP", "<record>.hea")


@lru_cache(maxsize=4)
def _windows(root: Path, options: tuple[tuple[str, Any], ...], changed: int) -> Windows:
    asked, left_out = dict(options), Counter()
    columns: dict[str, list[Any]] = {name: [] for name in ("recording", "subject", "sbp", "dbp", "mbp", "hr", "start")}
    arrays: list[np.ndarray] = []
    for path in show_progress(records(root), f"Reading '{root.name}'", unit="records", keep=False):
        try:
            channels = _channels(read_record(path), asked)
        except (ValueError, OSError) as error:
            print(f"Left out: {error}" if str(path) in str(error) else f"Left out: '{path}': {error}")
            left_out["in records that cannot be read or lack a channel"] += 1
            continue
        for start, values, targets in _cut(channels, asked, left_out):
            name = str(path.relative_to(root).with_suffix("")).replace(os.sep, "_")
            row = {"recording": name, "subject": _subject(path, root), "start": start, **targets}
            for column, value in row.items():
                columns[column].append(value)
            arrays.append(values)
    _tell(len(arrays), left_out)
    if not arrays:
        raise ValueError(f"'{root}' has no window that can be used: {_counted(left_out)}.")
    table = {name: values if isinstance(values[0], str) else np.array(values) for name, values in columns.items()}
    return arrange(Stored(np.stack(arrays)), table, asked["CHANNELS"], asked["RATE"], root, root)


@dataclass(frozen=True)
class Channel:
    """A signal from the start of its record on, NaN in its gaps: as recorded at `own` Hz, and `values` at RATE."""

    recorded: np.ndarray
    own: float
    values: np.ndarray

    def seen(self, start: float, seconds: float) -> np.ndarray:
        """What was recorded from `start` (s) on: what is clipped or flat shows there alone, filters round it off."""
        return self.recorded[round(start * self.own) : round((start + seconds) * self.own)]


def _channels(found: dict[str, Signal], asked: dict[str, Any]) -> dict[str, Channel]:
    """The channels that are asked for, and the arterial line; ValueError for one that lacks."""
    channels = {}
    for name in dict.fromkeys((*asked["CHANNELS"], "abp")):
        wanted = (asked["LEAD"].lower(),) if name == "ecg" and asked["LEAD"] else NAMES[name]
        own = {known.strip().lower(): known for known in reversed(found)}
        called = next((own[one] for one in wanted if one in own), None)
        if called is None:
            raise ValueError(f"it has no {name}, only {listed(list(found))}.")
        if name == "abp" and found[called].unit.lower() != "mmhg":
            raise ValueError(f"its arterial line {called!r} is in {found[called].unit!r} and not in mmHg.")
        channels[name] = on_grid(found[called], float(asked["RATE"]))
    return channels


def on_grid(signal: Signal, rate: float) -> Channel:
    """Samples of `signal` as recorded and at `rate` (Hz) from 0 s on, NaN where more than 0.1 s of it is missing."""
    from dataset.clips.resampling import Grid, change_rate  # here: its filters take a while to import

    values = np.asarray(signal.values, dtype=float)
    own = float(signal.fs or round(1 / np.median(np.diff(signal.times)), 6))
    places = np.arange(len(values)) if signal.times is None else np.rint(np.asarray(signal.times) * own).astype(int)
    grid = Grid(None, own, int(places[-1]) + 1).to(rate)
    whole = np.interp(np.arange(grid.samples), places, values)
    recorded = np.full(grid.samples, np.nan)
    recorded[places] = values
    changed = change_rate(whole, grid.up, grid.down).astype(float)
    bounds = np.concatenate([[-1], places, [grid.samples]])
    for before, after in zip(bounds[:-1], bounds[1:], strict=True):
        if after - before - 1 > LONGEST_GAP * own:
            first, stop = (int(np.ceil(place / own * rate - 1e-6)) for place in (before + 1, after))
            changed[first:stop] = np.nan
    return Channel(recorded, own, changed)


def _cut(
    channels: dict[str, Channel], asked: dict[str, Any], left_out: Counter[str]
) -> Iterator[tuple[float, np.ndarray, dict[str, float]]]:
    """Start (s), values (C, L) float32 and targets of each window that can be used."""
    rate = float(asked["RATE"])
    length = round(asked["SECONDS"] * rate)
    stride = round(asked["STRIDE_SECONDS"] * rate) or length
    line = channels["abp"]
    for first in range(0, min(len(one.values) for one in channels.values()) - length + 1, stride):
        parts = {name: one.values[first : first + length] for name, one in channels.items()}
        seen = {name: one.seen(first / rate, length / rate) for name, one in channels.items()}
        problem, beats = refusal(seen["abp"], line.own)
        for name in asked["CHANNELS"]:
            problem = problem or _unfit(name, parts[name], seen[name], channels[name].own)
        if problem:
            left_out[problem] += 1
            continue
        targets = {name: float(np.median(getattr(beats, name))) for name in ("sbp", "dbp", "mbp")}
        targets["hr"] = 60 / float(np.median(beats.periods))
        yield first / rate, np.stack([parts[name] for name in asked["CHANNELS"]]).astype(np.float32), targets


def _unfit(name: str, values: np.ndarray, seen: np.ndarray, own: float) -> str:
    if not np.isfinite(values).all():
        return f"a gap in the {name}"
    return f"a flat {name}" if longest_flat(seen, own) >= FLAT else ""


def _subject(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts
    person = next((part for part in reversed(parts[:-1]) if PERSON.fullmatch(part)), None)
    return person or (parts[0] if len(parts) > 1 else path.stem)


def _tell(used: int, left_out: Counter[str]) -> None:
    if left_out:
        print(f"{plural(used, 'window')} used; left out: {_counted(left_out)}.")


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.most_common()) or "nothing"
