"""Motion of the chest from a radar's samples: range profile, the bin of the chest, phase, millimetres.

Read in blocks, so memory does not grow with the recording.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataset.multimodal.layout import Chirp

LIGHT_SPEED = 299_792_458.0  # m/s
NEAR, FAR = 0.35, 2.5  # m between which a chest is looked for
BLOCK = 512  # frames at once
_PAD = 2  # range bins for each sample
_LEAST_ARC = 1.0  # rad: a shorter arc tells no centre of its circle


@dataclass(frozen=True)
class Motion:
    """`displacement` (n,) mm, growing away from the radar; `range_bin` and `antenna` it was read from, `metres` off."""

    displacement: np.ndarray
    range_bin: int
    antenna: int
    metres: float


def profiles(samples: np.ndarray, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """Complex range profiles (k, rx, bins) of frames `start` to `stop`, some at a time; a frame is its chirps' mean.

    `samples` (n, chirp, rx, sample, 2): I and Q.
    """
    stop = len(samples) if stop is None else stop
    window = np.hanning(samples.shape[3]).astype(np.float32)
    for first in range(start, stop, BLOCK):
        part = np.asarray(samples[first : min(first + BLOCK, stop)], np.float32).mean(axis=1)
        both = (part[..., 0] + 1j * part[..., 1]) * window
        yield np.fft.fft(both, _PAD * samples.shape[3], axis=-1)[..., : _PAD * samples.shape[3] // 2]


def bin_metres(chirp: Chirp, samples: int) -> float:
    """Metres from one range bin to the next."""
    return LIGHT_SPEED * chirp.sample_rate_hz / (2 * chirp.slope_hz_per_s * _PAD * samples)


def chest(samples: np.ndarray, chirp: Chirp, used: np.ndarray | None = None) -> Motion:
    """What moves most between 0.35 and 2.5 m; `used` (n,) bool leaves frames out of that choice, such as marks.

    Displacement = wavelength x phase / (4 pi), the phase about the centre of the circle that the bin runs on (what
    stands still in it shifts that centre). The bin does not change: phases of two bins cannot be joined.
    ValueError without frames, or where the radar sees nothing between these distances.
    """
    if len(samples) < 2:
        raise ValueError("the radar has fewer than two frames")
    step = bin_metres(chirp, samples.shape[3])
    low, high = int(np.ceil(NEAR / step)), int(FAR / step) + 1
    moved = _variance(samples, used)[:, low:high]
    if not moved.size or not moved.max() > 0:
        raise ValueError(f"the radar sees nothing that moves between {NEAR} and {FAR} m")
    antenna, place = np.unravel_index(int(moved.argmax()), moved.shape)
    series = np.concatenate([part[:, antenna, low + place] for part in profiles(samples)])
    phase = np.unwrap(np.angle(series - centre(series)))
    wavelength = 1000 * LIGHT_SPEED / chirp.start_frequency_hz
    shift = wavelength * (phase - np.median(phase)) / (4 * np.pi)
    return Motion(shift, int(low + place), int(antenna), float((low + place) * step))


def centre(series: np.ndarray) -> complex:
    """Centre of the circle that `series` (n,) complex runs on, by least squares; 0 where it is too short an arc.

    Kasa, "A circle fitting procedure and its error analysis", IEEE Trans. Instrum. Meas. 25, 1976.
    """
    x, y = series.real, series.imag
    matrix = np.stack([x, y, np.ones(len(x))], axis=1)
    (a, b, c), *_ = np.linalg.lstsq(matrix, x**2 + y**2, rcond=None)
    found = complex(a / 2, b / 2)
    radius = np.sqrt(max(c + abs(found) ** 2, 0.0))
    angles = np.unwrap(np.angle(series - found))
    if radius <= 0 or np.ptp(angles) < _LEAST_ARC:
        return 0j
    return found


def _variance(samples: np.ndarray, used: np.ndarray | None) -> np.ndarray:
    """Of each antenna and bin (rx, bins) over the frames."""
    count, total, squares, first = 0, 0, 0.0, 0
    for part in profiles(samples):
        if used is not None:
            part, first = part[used[first : first + len(part)]], first + len(part)
        count, total = count + len(part), total + part.sum(axis=0)
        squares = squares + (np.abs(part) ** 2).sum(axis=0)
    count = max(count, 1)
    return squares / count - np.abs(total / count) ** 2
