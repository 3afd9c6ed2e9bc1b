"""What a rate is judged by: the pulse wave of a recording, or the heart beats of its ECG where it has no pulse wave."""

from collections.abc import Iterable, Mapping

import numpy as np

from dataset.data_loader.base import Signal
from dataset.signals import PULSE_WAVE
from evaluation.ecg import beat_wave

BEATS = "beats of the ECG"  # unit of a reference that is no pulse wave


def pulse_reference(signals: Mapping[str, Signal]) -> Signal | None:
    """`ppg` where it was recorded, otherwise a wave with a crest at each R peak of `ecg`; None without either.

    The latter tells rates and nothing else: it is no label to train a pulse wave on. An ECG without two beats is None.
    Raises ValueError for an ECG that holds NaN, or has neither a rate nor times.
    """
    if PULSE_WAVE in signals or "ecg" not in signals:
        return signals.get(PULSE_WAVE)
    times, wave = beat_wave(signals["ecg"].values, _clock(signals["ecg"]))
    return Signal(wave, times=times, unit=BEATS) if len(wave) else None


def reference_notes(references: Iterable[Signal | None]) -> list[str]:
    """A sentence for the report where rates are judged by an ECG; [] where none is."""
    references = list(references)
    count = sum(getattr(reference, "unit", "") == BEATS for reference in references)
    if not count:
        return []
    whole = len(references)
    return [f"{count} of {whole} recordings have no pulse wave: their true rates are those of the R peaks of the ECG."]


def _clock(signal: Signal) -> np.ndarray:
    """Seconds (L,) of the samples; a signal with only a rate starts at zero."""
    if signal.times is not None:
        return np.asarray(signal.times, dtype=float)
    if not signal.fs:
        raise ValueError("The ECG has neither a rate nor times, so it tells no heart rate.")
    return np.arange(len(signal.values)) / float(signal.fs)
