"""All measurements, each written into docs/benchmarks.md as soon as it is done; the others stay as they are there.

python -m tools.benchmark.all                               half an hour or more; the machine must be quiet
python -m tools.benchmark.all --only signals whole_runs     these sections alone
python -m tools.benchmark.all --only long                   20 minutes of 1080p: a quarter of an hour
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from config import ROOT
from tools.benchmark import cmssl, loading, long_recording, preprocessing, signals, training, whole_runs
from tools.benchmark.measure import conditions

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Measured

What rPPG-Toolbox (commit d807b01) was measured to need on two such cores: preprocessing 153 frames/s (MJPG) and 160
(raw AVI) in one process; 248,841 bytes a frame in its cache; POS on 60 s 1.9 s; the figures of a 30 s window 270 ms;
POS alone on the six videos 103 s; the PhysNet run 351 s and 9.3 GB.
"""
TITLES = {
    "preprocessing": "Preprocessing",
    "signals": "Signals",
    "loading": "Reading clips",
    "training": "Training",
    "whole_runs": "Whole runs",
    "cmssl": "CM-SSL",
    "long": "Long recordings",
}


def main() -> None:
    """Measure what is asked for, section by section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TITLES, help="default: all but long")
    parser.add_argument("--work", type=Path, help="folder for rendered videos; kept and used again")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the videos of the preprocessing part")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        parts = measurements(work, asked.seconds, asked.repeats)
        for name in asked.only or [name for name in TITLES if name != "long"]:
            text = f"{time.strftime('%Y-%m-%d')}, {conditions()}\n\n{parts[name]()}"
            page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else HEAD
            PAGE.write_text(with_section(page, TITLES[name], text), encoding="utf-8")
            print(f"## {TITLES[name]}\n\n{text}\n", flush=True)


def measurements(work: Path, seconds: float, repeats: int) -> dict[str, Callable[[], str]]:
    """What measures each section and returns its Markdown."""

    def speed() -> str:
        videos = {name: preprocessing.render(work, name, seconds) for name in preprocessing.FORMATS}
        return preprocessing.section(videos, repeats, seconds, work)

    return {
        "preprocessing": speed,
        "signals": signals.section,
        "loading": loading.section,
        "training": lambda: training.section(training.asked_by_default("cpu")),
        "whole_runs": lambda: whole_runs.section(work / "whole_runs"),
        "cmssl": cmssl.section,
        "long": lambda: long_recording.section(work),
    }


def with_section(page: str, title: str, text: str) -> str:
    """`page` with `text` under the heading `title`, in the place of what was there; a new heading comes last."""
    section = f"## {title}\n\n{text.strip()}\n\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if found:
        page = page[: found.start()] + section + page[found.end() :]
    else:
        page = f"{page.rstrip()}\n\n{section}"
    return page.rstrip() + "\n"


if __name__ == "__main__":
    main()
