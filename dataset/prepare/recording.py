"""One recording in, one cache entry out: decode, find the face, cut, resize, store, frame by frame; and all of a set.

Nothing here ever holds a whole video, and nothing imports torch: each worker is small and its memory stays flat.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic, sleep

import cv2
import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from dataset.data_loader.base import BaseLoader, Recording
from dataset.face.crop import FaceCrop, FaceFinder
from dataset.files.reading import AGAIN, told
from dataset.files.video import VideoError, as_frame, decoding
from dataset.prepare.checks import check_lengths, check_signals, length_flags, time_flags, with_clock
from dataset.progress import show_progress
from dataset.store.cache import Cache, CacheError, DamagedEntryError, Status

ASSUMED_FS = 30.0  # frames per second where only the pace of looking for faces depends on it
SEEN_SECONDS = 90.0  # how long an entry written on another machine may take to be seen here
UNSEEN = "a worker of the cluster wrote it, but it is not seen here: CACHED_PATH must be one folder on all machines"


class SkipRecording(Exception):
    """Raised by a loader for a recording that is deliberately not used; the text is the reason."""


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
    from dataset.prepare import cluster  # late: an optional package

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
