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
def chrom(rgb: np.ndarray, fs: float, band: tuple[float, float] | None = None) -> np.ndarray:
    """Pulse (T',) from mean skin colour `rgb` (T, 3) at `fs` (Hz); T' <= T is a whole number of half windows.

    Windows of 1.6 s overlap by half. As in rPPG-Toolbox the first half of a window is added to the result
    and the second half assigned. Without `band` (Hz) each window is band-passed to 0.7-2.5 Hz; with it there is no
    filter, a window holds 0.96 periods of its slowest wave, and mirrored ends make the pulse as long as the colours.
    Raises ValueError for less than one window.
    """
    size = math.ceil((1.6 if band is None else max(1.6, 0.96 / band[0])) * fs)
    size += size % 2
    rgb = checked(rgb, fs, "CHROM", shortest=max(size, 22))
    half = size // 2
    if band is not None:
        whole = np.pad(rgb, ((half, 2 * size), (0, 0)), mode="reflect")
        x, y = (z - z.mean(axis=1, keepdims=True) for z in chrominance(whole, size))
        window = np.hanning(size + 1)[:-1]  # two of them, half a window apart, make 1
        return _joined(_combined(x, y) * window)[half : half + len(rgb)]
    x, y = (bandpass(z.T, fs, (0.7, 2.5), order=3).T for z in chrominance(rgb, size))
    return _joined(_combined(x, y) * np.hanning(size))


def chrominance(rgb: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The two chrominance signals (N, size) of windows of `rgb` (T, 3), half a window apart."""
    clips = sliding_window_view(rgb, size, axis=0)[:: size // 2]  # (N, 3, size)
    r, g, b = np.moveaxis(relative(clips, 2, "CHROM"), 1, 0)
    return 3 * r - 2 * g, 1.5 * r + g - 1.5 * b


def _combined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x - a y (N, size), a so that both have one spread in each window."""
    return x - ratio(x.std(axis=1), y.std(axis=1))[:, None] * y


def _joined(waves: np.ndarray) -> np.ndarray:
    """Windows (N, size), half a window apart, as one wave: second halves lie under the first halves that follow."""
    half = waves.shape[1] // 2
    pulse = np.zeros((len(waves) + 1, half))
    pulse[1:] = waves[:, half:]
    pulse[:-1] += waves[:, :half]
    return pulse.ravel()
