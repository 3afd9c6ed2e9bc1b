"""MCD-rPPG: 600 people before and after exercise, three minutes each before three cameras, finger PPG at 100 Hz.

Egorov et al., "Gaze into the Heart: A Multi-View Video Dataset for rPPG and Health Biomarkers Estimation",
arXiv:2508.17924, 2025.

    DATA_PATH/video/1020_FullHDwebcam_before.avi     640x480, 24 or 30 fps, MPEG-4
    DATA_PATH/meta/1020_FullHDwebcam_before.txt      frame (from 1) and its date and time, a line each
    DATA_PATH/ppg_sync/1020_FullHDwebcam_before.txt  PPG at each frame and how far away in time (s) that sample was
    DATA_PATH/ppg/1020_before.PW                     PPG (0 to 255), date and time, a line each, 100 Hz
    DATA_PATH/db.csv                                 a row for each video: person, blood pressure, rate, age ...

<patient>_<camera>_<step>. CAMERA chooses FullHDwebcam (front), USBVideo (left), IriunWebcam (right, a telephone) or
`all`. FILTERING.TASK_LIST knows the steps `before` and `after` (exercise). `ppg` comes from ppg/ on the clock of meta/;
where that file was not downloaded, from ppg_sync/. The row of db.csv joins the recording's info. The ECG (ecg/) was
taken on another occasion and is not read. The layout is that of the authors' code (ksyegorov/mcd_rppg) and of public
readers, which say that headers of the videos miscount their frames: as many have to be there as ppg_sync/ has lines. It
has been tested on rendered files, not on the original ones.
"""

import csv
import io
import re
from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_key
from dataset.files.frames import Frame
from dataset.files.lookup import entry, matching
from dataset.files.reading import is_there, iter_lines, read_text, told
from dataset.files.tables import chosen, read_table, require_root, require_some
from dataset.files.video import iter_frames, within_times
from registry import DATASETS

CAMERAS = {"FullHDwebcam": "front", "USBVideo": "left", "IriunWebcam": "right"}
NAME = re.compile(rf"(\w+?)_({'|'.join(CAMERAS)})_(before|after)", re.IGNORECASE)
PLACES = ("ecg", "ppg", "video", "meta", "ppg_sync")  # columns of db.csv that name files


@DATASETS.register("MCD-rPPG")
class MCDrPPGLoader(BaseLoader):
    """Ids are the names of the videos; subjects are the patients."""

    signals = ("ppg",)
    unaugmented = "MCD-rPPG"
    side_files = (
        "video/{subject}_*_{step}.avi",  # of the other cameras, which CAMERA leaves out
        "meta/{subject}_*_{step}.txt",
        "ppg_sync/{subject}_*_{step}.txt",
        "ppg/{subject}_{step}.pw",
        "ecg",
        "db.csv",
    )
    OPTIONS = {"CAMERA": ""}  # '': FullHDwebcam

    def __init__(self, options: dict[str, Any] | None = None):
        """Also: ValueError for an unknown CAMERA."""
        super().__init__(options)
        self.cameras = chosen(self.options.get("CAMERA") or "FullHDwebcam", CAMERAS)

    def identity(self) -> dict[str, Any]:
        """What the frames depend on beside the files."""
        return {"CAMERA": list(self.cameras)}

    def recordings(self, root: Path) -> list[Recording]:
        """One per video, or PPG of one, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "MCD-rPPG")
        files = [*matching(root, "video/*.avi"), *matching(root, "ppg_sync/*.txt")]
        parts = {_parts(file.stem) for file in files if NAME.fullmatch(file.stem)}
        found = [_recording(root, *one) for one in sorted(parts, key=lambda one: natural_key("_".join(one)))]
        found = [recording for recording in found if recording.info["camera"] in self.cameras]
        return require_some(
            found, root, "MCD-rPPG", f"video/1020_{self.cameras[0]}_before.avi, meta/..., ppg/..., ppg_sync/..."
        )

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames at the times of meta/, counted from the first; at those of the container without that file."""
        sync = _beside(recording, "ppg_sync")
        frames = iter_frames(recording.path, count=len(read_table(sync, delimiter=None)) if is_there(sync) else None)
        meta = _beside(recording, "meta")
        return within_times(frames, _seconds(_read_clock(meta)[1])) if is_there(meta) else frames

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) at 100 Hz in seconds after the first frame, or at the frames."""
        path, sync, meta = (_beside(recording, folder) for folder in ("ppg", "ppg_sync", "meta"))
        frames = _read_clock(meta)[1] if is_there(meta) else None
        if is_there(path) or not is_there(sync):
            values, stamps = _read_clock(path)
            return {"ppg": Signal(values, times=_seconds(stamps, frames[0] if frames else None))}
        values = read_table(sync, delimiter=None)[: len(frames) if frames else None, 0]
        return {"ppg": Signal(values, times=_seconds(frames[: len(values)]) if frames else None)}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """The row of db.csv as plain values, and nothing without one."""
        path = entry(recording.path.parents[1], "db.csv")
        if not is_there(path):
            return {}
        table = csv.DictReader(io.StringIO(read_text(path), newline=""))
        row = next(
            (row for row in table if Path(row.get("video") or "").name.lower() == recording.path.name.lower()), {}
        )
        return {key: _plain(value) for key, value in row.items() if key and value and key not in PLACES}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names steps, cameras and views; KeyError while nothing says what they are."""
        return [recording.info[key] for key in ("step", "camera", "view")]


def _recording(root: Path, patient: str, camera: str, step: str) -> Recording:
    info = {"camera": camera, "view": CAMERAS[camera], "step": step}
    name = f"{patient}_{camera}_{step}"
    return Recording(name, patient, entry(root, f"video/{name}.avi"), info)


def _parts(name: str) -> tuple[str, ...]:
    """Patient, camera and step in the name of a file, by the letters they have in the data set."""
    patient, camera, step = NAME.fullmatch(name).groups()
    return patient, next(known for known in CAMERAS if known.lower() == camera.lower()), step.lower()


def _beside(recording: Recording, folder: str) -> Path:
    """The recording's file in another folder; the cameras share the one in ppg/."""
    root = recording.path.parents[1]
    if folder == "ppg":
        patient, _, step = _parts(recording.path.stem)
        return entry(root, f"ppg/{patient}_{step}.PW")
    return entry(root, f"{folder}/{recording.path.stem}.txt")


def _read_clock(path: Path) -> tuple[np.ndarray, list[datetime]]:
    """Numbers (L,) and moments of the lines `number date time`; ValueError naming the line that is none."""
    values, moments, number = array("d"), [], 0
    try:
        for line in iter_lines(path):
            number += 1
            if line.strip():
                value, moment = line.split(maxsplit=1)
                values.append(float(value))
                moments.append(datetime.fromisoformat(moment.strip()))
    except ValueError as error:
        if str(path) in str(error):
            raise
        where = f"Line {number} of '{path}'" if number else f"'{path}'"
        raise ValueError(f"{where} is no number and moment: {told(error)}. Copy it again.") from None
    if not moments:
        raise ValueError(f"'{path}' is empty. Copy it again, or leave the recording out.")
    return np.array(values), moments


def _seconds(moments: list[datetime], start: datetime | None = None) -> np.ndarray:
    """Seconds (L,) of `moments` after `start`, or after the first of them."""
    return np.array([(moment - (start or moments[0])).total_seconds() for moment in moments])


def _plain(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
