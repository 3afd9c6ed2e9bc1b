"""ECG-Fitness: 17 people talk, row, cycle and step for a minute each, before two webcams and with an ECG.

Spetlik, Franc, Cech and Matas, "Visual Heart Rate Estimation with Convolutional Neural Network", BMVC 2018.

    DATA_PATH/00/01/c920-1.avi       1920x1080 at about 30 fps, uncompressed planar YUV; a camera on a tripod
    DATA_PATH/00/01/c920-2.avi       the same from a camera on the exercise machine
    DATA_PATH/00/01/c920.csv         no heading; for each frame its time (ms) and the number of the ECG row under way
    DATA_PATH/00/01/viatom-raw.csv   a heading; milliseconds, ECG, ECG HR, PPG, PPG HR, SpO2, PI

DATA_PATH/<subject>/<session>. CAMERA chooses one of the cameras, or `all`. FILTERING.TASK_LIST knows sessions by number
(`01`), activity (`talking`, `rowing`, `elliptical`, `bike`), light (`natural`, `lamp`) or both (`rowing_lamp`).

There is an ECG and no pulse wave. Rates are judged by its R peaks. A network can only be trained on pseudo-labels
(USE_PSUEDO_PPG_LABEL), and is then judged under the preset `exact`: `toolbox` compares it with a label at the frames,
which is not there. The columns after the ECG's rate are not read: the paper tells of no finger clip.

The layout is that of public readers (pyVHR, HR-CNN and others), which also say that ECG rows come in packets of one
time stamp, that rates above 127 appear as negative numbers, and that subject 11 has sessions 01 and 02 exchanged; it
has been tested on rendered files, not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.frames import Frame
from dataset.files.lookup import entry, folders
from dataset.files.tables import (
    chosen,
    column,
    read_table,
    require_root,
    require_some,
)
from dataset.files.video import iter_frames, within_times
from registry import DATASETS

CAMERAS = ("c920-1", "c920-2")
SESSIONS = {  # activity, light
    "01": ("talking", "natural"),
    "02": ("rowing", "natural"),
    "03": ("talking", "lamp"),
    "04": ("rowing", "lamp"),
    "05": ("elliptical", "natural"),
    "06": ("bike", "natural"),
}
EXCHANGED = {("11", "01"): "02", ("11", "02"): "01"}
NUMBER = re.compile(r"\d\d")


@DATASETS.register("ECG-Fitness")
class ECGFitnessLoader(BaseLoader):
    """Ids are subject, session and camera, such as `00_01_c920-1`."""

    signals = ("ecg",)
    optional_signals = ("hr",)
    unaugmented = "ECG-Fitness"
    side_files = tuple(f"{{parent}}/{name}" for name in ("c920.csv", "c920-1.avi", "c920-2.avi", "viatom-raw.csv"))
    OPTIONS = {"CAMERA": ""}  # '': c920-1

    def __init__(self, options: dict[str, Any] | None = None):
        """Also: ValueError for an unknown CAMERA."""
        super().__init__(options)
        self.cameras = chosen(self.options.get("CAMERA") or "c920-1", CAMERAS)

    def identity(self) -> dict[str, Any]:
        """What the frames depend on beside the files."""
        return {"CAMERA": list(self.cameras)}

    def recordings(self, root: Path) -> list[Recording]:
        """One per session and camera, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "ECG-Fitness")
        found = [
            Recording(f"{f.parent.name}_{f.name}_{camera}", f.parent.name, video, _conditions(f, camera))
            for f in (session for subject in _numbered(root) for session in _numbered(subject))
            for camera, video in ((camera, entry(f, f"{camera}.avi")) for camera in self.cameras)
            if video.is_file() or entry(f, "viatom-raw.csv").is_file()
        ]
        return require_some(
            found, root, "ECG-Fitness", "00/01/c920-1.avi, 00/01/c920.csv and 00/01/viatom-raw.csv, 00/02/..."
        )

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames at the times that c920.csv has, counted from the first."""
        times, _ = _frame_rows(recording.path.parent)
        return within_times(iter_frames(recording.path), (times - times[0]) / 1000)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ecg` (a.u.) and `hr` (bpm; NaN: the device has none) while the video ran, in seconds after its start."""
        path = entry(recording.path.parent, "viatom-raw.csv")
        table = read_table(path, skip=1)
        frames, rows = _frame_rows(recording.path.parent)
        first, last = int(np.clip(rows[0], 0, len(table))), int(np.clip(rows[-1] + 1, 0, len(table)))
        if last <= first:
            raise ValueError(f"'{path}' has no rows for the frames of c920.csv. Copy both again, or leave it out.")
        times = (_spread(column(table, 0, path)[: last + 1]) - frames[0]) / 1000
        rates = column(table, 2, path)[first:last]
        rates = np.where((rates == -1) | (rates == 0), np.nan, np.where(rates < 0, rates + 256, rates))
        return {
            "ecg": Signal(column(table, 1, path)[first:last], times=times[first:last]),
            "hr": Signal(rates, times=times[first:last], unit="bpm"),
        }

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names session, activity, light and camera; KeyError while nothing says what they are."""
        session, activity, light, camera = (recording.info[key] for key in ("session", "activity", "light", "camera"))
        return [session, activity, light, camera, f"{activity}_{light}"]


def _conditions(folder: Path, camera: str) -> dict[str, str]:
    session = EXCHANGED.get((folder.parent.name, folder.name), folder.name)
    activity, light = SESSIONS.get(session, ("", ""))
    return {"session": folder.name, "activity": activity, "light": light, "camera": camera}


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folders(folder) if NUMBER.fullmatch(path.name)]


def _frame_rows(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Time (ms) of each frame, and the number of the ECG row under way; ValueError when one of them falls."""
    path = entry(folder, "c920.csv")
    table = read_table(path)
    times, rows = column(table, 0, path), column(table, 1, path)
    if not (np.isfinite(times) & np.isfinite(rows)).all() or (np.diff(times) < 0).any() or (np.diff(rows) < 0).any():
        raise ValueError(f"'{path}': times or row numbers run backwards. Copy it again, or leave the recording out.")
    return times, rows


def _spread(stamps: np.ndarray) -> np.ndarray:
    """Times (L,) of samples whose packets share one stamp: evenly from each packet's stamp to the next one's."""
    first = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)  # of each packet
    if len(first) < 2:
        return np.asarray(stamps, dtype=float)
    step = np.median(np.diff(stamps[first]) / np.diff(first))
    end = stamps[first[-1]] + step * (len(stamps) - first[-1])
    return np.interp(np.arange(len(stamps)), [*first, len(stamps)], [*stamps[first], end])
