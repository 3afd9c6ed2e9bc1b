"""Respiration: the pulse's evaluation with a band for breaths and rates in breaths per minute.

The trend that the preset `exact` takes away follows the band. That of `toolbox` stays at rPPG-Toolbox's strength of
100, which takes away most breathing: all that is slower than 0.48 Hz at 30 samples per second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from evaluation import console
from evaluation.bland_altman import Quantity
from evaluation.metrics import computed
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.summary import Table

BAND = (0.13, 0.5)  # Hz: 7.8 to 30 breaths per minute, as rPPG-Toolbox has it
UNIT = "breaths/min"
MIN_SECONDS = 10.0  # of a window: two breaths of 12 per minute
HIGHEST_RATE = 25.0  # Hz: a breathing belt at 1000 Hz is averaged down to about this
QUANTITY = Quantity("GT respiration rate", "predicted respiration rate", UNIT, (5.0, 35.0))


def presets(chosen: Iterable[Preset]) -> list[Preset]:
    """The same ways to evaluate, for breathing; a band the user chose for the pulse does not count here."""
    return [_preset(one) for one in chosen]


def _preset(pulse: Preset) -> Preset:
    preset = replace(pulse, band=BAND, unit=UNIT, fixed="", bar=0.0)  # what is made for the pulse alone
    if pulse.reference == "label":
        return preset
    return replace(preset, min_seconds=max(MIN_SECONDS, pulse.min_seconds))


def metrics(names: Iterable[str]) -> list[str]:
    """Those of METRICS that are defined for breathing: numbers, without MACC (waves this slow always look alike)."""
    return [name for name in computed(names) if name != "MACC"]


def prepared(results: Iterable[RecordingResult]) -> list[RecordingResult]:
    """The recordings with references of an ordinary rate."""
    return [replace(result, reference=thinned(result.reference)) for result in results]


def thinned(signal: Any, highest: float = HIGHEST_RATE) -> Any:
    """`signal` (anything with values, fs, times) averaged in blocks to at most about `highest` Hz; None stays None.

    A signal without a rate (spread over the video) stays as it is.
    """
    rate = _rate(signal)
    block = int(rate // highest) if np.isfinite(rate) else 1
    if block < 2 or len(signal.values) < block:
        return signal
    values = _means(signal.values, block)
    if signal.times is not None:
        return SimpleNamespace(values=values, fs=None, times=_means(signal.times, block))
    times = ((block - 1) / 2 + block * np.arange(len(values))) / signal.fs  # of the middle of each block
    fs = signal.fs / block
    spread = np.interp(np.arange(len(values)) / fs, times, values)  # back to a first sample at 0 s
    return SimpleNamespace(values=spread, fs=fs, times=None)


def _rate(signal: Any) -> float:
    """Samples per second; NaN where unknown."""
    if signal is None:
        return np.nan
    if signal.times is not None and len(signal.times) > 1:
        step = float(np.median(np.diff(signal.times)))
        return 1.0 / step if step > 0 else np.nan
    return float(signal.fs or np.nan)


def _means(values: np.ndarray, block: int) -> np.ndarray:
    """Means of whole blocks of `values` (L,)."""
    count = len(values) // block
    return np.asarray(values, dtype=float)[: count * block].reshape(count, block).mean(axis=1)


def lines(table: Table, method: str = "FFT") -> list[str]:
    """rPPG-Toolbox's lines for the metrics of `table`, word for word; `method` is INFERENCE.EVALUATION_METHOD."""
    return [f"{_words(name, method)}: {console.said(name, score)}" for name, score in table.scores.items()]


def _words(name: str, method: str) -> str:
    if method != "peak detection" or name == "SNR":
        return f"FFT {name} (FFT Label)"
    return f"{'Peak' if name == 'MAE' else 'PEAK'} {name} (Peak Label)"


def header(tables: Sequence[Table]) -> list[str]:
    """The box above the lines, as rPPG-Toolbox prints it, and what of `tables` follows (the last)."""
    return [
        "=====================",
        "==== Resp Metrics ===",
        "=====================",
        f"unit: {tables[-1].preset.unit}",
    ]
