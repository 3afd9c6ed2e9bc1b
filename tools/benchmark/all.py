"""All measurements, written into docs/benchmarks.md.

python -m tools.benchmark.all [--work DIR]          about half an hour; the machine must be quiet
python -m tools.benchmark.all --long                also 20 minutes of 1080p: a quarter of an hour more
"""

import argparse
import tempfile
import time
from pathlib import Path

from tools.benchmark import loading, long_recording, preprocessing, signals, training, whole_runs
from tools.benchmark.measure import conditions

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"
COMPARED = """What rPPG-Toolbox (commit d807b01) was measured to need on such a machine: preprocessing 153 frames/s
(MJPG) and 160 (raw AVI) in one process; 248,841 bytes a frame in its cache; POS on 60 s 1.9 s; the figures of a 30 s
window 270 ms; POS alone on the six videos 103 s; the PhysNet run 351 s and 9.3 GB."""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for rendered videos; kept and used again")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the videos of the preprocessing part")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="also the memory of recordings of 20 minutes of 1080p")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        text = page(asked.work or Path(temporary), asked.seconds, asked.repeats, asked.long)
    PAGE.write_text(text, encoding="utf-8")
    print(text)


def page(work: Path, seconds: float, repeats: int, long: bool = False) -> str:
    """The Markdown page with every section."""
    work.mkdir(parents=True, exist_ok=True)
    videos = {name: preprocessing.render(work, name, seconds) for name in preprocessing.FORMATS}
    parts = {
        "Preprocessing": preprocessing.section(videos, repeats, seconds, work),
        **({"Long recordings": long_recording.section(work)} if long else {}),
        "Signals": signals.section(),
        "Reading clips": loading.section(),
        "Training": training.section(training.asked_by_default("cpu")),
        "Whole runs": whole_runs.section(work / "whole_runs"),
    }
    head = f"# Measured\n\nOn {time.strftime('%Y-%m-%d')}: {conditions()}\n\n{COMPARED}\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in parts.items())


if __name__ == "__main__":
    main()
