"""Run the toolbox on damaged inputs with limits of time and memory, and judge what it said and left behind."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.damage import FOLDER, MOTION, Damage, subject_number

FILE = ROOT / "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml"
SECONDS = 120  # for a whole group; a single input may take 60
ADDRESSES = 6 << 30  # bytes a process may reserve: a bomb ends its process and not the machine
CODES = {
    "LIGHT": 4,
    "MOTION": 4,
    "EXERCISE": 2,
    "SKIN_COLOR": 6,
    "GENDER": 2,
    "GLASSER": 2,
    "HAIR_COVER": 2,
    "MAKEUP": 2,
}


@dataclass(frozen=True)
class Run:
    """How a run ended: exit code (None: stopped for time), seconds, peak resident bytes of its largest process."""

    code: int | None
    seconds: float
    peak: int
    output: str


def arguments(name: str, data: Path, cache: Path, workers: int = 2, *changes: str) -> list[str]:
    """The command line that preprocesses the data set `name` in `data` without looking for faces."""
    node = "UNSUPERVISED.DATA"
    settings = {
        "TOOLBOX_MODE": "preprocess",
        f"{node}.DATASET": name.removesuffix(MOTION),
        f"{node}.DATA_PATH": data,
        f"{node}.CACHED_PATH": cache,
        f"{node}.PREPROCESS.RESIZE.W": 24,
        f"{node}.PREPROCESS.RESIZE.H": 24,
        f"{node}.PREPROCESS.CROP_FACE.DO_CROP_FACE": False,
        "PREPROCESS_WORKERS": workers,
        "LOG.PATH": cache.with_name("runs"),
        **{f"{node}.INFO.{field}": list(range(1, top + 1)) for field, top in CODES.items()},
    }
    if name == FOLDER:
        settings[f"{node}.FS"] = 30
    if name == "VIPL-HR":  # without being asked for, near infrared is left out
        settings |= {
            f"{node}.FILTERING.SELECT_TASKS": True,
            f"{node}.FILTERING.TASK_LIST": "['source1','source2','source4']",
        }
    if name.endswith(MOTION):
        settings[f"{node}.PREPROCESS.DATA_AUG"] = "['Motion']"
    return ["--config_file", str(FILE), *(f"{key}={value}" for key, value in settings.items()), *changes]


def preprocess(name: str, data: Path, cache: Path, workers: int = 2) -> Run:
    """`python main.py` in mode preprocess on the data set `name` in `data`."""
    return run(arguments(name, data, cache, workers), cache.parent)


def run(arguments: list[str], folder: Path) -> Run:
    """`python main.py` with `arguments` in the working directory `folder`, measured and limited."""
    start, peak = time.perf_counter(), 0
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), *arguments],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "RPPG_LOCAL": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
        )
        while process.poll() is None and time.perf_counter() - start < SECONDS:
            peak = max(peak, _largest(process.pid))
            time.sleep(0.05)
    code = process.poll()
    if code is None:
        os.killpg(process.pid, 9)
        process.wait()
    text = log.read_text(errors="replace")
    log.unlink()
    return Run(code, time.perf_counter() - start, peak, text)


def _largest(pid: int) -> int:
    """Most memory that any process of the tree has ever held so far, in bytes."""
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return max(_high_water(process.pid) for process in tree)


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else 0


# --- Within this process ----------------------------------------------------------------------------------------------


class TooLong(BaseException):
    """The time is over; not an Exception, so that nobody takes it for the fault of a file."""


@contextlib.contextmanager
def limited(seconds: int = 60, growth: int = 500_000_000) -> Iterator[None]:
    """Stop the block after `seconds`, refuse it more than 3 GB, and assert that it never held `growth` bytes more."""

    def stop(*_: object) -> None:
        raise TooLong

    before, addresses = resource.getrlimit(resource.RLIMIT_AS), _memory("VmSize")
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (addresses + (3 << 30), before[1]))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    held = _memory("VmRSS")
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
    more = _memory("VmHWM") - held
    assert more < growth, f"{more / 1e6:.0f} MB were needed"


def _memory(field: str) -> int:
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024


# --- What was left and what was said ---------------------------------------------------------------------------------


def snapshot(root: Path, *but: Path) -> dict[str, tuple]:
    """Every file, folder and link below `root` with its size, time and target, without the folders `but`."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if Path(folder, name) not in but]
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            state = os.lstat(path)
            target = os.readlink(path) if os.path.islink(path) else ""
            found[path] = (state.st_mode, state.st_size if name in files else 0, state.st_mtime_ns, target)
    return found


def states(cache: Path) -> dict[int, dict[str, tuple[str, str]]]:
    """(state, reason) of each recording by id, for each subject's number."""
    listing = json.loads(next(cache.rglob("recordings.json")).read_text())["recordings"]
    told = [json.loads(file.read_text()) for file in cache.rglob(".status/*.json")]
    by_id = {one["id"]: (one["state"], one["reason"]) for one in told}
    found: dict[int, dict[str, tuple[str, str]]] = {}
    for row in listing:
        # MR-NIRP has a subject under two numbers, each of which its ids tell; ids of other data sets may join numbers.
        number = subject_number(row["id"] if row["id"].startswith("subject") else row["subject"]) or 0
        found.setdefault(number, {})[row["id"]] = by_id.get(row["id"], ("missing", ""))
    return found


def problems(damages: list[Damage], found: dict[int, dict[str, tuple[str, str]]]) -> list[str]:
    """What is wrong with the account that the run gave of every recording; [] when nothing is."""
    wrong = []
    for damage in damages:
        own = found.pop(damage.number, {})
        failed = {name: reason for name, (state, reason) in own.items() if state != "done"}
        if not failed and not damage.harmless:
            wrong.append(f"{damage.number} {damage.kind}: passed as {own or 'nothing at all'}")
        limit = len(own) if damage.file.suffix == ".zip" else 1  # one archive holds all tasks of a subject
        if len(failed) > limit:
            wrong.append(f"{damage.number} {damage.kind}: cost {sorted(failed)}")
        wrong += [
            f"{damage.number} {damage.kind}: {fault}: {reason}"
            for reason in failed.values()
            for fault in faults(reason, damage.file)
        ]
    for own in found.values():
        wrong += [f"good {name}: {told}" for name, told in own.items() if told[0] != "done"]
    return wrong


def faults(reason: str, file: Path) -> list[str]:
    """What is wrong with a message about `file`: it must be one line that names it and says how to mend it."""
    found = []
    if "\n" in reason or len(reason) > 600:
        found.append("not one line")
    if re.search(
        r"\b[A-Z]\w*(Error|Exception|Interrupt|Warning)\b|Traceback|<class|object at 0x|process .* died", reason
    ):
        found.append("a bare error")
    # A wave is named by its recording's video, which may lie in another folder and have other signs in its name.
    twin = re.sub(r"\W", "_", file.stem.removesuffix("-BP"))
    recording = "The signal " in reason and (f"'{file.parent}/" in reason or twin in reason)
    if not recording and file.stem not in reason and not any(f"'{one}'" in reason for one in list(file.parents)[:2]):
        found.append("no file")
    if not re.search(r"\b(again|leave|mend|set|delete|choose|take)\b", reason, re.IGNORECASE):
        found.append("no remedy")
    return found
