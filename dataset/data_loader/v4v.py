"""V4V (Vision for Vitals): 179 subjects of BP4D+ in up to ten tasks, with the pressure wave and rates at every frame.

Revanur et al., "The First Vision For Vitals (V4V) Challenge for Non-Contact Video-Based Physiological Estimation", ICCV
Workshops 2021.

    DATA_PATH/Phase 1_ Training_Validation sets/
        Videos/train-001_of_002/F001_T1.mkv ..., Videos/valid/...     1392x1040 at 25 fps
        Ground truth/BP_raw_1KHz/F001-T1-BP.txt     arterial pressure (mmHg), one sample a line at 1000 Hz
        Ground truth/Physiology/F001_T1.txt         two lines: `F001_T1.mkv, HR, 71.2, ...` (bpm) and `..., RR, ...`
                                                    (breaths/min), one value a frame
    DATA_PATH/Phase 2_ Testing set/
        Videos/Test/test/F003_T1.mkv ...
        blood_pressure/val_set_bp/F002-T1.txt, blood_pressure/test_set_bp/F003-T1.txt     as BP_raw_1KHz
        validation_set_gt_release.txt, test_set_gt_release.txt     such lines for all videos of that part

Names of files count, and that of the folder Physiology: other folders may be called and nested as they like. What
stands for the PPG is the pressure wave; a recording without it fails, by name, even where its rates are there: waves
are trained on and compared with waves. FILTERING chooses tasks, or parts by the name of the folder of the videos
(TASK_LIST: [train], [valid] or [test]). The layout is what several public readers agree on; it has been tested on
rendered files, on which two of them (pyVHR's, face_model_training's) give the same frames, waves and rates, not on the
original ones.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_key
from dataset.files.frames import Frame
from dataset.files.lookup import below
from dataset.files.reading import AGAIN, read_text, told
from dataset.files.tables import read_table, require_root, require_some
from dataset.files.video import iter_frames
from registry import DATASETS

NAME = re.compile(r"([A-Z]\d+)_(T\d+)")  # as `_name` gives it
PARTS = {"train": "train", "val": "valid", "test": "test", "bp_raw": "train"}  # by how the name of a folder starts
RATE = 1000.0  # Hz of the pressure wave
RATES = {"HR": ("hr", "bpm"), "RR": ("resp_bpm", "breaths/min")}


@DATASETS.register("V4V")
class V4VLoader(BaseLoader):
    """Ids are subject and task, such as `F001_T1`."""

    fs = 25.0
    signals = ("ppg",)
    optional_signals = ("hr", "resp_bpm")
    unaugmented = "V4V"
    searches_below = True
    side_files = ("{parent}/{pressure}", "{parent}/{rates}")

    def recordings(self, root: Path) -> list[Recording]:
        """One per video or pressure wave below `root`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "V4V")
        videos = {_name(file): file for file in below(root, "*.mkv") if NAME.fullmatch(_name(file))}
        waves, rates = _label_files(root)
        names = sorted({*videos, *waves}, key=natural_key)
        require_some(names, root, "V4V", "Videos/train/F001_T1.mkv and Ground truth/BP_raw_1KHz/F001-T1-BP.txt, ...")
        return [_recording(name, root, videos.get(name), waves.get(name), rates) for name in names]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of the video at the times of the container."""
        return iter_frames(recording.path)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg`: pressure (mmHg) at 1000 Hz from the first frame; `hr`, `resp_bpm` (1/min) at the frames if known."""
        place, name = recording.info["pressure"], recording.id.replace("_", "-")
        if not place:
            raise FileNotFoundError(
                f"No file of the pressure wave of '{recording.path}': neither {name}-BP.txt nor {name}.txt lies in "
                f"DATA_PATH. Those of validation and test came with phase 2. Copy it there, or leave the recording out."
            )
        wave = read_table(recording.path.parent / place, delimiter=None)[:, 0]
        signals = {"ppg": Signal(wave, times=np.arange(len(wave)) / RATE, unit="mmHg")}
        if recording.info["rates"]:
            signals |= _read_rates(recording.path.parent / recording.info["rates"], recording.id, self.fs)
        return signals

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names tasks and parts; KeyError while nothing says which part a recording belongs to."""
        return [recording.id.rpartition("_")[2], recording.info["part"]]


def _recording(name: str, root: Path, video: Path | None, wave: Path | None, rates: dict[str, Path]) -> Recording:
    subject, task = name.split("_")
    part = _part((video or wave or root).relative_to(root))
    video = video or root / f"{name}.mkv"  # it may lie anywhere; reading says that it is missing
    labels = {"pressure": _from(video, wave), "rates": _from(video, rates.get(name) or rates.get(part))}
    return Recording(name, subject, video, {"task": task, "part": part, **labels})


def _name(file: Path) -> str:
    """The recording that a file belongs to: F001_T1 for F001_T1.mkv, F001-T1.txt and F001-T1-BP.txt."""
    return file.stem.upper().removesuffix("-BP").replace("-", "_")


def _label_files(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files of the pressure wave by recording; files of the rates by recording, or by part for those of a whole one."""
    waves: dict[str, Path] = {}
    rates: dict[str, Path] = {}
    for file in sorted(below(root, "*.txt")):
        if NAME.fullmatch(_name(file)):
            of_rates = file.parent.name.lower() == "physiology"
            (rates if of_rates else waves)[_name(file)] = file
        elif file.stem.lower().endswith("gt_release"):
            rates[_part(Path(file.stem))] = file
    return waves, rates


def _part(path: Path) -> str:
    """The part that the innermost folder of `path`, or itself, is named after; "" when none is."""
    starts = [(name.lower(), start) for name in reversed(path.parts) for start in PARTS]
    return next((PARTS[start] for name, start in starts if name.startswith(start)), "")


def _from(video: Path, file: Path | None) -> str:
    """`file` as seen from the folder of `video`; "" without one."""
    return Path(os.path.relpath(file, video.parent)).as_posix() if file else ""


def _read_rates(path: Path, name: str, fs: float) -> dict[str, Signal]:
    """The rates of recording `name` among the lines `<video>, <kind>, <value at each frame> ...`.

    ValueError for values that are no numbers, and for other lines in the recording's own file.
    """
    found, shared = {}, path.stem.upper() != name
    for line in read_text(path).splitlines():
        video, _, rest = line.partition(",")
        kind, _, values = (part.strip() for part in rest.partition(","))
        if Path(video.strip()).stem.upper() == name and kind in RATES:
            signal, unit = RATES[kind]
            numbers = _numbers(values, f"'{path}': {kind} of {name}")
            found[signal] = Signal(numbers, times=np.arange(len(numbers)) / fs, unit=unit)
        elif line.strip() and not shared:
            raise ValueError(f"'{path}': '{line[:40]}' is no line of rates of {name}. {AGAIN}")
    if not found and not shared:
        raise ValueError(f"'{path}' is empty. {AGAIN}")
    return found


def _numbers(text: str, what: str) -> np.ndarray:
    try:
        return np.array(text.split(","), dtype=float)
    except ValueError as error:
        raise ValueError(f"{what} is no row of numbers: {told(error)}. {AGAIN}") from None
