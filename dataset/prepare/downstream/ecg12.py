"""What data sets of 12-lead records share: leads by name, and a record as a window."""

from pathlib import Path

import numpy as np

from dataset.files.wfdb import read_record

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def read_leads(header: Path) -> tuple[np.ndarray, float]:
    """The leads (12, L) in the order of LEADS, whatever order the record has them in, and their rate (Hz).

    ValueError where one is missing, has gaps, or another rate or length.
    """
    found = {name.lower(): signal for name, signal in read_record(header).items()}
    missing = [name for name in LEADS if name.lower() not in found]
    if missing:
        raise ValueError(f"'{header}' has no lead {missing[0]} (it has: {', '.join(found)}).")
    own = [found[name.lower()] for name in LEADS]
    sizes = {(len(one.values), one.fs) for one in own}
    if len(sizes) > 1 or any(one.times is not None for one in own):
        raise ValueError(f"'{header}' has leads with gaps, or of different length.")
    return np.stack([one.values for one in own]), float(own[0].fs)
