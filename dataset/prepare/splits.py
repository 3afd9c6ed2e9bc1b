"""Which recordings a section works on: parts of the listing by subject, folds, lists, and what two sections share.

A split holds recording ids, never paths or positions, so it means the same on every machine.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from dataset.data_loader.base import Recording, natural_key
from dataset.files.names import plural
from dataset.files.reading import read_text, told
from dataset.store.sources import digest

UNITS = ("subject", "recording")
SMALLEST = 1 << 16  # bytes of a linked file that may be a recording: notes and calibrations are shared by many


class SplitError(ValueError):
    """A split that cannot be made, read or used."""


@dataclass(frozen=True)
class Split:
    """Recordings of one section, in order. `dataset` and `subjects` (id -> subject) let others judge overlaps."""

    dataset: str
    ids: tuple[str, ...]
    subjects: Mapping[str, str] = field(default_factory=dict)
    unit: str = "subject"
    begin: float = 0.0
    end: float = 1.0
    fold: str = ""

    @property
    def hash(self) -> str:
        """16 hexadecimal digits over everything the split says."""
        return digest(self.plain())

    def plain(self) -> dict:
        """What it says, as JSON can hold it."""
        plain = asdict(self)
        plain["ids"] = list(self.ids)
        plain["subjects"] = {name: str(self.subjects[name]) for name in self.ids if name in self.subjects}
        return plain


def take(recordings: Sequence[Recording], begin: float, end: float, unit: str = "subject") -> list[Recording]:
    """Recordings whose unit is number int(begin * n) to int(end * n) of the n units, in listing order.

    `recordings` is the whole frozen listing, failed ones included, so that a failure moves nobody to another split.
    Units are subjects (or single recordings) in natural order. 0 to 1 keeps everything. The products are cut off as
    rPPG-Toolbox does. Raises SplitError for a range outside 0 <= begin < end <= 1 or an unknown unit.
    """
    if not 0 <= begin < end <= 1:
        raise SplitError(f"BEGIN {begin} and END {end} must satisfy 0 <= BEGIN < END <= 1.")
    if unit not in UNITS:
        raise SplitError(f"Unit of a split is {unit!r}; known: {', '.join(UNITS)}.")
    name = (lambda recording: recording.subject) if unit == "subject" else (lambda recording: recording.id)
    units = sorted({name(recording) for recording in recordings}, key=lambda text: (natural_key(text), text))
    chosen = set(units[int(begin * len(units)) : int(end * len(units))])
    return [recording for recording in recordings if name(recording) in chosen]


def draw(units: Sequence[str], ratios: Sequence[float], seed: int) -> list[tuple[str, ...]]:
    """`units` (subjects or recordings) in as many parts as there are `ratios`, drawn by `seed`.

    The draw depends on the units, the ratios and the seed alone, not on the order of `units`, which each part keeps.
    Sizes are as near to the ratios as whole units allow; a part with a ratio above 0 gets one unit at least. SplitError
    for ratios that are none and for fewer units than such parts.
    """
    shares = np.asarray(ratios, dtype=float)
    if not len(shares) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.sum():
        raise SplitError(f"{list(ratios)} are no shares of a whole: give numbers of at least 0, not all of them 0.")
    wanted = int((shares > 0).sum())
    if len(units) < wanted:
        raise SplitError(
            f"{list(units)} (subjects or recordings) cannot be drawn into {wanted} parts: bring more of them, or set "
            "the ratio of a part that you do without to 0."
        )
    sizes = _sizes(shares / shares.sum(), len(units))
    names = sorted(units, key=lambda name: (natural_key(name), name))
    order = [names[number] for number in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum(sizes)
    chosen = [set(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return [tuple(name for name in units if name in part) for part in chosen]


def _sizes(shares: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers that sum up to `count`, nearest to `shares` of it, at least 1 where the share is not 0."""
    sizes = np.where(shares > 0, np.maximum(np.floor(shares * count), 1), 0).astype(int)
    while sizes.sum() < count:
        sizes[int(np.argmax(shares * count - sizes))] += 1
    while sizes.sum() > count:
        sizes[int(np.argmax(np.where(sizes > 1, sizes - shares * count, -np.inf)))] -= 1
    return sizes


def read_fold(path: Path) -> list[str]:
    """Subjects of a fold: column `subjects` of a CSV, in file order; SplitError when it cannot be read."""
    subjects = [text for text in read_column(path, "subjects") if text]
    if not subjects:
        raise SplitError(f"The fold '{path}' names no subject.")
    return subjects


def by_fold(recordings: Sequence[Recording], subjects: Iterable[str]) -> tuple[list[Recording], list[str]]:
    """Recordings of `subjects` in listing order, and the subjects that no recording has."""
    wanted = list(dict.fromkeys(subjects))
    present = {recording.subject for recording in recordings}
    chosen = set(wanted)
    return [r for r in recordings if r.subject in chosen], [name for name in wanted if name not in present]


