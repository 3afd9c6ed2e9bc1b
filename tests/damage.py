"""Damaged inputs of every data set's layout, made deterministically: what bad disks, bad copies and bad people leave.

`make_group(name, root)` writes one data set in which every subject but the first and the last has one damaged file, and
returns what was done to whom. The pictures are noise: nobody looks for a face in them.
"""

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from dataset.data_loader.folder import VIDEOS
from dataset.synthetic.layouts import LAYOUTS, write_subjects
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from tests import damage_formats as formats
from tests.video_tools import write_video

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 96, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.5)
FOLDER = "Folder"  # any videos: the data set without a layout of its own
MOTION = " motion-augmented"  # ending of the name of a data set that is read from .npy files
FILES = {  # the files of a subject that are damaged, by pattern; other data sets: the first of each ending
    "BP4DPlus": ("*.zip", "BP_mmHg.txt"),
    "BP4DPlusBigSmall": ("*.zip", "Resp_Volts.txt", "AU_OCC/*.csv", "*AU06.csv"),
    "ECG-Fitness": ("c920-1.avi", "viatom-raw.csv"),  # fewer than 100: its folders have two digits
    "iBVP": ("*.bmp", "*.csv"),
    "MCD-rPPG": ("*.avi", "*.PW", "meta/*.txt", "ppg_sync/*.txt"),
    "MR-NIRP": ("RGB/*.pgm", "*.mat"),
    "Multimodal": ("*.h5",),
    "UBFC-PHYS": ("*.avi", "bvp*.csv"),
    f"UBFC-rPPG{MOTION}": ("*.npy",),
    "V4V": ("*.mkv", "BP_raw_1KHz/*.txt", "Physiology/*.txt"),
    "VIPL-HR": tuple(f"v5/source1/{name}" for name in ("video.avi", "wave.csv", "time.txt", "gt_HR.csv")),
    FOLDER: ("*.mp4", "*.mkv", "*0002.jpg", "*.csv"),
}
OPTIONAL = {
    "BP4DPlusBigSmall": ("*.csv", "Resp_Volts.txt"),
    "LGI-PPGI": ("*timer*.xml",),  # without it the times of the container count
    "MCD-rPPG": ("*.PW", "meta/*.txt", "ppg_sync/*.txt"),  # each stands in for another
    "V4V": ("Physiology/*.txt",),
    "VIPL-HR": ("time.txt", "gt_HR.csv"),
    FOLDER: ("*.csv", "*.mp4", "*.mkv"),
}
UNSEEN = {  # damages that leave what the reader needs: headers of MCD-rPPG are known to miscount, its lines are counted
    "MCD-rPPG": (".avi of 2^32 frames", ".txt cut to 10 bytes"),
    "VIPL-HR": (".csv cut to 10 bytes", ".csv with zero bytes in it"),  # two values are left; no zero to replace
}
TABLES = (".csv", ".txt", ".xmp", ".PW")
PICTURES = (".png", ".bmp", ".jpg", ".pgm")
ABSENT = ("missing", "unreadable", "a folder")
Change = Callable[[Path], None]


@dataclass(frozen=True)
class Damage:
    """One damaged input: `change` is made to `file` of subject `number`.

    harmless: what is left may still be a good recording, such as after flipped bits between the pixels.
    """

    kind: str
    number: int
    file: Path
    harmless: bool = False


@dataclass(frozen=True)
class Kind:
    """A way to damage a file, and whether it may go unnoticed."""

    name: str
    change: Change
    harmless: bool = False


def make_group(name: str, root: Path, every: int = 1) -> list[Damage]:
    """Write the data set `name` into `root` with one subject for each kind of damage (every `every`-th of them)."""
    done = []
    with _noise():
        files = _subject(name, root, 1)
        plan = [(pattern, kind) for pattern, file in files.items() for kind in kinds(file, name == FOLDER)][::every]
        for number, (pattern, kind) in enumerate(plan, start=2):
            file = _subject(name, root, number)[pattern]
            kind.change(file)
            shorter = kind.name == "cut to a third" and file.suffix in TABLES
            absent = kind.name in ABSENT and _may_lack(name, file, kind.name)
            what = f"{file.suffix} {kind.name}"
            harmless = kind.harmless or shorter or absent or what in UNSEEN.get(name, ())
            done.append(Damage(what, number, file, harmless))
        _subject(name, root, len(plan) + 2)
    return done


def make_good(name: str, root: Path, count: int) -> None:
    """Write the data set `name` with `count` undamaged subjects."""
    with _noise():
        for number in range(1, count + 1):
            _subject(name, root, number)


