"""Experiments recorded by a BioSemi amplifier (BDF): what lies between two trigger codes of its status channel."""

from pathlib import Path

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.edf import BDF, read_edf

STATUS, MASK = "Status", 0xFF  # the upper bits tell of the amplifier
START, END = 2, 8  # trigger codes of the experiments this is for
ELECTRODES = ("EXG1", "EXG2", "EXG3")


def experiment(path: Path) -> dict[str, Signal]:
    """The electrodes EXG1 to EXG3 between the triggers 2 and 8, time 0 at the first.

    ValueError for a file that is no BDF file, has no such triggers in this order, or none of the electrodes.
    """
    signals = read_edf(path, BDF)
    found = next((one for name, one in signals.items() if name.strip().lower() == STATUS.lower()), None)
    if found is None:
        raise ValueError(f"'{path}' has no channel {STATUS!r}, so nothing says when the experiment began.")
    first, last = _between(np.rint(found.values).astype(np.int64) & MASK, path)
    electrodes = {name: one for name, one in signals.items() if name in ELECTRODES}
    if not electrodes:
        raise ValueError(f"'{path}' has none of the electrodes {', '.join(ELECTRODES)}; it has {', '.join(signals)}.")
    begin, end = first / found.fs, last / found.fs
    return {
        name: Signal(one.values[round(begin * one.fs) : round(end * one.fs)], fs=one.fs, unit=one.unit)
        for name, one in electrodes.items()
    }


def _between(codes: np.ndarray, path: Path) -> tuple[int, int]:
    """The samples at which the code START first appears, and END first behind it."""
    changes = np.flatnonzero(np.diff(codes, prepend=0))
    starts = changes[codes[changes] == START]
    if not len(starts):
        seen = sorted({int(code) for code in codes[changes]} - {0})
        raise ValueError(
            f"'{path}' has no trigger {START}, which starts the experiment (triggers seen: {seen or 'none'}). "
            "Copy the file again, or leave the recording out."
        )
    ends = changes[(codes[changes] == END) & (changes > starts[0])]
    if not len(ends):
        raise ValueError(f"'{path}' has no trigger {END} behind trigger {START}: the experiment does not end.")
    return int(starts[0]), int(ends[0])


def clearest(electrodes: dict[str, Signal]) -> Signal:
    """EXG3, as the study took it; the last one there is where it is missing."""
    return electrodes.get("EXG3") or electrodes[max(electrodes)]
