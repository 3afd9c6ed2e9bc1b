"""The filter of ECGFounder: mains, drift and noise off, then what is left of the baseline. Pure NumPy.

Li et al., "An Electrocardiogram Foundation Model Built on over 10 Million Recordings", NEJM AI 2(7), 2025.
"""

import numpy as np
import scipy

MAINS, QUALITY = 50.0, 30.0  # Hz
BAND, ORDER = (0.67, 40.0), 4  # Hz
MEDIAN = 0.4  # s


def founder_filter(ecg: np.ndarray, fs: float) -> np.ndarray:
    """`ecg` (L,) at `fs` (Hz) without 50 Hz, outside 0.67 to 40 Hz and without its median over 0.4 s, float32 (L,).

    ValueError for a rate at which 50 Hz do not exist.
    """
    if not fs > 2.2 * MAINS:
        raise ValueError(
            f"MODEL.BP.ECG_FILTER founder takes 50 Hz out; an ECG read at {fs:g} Hz has none. Raise ECG_FS."
        )
    wave = np.asarray(ecg, dtype=float)
    wave = scipy.signal.filtfilt(*scipy.signal.iirnotch(MAINS, QUALITY, fs), wave)
    wave = scipy.signal.sosfiltfilt(scipy.signal.butter(ORDER, BAND, btype="bandpass", output="sos", fs=fs), wave)
    size = round(MEDIAN * fs) // 2 * 2 + 1
    return (wave - scipy.ndimage.median_filter(wave, size, mode="nearest")).astype(np.float32)
