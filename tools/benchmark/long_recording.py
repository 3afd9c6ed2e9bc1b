"""Peak memory of preprocessing long recordings of high resolution: it must not grow with the length.

    python -m tools.benchmark.long_recording                            20 minutes of 1080p: a quarter of an hour
    python -m tools.benchmark.long_recording --minutes 2 --workers 1    a quick look

Renders ten seconds of 1920x1080 at 30 fps, H.264, and repeats their packets to the wanted length. Each worker has a
recording of its own.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.benchmark.preprocessing import command, repeated

WIDTH, HEIGHT, CLIP = 1920, 1080, 10.0  # pixels, pixels, seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--work", type=Path, help="folder for the video; kept and used again")
    asked = parser.parse_args(arguments)
    from tools.benchmark.measure import conditions

    with tempfile.TemporaryDirectory() as temporary:
        print(f"{conditions()}\n\n{section(asked.work or Path(temporary), asked.minutes, asked.workers)}")


def section(work: Path, minutes: float = 20.0, workers: Sequence[int] = (1, 2)) -> str:
    """The table: peak of summed PSS and seconds, for each number of workers."""
    from tools.benchmark.measure import measure

    video = render(work, minutes)
    lines = [
        f"H.264, {WIDTH}x{HEIGHT}, 30 fps, {minutes:g} min a recording, one for each worker; first-frame Haar box.",
        "",
        "| workers | peak memory, PSS of all processes (MB) | per worker (MB) | frames/s of all |",
        "| --- | --- | --- | --- |",
    ]
    for count in workers:
        found = measure(command("memory", video, count, work), work, interval=0.2)
        peak, rate = found.peak_pss / 1e6, count * minutes * 60 * 30 / found.seconds
        lines.append(f"| {count} | {peak:.0f} | {peak / count:.0f} | {rate:.0f} |")
    return "\n".join(lines)


def render(work: Path, minutes: float, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """The video of `width` x `height` pixels; one that is there already is used again."""
    from dataset.synthetic.render import Session
    from dataset.synthetic.settings import resolve
    from dataset.synthetic.writer import write_recording

    path = work / f"h264_{width}x{height}_{minutes:g}min.mp4"
    if path.exists():
        return path
    work.mkdir(parents=True, exist_ok=True)
    clip, partial = work / f"h264_{width}x{height}.mp4", work / f"partial_{path.name}"
    options = {"SECONDS": CLIP, "WIDTH": width, "HEIGHT": height, "CODEC": "h264", "DROPPED_FRAMES": 0.0}
    write_recording(clip, Session(resolve(options), 1))
    repeated(clip, partial, round(minutes * 60 / CLIP))
    clip.unlink()
    return partial.rename(path)


if __name__ == "__main__":
    main()
