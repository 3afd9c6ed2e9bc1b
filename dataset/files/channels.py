"""The channels of a file from a contact sensor: tables (.csv, .tsv, .txt), WFDB records (.hea), EDF files (.edf).

What a channel is follows from its name: leads and `ecg` are electrocardiograms; breathing, motion, temperature and
rates have no beats; all else may be a pulse wave.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.edf import read_edf
from dataset.files.wave_table import RATES, UNITS, read_columns
from dataset.files.wfdb import read_record

TABLES = (".csv", ".tsv", ".txt")
SUFFIXES = (*TABLES, ".hea", ".edf")
LEADS = re.compile(r"(.*\b)?(i{1,3}|v[1-6]?|av[rlf]|mlii|mcl1?|[ey]?cg|ekg|ecg.*|.*[ _-]e[ck]g\d*)( \d+)?")
BEATLESS = re.compile(r".*\b(resp|breath|acc|accel|gyr|mag|temp|eda|gsr|sys|dia|cvp|co2|marker|event|x|y|z)\w*.*")


def read_channels(path: Path, fs: float = 0.0, unit: str = "s") -> dict[str, Signal]:
    """The channels of the file at `path` by name, each with a clock.

    `fs` (Hz) of a table without times; `unit` of the times in a column that does not say it. ValueError for a file of
    another kind, without numbers, or without a clock; each message says how to mend it.
    """
    suffix = path.suffix.lower()
    if suffix == ".hea":
        return read_record(path)
    if suffix == ".edf":
        return read_edf(path)
    if suffix not in TABLES:
        raise ValueError(f"'{path}' is no signal: files ending in {', '.join(SUFFIXES)} are read.")
    found = read_columns(path, UNITS[unit])
    return {name: _with_clock(one, fs, path) for name, one in found.items()}


def _with_clock(signal: Signal, fs: float, path: Path) -> Signal:
    """The column with its own times or rate, or `fs` where it has none."""
    if signal.times is not None or signal.fs:
        return signal
    if not fs:
        raise ValueError(
            f"'{path}' has no column of times, so its rate must be told: --fs 100 for 100 samples per second."
        )
    return replace(signal, fs=float(fs))


def is_ecg(name: str) -> bool:
    """Whether a channel of this name is an electrocardiogram."""
    return bool(LEADS.fullmatch(name.strip().lower()))


def has_beats(name: str, signal: Signal) -> bool:
    """Whether a channel may show beats: by its name, and because it is not constant."""
    lower = name.strip().lower()
    if is_ecg(name):
        return True
    values = np.asarray(signal.values, dtype=float)
    return not (BEATLESS.fullmatch(lower) or RATES.fullmatch(lower)) and bool(np.ptp(values[np.isfinite(values)]) > 0)
