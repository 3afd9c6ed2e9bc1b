"""Clips for networks: slices of the cached faces and signals with their labels, read when they are asked for.

Faces leave here as stored, in uint8; `transforms.normalise` works on the device. Nothing is random here: which clips
make a batch is planned elsewhere, and a training may ask for a clip some frames beside its place.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips.inputs import ClipOptions, Input, nominal
from dataset.clips.labels import Label
from dataset.clips.resampling import at_rate, resampled
from dataset.clips.track import Camera, Sensors, Track, blank, make_track, open_faces, streams_of
from unsupervised_methods.checks import grey_note, is_grey

OPEN_FILES = 32  # memory maps a worker keeps open: each holds a file descriptor
KEPT_BYTES = 1 << 28  # of resampled signals that a worker keeps


class Ask(int):
    """The number of a clip with the epoch it is read in, and how many frames later (negative: earlier) than it lies.

    A plain number to samplers and data sets that do not look; see `ClipDataset.room` for how far a clip may move.
    """

    epoch: int
    shift: int

    def __new__(cls, index: int, epoch: int = 0, shift: int = 0) -> "Ask":
        """The clip `index` in `epoch`, `shift` frames later."""
        number = super().__new__(cls, index)
        number.epoch, number.shift = int(epoch), int(shift)
        return number

    def __reduce__(self) -> tuple[type, tuple[int, int, int]]:
        """As it is sent to a worker."""
        return Ask, (int(self), self.epoch, self.shift)


class ClipDataset(Dataset):
    """Clips of `ids` in that order, each recording from its first clip to its last.

    `entries(id)` gives the cache entry: faces (T, H, W, C) uint8, times, fs, signals, stats, subject. `select` names
    the clips of a recording (id -> numbers) when not all are wanted. A sample is a dict:

        video (C, T, H, W) uint8, next_frame (C, H, W) uint8, has_next bool, stats (3,) float32
        a further camera "side" the same as side, side_next_frame, side_has_next, side_stats: the frames nearest in time
        a signal "ecg" (L,) or, of several `streams`, (C, L) float32: the same stretch of time
        labels by name: waves and codes (T,) or (T, columns), scalars () or (columns,) float32
        has_<name> bool for each optional input
        recording, subject, clip (its number), fs (Hz, of the first input), index (in this data set), and of an `Ask`
        epoch

    With thermal channels video and next_frame are float32; RGBT has stats (4, 3), a row for each channel. All samples
    have the same keys.

    A recording that cannot be cut (too short, label unusable) is not among the clips but in `failed` (id, reason);
    `dropped` counts the frames left over per recording, `notes` says what is odd about labels and inputs.
    """

    def __init__(
        self,
        entries: Callable[[str], Any],
        ids: Sequence[str],
        options: ClipOptions | None = None,
        select: Mapping[str, Sequence[int]] | None = None,
        others: Callable[[], Iterable[Any]] = tuple,
    ):
        """Read everything of each recording but its pixels and samples.

        `others()` gives further entries of the same data set: they tell the size of a camera that all of `ids` lack.
        """
        self.options = options or ClipOptions()
        self.entries = entries
        self.tracks: list[Track] = []
        self.failed: list[tuple[str, str]] = []
        self.dropped: dict[str, int] = {}
        self.notes: list[str] = []
        self.clips: list[tuple[int, int, int, int]] = []  # track, first frame, frame after the last, number
        self._bounds: list[tuple[int, int]] = []  # first frame, frame after the last of where a clip may be moved
        self._agreed: dict[str, tuple[float, int | None]] = {}  # rate (Hz) and length of each input in every clip
        self._open: OrderedDict[tuple[int, str, int], np.ndarray] = OrderedDict()
        self._waves: OrderedDict[tuple[int, str], list[np.ndarray]] = OrderedDict()
        self._wave_bytes = 0
        self._grey: list[str] = []  # recordings whose frames are looked at and have no colours
        self._blank: dict[str, np.ndarray] = {}  # an empty frame of each camera that all recordings lack
        for name in ids:
            self._add(entries(name), None if select is None else select.get(name, ()))
        self._entries = entries if any(isinstance(s, Sensors) for t in self.tracks for s in t.inputs.values()) else None
        if self._grey:
            self.notes.append(grey_note(self._grey, len(self.tracks)))
        self._level_labels()
        self._level_inputs(others)

    def __len__(self) -> int:
        """Clips of all recordings."""
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample with this number."""
        number, start, stop, clip = self.clips[index]
        if isinstance(index, Ask):
            start, stop = start + index.shift, stop + index.shift
        track = self.tracks[number]
        sample = self._clock(number, start, stop)
        for one in self.options.inputs[1:]:
            sample |= self._further(number, one, start, stop)
        sample |= {
            "recording": track.id,
            "subject": track.subject,
            "clip": clip,
            "fs": track.fs,
            "index": int(index),
        }
        if isinstance(index, Ask):
            sample["epoch"] = index.epoch
        for label in self.options.labels:
            if label.name in track.labels:
                sample[label.name] = _cut(label, track.labels[label.name], start, stop)
        return sample

    def __getstate__(self) -> dict[str, Any]:
        """All but the open files and what was read of them: a memory map would be copied into the pickle."""
        return {**self.__dict__, "entries": None, "_open": OrderedDict(), "_waves": OrderedDict(), "_wave_bytes": 0}

    def frames(self, number: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames (n, H, W, C) of the first input of the recording `tracks[number]`, cut at its end, and its stats."""
        track, one = self.tracks[number], self.options.inputs[0]
        source = track.inputs[one.name]
        return self._read(number, one.name, source, start, min(stop, track.count)), source.stats

    def room(self, index: int) -> tuple[int, int]:
        """How many frames the clip may be moved (at most 0, at least 0) within its recording, or the selected clips."""
        _, start, stop, _ = self.clips[index]
        first, last = self._bounds[index]
        return first - start, last - stop

    def scalars(self, name: str) -> np.ndarray:
        """The scalar label `name` of every clip as its samples have it, (n,) or (n, columns), no signal being read."""
        label = next(one for one in self.options.labels if one.name == name)
        return np.stack([_cut(label, self.tracks[k].labels[name], start, stop) for k, start, stop, _ in self.clips])

    @property
    def recordings(self) -> list[str]:
        """Ids of the recordings that have clips, in order."""
        return [track.id for track in self.tracks]

    def clip_lengths(self) -> list[int]:
        """Frames or samples of every clip: only clips of one length make a batch."""
        return [stop - start for _, start, stop, _ in self.clips]

    # --- making the table

    def _add(self, entry: Any, wanted: Sequence[int] | None) -> None:
        try:
            track, notes = make_track(entry, self.options)
            length = self.options.clip_length(track.fs)
            agreed = self._agree(track, length)
            ranges = chunks(track.count, track.count if length is None else length, self.options.stride)
            numbers = self._kept(track, ranges, _numbers(ranges, wanted))
        except ValueError as error:
            self.failed.append((entry.id, str(error)))
            return
        self._agreed |= agreed
        self.notes += [f"{entry.id}: {note}" for note in notes]
        self.dropped[track.id] = track.count - ranges[-1][1]
        self.clips += [(len(self.tracks), *ranges[number], number) for number in numbers]
        self._bounds += [(0, track.count)] * len(numbers) if wanted is None else _runs([ranges[n] for n in numbers])
        self.tracks.append(track)
        if any("faces" in streams_of(one, self.options) for one in self.options.inputs) and is_grey(entry.trace):
            self._grey.append(track.id)

    def _agree(self, track: Track, length: int | None) -> dict[str, tuple[float, int | None]]:
        """Rate and length of each input in a clip of `track`; ValueError when they are not those of the others.

        Not of inputs whose frames or samples are counted, whatever their rate: a video that is the clock, and signals
        at the rate of the clips.
        """
        found = {}
        for place, one in enumerate(self.options.inputs):
            source = track.inputs.get(one.name)
            if source is None or (place and one.fs is None and isinstance(source, Sensors)):
                continue
            if place:
                rate = _rate(track, one)
                count = None if length is None else round(length / nominal(track.fs) * rate)
            else:
                rate = 0.0 if isinstance(source, Camera) else one.fs or self.options.fs or nominal(track.fs)
                count = length
            known = self._agreed.get(one.name, (rate, count))
            if known != (rate, count):
                raise ValueError(
                    f"a clip has {count or 'all'} samples of {one.name!r} at {rate or track.fs:g} Hz, but in other "
                    f"recordings {known[1] or 'all'}{f' at {known[0]:g} Hz' if known[0] else ''}. "
                    f"Set {'the rate of that input' if place else 'RESAMPLE_FS'}, or leave the recording out."
                )
            found[one.name] = (rate, count)
        return found

    def _level_labels(self) -> None:
        """All samples get the same labels: those that at least one recording has, with gaps in the others."""
        for label in self.options.labels:
            lacking = [track.id for track in self.tracks if label.name not in track.labels]
            if 0 < len(lacking) < len(self.tracks):
                self.notes.append(f"{_some(lacking, self.tracks)} no usable label {label.name!r}: {_names(lacking)}")
                self.tracks = [_with_gap(track, label) for track in self.tracks]

    def _level_inputs(self, others: Callable[[], Iterable[Any]]) -> None:
        """Say what zeros stand in for; an input that no recording of the data set has is taken for a signal."""
        for one in self.options.inputs[1:]:
            lacking = [track.id for track in self.tracks if one.name not in track.inputs]
            if lacking:
                self.notes.append(f"{_some(lacking, self.tracks)} no {one.name!r}, zeros instead: {_names(lacking)}")
            if lacking and len(lacking) == len(self.tracks):
                found = (blank(entry, one, self.options) for entry in others())
                frame, fs = next((pair for pair in found if pair is not None), (None, 0.0))
                if frame is not None:
                    self._blank[one.name], self._agreed[one.name] = frame, (fs, None)

    def _kept(self, track: Track, ranges: Sequence[tuple[int, int]], numbers: Sequence[int]) -> Sequence[int]:
        """Those of `numbers` whose labels are good enough; ValueError when none is."""
        wave = next((one.name for one in self.options.labels if one.kind == "wave"), "")
        if self.options.keep is None or wave not in track.labels:
            return numbers
        values = track.labels[wave]
        kept = [number for number in numbers if self.options.keep(values[slice(*ranges[number])], track.fs)]
        if not kept:
            raise ValueError(f"the labels of all {len(numbers)} clips are poor. Leave the recording out.")
        if len(kept) < len(numbers):
            self.notes.append(f"{track.id}: {len(numbers) - len(kept)} of {len(numbers)} clips have poor labels")
        return kept

    # --- reading

    def _clock(self, number: int, start: int, stop: int) -> dict[str, Any]:
        """What the first input gives a sample: so many frames or samples from `start`."""
        track, one = self.tracks[number], self.options.inputs[0]
        source = track.inputs[one.name]
        if isinstance(source, Sensors):
            return self._stretch(number, one, source, start / track.fs, stop - start)
        block = self._read(number, one.name, source, start, min(stop + 1, track.count))
        return _frames(one, block, stop - start, stop < track.count, source.stats)

    def _further(self, number: int, one: Input, start: int, stop: int) -> dict[str, Any]:
        """What another input gives a sample: the same stretch of time."""
        track = self.tracks[number]
        source = track.inputs.get(one.name)
        rate, count = self._agreed.get(one.name, (float(one.fs or track.fs), None))
        if count is None:
            count = stop - start if rate == track.fs else round((stop - start) / nominal(track.fs) * rate)
        if source is None:
            sample = self._zeros(one, count)
        elif isinstance(source, Sensors):
            sample = self._stretch(number, one, source, track.when(start), count)
        else:
            numbers = source.at(track.when(start) + np.arange(count + 1) / rate)
            has_next = bool(numbers[-1] != numbers[-2])
            block = self._picked(number, one.name, source, numbers if has_next else numbers[:-1])
            sample = _frames(one, block, count, has_next, source.stats)
        return sample | ({f"has_{one.name}": source is not None} if one.optional else {})

    def _zeros(self, one: Input, count: int) -> dict[str, Any]:
        """As the recordings that have the input give it, but nothing in it."""
        if one.name in self._blank:
            frame = self._blank[one.name]
            return _frames(one, np.zeros((count, *frame.shape[1:]), frame.dtype), count, False, np.zeros(3, np.float32))
        for number, track in enumerate(self.tracks):
            like = track.inputs.get(one.name)
            if isinstance(like, Camera):
                frame = self._picked(number, one.name, like, np.zeros(1, dtype=int))
                return _frames(one, np.zeros((count, *frame.shape[1:]), frame.dtype), count, False, 0 * like.stats)
        return {one.name: torch.zeros((len(one.streams), count) if one.streams else count)}

    def _stretch(self, number: int, one: Input, source: Sensors, time: float, count: int) -> dict[str, Any]:
        """So many samples from `time` (s) on; beyond its ends a signal keeps its last value."""
        rows = []
        signals = self._signals(number, one.name, source)
        for values, grid, begin in zip(signals, source.grids, source.starts, strict=True):
            first = round((time - begin) * grid.fs)
            inside = values[max(first, 0) : max(first + count, 0)]
            if len(inside) < count:
                inside = values[np.clip(np.arange(first, first + count), 0, len(values) - 1)]
            rows.append(inside)
        return {one.name: torch.from_numpy(np.stack(rows) if one.streams else np.array(rows[0]))}

    def _signals(self, number: int, name: str, source: Sensors) -> list[np.ndarray]:
        """The whole signals at their new rate, kept for the next clip of the recording."""
        key = number, name
        if key not in self._waves:
            signals = self._entries(self.tracks[number].id).signals
            parts = zip(source.names, source.grids, strict=True)
            self._waves[key] = [at_rate(signals[part], grid) for part, grid in parts]
            self._wave_bytes += _bytes(self._waves[key])
            while self._wave_bytes > KEPT_BYTES and len(self._waves) > 1:
                self._wave_bytes -= _bytes(self._waves.popitem(last=False)[1])
        self._waves.move_to_end(key)
        return self._waves[key]

    def _read(self, number: int, name: str, source: Camera, start: int, stop: int) -> np.ndarray:
        videos = [self._video(number, name, place) for place in range(len(source.videos))]
        if source.positions is None:
            parts = [np.array(video[start:stop]) for video in videos]
        else:
            parts = [resampled(video, source.positions[start:stop]) for video in videos]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=3)  # in the widest type: float32

    def _picked(self, number: int, name: str, source: Camera, numbers: np.ndarray) -> np.ndarray:
        """The stored frames with these numbers, and no others."""
        parts = [self._video(number, name, place)[numbers] for place in range(len(source.videos))]
        return np.asarray(parts[0]) if len(parts) == 1 else np.concatenate(parts, axis=3)

    def _video(self, number: int, name: str, place: int) -> np.ndarray:
        key = number, name, place
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        video = open_faces(self.tracks[number].inputs[name].videos[place])
        self._open[key] = video
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)
        return video


def chunks(count: int, length: int, stride: int = 0) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of the whole chunks of `length` in `count` frames.

    They begin `stride` frames apart (0: `length`), so that they may overlap.
    Raises ValueError when not even one fits.
    """
    if count < max(length, 1):
        raise ValueError(
            f"too short: {count} frames, a clip has {length} (CHUNK_LENGTH). "
            f"Use a smaller CHUNK_LENGTH, or leave the recording out."
        )
    return [(start, start + length) for start in range(0, count - length + 1, stride or length)]


def _rate(track: Track, one: Input) -> float:
    """Frames or samples per second of a further input of `track` in a clip."""
    source = track.inputs[one.name]
    return float(one.fs or (nominal(source.fs) if isinstance(source, Camera) else track.fs))


def _frames(one: Input, block: np.ndarray, length: int, has_next: bool, stats: np.ndarray) -> dict[str, Any]:
    frames = torch.from_numpy(block)
    return {
        one.name: frames[:length].permute(3, 0, 1, 2),
        f"{one.prefix}next_frame": (frames[length] if has_next else torch.zeros_like(frames[0])).permute(2, 0, 1),
        f"{one.prefix}has_next": has_next,
        f"{one.prefix}stats": torch.from_numpy(stats),
    }


def _cut(label: Label, values: np.ndarray, start: int, stop: int) -> torch.Tensor:
    """The part of a label that belongs to a clip; of a scalar its mean."""
    if label.kind != "scalar":
        return torch.from_numpy(values[start:stop])
    if values.ndim == bool(label.parts):  # holds for the whole recording
        return torch.from_numpy(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN: NaN
        return torch.from_numpy(np.asarray(np.nanmean(values[start:stop], axis=0, dtype=float), dtype=np.float32))


def _with_gap(track: Track, label: Label) -> Track:
    """`track` with a label, made of gaps where it has none."""
    if label.name in track.labels:
        return track
    shape = (len(label.parts),) if label.parts else ()
    shape = shape if label.kind == "scalar" else (track.count, *shape)
    return replace(track, labels={**track.labels, label.name: np.full(shape, label.missing, dtype=np.float32)})


def _bytes(rows: Sequence[np.ndarray]) -> int:
    return sum(row.nbytes for row in rows)


def _some(lacking: Sequence[str], tracks: Sequence[Track]) -> str:
    return f"{len(lacking)} of {len(tracks)} recordings have"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


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
        if stretches and stretches[-1][-1][1] >= one[0]:
            stretches[-1].append(one)
        else:
            stretches.append([one])
    return [(run[0][0], run[-1][1]) for run in stretches for _ in run]
