"""What to change about a picture that shows no clear pulse, by how its last seconds looked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dataset.face.boxes import Box

RECENT = 3.0  # s that count
DARK = 45.0  # mean level of 255 below which noise and rounding outweigh the pulse
WHITE, MUCH = 250, 0.05  # level from which a pixel may be cut off, and the share of such pixels that is said
NARROW = 80  # pixels of the face's width: fewer average too little noise away
MOVES = 0.15  # of the face's width between its places; the detector alone trembles by some hundredths
CHANGES = 0.10  # of the brightness between the looks
SLOW = 15.0  # frames per second


@dataclass(frozen=True)
class Look:
    """What one look for the face found: its box in pixels of the camera or None, and the light inside it.

    `level`: mean of 255; `white`: share of pixels at the upper end, where changes are cut off.
    """

    time: float
    face: Box | None
    level: float = math.nan
    white: float = 0.0


def light(pixels: np.ndarray | None) -> tuple[float, float]:
    """`level` and `white` of the region's `pixels` (h, w, 3) uint8."""
    if pixels is None:
        return math.nan, 0.0
    brightest = pixels.max(axis=2)
    return float(np.mean(cv2.mean(pixels)[:3])), float((brightest >= WHITE).mean())


def advice(looks: Sequence[Look], fps: float) -> list[str]:
    """A sentence for each thing to change, the weightiest first; none where the picture is good."""
    recent = [one for one in looks if one.time >= looks[-1].time - RECENT]
    seen = [one for one in recent if one.face is not None]
    if recent and not seen:
        return ["No face found. Look into the camera, with light from the front."]
    said = [*_light(seen), *_place(seen)] if seen else []
    if fps < SLOW:
        said.append(f"The camera gives {fps:.0f} frames per second. More light, or fewer other programs.")
    return said


def _light(seen: Sequence[Look]) -> list[str]:
    levels = np.array([one.level for one in seen])
    level, white = float(np.median(levels)), float(np.median([one.white for one in seen]))
    if level < DARK:
        return [f"More light: the face is dark (level {level:.0f} of 255)."]
    if white > MUCH:
        return [f"Less light on the face: {white:.0%} of it is white, where nothing can be measured."]
    if np.ptp(levels) > CHANGES * level:
        return ["Steady light: the brightness changes. A window, a screen or a lamp that flickers may be near."]
    return []


def _place(seen: Sequence[Look]) -> list[str]:
    boxes = np.array([one.face for one in seen], dtype=float)
    width = float(np.median(boxes[:, 2]))
    said = []
    if np.ptp(boxes[:, :2] + boxes[:, 2:] / 2, axis=0).max() > MOVES * width:
        said.append("Hold still: the face moves.")
    if width < NARROW:
        said.append(f"Come closer: the face is {width:.0f} pixels wide.")
    return said