def _may_lack(name: str, file: Path, kind: str) -> bool:
    """Whether nothing tells that this file has ever been there: one picture of many, an optional label."""
    if kind == "a folder":  # one with the name of a video is a folder of pictures
        return name == FOLDER and file.suffix in VIDEOS
    return (
        file.suffix in PICTURES
        or file.suffix == ".mat"
        or any(file.match(pattern) for pattern in OPTIONAL.get(name, ()))
    )


def kinds(file: Path, any_name: bool = False) -> list[Kind]:
    """All ways to damage this file: those for any file, of its format, and odd names where it may have `any_name`."""
    names = NAMES if any_name and file.suffix in VIDEOS else []
    return [*GENERAL, *(Kind(*one) for one in formats.of(file)), *names]


def group_names() -> list[str]:
    """Every data set that has a layout, and any videos."""
    return [*LAYOUTS.names(), FOLDER, f"UBFC-rPPG{MOTION}"]


# --- Good miniatures -------------------------------------------------------------------------------------------------


def _subject(name: str, root: Path, number: int) -> dict[str, Path]:
    """Write subject `number`; the file of it that each pattern names."""
    if name == FOLDER:
        _videos(root, number)
    else:
        write_subjects(name.removesuffix(MOTION), root, SETTINGS, [number])
    if name.endswith(MOTION):
        _augment(root, number)
    files = _files(root, number)
    patterns = FILES.get(name) or tuple(dict.fromkeys(f"*{file.suffix}" for file in files))
    return {pattern: [file for file in files if file.match(pattern)][:2][-1] for pattern in patterns}


def _files(root: Path, number: int) -> list[Path]:
    """Files of subject `number`: those in whose path below `root` the first number is its own."""
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return [file for file in files if subject_number(str(file.relative_to(root))) == number]


def subject_number(text: str) -> int | None:
    """The number of the subject in its name, or in the path of one of its files."""
    text = re.sub(r"AU_?\w*/|2D\+3D/|Phase \d_[^/]*/|BP_raw_1KHz/", "", text)
    digits = re.search(r"\d+", text)
    return int(digits.group()) % 1000 if digits else None  # patients of MCD-rPPG are numbered from 1001


def _videos(root: Path, number: int) -> None:
    """One person's own videos: H.264 with a label, Matroska, and a folder of pictures."""
    folder, frames = root / f"person{number}", pictures(12, 96, 72)
    write_video(folder / "phone.mp4", frames, "h264")
    write_video(folder / "camera.mkv", pictures(75, 96, 72), "ffv1")  # it must miss more than a second to be cut
    rows = "".join(f"{index / 30:.4f},{np.sin(index / 5):.4f}\n" for index in range(12))
    (folder / "phone.csv").write_text("time,ppg\n" + rows)
    (folder / "frames").mkdir()
    for index, frame in enumerate(frames):
        (folder / "frames" / f"{index:04d}.jpg").write_bytes(cv2.imencode(".jpg", frame)[1].tobytes())


def _augment(root: Path, number: int) -> None:
    """A motion-augmented video beside each original of a subject."""
    for file in _files(root, number):
        if file.suffix == ".avi":
            np.save(file.with_name("moved.npy"), np.array(pictures(15, 96, 72)))


def pictures(count: int, width: int, height: int) -> list[np.ndarray]:
    """`count` different pictures (H, W, 3) uint8."""
    rng = np.random.default_rng(5)
    coarse = cv2.resize(rng.integers(60, 200, (9, 12, 3), np.uint8), (width, height))
    return [
        cv2.add(np.roll(coarse, shift, axis=1), rng.integers(0, 9, coarse.shape, np.uint8)) for shift in range(count)
    ]


@contextlib.contextmanager
def _noise() -> Iterator[None]:
    """Sessions show `pictures` in place of a rendered face."""

    def frames(session: Session) -> Iterator[np.ndarray]:
        return iter(pictures(len(session.course.times), session.settings.width, session.settings.height))

    with mock.patch.object(Session, "frames", frames), mock.patch.object(Session, "face", None):
        yield


# --- Names -----------------------------------------------------------------------------------------------------------


MISNAMED = {  # how the file or folder of a recording comes to another name, or leaves others beside it
    "in capitals": lambda path: path.rename(path.with_name(path.name.upper())),
    "copied (1)": lambda path: _copy(path, f"{_stem(path)} (1){_ending(path)}"),
    "with macOS' twin": lambda path: path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0"),
    "left packed": lambda path: _pack(path),
    "one folder too deep": lambda path: _deepen(path),
    "with another sign": lambda path: path.rename(path.with_name(f"new-{path.name}")),
    "of another format": lambda path: path.with_name("me.gif").write_bytes(b"GIF89a"),
    "with Thumbs.db": lambda path: path.with_name("Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0"),
}


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _ending(path: Path) -> str:
    return "" if path.is_dir() else path.suffix


