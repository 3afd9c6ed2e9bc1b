"""What is wrong or unusual about the signals and the clock of a recording: errors, and flags for the manifest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dataset import faults
from dataset.data_loader.base import BaseLoader, Signal
from dataset.prepare.clock import Video, check_clocks, check_frames, gap
from dataset.store.writer import EntryWriter

LARGEST = 1e30  # no sensor measures more; squares of it are still numbers
MOST_LOST = 1e9  # frames that a gap is said to have: its length is a claim of a file


def check_returned(loader: BaseLoader, waves: Any) -> None:
    """ProgramFault, naming the line, where `read_wave` returned something else than Signals by their declared names."""
    place = f"read_wave ({faults.definition(type(loader).read_wave)})"
    example = f"such as {{{(*loader.signals, 'ppg')[0]!r}: Signal(values, times=seconds)}}"
    if not isinstance(waves, dict):
        raise faults.ProgramFault(f"{place} returned {type(waves).__name__}, but must return a dict, {example}.")
    for name, signal in waves.items():
        if not isinstance(signal, Signal):
            kind = type(signal).__name__
            raise faults.ProgramFault(f"{place} returned {kind} as {name!r}, but must return a Signal, {example}.")
    known = (*loader.signals, *loader.optional_signals)
    unknown = [name for name in waves if name not in known]
    if unknown and not set(loader.signals) <= set(waves):
        raise faults.ProgramFault(
            f"{place} returned a signal called {unknown[0]!r}, which {type(loader).__name__} does not declare; "
            f"declared: {', '.join(known) or 'none'}. Call it so, or add the name to `signals` or `optional_signals` "
            f"of the class."
        )


def check_signals(waves: dict[str, Signal], needed: Sequence[str], place: str = "") -> None:
    """ValueError for a signal without samples, with times of another length, or unfit (NaN, its clock) where needed.

    `place` says in the message where the signal was read, such as " of '/data/subject1'".
    """
    for name, signal in waves.items():
        values = np.asarray(signal.values)
        if not values.size:
            raise ValueError(f"The signal {name!r}{place} is empty. Mend its file, or leave the recording out.")
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise ValueError(
                f"The signal {name!r}{place} is {values.dtype} of shape {values.shape} and not one row of numbers. "
                f"Mend its file, or leave the recording out."
            )
        if signal.times is not None and len(signal.times) != len(values):
            raise ValueError(
                f"The signal {name!r}{place} has {len(values)} values but {len(signal.times)} times. Mend its file, or "
                f"leave the recording out."
            )
        bad = int(np.count_nonzero(~(np.abs(values) <= LARGEST))) if values.dtype.kind == "f" else 0
        if signal.times is not None:
            bad += int(np.count_nonzero(~np.isfinite(signal.times)))
        if bad and name in needed:
            raise ValueError(
                f"The signal {name!r}{place} has {bad} values that are NaN, infinite or beyond {LARGEST:g}, of "
                f"{len(values)}. Mend its file, or leave the recording out."
            )
    check_clocks(waves, needed, place)


def check_times(
    waves: dict[str, Signal],
    needed: Sequence[str],
    times: np.ndarray | None,
    frames: int,
    fs: float | None,
    place: str = "",
) -> None:
    """ValueError for frame `times` (T,), or times of a needed signal, that cannot be seconds on one clock.

    Without times the video has `frames` frames at `fs` (Hz).
    """
    check_frames(times, place)
    check_clocks(waves, needed, place, Video.of(times, frames, fs))


def check_lengths(waves: dict[str, Signal], needed: Sequence[str], frames: int, place: str = "") -> None:
    """ValueError for a needed signal of a single sample: stretched over several frames it would be a constant.

    Without video `frames` is 2: such a sample has no rate either.
    """
    for name, signal in waves.items():
        if name in needed and frames > 1 and len(signal.values) < 2:
            raise ValueError(
                f"The signal {name!r}{place} is a single value for {frames} frames. Mend its file, or leave the "
                f"recording out."
            )


def time_flags(times: np.ndarray | None) -> dict[str, Any]:
    """Frames that the frame times (T,) in seconds show to be dropped, doubled or out of order."""
    if times is None or len(times) < 3:
        return {}
    steps = np.diff(times)
    ordinary = np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    if not ordinary:
        return {"times_out_of_order": len(steps)}
    gap, double = steps > 1.5 * ordinary, (steps >= 0) & (steps < 0.25 * ordinary)
    with np.errstate(over="ignore"):
        lost = np.rint(np.minimum(steps[gap] / ordinary, MOST_LOST)) - 1
    late = np.append(gap[:-1] & double[1:], False)  # such a frame and the next one on time are neither
    counts = {
        "dropped_frames": int(np.sum(lost)) - int(late.sum()),
        "doubled_frames": int(double.sum()) - int(late.sum()),
        "times_out_of_order": int(np.count_nonzero(steps < 0)),
    }
    return {name: count for name, count in counts.items() if count}


def length_flags(waves: dict[str, Signal], entry: EntryWriter, times: np.ndarray | None) -> dict[str, Any]:
    """Signals that are shorter or longer than the video (by 1 s or 2 %), their gaps, and NaN in side signals.

    `times` (T,) in seconds of all frames, also of those that were left out.
    """
    flags = signal_flags(waves)
    for name, signal in waves.items():
        note = _length_note(signal, len(entry), times, entry.fs)
        if note:
            flags[f"{name}_length"] = note
    return flags


def signal_flags(waves: dict[str, Signal]) -> dict[str, Any]:
    """How many samples of each signal are NaN, and its longest gap, where there are some."""
    floats = {name: np.asarray(signal.values) for name, signal in waves.items()}
    counts = {name: int(np.count_nonzero(np.isnan(row))) for name, row in floats.items() if row.dtype.kind == "f"}
    gaps = {f"{name}_gap": f"{gap(signal):.1f} s without a sample" for name, signal in waves.items() if gap(signal)}
    return {f"{name}_nan": count for name, count in counts.items() if count} | gaps


def with_clock(waves: dict[str, Signal], times: np.ndarray | None) -> dict[str, Signal]:
    """`waves` as they are; or, where frames at `times` (T,) s were left out, with times for signals that have none.

    Such a signal lasts as long as the video did, so that its samples stay with the frames that are left.
    """
    if times is None:
        return waves
    return {name: signal if signal.times is not None else _clocked(signal, times) for name, signal in waves.items()}


def _clocked(signal: Signal, times: np.ndarray) -> Signal:
    places = np.linspace(0, len(times) - 1, len(signal.values))
    return replace(signal, times=np.interp(places, np.arange(len(times)), times))


def _length_note(signal: Signal, frames: int, times: np.ndarray | None, fs: float | None) -> str:
    if times is None and not fs:
        return ""
    video = float(times[-1] - times[0]) if times is not None else frames / fs
    if signal.times is not None:
        length = float(signal.times[-1] - signal.times[0])
    elif signal.fs:
        length = len(signal.values) / signal.fs
    else:
        return ""
    if abs(length - video) <= max(1.0, 0.02 * video):
        return ""
    return f"{length:.1f} s of signal for {video:.1f} s of video"
