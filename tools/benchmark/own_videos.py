"""Own videos through main.py: ten minutes of 1080p, and how soon the first answer of a short clip is on the screen.

    python -m tools.benchmark.own_videos --work runs/own_videos_speed                 a few minutes
    python -m tools.benchmark.own_videos --work runs/own_videos_speed --minutes 1     a quick look

Renders ten seconds of 1920x1080 at 30 frames per second, H.264, and repeats their packets. Real-time factor: seconds of
video per second of the whole command, start and report included. Memory: peak of the summed PSS of all its processes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from config import ROOT
from tools.benchmark.long_recording import render
from tools.benchmark.measure import conditions, measure

MAIN = ROOT / "main.py"
SHORT = 0.5  # minutes: the clip whose first answer is waited for
SIZES = ((640, 480), (1280, 720), (1920, 1080))
ANSWERS = ("bpm (", "no reliable pulse")  # one of them is in the line of an answer


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the videos; kept and used again")
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args(arguments)
    print(f"{conditions()}\n\n{section(asked.work, asked.minutes)}")


def section(work: Path, minutes: float) -> str:
    """Both tables."""
    long = render(work, minutes)
    lines = [
        "| 1920x1080, H.264, 30 frames/s | s | real-time factor | peak memory (MB) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for words, more in (("POS", ["UNSUPERVISED.METHOD=['POS']"]), ("all seven methods", [])):
        with tempfile.TemporaryDirectory(dir=work) as empty:
            found = measure(command(long, Path(empty), more), Path(empty))
        factor, peak = 60 * minutes / found.seconds, found.peak_pss / 1e6
        lines.append(f"| {minutes:g} min, {words} | {found.seconds:.1f} | {factor:.1f} | {peak:.0f} |")
    lines += ["", f"| {60 * SHORT:g} s | first answer on screen (s), start included: three times |", "| --- | ---: |"]
    for width, height in SIZES:
        short = render(work, SHORT, width, height)
        waits = sorted(first_answer(short, work) for _ in range(3))
        lines.append(f"| {width}x{height} | {', '.join(f'{seconds:.1f}' for seconds in waits)} |")
    return "\n".join(lines)


def command(video: Path, empty: Path, more: Sequence[str] = ()) -> list[str]:
    """`main.py --video` with cache and report in an `empty` folder, so that nothing is reused."""
    own = [f"LOG.PATH={empty / 'log'}", "--cached_path", str(empty / "cache")]
    return [sys.executable, str(MAIN), "--video", str(video.absolute()), *own, *more]


def first_answer(video: Path, work: Path) -> float:
    """Seconds from the start of the command to the line with the answer; RuntimeError when it ends without one."""
    with tempfile.TemporaryDirectory(dir=work) as empty:
        begin, environment = time.perf_counter(), {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command(video, Path(empty).absolute()),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        seconds = next(
            (time.perf_counter() - begin for line in process.stdout if any(a in line for a in ANSWERS)), None
        )
        process.communicate()
    if seconds is None:
        raise RuntimeError(f"'{video}' got no answer.")
    return seconds


if __name__ == "__main__":
    main()