def _copy(path: Path, name: str) -> None:
    (shutil.copytree if path.is_dir() else shutil.copy)(path, path.with_name(name))


def _pack(path: Path) -> None:
    shutil.make_archive(str(path.with_name(f"{_stem(path)}-packed")), "zip", path.parent, path.name)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _deepen(path: Path) -> None:
    place = path.with_name(f"within {_stem(path)}")
    place.mkdir()
    path.rename(place / path.name)


# --- Damage to any file ----------------------------------------------------------------------------------------------


def put(path: Path, content: bytes) -> None:
    """Another content for `path`; a hard link to the old content keeps it."""
    path.unlink()
    path.write_bytes(content)


def edit(change: Callable[[bytes], bytes]) -> Change:
    """The damage that replaces the content of a file by `change` of it."""
    return lambda path: put(path, change(path.read_bytes()))


def cut(share: float) -> Change:
    """Keep the first `share` of a file."""
    return edit(lambda content: content[: int(len(content) * share)])


def flip(start: float, stop: float, count: int = 24) -> Change:
    """Flip one bit in each of `count` bytes between two shares of a file."""

    def flipped(content: bytes) -> bytes:
        changed, rng = bytearray(content), np.random.default_rng(len(content))
        low, high = int(start * len(content)), max(int(stop * len(content)), int(start * len(content)) + 1)
        for place in rng.integers(low, high, count):
            changed[place] ^= 1 << int(rng.integers(8))
        return bytes(changed)

    return edit(flipped)


def zeros(start: float, stop: float) -> Change:
    """Zero bytes between two shares of a file, as a crash of the file system leaves them."""

    def blank(content: bytes) -> bytes:
        low, high = int(start * len(content)), int(stop * len(content))
        return content[:low] + bytes(high - low) + content[high:]

    return edit(blank)


def instead(make: Callable[[Path], object]) -> Change:
    """Something else in the place of the file."""

    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def grow(path: Path) -> None:
    """Half a terabyte of zeros follow the content; the disk stores none of them."""
    content = path.read_bytes()
    put(path, content)
    os.truncate(path, 1 << 39)


def unreadable(path: Path) -> None:
    """Nobody may read the file; for root, who may always, it is gone."""
    os.chmod(path, 0)
    if os.geteuid() == 0:
        path.unlink()


def renamed(change: Callable[[str], str]) -> Change:
    """Another name, in the same folder and with the same ending."""
    return lambda path: path.rename(path.with_name(change(path.stem) + path.suffix))


NAMES = [  # of videos that may have any: nothing else is wrong with them
    Kind("called by a digit in a circle", renamed(lambda name: f"{name}①"), True),
    Kind("called by a power", renamed(lambda name: f"{name} 5²"), True),
    Kind("called by bytes that are no UTF-8", renamed(lambda name: f"{name}\udce9\udcff"), True),
    Kind("called by what colours a terminal", renamed(lambda name: f"{name}\x1b[31m\a\r\n"), True),
    Kind("called by a formula", renamed(lambda name: f"=1+{name}"), True),
    Kind("called by a tag", renamed(lambda name: f"<img onerror=x>[{name}](javascript:x)"), True),
    Kind("called like a setting", renamed(lambda name: f"#{name}: [null]"), True),
    Kind("called by a letter that turns the text", renamed(lambda name: f"{name}\u202e4pm"), True),
]
GENERAL = [
    Kind("empty", edit(lambda content: b"")),
    Kind("cut to 10 bytes", edit(lambda content: content[:10])),
    Kind("cut to a third", cut(0.34)),  # a table may only be shorter then
    Kind("cut at the end", cut(0.93), True),
    Kind("bits flipped in the header", flip(0, 0.02), True),
    Kind("bits flipped in the body", flip(0.1, 0.95, 64), True),
    Kind("zeros from end to end", zeros(0, 1)),
    Kind("zeros in the middle", zeros(0.4, 0.6), True),
    Kind("noise", edit(lambda content: np.random.default_rng(3).bytes(max(len(content), 512)))),
    Kind("a web page", edit(lambda content: b"<!DOCTYPE html><html><body>Please log in to download</body></html>\n")),
    Kind("missing", lambda path: path.unlink()),
    Kind("unreadable", unreadable),
    Kind("a folder", instead(Path.mkdir)),
    Kind("a pipe", instead(os.mkfifo)),
    Kind("an endless device", instead(lambda path: path.symlink_to("/dev/zero"))),
    Kind("a link to nothing", instead(lambda path: path.symlink_to("/nonexistent/raw.bin"))),
    Kind("a link to itself", instead(lambda path: path.symlink_to(path.name))),
    Kind("half a terabyte", grow, True),
]
