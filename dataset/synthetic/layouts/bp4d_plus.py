"""BP4D+: a zip file of pictures for each subject, a folder of sensor files for each task.

Zhang et al., "Multimodal spontaneous emotion corpus for human behavior analysis", CVPR 2016; names as rPPG-Toolbox's
reader has them:

    2D+3D/F001.zip                     F001/T1/0001.jpg ..., upright, 25 fps (beside three-dimensional models)
    Physiology/F001/T1/BP_mmHg.txt     one sample a line at 1000 Hz, no heading; seven files more
"""

import zipfile
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session, Truth

_RATE = 1000  # Hz
_UPRIGHT = 3 / 4  # width of a picture relative to its height
_EPOCH = (2016, 6, 27, 0, 0, 0)  # of the zip members: the same frames give the same bytes


@LAYOUTS.register("BP4DPlus")
class BP4DPlusLayout:
    """Writes the tasks T2 and T10 of each subject, all of them F; `codec` has no meaning here."""

    spread = True
    tasks: tuple[str, ...] = ("T2", "T10")

    def folder(self, number: int) -> str:
        """Sensor files of subject `number`."""
        return f"Physiology/F{number:03d}"

    def write(self, folder: Path, session: Session) -> None:
        """Pictures and sensor files of all tasks."""
        subject = f"F{session.subject:03d}"
        (folder / "2D+3D").mkdir()
        with zipfile.ZipFile(folder / "2D+3D" / f"{subject}.zip", "w") as archive:
            for task, take in zip(
                self.tasks, takes(at_rate(session, 25.0, dropped_frames=0.0), len(self.tasks)), strict=True
            ):
                for index, frame in enumerate(take.frames(), start=1):
                    _add(archive, f"{subject}/{task}/{index:04d}.jpg", _jpeg(frame))
                _add(archive, f"{subject}/{task}/0001.obj", b"# no model\n")
                truth = take.truth()
                _write_sensors(folder / "Physiology" / subject / task, truth, take.settings.seconds)
                self.write_more(folder, subject, task, len(truth.times))

    def write_more(self, folder: Path, subject: str, task: str, frames: int) -> None:
        """What another version of the data set has for a task of `frames` frames; nothing here."""


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)


def _jpeg(frame: np.ndarray) -> bytes:
    """The middle of `frame`, upright."""
    width = min(frame.shape[1], round(_UPRIGHT * frame.shape[0]))
    left = (frame.shape[1] - width) // 2
    picture = cv2.cvtColor(frame[:, left : left + width], cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def _write_sensors(folder: Path, truth: Truth, seconds: float) -> None:
    folder.mkdir(parents=True)
    clock = np.arange(max(1, round(seconds * _RATE))) / _RATE
    wave = np.interp(clock, truth.ppg_times, truth.ppg_native)
    breath = np.interp(clock, truth.ppg_times, truth.resp_native)
    level = np.ones(len(clock))
    files = {
        "BP_mmHg.txt": 75 + 45 * wave,
        "LA Systolic BP_mmHg.txt": 120 * level,
        "BP Dia_mmHg.txt": 75 * level,
        "LA Mean BP_mmHg.txt": 90 * level,
        "Pulse Rate_BPM.txt": np.interp(clock, truth.ppg_times, np.nan_to_num(truth.hr_native)),
        "Resp_Volts.txt": breath,
        "Respiration Rate_BPM.txt": np.nan_to_num(truth.rr) * level,
        "EDA_microsiemens.txt": 3 + 0.1 * breath,
    }
    for name, values in files.items():
        (folder / name).write_text("".join(f"{value:.6f}\n" for value in values))
