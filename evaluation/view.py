"""What is shown of a recording beside its answer: the wave with its beats, the voters' common spectra, pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation import tables
from evaluation.consensus import Answer, together
from evaluation.evaluate import whole_wave
from evaluation.path import Spectra, spectra
from evaluation.presets import Preset
from evaluation.results import RecordingResult

COLUMNS = ("time_s", "value", "beat")


@dataclass(frozen=True)
class View:
    """One recording, as it is drawn.

    times    (L,) s of the wave's samples, from its first      wave    (L,) filtered, of the voter called `method`
    beats    (N,) samples on which a beat lies                 spectra  the mean of the voters' spectra, or None
    photos   (what it shows, a JPEG file) of the face
    """

    times: np.ndarray
    wave: np.ndarray
    beats: np.ndarray
    spectra: Spectra | None
    method: str
    photos: Sequence[tuple[str, bytes]] = ()


def view(one: Answer, voters: Mapping[str, RecordingResult], preset: Preset, drawn: bool = True) -> View:
    """What `voters` (name -> what it found in the recording of `one`) show; it has a course, so they have waves.

    Spectra, which take the most memory, are worked out only of what is `drawn`.
    """
    waves = {name: whole_wave(result, preset) for name, result in voters.items()}
    found = [spectra(wave, fs, preset.band) for _, wave, fs, _ in waves.values()] if drawn else []
    grid, wave, _, _ = waves[one.clearest]
    times, beats, sign = grid - grid[0], np.zeros(0), 1.0
    if one.beats is not None:  # the sign of a camera's pulse is arbitrary; what is drawn rises at its beats
        beats, sign = one.beats.times, one.beats.sign
    places = np.unique(np.searchsorted((times[1:] + times[:-1]) / 2, beats))
    return View(times, sign * wave, places, together(found) if found else None, one.clearest)


def waveform(one: View) -> str:
    """The wave as CSV text: seconds from the first frame, the filtered wave, 1 where a beat lies."""
    marks = np.zeros(len(one.wave), dtype=int)
    marks[one.beats] = 1
    rows = zip(one.times, one.wave, marks, strict=True)
    return tables.csv_text(COLUMNS, (dict(zip(COLUMNS, (f"{t:.4f}", f"{v:.6g}", m), strict=True)) for t, v, m in rows))
