"""V4V: videos of all subjects in one folder, text files with the pressure wave and the rates of each in two others.

Revanur et al., "The First Vision For Vitals (V4V) Challenge for Non-Contact Video-Based Physiological Estimation", ICCV
Workshops 2021; names and rates as public readers have them, all in `Phase 1_ Training_Validation sets`:

    Videos/train/F001_T1.mkv                   25 fps
    Ground truth/BP_raw_1KHz/F001-T1-BP.txt    mmHg, one sample a line at 1000 Hz
    Ground truth/Physiology/F001_T1.txt        F001_T1.mkv, HR, <bpm at each frame> and F001_T1.mkv, RR, <breaths/min>
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_PHASE = "Phase 1_ Training_Validation sets"
_TASKS = ("T1", "T10")
_RATE = 1000  # Hz


@LAYOUTS.register("V4V")
class V4VLayout:
    """Writes two tasks of each subject, all of them F and for training; a codec other than ffv1 becomes h264."""

    spread = True

    def folder(self, number: int) -> str:
        """The last file of subject `number`."""
        return f"{_PHASE}/Videos/train/F{number:03d}_{_TASKS[-1]}.mkv"

    def write(self, folder: Path, session: Session) -> None:
        """Videos, pressure waves, rates."""
        codec = "ffv1" if session.settings.codec == "ffv1" else "h264"
        places = [
            folder / _PHASE / name for name in ("Videos/train", "Ground truth/BP_raw_1KHz", "Ground truth/Physiology")
        ]
        for place in places:
            place.mkdir(parents=True)
        videos, waves, rates = places
        takes_of = takes(at_rate(session, 25.0, dropped_frames=0.0, codec=codec), len(_TASKS))
        for task, take in zip(_TASKS, takes_of, strict=True):
            name = f"F{session.subject:03d}_{task}"
            write_recording(videos / f"{name}.mkv", take)
            _write_wave(waves / f"{name.replace('_', '-')}-BP.txt", take)
            _write_rates(rates / f"{name}.txt", f"{name}.mkv", take)


def _write_wave(path: Path, take: Session) -> None:
    truth = take.truth()
    clock = np.arange(max(1, round(_RATE * take.settings.seconds))) / _RATE
    wave = 75 + 45 * np.interp(clock, truth.ppg_times, truth.ppg_native)
    np.savetxt(path, wave, "%.6f")


def _write_rates(path: Path, name: str, take: Session) -> None:
    truth = take.truth()
    pulse = np.interp(truth.times, truth.ppg_times, np.nan_to_num(truth.hr_native))
    breath = np.full(len(truth.times), np.nan_to_num(truth.rr))
    lines = (
        f"{name}, {kind}, {', '.join(f'{value:.6f}' for value in row)}\n"
        for kind, row in (("HR", pulse), ("RR", breath))
    )
    path.write_text("".join(lines), encoding="utf-8")
