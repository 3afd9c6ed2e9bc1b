"""OMIT: orthogonal matrix image transformation, the colour orthogonal to the first frame's.

Alvarez Casado and Bordallo Lopez, "Face2PPG: an unsupervised pipeline for blood volume pulse extraction
from faces", IEEE JBHI 27(11), 2023.
"""

import numpy as np

from registry import UNSUPERVISED
from unsupervised_methods.checks import checked


@UNSUPERVISED.register("OMIT")
def omit(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T,) from mean skin colour `rgb` (T, 3); `fs` (Hz) is not used.

    The first column q of the QR factor of the colours (3, T) is the first frame's direction, whatever its
    sign; the pulse is the green component after projecting q out, so it starts at 0.
    """
    rgb = checked(rgb, fs, "OMIT", shortest=3)
    q = np.linalg.qr(rgb[:3].T)[0][:, 0]
    return rgb[:, 1] - (rgb @ q) * q[1]
