"""Kill a training at random moments, start it again, and compare its weights with an uninterrupted one, bit by bit.

    python -m tools.kill_training --config_file configs/demo/physnet.yaml --trials 10

Moments fall uniformly over the measured duration of the uninterrupted run; three more kills hit the writing of a weight
file: half written, before its rename, right after it. Exit code 1 when any trial ends with other weights.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import ROOT

INSIDE = ("half written", "before the rename", "after the rename")  # of the first weight file

# Runs main.py, and kills its own process inside the n-th write of neural_methods.checkpoint.
SUICIDE = """
import os, signal, sys
from pathlib import Path
moment, number, calls = sys.argv[1], int(sys.argv[2]), [0]
from neural_methods import checkpoint
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def write(path, content):
    calls[0] += 1
    if calls[0] != number:
        return honest(path, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if moment == "half written":
        temporary.write_bytes(content[: len(content) // 2]); die()
    if moment == "before the rename":
        temporary.write_bytes(content); die()
    honest(path, content); die()
honest, checkpoint.write_atomically = checkpoint.write_atomically, write
import main
sys.exit(main.main(sys.argv[3:]))
"""


@dataclass(frozen=True)
class Trial:
    """One kill and what came of it."""

    moment: str
    equal: bool
    killed: bool  # False: the run had ended before
    message: str = ""


def kill_trials(arguments: Sequence[str], work: Path, trials: int = 10, seed: int = 0) -> list[Trial]:
    """Run `main.py arguments` uninterrupted, then killed at `trials` random moments and inside three writes.

    Every run writes to its own folder below `work` (LOG.PATH); the cache is shared and made before time is measured.
    Raises RuntimeError when the uninterrupted run fails.
    """
    _finish(arguments, work / "first")  # fills the cache, so that the measured run is one of training and test
    duration = _finish(arguments, work / "whole")
    expected = weights(work / "whole")
    if not expected:
        raise RuntimeError(f"The run left no weights below {work / 'whole'}: is TOOLBOX_MODE train_and_test?")
    moments = np.random.default_rng(seed).uniform(0, duration, trials)
    done = [_trial(arguments, work / f"random{k}", expected, float(moment)) for k, moment in enumerate(moments)]
    return done + [_trial_inside(arguments, work / f"inside{k}", expected, what) for k, what in enumerate(INSIDE)]


def weights(folder: Path) -> dict[str, str]:
    """Hash of every weight file below a folder, by relative path."""
    files = sorted(Path(folder).rglob("*_Epoch*.pth"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _command(arguments: Sequence[str], folder: Path) -> list[str]:
    return [sys.executable, "main.py", *arguments, f"LOG.PATH={folder}"]


def _run(command: Sequence[str]) -> subprocess.Popen:
    # A session of its own, so that a kill takes loader processes along.
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _finish(arguments: Sequence[str], folder: Path) -> float:
    """Run to the end; returns seconds."""
    start = time.perf_counter()
    process = _run(_command(arguments, folder))
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"main.py ended with {process.returncode}:\n{errors[-2000:]}")
    return time.perf_counter() - start


def _trial(arguments: Sequence[str], folder: Path, expected: dict[str, str], seconds: float) -> Trial:
    process = _run(_command(arguments, folder))
    try:
        process.communicate(timeout=seconds)
        killed = False
    except subprocess.TimeoutExpired:
        killed = True
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return _judged(arguments, folder, expected, f"{seconds:.1f} s", killed)


def _trial_inside(arguments: Sequence[str], folder: Path, expected: dict[str, str], what: str) -> Trial:
    # Writes 1 and 2 are the run's configuration and environment; 3 is the first weight file, 5 its state.
    process = _run([sys.executable, "-c", SUICIDE, what, "3", *arguments, f"LOG.PATH={folder}"])
    _, errors = process.communicate()
    if process.returncode != -signal.SIGKILL:
        return Trial(what, False, False, f"No kill happened there: exit code {process.returncode}. {errors[-500:]}")
    return _judged(arguments, folder, expected, what, killed=True)


def _judged(arguments: Sequence[str], folder: Path, expected: dict[str, str], moment: str, killed: bool) -> Trial:
    try:
        _finish(arguments, folder)
    except RuntimeError as error:
        return Trial(moment, False, killed, str(error))
    return Trial(moment, weights(folder) == expected, killed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and print a line for each; 0 when all ended with the expected weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config_file", required=True)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for the runs; a temporary one otherwise")
    parser.add_argument("override", nargs="*", metavar="KEY=VALUE")
    asked = parser.parse_args(arguments)
    run_arguments = ["--config_file", asked.config_file, *asked.override]
    with tempfile.TemporaryDirectory() as temporary:
        results = kill_trials(run_arguments, asked.work or Path(temporary), asked.trials, asked.seed)
    for trial in results:
        state = "equal" if trial.equal else f"DIFFERENT {trial.message}"
        print(f"{'killed' if trial.killed else 'already ended'} at {trial.moment}: {state}")
    print(f"{sum(trial.equal for trial in results)} of {len(results)} reruns ended with the same weights.")
    return 0 if all(trial.equal for trial in results) else 1


if __name__ == "__main__":
    sys.exit(main())
