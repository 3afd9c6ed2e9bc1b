"""Heart beats in an electrocardiogram, and the wave they stand for: a reference where no pulse wave was recorded.

Detection follows Pan and Tompkins, "A real-time QRS detection algorithm", IEEE TBME 32(3), 1985: band-pass, slope,
square, sum over a window, thresholds that follow beats and noise, a second look where a beat is missing. A recording
is there as a whole, so filters run both ways and the thresholds begin at its own level.
"""

import numpy as np
import scipy

from evaluation.post_process import bandpass

BAND = (5.0, 15.0)  # Hz, where most of a QRS complex lies
WINDOW = 0.15  # s over which slopes are summed: the width of a wide QRS complex
REFRACTORY = 0.25  # s between two beats at the least: 240 bpm
MISSED = 1.66  # times the ordinary interval without a beat: a second look, at half the threshold
LONGEST = 2.0  # s between two beats (30 bpm): beyond it beats were missed, and the rate is unknown
LOWEST_RATE = 40.0  # Hz of an ECG: the band needs it
WAVE_RATE = 60.0  # Hz of the wave made of beats


def beat_wave(ecg: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) and values of a cosine with a crest at each beat of `ecg` (L,), sampled at rising `times` (L,) in s.

    Its frequency is the heart rate of the moment; its shape is nobody's pulse. Stretches without beats are left out;
    both are empty where fewer than two beats are found. Raises ValueError for NaN and below 40 samples per second.
    """
    ecg, times = np.asarray(ecg, dtype=float), np.asarray(times, dtype=float)
    if len(times) < 2:
        return np.empty(0), np.empty(0)
    fs = (len(times) - 1) / (times[-1] - times[0])
    grid = times[0] + np.arange(len(times)) / fs
    return wave_of_beats(grid[r_peaks(np.interp(grid, times, ecg), fs)], grid[0], grid[-1])


def wave_of_beats(beats: np.ndarray, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) from `start` to `stop` and a cosine there whose phase grows by one from beat to beat (N,) in s.

    Before the first and after the last beat the nearest interval goes on, for one beat at most.
    """
    beats = np.asarray(beats, dtype=float)
    if len(beats) < 2:
        return np.empty(0), np.empty(0)
    beats = np.concatenate([[2 * beats[0] - beats[1]], beats, [2 * beats[-1] - beats[-2]]])
    times = start + np.arange(int((stop - start) * WAVE_RATE + 1e-6) + 1) / WAVE_RATE
    times = times[(times >= beats[0]) & (times <= beats[-1])]
    interval = np.searchsorted(beats, times, side="right").clip(1, len(beats) - 1) - 1
    times = times[np.diff(beats)[interval] <= LONGEST]
    return times, np.cos(2 * np.pi * np.interp(times, beats, np.arange(len(beats), dtype=float)))


def r_peaks(ecg: np.ndarray, fs: float) -> np.ndarray:
    """Indices (N,) of the R peaks of `ecg` (L,) at `fs` (Hz), whichever way they point; empty for a flat one.

    Raises ValueError for NaN and for a rate under 40 Hz.
    """
    ecg = np.asarray(ecg, dtype=float)
    if not np.isfinite(ecg).all():
        raise ValueError(
            f"The ECG has {np.count_nonzero(~np.isfinite(ecg))} of {len(ecg)} samples that are no numbers."
        )
    if fs < LOWEST_RATE:
        raise ValueError(f"An ECG of {fs:.1f} Hz shows no R peaks: {LOWEST_RATE:g} Hz are needed.")
    if len(ecg) < fs or np.ptp(ecg) == 0:
        return np.empty(0, dtype=int)
    filtered = bandpass(ecg, fs, BAND, order=2)
    energy = _energy(filtered, fs)
    places, _ = scipy.signal.find_peaks(energy, distance=max(1, round(REFRACTORY * fs)))
    beats = _beats(places, energy, fs)
    return np.unique([_summit(filtered, beat, round(WINDOW / 2 * fs)) for beat in beats]).astype(int)


def _energy(filtered: np.ndarray, fs: float) -> np.ndarray:
    """Squared slope, summed over a window: one hill for each QRS complex."""
    width = max(1, round(WINDOW * fs))
    return np.convolve(np.gradient(filtered) ** 2, np.ones(width) / width, mode="same")


def _beats(places: np.ndarray, energy: np.ndarray, fs: float) -> list[int]:
    """The hills that are beats: above a threshold between the levels of the last beats and of the noise."""
    signal, noise = _ordinary(energy, fs), float(np.median(energy))
    beats: list[int] = []
    for place in places:
        threshold = noise + 0.25 * (signal - noise)
        if energy[place] <= threshold:
            noise += (energy[place] - noise) / 8
            continue
        missed = _second_look(beats, place, places, energy, threshold / 2)
        for beat in [*missed, place]:
            signal += (min(energy[beat], 4 * signal) - signal) / 8  # a knock at the electrode is no new level
            beats.append(int(beat))
    return beats


def _ordinary(energy: np.ndarray, fs: float) -> float:
    """Height of an ordinary beat: the median of the highest hill in each 1.5 s, in which every heart beats."""
    size = max(1, round(1.5 * fs))
    return float(np.median([energy[start : start + size].max() for start in range(0, len(energy), size)]))


def _second_look(beats: list[int], place: int, places: np.ndarray, energy: np.ndarray, threshold: float) -> list[int]:
    """The highest hill over `threshold` between the last of `beats` and `place`, where the interval is too long."""
    recent = np.diff(beats[-9:])
    if not len(recent) or place - beats[-1] <= MISSED * np.median(recent):
        return []
    between = places[(places > beats[-1]) & (places < place)]
    high = between[energy[between] > threshold]
    return [int(high[energy[high].argmax()])] if len(high) else []


def _summit(filtered: np.ndarray, beat: int, reach: int) -> int:
    """The strongest deflection within `reach` samples of a hill."""
    start = max(0, beat - reach)
    return start + int(np.abs(filtered[start : beat + reach + 1]).argmax())
