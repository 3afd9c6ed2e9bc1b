"""One recording in, one cache entry out: decode, find the face, cut, resize, store, frame by frame.

Nothing here ever holds a whole video, and nothing imports torch: each worker is small and its memory stays flat.
"""

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic, sleep
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from dataset.cache import Cache, CacheError, DamagedEntryError, EntryWriter, Status
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.face import get_detector
from dataset.face.boxes import Box, clip_box, enlarge, full_frame, median_box, schedule, to_box
from dataset.face.follow import TRACKERS, NoFaceInTimeError, Track, choose, every_box, looks_at
from dataset.progress import show_progress
from dataset.reading import AGAIN, told
from dataset.video import Frame, VideoError, as_frame, decoding

SEARCH_SECONDS = 5.0  # how long a video may last before its first face
SEARCH_STEP = 5  # frames between looks while searching
WATCH_MARGIN = 1.5  # the region that is watched, relative to the detected face
SEEN_SECONDS = 90.0  # how long an entry written on another machine may take to be seen here
UNSEEN = "a worker of the cluster wrote it, but it is not seen here: CACHED_PATH must be one folder on all machines"
EMPTY = f"The video has no frames. {AGAIN}"
ASSUMED_FS = 30.0  # frames per second where only the pace of looking for faces depends on it


PAST = {"keep": "kept", "interpolate": "interpolated", "drop": "dropped"}  # what became of frames without a face


class NoFaceError(VideoError):
    """No face where one is needed."""


class SkipRecording(Exception):
    """Raised by a loader for a recording that is deliberately not used; the text is the reason."""


@dataclass(frozen=True)
class FaceCrop:
    """How faces are found, cut out and resized: plain values.

    size       (width, height) of the stored faces          do_crop    False: the whole frame is resized
    backend    name of the detector                          large_box  whether boxes grow by large_coef
    dynamic    look every `frequency` frames, not once       median     one box: the median of all that were found
    no_face    "search": the first face within 5 s, else the recording fails; later gaps keep the box before
               "full_frame": the whole frame stands in for a face that is not found
    decoder    "pyav" or "opencv"
    track      "": the box stays between two looks; "flow": it follows the face        several  which of several faces:
    smooth     seconds over which boxes are smoothed; 0: not                            "auto", "biggest" or "track"
    lost       frames without a face "keep" the box before, "interpolate" it, or are left out ("drop")
    device     where detectors of torch run; what they find does not depend on it
    """

    size: tuple[int, int] = (128, 128)
    do_crop: bool = True
    backend: str = "HC"
    large_box: bool = True
    large_coef: float = 1.5
    dynamic: bool = False
    frequency: int = 30
    median: bool = False
    no_face: str = "search"
    decoder: str = "pyav"
    track: str = ""
    smooth: float = 0.0
    lost: str = "keep"
    several: str = "auto"
    device: str = "cpu"

    @property
    def follows(self) -> bool:
        """Whether every frame gets a box of its own, for which the video is read twice."""
        follows = self.track or self.smooth > 0 or self.lost != "keep" or self.several == "track"
        return bool(self.do_crop and self.dynamic and not self.median and follows)

    def detector(self) -> Any:
        """The detector of `backend`; None where no face is looked for."""
        return get_detector(self.backend, self.device) if self.do_crop else None


# --- One recording ---------------------------------------------------------------------------------------------------


def preprocess_recording(loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache) -> None:
    """Decode, crop and store one recording. Safe to repeat and to run anywhere: the entry appears whole or not at all.

    Raises VideoError (unreadable video, no face), ValueError (unusable signal), whatever the loader raises, and
    CacheError when the cache cannot be written.
    """
    with decoding(crop.decoder) as noticed, cache.write(recording) as entry:
        waves = loader.read_wave(recording)
        check_signals(waves, loader.signals, f" of '{recording.path}'")
        finder = FaceFinder(crop, crop.detector(), loader.fs or ASSUMED_FS)
        for face, box, time in finder.faces(lambda: map(as_frame, loader.read_video(recording))):
            entry.append(face, box, time, finder.thermal)
        if finder.assumed and not loader.fs:
            raise ValueError("LOST: drop needs to know when the other frames were: nothing says their times or rate.")
        times = entry.frame_times() if finder.times is None else finder.times
        check_lengths(waves, loader.signals, len(entry) if times is None else len(times), f" of '{recording.path}'")
        entry.signals, entry.fs = with_clock(waves, finder.times), loader.fs
        entry.info |= loader.describe(recording)
        entry.flags = {
            **finder.flags(),
            **time_flags(times),
            **length_flags(waves, entry, times),
            **noticed.notes,
        }


