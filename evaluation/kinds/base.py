"""What a kind of output is: a class with these answers, registered in KINDS under the name that methods declare.

    @KINDS.register("tokens")
    class Tokens(Kind):
        per = "clip"

        def rows(self, recordings, head): ...       # what each recording leaves
        def metrics(self, rows, head): ...          # all numbers of these rows; keeps them as `rows`
        def section(self, found, head): ...         # what report.md, metrics.json and CSV files say

A method then says `heads = {"tokens": "tokens"}`, and every run, fold and report takes it from there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips.resampling import resample_grid
from dataset.files.names import plural
from dataset.signals import PULSE_WAVE
from evaluation.outputs import write_outputs
from evaluation.report import Section, some
from evaluation.settings import Settings
from registry import KINDS

Clips = Mapping[int, Mapping[str, np.ndarray]]


def label_key(name: str) -> str:
    """Where the label of the output `name` stands among the outputs of a clip."""
    return "label" if name == PULSE_WAVE else f"label_{name}"


@dataclass(frozen=True)
class Reading:
    """How clips were cut and read.

    length  frames of a clip; None: one clip is all       resample_fs  rate they were read at (Hz); 0: as stored
    stride  frames from one clip to the next; 0: length   align        LABEL_ALIGN
    """

    length: int | None = None
    resample_fs: float = 0.0
    align: str = "auto"
    stride: int = 0

    @classmethod
    def of(cls, data: Any) -> "Reading":
        """The settings of a DATA node."""
        process = data.PREPROCESS
        length = int(process.CHUNK_LENGTH) if process.DO_CHUNK else None
        return cls(length, float(data.RESAMPLE_FS), str(data.LABEL_ALIGN), int(process.get("CHUNK_STRIDE", 0)))

    def start(self, number: int) -> int:
        """The first frame of clip `number`."""
        return number * (self.stride or self.length or 0)

    def part(self, number: int) -> slice:
        """The frames of clip `number`; all there are where one clip is all."""
        start = self.start(number)
        return slice(start, start + self.length if self.length else None)


@dataclass(frozen=True)
class Predicted:
    """What a network gave for one recording.

    clips       number of the clip -> {name of the output: array, "label" (of `ppg`) or "label_<name>": array}
    fs          frames per second of the clips; 0: those of the entry
    entry       the recording in the cache; None for rPPG-Toolbox's chunks: the labels of the clips are all there is
    label_type  Raw | Standardized | DiffNormalized: what was done to labels that are waves
    source      the entry; of windows, which have none, what the data set holds of them (`WindowSource`)
    """

    id: str
    subject: str
    clips: Clips
    fs: float = 0.0
    entry: Any = None
    reading: Reading = field(default_factory=Reading)
    label_type: str = "Raw"
    source: Any = None

    @property
    def rate(self) -> float:
        """Frames per second."""
        return float(self.fs or self.entry.fs)

    @property
    def info(self) -> Mapping[str, Any]:
        """What the data set says of the recording."""
        return {} if self.entry is None else self.entry.info

    @property
    def frames(self) -> int | None:
        """Frames of the whole video as stored; None without video."""
        faces = None if self.entry is None else self.entry.faces
        return None if faces is None else len(faces)

    @property
    def count(self) -> int | None:
        """Frames of the whole video as it was read; None without video."""
        count, again = self.frames, self.reading.resample_fs
        return len(self.grid) if count is not None and again else count

    @property
    def grid(self) -> np.ndarray | None:
        """Seconds of the frames as they were read; None where nothing is known but their rate."""
        times, again = (None if self.entry is None else self.entry.times), self.reading.resample_fs
        if self.frames is None or not again:
            return times
        return resample_grid(times, self.frames, float(self.entry.fs), again)[0]

    @property
    def ordered(self) -> list[tuple[int, Mapping[str, np.ndarray]]]:
        """(number, outputs) of the clips in their order."""
        return [(number, self.clips[number]) for number in sorted(self.clips)]

    def label(self, number: int, name: str) -> np.ndarray | None:
        """The label of a clip for the output `name`; None without one."""
        return self.clips[number].get(label_key(name))

    def places(self, name: str) -> np.ndarray:
        """Numbers (L,) of the frames that the output `name`, one value a frame, was predicted for; each one once."""
        return np.unique(self._places(name))

    def joined(self, name: str) -> np.ndarray:
        """The output `name` (L, ...) of all clips; where clips overlap, that of the first."""
        return self._once(name, np.concatenate([parts[name] for _, parts in self.ordered]))

    def joined_label(self, name: str) -> np.ndarray:
        """The label of the output `name` at the same frames; NaN where a clip has none."""
        parts = [self.label_or_nan(number, name) for number, _ in self.ordered]
        return self._once(name, np.concatenate(parts))

    def label_or_nan(self, number: int, name: str) -> np.ndarray:
        """The label of a clip for the output `name`, NaN of the shape of the output without one."""
        label = self.label(number, name)
        return np.full(self.clips[number][name].shape, np.nan, dtype=np.float32) if label is None else label

    def _places(self, name: str) -> np.ndarray:
        return np.concatenate(
            [self.reading.start(number) + np.arange(len(parts[name])) for number, parts in self.ordered]
        )

    def _once(self, name: str, values: np.ndarray) -> np.ndarray:
        _, first = np.unique(self._places(name), return_index=True)
        return values if len(first) == len(values) else values[first]


@dataclass(frozen=True)
class Head:
    """An output of a method, and how the run evaluates it.

    name      of the output                           parts     what the columns of the output are called; (): one
    kind      as registered in KINDS                  units     by name of the output or part
    method    of the network, for tables              constant  what the kind's `training` found in the training data
    settings  of the run's evaluation                 validation  what its `validation` found, None without
    options   what the method says of its evaluation, as plain values
    """

    name: str
    kind: str
    method: str
    settings: Settings
    parts: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    constant: Any = None
    validation: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def evaluator(self) -> "Kind":
        """What evaluates it."""
        return KINDS[self.kind]()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns; its own name where there is one."""
        return self.parts or (self.name,)


