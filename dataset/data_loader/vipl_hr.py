"""VIPL-HR: 107 subjects in nine scenarios before up to four cameras, finger PPG and rates for every video.

Niu et al., "VIPL-HR: A Multi-modal Database for Pulse Estimation from Less-constrained Face Video", ACCV 2018;
"RhythmNet: End-to-end Heart Rate Estimation from Face via Spatial-temporal Representation", IEEE TIP 29, 2020.

    DATA_PATH/p1/v1/source1/video.avi      also DATA_PATH/data/p1/...; v1-2 is a second take of v1
    DATA_PATH/p1/v1/source1/time.txt       time of each frame (ms), one a line; source2 has none
    DATA_PATH/p1/v1/source1/wave.csv       heading `Wave`: PPG, about 60 Hz
    DATA_PATH/p1/v1/source1/gt_HR.csv      heading `HR`: heart rate (bpm), one a second; 255 where the sensor failed
    DATA_PATH/p1/v1/source1/gt_SpO2.csv    heading `SpO2`: oxygen saturation (%), likewise; 127 where it failed

    v1 still  v2 moving  v3 talking  v4 bright  v5 dark  v6 from afar  v7 after exercise  v8, v9 the phone in the hand
    source1 webcam C310 (25 fps)   source2 phone P9 (30 fps)   source3 RealSense colour, source4 near infrared (30 fps)

FILTERING chooses: TASK_LIST: [v1, v7, source1] are the webcam's videos of two scenarios. Near infrared has no colour
for a pulse to be in, so source4 is used only where TASK_LIST names it.

The containers say 25 fps whatever the camera did: the times are those of time.txt, and source2, which has none, is
taken to run at the 30 fps of the paper, its PPG spread over the video. The layout is what several public readers and
notes of users who had the files agree on; it has been tested on rendered files, on which MayYoY's PhysFormer reads the
same frames, rates and waves (its labels ignore that frames come unevenly), not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_key
from dataset.files.frames import Frame
from dataset.files.lookup import entry, matching
from dataset.files.reading import is_there
from dataset.files.stamps import frames_at, frames_at_rate
from dataset.files.tables import read_table, require_root, require_some
from registry import DATASETS

PLACE = re.compile(r"(p\d+)/(v\d+(?:-\d+)?)/(source\d)")  # in small letters
COLOUR = ("source1", "source2", "source3")
VIDEO, TIMES, WAVE = "video.avi", "time.txt", "wave.csv"
RATE = 60.0  # Hz of the PPG
PHONE = 30.0  # frames per second where nothing was written down
SIDE_SIGNALS = {"hr": ("gt_HR.csv", "bpm", 255), "spo2": ("gt_SpO2.csv", "%", 127)}  # file, unit, sensor's fault


@DATASETS.register("VIPL-HR")
class VIPLHRLoader(BaseLoader):
    """Ids are subject, scenario and camera, such as `p1_v1_source1`; frame rates are those of each video."""

    signals = ("ppg",)
    optional_signals = (*SIDE_SIGNALS,)
    unaugmented = "VIPL-HR"

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder `p<k>/v<j>/source<i>` with a video or a PPG, in natural order; else FileNotFoundError."""
        root = require_root(root, "VIPL-HR")
        found: list[Recording] = []
        for place in (root, entry(root, "data")):
            if not found:
                folders = matching(place, "p*/v*/source*")
                found = [_recording(place, folder) for folder in folders if _is_one(place, folder)]
        require_some(found, root, "VIPL-HR", "p1/v1/source1/video.avi, time.txt and wave.csv, p1/v1/source2/...")
        return sorted(found, key=lambda recording: [natural_key(part) for part in recording.id.split("_")])

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of `video.avi` at the times of `time.txt`; 1/30 s apart where there is none."""
        path, stamps = entry(recording.path, VIDEO), _stamps(recording.path)
        return frames_at_rate(path, PHONE) if stamps is None else frames_at(path, stamps, TIMES)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) and, where there are files, `hr` (bpm) and `spo2` (%); faults of the sensor are NaN."""
        wave = read_table(entry(recording.path, WAVE), skip=1)[:, 0]
        stamped = _stamps(recording.path) is not None
        # Without true frame times, a clock of its own would carry the PPG away from a video whose rate is assumed.
        signals = {"ppg": Signal(wave, times=np.arange(len(wave)) / RATE) if stamped else Signal(wave, fs=RATE)}
        for name, (file, unit, fault) in SIDE_SIGNALS.items():
            path = entry(recording.path, file)
            if is_there(path):
                values = read_table(path, skip=1)[:, 0]
                signals[name] = Signal(np.where(values >= fault, np.nan, values), fs=1.0, unit=unit)
        return signals

    def describe(self, recording: Recording) -> dict[str, Any]:
        """Where the frame times come from."""
        known = entry(recording.path, TIMES).is_file()
        return {"frame_times": TIMES if known else f"assumed: {PHONE:g} frames per second"}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names scenarios, of all takes or of one, and cameras."""
        _, scenario, source = recording.id.split("_")
        return [scenario, scenario.partition("-")[0], source]

    def select(self, recording: Recording, data: dict[str, Any]) -> bool:
        """Whether FILTERING keeps the recording: one of the scenarios, and one of the cameras, that TASK_LIST names."""
        *scenarios, source = self.tasks(recording)
        filtering = data["FILTERING"]
        named = [str(name).lower() for name in filtering["TASK_LIST"]] if filtering["SELECT_TASKS"] else []
        wanted = [name for name in named if name.startswith("v")]
        cameras = [name for name in named if name.startswith("source")] or COLOUR
        return (
            source in cameras
            and (not wanted or not set(scenarios).isdisjoint(wanted))
            and super().select(recording, data)
        )


def _is_one(place: Path, folder: Path) -> bool:
    name = folder.relative_to(place).as_posix().lower()
    return bool(PLACE.fullmatch(name)) and any(entry(folder, file).is_file() for file in (VIDEO, WAVE))


def _recording(place: Path, folder: Path) -> Recording:
    subject, scenario, source = (part.lower() for part in folder.relative_to(place).parts)
    info = {"scenario": scenario, "source": source}
    return Recording(id=f"{subject}_{scenario}_{source}", subject=subject, path=folder, info=info)


def _stamps(folder: Path) -> np.ndarray | None:
    """Times of the frames in seconds; None where there is no such file."""
    path = entry(folder, TIMES)
    return read_table(path)[:, 0] / 1000 if is_there(path) else None
