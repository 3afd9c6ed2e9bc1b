"""Everything that clips need of one recording but its pixels and samples: clock, where inputs lie in time, labels."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.clips import labels
from dataset.clips.inputs import ClipOptions, Input
from dataset.clips.labels import COVERAGE, Label
from dataset.clips.resampling import Grid, even_grid, measure, nearest, resample_grid, resampled
from dataset.signals import PULSE_WAVE
from dataset.store.statistics import Stats

BANDS = {"RGB": ("faces",), "T": ("thermal",), "RGBT": ("faces", "thermal")}


@dataclass(frozen=True)
class Camera:
    """Frames of one camera, or of several that look alike side by side.

    videos     paths of the arrays (T, H, W, C), or arrays without a file
    stats      (3,) float32: mean, std, std of the relative differences; (C, 3) where channels have their own
    fs, times  of the stored frames, in seconds of the recording's clock; times None: evenly from its start
    positions  (count,) where in the stored frames each frame of the clock lies; None: as stored
    """

    videos: tuple[str | np.ndarray, ...]
    count: int
    stats: np.ndarray
    fs: float
    times: np.ndarray | None = None
    positions: np.ndarray | None = None

    def at(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the stored frames nearest to `times` (s)."""
        if self.times is not None:
            return nearest(self.times, times)
        return np.clip(np.rint(times * self.fs).astype(int), 0, self.count - 1)


@dataclass(frozen=True)
class Sensors:
    """Signals side by side: `grids` on which each is read, `starts` (s) of its first sample on the clock."""

    names: tuple[str, ...]
    grids: tuple[Grid, ...]
    starts: tuple[float, ...]


@dataclass(frozen=True)
class Track:
    """What a worker needs of one recording; small enough to be sent to each.

    fs, count  rate (Hz) and number of the frames or samples of the first input, after resampling
    times      (count,) their seconds from the first, where other inputs need them and they are uneven; None: even
    inputs     those that the recording has
    labels     (count,) or (count, columns) float32; of scalars that hold for the whole recording () or (columns,)
    """

    id: str
    subject: str
    fs: float
    count: int
    inputs: Mapping[str, Camera | Sensors]
    times: np.ndarray | None = None
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def when(self, number: int) -> float:
        """Seconds from the first frame or sample to this one."""
        return number / self.fs if self.times is None else float(self.times[number])


@dataclass(frozen=True)
class Clock:
    """The first input of a recording: it says what a clip is counted in.

    times  (count,) seconds as recorded, None: evenly at `fs` from a moment that nothing tells
    """

    source: Camera | Sensors
    fs: float
    count: int
    times: np.ndarray | None

    @property
    def seconds(self) -> float:
        """From the first frame or sample to the last."""
        return (self.count - 1) / self.fs if self.times is None else float(self.times[-1] - self.times[0])

    def since(self, start: float | None) -> float:
        """`start` (s) on this clock; 0 where one of the two tells no time."""
        return 0.0 if start is None or self.times is None else float(start - self.times[0])


def make_track(entry: Any, options: ClipOptions) -> tuple[Track, list[str]]:
    """The track of a cache entry and remarks on its labels; ValueError when it cannot be cut into clips."""
    first, *others = options.inputs
    clock = _clock(entry, first, options)
    inputs, notes = {first.name: clock.source}, []
    for one in others:
        try:
            inputs[one.name] = _further(entry, one, clock, options)
        except ValueError as error:
            if not one.optional:
                raise
            if any(map(has(entry), one.parts)):
                notes.append(f"without {one.name!r}: {error}")
    moments = Moments(clock.times, clock.count, clock.fs, sampled=isinstance(clock.source, Sensors))
    values, remarks = read_labels(entry, moments, options)
    uneven = bool(others) and clock.times is not None and not moments.sampled
    times = np.asarray(clock.times, dtype=float) - clock.times[0] if uneven else None
    return Track(entry.id, entry.subject, clock.fs, clock.count, inputs, times, values), notes + remarks


# --- What the recording has -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """A stream of frames as stored: (T, H, W, C)."""

    video: np.ndarray
    stats: Stats
    fs: float
    times: np.ndarray | None


