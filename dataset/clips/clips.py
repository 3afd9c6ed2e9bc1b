"""Clips for networks: memory-mapped slices of the cached faces with their labels, and how samples become a batch.

Faces leave here as stored, in uint8; `transforms.normalise` works on the device. Nothing is random here: which clips
make a batch is planned elsewhere, and a training may ask for a clip some frames beside its place.
"""

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips import labels
from dataset.clips.resampling import measure, resample_grid, resampled
from dataset.store.statistics import Stats

OPEN_FILES = 32  # memory maps a worker keeps open: each holds a file descriptor


@dataclass(frozen=True)
class Side:
    """A label beside the first one: signal `name` of a recording, or its signals `parts` as columns.

    `kind` wave: interpolated at the frames and transformed as LABEL_TYPE says; any other: the nearest sample, as it is.
    What a recording lacks is NaN; of classes -1, which means: not coded. Where a `required` one is missing from a
    recording, and labels are required, the recording fails.
    """

    name: str
    kind: str = "wave"
    parts: tuple[str, ...] = ()
    required: bool = False

    @property
    def missing(self) -> float:
        """Value in place of a signal that is not there."""
        return -1.0 if self.kind == "classes" else math.nan


@dataclass(frozen=True)
class ClipOptions:
    """How recordings become clips.

    chunk_length    frames of a clip; the rest at the end of a recording is dropped
    do_chunk        False: one clip is the whole recording, whatever its length
    label           name of the signal; None: no labels
    label_required  a recording without a usable label fails; otherwise its label is NaN
    pseudo          the POS signal of the whole frame instead of a measured one
    sides           further labels; those that no recording has are left out
    keep            says of a clip's label (T,) and its fs (Hz) whether the clip is used; the others keep their numbers
    resample_fs     frames per second to read at; 0: as recorded
    bands           RGB, T (thermal) or RGBT: the channels of a clip; those of heat are degrees Celsius, float32
    """

    chunk_length: int = 180
    do_chunk: bool = True
    label: str | None = "ppg"
    label_type: str = "Raw"
    label_align: str = "auto"
    label_required: bool = True
    pseudo: bool = False
    resample_fs: float = 0.0
    keep: Callable[[np.ndarray, float], bool] | None = None
    sides: tuple[Side, ...] = ()
    bands: str = "RGB"


@dataclass(frozen=True)
class Track:
    """What a worker needs of one recording; small enough to be sent to each."""

    id: str
    subject: str
    fs: float
    videos: tuple[str | np.ndarray, ...]  # paths of the arrays (T, H, W, C) side by side, or arrays without a file
    count: int  # frames as read, after resampling
    label: np.ndarray | None  # (count,) float32
    stats: np.ndarray  # (3,) float32: mean, std, std of the relative differences; (C, 3) where channels have their own
    positions: np.ndarray | None  # (count,) where in the stored frames each frame lies; None: as stored
    sides: Mapping[str, np.ndarray] = field(default_factory=dict)  # (count,) or (count, columns) float32


