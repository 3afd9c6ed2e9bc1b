"""The shortest run through everything the classical methods need; no torch, and no data but what is rendered here.

python -m tools.versions.chain FOLDER [STEP ...]

The easy demo; one rendered person in every container that `--video` takes; the doctor on them; the cache, read again.
Ends with 0 when each step did what it has to, else with 1 and what was said.
"""

import csv
import importlib.util
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dataset.data_loader.folder import VIDEOS
from dataset.faults import versions
from dataset.store.cache import Cache
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_raw_avi
from tools.versions.environment import ROOT

EASY = str(ROOT / "configs/demo/classical_easy.yaml")
PERSON = {"PRESET": "easy", "SECONDS": 10.0, "WIDTH": 240, "HEIGHT": 180, "PULSE_AMPLITUDE": 0.03}
CODECS = {  # by ending; else H.264
    ".avi": "mjpeg", ".webm": "libvpx", ".ogv": "libvpx", ".mpg": "mpeg2video", ".mpeg": "mpeg1video", ".wmv": "wmv2",
    ".vob": "mpeg2video",
}  # fmt: skip
FORMATS = {".qt": "mov"}  # endings that FFmpeg does not know for writing
DEVIATION = 6.0  # bpm between the rendered rate and that of POS, which is allowed: ten seconds are short


class StepError(Exception):
    """A step that did not do what it has to."""


def main() -> int:
    """All steps, with their times."""
    folder, begin = Path(sys.argv[1]).absolute(), time.monotonic()
    av.logging.set_level(av.logging.ERROR)  # encoders have much to say of settings that do not matter here
    print(f"{versions()}, {'with' if importlib.util.find_spec('torch') else 'without'} torch", flush=True)
    try:
        for title in sys.argv[2:] or STEPS:
            start = time.monotonic()
            said = STEPS[title](folder)
            print(f"  {title}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    except StepError as error:
        print(f"  {title}: FAILED. {error}")
        return 1
    print(f"  all in {time.monotonic() - begin:.0f} s")
    return 0


def easy_demo(folder: Path) -> str:
    """Every classical method on people with a strong pulse; the error of POS is small."""
    run(folder, "--config_file", EASY, f"UNSUPERVISED.DATA.DATA_PATH={folder / 'rendered'}")
    tables = json.loads(_one(folder, "metrics.json"))["tables"]
    errors = {one["method"]: one["metrics"]["MAE"]["value"] for one in tables if one["metrics"].get("MAE")}
    if not errors.get("POS", np.inf) <= DEVIATION:
        raise StepError(f"The mean absolute error of POS is not below {DEVIATION:g} bpm: {errors}")
    return f"{len(errors) - 1} methods, MAE of POS {errors['POS']:.2f} bpm"


def containers(folder: Path) -> str:
    """A rate for every container, near the true one."""
    session = Session(resolve(PERSON), 1)
    write_videos(folder / "videos", list(session.frames()), session.settings.fs)
    run(folder, "--video", str(folder / "videos"))
    true, rows = float(session.truth().hr), csv.DictReader(_one(folder, "vitals.csv").splitlines())
    rates = {row["recording"]: float(row["rate_bpm"]) for row in rows if row["method"] == "POS"}
    wrong = {name: rate for name, rate in rates.items() if not abs(rate - true) <= DEVIATION}
    videos = len(list((folder / "videos").iterdir()))
    if wrong or len(rates) != videos:
        raise StepError(f"POS read {len(rates)} of {videos} videos; of {true:.1f} bpm it made {wrong or rates}.")
    return f"{videos} videos of {true:.1f} bpm, POS {min(rates.values()):.1f} to {max(rates.values()):.1f} bpm"


def doctor(folder: Path) -> str:
    """Every video is examined, none fails."""
    run(folder, "--video", str(folder / "videos"), "--doctor", codes=(0, 1))  # 1: it found something bad to say
    return f"{len(_one(folder, 'doctor.csv').splitlines()) - 1} lines, {len(_one(folder, 'doctor.html'))} letters"


def cache(folder: Path) -> str:
    """A second run makes nothing anew, and the entries have the bytes that were written."""
    before = _written(folder)
    run(folder, "--video", str(folder / "videos"))
    stores = [Cache(file.parent, {}) for file in (folder / "cache").rglob("recordings.json")]
    names = [(store, row["id"]) for store in stores for row in store.listing()]
    bad = [name for store, name in names if not store.verify(name)]
    if bad or _written(folder) != before:
        raise StepError(f"These are not as they were written: {bad}." if bad else "Entries were made anew.")
    return f"{len(names)} entries as they were written, none made anew"


def _written(folder: Path) -> dict[Path, int]:
    """When each entry of the cache was made."""
    return {file: file.stat().st_mtime_ns for file in (folder / "cache").rglob("entry.json")}


def write_videos(folder: Path, frames: list[np.ndarray], fs: float) -> None:
    """One video for every ending that is taken for one, and uncompressed AVI in both orders of rows."""
    folder.mkdir()
    for ending in VIDEOS:
        encode(folder / f"video_{ending[1:]}{ending}", frames, fs)
    height, width = frames[0].shape[:2]
    for name, bottom_up in (("raw", True), ("raw_top_down", False)):
        with (folder / f"{name}.avi").open("wb") as file:
            write_raw_avi(file, frames, len(frames), width, height, fs, bottom_up)


def encode(path: Path, frames: list[np.ndarray], fs: float) -> None:
    """Write RGB frames into the container that the ending of `path` stands for."""
    codec = CODECS.get(path.suffix, "libx264")
    with av.open(str(path), "w", format=FORMATS.get(path.suffix)) as container:
        stream = container.add_stream(codec, rate=Fraction(fs), options={} if codec == "libx264" else {"b": "8000000"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.gop_size = 30  # MXF takes no more than 128 pictures
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def run(folder: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """What `python main.py` printed with `arguments`, results and cache below `folder`; StepError for another code."""
    own = [f"LOG.PATH={folder / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={folder / 'cache'}", "PREPROCESS_WORKERS=2"]
    command = [sys.executable, str(ROOT / "main.py"), *arguments, *own]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode not in codes:
        raise StepError(
            f"main.py {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr}"
        )
    return done.stdout


def _one(folder: Path, name: str) -> str:
    """The newest file `name` below the results; StepError without one."""
    found = sorted((folder / "runs").rglob(name), key=lambda file: file.stat().st_mtime)
    if not found:
        raise StepError(f"No {name} was written.")
    return found[-1].read_text()


STEPS = {"demo": easy_demo, "containers": containers, "doctor": doctor, "cache": cache}

if __name__ == "__main__":
    sys.exit(main())
