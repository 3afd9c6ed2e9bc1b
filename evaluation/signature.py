"""Whether what changes at a rate changes the colours as blood does.

Blood darkens skin, most in green, less in blue, least in red: the blood volume pulse signature (de Haan and van Leest,
"Improved motion robustness of remote-PPG by using the blood volume pulse signature", Physiol. Meas. 35, 2014). Lamps,
screens, a camera's white balance and a codec's groups of pictures change colours in other proportions, at times as
regularly as a heart. Each channel's change at the rate is taken apart into brightness, which all channels share, a
change of colour along that of blood, and one across it. Blood has its colour along, and its brightness with it.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.path import Course

SIGNATURE = np.array([0.33, 0.77, 0.53])  # relative change of red, green and blue
BESIDE = np.array([-4.5, -3.5, 3.5, 4.5])  # steps of 1/window from the rate: what is there is not of the pulse
LEAST_SHARE = 0.4  # of the change of colour that lies along blood's: within 50 degrees of it
AGAINST = -0.6  # correlation of brightness and colour below which they clearly go against each other; motion's is above


@dataclass(frozen=True)
class Likeness:
    """How like blood a change of colours is: `share` (0 to 1) of it along blood's colour, above what lies beside the
    rate; `brightness` (-1 to 1), its correlation with that.
    """

    share: float
    brightness: float

    @property
    def blood(self) -> bool:
        """Whether it may be blood."""
        return self.share >= LEAST_SHARE and self.brightness >= AGAINST


def likeness(trace: np.ndarray, fs: float, course: Course) -> Likeness:
    """How like blood the mean colours `trace` (T, 3) at `fs` (Hz, even) change at the rates of `course`."""
    parts = np.stack([_parts(trace, fs, course, at, rate) for at, rate in zip(course.times, course.rates, strict=True)])
    weights = 1 / np.maximum((np.abs(parts[:, 0, 1:]) ** 2).sum(axis=1), np.finfo(float).tiny)  # windows count alike

    def power(at: slice) -> np.ndarray:
        """(3, 3) shared power of brightness, along and across, the mean over some frequencies."""
        chosen = parts[:, at]
        return np.einsum("n,nfi,nfj->ij", weights, chosen, chosen.conj()).real / chosen.shape[1]

    own, half = power(slice(0, 1)), len(BESIDE) // 2
    quieter = min((power(slice(1, 1 + half)), power(slice(1 + half, None))), key=lambda one: one[1, 1] + one[2, 2])
    along, across = np.maximum(np.diag(own - quieter)[1:], 0)
    if along + across <= 0:  # no peak: what there is has to do
        along, across = np.diag(own)[1:]
    size = np.sqrt(own[0, 0] * own[1, 1])
    return Likeness(float(along / (along + across or 1.0)), float(own[0, 1] / (size or 1.0)))


def _axes() -> np.ndarray:
    """(3, 3) rows: brightness, the colour of blood, the colour across it; of unit length and at right angles."""
    grey = np.full(3, 3**-0.5)
    along = SIGNATURE - SIGNATURE.mean()
    along /= np.linalg.norm(along)
    return np.stack([grey, along, np.cross(grey, along)])


AXES = _axes()


def _parts(trace: np.ndarray, fs: float, course: Course, middle: float, rate: float) -> np.ndarray:
    """(1 + F, 3) complex amplitude of brightness, along and across at `rate` (bpm) and beside it, in one window."""
    size = min(int(round(course.window * fs)), len(trace))
    start = int(np.clip(round((middle - (size - 1) / 2 / fs) * fs), 0, len(trace) - size))
    clip, at = np.asarray(trace[start : start + size], dtype=float), np.arange(size)
    mean = clip.mean(axis=0)
    change = np.divide(clip, mean, out=np.ones_like(clip), where=mean != 0) - 1
    line = np.stack([np.ones(size), at - at.mean()], axis=1)
    change -= line @ np.linalg.lstsq(line, change, rcond=None)[0]
    rates = rate / 60 + np.concatenate([[0.0], BESIDE * fs / size])
    waves = np.exp(-2j * np.pi * np.outer(rates, at) / fs) * np.hanning(size + 2)[1:-1]
    return waves @ change @ AXES.T
