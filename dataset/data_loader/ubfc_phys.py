"""UBFC-PHYS: 56 subjects in three tasks (rest, speech, arithmetic) of three minutes, wrist PPG at 64 Hz.

Meziati Sabour et al., "UBFC-Phys: A Multimodal Database For Psychophysiological Studies of Social Stress", IEEE
Transactions on Affective Computing, 2021.

    DATA_PATH/s1/vid_s1_T1.avi   1024x1024 at 35 fps
    DATA_PATH/s1/bvp_s1_T1.csv   one sample a line, 64 Hz        eda_s1_T1.csv   skin conductance, 4 Hz

BEGIN and END count subjects; SPLIT_UNIT: recording counts recordings, as rPPG-Toolbox does (one subject may then be in
two parts). FILTERING leaves out recordings whose labels are known to be poor; its TASK_LIST names tasks (`T1`), people
(`s1`) or recordings (`s1_T1`). The layout is that of the published description; it has been tested on rendered files,
not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_key
from dataset.files.frames import Frame
from dataset.files.lookup import entry, matching
from dataset.files.reading import is_there
from dataset.files.tables import column, read_table, require_root, require_some
from dataset.files.video import iter_frames
from registry import DATASETS

NAME = re.compile(r"(?:vid|bvp)_(s\d+)_(t\d+)\.(?:avi|csv)")  # in small letters


@DATASETS.register("UBFC-PHYS")
class UBFCPhysLoader(BaseLoader):
    """Ids are subject and task, such as `s1_T1`."""

    fs = 35.0
    chunk_subject = r"(s\d+)_T\d+"
    signals = ("ppg",)
    optional_signals = ("eda",)
    unaugmented = "UBFC-PHYS"
    side_files = (
        "{parent}/bvp_{id}.csv",
        "{parent}/eda_{id}.csv",
        "{parent}/info_{subject}.txt",
        "{parent}/selfreported*_{subject}.csv",
        "master_scores.csv",
    )

    def recordings(self, root: Path) -> list[Recording]:
        """One per video or table of a task, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "UBFC-PHYS")
        named = [(NAME.fullmatch(file.name.lower()), file.parent) for file in matching(root, "s*/*")]
        found = {name.groups(): folder for name, folder in named if name}
        recordings = [
            _recording(folder, subject, task.upper())
            for (subject, task), folder in sorted(found.items(), key=lambda item: natural_key("_".join(item[0])))
        ]
        return require_some(
            recordings, root, "UBFC-PHYS", "s1/vid_s1_T1.avi and s1/bvp_s1_T1.csv, s1/vid_s1_T2.avi ..."
        )

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of the video at the times of the container."""
        return iter_frames(recording.path)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) at 64 Hz and, where there is one, `eda` (microsiemens) at 4 Hz."""
        bvp, eda = (entry(recording.path.parent, f"{kind}_{recording.id}.csv") for kind in ("bvp", "eda"))
        signals = {"ppg": Signal(column(read_table(bvp), 0, bvp), fs=64.0)}
        if is_there(eda):
            signals["eda"] = Signal(column(read_table(eda), 0, eda), fs=4.0, unit="uS")
        return signals


def _recording(folder: Path, subject: str, task: str) -> Recording:
    name = f"{subject}_{task}"
    return Recording(name, subject, entry(folder, f"vid_{name}.avi"), {"task": task})
