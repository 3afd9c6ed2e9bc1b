"""CHROM: two chrominance signals, combined so that specular motion cancels.

de Haan and Jeanne, "Robust pulse rate from chrominance-based rPPG", IEEE TBME 60(10), 2013.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.post_process import bandpass
from registry import UNSUPERVISED
from unsupervised_methods.checks import checked, ratio, relative


@UNSUPERVISED.register("CHROM")
def chrom(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Pulse (T',) from mean skin colour `rgb` (T, 3) at `fs` (Hz); T' <= T is a whole number of half windows.

    Windows of 1.6 s overlap by half. As in rPPG-Toolbox the first half of a window is added to the result
    and the second half assigned. Raises ValueError for less than one window.
    """
    size = math.ceil(1.6 * fs)
    size += size % 2
    rgb = checked(rgb, fs, "CHROM", shortest=max(size, 22))
    half = size // 2
    clips = sliding_window_view(rgb, size, axis=0)[::half]  # (N, 3, size)
    r, g, b = np.moveaxis(relative(clips, 2, "CHROM"), 1, 0)
    x, y = (bandpass(z.T, fs, (0.7, 2.5), order=3).T for z in (3 * r - 2 * g, 1.5 * r + g - 1.5 * b))
    waves = (x - ratio(x.std(axis=1), y.std(axis=1))[:, None] * y) * np.hanning(size)
    pulse = np.zeros((len(waves) + 1, half))
    pulse[1:] = waves[:, half:]
    pulse[:-1] += waves[:, :half]
    return pulse.ravel()
