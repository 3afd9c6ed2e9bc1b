"""Kill whole runs at random moments, start them again, and compare all that they leave with an undisturbed run.

    python -m tools.kill_runs --trials 5                    every kind of run: some minutes
    python -m tools.kill_runs --trials 60 --kinds training

Kinds: preprocess, overwrite (--overwrite of a whole cache), training, test (of weights), report (classical methods and
all that is written of them). Every second trial starts the run twice at once, and kills both or one of them. Then the
command is run once more, to its end; an overwriting goes on without --overwrite, so that what it has lost would be
missing. Every file below cache and LOG.PATH has to be there and no other, with the bytes of an undisturbed run; files
in which two undisturbed runs differ, such as times that were measured, are compared by name alone. Moments fall
uniformly over the measured duration. Runs are forked from this process, which has imported everything: moments fall
into work and not into imports. Exit code 1 when any trial differs.
"""

import argparse
import contextlib
import hashlib
import importlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import main as program
from config import ROOT
from dataset.synthetic.layouts import write_layout

IMPORTED = ("dataset.run", "unsupervised_methods.run", "neural_methods.run", "evaluation.publish", "matplotlib.pyplot")
KINDS = ("preprocess", "overwrite", "training", "test", "report")
HANGS = 120.0  # seconds
SLOWER = 1.3  # times as long as one alone two runs at once may take
SIZE, FRAMES = 16, 80  # of faces in pixels, and of clips
FACES = {"SUBJECTS": 3, "SECONDS": 6.0, "PRESET": "easy", "CODEC": "mjpg"}


@dataclass(frozen=True)
class Kind:
    """A kind of run: what it is started with, what goes on after a kill, and what lies there before it."""

    command: tuple[str, ...]
    again: tuple[str, ...]
    before: Path | None = None  # a cache that is copied


@dataclass(frozen=True)
class Whole:
    """What undisturbed runs leave: all files by name, with the hash where it is always the same; and their seconds."""

    files: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Trial:
    """One kill and what came of it."""

    kind: str
    moment: str
    killed: int  # processes
    wrong: list[str] = field(default_factory=list)  # files that differ, are missing or too many


class Bench:
    """A folder in which runs are made, killed and compared: always at the same paths, which stand in what they write"""

    def __init__(self, folder: Path):
        """Render the recordings, and make what the kinds need: a cache and weights."""
        for name in IMPORTED:
            importlib.import_module(name)
        self.folder, self.place = folder, folder / "run"
        if wait(forked(lambda: write_layout("UBFC-rPPG", folder / "raw", FACES), folder / "said")):
            raise RuntimeError(f"rendering failed: {(folder / 'said').read_text()}")
        self._kept = folder / "kept"
        self._finish(self._training())
        self._finish(self._classical("TOOLBOX_MODE=preprocess"))
        shutil.move(self.place, self._kept)
        self.kinds = {name: self._kind(name) for name in KINDS}

    def whole(self, kind: str) -> Whole:
        """Of an undisturbed run, made three times: the first may read what is not in memory yet."""
        found, seconds = [], []
        for _ in range(3):
            self._prepare(kind)
            begun = time.monotonic()
            self._finish(self.kinds[kind].command)
            seconds.append(time.monotonic() - begun)
            if self.kinds[kind].again != self.kinds[kind].command:
                self._finish(self.kinds[kind].again)
            found.append(hashes(self.place))
        first, *others = found
        same = {name: value if all(one.get(name) == value for one in others) else "" for name, value in first.items()}
        return Whole(same, min(seconds))

    def trial(self, kind: str, whole: Whole, seconds: float, victims: int, runs: int) -> Trial:
        """Kill `victims` of so many `runs` of one kind, at once, after so many `seconds`."""
        self._prepare(kind)
        started = [start(self.kinds[kind].command, self.folder / f"said{number}") for number in range(runs)]
        time.sleep(seconds)
        killed = sum(kill(process) for process in started[:victims])
        for process in started[victims:]:
            wait(process)  # the second of two may be refused, by a sentence
        moment = f"{seconds:.2f} s, {killed} of {runs} killed"
        try:
            self._finish(self.kinds[kind].again)
        except RuntimeError as error:
            return Trial(kind, moment, killed, [str(error)])
        return Trial(kind, moment, killed, differences(whole.files, hashes(self.place)))

    def _prepare(self, kind: str) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        before = self.kinds[kind].before
        if before:
            shutil.copytree(before, self.place / "cache")

    def _finish(self, command: Sequence[str]) -> None:
        code = wait(start(command, self.folder / "said"))
        if code:
            raise RuntimeError(f"a run ended with {code}: {(self.folder / 'said').read_text()[-1500:]}")

    def _kind(self, name: str) -> Kind:
        cache = self._kept / "cache"
        preprocess = self._classical("TOOLBOX_MODE=preprocess")
        (weights,) = self._kept.rglob("*_Epoch1.pth")
        return {
            "preprocess": Kind(preprocess, preprocess),
            "overwrite": Kind((*preprocess, "--overwrite"), preprocess, cache),
            "training": Kind(self._training(), self._training(), cache),
            "test": Kind(*[self._training("TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}")] * 2, cache),
            "report": Kind(self._classical(), self._classical(), cache),
        }[name]

    def _classical(self, *changes: str) -> tuple[str, ...]:
        settings = {"UNSUPERVISED.METHOD": "[POS, CHROM]", "UNSUPERVISED.METRICS": "[MAE, RMSE, SNR, BA]"}
        file = ROOT / "configs" / "infer_configs" / "UBFC-rPPG_UNSUPERVISED.yaml"
        return self._command(file, ("UNSUPERVISED",), settings, changes)

    def _training(self, *changes: str) -> tuple[str, ...]:
        settings = {
            "TRAIN.EPOCHS": 2, "TRAIN.BATCH_SIZE": 2, "TRAIN.STATE_EVERY": 1, "DEVICE": "cpu", "NUM_WORKERS": 0,
            "TRAIN.DATA.END": 0.34, "VALID.DATA.BEGIN": 0.34, "VALID.DATA.END": 0.67, "TEST.DATA.BEGIN": 0.67,
            "TRAIN.MODEL_FILE_NAME": "killed",
        }  # fmt: skip
        return self._command(ROOT / "configs" / "demo" / "physnet.yaml", ("TRAIN", "VALID", "TEST"), settings, changes)

    def _command(self, file: Path, sections: Sequence[str], settings: dict, changes: Sequence[str]) -> tuple[str, ...]:
        data = {
            "DATASET": "UBFC-rPPG", "DATA_PATH": self.folder / "raw", "CACHED_PATH": self.place / "cache", "FS": 30,
            "PREPROCESS.CROP_FACE.DO_CROP_FACE": True, "PREPROCESS.CROP_FACE.BACKEND": "HC",
            "PREPROCESS.RESIZE.W": SIZE, "PREPROCESS.RESIZE.H": SIZE, "PREPROCESS.CHUNK_LENGTH": FRAMES,
        }  # fmt: skip
        settings = {"PREPROCESS_WORKERS": 1, "LOG.PATH": self.place / "runs", **settings}
        settings |= {f"{section}.DATA.{key}": value for section in sections for key, value in data.items()}
        return ("--config_file", str(file), *(f"{key}={value}" for key, value in settings.items()), *changes)


