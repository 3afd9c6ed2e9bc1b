"""Preprocessing on the workers of a dask cluster: one task per recording.

    dask scheduler                                           on one machine; it prints its address
    dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1    on each machine, with the same Python packages

Raw data, cache and this repository lie where all machines see them under the same path. Results come by dask's own
futures, because joblib's dask backend gives up all recordings when one worker dies.
"""

import asyncio
import contextlib
import functools
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from dataset.data_loader.base import Recording
from settings.files import ROOT

PACKAGE = "dask[distributed]"  # its version: pyproject.toml
CONNECT, PATIENCE = 20.0, 30.0  # seconds: until a scheduler has answered; between looks for workers that are left

# Plain text and bytes, because the scheduler opens what it is sent, and need not know the toolbox. Every worker runs
# SETUP at its start, also one that joins later; only then WORK finds this module there.
SETUP = "import sys; sys.path[:0] = [path for path in {paths!r} if path not in sys.path]"
WORK = f"__import__('importlib').import_module({__name__!r}).work(payload)"

ONE_AT_A_TIME = threading.Lock()  # face detectors are not made for several threads of one process

Job = Callable[[Recording], Any]


def run(address: str, job: Job, recordings: Sequence[Recording], cache: Path) -> Iterator[tuple[str, Any]]:
    """Yield (id, what `job` returned) as the recordings end; None for one whose process died, also when alone.

    What `job` raises is raised here. Raises ConnectionError without scheduler, workers or a common file system, and
    ImportError without dask. Tasks that are not running are withdrawn when the caller stops.
    """
    with _connected(address) as client:
        _check_folders(client, cache, recordings[0])
        died = []
        for recording, answer in _answers(client, job, recordings):
            if answer is None:
                died.append(recording)
            else:
                yield recording.id, answer
        for recording in died:  # one by one: whoever only waited beside a dying process ends well now
            yield from ((one.id, answer) for one, answer in _answers(client, job, [recording]))


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at `address` with at least one worker that finds the toolbox."""
    distributed = _package()
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # its tracebacks: the errors here say the same
    try:
        client = distributed.Client(address, timeout=CONNECT)
    except (OSError, asyncio.TimeoutError) as error:
        raise ConnectionError(
            f"--dask {address}: no scheduler answers there. Start one with `dask scheduler`, which prints its address, "
            f"and workers with `dask worker {address} --nthreads 1`."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise _no_workers(address) from error
        paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        client.register_worker_callbacks(functools.partial(exec, SETUP.format(paths=paths)))
        yield client


def _package() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ImportError(f"--dask needs the package {PACKAGE}: pip install '{PACKAGE}'", name=error.name) from error
    return distributed


def _no_workers(address: str) -> ConnectionError:
    return ConnectionError(
        f"--dask {address}: the scheduler has no worker. Start some with `dask worker {address} --nthreads 1`, then "
        f"run again; finished recordings are kept."
    )


def _check_folders(client: Any, cache: Path, first: Recording) -> None:
    """ConnectionError naming the workers that do not see the cache, or raw data that are seen here."""
    wanted = [path for path in (cache, first.path) if path.exists()]
    for path in wanted:
        blind = [worker for worker, seen in client.run(os.path.exists, str(path)).items() if not seen]
        if blind:
            raise ConnectionError(
                f"'{path}' is not seen by {len(blind)} of the workers ({', '.join(blind[:3])}). Put raw data and "
                f"CACHED_PATH on a file system that all machines mount under the same path."
            )


def _answers(client: Any, job: Job, recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Any]]:
    """Each recording with what `job` returned, as they end; None where its process died several times."""
    import cloudpickle  # comes with dask

    waiting = {}
    for recording in recordings:
        payload = cloudpickle.dumps(functools.partial(job, recording))
        waiting[client.submit(eval, WORK, {"payload": payload}, pure=False)] = recording
    try:
        while waiting:
            for future in _next_done(client, list(waiting)):
                recording = waiting.pop(future)
                yield recording, _answer(future)
    except (CancelledError, asyncio.CancelledError) as error:
        raise ConnectionError(
            f"--dask {client.scheduler.address}: the scheduler has gone. Run again; finished recordings are kept."
        ) from error
    finally:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            client.cancel(list(waiting))


def work(payload: bytes) -> Any:
    """In a worker: call the function that `payload` holds."""
    with ONE_AT_A_TIME:
        return pickle.loads(payload)()


def _next_done(client: Any, futures: list[Any]) -> Any:
    """The futures that have ended, at least one; ConnectionError when no worker is left to end any."""
    from distributed import wait

    while True:
        try:
            return wait(futures, timeout=PATIENCE, return_when="FIRST_COMPLETED").done
        except (TimeoutError, asyncio.TimeoutError):
            if not client.scheduler_info()["workers"]:
                raise _no_workers(client.scheduler.address) from None


def _answer(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:  # the scheduler has tried it with several processes
        return None
