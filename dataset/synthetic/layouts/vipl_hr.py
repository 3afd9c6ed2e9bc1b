"""VIPL-HR: a folder for every camera in every scenario, with a video, frame times, PPG, heart rate and saturation.

Niu et al., "VIPL-HR: A Multi-modal Database for Pulse Estimation from Less-constrained Face Video", ACCV 2018; names,
headings and rates as public readers and users describe them:

    p1/v1/source1/video.avi    the container says 25 fps, whatever the camera did
    p1/v1/source1/time.txt     whole ms, one frame a line; the phone (source2) has none
    p1/v1/source1/wave.csv     Wave, whole numbers at 60 Hz        gt_HR.csv, gt_SpO2.csv     HR, SpO2, one a second
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.layouts import LAYOUTS, in_avi, takes, varied
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_video

_STATED = 25.0  # frames per second by the container
_PHONE = 30.0  # frames per second of the phone
_SLOW = 0.15  # share of the webcam's frames that come late in the dark


@LAYOUTS.register("VIPL-HR")
class VIPLHRLayout:
    """Writes scenario v1 before webcam, phone and infrared camera and v5 (dark) before the webcam.

    A codec that goes into an AVI is kept, another becomes mjpg.
    """

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"p{number}"

    def write(self, folder: Path, session: Session) -> None:
        """Videos and tables; webcam and infrared camera see the same minute, the phone another one."""
        still, phone, dark = takes(in_avi(session, "mjpg"), 3)
        phone = varied(phone, fs=_PHONE, dropped_frames=0.0)
        dark = varied(dark, dropped_frames=_SLOW if session.settings.dropped_frames else 0.0)
        for name, take in (("v1/source1", still), ("v1/source2", phone), ("v1/source4", still), ("v5/source1", dark)):
            place = folder / name
            place.mkdir(parents=True)
            _write_camera(place, take, infrared=name.endswith("4"))
            if take is not phone:
                np.savetxt(place / "time.txt", np.rint(1000 * take.truth().times), "%d")
            _write_tables(place, take)


def _write_camera(place: Path, take: Session, infrared: bool) -> None:
    frames = (_grey(frame) if infrared else frame for frame in take.frames())
    stated = dataclasses.replace(take.settings, fs=_STATED)
    write_video(place / "video.avi", frames, take.course.times, stated)


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _write_tables(place: Path, take: Session) -> None:
    truth, seconds = take.truth(), take.settings.seconds
    clock = np.arange(max(1, round(60 * seconds))) / 60
    wave = np.interp(clock, truth.ppg_times, truth.ppg_native)
    spread = float(np.ptp(wave)) or 1.0
    whole = np.arange(math.ceil(seconds))
    rates = np.interp(whole, truth.ppg_times, np.nan_to_num(truth.hr_native))
    _write_column(place / "wave.csv", "Wave", 10 + 90 * (wave - wave.min()) / spread)
    _write_column(place / "gt_HR.csv", "HR", rates)
    _write_column(place / "gt_SpO2.csv", "SpO2", np.full(len(whole), 98))


def _write_column(path: Path, name: str, values: Sequence[float] | np.ndarray) -> None:
    np.savetxt(path, np.rint(values), "%g", header=name, comments="")
