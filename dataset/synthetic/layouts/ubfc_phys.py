"""UBFC-PHYS: three tasks of each subject, a video and two tables of the wrist band each.

Meziati Sabour et al., "UBFC-Phys: A Multimodal Database For Psychophysiological Studies of Social Stress", IEEE
Transactions on Affective Computing, 2021, and the layout its authors publish:

    s1/vid_s1_T1.avi   35 fps, Motion JPEG        s1/bvp_s1_T1.csv   64 Hz        s1/eda_s1_T1.csv   4 Hz
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi, takes
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording


@LAYOUTS.register("UBFC-PHYS")
class UBFCPhysLayout:
    """Writes three tasks of each subject at 35 fps; a codec that goes into an AVI is kept, another becomes mjpg."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"s{number}"

    def write(self, folder: Path, session: Session) -> None:
        """Videos and tables of the tasks T1 to T3."""
        for task, take in enumerate(takes(in_avi(at_rate(session, 35.0), "mjpg"), 3), start=1):
            name, truth = f"s{session.subject}_T{task}", take.truth()
            write_recording(folder / f"vid_{name}.avi", take)
            for kind, rate in (("bvp", 64), ("eda", 4)):
                clock = np.arange(max(1, round(take.settings.seconds * rate))) / rate
                wave = truth.ppg_native if kind == "bvp" else 2 + 0.2 * truth.resp_native
                values = np.interp(clock, truth.ppg_times, 50 * wave if kind == "bvp" else wave)
                (folder / f"{kind}_{name}.csv").write_text("".join(f"{value:.6f}\n" for value in values))
