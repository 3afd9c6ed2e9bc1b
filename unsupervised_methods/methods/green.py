"""GREEN: the green channel, which haemoglobin absorbs most.

Verkruysse, Svaasand and Nelson, "Remote plethysmographic imaging using ambient light", Optics Express 16(26), 2008.
"""

import numpy as np

from registry import UNSUPERVISED
from unsupervised_methods.checks import checked


@UNSUPERVISED.register("GREEN")
def green(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T,) = the green channel of mean skin colour `rgb` (T, 3), unfiltered; `fs` (Hz) is not used."""
    return checked(rgb, fs, "GREEN", shortest=1)[:, 1].copy()


green.compares_colours = False  # a grey picture will do
