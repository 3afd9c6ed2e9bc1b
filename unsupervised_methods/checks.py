"""The one check every classical method starts with."""

from collections.abc import Sequence

import numpy as np

NAMED = 5  # recordings in a sentence
GREY = 5e-4  # of the mean level: channels that never differ by more are copies of one; a pulse alone moves them apart


def is_grey(rgb: np.ndarray) -> bool:
    """Whether the channels of mean colours (T, 3) are one: a grey or infrared picture."""
    rgb = np.asarray(rgb, dtype=float)
    level = np.abs(rgb).mean() if rgb.size else 0.0
    return bool(level > 0 and (np.ptp(rgb, axis=1) <= GREY * level).all())


def grey_note(ids: Sequence[str], total: int) -> str:
    """A sentence that names the recordings without colours, of `total`."""
    named = ", ".join(ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
    return (
        f"grey or infrared, all three channels are equal: {named} ({len(ids)} of {total}). What compares colours finds "
        "no pulse there; GREEN reads the brightness."
    )


def checked(rgb: np.ndarray, fs: float, method: str, shortest: int) -> np.ndarray:
    """`rgb` as a float64 array (T, 3); ValueError for another shape, NaN, `fs` <= 0 or T < `shortest`."""
    rgb = np.asarray(rgb, dtype=float)
    if rgb.ndim != 2 or rgb.shape[1] != 3:
        raise ValueError(
            f"{method} wants the mean skin colour of each frame, shape (T, 3), and got {rgb.shape}. "
            f"For a video (T, H, W, 3) pass video.mean(axis=(1, 2))."
        )
    if not fs > 0:
        raise ValueError(f"{method} got fs = {fs!r}: give the video's frames per second, such as 30.0.")
    if len(rgb) < shortest:
        raise ValueError(f"{method} needs at least {shortest} frames at {fs:g} per second and got {len(rgb)}.")
    broken = np.flatnonzero(~np.isfinite(rgb).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{method} got NaN or infinite colours in {len(broken)} of {len(rgb)} frames, first in frame {broken[0]}. "
            f"Leave these frames out or interpolate them first."
        )
    return rgb


def relative(colour: np.ndarray, axis: int, method: str) -> np.ndarray:
    """`colour` divided by its mean along time (`axis`); ValueError where a channel's mean is 0."""
    mean = colour.mean(axis=axis, keepdims=True)
    if (mean == 0).any():
        raise ValueError(f"{method} divides by the mean colour, which is 0 in a channel: are these frames black?")
    return colour / mean


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where b is 0: without any colour change there is no pulse to scale."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
