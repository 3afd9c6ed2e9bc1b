"""BP4D+ with coded action units: the tables of their occurrence and intensity beside pictures and sensor files.

Zhang et al., "Multimodal spontaneous emotion corpus for human behavior analysis", CVPR 2016; names as rPPG-Toolbox's
reader has them:

    AUCoding/AU_OCC/F001_T1.csv               a heading; frame (from 1) and 34 action units
    AUCoding/AU_INT/AU06/F001_T1_AU06.csv     no heading; frame, intensity
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS
from dataset.synthetic.layouts.bp4d_plus import BP4DPlusLayout

_UNITS = (*range(1, 3), *range(4, 8), *range(9, 21), 22, 23, 24, *range(27, 40))
_INTENSITIES = (6, 10, 12, 14, 17)
_UNKNOWN = 9


@LAYOUTS.register("BP4DPlusBigSmall")
class BP4DPlusBigSmallLayout(BP4DPlusLayout):
    """Writes the tasks T1 and T6 of each subject; the first and last frames are not coded, as in the real set."""

    tasks = ("T1", "T6")

    def write_more(self, folder: Path, subject: str, task: str, frames: int) -> None:
        """Action units of the coded frames: smiles (6, 12) and brows (1, 2, 4) come and go."""
        edge = min(2, (frames - 1) // 2)
        numbers = np.arange(1 + edge, frames - edge + 1)
        phase = np.sin(2 * np.pi * numbers / 40 + int(subject[1:]))
        intensity = np.rint(5 * np.clip(phase, 0, 1)).astype(int)
        occurs = {unit: np.full(len(numbers), _UNKNOWN if unit >= 27 else 0) for unit in _UNITS}
        occurs |= {unit: (intensity >= 1).astype(int) for unit in _INTENSITIES}
        occurs |= {unit: (phase < -0.5).astype(int) for unit in (1, 2, 4)}
        places = folder / "AUCoding" / "AU_OCC", folder / "AUCoding" / "AU_INT"
        places[0].mkdir(parents=True, exist_ok=True)
        table = np.stack([numbers, *occurs.values()], axis=1)
        heading = ",".join(str(unit) for unit in (0, *_UNITS))
        np.savetxt(places[0] / f"{subject}_{task}.csv", table, "%d", ",", header=heading, comments="")
        for unit in _INTENSITIES:
            place = places[1] / f"AU{unit:02d}"
            place.mkdir(parents=True, exist_ok=True)
            rows = np.stack([numbers, intensity], axis=1)
            np.savetxt(place / f"{subject}_{task}_AU{unit:02d}.csv", rows, "%d", ",")
