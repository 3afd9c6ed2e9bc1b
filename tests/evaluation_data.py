"""Recordings with known rates for the tests of the evaluation."""

from types import SimpleNamespace

import numpy as np

from evaluation.results import RecordingResult, Row

METRICS = ["MAE", "RMSE", "MAPE", "Pearson", "SNR", "MACC"]


def beat(bpm: float, times: np.ndarray, phase: float = 0.4) -> np.ndarray:
    """A pulse wave with a second harmonic at `times` (s)."""
    angle = 2 * np.pi * bpm / 60 * times + phase
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


def signal(values, fs=None, times=None):
    """A native signal, as a loader gives it."""
    return SimpleNamespace(values=np.asarray(values, dtype=float), fs=fs, times=times)


def recording(
    bpm: float = 72.3, predicted: float | None = None, seconds: float = 30.0, fs: float = 30.0, name: str = "r1", **more
) -> RecordingResult:
    """Prediction (at `predicted` bpm, default the true rate, with noise), label and native reference at 64 Hz."""
    frames = np.arange(int(seconds * fs)) / fs
    noise = 0.3 * np.random.default_rng(len(name)).normal(size=len(frames))
    native = np.arange(int(seconds * 64)) / 64.0
    values = {
        "id": name, "subject": name, "fs": fs, "prediction": beat(predicted or bpm, frames) + noise,
        "label": beat(bpm, frames), "reference": signal(beat(bpm, native), fs=64.0),
    }  # fmt: skip
    return RecordingResult(**{**values, **more})


def row(name: str, true: float, predicted: float, window: int = 0, **more) -> Row:
    """One evaluated window of subject `name`."""
    return Row(name, name, window, 0.0, true, predicted, **{"snr": 1.0, "macc": 0.9, "quality": 2.0, **more})
