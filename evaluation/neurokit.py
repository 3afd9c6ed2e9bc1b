"""Beats as NeuroKit2 finds them: INFERENCE.BEATS neurokit2. The package is optional; ours are in beats.py and ecg.py.

Makowski et al., "NeuroKit2: a Python toolbox for neurophysiological signal processing", Behavior Research Methods 53,
2021. Its own filters clean the wave; a pulse wave's systolic peaks are found as in Elgendi et al., "Systolic peak
detection in acceleration photoplethysmograms measured from emergency responders in tropical conditions", PLOS ONE
8(10), 2013.
"""

import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np

from evaluation.presets import FINDERS, NEUROKIT, OWN


def package() -> ModuleType:
    """The package; ImportError with what to install where it is not there."""
    try:
        import neurokit2
    except ImportError as error:
        raise ImportError(
            f"INFERENCE.BEATS is {NEUROKIT}, which cannot be imported here ({error}). pip install neurokit2, or set "
            f"INFERENCE.BEATS to {OWN}."
        ) from None
    return neurokit2


def require(finder: str) -> None:
    """ImportError, before anything is measured, where `finder` is not there; ValueError for one that nobody knows."""
    if finder not in FINDERS:
        raise ValueError(f"INFERENCE.BEATS is {finder!r}; known: {', '.join(FINDERS)}.")
    if finder == NEUROKIT:
        package()


def systolic_peaks(wave: np.ndarray, fs: float) -> np.ndarray:
    """Indices (N,) of the systolic peaks of an upright pulse `wave` (L,) at `fs` (Hz)."""
    kit = package()
    return _found(lambda: kit.ppg_findpeaks(kit.ppg_clean(wave, sampling_rate=fs), sampling_rate=fs)["PPG_Peaks"])


def r_peaks(ecg: np.ndarray, fs: float) -> np.ndarray:
    """Indices (N,) of the R peaks of `ecg` (L,) at `fs` (Hz)."""
    kit = package()
    return _found(lambda: kit.ecg_peaks(kit.ecg_clean(ecg, sampling_rate=fs), sampling_rate=fs)[1]["ECG_R_Peaks"])


def _found(peaks: Callable[[], np.ndarray]) -> np.ndarray:
    """What `peaks()` finds; nothing in a wave that the package cannot work with, such as a flat or a short one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(peaks(), dtype=float)
    except (ValueError, IndexError, ZeroDivisionError):
        return np.zeros(0, dtype=int)
    return np.unique(found[np.isfinite(found)].astype(int))
