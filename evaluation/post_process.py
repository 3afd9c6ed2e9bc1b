"""What happens to a wave before a rate is read off it: integrate, detrend, band-pass, spectrum.

All functions are pure: arrays in, new arrays out, `fs` always an argument (Hz), bands in Hz.
"""

from functools import lru_cache

import numpy as np
import scipy

FLAT_WIDTH = 0.69  # |normalised frequency| of the band's edges in it: at order 4 they lose 0.44 dB
FLAT_TREND = 8.0  # of the trend's filter at the band's lower edge, which loses 0.13 dB
FLAT_PADDING = 1.2  # periods of the band's slowest wave that are mirrored to each side of a filtered wave


def integrate(wave: np.ndarray) -> np.ndarray:
    """Cumulative sum of `wave` (L,) in its own precision: undoes DiffNormalized.

    float32 stays float32, so that float32 predictions give rPPG-Toolbox's numbers.
    """
    return np.cumsum(wave, axis=0, dtype=wave.dtype if np.issubdtype(wave.dtype, np.floating) else float)


def detrend(wave: np.ndarray, strength: float = 100.0) -> np.ndarray:
    """Remove the slow trend of `wave` (L,) or (L, C) by smoothness priors; float64 of the same shape.

    The trend z minimises |wave - z|^2 + strength^2 |second difference of z|^2. Its matrix has five
    diagonals, so the solution takes O(L) time and memory.
    Tarvainen et al., "An advanced detrending method with application to HRV analysis", IEEE TBME 49(2), 2002.
    """
    wave = np.asarray(wave, dtype=float)
    if len(wave) < 3:
        return np.zeros_like(wave)  # a line through two points leaves nothing
    return wave - scipy.linalg.solveh_banded(_trend_matrix(len(wave), float(strength)), wave, check_finite=False)


@lru_cache(maxsize=64)
def _trend_matrix(length: int, strength: float) -> np.ndarray:
    """I + strength^2 D'D, D = second difference (L-2, L), in SciPy's upper banded form (3, L)."""
    bands = np.zeros((3, length))
    ones = np.ones(length - 2)
    for first, a in enumerate((1.0, -2.0, 1.0)):  # row i of D holds 1, -2, 1 at columns i, i+1, i+2
        for second, b in list(enumerate((1.0, -2.0, 1.0)))[first:]:
            bands[2 - (second - first), second : second + len(ones)] += a * b * ones
    bands *= strength**2
    bands[2] += 1.0
    bands.setflags(write=False)
    return bands


def bandpass(wave: np.ndarray, fs: float, band: tuple[float, float] = (0.6, 3.3), order: int = 1) -> np.ndarray:
    """Butterworth band-pass of `wave` (L,) or (L, C) along time, run forwards and backwards (no delay).

    Raises ValueError when the wave is not longer than the filter's padding (9 samples for order 1,
    21 for order 3) or when `band` does not lie between 0 and fs/2.
    """
    b, a = butterworth(float(fs), (float(band[0]), float(band[1])), order)
    padding = 3 * len(b)
    _check_length(len(wave), padding, order)
    return scipy.signal.filtfilt(b, a, wave, axis=0)