def frames_of(entry: Any, name: str) -> Frames | None:
    """The frames called `name` of an entry; None when it has none."""
    if name in ("faces", "thermal"):
        video, stats = (entry.faces, entry.stats) if name == "faces" else (entry.thermal, entry.thermal_stats)
        return None if video is None else Frames(video, stats, float(entry.fs), entry.times)
    stream = entry.streams.get(name)
    if stream is None or len(stream.shape) < 3:
        return None
    video = stream.open()
    fs = stream.fs or (len(video) - 1) / float(stream.times[-1] - stream.times[0])
    return Frames(video if video.ndim == 4 else video[..., None], stream.stats, float(fs), stream.times)


def has(entry: Any) -> Callable[[str], bool]:
    """A function that says whether an entry has the frames or the signal of this name."""
    return lambda name: name in entry.signals or frames_of(entry, name) is not None


def _clock(entry: Any, first: Input, options: ClipOptions) -> Clock:
    fs = float(first.fs or options.fs)
    if _is_video(entry, first):
        return _camera_clock(_side_by_side(entry, first, options), fs)
    return _sampled(_sensors(entry, first, fs, None))


def _sampled(sensors: Sensors) -> Clock:
    """The clock that the first of `sensors` is."""
    grid = sensors.grids[0]
    times = None if grid.start is None else grid.start + np.arange(grid.count) / grid.fs
    return Clock(sensors, grid.fs, grid.count, times)


def _camera_clock(found: list[Frames], new_fs: float) -> Clock:
    stored, times, fs, positions = len(found[0].video), found[0].times, found[0].fs, None
    if not stored:
        raise ValueError("no frames")
    if new_fs > 0:
        times, positions = resample_grid(times, stored, fs, new_fs)
        fs = new_fs
    count = stored if positions is None else len(positions)
    videos = tuple(_place(one.video) for one in found)
    return Clock(Camera(videos, count, _statistics(found, positions), fs, None, positions), fs, count, times)


def _further(entry: Any, one: Input, clock: Clock, options: ClipOptions) -> Camera | Sensors:
    """An input beside the first, on its clock; ValueError when it is missing or does not cover the recording."""
    if not _is_video(entry, one):
        return _sensors(entry, one, float(one.fs or clock.fs), clock)
    found = _side_by_side(entry, one, options)
    count, fs, times = len(found[0].video), found[0].fs, found[0].times
    if not count:
        raise ValueError(f"no frames of {one.name!r}")
    if times is not None:
        times = np.maximum.accumulate(np.asarray(times, dtype=float))
        times = times - times[0] + clock.since(times[0])
    ends = (0.0, (count - 1) / fs) if times is None else (times[0], times[-1])
    _require_cover(one.name, *ends, clock)
    return Camera(tuple(_place(f.video) for f in found), count, _statistics(found, None), fs, times)


def blank(entry: Any, one: Input, options: ClipOptions) -> tuple[np.ndarray, float] | None:
    """An empty frame (1, H, W, C) as the cameras of `one` give it, and their rate (Hz); None without them."""
    if not _is_video(entry, one):
        return None
    try:
        found = _side_by_side(entry, one, options)
    except ValueError:  # this recording lacks one of them, too
        return None
    frames = [np.zeros((1, *video.video.shape[1:]), video.video.dtype) for video in found]
    return np.concatenate(frames, axis=3), float(one.fs or found[0].fs)


def _is_video(entry: Any, one: Input) -> bool:
    return one.name == "video" or any(frames_of(entry, name) is not None for name in one.parts)


def _is_bands(one: Input) -> bool:
    """Whether the data set's mode says what the input is made of."""
    return one.name == "video" and not one.streams


def streams_of(one: Input, options: ClipOptions) -> tuple[str, ...]:
    """Names of the streams or signals that an input is made of."""
    return BANDS[options.bands] if _is_bands(one) else one.parts


