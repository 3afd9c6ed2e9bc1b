"""Many recordings at once: processes of this machine or of a cluster; one that dies costs its recording only."""

import functools
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic, sleep

from dataset import faults
from dataset.data_loader.base import Recording
from dataset.files.opened import Opened
from dataset.store.cache import Cache, Status
from dataset.store.disk import CacheError

SEEN_SECONDS = 90.0  # how long an entry written on another machine may take to be seen here
UNSEEN = "a worker of the cluster wrote it, but it is not seen here: CACHED_PATH must be one folder on all machines"


@dataclass(frozen=True)
class Jobs:
    """What a worker needs to know of all recordings, small enough to be sent with each; called with one of them."""

    cache: Cache
    parent: int = 0  # process without which a worker is of no use; 0: none

    def __call__(self, recording: Recording) -> tuple[str, Status]:
        """Do the work of one recording: its id, and what became of it. CacheError for a cache nobody can write to."""
        raise NotImplementedError

    def follow_parent(self) -> None:
        """End this process soon after the one that started it, where there is such a one."""
        if self.parent:
            _follow(self.parent)

    def finished(self, name: str) -> bool:
        """Whether a worker finished this recording in time, though its answer was lost with the pool."""
        return self.cache.status(name).state == "done"


def run_all(jobs: Jobs, todo: list[Recording], workers: int | str) -> Iterator[tuple[str, Status]]:
    """Call `jobs` with each of `todo`; yield id and status as they end. `workers`: a number, or a scheduler's address.

    CacheError when the cache cannot be written, ConnectionError or ImportError for a cluster that is not there.
    """
    if not isinstance(workers, str):
        yield from _run(jobs, todo, _worker_count(workers, len(todo)))
    elif todo:
        yield from _run_on_cluster(jobs, todo, workers)


def _run_on_cluster(jobs: Jobs, todo: list[Recording], address: str) -> Iterator[tuple[str, Status]]:
    """Run `jobs` on the workers of a dask scheduler; all paths are absolute, as workers have folders of their own."""
    from dataset.prepare import cluster  # late: an optional package

    cache = jobs.cache.absolute()
    todo = [replace(recording, path=recording.path.absolute()) for recording in todo]
    by_id = {recording.id: recording for recording in todo}
    for name, answer in cluster.run(address, replace(jobs, cache=cache), todo, cache.root):
        if answer is None:
            yield name, _died(cache, by_id[name], "on the cluster, more than once")
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


def _run(jobs: Jobs, todo: list[Recording], workers: int) -> Iterator[tuple[str, Status]]:
    """Run `jobs` over `todo`; after a worker died, the suspects run again, each alone in a process of its own."""
    if workers == 1:
        yield from map(jobs, todo)
        return
    from joblib import Parallel, delayed  # here: one recording, as with --video, needs no pool
    from joblib.externals.loky.process_executor import BrokenProcessPool

    _start_tracker()
    jobs = replace(jobs, parent=os.getpid())
    waiting = {recording.id: recording for recording in todo}
    while waiting:
        try:
            pool = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
            answers = pool(delayed(jobs)(recording) for recording in list(waiting.values()))
            for name, status in answers:
                del waiting[name]
                yield name, status
        except (CacheError, faults.ProgramFault, GeneratorExit):
            # The other workers are ended over their recordings: what they leave would fill the disk.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of just that
                answers.close()
            for name in waiting:
                jobs.cache.abandon(name)
            raise
        except BrokenProcessPool:
            finished = [name for name in waiting if jobs.finished(name)]
            suspects = [name for name in waiting if name not in finished and jobs.cache.is_writing(name)]
            for name in [*finished, *(suspects or list(waiting)[:1])]:
                yield name, (jobs.cache.status(name) if name in finished else _run_alone(jobs, waiting[name]))
                del waiting[name]


def _start_tracker() -> None:
    """Start the process that takes the pool's shared memory away when all others have ended, however they ended.

    It outlives Ctrl-C by itself, but not the closing of the terminal, which it is told of like everybody in it.
    """
    from joblib.externals.loky.backend import resource_tracker

    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is ignored stays so in the processes that are started
    try:
        resource_tracker.ensure_running()
    finally:
        signal.signal(signal.SIGHUP, usual)


@functools.cache
def _follow(parent: int) -> None:
    """End this worker soon after the process that started it: after a kill -9 it would go on beside the next run."""

    def watch() -> None:
        while os.getppid() == parent:
            sleep(1)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True).start()


def _run_alone(jobs: Jobs, recording: Recording) -> tuple[str, Status] | Status:
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    executor = get_reusable_executor(max_workers=1, kill_workers=True, reuse=False)
    try:
        return executor.submit(jobs, recording).result()[1]
    except BrokenProcessPool as error:
        return _died(jobs.cache, recording, _exit_code(error))
    finally:
        executor.shutdown(wait=True, kill_workers=True)


def _died(cache: Cache, recording: Recording, how: str) -> Status:
    """Enter that the process that read `recording` died, and clear what it was writing."""
    sources = cache.origin.tried(recording, Opened()) if cache.origin else {}
    reason = f"the process that read it died ({how}): a crash of the decoder, or killed for memory"
    status = Status("failed", reason, sources)
    cache.abandon(recording.id)
    cache.set_status(recording.id, status)
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
