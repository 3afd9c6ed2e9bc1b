"""Memory and time of aligning recordings of four sensors: memory must not grow with their length.

python -m tools.benchmark.aligning                       recordings of 1 and 10 minutes: some minutes
python -m tools.benchmark.aligning --minutes 1 --size 640 480
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from config import ROOT
from dataset.multimodal.simulate import Setup, write_set
from tools.benchmark.measure import conditions, measure


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), metavar=("WIDTH", "HEIGHT"), help="of RGB")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{conditions()}\n\n{section(Path(temporary), asked.minutes, tuple(asked.size))}")


def section(work: Path, minutes: Sequence[float] = (1.0, 10.0), size: tuple[int, int] = (160, 120)) -> str:
    """The table: peak memory, wall and processor time of aligning one recording of each length."""
    lines = [
        f"RGB {size[0]}x{size[1]} at 30, thermal 80x60 at 9, radar at 20 and PPG at 100 per second.",
        "",
        "| recording (min) | peak memory (MB) | seconds | CPU seconds | times faster than real time, by CPU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for length in minutes:
        root = work / f"{length:g}"
        write_set(root, Setup(60.0 * length, size), subjects=1)
        before = _cpu()
        program = str(ROOT / "tools" / "multimodal" / "align.py")
        found = measure([sys.executable, program, "--root", str(root)], work)
        cpu = _cpu() - before
        peak, ratio = found.peak_pss / 1e6, 60 * length / cpu
        lines.append(f"| {length:g} | {peak:.0f} | {found.seconds:.0f} | {cpu:.0f} | {ratio:.1f} |")
    return "\n".join(lines)


def _cpu() -> float:
    """Processor seconds of all programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
