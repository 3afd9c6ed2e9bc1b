"""LGI: local group invariance, the part of the colour that is orthogonal to its strongest direction.

Pilz, Zaunseder, Krajewski and Blazek, "Local group invariance for heart rate estimation from face videos
in the wild", CVPR Workshops 2018.
"""

import numpy as np

from registry import UNSUPERVISED
from unsupervised_methods.checks import checked


@UNSUPERVISED.register("LGI")
def lgi(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T,) from mean skin colour `rgb` (T, 3); `fs` (Hz) is not used.

    The strongest direction u is the leading eigenvector of the 3x3 matrix of second moments; the pulse
    is the green component of what remains after projecting u out.
    """
    rgb = checked(rgb, fs, "LGI", shortest=3)
    u = np.linalg.eigh(rgb.T @ rgb)[1][:, -1]
    return rgb[:, 1] - (rgb @ u) * u[1]
