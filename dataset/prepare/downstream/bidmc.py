"""BIDMC: 53 recordings of 8 minutes in intensive care, PPG at 125 Hz, heart rate each second, breaths by two people.

Pimentel et al., "Toward a robust estimation of respiratory rate from pulse oximeters", IEEE Transactions on Biomedical
Engineering 64(8), 2017; the tables are described on the data set's page at PhysioNet (bidmc 1.0.0):

    RAW/**/bidmc_01_Signals.csv    Time [s], RESP, PLETH, V, AVR, II     (blanks before the names)
    RAW/**/bidmc_01_Numerics.csv   Time [s], HR, PULSE, RESP, SpO2
    RAW/**/bidmc_01_Breaths.csv    breaths ann1 [signal sample no], breaths ann2 [signal sample no]
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.files.reading import AGAIN, iter_lines, told
from dataset.prepare.downstream.common import Options, Piece, Preparation
from registry import PREPARATIONS

FS, SECONDS, SHIFT = 125.0, 10.0, 2.0


class BIDMC(Preparation):
    """Both tasks."""

    source = "Pimentel et al., IEEE TBME 64(8), 2017 (BIDMC, PhysioNet); ODC-By 1.0"

    def __init__(self, raw: Path, options: Options):
        """Find the tables of the signals."""
        super().__init__(raw, options)
        self.about["rate"] = FS
        self.paths = self.files("bidmc_*_Signals.csv", "the folder bidmc_csv")

    def subjects(self) -> list[str]:
        """bidmc_01 ..."""
        return [_name(path) for path in self.paths]

    def pieces(self) -> Iterator[Piece]:
        """A recording at a time."""
        for path in self.paths:
            wave = column(columns(path), "PLETH", path)
            windows, count = self.windows(wave, FS, SECONDS, SHIFT)
            labels = self.rates(path, np.arange(count) * SHIFT)
            yield Piece(_name(path), windows, labels)

    def rates(self, path: Path, starts: np.ndarray) -> np.ndarray:
        """The label (k,) of the windows that start at those seconds; NaN where it is unknown."""
        raise NotImplementedError


@PREPARATIONS.register("bidmc_hr")
class HeartRate(BIDMC):
    """The mean of the monitor's heart rate within the window."""

    labels, units = ("hr",), {"hr": "bpm"}

    def rates(self, path: Path, starts: np.ndarray) -> np.ndarray:
        """Of the seconds from the start of the window to its end; those without a number do not count."""
        table = columns(beside(path, "Numerics"))
        times, rates = (column(table, name, beside(path, "Numerics")) for name in ("Time [s]", "HR"))
        known = np.isfinite(rates) & np.isfinite(times) & (rates > 0)
        times, rates = times[known], rates[known]
        found = [rates[(times >= start) & (times < start + SECONDS)] for start in starts]
        return np.array([one.mean() if len(one) else np.nan for one in found])


@PREPARATIONS.register("bidmc_rr")
class BreathingRate(BIDMC):
    """Breaths per minute in the window: by the intervals between breaths, or by their number, in steps of 6."""

    labels, units = ("rr",), {"rr": "breaths/min"}
    used = ("breaths", "annotator")

    def rates(self, path: Path, starts: np.ndarray) -> np.ndarray:
        """Of the breaths that the annotator marked."""
        table = columns(beside(path, "Breaths"))
        name = f"breaths ann{self.options.annotator} [signal sample no]"
        marks = column(table, name, beside(path, "Breaths"))
        times = np.sort(marks[np.isfinite(marks)]) / FS
        count = counted if self.options.breaths == "counts" else by_intervals
        return np.array([count(times, start, start + SECONDS) for start in starts])


def counted(times: np.ndarray, start: float, stop: float) -> float:
    """Breaths per minute as CM-SSL has it: marks in the window over its length."""
    return 60.0 * int(((times >= start) & (times < stop)).sum()) / (stop - start)


def by_intervals(times: np.ndarray, start: float, stop: float) -> float:
    """Breaths per minute, each interval between breaths counting with the share of it that lies in the window.

    NaN where the window is not between two marks.
    """
    if len(times) < 2 or start < times[0] or stop > times[-1]:
        return np.nan
    first, last = np.interp([start, stop], times, np.arange(len(times), dtype=float))
    return 60.0 * float(last - first) / (stop - start)


def beside(path: Path, what: str) -> Path:
    """The other table of the same recording."""
    return path.with_name(path.name.replace("_Signals", f"_{what}"))


def columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table by name, blanks around it taken off, NaN for what is no number; ValueError for none."""
    try:
        lines = csv.reader(iter_lines(path))
        names = [name.strip() for name in next(lines, [])]
        rows = [[_number(cell) for cell in line] for line in lines if line]
    except (csv.Error, ValueError) as error:
        raise ValueError(f"'{path}' is no table: {told(error)}. {AGAIN}") from None
    if not rows or any(len(row) > len(names) for row in rows):
        raise ValueError(f"'{path}' has no rows, or rows with more cells than its first line. {AGAIN}")
    filled = np.array([row + [np.nan] * (len(names) - len(row)) for row in rows])
    return {name: filled[:, number] for number, name in enumerate(names)}


def column(table: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """The column of that name; ValueError that says which there are."""
    if name not in table:
        raise ValueError(f"'{path}' has no column {name!r} (it has: {', '.join(table)}). {AGAIN}")
    return table[name]


def _name(path: Path) -> str:
    return path.name.split("_Signals")[0]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
