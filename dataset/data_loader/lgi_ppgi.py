"""LGI-PPGI: 25 subjects (6 are published) at rest, turning their heads, in the gym and talking, finger PPG at 60 Hz.

Pilz et al., "Local Group Invariance for Heart Rate Estimation from Face Videos in the Wild", CVPR Workshops 2018.

    DATA_PATH/id1/alex/alex_gym/cv_camera_sensor_stream_handler.avi         640x480, uncompressed, about 25 fps
    DATA_PATH/id1/alex/alex_gym/cv_camera_sensor_timer_stream_handler.xml   value1 of each entry: time of a frame (ms)
    DATA_PATH/id1/alex/alex_gym/cms50_stream_handler.xml                    value0 of each entry: its number, value1:
                                                                            heart rate (bpm), value2: PPG (a.u.)

The sessions are called resting, rotation, gym and talk; FILTERING chooses among them (TASK_LIST: [resting, gym]). The
folder above the subjects may be missing. What the values mean is what the authors say; file names and the clocks are
those of pyVHR's reader. The oximeter's samples have no times: as pyVHR does, they are taken to end with the last frame,
1/60 s apart, so that those from before the video come first. Nothing the authors wrote says so; LABEL_ALIGN: index
stretches them over the video instead. Tested on rendered files, on which the readers of pyVHR and face_model_training
give the same frames, times and samples, not on the original ones.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from dataset.files.frames import Frame
from dataset.files.lookup import below, entry, originals
from dataset.files.reading import is_there
from dataset.files.stamps import frames_at, stamps_of_frames
from dataset.files.tables import require_root, require_some
from dataset.files.video import iter_frames
from dataset.files.xml import read_columns
from registry import DATASETS

VIDEO = "cv_camera_sensor_stream_handler.avi"
TIMES = "cv_camera_sensor_timer_stream_handler.xml"
SENSOR = "cms50_stream_handler.xml"
RATE = 60.0  # Hz of the oximeter


@DATASETS.register("LGI-PPGI")
class LGIPPGILoader(BaseLoader):
    """Ids are the names of the innermost folders, such as `alex_gym`; the part before the last dash is the subject."""

    fs = 25.0
    signals = ("ppg",)
    optional_signals = ("hr",)
    unaugmented = "LGI-PPGI"
    searches_below = True

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder with a video or an oximeter's file, in natural order; FileNotFoundError without any."""
        root = require_root(root, "LGI-PPGI")
        folders = originals({file.parent for name in (VIDEO, SENSOR) for file in below(root, name)})
        require_some(folders, root, "LGI-PPGI", f"id1/alex/alex_gym/{VIDEO} and {SENSOR}, id1/alex/alex_talk/...")
        return [_recording(folder) for folder in natural_sort(folders)]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of the video at the camera's own times; at those of the container where the file is missing."""
        path, times = entry(recording.path, VIDEO), _frame_times(recording.path)
        return iter_frames(path) if times is None else frames_at(path, times, TIMES)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) and the oximeter's own `hr` (bpm), in seconds after the first frame."""
        rates, wave = read_columns(entry(recording.path, SENSOR), ["value1", "value2"])
        times = _frame_times(recording.path)
        if times is None:
            return {"ppg": Signal(wave, fs=RATE), "hr": Signal(rates, fs=RATE, unit="bpm")}
        last = stamps_of_frames(entry(recording.path, VIDEO), times, TIMES)[-1]
        clock = last + np.arange(-len(wave), 0) / RATE
        return {"ppg": Signal(wave, times=clock), "hr": Signal(rates, times=clock, unit="bpm")}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names sessions, such as `talk`."""
        return [recording.id.rpartition("_")[2]]


def _recording(folder: Path) -> Recording:
    subject, _, session = folder.name.rpartition("_")
    return Recording(id=folder.name, subject=subject or folder.name, path=folder, info={"task": session})


def _frame_times(folder: Path) -> np.ndarray | None:
    """Times of the camera's entries in seconds; None where there is no such file."""
    path = entry(folder, TIMES)
    return read_columns(path, ["value1"])[0] / 1000 if is_there(path) else None
