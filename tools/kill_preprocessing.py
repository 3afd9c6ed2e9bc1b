"""Kill preprocessing at random moments, start it again, and compare the cache with an uninterrupted one, bit by bit.

    python -m tools.kill_preprocessing --trials 10 --workers 2       under a minute
    python -m tools.kill_preprocessing --trials 50 --workers 2       some minutes

Moments fall uniformly over the measured duration of the uninterrupted run. In turn, kill -9 hits all processes at once,
the main process alone (its workers lose it in the middle of their recordings), and one worker (then the run itself must
finish). More kills hit the inside of a write of faces, the moment before and after the rename of an entry, and a status
file. A cache is compared as a whole: entries, status files, listing and manifest. Exit code 1 when any differs.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from config import ROOT
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import WRITING, Cache
from registry import DATASETS

VICTIMS = ("all processes", "the main process", "one worker")
INSIDE = ("inside a write", "before the rename", "after the rename", "before a status file")

# Preprocesses, and kills its own process inside the n-th write of the cache.
SUICIDE = """
import os, signal, sys
from pathlib import Path
from dataset.store import cache, disk
from tools.kill_preprocessing import preprocess
moment, number, calls = sys.argv[1], int(sys.argv[2]), [0]
def due():
    calls[0] += 1
    return calls[0] == number
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def write(file, content):
    if due():
        file.write(content[: len(content) // 2]); die()
    write_honestly(file, content)
def move(*places):
    now = due()
    if now and moment == "before the rename":
        die()
    move_honestly(*places)
    if now:
        die()
def status(*_):
    if due():
        die()
write_honestly, move_honestly, set_status = disk.write_all, disk.move, cache.Cache.set_status
if moment == "inside a write":
    disk.write_all = write
elif "rename" in moment:
    disk.move = move
else:
    cache.Cache.set_status = lambda *arguments: (status(), set_status(*arguments))
preprocess(Path(sys.argv[3]), Path(sys.argv[4]), 1)
"""


@dataclass(frozen=True)
class Trial:
    """One kill and what came of it."""

    moment: str
    equal: bool
    killed: bool  # False: the run had ended before


def kill_trials(raw: Path, work: Path, trials: int = 10, workers: int = 2, seed: int = 0) -> Iterator[Trial]:
    """Preprocess the UBFC-rPPG folder `raw` uninterrupted, then killed at `trials` random and four chosen moments.

    Every trial has its own cache below `work`, and is yielded when it is over. Raises RuntimeError when an
    uninterrupted run fails.
    """
    duration = _finish(raw, work / "whole", workers)
    expected = content(work / "whole")
    moments = np.random.default_rng(seed).uniform(0, duration, trials)
    victims = VICTIMS if workers > 1 else VICTIMS[:1]
    for number, moment in enumerate(moments):
        victim = victims[number % len(victims)]
        yield _random(raw, work / f"random{number}", expected, workers, float(moment), victim)
    for number, what in enumerate(INSIDE):
        yield _inside(raw, work / f"inside{number}", expected, what)


def content(cache: Path) -> dict[str, str]:
    """Hash of every file of a cache but the unfinished ones, by relative path."""
    files = sorted(path for path in cache.rglob("*") if path.is_file() and WRITING not in path.parts)
    return {str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def preprocess(raw: Path, cache: Path, workers: int) -> None:
    """Make the entries of all recordings; what a killed run repeats."""
    loader = DATASETS["UBFC-rPPG"]()
    recordings = loader.recordings(raw)
    target = Cache(cache, {"SIZE": [72, 72]})
    target.freeze(recordings)
    statuses = preprocess_all(loader, recordings, FaceCrop(size=(72, 72)), target, workers)
    if any(status.state != "done" for status in statuses.values()):
        raise SystemExit(1)


def _run(*command: str) -> subprocess.Popen:
    # A session of its own, so that a kill takes the workers along.
    return subprocess.Popen(
        [sys.executable, "-c", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _preprocessing(raw: Path, cache: Path, workers: int) -> subprocess.Popen:
    code = "import sys; from pathlib import Path; from tools.kill_preprocessing import preprocess; "
    return _run(code + "preprocess(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))", raw, cache, str(workers))


def _finish(raw: Path, cache: Path, workers: int) -> float:
    """Run to the end; returns seconds."""
    start = time.perf_counter()
    process = _preprocessing(raw, cache, workers)
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"Preprocessing ended with {process.returncode}:\n{said[-2000:]}")
    return time.perf_counter() - start


def _random(raw: Path, cache: Path, expected: dict[str, str], workers: int, seconds: float, victim: str) -> Trial:
    process = _preprocessing(raw, cache, workers)
    try:
        process.communicate(timeout=seconds)
        killed = ""
    except subprocess.TimeoutExpired:
        killed = _kill(process, victim)
    process.communicate() if killed != "the main process" else process.wait()
    alone = killed != "one worker" or (process.returncode == 0 and content(cache) == expected)
    _finish(raw, cache, workers)  # at once: workers that lost their main process may still be writing
    _end(process.pid)
    return Trial(f"{seconds:.2f} s, {killed or victim}", alone and content(cache) == expected, bool(killed))


def _kill(process: subprocess.Popen, victim: str) -> str:
    """Send SIGKILL and say to whom: to all processes where no worker has started yet."""
    if victim == "the main process":
        process.kill()
        return victim
    if victim == "one worker":
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                if any("LokyProcess" in word for word in child.cmdline()):
                    child.kill()
                    return victim
    os.killpg(process.pid, signal.SIGKILL)
    return "all processes"


def _end(group: int) -> None:
    """Kill whoever is left of a session that we started: workers without a recording wait some minutes for one."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _inside(raw: Path, cache: Path, expected: dict[str, str], what: str) -> Trial:
    process = _run(SUICIDE, what, "2", raw, cache)
    process.communicate()
    _finish(raw, cache, 1)
    return Trial(what, content(cache) == expected, process.returncode == -signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Render a small data set, run the trials and print a line for each; 0 when all caches are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each rendered recording")
    asked = parser.parse_args(arguments)
    from dataset.synthetic.layouts import write_layout

    with tempfile.TemporaryDirectory() as temporary:
        raw, work = Path(temporary) / "raw", Path(temporary) / "work"
        print("Rendering six recordings ...")
        write_layout("UBFC-rPPG", raw, {"SUBJECTS": 6, "SECONDS": asked.seconds, "PRESET": "easy", "CODEC": "mjpg"})
        results = []
        for trial in kill_trials(raw, work, asked.trials, asked.workers, asked.seed):
            state = "equal" if trial.equal else "DIFFERENT"
            print(f"{'killed' if trial.killed else 'not killed'} at {trial.moment}: {state}", flush=True)
            results.append(trial)
        shutil.rmtree(work)
    print(f"{sum(trial.equal for trial in results)} of {len(results)} reruns ended with the same cache.")
    return 0 if all(trial.equal for trial in results) else 1


if __name__ == "__main__":
    sys.exit(main())