PLOTS = "bland_altman_plots"  # folder below <LOG.PATH>/<EXP_DATA_NAME>, as rPPG-Toolbox has it


@dataclass(frozen=True)
class Names:
    """Where a run writes: `id` starts the names of files."""

    id: str
    title: str
    outputs: Path  # folder of the output pickles
    plots: Path  # folder of rPPG-Toolbox's Bland-Altman plots
    folder: Path  # the run's own folder
    others: tuple[tuple[str, Path], ...] = ()  # what else lies under rPPG-Toolbox's names: what it is, the folder

    def marked(self, rendered: bool) -> "Names":
        """The same with a title that tells rendered data from measurements of people."""
        return replace(self, title=f"{self.title} (RENDERED DATA)") if rendered else self


@dataclass(frozen=True)
class Picture:
    """A picture of the report: the name of its file, the caption, and the function that draws it at a path."""

    file: str
    caption: str
    draw: Callable[[Path], Any]


class Kind:
    """How outputs of one kind become numbers, words and pictures; the defaults suit a kind with nothing special.

    per     what a prediction is of: "frame", "clip" or "recording"
    label   the kind of label such an output learns from: "wave", "codes", "scalar" or None

    A row is anything with `id`, `subject` and `note`: what a recording (a clip, a window of it) leaves; the note says
    why it enters no number, and is empty for those that do. `found` is what `metrics` returns, anything with `rows`.
    """

    per = "clip"
    label: str | None = None
    windows = False  # whether `training` knows what to do with sources that are windows
    box: tuple[str, ...] = ()  # printed above the lines where a method has several outputs

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[Any]:
        """What the recordings leave; [] when not one has a reference, and then the output is said to go unjudged."""
        raise NotImplementedError

    def metrics(self, rows: Sequence[Any], head: Head) -> Any:
        """All numbers of these rows. They can come from several tests (folds)."""
        raise NotImplementedError

    def section(self, found: Any, head: Head) -> Section:
        """What report.md, metrics.json and the CSV files say."""
        raise NotImplementedError

    def title(self, head: Head) -> str:
        """What reports call the output."""
        return head.name

    def lines(self, found: Any, head: Head) -> list[str]:
        """What is printed."""
        return []

    def plots(self, found: Any, head: Head) -> list[Picture]:
        """Pictures of the report."""
        return []

    def agreement(self, found: Any, head: Head, names: Names) -> None:
        """Draw rPPG-Toolbox's Bland-Altman files, where METRICS asks for them and the kind has them."""

    def merge(self, parts: Sequence[Any], head: Head) -> Any:
        """The results of several tests (folds) as that of all their rows."""
        return self.metrics([row for part in parts for row in part.rows], head)

    def evaluate(self, recordings: Sequence[Predicted], head: Head) -> Any:
        """The result of a test; None when not one recording has a reference."""
        rows = self.rows(recordings, head)
        return self.metrics(rows, head) if rows else None

    def training(self, entries: Iterable[Any], head: Head) -> Any:
        """What a baseline needs of the recordings that are trained on; read by `head.constant`."""
        return None

    def validation(self, recordings: Sequence[Predicted], head: Head) -> Any:
        """What a test needs of the validation recordings as the tested weights predict them; `head.validation`."""
        return None

    def remembered(self, head: Head) -> dict[str, Any] | None:
        """Plain values for the fields of `head` that a later test of the same weights gets back; None: it gets none."""
        return None

    def judged(self, found: Any) -> bool:
        """Whether there was anything to compare with."""
        return True

    def notes(self, found: Any) -> list[str]:
        """Sentences for the head of the report."""
        return []

    def summary(self, found: Any) -> dict[str, Any]:
        """The numbers of one fold, for the table of folds: column -> value."""
        return {}

    def scope(self, found: Any) -> str:
        """What `summary` is of, for its heading."""
        return ""

    def lost(self, found: Any) -> tuple[set[str], dict[str, str]]:
        """Recordings with at least one row that counts, and the others with the first reason."""
        seen = {row.id for row in found.rows if not row.note}
        reasons: dict[str, str] = {}
        for row in found.rows:
            if row.id not in seen:
                reasons.setdefault(row.id, row.note)
        return seen, reasons

    def save(self, recordings: Sequence[Predicted], head: Head, names: Names) -> Path:
        """Write the outputs as rPPG-Toolbox writes the pulse's: <id>_<output>_outputs.pickle."""
        return save_outputs(recordings, head.name, names.outputs / f"{names.id}_{head.name}_outputs.pickle", "Raw")


