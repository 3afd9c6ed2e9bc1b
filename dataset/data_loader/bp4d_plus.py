"""BP4D+: 140 subjects in ten tasks meant to stir emotions, blood pressure wave, breathing and skin conductance.

Zhang et al., "Multimodal spontaneous emotion corpus for human behavior analysis", CVPR 2016.

    DATA_PATH/2D+3D/F001.zip                     F001/T1/0001.jpg ...: 1040x1392 at 25 fps, read without unpacking
    DATA_PATH/Physiology/F001/T1/BP_mmHg.txt     one sample a line, 1000 Hz; the other files lie beside it

Subjects are F001 ... and M001 ..., tasks T1 to T10. Frames go into the face stage at their full size: rPPG-Toolbox
shrinks them first, to twice the size of the stored faces. It also takes the first sample of every file for a heading.
FILTERING works here, too (TASK_LIST: [T1, T8]). The layout is that of rPPG-Toolbox's reader; it has been tested on
rendered files, not on the original ones.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.frames import Frame
from dataset.files.images import ImageFrame, decode_image
from dataset.files.limits import OneSize
from dataset.files.lookup import entry, folders, matching
from dataset.files.tables import read_table, require_root, require_some
from dataset.files.zips import iter_members
from registry import DATASETS

SUBJECT, TRIAL = re.compile(r"[FM]\d{3}"), re.compile(r"T\d{1,2}")  # in capitals
RATE = 1000.0  # Hz of the physiological signals


@DATASETS.register("BP4DPlus")
class BP4DPlusLoader(BaseLoader):
    """Ids are subject and task, such as `F001T1`."""

    fs = 25.0
    chunk_subject = r"([FM]\d{3})T\d+"
    signals = ("ppg",)
    unaugmented = "BP4D+"
    absent = ("F042T11",)  # named in the data set, but without files
    side_files = (
        "2D+3D/{subject}.zip",
        "Physiology/F042/T11",
        *("2DFeatures", "3DFeatures", "IRFeatures", "Thermal", "AUCoding"),  # what else comes with the data set
    )

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder `Physiology/<subject>/<task>`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "BP4D+")
        found = []
        for subject in (f for f in matching(root, "Physiology/*") if SUBJECT.fullmatch(f.name.upper())):
            for folder in (f for f in folders(subject) if self.wants(f.name.upper())):
                name, task = subject.name.upper(), folder.name.upper()
                found.append(Recording(f"{name}{task}", name, path=folder, info={"task": task}))
        found = [recording for recording in found if recording.id not in self.absent]
        return require_some(found, root, "BP4D+", "Physiology/F001/T1/BP_mmHg.txt and 2D+3D/F001.zip, ...")

    def wants(self, task: str) -> bool:
        """Whether a folder of this name is a recording."""
        return bool(TRIAL.fullmatch(task))

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The pictures of the task in natural order, 1/25 s apart."""
        path = entry(recording.path.parents[2], f"2D+3D/{recording.subject}.zip")
        return iter_zip(path, recording.info["task"], self.fs)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg`: the arterial pressure wave (mmHg) at 1000 Hz."""
        return {"ppg": read_signal(entry(recording.path, "BP_mmHg.txt"), "mmHg")}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names tasks, such as `T8`."""
        return [recording.id.removeprefix(recording.subject)]


def read_signal(path: Path, unit: str) -> Signal:
    """A file of one sample a line."""
    return Signal(read_table(path)[:, 0], fs=RATE, unit=unit)


def iter_zip(path: Path, task: str, fs: float) -> Iterator[Frame]:
    """Yield the .jpg members `<any>/<task>/<any>.jpg` of a zip file in natural order, 1 / `fs` s apart.

    Nothing is unpacked to the disk. VideoError for a file that is missing, damaged or encrypted, holds no such picture,
    holds one of more than 32 MB, or has names that lead out of it.
    """

    def wanted(name: PurePosixPath) -> bool:
        return name.suffix.lower() == ".jpg" and len(name.parts) > 2 and name.parts[1].upper() == task

    size = OneSize()
    for index, (name, data) in enumerate(iter_members(path, wanted, f"picture of {task}")):
        yield ImageFrame(
            partial(decode_image, np.frombuffer(data, np.uint8), f"'{name}' in '{path}'", size), index / fs
        )
