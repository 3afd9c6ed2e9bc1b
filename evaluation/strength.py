"""By how much the skin's colours change with the pulse: what changes less than a pulse does is none.

Blood changes red, green and blue by different shares of their level; light changes all three alike. Their difference,
as POS takes it (Wang et al., "Algorithmic principles of remote PPG", IEEE TBME 64(7), 2017), is left without the light.
A periodic rest of it is found in every video, in the camera's noise and in what compression makes of it, however
still the picture: only its size tells that it is no pulse.
"""

import math

import numpy as np

from evaluation.post_process import in_band

LEAST = 4e-4  # of the level, root mean square: half of the weakest pulse of a real face that was measured here


def strength(colours: np.ndarray, fs: float, band: tuple[float, float], share: float) -> float:
    """Root mean square of the pulse in mean `colours` (T, 3) at `fs` (Hz), relative to their level.

    `share` (0 to 1) of the power in `band` (Hz) is the pulse's. NaN where a channel is dark throughout.
    """
    level = np.mean(colours, axis=0)
    if (level <= 0).any():
        return math.nan
    red, green, blue = (in_band(channel, fs, band) for channel in (colours / level - 1).T)
    across, along = green - blue, green + blue - 2 * red
    wave = across + across.std() / along.std() * along if along.std() > 0 else across
    return float(wave.std() * math.sqrt(share))