class FaceFinder:
    """Finds the box for every frame of one recording and remembers how often there was a face to find."""

    def __init__(self, crop: FaceCrop, detector: Any, fs: float):
        """`fs` paces the looks where frames have no times."""
        self.crop, self.detector, self.fs = crop, detector, fs
        self.looks: list[tuple[float, bool]] = []  # weight of a look in seconds, whether there was a face
        self.several = 0  # looks that found more than one face
        self.moved = 0.0  # seconds with a face, but not in the fixed box
        self.first_face: float | None = None  # seconds, when not in the first frame
        self.thermal: np.ndarray | None = None  # (H, W) float32 of the face yielded last, where there is such a camera
        self.times: np.ndarray | None = None  # of all frames (s), where some were left out
        self.assumed = False  # whether those times are but an assumption
        self._track: Track | None = None  # a box for every frame, where they follow the face
        self._found: Box | None = None  # as detected, before it grows
        self._next_look = 0.0

    def faces(self, read: Callable[[], Iterable[Frame]]) -> Iterator[tuple[np.ndarray, Box, float | None]]:
        """Yield (face (H, W, 3) uint8 as stored, box, time) of every frame; `read` opens the video, again if need be.

        A face is valid until the next one is asked for.
        """
        if self.crop.follows:
            yield from self._followed(read)
            return
        frames = iter(read())
        first = next(frames, None)
        if first is None:
            raise VideoError(EMPTY)
        crop = self.crop
        box = self._start(first, read) if crop.do_crop else full_frame(first.shape)
        following = crop.do_crop and crop.dynamic and not crop.median
        watching = crop.do_crop and not crop.dynamic
        shape, inside = None, box
        for index, frame in enumerate(itertools.chain([first], frames)):
            if following and index and schedule(index, True, crop.frequency):
                box, shape = self._detect(frame) or self._without_face(frame, box), None
            if frame.shape != shape:
                shape = frame.shape
                inside = clip_box(box, shape) if crop.do_crop else full_frame(shape)
            if watching:
                self._watch(index, frame)
            yield self._cut_out(frame, inside), inside, frame.time

    def flags(self) -> dict[str, Any]:
        """`face_coverage` (share of the looks with a face; None without looks) and what else was unusual."""
        if self._track is not None:
            return self._followed_flags(self._track)
        seconds = sum(weight for weight, _ in self.looks)
        seen = sum(weight for weight, there in self.looks if there)
        flags: dict[str, Any] = {"face_coverage": round(seen / seconds, 4) if seconds else None}
        if self.several:
            flags["several_faces"] = self.several
        if self.first_face:
            flags["first_face_s"] = round(self.first_face, 3)
        if seconds and self.moved:
            flags["face_left_box"] = round(self.moved / seconds, 4)
        return flags

    def _cut_out(self, frame: Frame, box: Box) -> np.ndarray:
        """The part inside `box` at the size of the stored faces; `thermal` becomes the same part of the heat."""
        size, heat = self.crop.size, frame.thermal(box)
        self.thermal = None if heat is None else cv2.resize(heat, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(frame.rgb(box), size, interpolation=cv2.INTER_AREA)

    def _followed(self, read: Callable[[], Iterable[Frame]]) -> Iterator[tuple[np.ndarray, Box, float | None]]:
        """As `faces`, with a box for every frame: the video is read for the boxes, then for the faces."""
        crop, searching = self.crop, self.crop.no_face == "search"
        track = self._track = Track(self.fs, SEARCH_SECONDS if searching else np.inf)
        try:
            TRACKERS[crop.track](read(), self.detector, crop.frequency, crop.several, track)
        except NoFaceInTimeError:
            raise self._no_face() from None
        if not track.boxes:
            raise VideoError(EMPTY)
        if track.first is None and searching:
            raise self._no_face()
        boxes = every_box(track, crop.smooth, crop.lost == "interpolate", whole_frames=not searching)
        dropping = crop.lost == "drop" and track.lost().any()
        self.times, self.assumed = np.array(track.times) if dropping else None, bool(dropping) and not track.timed
        for frame, box, time, lost in zip(read(), boxes, track.times, track.lost(), strict=True):
            if not (dropping and lost):
                inside = clip_box(self._grown(box), frame.shape)
                yield self._cut_out(frame, inside), inside, time if dropping else frame.time

    def _followed_flags(self, track: Track) -> dict[str, Any]:
        lost = int(track.lost().sum())
        flags: dict[str, Any] = {"face_coverage": round(1 - lost / len(track.boxes), 4)}
        if track.several:
            flags["several_faces"] = track.several
        if track.first:
            flags["first_face_s"] = round(track.times[track.first] - track.times[0], 3)
        if lost and self.crop.no_face == "search":
            flags[f"lost_frames_{PAST[self.crop.lost]}"] = lost
        return flags

    def _start(self, first: Frame, read: Callable[[], Iterable[Frame]]) -> Box:
        """Box of the first frame, or of all frames."""
        if self.crop.dynamic and self.crop.median:
            return self._median(read)
        box = self._detect(first, count=self.crop.dynamic)
        if box is not None:
            if not self.crop.dynamic:  # this look spares the first of the watch
                self.looks.append((2.0, True))
                self._next_look = 2.0 - 1e-6
            return box
        return self._grown(full_frame(first.shape)) if self.crop.no_face == "full_frame" else self._search(read)

    def _median(self, read: Callable[[], Iterable[Frame]]) -> Box:
        found, track = [], Track(self.fs)
        for _, boxes in looks_at(read(), self.detector, self.crop.frequency, track):
            if boxes is not None:
                box = self._chosen(boxes)
                if box is None and self.crop.no_face == "full_frame":
                    box = self._grown(full_frame(track.shape))
                found += [] if box is None else [box]
        return median_box(found) if found else self._search(read)

    def _search(self, read: Callable[[], Iterable[Frame]]) -> Box:
        for index, frame in enumerate(read()):
            time = index / self.fs if frame.time is None else frame.time
            if time > SEARCH_SECONDS:
                break
            if index % SEARCH_STEP == 0:
                box = self._detect(frame, count=False)
                if box is not None:
                    self.first_face = time
                    return box
        raise self._no_face()

    def _no_face(self) -> NoFaceError:
        return NoFaceError(
            f"No face in the first {SEARCH_SECONDS:g} s (detector {self.crop.backend}). Leave the recording out, or "
            f"set CROP_FACE.NO_FACE: full_frame or DO_CROP_FACE: False to use whole frames."
        )

    def _detect(self, frame: Frame, count: bool = True) -> Box | None:
        """The box of the widest face in `frame`, grown as set; None without a face."""
        return self._chosen(self.detector.detect(frame.rgb()), count)

    def _chosen(self, found: np.ndarray, count: bool = True) -> Box | None:
        self.several += len(found) > 1
        if count:
            self.looks.append((1.0, len(found) > 0))
        face = choose(found, self.crop.several, self.detector)
        if face is None:
            return None
        self._found = to_box(face)
        return self._grown(self._found)

    def _grown(self, box: Box) -> Box:
        return enlarge(box, self.crop.large_coef) if self.crop.large_box else box

    def _without_face(self, frame: Frame, before: Box) -> Box:
        return self._grown(full_frame(frame.shape)) if self.crop.no_face == "full_frame" else before

    def _watch(self, index: int, frame: Frame) -> None:
        """Now and then, see whether the face is still in the fixed box: every 2 s at first, every 5 s after 10 s."""
        time = index / self.fs if frame.time is None else frame.time
        if time < self._next_look or self._found is None:
            return
        weight = 2.0 if time < 10 else 5.0
        self._next_look = time + weight - 1e-6
        there = self._face_in_place(frame)
        if not there and self._face_anywhere(frame):
            self.moved += weight
            there = True
        self.looks.append((weight, there))

    def _face_in_place(self, frame: Frame) -> bool:
        region = frame.rgb(clip_box(enlarge(self._found, WATCH_MARGIN), frame.shape))
        near = getattr(self.detector, "near", None)
        return near(region) if near else len(self.detector.detect(region)) > 0

    def _face_anywhere(self, frame: Frame) -> bool:
        anywhere = getattr(self.detector, "anywhere", None)
        return anywhere(frame.rgb(), self._found[2]) if anywhere else len(self.detector.detect(frame.rgb())) > 0


# --- What is unusual -------------------------------------------------------------------------------------------------


def check_signals(waves: dict[str, Signal], needed: Sequence[str], place: str = "") -> None:
    """ValueError for a signal without samples, with times of another length, or with NaN where the signal is needed.

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
        bad = int(np.count_nonzero(~np.isfinite(values))) if values.dtype.kind == "f" else 0
        if signal.times is not None:
            bad += int(np.count_nonzero(~np.isfinite(signal.times)))
        if bad and name in needed:
            raise ValueError(
                f"The signal {name!r}{place} has {bad} values that are NaN or infinite, of {len(values)}. Mend its "
                f"file, or leave the recording out."
            )


def check_lengths(waves: dict[str, Signal], needed: Sequence[str], frames: int, place: str = "") -> None:
    """ValueError for a needed signal of a single sample: stretched over several frames it would be a constant."""
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
    gaps = steps[steps > 1.5 * ordinary]
    counts = {
        "dropped_frames": int(np.sum(np.rint(gaps / ordinary) - 1)),
        "doubled_frames": int(np.count_nonzero((steps >= 0) & (steps < 0.25 * ordinary))),
        "times_out_of_order": int(np.count_nonzero(steps < 0)),
    }
    return {name: count for name, count in counts.items() if count}


def length_flags(waves: dict[str, Signal], entry: EntryWriter, times: np.ndarray | None) -> dict[str, Any]:
    """Signals that are shorter or longer than the video (by 1 s or 2 %), with the numbers; and NaN in side signals.

    `times` (T,) in seconds of all frames, also of those that were left out.
    """
    flags = {}
    for name, signal in waves.items():
        values = np.asarray(signal.values)
        bad = int(np.count_nonzero(np.isnan(values))) if values.dtype.kind == "f" else 0
        if bad:
            flags[f"{name}_nan"] = bad
        note = _length_note(signal, len(entry), times, entry.fs)
        if note:
            flags[f"{name}_length"] = note
    return flags


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


# --- All recordings --------------------------------------------------------------------------------------------------


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
    `frame_trace` adds the mean colour of the whole frames. Raises CacheError when the cache cannot be written,
    ValueError or KeyError for a detector that is not there, ConnectionError or ImportError for a cluster that is not.
    """
    crop.detector()
    todo = [recording for recording in recordings if overwrite or not _is_done(cache, recording, frame_trace)]
    outcome = Outcome({recording.id: Status("done") for recording in recordings}, len(recordings) - len(todo))
    for problem in filter(None, (cache.damage(recording.id) for recording in todo)):
        print(f"{problem} It is made again.")
    jobs = _Jobs(loader, crop, cache, overwrite, frame_trace)
    with show_progress(desc="Preprocessing", total=len(todo), unit="recordings", keep=False, silent=not todo) as bar:
        for name, status in _run_all(jobs, todo, workers):
            outcome.statuses[name] = status
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
        f"Preprocessed {len(states)} recordings: {done} done ({done - outcome.before} new, {outcome.before} in the "
        f"cache before), {states.count('failed')} failed, {states.count('skipped')} skipped."
    )
    rest = [(name, status) for name, status in outcome.statuses.items() if status.state != "done"]
    return [head, *(f"  {status.state} {name}: {status.reason}" for name, status in rest)]


