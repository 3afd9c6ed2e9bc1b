"""Pulse and breath as each sensor alone tells them: colour of the face, heat of the skin, motion of the chest."""

from collections.abc import Sequence

import numpy as np
from scipy.signal import hilbert

from dataset.face import get_detector
from dataset.face.boxes import Box, largest
from evaluation.post_process import bandpass, periodogram
from unsupervised_methods.methods.pos import pos

PULSE, BREATH = (0.7, 3.0), (0.1, 0.6)  # Hz
HARMONICS, BLOCK = 6, 60.0  # of a breath that are fitted, s in which they are the same
WINDOW, NEAR = 20.0, 0.25  # s in which beats have one rate, Hz on each side of it that is kept
LAG = (-0.05, 0.5)  # s by which the PPG may follow the pulse in the face
SEARCH = (-0.5, 1.0)  # s that are searched
LEAST = 0.3  # correlation below which two waves tell no lag
NOSE = (0.30, 0.52, 0.40, 0.24)  # of a face box: x, y, w, h of the nostrils with their surroundings


def face_box(frame: np.ndarray) -> Box | None:
    """The largest face of `frame` (H, W, 3) uint8, or None."""
    return largest(get_detector("HC").detect(frame))


def part_of(box: Sequence[float], share: Sequence[float]) -> tuple[slice, slice]:
    """Rows and columns of a part (x, y, w, h as shares) of a box."""
    x, y, w, h = (float(one) for one in box)
    left, top = max(int(x + share[0] * w), 0), max(int(y + share[1] * h), 0)
    return slice(top, max(int(y + (share[1] + share[3]) * h), top + 1)), slice(
        left, max(int(x + (share[0] + share[2]) * w), left + 1)
    )


def pulse_of_colour(colours: np.ndarray, fs: float) -> np.ndarray:
    """Blood volume (T,) from mean colours (T, 3) by POS, which falls while it rises: blood absorbs."""
    return -pos(np.asarray(colours, float), fs)


