"""Which part of the stored face is measured: UNSUPERVISED.ROI.

box                 the picture as stored
inner               the middle of the face box, 0.7 of its sides: neither hair nor background
skin                what has the colour of the inner face's middle, inside the picture
cheeks_forehead     three patches of the face box, between and beside the eyes and nose

Patches lie in the detected face box, whatever CROP_FACE.LARGE_BOX_COEF stored around it or cut off it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d

from unsupervised_methods.schema import REGIONS

BOX, INNER, SKIN, PATCHES = REGIONS
INNER_FACE = (0.15, 0.85, 0.15, 0.85)  # left, right, top, bottom, in sides of the face box
FOREHEAD_CHEEKS = ((0.3, 0.7, 0.1, 0.25), (0.17, 0.37, 0.5, 0.7), (0.63, 0.83, 0.5, 0.7))
PARTS = {INNER: (INNER_FACE,), PATCHES: FOREHEAD_CHEEKS}
MIDDLE = (0.3, 0.7, 0.35, 0.75)  # nose and cheeks: what colour skin has
NEAR = 3.0  # standard deviations of the middle's Cr and Cb that still are skin
LEAST_SPREAD = 2.0  # of Cr and Cb in 8 bit; below that rounding decides
LEAST_SKIN = 0.05  # of the picture; with less the middle is no skin
SMOOTH = 1.0  # s over which what belongs to the skin is averaged, so that its edge does not flicker
BLOCK = 256  # frames read at a time


@dataclass(frozen=True)
class Region:
    """A region of stored faces. `scale`: sides of the stored picture over those of the face box; 0 without a box."""

    name: str = BOX
    scale: float = 1.0

    @property
    def words(self) -> str:
        """The region for a reader."""
        box = f"face box x {self.scale:g}" if self.scale not in (0.0, 1.0) else "face box"
        if self.name == BOX:
            return box if self.scale else "whole picture"
        if self.name == SKIN:
            return f"skin in the {box}"
        return "inner face" if self.name == INNER else "cheeks and forehead"

    def colours(self, entry: Any) -> np.ndarray:
        """Mean colours (T, 3) of the region in an entry of the cache; ValueError where no skin is found."""
        return entry.trace if self.name == BOX else self.trace(entry.faces, float(entry.fs))

    def trace(self, faces: np.ndarray, fs: float) -> np.ndarray:
        """Mean colours (T, 3) of the region in `faces` (T, H, W, 3) uint8 at `fs` (Hz).

        ValueError where no skin is found.
        """
        if self.name == SKIN:
            return _skin(faces, fs, self._pixels(MIDDLE, faces))
        parts = [self._pixels(part, faces) for part in PARTS[self.name]]
        means = [np.mean([block[:, y, x].mean(axis=(1, 2)) for y, x in parts], axis=0) for block in _blocks(faces)]
        return np.concatenate(means).astype(float)

    def drawn(self, face: np.ndarray) -> np.ndarray:
        """A stored `face` (H, W, 3) uint8 with what is not measured darkened."""
        measured = np.zeros(face.shape[:2], bool)
        if self.name == SKIN:
            y, x = self._pixels(MIDDLE, face[None])
            measured = _alike(face[None], *_colour_of(face[None, y, x]))[0]
        for part in PARTS.get(self.name, ()):
            measured[self._pixels(part, face[None])] = True
        return face if self.name == BOX else np.where(measured[..., None], face, face // 3)

    def _pixels(self, part: tuple[float, float, float, float], faces: np.ndarray) -> tuple[slice, slice]:
        """Rows and columns of `part` of the face box, at least one of each."""
        height, width = faces.shape[1:3]
        left, right, top, bottom = ((edge - 0.5) / self.scale + 0.5 for edge in part)
        return _span(top, bottom, height), _span(left, right, width)


def region_of(name: str, preprocess: Any) -> Region:
    """The region called `name` of faces stored as a PREPROCESS node says.

    ValueError for a part of the face box that was not stored.
    """
    crop = preprocess.CROP_FACE
    scale = (float(crop.LARGE_BOX_COEF) if crop.USE_LARGE_FACE_BOX else 1.0) if crop.DO_CROP_FACE else 0.0
    if name != BOX and not scale:
        raise ValueError(
            f"UNSUPERVISED.ROI {name} lies in the face box, and faces are not cut out: set "
            "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE to True, or UNSUPERVISED.ROI to box."
        )
    needed = 2 * max((abs(edge - 0.5) for part in PARTS.get(name, ()) for edge in part), default=0.0)
    if scale < needed - 1e-9:
        raise ValueError(
            f"UNSUPERVISED.ROI {name} reaches beyond what is stored, the face box x {scale:g}: set "
            f"UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.LARGE_BOX_COEF to {needed:g} or more, such as 1.0."
        )
    return Region(name, scale)


def _span(first: float, last: float, size: int) -> slice:
    start = min(size - 1, max(0, round(first * size)))
    return slice(start, max(start + 1, min(size, round(last * size))))


def _blocks(faces: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(faces), BLOCK):
        yield np.asarray(faces[start : start + BLOCK], dtype=np.float32)


def _skin(faces: np.ndarray, fs: float, middle: tuple[slice, slice]) -> np.ndarray:
    """Mean colours (T, 3) of what is coloured like the `middle` of the faces, averaged over time at each pixel.

    Chroma (Cr, Cb) separates skin from hair, eyes and background; where each pixel belongs changes slowly.
    """
    centre, spread = _colour_of(np.asarray(faces[:: max(1, len(faces) // BLOCK)])[:, middle[0], middle[1]])
    around, size = round(SMOOTH * fs / 2), 2 * round(SMOOTH * fs / 2) + 1
    found, share = [], []
    for start in range(0, len(faces), BLOCK):
        first, stop = max(0, start - around), min(len(faces), start + BLOCK + around)
        block = np.asarray(faces[first:stop])
        belongs = _alike(block, centre, spread).astype(np.float32)
        own = slice(start - first, min(len(block), start - first + BLOCK))
        weights = uniform_filter1d(belongs, size, axis=0, mode="nearest")[own]
        sums = np.einsum("thwc,thw->tc", block[own].astype(np.float32), weights)
        found.append(sums / np.maximum(weights.sum(axis=(1, 2)), 1e-6)[:, None])
        share.append(weights.mean(axis=(1, 2)))
    least = float(np.concatenate(share).min())
    if least < LEAST_SKIN:
        raise ValueError(f"UNSUPERVISED.ROI skin: {least:.0%} of a picture is skin. Measure another ROI.")
    return np.concatenate(found).astype(float)


def _colour_of(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median Cr and Cb (2,) of all pixels, and how far they scatter (2,): robust standard deviations."""
    found = _chroma(pictures).reshape(-1, 2)
    centre = np.median(found, axis=0)
    return centre, np.maximum(1.4826 * np.median(np.abs(found - centre), axis=0), LEAST_SPREAD)


def _alike(pictures: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(T, H, W) bool: which pixels have that colour."""
    return (np.abs(_chroma(pictures) - centre) <= NEAR * spread).all(axis=-1)


def _chroma(pictures: np.ndarray) -> np.ndarray:
    """Cr and Cb (T, H, W, 2) float32 of `pictures` (T, H, W, 3) uint8."""
    flat = np.ascontiguousarray(pictures).reshape(pictures.shape[0], -1, 3)
    return cv2.cvtColor(flat, cv2.COLOR_RGB2YCrCb)[..., 1:].reshape(*pictures.shape[:3], 2).astype(np.float32)