@lru_cache(maxsize=64)
def butterworth(fs: float, band: tuple[float, float], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (b, a) of the band-pass; ValueError when `band` (Hz) does not fit `fs` (Hz)."""
    _check_band(fs, band)
    return scipy.signal.butter(order, [band[0] / (fs / 2), band[1] / (fs / 2)], btype="bandpass")


def _check_length(length: int, padding: int, order: int) -> None:
    if length <= padding:
        raise ValueError(
            f"{length} samples are too few to band-pass (order {order}): more than {padding} are needed. "
            f"Use a longer recording or window."
        )


def _check_band(fs: float, band: tuple[float, float]) -> None:
    low, high = band
    if not 0 < low < high < fs / 2:
        raise ValueError(
            f"The band {low:g}-{high:g} Hz does not fit a signal of {fs:g} samples per second: "
            f"it needs 0 < low < high < {fs / 2:g}. Check FS, or set INFERENCE.HR_BAND."
        )


def in_band(wave: np.ndarray, fs: float, band: tuple[float, float], order: int = 4) -> np.ndarray:
    """`wave` (L,) or (L, C) without line, slow trend and all that lies outside `band`, which stays as it is.

    With order 4 the gain is flat within 1 dB over `band` (Hz) at any `fs` (Hz): the trend's strength and the filter's
    edges follow from both, and the edges never reach fs/2. No delay. Raises ValueError as `bandpass` does.
    """
    _check_length(len(wave), 3 * (2 * order + 1), order)
    sections, settled = flat_sections(float(fs), (float(band[0]), float(band[1])), order)
    wave = np.asarray(wave, dtype=float)
    clean = detrend(wave - wave.mean(axis=0), trend_strength(fs, band))
    padding = min(len(wave) - 1, int(FLAT_PADDING / band[0] * fs))
    before, after = 2 * clean[0] - clean[padding:0:-1], 2 * clean[-1] - clean[-2 : -padding - 2 : -1]
    once = _forwards(np.concatenate([before, clean, after]), sections, settled)
    return _forwards(once[::-1], sections, settled)[::-1][padding : padding + len(wave)]


def _forwards(wave: np.ndarray, sections: np.ndarray, settled: np.ndarray) -> np.ndarray:
    """`wave` (L,) or (L, C) through `sections`, as if it had always had its first value."""
    state = settled.reshape(*settled.shape, *(1,) * (wave.ndim - 1)) * wave[0]
    return scipy.signal.sosfilt(sections, wave, axis=0, zi=state)[0]


def trend_strength(fs: float, band: tuple[float, float]) -> float:
    """Strength of `detrend` that leaves `band` (Hz) of a wave at `fs` (Hz) alone: 500 for 0.6 Hz at 30 per second."""
    return FLAT_TREND * (fs / (2 * np.pi * band[0])) ** 2


@lru_cache(maxsize=64)
def flat_sections(fs: float, band: tuple[float, float], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Second-order sections of the band-pass that holds `band` (Hz) well inside, and their state under a constant.

    Order 4 loses 0.22 dB at the band's edges.

    Worked out in the analogue domain, so both edges come out alike and lie below fs/2 however near the band comes.
    """
    _check_band(fs, band)
    low, high = (np.tan(np.pi * edge / fs) for edge in band)
    half = (high - low) / FLAT_WIDTH / 2
    middle = np.sqrt(low * high + half**2)
    edges = [np.arctan(middle + side * half) * fs / np.pi for side in (-1, 1)]
    sections = scipy.signal.butter(order, edges, btype="bandpass", fs=fs, output="sos")
    return sections, scipy.signal.sosfilt_zi(sections)


def next_power_of_2(count: int) -> int:
    """The smallest power of two that is at least `count`; 1 for 0."""
    return 1 if count < 1 else 1 << (int(count) - 1).bit_length()


def periodogram(wave: np.ndarray, fs: float, n_fft: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and power density of `wave` (L,), zero-padded to `n_fft` (default: next power of two)."""
    n_fft = n_fft or next_power_of_2(len(wave))
    spectrum = np.fft.rfft(wave, n_fft)
    power = (spectrum.real**2 + spectrum.imag**2) / (fs * len(wave))
    power[1 : len(power) - (n_fft % 2 == 0)] *= 2  # one-sided: every frequency but 0 and fs/2 occurs twice
    return np.fft.rfftfreq(n_fft, 1 / fs), power


def power_to_db(ratio: float) -> float:
    """10 log10(ratio); minus infinity for 0."""
    return 10.0 * float(np.log10(ratio)) if ratio > 0 else -np.inf
