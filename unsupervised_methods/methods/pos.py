"""POS: plane orthogonal to skin.

Wang, den Brinker, Stuijk and de Haan, "Algorithmic principles of remote PPG", IEEE TBME 64(7), 2017.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.post_process import bandpass, detrend
from registry import UNSUPERVISED
from unsupervised_methods.checks import checked, ratio, relative


@UNSUPERVISED.register("POS")
def pos(rgb: np.ndarray, fs: float, band: tuple[float, float] | None = None) -> np.ndarray:
    """Pulse (T,) from mean skin colour `rgb` (T, 3) at `fs` (Hz), detrended and band-passed to 0.75-3 Hz.

    With `band` (Hz) neither of the two; a window then holds 0.96 periods of its slowest wave, which so passes whole.
    Raises ValueError for less than one window (1.6 s, without a band or from 0.6 Hz on) plus a frame.
    """
    rgb = checked(rgb, fs, "POS", shortest=max(overlap(fs, band) + 1, 10))
    if band is None:
        return bandpass(detrend(overlap_add(rgb, fs)), fs, (0.75, 3.0), order=1)
    more = np.vstack([rgb, rgb[-1:]])  # the frame more gives the last sample its value
    return overlap_add(more, fs, overlap(fs, band))[:-1]


def overlap(fs: float, band: tuple[float, float] | None = None) -> int:
    """Frames of a window, and so the number of windows that are added up over a frame."""
    return math.ceil((1.6 if band is None else max(1.6, 0.96 / band[0])) * fs)


def overlap_add(rgb: np.ndarray, fs: float, size: int = 0) -> np.ndarray:
    """The unfiltered POS pulse (T,): every window of `size` frames (0: of 1.6 s) projected, centred, added in place.

    A window ends before the frame it belongs to, as in rPPG-Toolbox, so the last sample gets nothing.
    """
    size = size or overlap(fs)
    clips = sliding_window_view(rgb, size, axis=0)[:-1]  # (N, 3, size)
    r, g, b = np.moveaxis(relative(clips, 2, "POS"), 1, 0)
    x, y = g - b, g + b - 2 * r
    h = x + ratio(x.std(axis=1), y.std(axis=1))[:, None] * y
    h -= h.mean(axis=1, keepdims=True)
    pulse = np.zeros(len(rgb))
    for k in range(size):
        pulse[k : k + len(h)] += h[:, k]
    return pulse