def size_of(rows: Sequence[Any], unit: str) -> str:
    """What numbers are of: the rows without a `note`, each a `unit`, whose they are, and how many are left out."""
    used = [row for row in rows if not row.note]
    subjects = plural(len({row.subject for row in used}), "subject")
    left_out = f", {len(rows) - len(used)} left out" if len(used) < len(rows) else ""
    return f"n = {plural(len(used), unit)} of {subjects}{left_out}"


def left_out(rows: Sequence[Any], file: str) -> list[str]:
    """Markdown of the rows that give no score, each with its `note`; `file` says where all of them stand."""
    lines = [f"- {row.id}{'' if row.clip is None else f', clip {row.clip}'}: {row.note}" for row in rows if row.note]
    return ["Left out:", some(lines, file)] if lines else []


def targets_of(source: Any, columns: Sequence[str]) -> np.ndarray:
    """Targets (n, columns) of a recording, or of each of its windows, of which none is read; NaN where unknown."""
    if hasattr(source, "windows"):
        known, nothing = source.windows.targets, np.full(len(source.rows), np.nan)
        return np.stack([known[name][source.rows] if name in known else nothing for name in columns], axis=1)
    return np.array([[source.targets.get(name, np.nan) for name in columns]], dtype=float)


def save_outputs(recordings: Sequence[Predicted], name: str, path: Path, label_type: str) -> Path:
    """Write the output `name` and its labels, NaN without, clip by clip; returns the path."""
    values = {one.id: {number: np.atleast_1d(parts[name]) for number, parts in one.clips.items()} for one in recordings}
    truth = {
        one.id: {number: np.atleast_1d(one.label_or_nan(number, name)) for number in one.clips} for one in recordings
    }
    return write_outputs(path, values, truth, label_type, {one.id: one.fs for one in recordings})
