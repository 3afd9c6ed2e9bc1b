"""Tables of waves that people have: CSV files of any tool, with or without a heading, and those of an Empatica E4.

    time,ppg                   times in seconds, in either order; further columns are left alone
    time_ms,bvp                the unit of the time stands in its name: s, ms, us, ns, min
    ppg                        one column: spread evenly over the video
    time,ppg,hr                `hr`, `bpm` and the like are rates: a signal of their own and never the wave
    1544027337.0 / 64.0 / ...  Empatica E4: start (s since 1970), rate (Hz), then the samples

Without a heading the first of two columns is the time.
"""

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.names import is_number
from dataset.files.reading import iter_lines, told
from dataset.files.tables import require_few

MEND = "Mend it or take it away."
TIMES = ("time", "times", "t", "timestamp", "timestamps", "seconds", "second", "clock", "elapsed")
NUMBERS = ("", "index", "frame", "frames", "sample", "samples", "no", "nr", "number", "id", "unnamed: 0")  # of the rows
WAVES = ("ppg", "bvp", "pulse", "wave", "waveform", "pleth", "signal", "value", "values")  # the likelier ones first
RATES = re.compile(r"(?:hr|bpm|(?:heart|pulse)[ _-]?rate|heartrate|pulserate|rate|rr|spo2)(?:\W.*|_\w*)?")
UNITS = {  # as the end of a column's name -> seconds
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "\u00b5s", "\u03bcs", "usec", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
NAME_AND_UNIT = re.compile(r"(?P<name>.*?)[ _.\-]*[(\[]?(?P<unit>[a-z\u00b5\u03bc]+)[)\]]?")
E4_START = (1e9, 4e9)  # s since 1970: 2001 to 2096
MANY = 20  # columns: a table that is wider than long lies on its side


def read_labels(path: Path) -> dict[str, Signal]:
    """`ppg`, the wave, and `hr` (bpm), as far as there are such columns; ValueError for a file with neither."""
    header, table = _read(path)
    if not header:
        return {"ppg": _unnamed(table, path)}
    time, scale = _time_column(header)
    times = None if time is None else table[:, time] * scale
    signals = {}
    wave = _wave_column(header, time, path)
    if wave is not None:
        signals["ppg"] = Signal(table[:, wave], times=times)
    rate = next((k for k, name in enumerate(header) if _is_heart_rate(name)), None)
    if rate is not None:
        signals["hr"] = Signal(table[:, rate], times=times, unit="bpm")
    if not signals:
        raise ValueError(
            f"'{path}' has no column of a wave: {', '.join(header)}. Call it `ppg`, or take the file away."
        )
    return signals


def read_columns(path: Path, unit: float = 1.0) -> dict[str, Signal]:
    """Every column but times and row numbers, by its name in small letters; `column 1` ... without a heading.

    `unit`: seconds in the unit of a column of times whose name does not say it. Errors as by `read_labels`.
    """
    header, table = _read(path)
    if not header and len(table) == 1:
        table = table.T
    if not header and table.shape[1] <= 2:
        wave = _unnamed(table, path)
        return {"column 1": wave if wave.times is None else replace(wave, times=wave.times * unit)}
    header = header or [f"column {number}" for number in range(1, table.shape[1] + 1)]
    time, scale = _time_column(header)
    times = None if time is None else table[:, time] * (unit if header[time] in TIMES else scale)
    return {
        name: Signal(table[:, number], times=times)
        for number, name in enumerate(header)
        if number != time and name not in NUMBERS
    }


def time_note(path: Path) -> str:
    """What was made of times that are not in seconds by the name of their column; "" where nothing was."""
    header, _, _ = _heading(path)
    time, scale = _time_column(header)
    return "" if time is None or scale == 1 else f"column {header[time]!r}: times {scale:g} s, made seconds"


def _unnamed(table: np.ndarray, path: Path) -> Signal:
    """The wave of a table without a heading."""
    if table.shape[1] > max(MANY, len(table)):
        raise ValueError(
            f"'{path}' has {len(table)} rows of {table.shape[1]} numbers: it lies on its side. Write one sample a "
            f"line, with columns `time` (s) and `ppg`."
        )
    if table.shape[1] > 1:
        return Signal(table[:, 1], times=table[:, 0])
    values = table[:, 0]
    if len(values) > 2 and E4_START[0] < values[0] < E4_START[1] and 0 < values[1] <= 1024:
        return Signal(values[2:], fs=float(values[1]))  # an Empatica E4: when it started is not known of the video
    return Signal(values)


def _time_column(header: list[str]) -> tuple[int | None, float]:
    """Number of the column of times, and seconds in its unit; (None, 1) without one."""
    for number, name in enumerate(header):
        if name in TIMES:
            return number, 1.0
        found = NAME_AND_UNIT.fullmatch(name)
        if found and found["unit"] in UNITS and found["name"] in ("", *TIMES):
            return number, UNITS[found["unit"]]
    return None, 1.0


def _wave_column(header: list[str], time: int | None, path: Path) -> int | None:
    """Number of the column of the wave; None where all others are rates. ValueError when several may be it."""
    rest = [k for k, name in enumerate(header) if k != time and name not in NUMBERS and not RATES.fullmatch(name)]
    bare = {k: re.split(r"[^a-z0-9]", header[k])[0] for k in rest}
    named = sorted((k for k in rest if bare[k] in WAVES), key=lambda k: WAVES.index(bare[k]))
    if not named and len(rest) > 1:
        raise ValueError(
            f"'{path}' has the columns {', '.join(header)}: which one is the wave? Call it `ppg`, and the times `time`."
        )
    return next(iter([*named, *rest]), None)


def _is_heart_rate(name: str) -> bool:
    return bool(RATES.fullmatch(name)) and not name.startswith(("rr", "spo2"))


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns in small letters ([] without a heading), and the numbers (rows, columns)."""
    try:
        header, rows, delimiter = _heading(path)
        table = _numbers(rows)
    except (csv.Error, ValueError, OverflowError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"'{path}' is no table of numbers: {told(error)}. {MEND}") from None
    if delimiter == " " and header and table.shape[1] == 1:
        header = [" ".join(header)]  # one name of several words, such as `HR (bpm)`
    if len(table) and header and table.shape[1] != len(header):
        raise ValueError(f"'{path}' names {len(header)} columns, its rows have {table.shape[1]}. {MEND}")
    if not table.size:
        raise ValueError(f"'{path}' holds no values. {MEND}")
    return header, table


def _heading(path: Path) -> tuple[list[str], Iterator[list[str]], str]:
    """Names of the columns in small letters ([] without a heading), the rows that follow, and what is between cells."""
    rows, delimiter = _rows(path)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"'{path}' is empty. {MEND}")
    if is_number(first[0]):
        return [], chain([first], rows), delimiter
    return [name.strip().lower() for name in first], rows, delimiter


def _numbers(rows: Iterator[list[str]]) -> np.ndarray:
    """The numbers (rows, columns), row by row: few at a time as text."""
    numbers, columns = array("d"), 0
    for row in rows:
        columns = columns or len(row)
        if len(row) != columns:
            raise ValueError(f"it has rows of {columns} and of {len(row)} values")
        numbers.extend(map(float, row))
        require_few(len(numbers))
    return np.frombuffer(numbers, float).reshape(-1, columns) if numbers else np.zeros((0, 0))


def _rows(path: Path) -> tuple[Iterator[list[str]], str]:
    """The cells of each line that is not blank, and what stands between them, by the first line."""
    lines = (re.sub(r" +", " ", line.strip(" \r\n").rstrip("\t")) for line in iter_lines(path) if line.strip())
    first = next(lines, "")
    delimiter = next((mark for mark in ";\t," if mark in first), " ")
    return csv.reader(chain([first], lines) if first else (), delimiter=delimiter), delimiter
