"""Waves that any program has predicted, beside the true ones, as recordings that can be evaluated.

    predictions.npy (L,)      one recording               labels.npy (L,) or (M,) at its own rate
    predictions.npy (N, L)    N windows, judged each      labels.npy (N, L)
    predictions.csv           a column per recording      labels.csv with the same columns
    x_outputs.pickle          rPPG-Toolbox's own, labels inside

Labels become the recordings' own references, so that every preset can judge them.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.reading import LARGEST_TABLE, open_array, read_text
from evaluation.outputs import results
from evaluation.post_process import integrate
from evaluation.results import RecordingResult

PICKLES = (".pickle", ".pkl")
MOST_WINDOWS = 1_000_000


@dataclass(frozen=True)
class Given:
    """What was handed over: the recordings, how much of it is known.

    windows  whether each recording is one window      people  whether it is known which windows share a person
    """

    recordings: tuple[RecordingResult, ...]
    windows: bool = False
    people: bool = False


def read_given(
    predictions: Path,
    labels: Path | None,
    fs: float | None,
    label_fs: float | None = None,
    subjects: Path | None = None,
    differential: bool = False,
    attributes: Path | None = None,
) -> Given:
    """The recordings in these files; `fs` and `label_fs` in Hz (the labels' own, where it differs).

    `subjects`: a text file with one name a line, in the order of the recordings. `differential`: both waves are
    derivatives. `attributes`: a table with a column `recording` and others, for groups. ValueError says what does not
    fit: other lengths, other columns, another rate than the pickle's.
    """
    if predictions.suffix.lower() in PICKLES:
        given = _of_pickle(predictions, labels, fs)
    elif labels is None or not fs:
        raise ValueError(f"'{predictions}' needs --labels FILE and --fs HZ; only rPPG-Toolbox's pickle holds both.")
    else:
        given = _of_waves(predictions, labels, fs, label_fs or fs, differential)
    given = given if subjects is None else _with_people(given, subjects)
    return given if attributes is None else _with_attributes(given, attributes)


def _of_pickle(path: Path, labels: Path | None, fs: float | None) -> Given:
    if labels is not None:
        raise ValueError(f"'{path}' holds its labels: leave out --labels.")
    found = results(path)
    rates = sorted({one.fs for one in found})
    if fs and any(abs(rate - fs) > 1e-6 for rate in rates):
        raise ValueError(f"'{path}' says {', '.join(f'{rate:g}' for rate in rates)} Hz, --fs {fs:g}. Leave --fs out.")
    if not found:
        raise ValueError(f"'{path}' holds no recording.")
    return Given(tuple(map(with_reference, found)), people=False)


def with_reference(result: RecordingResult) -> RecordingResult:
    """The recording with its label as its own reference, integrated where it is a derivative."""
    if result.label is None or result.reference is not None:
        return result
    values = integrate(np.asarray(result.label, dtype=float)) if result.differential else result.label
    return replace(result, reference=Signal(np.asarray(values, dtype=float), fs=float(result.fs)))


def _of_waves(predictions: Path, labels: Path, fs: float, label_fs: float, differential: bool) -> Given:
    predicted, true = _waves(predictions), _waves(labels)
    windows = next(iter(predicted)) == 0
    if list(predicted) != list(true):
        raise ValueError(
            f"'{predictions}' has {_counted(predicted)}, '{labels}' {_counted(true)}: they must be the same, in order."
        )
    kind = "DiffNormalized" if differential else "Raw"
    found = []
    for name, wave in predicted.items():
        seconds, other = len(wave) / fs, len(true[name]) / label_fs
        if abs(seconds - other) > max(1.0 / fs, 1.0 / label_fs, 0.001 * seconds):
            where = f"window {name}" if windows else name
            raise ValueError(
                f"{where}: {len(wave)} predictions at {fs:g} Hz last {seconds:g} s, {len(true[name])} labels at "
                f"{label_fs:g} Hz {other:g} s. Check the rates, or say the labels' own: --label_fs."
            )
        truth = integrate(true[name]) if differential else true[name]
        label = true[name] if label_fs == fs else None
        id = f"window_{name}" if windows else str(name)
        found.append(RecordingResult(id, id, fs, wave, label, kind, Signal(truth, fs=label_fs)))
    return Given(tuple(found), windows=windows)


def _counted(waves: Mapping) -> str:
    names = list(waves)
    return f"{len(names)} windows" if names[0] == 0 else f"{', '.join(map(str, names[:5]))}{', ...' * (len(names) > 5)}"


def _waves(path: Path) -> dict:
    """Number of the window, or name of the recording -> wave (L,) float64."""
    return _columns(path) if path.suffix.lower() in (".csv", ".txt", ".tsv") else _array(path)


def _array(path: Path) -> dict:
    values = open_array(path)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"'{path}' holds {values.dtype}, no real numbers. Save it as float32.")
    if values.ndim > 2 and 1 in values.shape:
        values = values.reshape([size for size in values.shape if size != 1])
    if values.ndim not in (1, 2) or not values.size or len(values) > MOST_WINDOWS:
        raise ValueError(f"'{path}' has the shape {values.shape}: one wave (L,), or windows x samples (N, L).")
    if values.ndim == 1:
        return {"recording": _finite(values, path)}
    return {number: _finite(wave, path) for number, wave in enumerate(values)}


def _finite(wave: np.ndarray, path: Path) -> np.ndarray:
    wave = np.asarray(wave, dtype=float)
    if not np.isfinite(wave).all():
        bad = np.count_nonzero(~np.isfinite(wave))
        raise ValueError(
            f"'{path}': {bad} of {len(wave)} samples of a wave are NaN or infinite. Leave it out, or mend it."
        )
    return wave


def _columns(path: Path) -> dict:
    """The columns of a table with a heading; empty cells at the end of a column are no samples."""
    text = read_text(path, LARGEST_TABLE)
    lines = text.splitlines()
    delimiter = next((mark for mark in ";\t," if lines and mark in lines[0]), ",")
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    if len(rows) < 2 or len(set(rows[0])) != len(rows[0]) or len({len(row) for row in rows}) != 1:
        raise ValueError(f"'{path}' is no table with a heading of different names and rows of one length.")
    found = {}
    for name, *cells in zip(*rows, strict=True):
        while cells and not cells[-1].strip():
            cells.pop()
        try:
            found[name.strip()] = _finite(np.array(cells, dtype=float), path)
        except ValueError as error:
            raise ValueError(f"'{path}', column {name!r}: {error}") from None
    return found


def _with_attributes(given: Given, path: Path) -> Given:
    """The recordings with what a table says of them; numbers stay numbers. ValueError for one it does not know."""
    rows = list(csv.DictReader(read_text(path, LARGEST_TABLE).splitlines()))
    if not rows or "recording" not in rows[0] or any(None in row or None in row.values() for row in rows):
        raise ValueError(f"'{path}' is no table with a heading, a column `recording` and rows of one length.")
    known = {row["recording"].strip(): _attributes(row) for row in rows}
    unknown = [one.id for one in given.recordings if one.id not in known]
    if unknown:
        named = ", ".join(unknown[:5]) + ", ..." * (len(unknown) > 5)
        raise ValueError(f"'{path}' says nothing of {named}: a row for each recording, under that name.")
    return replace(given, recordings=tuple(replace(one, info=known[one.id]) for one in given.recordings))


def _attributes(row: Mapping[str, str]) -> dict[str, str | float]:
    """The cells that are not empty."""
    found: dict[str, str | float] = {}
    for name, cell in row.items():
        if name == "recording" or not cell.strip():
            continue
        try:
            found[name.strip()] = float(cell)
        except ValueError:
            found[name.strip()] = cell.strip()
    return found


def _with_people(given: Given, subjects: Path) -> Given:
    names = [line.strip() for line in read_text(subjects).splitlines() if line.strip()]
    if len(names) != len(given.recordings):
        raise ValueError(
            f"'{subjects}' names {len(names)} people for {len(given.recordings)} recordings: one a line, in order."
        )
    owned = tuple(replace(one, subject=name) for one, name in zip(given.recordings, names, strict=True))
    return replace(given, recordings=owned, people=True)
