"""MCD-rPPG: folders of videos, frame times and PPG, and one table of all recordings.

Egorov et al., arXiv:2508.17924, 2025; names and columns as the authors' code (ksyegorov/mcd_rppg) and public readers
have them:

    video/1002_FullHDwebcam_before.avi, meta/1002_FullHDwebcam_before.txt, ppg_sync/1002_FullHDwebcam_before.txt
    ppg/1002_before.PW     100 Hz, whole numbers with date and time        db.csv   a row for each video
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi, takes
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_RATE = 100  # Hz
_START = datetime(2023, 11, 13, 14, 10, 51, 689451)  # any start will do
_CAMERAS = {"FullHDwebcam": ("front", 30.0), "USBVideo": ("left", 24.0)}  # view, fps
_ROWS = ".rows"  # folder of the parts that db.csv is made of
_COLUMNS = (
    "patient_id", "age", "sex", "upper_ap", "lower_ap", "saturation", "pulse", "step", "camera", "view",
    "ppg", "video", "meta", "ppg_sync",
)  # fmt: skip


@LAYOUTS.register("MCD-rPPG")
class MCDrPPGLayout:
    """Writes two cameras before and after exercise; a codec that goes into an AVI is kept, another becomes mpeg4."""

    spread = True

    def folder(self, number: int) -> str:
        """The video of subject `number` that is written last."""
        return f"video/{1000 + number}_USBVideo_before.avi"

    def write(self, folder: Path, session: Session) -> None:
        """Videos, times, PPG and a part of the table."""
        for name in ("video", "meta", "ppg", "ppg_sync", _ROWS):
            (folder / name).mkdir()
        patient, rows = 1000 + session.subject, []
        for step, take in zip(("after", "before"), takes(in_avi(session, "mpeg4"), 2), strict=True):
            ppg = _write_ppg(folder / "ppg" / f"{patient}_{step}.PW", take)
            for camera, (view, fs) in _CAMERAS.items():
                name = f"{patient}_{camera}_{step}"
                _write_video(folder, name, at_rate(take, fs), ppg)
                rows.append(_row(patient, step, camera, view, take))
        with (folder / _ROWS / f"{patient}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def finish(self, root: Path) -> None:
        """One table of the parts that the subjects left."""
        parts = sorted((root / _ROWS).glob("*.csv"))
        (root / "db.csv").write_text(",".join(_COLUMNS) + "\n" + "".join(part.read_text() for part in parts))


def _write_ppg(path: Path, take: Session) -> tuple[np.ndarray, np.ndarray]:
    """The sensor starts half a second before the cameras; its times (s, from the first frame) and values."""
    clock = np.arange(-_RATE // 2, max(1, round(take.settings.seconds * _RATE))) / _RATE
    truth = take.truth()
    low, high = truth.ppg_native.min(), truth.ppg_native.max()
    wave = np.where(clock < 0, take.heart.pulse(clock), np.interp(clock, truth.ppg_times, truth.ppg_native))
    values = np.rint(60 + 120 * (wave - low) / ((high - low) or 1.0))
    lines = [f"{value:.0f} {_START + timedelta(seconds=time)}\n" for value, time in zip(values, clock, strict=True)]
    path.write_text("".join(lines))
    return clock, values


def _write_video(folder: Path, name: str, take: Session, ppg: tuple[np.ndarray, np.ndarray]) -> None:
    write_recording(folder / "video" / f"{name}.avi", take)
    times = take.course.times
    nearest = np.abs(times[:, None] - ppg[0]).argmin(axis=1)
    meta = [f"{k}  {_START + timedelta(seconds=time)}\n" for k, time in enumerate(times.tolist(), start=1)]
    sync = [f"{ppg[1][k]:.0f} {abs(ppg[0][k] - time):.6f}\n" for k, time in zip(nearest, times, strict=True)]
    (folder / "meta" / f"{name}.txt").write_text("".join(meta))
    (folder / "ppg_sync" / f"{name}.txt").write_text("".join(sync))


def _row(patient: int, step: str, camera: str, view: str, take: Session) -> list:
    name, after = f"{patient}_{camera}_{step}", step == "after"
    people = [patient, 20 + patient % 50, "F" if patient % 2 else "M", 135 if after else 120, 80, 98]
    rate = round(float(np.nan_to_num(take.truth().hr)))
    places = [f"ppg/{patient}_{step}.PW", f"video/{name}.avi", f"meta/{name}.txt", f"ppg_sync/{name}.txt"]
    return [*people, rate, step, camera, view, *places]