def start(command: Sequence[str], said: Path) -> int:
    """The process that runs main.py with `command`; see `forked`."""
    return forked(lambda: program.main(list(command)), said)


def forked(work: Callable[[], Any], said: Path) -> int:
    """The process that does `work`, in a session of its own; what it prints goes to the file `said`.

    This process itself must not: threads that a library starts, such as OpenCV's, are missing in what is forked later.
    """
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1), os.dup2(target, 2)
        code = work()
        sys.stdout.flush(), sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 0)


def wait(process: int) -> int:
    """The exit code of a started process; that of a kill when it hangs."""
    limit = time.monotonic() + HANGS
    while time.monotonic() < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    kill(process)
    return -signal.SIGKILL


def kill(process: int) -> bool:
    """Kill -9 the session of a started process; whether it was still running."""
    done, _ = os.waitpid(process, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    if not done:
        os.waitpid(process, 0)
    return not done


def hashes(folder: Path) -> dict[str, str]:
    """Every file, link and empty folder below `folder`, by relative path, with the hash of its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = re.sub(r"tfevents\..*", "tfevents", str(path.relative_to(folder)))  # the rest is when it was begun
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            found[f"{name}/"] = "empty"
    return found


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """What is missing, too many or different."""
    wrong = [f"missing: {name}" for name in expected.keys() - found.keys()]
    wrong += [f"left over: {name}" for name in found.keys() - expected.keys()]
    return wrong + [
        f"different: {name}" for name, value in expected.items() if value and found.get(name, value) != value
    ]


def kill_trials(folder: Path, kinds: Sequence[str] = KINDS, trials: int = 5, seed: int = 0) -> Iterator[Trial]:
    """So many `trials` of each kind below an empty `folder`, each yielded when it is over."""
    bench, draw = Bench(folder), np.random.default_rng(seed)
    for kind in kinds:
        whole = bench.whole(kind)
        for number in range(trials):
            runs = 1 + number % 2
            victims = 1 if number % 4 == 3 else runs
            longest = whole.seconds * (1 if runs == 1 else SLOWER)
            yield bench.trial(kind, whole, float(draw.uniform(0, longest)), victims, runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and print a line for each; 0 when all left the same as undisturbed runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    wrong = killed = count = 0
    with tempfile.TemporaryDirectory() as temporary:
        for trial in kill_trials(Path(temporary), asked.kinds, asked.trials, asked.seed):
            print(f"{trial.kind} {trial.moment}: {'; '.join(trial.wrong) or 'equal'}", flush=True)
            wrong, killed, count = wrong + bool(trial.wrong), killed + trial.killed, count + 1
    print(f"{count - wrong} of {count} ended as undisturbed runs do; {killed} runs were killed.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
