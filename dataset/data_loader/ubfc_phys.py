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
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_key
from dataset.files.reading import is_there
from dataset.files.tables import column, passes_filtering, read_table, require_root, require_some
from dataset.files.video import Frame, iter_frames
from registry import DATASETS

NAME = re.compile(r"(?:vid|bvp)_(s\d+)_(T\d+)\.(?:avi|csv)")


@DATASETS.register("UBFC-PHYS")
class UBFCPhysLoader(BaseLoader):
    """Ids are subject and task, such as `s1_T1`."""

    fs = 35.0
    signals = ("ppg",)
    optional_signals = ("eda",)
    unaugmented = "UBFC-PHYS"

    def recordings(self, root: Path) -> list[Recording]:
        """One per video or table of a task, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "UBFC-PHYS")
        found = {
            NAME.fullmatch(file.name).groups(): file.parent for file in root.glob("s*/*") if NAME.fullmatch(file.name)
        }
        recordings = [
            Recording(f"{subject}_{task}", subject, folder / f"vid_{subject}_{task}.avi", {"task": task})
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
        folder, name = recording.path.parent, recording.path.stem.partition("_")[2]
        bvp, eda = folder / f"bvp_{name}.csv", folder / f"eda_{name}.csv"
        signals = {"ppg": Signal(column(read_table(bvp), 0, bvp), fs=64.0)}
        if is_there(eda):
            signals["eda"] = Signal(column(read_table(eda), 0, eda), fs=4.0, unit="uS")
        return signals

    def select(self, recording: Recording, data: dict[str, Any]) -> bool:
        """Whether FILTERING keeps the recording."""
        return passes_filtering(recording.id, recording.id.split("_"), data)
