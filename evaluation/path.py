"""The course of a rate: the best path through the spectra of windows that follow each other.

A heart does not leap by 40 bpm in a second; drift and motion do. Every window of 10 s, a second after the last, gives a
spectrum; the path takes one rate of each so that the sum of their spectral values, less a penalty on every step, is the
highest there is. A window in which something else is stronger than the pulse is so read by its neighbours.

The penalty is proportional to the step (Laplacian): a leap is paid once, however many windows follow, and the best
path takes time proportional to windows times rates. Viterbi, "Error bounds for convolutional codes and an
asymptotically optimum decoding algorithm", IEEE Trans. Information Theory 13(2), 1967.
"""

import math
from dataclasses import dataclass

import numpy as np

from evaluation.heart_rate import HARMONIC_HALF_WIDTH, vertex
from evaluation.post_process import next_power_of_2

WINDOW, STRIDE = 10.0, 1.0  # s
GRID = 0.5  # bpm between two rates, at most; a parabola refines what is chosen
STEP = 4.0  # bpm in a second that cost as much as the highest value of a spectrum is worth
BLOCK = 64  # windows transformed at a time


@dataclass(frozen=True)
class Spectra:
    """Power spectra of the windows of one wave.

    times  (N,) s of the windows' middles from the first sample     rates    (M,) bpm, even steps
    power  (N, M), the highest of each window 1; 0 without power    quality  (N, M) dB, were that the rate
    window s that a window lasts
    """

    times: np.ndarray
    rates: np.ndarray
    power: np.ndarray
    quality: np.ndarray
    window: float


@dataclass(frozen=True)
class Course:
    """A rate over time.

    times    (N,) s of the windows' middles, on the clock of the wave
    rates    (N,) bpm
    quality  (N,) dB: power around the rate and its double over the rest of the band
    window   s that each of them looks at
    """

    times: np.ndarray
    rates: np.ndarray
    quality: np.ndarray
    window: float

    @property
    def rate(self) -> float:
        """The answer for the whole: the median (bpm)."""
        return float(np.median(self.rates))

    def during(self, start: float, end: float) -> float:
        """Median rate (bpm) of the windows between `start` and `end` (s); that of the nearest where none fits in."""
        tolerance, half = STRIDE / 2, self.window / 2
        inside = (self.times - half >= start - tolerance) & (self.times + half <= end + tolerance)
        if not inside.any():
            inside = np.arange(len(self.times)) == np.abs(self.times - (start + end) / 2).argmin()
        return float(np.median(self.rates[inside]))


def follow(wave: np.ndarray, fs: float, band: tuple[float, float]) -> Course:
    """The course of the rate of a filtered `wave` (L,) at `fs` (Hz) inside `band` (Hz).

    A wave shorter than a window is one window. ValueError when no frequency of the band is resolved.
    """
    return course(spectra(wave, fs, band))


def course(found: Spectra) -> Course:
    """The best path through `found`, every rate refined by a parabola where it is a peak of its spectrum."""
    step = found.rates[1] - found.rates[0]
    chosen = best_path(found.power, step / (STEP * STRIDE))
    rates = found.rates[chosen] + step * np.array(
        [_refined(row, at) for row, at in zip(found.power, chosen, strict=True)]
    )
    quality = found.quality[np.arange(len(chosen)), chosen]
    return Course(found.times, rates, quality, found.window)


def _refined(power: np.ndarray, at: int) -> float:
    """How far (in steps) the peak of `power` (M,) lies from `at`; 0 where that is none."""
    if not 0 < at < len(power) - 1 or power[at] < max(power[at - 1], power[at + 1]):
        return 0.0
    return vertex(power[at - 1 : at + 2])


