"""PBV: the projection whose result has the colour signature of blood volume changes.

de Haan and van Leest, "Improved motion robustness of remote-PPG by using the blood volume pulse signature",
Physiological Measurement 35(9), 2014.
"""

import numpy as np

from registry import UNSUPERVISED
from unsupervised_methods.checks import checked, relative


@UNSUPERVISED.register("PBV")
def pbv(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T,) from mean skin colour `rgb` (T, 3); `fs` (Hz) is not used.

    Differs from the paper as rPPG-Toolbox does: the signature is measured on the signal itself and the
    colours are not centred. Ill-conditioned: use float64 means. A colour that never changes gives zeros.
    """
    colour = relative(checked(rgb, fs, "PBV", shortest=3), 0, "PBV")
    spread = colour.std(axis=0)
    if not spread.any():
        return np.zeros(len(colour))
    signature = spread / np.sqrt((spread**2).sum())
    moments = colour.T @ colour
    try:
        weights = np.linalg.solve(moments, signature)
    except np.linalg.LinAlgError:  # two channels move alike: the shortest of the many solutions
        weights = np.linalg.lstsq(moments, signature, rcond=None)[0]
    return colour @ weights / (signature @ weights)
