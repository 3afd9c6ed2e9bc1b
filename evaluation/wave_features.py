"""What anybody would measure of a window of ECG or PPG first: its rate, its amplitude, its spectrum.

Features for a plain regression beside every learned one: what it reaches needs no network.
"""

import numpy as np
import scipy.signal

RATES, BREATHS = (0.6, 3.5), (0.1, 0.5)  # Hz: where the pulse and breathing are looked for
EDGES = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0)  # Hz of the bands
LEAST = 0.35  # of the spread of the wave: what a beat rises above its surroundings
FASTEST = 0.28  # s between two beats at least
BINS = 1 << 13
NAMES = (
    "rate (spectrum)", "share of that peak", "rate (likeness)", "likeness", "rate (beats)", "variation of intervals",
    "variation of heights", "breathing", "share of breathing", "mean", "spread", "skewness", "kurtosis", "lowest",
    "highest", "roughness", "centroid", "entropy",
    *(f"{low:g} to {high:g} Hz" for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)),
)  # fmt: skip


def features(windows: np.ndarray, fs: float) -> np.ndarray:
    """Features (n, F), F = len(NAMES), of windows (n, L) at `fs` (Hz); NaN where a window does not have one."""
    windows = np.asarray(windows, dtype=float)
    mean, spread = windows.mean(axis=1), windows.std(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (windows - mean[:, None]) / spread[:, None]
        spectra = _spectral(z, fs)
        rough = np.diff(z, axis=1).std(axis=1)
    shape = [mean, spread, (z**3).mean(axis=1), (z**4).mean(axis=1), z.min(axis=1), z.max(axis=1), rough]
    beats = np.array([_beats(one, fs) for one in z]).reshape(len(z), 3)
    likeness = np.array([_likeness(one, fs) for one in z]).reshape(len(z), 2)
    columns = [spectra[:, :2], likeness, beats, spectra[:, 2:4], np.stack(shape, axis=1), spectra[:, 4:]]
    return np.concatenate(columns, axis=1)


def _spectral(z: np.ndarray, fs: float) -> np.ndarray:
    """Pulse rate (bpm) and the share of its peak, breathing and its share, centroid, entropy, log power of bands."""
    where, power = scipy.signal.periodogram(z, fs, window="hann", nfft=max(BINS, z.shape[1]), axis=1)
    whole = power.sum(axis=1)
    found = []
    for low, high in (RATES, BREATHS):
        inside = (where >= low) & (where <= high)
        place = power[:, inside].argmax(axis=1)
        peak = where[inside][place]
        near = np.abs(where[None] - peak[:, None]) <= 0.15
        found += [60 * peak, (power * near).sum(axis=1) / whole]
    share = power / whole[:, None]
    found += [share @ where, -(share * np.log(share + 1e-12)).sum(axis=1)]
    for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
        found.append(np.log10(share[:, (where >= low) & (where < high)].sum(axis=1) + 1e-9))
    table = np.stack(found, axis=1)
    table[~np.isfinite(z).all(axis=1)] = np.nan
    return table


def _likeness(z: np.ndarray, fs: float) -> tuple[float, float]:
    """Rate (bpm) of the lag at which a window is most like itself, and how like."""
    if not np.isfinite(z).all():
        return np.nan, np.nan
    spectrum = np.abs(np.fft.rfft(z, 2 * len(z))) ** 2
    course = np.fft.irfft(spectrum)[: len(z)] / np.arange(len(z), 0, -1)
    lags = np.arange(round(fs / RATES[1]), min(round(fs / RATES[0]), len(z) // 2) + 1)
    if not len(lags):
        return np.nan, np.nan
    best = lags[np.argmax(course[lags])]
    return 60.0 * fs / best, float(course[best])


def _beats(z: np.ndarray, fs: float) -> tuple[float, float, float]:
    """Rate (bpm) by the intervals between tops, and how intervals and heights vary."""
    if not np.isfinite(z).all():
        return np.nan, np.nan, np.nan
    places, how = scipy.signal.find_peaks(z, distance=max(1, round(FASTEST * fs)), prominence=3 * LEAST)
    if len(places) < 3:
        return np.nan, np.nan, np.nan
    intervals = np.diff(places) / fs
    return 60 / float(np.median(intervals)), float(intervals.std() / intervals.mean()), float(how["prominences"].std())