class ClipDataset(Dataset):
    """Clips of `ids` in that order, each recording from its first clip to its last.

    `entries(id)` gives the cache entry: faces (T, H, W, C) uint8, times, fs, signals, stats, subject. `select` names
    the clips of a recording (id -> numbers) when not all are wanted. A sample is a dict:

        video (C, T, H, W) uint8, next_frame (C, H, W) uint8, has_next bool, stats (3,) float32, ppg (T,) float32 (under
        the name of the label), side labels (T,) or (T, columns) float32, recording, subject, clip (its number),
        fs (Hz), index (in this data set)

    With thermal channels video and next_frame are float32; RGBT has stats (4, 3), a row for each channel.

    A recording that cannot be cut (too short, label unusable) is not among the clips but in `failed` (id, reason);
    `dropped` counts the frames left over per recording, `notes` says what is odd about labels.
    """

    def __init__(
        self,
        entries: Callable[[str], Any],
        ids: Sequence[str],
        options: ClipOptions | None = None,
        select: Mapping[str, Sequence[int]] | None = None,
    ):
        """Read everything of each recording but its pixels."""
        self.options = options or ClipOptions()
        self.tracks: list[Track] = []
        self.failed: list[tuple[str, str]] = []
        self.dropped: dict[str, int] = {}
        self.notes: list[str] = []
        self.clips: list[tuple[int, int, int, int]] = []  # track, first frame, frame after the last, number
        self._bounds: list[tuple[int, int]] = []  # first frame, frame after the last of where a clip may be moved
        self._open: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        for name in ids:
            self._add(entries(name), None if select is None else select.get(name, ()))
        self._level_sides()

    def __len__(self) -> int:
        """Clips of all recordings."""
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample with this number."""
        number, start, stop, clip = self.clips[index]
        if isinstance(index, Shifted):
            start, stop = start + index.shift, stop + index.shift
        track = self.tracks[number]
        block = torch.from_numpy(self._read(number, start, min(stop + 1, track.count)))
        length, has_next = stop - start, stop < track.count
        sample = {
            "video": block[:length].permute(3, 0, 1, 2),
            "next_frame": (block[length] if has_next else torch.zeros_like(block[0])).permute(2, 0, 1),
            "has_next": has_next,
            "stats": torch.from_numpy(track.stats),
            "recording": track.id,
            "subject": track.subject,
            "clip": clip,
            "fs": track.fs,
            "index": int(index),
        }
        if track.label is not None:
            sample[self.options.label or "ppg"] = torch.from_numpy(track.label[start:stop])
        for name, values in track.sides.items():
            sample[name] = torch.from_numpy(values[start:stop])
        return sample

    def __getstate__(self) -> dict[str, Any]:
        """All but the open files: a memory map would be copied into the pickle."""
        return {**self.__dict__, "_open": OrderedDict()}

    def room(self, index: int) -> tuple[int, int]:
        """How many frames the clip may be moved (at most 0, at least 0) within its recording, or the selected clips."""
        _, start, stop, _ = self.clips[index]
        first, last = self._bounds[index]
        return first - start, last - stop

    @property
    def recordings(self) -> list[str]:
        """Ids of the recordings that have clips, in order."""
        return [track.id for track in self.tracks]

    def lengths(self, recording: str) -> list[int]:
        """Frames of each clip of `recording`, in order."""
        return [stop - start for number, start, stop, _ in self.clips if self.tracks[number].id == recording]

    def _add(self, entry: Any, wanted: Sequence[int] | None) -> None:
        try:
            track, notes = make_track(entry, self.options)
            ranges = chunks(track.count, self.options.chunk_length if self.options.do_chunk else track.count)
            numbers = self._kept(track, ranges, _numbers(ranges, wanted))
        except ValueError as error:
            self.failed.append((entry.id, str(error)))
            return
        self.notes += [f"{entry.id}: {note}" for note in notes]
        self.dropped[track.id] = track.count - ranges[-1][1]
        self.clips += [(len(self.tracks), *ranges[number], number) for number in numbers]
        self._bounds += [(0, track.count)] * len(numbers) if wanted is None else _runs([ranges[n] for n in numbers])
        self.tracks.append(track)

    def _level_sides(self) -> None:
        """All samples get the same side labels: those that at least one recording has, with gaps in the others."""
        for side in self.options.sides:
            lacking = [track for track in self.tracks if side.name not in track.sides]
            if 0 < len(lacking) < len(self.tracks):
                self.notes.append(f"{len(lacking)} of {len(self.tracks)} recordings have no usable {side.name!r}")
            if len(lacking) < len(self.tracks):
                self.tracks = [_with_gap(track, side) for track in self.tracks]

    def _kept(self, track: Track, ranges: Sequence[tuple[int, int]], numbers: Sequence[int]) -> Sequence[int]:
        """Those of `numbers` whose labels are good enough; ValueError when none is."""
        if self.options.keep is None or track.label is None:
            return numbers
        kept = [number for number in numbers if self.options.keep(track.label[slice(*ranges[number])], track.fs)]
        if not kept:
            raise ValueError(f"the labels of all {len(numbers)} clips are poor. Leave the recording out.")
        if len(kept) < len(numbers):
            self.notes.append(f"{track.id}: {len(numbers) - len(kept)} of {len(numbers)} clips have poor labels")
        return kept

    def _read(self, number: int, start: int, stop: int) -> np.ndarray:
        track = self.tracks[number]
        videos = [self._video(number, place) for place in range(len(track.videos))]
        if track.positions is None:
            parts = [np.array(video[start:stop]) for video in videos]
        else:
            parts = [resampled(video, track.positions[start:stop]) for video in videos]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=3)  # in the widest type: float32

    def _video(self, number: int, place: int) -> np.ndarray:
        key = number, place
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        video = open_faces(self.tracks[number].videos[place])
        self._open[key] = video
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)
        return video


class Shifted(int):
    """Index of a clip that is read so many frames later than it lies (negative: earlier); see `ClipDataset.room`."""

    shift: int

    def __new__(cls, index: int, shift: int) -> "Shifted":
        """The clip `index`, `shift` frames later."""
        number = super().__new__(cls, index)
        number.shift = int(shift)
        return number

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        """As it is sent to a worker."""
        return Shifted, (int(self), self.shift)


def chunks(count: int, length: int) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of the whole chunks of `length` in `count` frames.

    Raises ValueError when not even one fits.
    """
    if count < max(length, 1):
        raise ValueError(
            f"too short: {count} frames, a clip has {length} (CHUNK_LENGTH). "
            f"Use a smaller CHUNK_LENGTH, or leave the recording out."
        )
    return [(start, start + length) for start in range(0, count - length + 1, length)]


