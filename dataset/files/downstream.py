"""Windows divided for a task: arrays of training, validation and test in one folder, and what they are.

{train,val,test}_features.npy   (n, C, L) float32; (n, L) where there is one channel
{train,val,test}_labels.npy     (n,) or (n, K): values, the number of a class, or 0 and 1 of each label
{train,val,test}_subjects.npy   (n,) text, nobody in two parts     {...}_recordings.npy   (n,) text, optional
meta.json                       rate (Hz), window (samples), channels, labels, units, task, classes
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dataset.files.finite import unfinished_rows
from dataset.files.names import plural
from dataset.files.reading import AGAIN, is_there, open_array, read_json
from dataset.files.windows import WindowArray, WindowParts, Windows, arrange
from dataset.files.writing import replacing, write_whole
from registry import did_you_mean

PARTS = {"train": "train", "val": "valid", "test": "test"}  # in names of files -> section of a configuration
TASKS = ("regression", "choice", "labels")  # numbers; one of several classes; any of several labels
META = "meta.json"
HEADER = 128  # bytes before the numbers of an array


@dataclass(frozen=True)
class Meta:
    """What windows and labels are.

    rate      samples per second                      window   samples
    channels  names, in order                         labels   names of the columns of the labels
    task      one of TASKS; the first and the others  units    of a label, by name
              are kinds of output of those names      classes  of a `choice`, by number
    vote      whether all windows of a recording answer one question: their probabilities are averaged
    about     what else is said: source, licence, counts
    """

    name: str
    rate: float
    window: int
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    task: str = "regression"
    units: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    vote: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Numbers that a network gives of a window."""
        return len(self.classes) if self.task == "choice" else len(self.labels)

    @property
    def evaluation(self) -> dict[str, Any]:
        """Plain values for the kinds `choice` and `labels`, as their `head.options`."""
        return {"classes": list(self.classes), "vote": self.vote}


