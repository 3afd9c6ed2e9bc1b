"""LGI-PPGI: a folder for each session of a subject, with an uncompressed video and the XML logs of camera and oximeter.

Pilz et al., "Local Group Invariance for Heart Rate Estimation from Face Videos in the Wild", CVPR Workshops 2018; the
entries of the logs are as their authors show and explain them, the names of the files as pyVHR's reader has them:

    id1/user1/user1_resting/cv_camera_sensor_stream_handler.avi          raw BGR24, 25 fps
    id1/user1/user1_resting/cv_camera_sensor_timer_stream_handler.xml    value0: number of the frame, value1: ms
    id1/user1/user1_resting/cms50_stream_handler.xml                     value0: number, value1: bpm, value2: PPG
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi, takes, varied
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_TALKING = 0.6  # share of the time with a moving mouth in the session `talk`
_EARLY = 4  # samples of the oximeter before the first frame
_CLOCK = 12.5  # ms on the camera's clock at the first frame


@LAYOUTS.register("LGI-PPGI")
class LGIPPGILayout:
    """Writes the sessions `resting` and `talk`; a codec that goes into an AVI is kept, another becomes raw."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"id{number}"

    def write(self, folder: Path, session: Session) -> None:
        """Videos and logs."""
        rest, talk = takes(in_avi(at_rate(session, 25.0), "raw"), 2)
        for name, take in (("resting", rest), ("talk", varied(talk, talking=_TALKING))):
            place = folder / f"user{session.subject}" / f"user{session.subject}_{name}"
            place.mkdir(parents=True)
            write_recording(place / "cv_camera_sensor_stream_handler.avi", take)
            _write_logs(place, take)


def _write_logs(place: Path, take: Session) -> None:
    """Both logs. The oximeter starts before the camera, gives whole numbers, and ends with the last frame."""
    times = take.course.times
    stamps = _CLOCK + 1000 * times
    _write_log(place / "cv_camera_sensor_timer_stream_handler.xml", enumerate(stamps.round(3).tolist()))
    finger = times[-1] + np.arange(-round(60 * times[-1]) - _EARLY, 0) / 60 - take.settings.sensor_delay
    wave = np.zeros(len(finger)) if take.settings.photo else take.heart.pulse(finger)
    rates = np.zeros(len(finger)) if take.settings.photo else take.heart.rate(finger)
    levels = 5 + 90 * (wave - wave.min()) / (float(np.ptp(wave)) or 1.0)
    numbers = (np.rint(values).astype(int).tolist() for values in (rates, levels))
    _write_log(place / "cms50_stream_handler.xml", zip(range(len(finger)), *numbers, strict=True))


def _write_log(path: Path, rows: Iterable[tuple]) -> None:
    """Entries `value<n>` with the numbers of a row as `value0`, `value1` ..., as the cereal library writes tuples."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<cereal>"]
    for number, row in enumerate(rows):
        values = [f"\t\t<value{k}>{value}</value{k}>" for k, value in enumerate(row)]
        lines += [f"\t<value{number}>", *values, f"\t</value{number}>"]
    path.write_text("\n".join([*lines, "</cereal>", ""]), encoding="utf-8")