def _side_by_side(entry: Any, one: Input, options: ClipOptions) -> list[Frames]:
    """The arrays that make up the channels; ValueError when one is missing or of another size."""
    bands, names = _is_bands(one), streams_of(one, options)
    found = [frames_of(entry, name) for name in names]
    if None in found:
        lacking = names[found.index(None)]
        kind = {"faces": "video", "thermal": "thermal frames"}.get(lacking, f"frames called {lacking!r}")
        remedy = "DATA_MODE {0} needs. Use DATA_MODE RGB" if bands else "input {1!r} needs"
        raise ValueError(f"no {kind} in the cache, which {remedy.format(options.bands, one.name)}")
    sizes = {one.video.shape[:3] for one in found}
    if len(sizes) > 1:
        raise ValueError(f"{', '.join(names)} cannot be channels of one video: {sorted(sizes)} (frames, H, W)")
    return found


def _signal(entry: Any, name: str) -> Any:
    if name not in entry.signals:
        raise ValueError(f"no signal {name!r} (it has: {', '.join(entry.signals) or 'none'})")
    return entry.signals[name]


def _sensors(entry: Any, one: Input, fs: float, clock: Clock | None) -> Sensors:
    """Signals of an input at `fs` (Hz; 0: as the first is recorded); without a `clock` the first of them is it."""
    grids: list[Grid] = []
    for name in one.parts:
        signal = _signal(entry, name)
        try:
            grid = even_grid(signal, clock.seconds if clock else None)
            grids.append(grid.to(fs or (grids[0].fs if grids else grid.own)))
        except ValueError as error:
            raise ValueError(f"signal {name!r} is no input: {error}") from None
        clock = clock or _sampled(Sensors((name,), (grids[0],), (0.0,)))
    starts = [clock.since(grid.start) for grid in grids]
    for name, grid, start in zip(one.parts, grids, starts, strict=True):
        _require_cover(name, start, start + (grid.count - 1) / grid.fs, clock)
    return Sensors(one.parts, tuple(grids), tuple(starts))


def _require_cover(name: str, start: float, stop: float, clock: Clock) -> None:
    whole = clock.seconds
    share = (min(stop, whole) - max(start, 0.0)) / whole if whole > 0 else 1.0
    if share < COVERAGE:
        raise ValueError(
            f"{name!r} (from {start:.2f} s to {stop:.2f} s) covers {100 * max(share, 0.0):.0f} % of the recording "
            f"({whole:.2f} s). Do the two clocks agree?"
        )


def _place(video: np.ndarray) -> str | np.ndarray:
    """Where a memory map lies; any other array itself."""
    path = getattr(video, "filename", None)
    return video if path is None else os.fspath(path)


def _statistics(found: list[Frames], positions: np.ndarray | None) -> np.ndarray:
    """(3,) float32, or (C, 3) with a row for each channel of several arrays; of the frames at `positions` if any."""
    rows = []
    for one in found:
        stats, video = one.stats, one.video
        if positions is not None:
            stats = measure(lambda start, stop, video=video: resampled(video, positions[start:stop]), len(positions))
        rows += [[stats.mean, stats.std, stats.diff_std]] * (video.shape[3] if len(found) > 1 else 1)
    return np.array(rows if len(found) > 1 else rows[0], dtype=np.float32)


def open_faces(faces: str | np.ndarray) -> np.ndarray:
    """The stored frames (T, H, W, C), memory-mapped; ValueError naming the file when it is damaged."""
    if not isinstance(faces, (str, os.PathLike)):
        return faces
    try:
        video = np.lib.format.open_memmap(faces, mode="r")  # np.load would also open zip archives and pickles
    except (ValueError, EOFError, OverflowError) as error:
        raise ValueError(
            f"'{faces}' is damaged ({error}). Delete its folder '{Path(faces).parent}'; it is made again."
        ) from error
    return video if video.ndim == 4 else video[..., None]


# --- Labels ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Where labels are wanted: at `times` (s; None: unknown) of `count` frames or, `sampled`, samples at `fs` (Hz)."""

    times: np.ndarray | None
    count: int
    fs: float
    sampled: bool = False

    def seen_from(self, signal: Any, align: str) -> tuple[np.ndarray | None, int, str]:
        """Times, count and way of aligning `signal`: two signals that tell their rates start together."""
        if self.sampled and align == "auto" and signal.times is None and signal.fs:
            return np.arange(self.count) / self.fs, self.count, "timestamps"
        return self.times, self.count, align