@dataclass(frozen=True)
class _Jobs:
    """What a worker needs to know of all recordings; small enough to be sent with each."""

    loader: BaseLoader
    crop: FaceCrop
    cache: Cache
    overwrite: bool
    frame_trace: bool
    parent: int = 0  # process without which a worker is of no use; 0: none

    def __call__(self, recording: Recording) -> tuple[str, Status]:
        """Preprocess one recording; a failure becomes a status, an unwritable cache raises CacheError."""
        if self.parent:
            _follow(self.parent)
        with _one_thread():
            try:
                if self.overwrite or not _is_done(self.cache, recording, frame_trace=False):
                    preprocess_recording(self.loader, recording, self.crop, self.cache)
                if self.frame_trace:
                    add_frame_trace(self.loader, recording, self.crop, self.cache)
                return recording.id, Status("done")
            except CacheError:
                raise
            except SkipRecording as reason:
                status = Status("skipped", str(reason))
            except Exception as error:  # any fault of one recording must leave the others alone
                status = Status("failed", _reason(error, recording))
        self.cache.set_status(recording.id, status)
        return recording.id, status


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
    if cache.status(recording.id).state != "done":
        return False
    try:
        entry = cache.entry(recording.id)  # raises for another format or other settings: never a silent reuse
    except DamagedEntryError:
        return False
    cache.confirm(recording.id)
    return not frame_trace or entry.frame_trace is not None


