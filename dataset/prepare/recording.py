"""One recording in, one cache entry out: decode, find the face, cut, resize, store, frame by frame; and all of a set.

Nothing here ever holds a whole video, and nothing imports torch: each worker is small and its memory stays flat.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from dataset import faults
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.face.crop import FaceCrop, FaceFinder
from dataset.files.decoding import decoding
from dataset.files.frames import VideoError, as_frame
from dataset.files.names import plural, shown
from dataset.files.opened import Opened, noting
from dataset.files.reading import AGAIN, told
from dataset.files.video import frame_count
from dataset.prepare.checks import (
    check_lengths,
    check_returned,
    check_signals,
    check_times,
    length_flags,
    signal_flags,
    time_flags,
    with_clock,
)
from dataset.prepare.clock import check_frames
from dataset.prepare.room import Room
from dataset.prepare.workers import Jobs, run_all
from dataset.progress import show_progress
from dataset.store.cache import Cache, Status
from dataset.store.disk import CacheError
from dataset.store.entry import DamagedEntryError
from dataset.store.streams import check_names
from dataset.store.writer import EntryWriter

FEW = 3  # files that a message names
ASSUMED_FS = 30.0  # frames per second where only the pace of looking for faces depends on it
LESS = "Preprocess with fewer PREPROCESS_WORKERS, or leave the recording out."
OWN_LINE = (
    "If its file is damaged, copy it again or leave the recording out; otherwise mend that line. --debug shows more."
)


class SkipRecording(Exception):
    """Raised by a loader for a recording that is deliberately not used; the text is the reason."""


def preprocess_recording(
    loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache, silent: bool = True
) -> None:
    """Read and store one recording. Safe to repeat and to run anywhere: the entry appears whole or not at all.

    Of a data set with video the faces are found as `crop` says and cut out; of one without, no detector is built.
    Unless `silent` it is shown how far a long one is.
    Raises VideoError (unreadable video, no face), ValueError (unusable signal, stream or target), whatever the loader
    raises, and CacheError when the cache cannot be written.
    """
    with decoding(crop.decoder) as noticed, cache.write(recording, loader.has_video) as entry:
        labels = read_labels(loader, recording)
        entry.fs = loader.fs
        with noting() as opened:
            if loader.has_video:
                flags = _store_faces(loader, recording, crop, labels, entry, silent)
            else:
                check_lengths(labels.waves, loader.signals, 2, f" of '{recording.path}'")
                entry.signals, flags = labels.waves, signal_flags(labels.waves)
            flags |= _store_streams(loader, recording, entry)
        entry.targets = labels.targets
        entry.info |= labels.info
        entry.flags = {**flags, **lacking(loader, entry), **noticed.notes}
        if cache.origin is not None:
            entry.sources = cache.origin.taken(recording, opened, labels.opened, loader.has_video)


@dataclass(frozen=True)
class Labels:
    """All of a recording but its frames, and the files that it was read from."""

    waves: dict[str, Signal]
    targets: dict[str, float]
    info: dict[str, Any]
    opened: Opened

    def place(self, recording: Recording) -> str:
        """Where the signals come from, for messages: the recording, and the other files they were read from, if few."""
        own = os.path.abspath(recording.path)
        others = sorted(name for name in self.opened.files if name != own and os.path.isfile(name))
        named = f" (by {', '.join(map(os.path.basename, others))})" if 0 < len(others) <= FEW else ""
        return f" of '{recording.path}'{named}"


def read_labels(loader: BaseLoader, recording: Recording) -> Labels:
    """Signals, targets and what is said of a recording; ValueError for a signal that cannot be used."""
    with noting() as opened:
        waves = loader.read_wave(recording)
        check_returned(loader, waves)
        check_signals(waves, loader.signals, f" of '{recording.path}'")
        return Labels(waves, dict(loader.read_targets(recording)), loader.describe(recording), opened)


def _store_faces(
    loader: BaseLoader, recording: Recording, crop: FaceCrop, labels: Labels, entry: EntryWriter, silent: bool
) -> dict[str, Any]:
    """Store the faces, and the signals on their clock; what is unusual about them, as flags."""
    waves, place = labels.waves, labels.place(recording)
    finder = FaceFinder(crop, crop.detector(), loader.fs or ASSUMED_FS, loader.own_face(recording))
    count = None if silent else frame_count(recording.path)
    faces = finder.faces(lambda: map(as_frame, loader.read_video(recording)))
    for face, box, time in show_progress(faces, shown(recording.id), count, "frames", keep=False, silent=silent):
        entry.append(face, box, time, finder.thermal)
    if finder.assumed and not loader.fs:
        raise ValueError("LOST: drop needs to know when the other frames were: nothing says their times or rate.")
    times = entry.frame_times() if finder.times is None else finder.times
    check_lengths(waves, loader.signals, len(entry) if times is None else len(times), place)
    check_times(waves, loader.signals, times, len(entry), loader.fs, place)
    entry.signals = with_clock(waves, finder.times)
    moved = {"reordered_times": entry.reordered} if entry.reordered else {}
    return {**finder.flags(), **moved, **time_flags(times), **length_flags(waves, entry, times)}


def _store_streams(loader: BaseLoader, recording: Recording, entry: EntryWriter) -> dict[str, Any]:
    """Store the further cameras that the recording has; flags of their clocks, named after them."""
    check_names(loader.streams)
    flags = {}
    for name in loader.streams:
        frames = loader.read_stream(recording, name)
        if frames is not None:
            entry.add_stream(name, frames)
            times = None if frames.times is None else np.asarray(frames.times, float)
            check_frames(times, f" of the camera {name!r}")
            flags |= {f"{name}_{flag}": count for flag, count in time_flags(times).items()}
    return flags


def lacking(loader: BaseLoader, entry: EntryWriter) -> dict[str, Any]:
    """Declared streams and signals that the recording lacks; beside a video alone, its signals speak for themselves."""
    names = [name for name in loader.streams if name not in entry.stream_names]
    if loader.streams or not loader.has_video:
        names = [*(name for name in loader.signals if name not in entry.signals), *names]
    return {"lacking": names} if names else {}


@dataclass
class Outcome:
    """What became of every recording of a call, and how many were there before."""

    statuses: dict[str, Status] = field(default_factory=dict)
    before: int = 0


def preprocess_all(
    loader: BaseLoader,
    recordings: Sequence[Recording],
    crop: FaceCrop,
    cache: Cache,
    workers: int | str = -1,
    overwrite: bool = False,
    frame_trace: bool = False,
) -> dict[str, Status]:
    """Make the entries of `recordings` that are not in the cache (all with `overwrite`); the state of each by id.

    `workers` processes share the recordings (-1: as many as fit); one works in this process; the address of a dask
    scheduler means its workers. A recording that fails, or that kills its process, is reported and costs no other.
    `frame_trace` adds the mean colour of the whole frames. Raises CacheError when the cache cannot be written, or its
    disk cannot hold the rest, ValueError or KeyError for a detector that is not there, ConnectionError or ImportError
    for a cluster that is not, and ProgramFault where it is not the recordings that are at fault.
    """
    check_names(loader.streams)
    if loader.has_video:
        crop.detector()
    todo = [recording for recording in recordings if overwrite or not _is_done(cache, recording, frame_trace)]
    outcome = Outcome({recording.id: Status("done") for recording in recordings}, len(recordings) - len(todo))
    for problem in filter(None, (cache.damage(recording.id) for recording in todo)):
        print(f"{problem} It is made again.")
    jobs = Preprocessing(cache, loader=loader, crop=crop, overwrite=overwrite, frame_trace=frame_trace)
    room = Room(cache, todo, 3 * crop.size[0] * crop.size[1] if loader.has_video else 0)
    bar = show_progress(desc="Preprocessing", total=len(todo), unit="recordings", keep=False, silent=not todo)
    with bar, contextlib.closing(run_all(jobs, todo, workers)) as ended:
        for name, status in ended:
            outcome.statuses[name] = status
            room.ended(name, status.state == "done")
            bar.update()
    for line in summary(outcome):
        print(line)
    if (cache.root / "recordings.json").is_file():
        cache.write_manifest()
    return outcome.statuses


def summary(outcome: Outcome) -> list[str]:
    """Lines that account for every recording: counts, then each that is not done with its reason."""
    states = [status.state for status in outcome.statuses.values()]
    done = states.count("done")
    head = (
        f"Preprocessed {plural(len(states), 'recording')}: {done} done ({done - outcome.before} new, "
        f"{outcome.before} in the cache before), {states.count('failed')} failed, {states.count('skipped')} skipped."
    )
    rest = [(name, status) for name, status in outcome.statuses.items() if status.state != "done"]
    return [head, *(f"  {status.state} {name}: {status.reason}" for name, status in rest)]


@dataclass(frozen=True)
class Preprocessing(Jobs):
    """One entry after the other; `work` says what is done with each."""

    loader: BaseLoader = field(kw_only=True)
    crop: FaceCrop = field(kw_only=True)
    overwrite: bool = False
    frame_trace: bool = False

    def __call__(self, recording: Recording) -> tuple[str, Status]:
        """Preprocess one recording; a failure becomes a status. Raises CacheError (unwritable), ProgramFault (code)."""
        self.follow_parent()
        with _one_thread(), noting() as opened:
            try:
                return recording.id, Status("done", self.work(recording))
            except CacheError:
                raise
            except SkipRecording as reason:
                status = Status("skipped", str(reason))
            except Exception as error:  # any fault of one recording must leave the others alone
                faults.check(error, f"Recording {recording.id!r}")
                faults.show(error)
                status = Status("failed", _reason(error, recording))
        if self.cache.origin is not None:
            status = replace(status, sources=self.cache.origin.tried(recording, opened))
        self.enter(status, recording)
        return recording.id, status

    def work(self, recording: Recording) -> str:
        """Make the entry; nothing more is to be said of it."""
        if self.overwrite or not _is_done(self.cache, recording, frame_trace=False):
            preprocess_recording(self.loader, recording, self.crop, self.cache, silent=bool(self.parent))
        if self.frame_trace:
            add_frame_trace(self.loader, recording, self.crop, self.cache)
        return ""

    def enter(self, status: Status, recording: Recording) -> None:
        """Write down that the recording has no entry."""
        self.cache.set_status(recording.id, status)

    def finished(self, name: str) -> bool:
        """Only where the entry alone tells it."""
        return not self.overwrite and not self.frame_trace and super().finished(name)


def add_frame_trace(loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache) -> None:
    """Add the mean RGB (T, 3) of the whole frames to a finished entry that lacks it: another pass over the video."""
    entry = cache.entry(recording.id)
    if entry.frame_trace is not None:
        return
    fs, times, means = loader.fs or ASSUMED_FS, [], []
    with decoding(crop.decoder):
        for index, frame in enumerate(map(as_frame, loader.read_video(recording))):
            means.append(cv2.mean(frame.rgb())[:3])
            times.append(index / fs if frame.time is None else frame.time)
    if "lost_frames_dropped" in entry.flags:
        means = [mean for mean, kept in zip(means, np.isin(times, entry.times), strict=True) if kept]
    if len(means) != len(entry.trace):
        raise VideoError(f"{len(means)} frames where the cache has {len(entry.trace)}: the video has changed.")
    cache.write_frame_trace(recording.id, np.array(means))


def _is_done(cache: Cache, recording: Recording, frame_trace: bool) -> bool:
    """Whether a whole entry is there; CacheError for one of another format or other settings: never a silent reuse."""
    found = cache.survey([recording.id])
    entry = found[recording.id].entry
    if entry is None:
        return False
    try:
        cache.verified(recording.id)
    except DamagedEntryError:
        return False
    cache.note_done(found)
    return not frame_trace or entry.frame_trace is not None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV on one thread: workers would otherwise take each other's cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _remedy(error: OSError) -> str:
    """What may help against an error of the system."""
    if isinstance(error, PermissionError):
        return "Allow it to be read, or leave the recording out."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open: preprocess with fewer PREPROCESS_WORKERS, or raise `ulimit -n`."
    return AGAIN


def _reason(error: Exception, recording: Recording) -> str:
    """One line; the kind of the error, the recording and the remedy where its words were not written for the user."""
    if isinstance(error, OSError) and error.strerror:
        return f"'{error.filename or recording.path}' cannot be read: {error.strerror}. {_remedy(error)}"
    if isinstance(error, MemoryError):
        return f"'{recording.path}' needs more memory than there is: {told(error)}. {LESS}"
    text = " ".join(str(error).split())
    own = faults.plugin_place(error)
    if isinstance(error, (ValueError, OSError)) and text:
        return f"'{recording.path}': {text} ({own})" if own and str(recording.path) not in text else text
    if own:
        return f"'{recording.path}': {type(error).__name__}: {text} ({own}). {OWN_LINE}"
    where = f" at {place}" if (place := faults.place(error)) else ""
    return f"'{recording.path}' cannot be read ({type(error).__name__}: {text}{where}). {AGAIN}"
