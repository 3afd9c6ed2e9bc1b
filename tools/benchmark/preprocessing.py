"""Preprocessing beside its floor: throughput on one core and with two workers, memory, bytes per frame.

    python -m tools.benchmark.preprocessing --out section.md            about ten minutes
    python -m tools.benchmark.preprocessing --seconds 10 --repeats 3    a quick look

Renders 640x480 videos at 30 fps as raw AVI, MJPG, H.264 and a folder of PNG files, and measures both sides in turn, in
processes of their own, on files in the page cache.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2

from config import ROOT
from dataset.data_loader.folder import FolderLoader
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from tools.benchmark.floor import SIZE, floor, pin

FORMATS = ("raw", "mjpg", "h264", "png")
COPIES = 6  # recordings of the two-worker measurement, so that they share out evenly
LONG = 5  # times the length, for the memory


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the Markdown section, or write it to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the rendered videos")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, help="folder for the videos; kept and used again")
    asked = parser.parse_args(arguments)
    from tools.benchmark.measure import conditions

    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or Path(temporary)
        videos = {name: render(work, name, asked.seconds) for name in asked.formats}
        text = f"{conditions()}\n\n{section(videos, asked.repeats, asked.seconds, work)}"
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def section(videos: dict[str, Path], repeats: int, seconds: float, work: Path) -> str:
    """The tables of speed and memory."""
    lines = [
        f"Videos: one synthetic face, 640x480, 30 fps, {seconds:g} s; first-frame Haar box x 1.5, faces of 72x72. "
        f"Median of {repeats}, files in the page cache; floor: `tools/benchmark/floor.py`.",
        "",
        "| format | floor, 1 core (frames/s) | ours, 1 core | share | two floors | two workers | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(speed_row(name, path, repeats, work) for name, path in videos.items()),
        "",
    ]
    if "mjpg" in videos:
        lines += memory_table(videos["mjpg"], seconds, work)
    return "\n".join(lines)


def speed_row(name: str, video: Path, repeats: int, work: Path) -> str:
    """One row of the table of speed."""
    one = [ask("single", video, 1, work) for _ in range(repeats)]
    two = [ask("double", video, 1, work) for _ in range(repeats)]
    cells = [name]
    for answers in (one, two):
        floors, ours = median(answers, "floor"), median(answers, "ours")
        cells += [f"{floors:.0f}", f"{ours:.0f}", f"**{ours / floors:.2f}**"]
    return f"| {' | '.join(cells)} |"


def median(answers: list[dict[str, float]], key: str) -> float:
    """Median of one figure over the repeats."""
    return statistics.median(answer[key] for answer in answers)


def memory_table(video: Path, seconds: float, work: Path) -> list[str]:
    """Rows of peak memory for one and two workers and two lengths, and bytes per frame."""
    from tools.benchmark.measure import measure

    longer = repeated(video, work / f"long{video.suffix}", LONG)
    lines = ["| video | workers | peak memory, PSS of all processes (MB) |", "| --- | --- | --- |"]
    for path, length in ((video, seconds), (longer, LONG * seconds)):
        for workers in (1, 2):
            peak = measure(command("memory", path, workers, work), work, interval=0.05).peak_pss
            lines.append(f"| mjpg, {length:g} s | {workers} | {peak / 1e6:.0f} |")
    size = ask("bytes", video, 1, work)["bytes"]
    return [*lines, "", f"Cache: {size:.0f} bytes of faces a frame."]


# --- In processes of their own ----------------------------------------------------------------------------------------


def command(what: str, video: Path, workers: int, work: Path) -> list[str]:
    """Command line of one measurement."""
    code = "import sys; sys.path.insert(0, sys.argv[5]); from tools.benchmark.preprocessing import child; child()"
    return [sys.executable, "-c", code, what, str(video.resolve()), str(workers), str(work.resolve()), str(ROOT)]


def ask(what: str, video: Path, workers: int, work: Path) -> dict[str, float]:
    """Run one measurement and read its answer."""
    found = subprocess.run(command(what, video, workers, work), cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"The measurement {what!r} failed:\n{found.stderr[-2000:]}")
    return json.loads(found.stdout.splitlines()[-1])


def child() -> None:
    """One measurement, by the command line above; the last line printed is its answer as JSON."""
    what, video, workers, work = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    with tempfile.TemporaryDirectory(dir=work) as folder:
        print("\n" + json.dumps(MEASUREMENTS[what](video, workers, Path(folder))))


def _single(video: Path, workers: int, folder: Path) -> dict[str, float]:
    pin(0)
    floor(video)  # fills the page cache
    count, seconds = floor(video)
    return {"floor": count / seconds, "ours": count / _ours([video], 1, folder)}


def _double(video: Path, workers: int, folder: Path) -> dict[str, float]:
    floor(video)
    others = [
        subprocess.Popen(command("loop", video, core, folder.parent), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for core in (0, 1)
    ]
    rates = [json.loads(other.communicate()[0].splitlines()[-1])["floor"] for other in others]
    _ours([video] * 2, 2, folder / "warm")  # starts the workers, as the first recordings of a data set do
    seconds = _ours([video] * COPIES, 2, folder / "cold")
    count = len(Cache(folder / "cold" / "cache", {}).entry("r0").trace)
    return {"floor": sum(rates), "ours": COPIES * count / seconds}


def _loop(video: Path, core: int, folder: Path) -> dict[str, float]:
    """One of two floors that run side by side for as long as the workers will."""
    pin(core)
    floor(video)
    counts, seconds = zip(*(floor(video) for _ in range(COPIES // 2)), strict=True)
    return {"floor": sum(counts) / sum(seconds)}


def _memory(video: Path, workers: int, folder: Path) -> dict[str, float]:
    return {"seconds": _ours([video] * workers, workers, folder)}


def _bytes(video: Path, workers: int, folder: Path) -> dict[str, float]:
    _ours([video], 1, folder)
    entry = Cache(folder / "cache", {}).entry("r0")
    return {"bytes": entry.faces.nbytes / len(entry.faces)}


MEASUREMENTS = {"single": _single, "double": _double, "loop": _loop, "memory": _memory, "bytes": _bytes}


def _ours(videos: list[Path], workers: int, folder: Path) -> float:
    """Seconds to preprocess `videos` into a new cache."""
    loader = FolderLoader({"FS": 30})
    recordings = [_named(loader, video, f"r{number}") for number, video in enumerate(videos)]
    cache = Cache(folder / "cache", {})
    begin = time.perf_counter()
    preprocess_all(loader, recordings, FaceCrop(size=SIZE), cache, workers)
    seconds = time.perf_counter() - begin
    for recording in recordings:
        cache.entry(recording.id)
    return seconds


def _named(loader: FolderLoader, video: Path, name: str) -> Any:
    from dataset.data_loader.base import Recording

    return Recording(id=name, subject=name, path=video)


# --- Videos -----------------------------------------------------------------------------------------------------------


def render(work: Path, name: str, seconds: float) -> Path:
    """A rendered video in one of FORMATS; one that is there already is used again."""
    from dataset.synthetic.render import Session
    from dataset.synthetic.settings import resolve
    from dataset.synthetic.writer import extension, write_recording

    options = {"SECONDS": seconds, "WIDTH": 640, "HEIGHT": 480, "DROPPED_FRAMES": 0.0}
    path = work / (f"png_{seconds:g}s" if name == "png" else f"{name}_{seconds:g}s{extension(name)}")
    if path.exists():
        return path
    work.mkdir(parents=True, exist_ok=True)
    session = Session(resolve({**options, "CODEC": "h264" if name == "png" else name}), 1)
    partial = work / f"partial_{path.name}"
    if name == "png":
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for number, frame in enumerate(session.frames()):
            cv2.imwrite(str(partial / f"{number:06d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    else:
        write_recording(partial, session)
    return partial.rename(path)


def repeated(video: Path, path: Path, times: int) -> Path:
    """The same packets `times` over, as one longer file."""
    stream, shift = None, 0
    with av.open(str(path), "w") as target:
        for _ in range(times):
            with av.open(str(video)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                end = shift
                for packet in source.demux(video=0):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.stream = stream
                    target.mux(packet)
                shift = end
    return path


if __name__ == "__main__":
    main()