def pulse_of_motion(displacement: np.ndarray, fs: float) -> np.ndarray:
    """Beats in the chest's motion (n,) mm: its speed without the breath, near the rate that is likely in 20 s of it.

    The first harmonics of the breath are as strong as the beats. A beat is no sine either: of its speed the second
    harmonic may be the strongest, so the rate is the one that explains most together with its double.
    """
    band = (PULSE[0], min(2 * PULSE[1], 0.45 * fs))
    speed = bandpass(np.gradient(-without_breath(displacement, fs)) * fs, fs, band, order=2)
    size = min(round(WINDOW * fs), len(speed))
    step = max(size // 4, 1)
    starts = [*range(0, len(speed) - size, step), len(speed) - size]
    wave, weight, window = np.zeros(len(speed)), np.zeros(len(speed)), np.hanning(size + 2)[1:-1]
    for start in starts:
        part = slice(start, start + size)
        wave[part] += window * _near_rate(speed[part], fs)
        weight[part] += window
    return wave / weight


def without_breath(displacement: np.ndarray, fs: float) -> np.ndarray:
    """`displacement` (n,) without what follows the phase of the breath: its harmonics, deep breaths having more."""
    wave = np.asarray(displacement, float) - np.mean(displacement)
    breath = hilbert(bandpass(wave, fs, BREATH, order=2))
    depth, phase = np.abs(breath), np.unwrap(np.angle(breath))
    most = min(HARMONICS, int(len(wave) / fs / 5))  # a short recording would be explained by anything
    orders = np.arange(1, most + 1)[:, None]
    waves = np.concatenate([depth * np.cos(orders * phase), depth * np.sin(orders * phase)]).T
    left, size = wave.copy(), round(BLOCK * fs)
    for start in range(0, max(len(wave) - size // 2, 1), size):
        part = slice(start, len(wave) if start + 3 * size // 2 > len(wave) else start + size)
        left[part] -= waves[part] @ np.linalg.lstsq(waves[part], wave[part], rcond=None)[0]
    return left


def _near_rate(speed: np.ndarray, fs: float) -> np.ndarray:
    """`speed` (n,) within NEAR of the rate that explains most of it, its double counted in."""
    count = 1 << int(np.ceil(np.log2(8 * len(speed))))
    strength = np.abs(np.fft.rfft(speed * np.hanning(len(speed)), count))
    half = strength[: len(strength) // 2]
    frequencies = np.arange(len(half)) * fs / count
    inside = (frequencies >= PULSE[0]) & (frequencies <= PULSE[1])
    best = frequencies[np.argmax(np.where(inside, half + strength[::2][: len(half)], 0))]
    near = np.abs(np.fft.rfftfreq(len(speed), 1 / fs) - best) <= NEAR
    return np.fft.irfft(np.fft.rfft(speed) * near, len(speed))


def breath_of_motion(displacement: np.ndarray, fs: float) -> np.ndarray:
    """Breath in the chest's motion (n,) mm: towards the radar is in."""
    return bandpass(-np.asarray(displacement, float), fs, BREATH, order=2)


def pulse_of_heat(skin: np.ndarray, fs: float) -> np.ndarray:
    """Beats in the mean temperature (T,) of the skin."""
    return bandpass(np.asarray(skin, float), fs, PULSE, order=2)


def breath_of_heat(nostrils: np.ndarray, fs: float) -> np.ndarray:
    """Breath in the mean temperature (T,) of the nostrils: air that is breathed in cools."""
    return bandpass(-np.asarray(nostrils, float), fs, BREATH, order=2)


def rate(wave: np.ndarray, fs: float, band: tuple[float, float]) -> float:
    """Cycles per minute of the strongest frequency in `band` (Hz), to a hundredth of a hertz or better."""
    wave = np.asarray(wave, float) * np.hanning(len(wave))
    frequencies, power = periodogram(wave - wave.mean(), fs, max(1 << 14, 1 << int(np.ceil(np.log2(len(wave) + 1)))))
    inside = (frequencies >= band[0]) & (frequencies <= band[1])
    return float(60 * frequencies[inside][np.argmax(power[inside])])


def lag(first: np.ndarray, second: np.ndarray, fs: float) -> tuple[float, float]:
    """Seconds by which `second` (T,) follows `first` (T,), and their correlation there; NaN where none is clear.

    A beat looks like the next one: of lags that fit about equally well the one that a body can have is taken.
    """
    good = np.isfinite(first) & np.isfinite(second)
    if good.sum() < 5 * fs:
        return float("nan"), float("nan")
    a, b = (bandpass(np.where(good, one, np.nanmean(one)), fs, PULSE, order=2) for one in (first, second))
    shifts = np.arange(round(SEARCH[0] * fs), round(SEARCH[1] * fs) + 1)
    found = np.array([_correlation(a, b, shift) for shift in shifts])
    possible = (shifts >= LAG[0] * fs) & (shifts <= LAG[1] * fs)
    best = int(found.argmax())
    inside = int(np.where(possible, found, -1).argmax())
    best = inside if found[inside] > 0.95 * found[best] else best
    if found[best] < LEAST:
        return float("nan"), float(found[best])
    return float((shifts[best] + _vertex(found, best)) / fs), float(found[best])


def _correlation(a: np.ndarray, b: np.ndarray, shift: int) -> float:
    early, late = (a[: len(a) - shift], b[shift:]) if shift >= 0 else (a[-shift:], b[:shift])
    return float(np.corrcoef(early, late)[0, 1])


def _vertex(values: np.ndarray, k: int) -> float:
    """Place of a parabola's top beside the sample `k`."""
    if not 0 < k < len(values) - 1:
        return 0.0
    left, middle, right = values[k - 1 : k + 2]
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0
