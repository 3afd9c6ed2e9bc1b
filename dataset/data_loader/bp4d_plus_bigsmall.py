"""BP4D+ for BigSmall: the tasks with coded action units, and every signal the network can learn from.

Zhang et al., "Multimodal spontaneous emotion corpus for human behavior analysis", CVPR 2016. Narayanswamy et al.,
"BigSmall: Efficient Multi-Task Learning for Disparate Spatial and Temporal Physiological Measurements", WACV 2024.

    DATA_PATH/2D+3D, DATA_PATH/Physiology              as for BP4DPlus
    DATA_PATH/AUCoding/AU_OCC/F001_T1.csv              a heading; frame (from 1), then 34 action units: 1, 0, 9 unknown
    DATA_PATH/AUCoding/AU_INT/AU06/F001_T1_AU06.csv    no heading; frame, intensity 0 to 5, 9 unknown

Tasks T1, T6, T7 and T8. Video and signals are cut to the frames that are coded; of each upright picture the lower
square is used. rPPG-Toolbox sets intensities other than 1 to 0; here they keep their values. The layout is that of its
reader; it has been tested on rendered files, not on the original ones.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import Recording, Signal
from dataset.data_loader.bp4d_plus import BP4DPlusLoader, read_signal
from dataset.files.frames import Box, Frame, VideoError
from dataset.files.lookup import entry
from dataset.files.reading import AGAIN, is_there
from dataset.files.tables import column, read_table
from dataset.settings import FACE_SIDE, REPRESENTATION
from registry import DATASETS
from settings.checks import each

TASKS = ("T1", "T6", "T7", "T8")
WAVES = {  # signal -> file, unit, and the limits its values are held in
    "bp_wave": ("BP_mmHg.txt", "mmHg", None),
    "hr": ("Pulse Rate_BPM.txt", "bpm", None),
    "systolic_bp": ("LA Systolic BP_mmHg.txt", "mmHg", (5, 250)),
    "diastolic_bp": ("BP Dia_mmHg.txt", "mmHg", (5, 200)),
    "mean_bp": ("LA Mean BP_mmHg.txt", "mmHg", None),
    "resp": ("Resp_Volts.txt", "V", None),
    "resp_bpm": ("Respiration Rate_BPM.txt", "breaths/min", None),
    "eda": ("EDA_microsiemens.txt", "uS", (1, 40)),
}
UNITS = (*range(1, 3), *range(4, 8), *range(9, 21), 22, 23, 24, *range(27, 40))  # action units that are coded
INTENSITIES = (6, 10, 12, 14, 17)  # those whose intensity is coded, too
MISSING = -1.0  # of an action unit without coding


@DATASETS.register("BP4DPlusBigSmall")
class BP4DPlusBigSmallLoader(BP4DPlusLoader):
    """`ppg` and `bp_wave` are the same wave; action units are called AU01 ... AU39, intensities AU06int ..."""

    optional_signals = (*WAVES, *(f"AU{unit:02d}" for unit in UNITS), *(f"AU{unit:02d}int" for unit in INTENSITIES))
    SHARED = {
        "PREPROCESS": {
            "BIGSMALL": {  # the two resolutions of the network of that name
                "BIG_DATA_TYPE": [""],  # representations of the big frames
                "SMALL_DATA_TYPE": [""],  # representations of the small frames
                "RESIZE": {"BIG_W": 144, "BIG_H": 144, "SMALL_W": 9, "SMALL_H": 9},  # pixels
            }
        }
    }
    CHECKS = {
        **{f"PREPROCESS.BIGSMALL.{key}": each(REPRESENTATION) for key in ("BIG_DATA_TYPE", "SMALL_DATA_TYPE")},
        **{f"PREPROCESS.BIGSMALL.RESIZE.{key}": FACE_SIDE for key in ("BIG_W", "BIG_H", "SMALL_W", "SMALL_H")},
    }
    absent = ("F041T7",)  # its action units are those of another number of frames
    side_files = (*BP4DPlusLoader.side_files, *(f"Physiology/{{subject}}/T{task}" for task in (2, 3, 4, 5, 9, 10)))

    @staticmethod
    def shared_size(data: Any) -> dict[str, int] | None:
        """The big size in a section that names types for big frames; the small ones are made of them when read."""
        node = data.PREPROCESS.BIGSMALL
        return {"W": node.RESIZE.BIG_W, "H": node.RESIZE.BIG_H} if any(node.BIG_DATA_TYPE) else None

    def wants(self, task: str) -> bool:
        """Whether the task has coded action units."""
        return task in TASKS

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The lower square of the coded pictures, from 0 s on."""
        coding = _coding(recording)
        first, last = (0, None) if coding is None else (int(coding[0, 0]) - 1, int(coding[-1, 0]))
        count = 0
        for frame in islice(super().read_video(recording), first, last):
            frame.time = count / self.fs
            count += 1
            yield LowerSquare(frame)
        if last is not None and count < last - first:
            raise VideoError(
                f"Frames {first + 1} to {last} of '{recording.id}' are coded, but its video has only {first + count}. "
                f"{AGAIN}"
            )

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """All signals of the coded part: waves at 1000 Hz, action units at the frames, -1 where there is no coding."""
        waves = {
            name: _wave(recording, name) for name in WAVES if name == "bp_wave" or is_there(_path(recording, name))
        }
        coding = _coding(recording)
        if coding is not None:
            waves = {name: self._cut(wave, coding) for name, wave in waves.items()}
        return {"ppg": waves["bp_wave"], **waves, **_action_units(recording, coding)}

    def _cut(self, signal: Signal, coding: np.ndarray) -> Signal:
        """The part of `signal` during the coded frames."""
        first, last = (coding[0, 0] - 1) / self.fs, coding[-1, 0] / self.fs
        start, stop = round(first * signal.fs), round(last * signal.fs)
        return Signal(signal.values[start:stop], fs=signal.fs, unit=signal.unit)

    def describe(self, recording: Recording) -> dict[str, Any]:
        """First and last coded frame, counted from 1."""
        coding = _coding(recording)
        return {} if coding is None else {"first_coded": int(coding[0, 0]), "last_coded": int(coding[-1, 0])}