def read_labels(entry: Any, moments: Moments, options: ClipOptions) -> tuple[dict[str, np.ndarray], list[str]]:
    """The labels that a recording has, float32, and remarks on them.

    ValueError when a required one is missing or cannot be used.
    """
    found, notes = {}, []
    for label in options.labels:
        try:
            values, note = _values(entry, label, moments, options)
        except ValueError as error:
            if label.required:
                raise
            if any(name in entry.signals for name in label.columns):
                notes.append(f"without label {label.name!r}: {error}")
            continue
        found[label.name] = np.asarray(values, dtype=np.float32)
        notes += [note] if note else []
    return found, notes


def _values(entry: Any, label: Label, moments: Moments, options: ClipOptions) -> tuple[np.ndarray, str]:
    if options.pseudo and label.name == PULSE_WAVE:
        return labels.transform(_pseudo_label(entry, moments), options.label_type), ""
    if label.kind == "scalar":
        return _scalar(entry, label, moments, options), ""
    _require_one(entry, label, entry.signals)
    columns = [_column(entry.signals.get(name), label, moments, options) for name in label.columns]
    note = "" if label.parts or label.kind != "wave" else _stretch_note(entry.signals[label.name], moments, options)
    note = f"{label.name}: {note}" if note and label.name != PULSE_WAVE else note
    return (np.stack(columns, axis=1) if label.parts else columns[0]), note


def _require_one(entry: Any, label: Label, there: Mapping[str, Any]) -> None:
    if any(name in there for name in label.columns):
        return
    hint = "; USE_PSUEDO_PPG_LABEL: True trains on POS signals instead" if "ecg" in entry.signals else ""
    raise ValueError(
        f"no {'target or ' if label.kind == 'scalar' else ''}signal {', '.join(map(repr, label.columns))} "
        f"(it has: {', '.join(there) or 'none'}){hint if label.name == 'ppg' else ''}"
    )


def _column(signal: Any, label: Label, moments: Moments, options: ClipOptions) -> np.ndarray:
    if signal is None:
        return np.full(moments.count, label.missing)
    where = moments.seen_from(signal, options.label_align)
    if label.kind == "wave":
        return labels.transform(labels.align(signal, *where), options.label_type)
    values = labels.pick(signal, *where)
    return np.where(np.isnan(values), label.missing, values)


def _scalar(entry: Any, label: Label, moments: Moments, options: ClipOptions) -> np.ndarray:
    """() or (columns,) of targets; (count,) or (count, columns), to be averaged, where one of them is a signal."""
    targets = entry.targets
    _require_one(entry, label, {**targets, **entry.signals})
    columns = [
        np.array(targets[name], dtype=float) if name in targets else _column(signal, label, moments, options)
        for name, signal in ((name, entry.signals.get(name)) for name in label.columns)
    ]
    if not any(np.isfinite(column).any() for column in columns):
        raise ValueError(f"{', '.join(map(repr, label.columns))} is NaN")
    columns = columns if all(column.ndim == 0 for column in columns) else np.broadcast_arrays(*columns)
    return np.stack(columns, axis=-1) if label.parts else columns[0]


def _stretch_note(signal: Any, moments: Moments, options: ClipOptions) -> str:
    times, count, align = moments.seen_from(signal, options.label_align)
    return "" if labels.by_timestamps(signal, times, align) else labels.length_note(signal, count, moments.fs)


def _pseudo_label(entry: Any, moments: Moments) -> np.ndarray:
    trace = entry.frame_trace
    if trace is None:
        raise ValueError(
            "no mean colour of the whole frame in the cache, which a pseudo label is made of: "
            "it is added when DATA_PATH holds the video (DO_PREPROCESS: True tries again)"
        )
    wave = labels.pos_pseudo_label(trace, float(entry.fs))
    if len(wave) == moments.count:
        return wave
    own_times = np.arange(len(wave)) / entry.fs if entry.times is None else entry.times
    return np.interp(moments.times, own_times, wave)
