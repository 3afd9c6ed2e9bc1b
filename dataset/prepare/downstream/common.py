"""What all preparations share: rates, windows, parts, and the way to the folder.

Rate rule: a signal is brought to 125 Hz with a low-pass, then its windows are cut or padded to 1,250 samples; no window
is stretched over another duration, unless `resize` says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips.resampling import Grid, change_rate
from dataset.files.downstream import FolderWriter, Meta
from dataset.files.lookup import below, listed
from dataset.files.names import natural_key, plural
from dataset.files.writing import write_whole
from dataset.prepare.splits import draw
from dataset.progress import show_progress
from registry import PREPARATIONS

PARTS = ("train", "val", "test")
FS, LENGTH = 125.0, 1250
RESIZES = ("crop", "stretch")


@dataclass(frozen=True)
class Options:
    """What the flags of tools/prepare_downstream.py say.

    rate    Hz; 0: as recorded, whatever length windows have    resize  crop (and pad), or stretch as CM-SSL does
    seed    of the draw of people                               breaths intervals, or counts
    """

    rate: float = FS
    resize: str = "crop"
    seed: int = 42
    label_unit: str = ""
    mode: str = "windows"
    breaths: str = "intervals"
    annotator: int = 1
    drop_unlabelled: bool = False

    @property
    def length(self) -> int:
        """Samples of a window; 0: as many as it has."""
        return round(LENGTH * self.rate / FS)


@dataclass(frozen=True)
class Piece:
    """Windows (k, C, L) of one recording with their labels (k, K); `part` where the data set itself says it."""

    subject: str
    windows: np.ndarray
    labels: np.ndarray
    recording: str = ""
    part: str = ""


class Preparation:
    """A data set on its way to windows; subclasses register in PREPARATIONS and say what its files are.

    `source` is what meta.json cites; `used` the flags that change something.
    """

    channels: tuple[str, ...] = ("ppg",)
    labels: tuple[str, ...] = ()
    task = "regression"
    units: Mapping[str, str] = {}
    classes: tuple[str, ...] = ()
    vote = False
    source = ""
    used: tuple[str, ...] = ()
    ratios = (0.8, 0.1, 0.1)

    def __init__(self, raw: Path, options: Options):
        """Look at what is there; FileNotFoundError where nothing is."""
        self.raw, self.options = raw, options
        self.skipped: dict[str, str] = {}  # recording -> why it gave nothing
        self.about: dict[str, Any] = {}  # what else meta.json says

    def subjects(self) -> list[str]:
        """Names of all people, to be drawn into parts; [] where the data set divides them itself."""
        raise NotImplementedError

    def pieces(self) -> Iterator[Piece]:
        """Recording after recording."""
        raise NotImplementedError

    def beside(self) -> dict[str, str]:
        """Further files of the folder: name -> content."""
        return {}

    def parts(self) -> dict[str, str]:
        """Subject -> part, drawn by the seed; SplitError where there are too few."""
        names = self.subjects()
        return part_of(names, self.ratios, self.options.seed) if names else {}

    def files(self, pattern: str, what: str) -> list[Path]:
        """The files below the folder that match, in natural order; FileNotFoundError says what was looked for."""
        found = sorted(below(self.raw, pattern), key=lambda path: natural_key(str(path)))
        if not found:
            raise FileNotFoundError(f"'{self.raw}' holds no {pattern} ({what}). --raw names the unpacked data set.")
        return found

    def windows(self, wave: np.ndarray, fs: float, seconds: float, shift: float) -> tuple[np.ndarray, int]:
        """Windows (k, C, L) of a wave (C, T), every `shift` s, as the options have them; and k."""
        found = prepared(wave, fs, self.options, seconds, shift)
        return found, len(found)


def part_of(names: list[str], ratios: tuple[float, ...], seed: int) -> dict[str, str]:
    """Subject -> train, val or test."""
    drawn = draw(names, ratios, seed)
    return {name: part for part, some in zip(PARTS, drawn, strict=True) for name in some}


# --- Rates and windows ----------------------------------------------------------------------------------------------


def prepared(wave: np.ndarray, fs: float, options: Options, seconds: float, shift: float) -> np.ndarray:
    """Windows (k, C, L) float32 of a wave (C, T) at `fs` (Hz), each of `seconds`, every `shift` seconds."""
    wave = np.atleast_2d(np.asarray(wave))
    if options.rate and options.resize == "crop":
        grid = Grid(None, fs, wave.shape[1]).to(options.rate)
        wave, fs = change_rate(wave, grid.up, grid.down), grid.fs
    return fitted(cut(wave, fs, seconds, shift), options)


def cut(wave: np.ndarray, fs: float, seconds: float, shift: float) -> np.ndarray:
    """Windows (k, C, L) of a wave (C, T): all that lie wholly in it."""
    length, total = round(seconds * fs), wave.shape[1]
    count = int((total - length) / (shift * fs) + 1e-9) + 1 if total >= length else 0
    starts = np.rint(np.arange(count) * shift * fs).astype(int)
    starts = np.minimum(starts, total - length)
    return (
        np.stack([wave[:, start : start + length] for start in starts]) if count else np.empty((0, len(wave), length))
    )


def fitted(windows: np.ndarray, options: Options) -> np.ndarray:
    """Windows (k, C, L) with as many samples as the options say: the middle, or padded at the end with their mean."""
    length, own = options.length, windows.shape[-1]
    if not length or own == length or not len(windows):
        return windows.astype(np.float32)
    if options.resize == "stretch":
        grid = Grid(None, float(own), own).to(float(length))
        return change_rate(windows, grid.up, grid.down)[..., :length]
    if own > length:
        start = (own - length) // 2
        return windows[..., start : start + length].astype(np.float32)
    mean = windows.mean(axis=-1, keepdims=True)
    padding = np.broadcast_to(mean, (*windows.shape[:-1], length - own))
    return np.concatenate([windows, padding], axis=-1).astype(np.float32)


# --- To the folder --------------------------------------------------------------------------------------------------


@dataclass
class Done:
    """What was written: windows and subjects of each part, windows with NaN that were dropped, recordings skipped."""

    counts: dict[str, dict[str, int]]
    dropped: int
    skipped: dict[str, str]
    notes: list[str] = field(default_factory=list)


def prepare(name: str, raw: Path, out: Path, options: Options) -> Done:
    """Write the folder of the data set called `name`. ValueError, FileNotFoundError, SplitError; nothing is left then.

    A recording that cannot be read is skipped and named; the draw of people does not depend on it.
    """
    if not raw.is_dir():
        raise FileNotFoundError(f"--raw '{raw}' is no folder. Name the one with the unpacked data set.")
    one: Preparation = PREPARATIONS[name](raw, options)
    parts = one.parts()
    with show_progress(None, f"Preparing {name}", len(one.subjects()) or None, "recordings") as progress:
        stream = one.pieces()
        first = next(stream, None)
        if first is None:
            raise ValueError(f"'{raw}' gives not one window of {name}. {_why(one.skipped)}")
        meta = _meta(name, one, first)
        with FolderWriter(out, meta) as writer:
            for piece in chain([first], stream):
                part = piece.part or parts[piece.subject]
                writer.add(part, piece.subject, piece.windows, piece.labels, piece.recording)
                progress.update(1)
            meta.about.update(one.about, skipped=dict(sorted(one.skipped.items())))
    for file, content in one.beside().items():
        write_whole(out / file, content)
    notes = [str(note) for key, note in one.about.items() if key.startswith("note")]
    return Done(writer.counts, writer.dropped, one.skipped, notes)


def _meta(name: str, one: Preparation, first: Piece) -> Meta:
    options = one.options
    about = {"source": one.source, "resize": options.resize if options.rate else "none", "seed": options.seed,
             **{key: getattr(options, key) for key in one.used}}  # fmt: skip
    rate = options.rate or float(one.about.get("rate", FS))
    return Meta(
        name, rate, first.windows.shape[2], one.channels, one.labels, one.task, dict(one.units), one.classes, one.vote,
        about,
    )  # fmt: skip


def _why(skipped: Mapping[str, str]) -> str:
    if not skipped:
        return "Is it the right folder?"
    reason = next(iter(skipped.values()))
    return f"{plural(len(skipped), 'recording')} skipped ({listed(list(skipped))}), the first because {reason}"