class LowerSquare(Frame):
    """The lowest rows of an upright picture, as many as it has columns; another picture as a whole."""

    def __init__(self, frame: Frame):
        """Nothing is decoded yet."""
        self.frame, self.time = frame, frame.time

    @property
    def top(self) -> int:
        """Rows left out above."""
        height, width = self.frame.shape
        return max(0, height - width)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.frame.shape
        return height - self.top, width

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        x, y, w, h = box or (0, 0, self.shape[1], self.shape[0])
        return self.frame.rgb((x, y + self.top, w, h))


def _path(recording: Recording, name: str) -> Path:
    return entry(recording.path, WAVES[name][0])


def _wave(recording: Recording, name: str) -> Signal:
    _, unit, limits = WAVES[name]
    signal = read_signal(_path(recording, name), unit)
    return signal if limits is None else Signal(np.clip(signal.values, *limits), fs=signal.fs, unit=unit)


def _coding(recording: Recording) -> np.ndarray | None:
    """Rows of frame number and action units; None without a file. ValueError when the frames are not in a row."""
    path = _occurrences(recording)
    if not is_there(path):
        return None
    coding = read_table(path, skip=1)
    column(coding, len(UNITS), path)
    frames = coding[:, 0]
    if not 1 <= frames[0] < 1e9 or (np.diff(frames) != 1).any():
        raise ValueError(f"The frames of '{path}' are not numbers in a row. Copy it again, or leave the recording out.")
    return coding


def _occurrences(recording: Recording) -> Path:
    return entry(_codes(recording), f"AU_OCC/{recording.subject}_{recording.info['task']}.csv")


def _codes(recording: Recording) -> Path:
    return entry(recording.path.parents[2], "AUCoding")


def _action_units(recording: Recording, coding: np.ndarray | None) -> dict[str, Signal]:
    signals = {}
    for number, unit in enumerate(UNITS, start=1):
        name = f"AU{unit:02d}"
        values = np.array([MISSING]) if coding is None else (coding[:, number] == 1).astype(float)
        signals[name] = Signal(values, unit="")
        if unit in INTENSITIES:
            signals[f"{name}int"] = Signal(_intensity(recording, name, coding), unit="")
    return signals


def _intensity(recording: Recording, name: str, coding: np.ndarray | None) -> np.ndarray:
    path = entry(_codes(recording), f"AU_INT/{name}/{recording.subject}_{recording.info['task']}_{name}.csv")
    if coding is None or not is_there(path):
        return np.full(1 if coding is None else len(coding), MISSING)
    values = column(read_table(path), 1, path)
    if len(values) != len(coding):
        raise ValueError(
            f"'{path}' has {len(values)} rows, '{_occurrences(recording)}' has {len(coding)}; they must agree. {AGAIN}"
        )
    return np.where((values >= 0) & (values <= 5), values, MISSING)