def make_track(entry: Any, options: ClipOptions) -> tuple[Track, list[str]]:
    """Everything about one cache entry but its pixels, and remarks on its label; ValueError when it is unusable."""
    stored = len(entry.faces)
    if not stored:
        raise ValueError("no frames")
    times, positions, fs = entry.times, None, float(entry.fs)
    if options.resample_fs > 0:
        times, positions = resample_grid(entry.times, stored, fs, options.resample_fs)
        fs = float(options.resample_fs)
    bands = _bands(entry, options.bands)
    count = stored if positions is None else len(positions)
    label, notes = _label(entry, times, count, fs, options)
    sides = _sides(entry, times, count, options, notes)
    track = Track(
        id=entry.id,
        subject=entry.subject,
        fs=fs,
        videos=tuple(_place(video) for video, _ in bands),
        count=count,
        label=None if label is None else label.astype(np.float32),
        stats=_statistics(bands, positions),
        positions=positions,
        sides=sides,
    )
    return track, notes


def _bands(entry: Any, bands: str) -> list[tuple[np.ndarray, Stats]]:
    """The arrays (T, H, W, C) that make up the channels, each with its statistics; ValueError without thermal ones."""
    colour, thermal = [(entry.faces, entry.stats)], getattr(entry, "thermal", None)
    if bands == "RGB":
        return colour
    if thermal is None:
        raise ValueError(f"no thermal frames in the cache, which DATA_MODE {bands} needs. Use DATA_MODE RGB")
    heat = [(thermal, entry.thermal_stats)]
    return heat if bands == "T" else colour + heat


def _place(video: np.ndarray) -> str | np.ndarray:
    """Where a memory map lies; any other array itself."""
    path = getattr(video, "filename", None)
    return video if path is None else os.fspath(path)


def _statistics(bands: list[tuple[np.ndarray, Stats]], positions: np.ndarray | None) -> np.ndarray:
    """(3,) float32, or (C, 3) with a row for each channel of several arrays; of the frames at `positions` if any."""
    rows = []
    for video, stats in bands:
        if positions is not None:
            stats = measure(lambda start, stop, video=video: resampled(video, positions[start:stop]), len(positions))
        rows += [[stats.mean, stats.std, stats.diff_std]] * (video.shape[3] if len(bands) > 1 else 1)
    return np.array(rows if len(bands) > 1 else rows[0], dtype=np.float32)


def open_faces(faces: str | np.ndarray) -> np.ndarray:
    """The stored frames (T, H, W, C), memory-mapped; ValueError naming the file when it is damaged."""
    if not isinstance(faces, (str, os.PathLike)):
        return faces
    try:
        return np.lib.format.open_memmap(faces, mode="r")  # np.load would also open zip archives and pickles
    except (ValueError, EOFError, OverflowError) as error:
        raise ValueError(
            f"'{faces}' is damaged ({error}). Delete its folder '{Path(faces).parent}'; it is made again."
        ) from error


# --- Labels ---------------------------------------------------------------------------------------------------------


def frame_label(
    entry: Any, times: np.ndarray | None, count: int, fs: float, options: ClipOptions
) -> tuple[np.ndarray, list[str]]:
    """Untransformed label (count,) of a recording at `times`, and remarks; ValueError without a usable one."""
    if options.pseudo:
        return _pseudo_label(entry, times, count), []
    if options.label not in entry.signals:
        hint = "; USE_PSUEDO_PPG_LABEL: True trains on POS signals instead" if "ecg" in entry.signals else ""
        raise ValueError(f"no signal {options.label!r} (it has: {', '.join(entry.signals) or 'none'}){hint}")
    signal = entry.signals[options.label]
    values = labels.align(signal, times, count, options.label_align)
    by_time = labels.by_timestamps(signal, times, options.label_align)
    note = "" if by_time else labels.length_note(signal, count, fs)
    return values, [note] if note else []


def _label(
    entry: Any, times: np.ndarray | None, count: int, fs: float, options: ClipOptions
) -> tuple[np.ndarray | None, list[str]]:
    if options.label is None:
        return None, []
    try:
        values, notes = frame_label(entry, times, count, fs, options)
    except ValueError as error:
        if options.label_required:
            raise
        return np.full(count, np.nan), [f"without label: {error}"]
    return labels.transform(values, options.label_type), notes