def read_meta(root: str | Path) -> Meta:
    """meta.json in the folder `root`; FileNotFoundError or ValueError names it and what is missing there."""
    path = Path(root) / META
    if not is_there(path):
        raise FileNotFoundError(
            f"'{path}' does not exist: it says rate, window, channels, labels and task. tools/prepare_downstream.py "
            f"writes it."
        )
    known = read_json(path)
    try:
        found = Meta(
            str(known.get("name", Path(root).name)), float(known["rate"]), int(known["window"]),
            *(tuple(map(str, known[key])) for key in ("channels", "labels")),
            str(known.get("task", "regression")),
            {str(key): str(value) for key, value in known.get("units", {}).items()},
            tuple(map(str, known.get("classes", ()))), bool(known.get("vote", False)), dict(known.get("about", {})),
        )  # fmt: skip
    except KeyError as error:
        raise ValueError(f"'{path}' does not say {error.args[0]!r}. {AGAIN}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"'{path}' cannot be understood: {error}. {AGAIN}") from None
    return _checked(found, path)


def _checked(meta: Meta, path: Path) -> Meta:
    if meta.task not in TASKS:
        hint = did_you_mean(meta.task, TASKS)
        raise ValueError(f"'{path}': task is {meta.task!r}.{hint} Known: {', '.join(TASKS)}.")
    if not (0 < meta.rate < 1e6 and meta.window > 0 and meta.channels and meta.labels):
        raise ValueError(f"'{path}': rate and window must be above 0, and one channel and label there at least.")
    if meta.task == "choice" and (len(meta.classes) < 2 or len(meta.labels) > 1):
        raise ValueError(f"'{path}': a choice has one label and two `classes` at least, in the order of their numbers.")
    return meta


def open_downstream(root: str | Path) -> Windows:
    """The windows of all parts, with the labels as targets; `parts` tell which section each recording belongs to.

    Windows with NaN are `unfit`. FileNotFoundError for what is missing, ValueError for files that do not fit one
    another, for a subject in two parts and for a class that no window of the training part has.
    """
    root = Path(root)
    meta = read_meta(root)
    there = [part for part in PARTS if is_there(root / f"{part}_features.npy")]
    if not there:
        raise FileNotFoundError(f"'{root}' holds no train_features.npy, val_features.npy or test_features.npy.")
    found = [_Part(root, part, meta) for part in there]
    _require_disjoint(found, root)
    _require_classes(found, meta, root)
    store = WindowParts([part.store for part in found])
    labels = np.concatenate([part.labels for part in found])
    columns: dict[str, Any] = {name: labels[:, column] for column, name in enumerate(meta.labels)}
    columns |= {
        name: np.concatenate([getattr(part, f"{name}s") for part in found]) for name in ("subject", "recording")
    }
    windows = arrange(store, columns, meta.channels, meta.rate, root, root)
    section = {name: PARTS[part.name] for part in found for name in np.unique(part.recordings).tolist()}
    parts = tuple(section[name] for name in windows.recordings)
    return Windows(**{**vars(windows), "unfit": _unfit(found), "parts": parts})


class _Part:
    """The files of one part, checked against one another; only labels and names are read."""

    def __init__(self, root: Path, name: str, meta: Meta):
        self.name, path = name, root / f"{name}_features.npy"
        self.store = WindowArray(path, len(meta.channels))
        if self.store.length != meta.window:
            raise ValueError(f"'{path}' has windows of {self.store.length} samples, {META} says {meta.window}. {AGAIN}")
        self.labels = self._labels(root, meta)
        self.subjects = self._names(root, "subjects")
        if self.subjects is None:
            print(f"Warning: '{root}' has no {name}_subjects.npy: each window is taken for a person of its own.")
            self.subjects = np.char.add(f"{name}_", np.arange(len(self.store)).astype(str))
        recordings = self._names(root, "recordings")
        self.recordings = self.subjects if recordings is None else recordings

    def _labels(self, root: Path, meta: Meta) -> np.ndarray:
        path = root / f"{self.name}_labels.npy"
        labels = open_array(path)
        labels = labels[:, None] if labels.ndim == 1 else labels
        if labels.shape != (len(self.store), len(meta.labels)) or labels.dtype.kind not in "fiub":
            raise ValueError(
                f"'{path}' holds {labels.dtype} {labels.shape}; {len(self.store)} windows with "
                f"{plural(len(meta.labels), 'label')} were expected. {AGAIN}"
            )
        found = np.array(labels, dtype=np.float32)
        top = {"choice": len(meta.classes) - 1, "labels": 1}.get(meta.task)
        known = found[np.isfinite(found)]
        if top is not None and not (np.equal(np.mod(known, 1), 0) & (known >= 0) & (known <= top)).all():
            raise ValueError(f"'{path}' holds other numbers than 0 to {top}, which {META} says of a {meta.task!r}.")
        return found

    def _names(self, root: Path, what: str) -> np.ndarray | None:
        path = root / f"{self.name}_{what}.npy"
        if not is_there(path):
            return None
        names = np.array(open_array(path))
        if names.shape != (len(self.store),) or names.dtype.kind not in "USiu":
            raise ValueError(f"'{path}' holds {names.dtype} {names.shape}; {len(self.store)} names were expected.")
        return np.char.decode(names, "utf-8", "replace") if names.dtype.kind == "S" else names.astype(str)


def _require_disjoint(found: Sequence[_Part], root: Path) -> None:
    owner: dict[str, str] = {}
    for part in found:
        for subject in np.unique(part.subjects).tolist():
            if owner.setdefault(subject, part.name) != part.name:
                raise ValueError(
                    f"'{root}': subject {subject!r} is in {owner[subject]} and in {part.name}, so the test would "
                    f"measure what was learnt by heart. Divide the people anew."
                )


def _require_classes(found: Sequence[_Part], meta: Meta, root: Path) -> None:
    train = next((part for part in found if part.name == "train"), None)
    if meta.task != "choice" or train is None:
        return
    absent = [name for number, name in enumerate(meta.classes) if not (train.labels == number).any()]
    if absent:
        raise ValueError(
            f"'{root}': no training window is of class {absent[0]!r}, so nothing can learn it. Divide the people by "
            f"another seed, or take the class out of {META} and its windows out of the parts."
        )


def _unfit(found: Sequence[_Part]) -> dict[int, str]:
    unfit, start = {}, 0
    for part in found:
        reason = f"window of '{part.store.path.name}' with samples that are no numbers"
        unfit |= {start + int(row): reason for row in unfinished_rows(part.store.path)}
        start += len(part.store)
    return unfit


# --- Writing --------------------------------------------------------------------------------------------------------


class FolderWriter:
    """Writes such a folder window by window; nothing of it is there before all of it is.

    with FolderWriter(out, meta) as writer:
        writer.add("train", "p01", windows, labels)
    """

    def __init__(self, out: str | Path, meta: Meta):
        """`meta.window` and `meta.channels` say the shape of every window."""
        self.out, self.meta = Path(out), meta
        self.dropped = 0
        self._files: dict[str, Any] = {}
        self._labels: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
        self._names: dict[str, list[tuple[str, str, int]]] = {part: [] for part in PARTS}
        self._stack = contextlib.ExitStack()

    def add(self, part: str, subject: str, windows: np.ndarray, labels: np.ndarray, recording: str = "") -> int:
        """Append windows (k, C, L) and labels (k,) or (k, K) of a person; those with NaN are dropped and counted.

        Returns how many were kept. ValueError for another shape.
        """
        windows, labels = np.asarray(windows), np.asarray(labels, dtype=np.float32)
        labels = labels.reshape(len(windows), -1)
        shape, columns = (len(self.meta.channels), self.meta.window), len(self.meta.labels)
        if windows.shape[1:] != shape or labels.shape[1] != columns:
            raise ValueError(f"{subject!r} has windows {windows.shape[1:]} and {labels.shape[1]} labels; {shape} and "
                             f"{columns} are written here.")  # fmt: skip
        good = np.isfinite(windows).all(axis=(1, 2)) & np.isfinite(labels).all(axis=1)
        self.dropped += int((~good).sum())
        if good.any():
            self._file(part).write(np.ascontiguousarray(windows[good], dtype="<f4").tobytes())
            self._labels[part].append(labels[good])
            self._names[part].append((str(subject), str(recording or subject), int(good.sum())))
        return int(good.sum())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Windows and subjects of each part."""
        return {
            part: {"windows": sum(n for *_, n in names), "subjects": len({subject for subject, *_ in names})}
            for part, names in self._names.items()
        }

    def __enter__(self) -> "FolderWriter":
        """Itself; files are begun when they get their first window."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Write the heads and rename, or leave nothing behind."""
        if kind is None:
            try:
                self._finish()
            except BaseException as own:
                self._stack.__exit__(type(own), own, own.__traceback__)
                raise
        return self._stack.__exit__(kind, error, trace)

    def _file(self, part: str) -> Any:
        if part not in self._files:
            temporary = self._stack.enter_context(replacing(self.out / f"{part}_features.npy"))
            self._files[part] = self._stack.enter_context(temporary.open("r+b"))
            self._files[part].write(b"\0" * HEADER)
        return self._files[part]

    def _finish(self) -> None:
        """Headers, labels, names and meta.json; ValueError where a part is empty or shares somebody with another."""
        empty = [part for part in PARTS if not self._names[part]]
        if empty:
            raise ValueError(
                f"No window for {', '.join(empty)} in '{self.out}' ({self.dropped} with NaN were dropped): nothing is "
                f"written. There are too few people, or too short recordings."
            )
        people = {part: {subject for subject, *_ in names} for part, names in self._names.items()}
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            if shared := people[first] & people[second]:
                raise ValueError(f"{plural(len(shared), 'subject')} in {first} and {second}: {sorted(shared)[:5]}.")
        for part, file in self._files.items():
            self._write_beside(part)
            count = self.counts[part]["windows"]
            file.seek(0)
            file.write(npy_header((count, len(self.meta.channels), self.meta.window)))
            file.flush()
        about = {**self.meta.about, "parts": self.counts, "dropped_with_nan": self.dropped}
        text = json.dumps({"format": 1, **asdict(self.meta), "about": about}, indent=1, ensure_ascii=False)
        write_whole(self.out / META, text + "\n")

    def _write_beside(self, part: str) -> None:
        subjects, recordings, counts = zip(*self._names[part], strict=True)
        labels = np.concatenate(self._labels[part])
        labels = labels[:, 0] if labels.shape[1] == 1 else labels
        arrays = {
            "labels": labels.astype(np.int64) if self.meta.task == "choice" else labels,
            "subjects": np.repeat(np.array(subjects), counts),
            "recordings": np.repeat(np.array(recordings), counts),
        }
        for what, array in arrays.items():
            with replacing(self.out / f"{part}_{what}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array, allow_pickle=False)


def npy_header(shape: tuple[int, ...]) -> bytes:
    """HEADER bytes that make a .npy file of the float32 numbers behind them."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode("ascii")
    start = np.lib.format.magic(1, 0) + (HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(HEADER - 11) + b"\n"