def _run_all(jobs: _Jobs, todo: list[Recording], workers: int | str) -> Iterator[tuple[str, Status]]:
    if not isinstance(workers, str):
        yield from _run(jobs, todo, _worker_count(workers, len(todo)))
    elif todo:
        yield from _run_on_cluster(jobs, todo, workers)


def _run_on_cluster(jobs: _Jobs, todo: list[Recording], address: str) -> Iterator[tuple[str, Status]]:
    """Run `jobs` on the workers of a dask scheduler; all paths are absolute, as workers have folders of their own."""
    from dataset import cluster  # late: an optional package

    cache = Cache(jobs.cache.root.absolute(), jobs.cache.settings)
    todo = [replace(recording, path=recording.path.absolute()) for recording in todo]
    for name, answer in cluster.run(address, replace(jobs, cache=cache), todo, cache.root):
        if answer is None:
            yield name, _died(cache, name, "on the cluster, more than once")
        elif answer[1].state == "done" and not _is_seen(cache, name):
            yield name, Status("failed", UNSEEN)
        else:
            yield answer


def _is_seen(cache: Cache, name: str) -> bool:
    """Whether an entry that a worker has finished is there; network file systems may show it a minute later."""
    limit = monotonic() + SEEN_SECONDS
    while cache.status(name).state != "done":
        if monotonic() > limit:
            return False
        os.listdir(cache.root)  # makes the file system look again
        sleep(0.2)
    return True


