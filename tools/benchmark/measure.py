"""Run a command and measure it from outside: wall time and peak memory of the whole process tree.

Memory is the sum of the proportional set sizes (PSS) of all processes, so that pages shared by workers count once.
"""

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import psutil
import torch


@dataclass(frozen=True)
class Measured:
    """Seconds of wall time and the peak of summed PSS in bytes; `output` is what the command printed."""

    seconds: float
    peak_pss: int
    output: str


def measure(command: list[str], cwd: Path, interval: float = 0.1) -> Measured:
    """Run `command` to its end and sample the memory of its process tree; RuntimeError when it fails."""
    log = cwd / "measured.log"
    with log.open("w") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_pss(process.pid))
            time.sleep(interval)
        seconds = time.perf_counter() - begin
    text = log.read_text(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-2000:]}")
    return Measured(seconds, peak, text)


def tree_pss(pid: int) -> int:
    """Sum of the PSS (bytes) of the process `pid` and all its descendants; 0 for those that have just ended."""
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_pss(process.pid) for process in processes)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def conditions() -> str:
    """One Markdown paragraph: machine and versions a figure belongs to."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} cores ({cpu}), {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, OpenCV {cv2.__version__}."
    )