def best_path(values: np.ndarray, penalty: float) -> np.ndarray:
    """The numbers (N,) of the columns of `values` (N, M) with the highest sum, less `penalty` a column and step."""
    ramp = penalty * np.arange(values.shape[1])
    best, back = values[0], []
    for row in values[1:]:
        left, from_left = _running(best + ramp)
        right, from_right = _running((best - ramp)[::-1])
        left, right = left - ramp, right[::-1] + ramp
        back.append(np.where(left >= right, from_left, values.shape[1] - 1 - from_right[::-1]))
        best = np.maximum(left, right) + row
    path = [int(best.argmax())]
    for origins in reversed(back):
        path.append(int(origins[path[-1]]))
    return np.array(path[::-1])


def _running(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest of `values` (M,) so far, and where it stands."""
    highest = np.maximum.accumulate(values)
    return highest, np.maximum.accumulate(np.where(values >= highest, np.arange(len(values)), 0))


def spectra(wave: np.ndarray, fs: float, band: tuple[float, float]) -> Spectra:
    """Spectra of Hann windows of `wave` (L,) at `fs` (Hz), a second apart, on the rates inside `band` (Hz)."""
    size = min(int(round(WINDOW * fs)), len(wave))
    starts = np.round(np.arange(0, (len(wave) - size) / fs + 1e-9, STRIDE) * fs).astype(int)
    n_fft = next_power_of_2(max(size, math.ceil(60.0 * fs / GRID)))
    freqs = np.fft.rfftfreq(n_fft, 1 / fs)
    inside = np.flatnonzero((freqs >= band[0]) & (freqs <= band[1]))
    if len(inside) < 2:
        raise ValueError(f"no rate lies between {band[0]:g} and {band[1]:g} Hz in {size / fs:.1f} s at {fs:g} Hz")
    taper, power, quality = np.hanning(size + 2)[1:-1], [], []
    for block in np.split(starts, range(BLOCK, len(starts), BLOCK)):
        clips = np.asarray(wave, dtype=float)[block[:, None] + np.arange(size)]
        whole = np.abs(np.fft.rfft((clips - clips.mean(axis=1, keepdims=True)) * taper, n_fft, axis=1)) ** 2
        own = _without_slopes(whole[:, inside])
        highest = own.max(axis=1, keepdims=True)
        power.append(np.divide(own, highest, out=np.zeros_like(own), where=highest > 0))
        quality.append(_quality(whole, inside, max(HARMONIC_HALF_WIDTH, fs / size) / freqs[1]))
    times = (starts + (size - 1) / 2) / fs
    return Spectra(times, 60.0 * freqs[inside], np.concatenate(power), np.concatenate(quality), size / fs)


def _without_slopes(power: np.ndarray) -> np.ndarray:
    """`power` (N, M), level where it only falls from an edge: that is the flank of something outside the band."""
    for flipped in (power, power[:, ::-1]):
        falling = np.cumprod(np.diff(flipped, axis=1) < 0, axis=1).astype(bool)
        foot = np.take_along_axis(flipped, falling.sum(axis=1, keepdims=True), axis=1)
        flipped[:, :-1] = np.where(falling, foot, flipped[:, :-1])
    return power


def _quality(power: np.ndarray, inside: np.ndarray, half: float) -> np.ndarray:
    """SNR (dB) (N, M) of every rate: `power` (N, F) near it and near its double over the rest of the band.

    Near: within `half` bins. What lies near both counts once. NaN without any power.
    """
    low, high = inside[0], inside[-1] + 1
    sums = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power[:, low:high], axis=1)], axis=1)
    reach = int(round(half))

    def between(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        start, stop = (np.clip(edge, low, high) - low for edge in (first, last + 1))
        return sums[:, np.maximum(start, stop)] - sums[:, start]

    signal = between(inside - reach, inside + reach)
    signal = signal + between(np.maximum(2 * inside - reach, inside + reach + 1), 2 * inside + reach)
    rest = np.maximum(sums[:, -1:] - signal, np.finfo(float).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, -1:] > 0, 10 * np.log10(signal / rest), np.nan)