def _run(jobs: _Jobs, todo: list[Recording], workers: int) -> Iterator[tuple[str, Status]]:
    """Run `jobs` over `todo`; after a worker died, the suspects run again, each alone in a process of its own."""
    if workers == 1:
        yield from map(jobs, todo)
        return
    jobs = replace(jobs, parent=os.getpid())
    waiting = {recording.id: recording for recording in todo}
    while waiting:
        try:
            pool = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
            for name, status in pool(delayed(jobs)(recording) for recording in list(waiting.values())):
                del waiting[name]
                yield name, status
        except CacheError:  # the other workers were ended over their recordings: what they leave would fill the disk
            for name in waiting:
                jobs.cache.abandon(name)
            raise
        except BrokenProcessPool:
            finished = [name for name in waiting if _finished(jobs, name)]
            suspects = [name for name in waiting if name not in finished and jobs.cache.is_writing(name)]
            for name in [*finished, *(suspects or list(waiting)[:1])]:
                yield name, (jobs.cache.status(name) if name in finished else _run_alone(jobs, waiting[name]))
                del waiting[name]


@functools.cache
def _follow(parent: int) -> None:
    """End this worker soon after the process that started it: after a kill -9 it would go on beside the next run."""

    def watch() -> None:
        while os.getppid() == parent:
            sleep(1)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True).start()


def _finished(jobs: _Jobs, name: str) -> bool:
    """Whether a worker finished this recording in time, though its answer was lost with the pool."""
    return not jobs.overwrite and not jobs.frame_trace and jobs.cache.status(name).state == "done"


def _run_alone(jobs: _Jobs, recording: Recording) -> tuple[str, Status] | Status:
    executor = get_reusable_executor(max_workers=1, kill_workers=True, reuse=False)
    try:
        return executor.submit(jobs, recording).result()[1]
    except BrokenProcessPool as error:
        return _died(jobs.cache, recording.id, _exit_code(error))
    finally:
        executor.shutdown(wait=True, kill_workers=True)


def _died(cache: Cache, name: str, how: str) -> Status:
    """Enter that the process that read recording `name` died, and clear what it was writing."""
    status = Status("failed", f"the process that read it died ({how}): a crash of the decoder, or killed for memory")
    cache.abandon(name)
    cache.set_status(name, status)
    return status


def _exit_code(error: BaseException) -> str:
    text = str(error)
    at = text.find("{")
    return text[at : text.find("}", at) + 1].strip("{}") if at >= 0 else "no exit code"


def _worker_count(workers: int, jobs: int) -> int:
    """Processes to use: never more than recordings; -1 means one per core, as far as 0.4 GB of memory each allow."""
    if workers == 0 or workers < -1:
        raise ValueError(f"PREPROCESS_WORKERS is {workers}: use 1 or more, or -1 for as many as fit.")
    if workers == -1:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(workers, max(1, int(_free_memory() / 0.4e9)))
    return max(1, min(workers, jobs))


def _free_memory() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return float("inf")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV on one thread: workers would otherwise take each other's cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _reason(error: Exception, recording: Recording) -> str:
    """One line; the kind of the error, the recording and the remedy where its words were not written for the user."""
    if isinstance(error, OSError) and error.strerror:
        return f"'{error.filename or recording.path}' cannot be read: {error.strerror}. {AGAIN}"
    if isinstance(error, MemoryError):
        return f"'{recording.path}' needs more memory than there is: {told(error)}. {AGAIN}"
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)) and text:
        return text
    return f"'{recording.path}' cannot be read ({type(error).__name__}: {text}). {AGAIN}"