def read_column(path: Path, column: str) -> list[str]:
    """One column of a CSV file as text; SplitError with the file, what is wrong and the columns it has."""
    try:
        text = read_text(path, remedy="Name another list.")
    except (OSError, ValueError) as error:
        raise SplitError(f"The list cannot be read: {error}") from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        names = reader.fieldnames or []
        if column not in names:
            shown = ", ".join(name[:40] for name in names[:10]) or "none"
            raise SplitError(f"'{path}' has no column {column!r}; its columns: {shown}.")
        return [(row[column] or "").strip() for row in reader]
    except csv.Error as error:
        raise SplitError(f"The list '{path}' cannot be read: {told(error)}.") from error


@dataclass(frozen=True)
class Overlap:
    """Two sections that work on the same people of one data folder; or, `files`, on the same files of any.

    `anonymous`: `subjects` are recordings, as it is not known whose they are.
    """

    first: str
    second: str
    subjects: tuple[str, ...]
    files: bool = False
    anonymous: bool = False

    def __str__(self) -> str:
        """The finding as a sentence, with the first five subjects."""
        shown = ", ".join(self.subjects[:5]) + (", ..." if len(self.subjects) > 5 else "")
        noun, unknown = ("recording", " (whose they are is not known)") if self.anonymous else ("subject", "")
        return (
            f"{self.first.upper()} and {self.second.upper()} share {plural(len(self.subjects), noun)}{unknown} "
            f"{'by the files they read, other names or links apart' if self.files else 'of the same data folder'}: "
            f"{shown}"
        )


@dataclass(frozen=True)
class Side:
    """What a section works on: its data folder, its split, and where each recording (id) lies, where that is known.

    `anonymous`: each recording stands for a person, as it is not known whose it is.
    """

    root: Path
    split: Split
    paths: Mapping[str, Path] = field(default_factory=dict)
    anonymous: bool = False


def overlaps(sections: Mapping[str, Side]) -> list[Overlap]:
    """Every pair of `sections` (by name) that shares subjects in one resolved folder, or files by any name."""
    found = []
    names = list(sections)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = _shared(sections[first], sections[second])
            by_files = [] if shared else _shared_files(sections[first], sections[second])
            if shared or by_files:
                unknown = sections[first].anonymous or sections[second].anonymous
                found.append(Overlap(first, second, tuple(shared or by_files), bool(by_files), unknown))
    return found


def judge(sections: Mapping[str, Side], selects_epoch: bool = False) -> list[Overlap]:
    """Refuse splits that make a result meaningless; return the overlaps that only deserve a warning.

    Sections are called train, valid and test. TRAIN with TEST is a SplitError. VALID with TEST is one when
    `selects_epoch` (the best epoch is chosen on VALID), otherwise a warning, as is VALID with TRAIN.
    """
    warnings = []
    for overlap in overlaps(sections):
        pair = {overlap.first, overlap.second}
        if pair == {"train", "test"}:
            raise SplitError(
                f"{overlap}. The test would measure what was learnt by heart. "
                f"Give TRAIN.DATA and TEST.DATA disjoint BEGIN and END, folds or lists."
            )
        if pair == {"valid", "test"} and selects_epoch:
            raise SplitError(
                f"{overlap}. The best epoch would be chosen on the test set. "
                f"Separate VALID.DATA from TEST.DATA, or set TEST.USE_LAST_EPOCH: True."
            )
        warnings.append(overlap)
    return warnings


def _shared(first: Side, second: Side) -> list[str]:
    if Path(first.root).resolve() != Path(second.root).resolve():
        return []
    subjects = [{str(one.split.subjects.get(name, name)) for name in one.split.ids} for one in (first, second)]
    return sorted(subjects[0] & subjects[1], key=lambda text: (natural_key(text), text))


def _shared_files(first: Side, second: Side) -> list[str]:
    """Subjects of `first` whose files, links followed, are files of `second` or lie in its folders, or the reverse.

    Several recordings of one file are told apart by their ids where both sections read one folder.
    """
    same = Path(first.root).resolve() == Path(second.root).resolve()
    places = [_places(one) for one in (first, second)]
    found = set()
    for own, other, number in ((places[0], places[1], 0), (places[1], places[0], 1)):
        for place, (name, path) in own.items():
            for above in (place, *place.parents):
                match = other.get(above)
                if match and not (same and match[1] == path and match[0] != name):
                    found.add(match[0] if number else name)
    subjects = {str(first.split.subjects.get(name, name)) for name in found}
    return sorted(subjects, key=lambda text: (natural_key(text), text))


def _places(side: Side) -> dict[Path, tuple[str, Path]]:
    """Resolved file or folder -> (id, path as listed) of a section's recordings, and of the links in their folders."""
    root, found = Path(side.root).resolve(), {}
    for name in side.split.ids:
        path = side.paths.get(name)
        for one in [] if path is None else [path, *_links(path)]:
            place = Path(os.path.realpath(one))
            if place != root and place.exists():  # a folder that holds all recordings tells none of them apart
                found[place] = (name, path)
    return found


def _links(folder: Path) -> list[Path]:
    """The links directly in a folder to what may be a recording; [] for a file."""
    try:
        with os.scandir(folder) as entries:
            links = [Path(entry.path) for entry in entries if entry.is_symlink()]
        return [link for link in links if link.is_dir() or link.stat().st_size >= SMALLEST]
    except OSError:
        return []