def _sides(
    entry: Any, times: np.ndarray | None, count: int, options: ClipOptions, notes: list[str]
) -> dict[str, np.ndarray]:
    """The side labels that the recording has; `notes` gets why one that was recorded cannot be used."""
    found = {}
    for side in options.sides:
        try:
            values = _side(entry, times, count, side, options)
        except ValueError as error:
            if side.required and options.label_required:
                raise
            if any(part in entry.signals for part in side.parts or (side.name,)):
                notes.append(f"without {side.name!r}: {error}")
            continue
        found[side.name] = values.astype(np.float32)
    return found


def _side(entry: Any, times: np.ndarray | None, count: int, side: Side, options: ClipOptions) -> np.ndarray:
    """Label (count,) or (count, parts) of `side`; ValueError when not one of its signals is there."""
    names = side.parts or (side.name,)
    if not any(name in entry.signals for name in names):
        raise ValueError(f"no signal {', '.join(map(repr, names))}")
    columns = [_column(entry.signals.get(name), times, count, side, options) for name in names]
    return np.stack(columns, axis=1) if side.parts else columns[0]


def _column(signal: Any, times: np.ndarray | None, count: int, side: Side, options: ClipOptions) -> np.ndarray:
    if signal is None:
        return np.full(count, side.missing)
    if side.kind == "wave":
        return labels.transform(labels.align(signal, times, count, options.label_align), options.label_type)
    values = labels.pick(signal, times, count, options.label_align)
    return np.where(np.isnan(values), side.missing, values)


def _with_gap(track: Track, side: Side) -> Track:
    """`track` with a side label, made of gaps where it has none."""
    if side.name in track.sides:
        return track
    shape = (track.count, len(side.parts)) if side.parts else (track.count,)
    gap = np.full(shape, side.missing, dtype=np.float32)
    return replace(track, sides={**track.sides, side.name: gap})


def _pseudo_label(entry: Any, times: np.ndarray | None, count: int) -> np.ndarray:
    trace = getattr(entry, "frame_trace", None)
    if trace is None:
        raise ValueError(
            "no mean colour of the whole frame in the cache, which a pseudo label is made of: "
            "it is added when DATA_PATH holds the video (DO_PREPROCESS: True tries again)"
        )
    wave = labels.pos_pseudo_label(trace, float(entry.fs))
    if len(wave) == count:
        return wave
    own_times = np.arange(len(wave)) / entry.fs if entry.times is None else entry.times
    return np.interp(times, own_times, wave)


def _numbers(ranges: Sequence[tuple[int, int]], wanted: Sequence[int] | None) -> Sequence[int]:
    if wanted is None:
        return range(len(ranges))
    beyond = sorted(number for number in wanted if not 0 <= number < len(ranges))
    if beyond:
        raise ValueError(f"the list names clip {beyond[0]}, but the recording has clips 0 to {len(ranges) - 1}")
    return sorted(set(wanted))


def _runs(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each of rising `ranges` the whole stretch of ranges without a gap that it belongs to."""
    stretches: list[list[tuple[int, int]]] = []
    for one in ranges:
        if stretches and stretches[-1][-1][1] == one[0]:
            stretches[-1].append(one)
        else:
            stretches.append([one])
    return [(run[0][0], run[-1][1]) for run in stretches for _ in run]


# --- Batches --------------------------------------------------------------------------------------------------------


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One batch of samples: tensors stacked, numbers as tensors, texts as lists.

    Videos are stacked as they lie in memory (channels last) and only viewed as (B, C, T, H, W): the copy stays one
    straight run, and `normalise` changes the order on the device. Raises ValueError for clips of different lengths.
    """
    return {key: _stacked(key, [sample[key] for sample in samples]) for key in samples[0]}


def _stacked(key: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        if any(value.shape != first.shape for value in values):
            raise ValueError(
                f"A batch holds {key} of different sizes ({', '.join(str(tuple(value.shape)) for value in values)}). "
                f"With DO_CHUNK: False or mixed recordings use a BATCH_SIZE of 1."
            )
        if first.ndim == 4:
            return torch.stack([value.permute(1, 2, 3, 0) for value in values]).permute(0, 4, 1, 2, 3)
        return torch.stack(values)
    if isinstance(first, bool):
        return torch.tensor(values, dtype=torch.bool)
    if isinstance(first, int):
        return torch.tensor([int(value) for value in values])
    return torch.tensor(values, dtype=torch.float32) if isinstance(first, float) else values
