"""Rate estimators and two wave qualities, each on one filtered wave (L,). Rates in bpm, NaN when undefined."""

import numpy as np
import scipy

from evaluation.post_process import next_power_of_2, periodogram, power_to_db

HARMONIC_HALF_WIDTH = 0.1  # Hz to each side of the rate and its double that count as pulse
WELCH_SEGMENT, WELCH_BINS = 256, 1e5  # samples; length of its transform times fs
FINE_GRID = 0.002  # Hz between the bins of the interpolated spectrum; the parabola refines what is left


def fft_heart_rate(ppg: np.ndarray, fs: float, band: tuple[float, float] = (0.6, 3.3)) -> float:
    """Rate at the highest bin of the periodogram of `ppg` (L,) inside `band` (Hz).

    Quantised to 60 fs / n_fft, n_fft the next power of two: 1.76 bpm for 30 s at 30 fps. NaN without a bin.
    """
    freqs, power = periodogram(ppg, fs)
    inside = np.flatnonzero((freqs >= band[0]) & (freqs <= band[1]))
    if not len(inside):
        return np.nan
    return 60.0 * float(freqs[inside[power[inside].argmax()]])


def welch_heart_rate(ppg: np.ndarray, fs: float, band: tuple[float, float] = (0.75, 2.5)) -> float:
    """Rate at the highest bin of Welch's density of `ppg` (L,) between, not at, the edges of `band` (Hz).

    Segments of 256 samples (or L - 1), half of each over the next, zero-padded to bins of 6e-4 fs^2 bpm: 0.54 bpm at 30
    fps. As RhythmFormer's evaluation: Zou et al., Pattern Recognition 164, 2025. NaN without a bin.
    """
    padded = max(int(WELCH_BINS / fs), min(len(ppg) - 1, WELCH_SEGMENT))
    freqs, power = scipy.signal.welch(ppg, fs, nperseg=min(len(ppg) - 1, WELCH_SEGMENT), nfft=padded)
    inside = np.flatnonzero((freqs > band[0]) & (freqs < band[1]))
    if not len(inside):
        return np.nan
    return 60.0 * float(freqs[inside[power[inside].argmax()]])


def peak_heart_rate(ppg: np.ndarray, fs: float, refractory: float = 0.0) -> float:
    """Rate from the mean distance of the local maxima of `ppg` (L,); NaN with fewer than two.

    `refractory` (s) is the least distance between two beats: 0 counts every maximum, dicrotic
    notches included, as rPPG-Toolbox does. A notch can come 0.3 s after its beat and later, so no fixed
    distance keeps all notches out and fast beats in.
    """
    peaks, _ = scipy.signal.find_peaks(ppg, distance=max(1.0, refractory * fs) if refractory else None)
    if len(peaks) < 2:
        return np.nan
    return 60.0 * fs / float(np.mean(np.diff(peaks)))


def spectral_peak_heart_rate(ppg: np.ndarray, fs: float, band: tuple[float, float] = (0.6, 3.3)) -> float:
    """Rate at the interpolated spectral peak of `ppg` (L,) inside `band` (Hz), free of bin rounding.

    Hann window, zero-padding to bins of 0.002 Hz or finer, a parabola through the logarithm of the highest
    local maximum. A maximum only at the band's edge belongs to something outside and is taken last.
    """
    wave = np.asarray(ppg, dtype=float)
    wave = (wave - wave.mean()) * np.hanning(len(wave) + 2)[1:-1]
    freqs, power = periodogram(wave, fs, next_power_of_2(max(len(wave), int(np.ceil(fs / FINE_GRID)))))
    inside = np.flatnonzero((freqs >= band[0]) & (freqs <= band[1]))
    if not len(inside) or not power[inside].any():
        return np.nan
    inner = inside[(inside > 0) & (inside < len(freqs) - 1)]
    tops = inner[(power[inner] >= power[inner - 1]) & (power[inner] > power[inner + 1])]
    if not len(tops):
        return 60.0 * float(freqs[inside[power[inside].argmax()]])
    top = tops[power[tops].argmax()]
    return 60.0 * float(freqs[top] + vertex(power[top - 1 : top + 2]) * freqs[1])


def vertex(power: np.ndarray) -> float:
    """Place of the parabola's top through three log powers, in bins from the middle one."""
    left, middle, right = np.log(np.maximum(power, np.finfo(float).tiny))
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def snr(
    ppg: np.ndarray,
    rate: float,
    fs: float,
    band: tuple[float, float] = (0.6, 3.3),
    resolution: float | None = None,
    count_twice: bool = True,
) -> float:
    """Power of `ppg` (L,) around `rate` (bpm) and its double over the rest of `band`, in dB.

    0 when nothing is left in the band, minus infinity when no bin lies near the rate (very short
    windows). `resolution` (Hz): pad with zeros to bins at least that fine. Below 12 per minute the two ranges overlap;
    `count_twice`: what lies in both counts twice, as in rPPG-Toolbox.
    de Haan and Jeanne, "Robust pulse rate from chrominance-based rPPG", IEEE TBME 60(10), 2013.
    """
    padded = None if resolution is None else next_power_of_2(max(len(ppg), int(np.ceil(fs / resolution))))
    freqs, power = periodogram(ppg, fs, padded)
    first, second = (np.abs(freqs - k * rate / 60.0) <= HARMONIC_HALF_WIDTH for k in (1, 2))
    rest = (freqs >= band[0]) & (freqs <= band[1]) & ~first & ~second
    signal, noise = power[first].sum() + power[second & (count_twice | ~first)].sum(), power[rest].sum()
    return 0.0 if noise == 0 else power_to_db(signal / noise)


def macc(prediction: np.ndarray, label: np.ndarray) -> float:
    """Largest |correlation| of `prediction` with `label` over the circular lags 0 ... L-2; NaN for a constant.

    "Maximum amplitude of cross-correlation". The longer of the two is cut to the shorter. By FFT: O(L log L).
    """
    length = min(len(prediction), len(label))
    if length < 2:
        return np.nan
    a, b = (np.asarray(x[:length], dtype=float) - np.mean(x[:length], dtype=float) for x in (prediction, label))
    norm = np.sqrt((a @ a) * (b @ b))
    if norm == 0:
        return np.nan
    correlation = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), length) / norm
    return float(np.abs(correlation[: length - 1]).max())
