"""The photograph behind all faces, taken apart: person, skin, hair, eyes, mouth.

NASA's portrait of the astronaut Eileen Collins, in the public domain, which scikit-image ships. Outlines below are in
its pixels (512 x 512); they only say where to look, the masks themselves are computed from the colours.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

FACE_BOX = (177.5, 66.0, 94.5, 94.5)  # x, y, w, h that OpenCV's frontal face cascade finds in the photograph
CENTRE = (224.5, 113.0)  # middle of that box
HEAD_RADII = (52.0, 76.0)  # of the skull seen as an ellipsoid about CENTRE
EYES = ((202.0, 101.0, 10.5, 6.0), (247.5, 103.0, 11.0, 6.0))  # x, y, half width, half height
BROWS = (((190, 91), (200, 88), (213, 92)), ((238, 93), (250, 92), (262, 96)))
MOUTH = (224.0, 146.5, 23.0, 9.5)
NOSTRILS = (225.0, 131.0, 10.0, 2.2)

_FACE = (
    (187, 73), (195, 77), (205, 80), (215, 80), (225, 80), (240, 82), (248, 85), (258, 88), (266, 92), (269, 105),
    (270, 120), (268, 135), (265, 148), (258, 160), (256, 172), (253, 184), (243, 188), (235, 190), (220, 187),
    (205, 184), (195, 183), (188, 178), (186, 165), (184, 150), (182, 135), (181, 120), (182, 105), (184, 90),
)  # fmt: skip
_EARS = (
    ((171, 116), (176, 120), (182, 118), (183, 131), (177, 131), (172, 125)),
    ((270, 130), (280, 126), (276, 135), (269, 137), (266, 134)),
)
_CERTAIN = (
    (165, 75), (180, 42), (225, 25), (270, 42), (290, 80), (280, 110), (262, 140), (250, 170), (285, 215), (300, 245),
    (340, 270), (355, 320), (350, 360), (400, 360), (470, 390), (490, 512), (40, 512), (40, 420), (55, 300), (80, 255),
    (120, 235), (125, 190), (150, 165), (190, 165), (185, 130), (178, 110),
)  # fmt: skip
_POSSIBLE = (
    (152, 80), (160, 50), (175, 28), (205, 12), (245, 12), (280, 30), (302, 70), (302, 100), (285, 130), (268, 150),
    (262, 165), (290, 190), (308, 220), (310, 235), (345, 255), (365, 300), (368, 345), (400, 340), (470, 355),
    (505, 410), (512, 512), (18, 512), (18, 420), (35, 300), (60, 250), (108, 212), (112, 180), (130, 155), (150, 145),
    (182, 146), (178, 135), (168, 125), (155, 105),
)  # fmt: skip


@dataclass(frozen=True)
class Photo:
    """The photograph and its parts; pictures (512, 512, 3) and masks (512, 512) from 0 to 1, all float32."""

    rgb: np.ndarray  # grey levels; the person's colours are continued beyond the outline
    closed: np.ndarray  # the same with closed eyes
    person: np.ndarray
    flesh: np.ndarray  # what melanin colours: skin, lips, brows, ears
    skin: np.ndarray  # what shows the pulse: flesh without brows, lips, nostrils and the surroundings of the eyes
    hair: np.ndarray
    clothes: np.ndarray
    eyes: np.ndarray  # the open eyes
    inner: np.ndarray  # eyes and teeth, which melanin does not colour


@lru_cache(maxsize=1)
def load_photo() -> Photo:
    """Take the photograph apart, once per process (about a second)."""
    from skimage import data  # here, so that reading settings or truth does not pay for it

    rgb = np.ascontiguousarray(data.astronaut()[..., :3])
    person = _person(rgb)
    eyes = sum(ellipse(*eye) for eye in EYES)
    flesh = _flesh(rgb) * person
    skin = flesh * (1 - _not_skin())
    above = _ramp(np.arange(512)[:, None], 152, 146) * np.ones((1, 512), np.float32)
    inside = polygon(_FACE, 1.0)  # eyes, brows and teeth are neither hair nor clothes
    hair = person * above * (1 - flesh) * (1 - inside)
    clothes = person * (1 - above) * (1 - flesh)
    rgb = _spread_person(rgb, person)
    closed = _close_eyes(rgb)
    open_eyes = np.clip(eyes, 0, 1) * _bright_or_dark(rgb)
    return Photo(rgb, closed, person, flesh, skin, hair, clothes, open_eyes, inside * (1 - flesh))


def ellipse(x: float, y: float, a: float, b: float, soft: float = 0.25) -> np.ndarray:
    """Mask (512, 512) of an ellipse, falling from 1 to 0 over the share `soft` of its radius on either side."""
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    radius = np.hypot((columns - x) / a, (rows - y) / b)
    return _ramp(radius, 1 + soft, 1 - soft)


def polygon(points: tuple, blur: float) -> np.ndarray:
    """Mask (512, 512) of a polygon with its edge blurred over `blur` pixels."""
    mask = np.zeros((512, 512), np.float32)
    cv2.fillPoly(mask, [np.array(points, np.int32)], 1.0)
    return cv2.GaussianBlur(mask, (0, 0), blur) if blur else mask


def _ramp(values: np.ndarray, zero: float, one: float) -> np.ndarray:
    """0 at `zero`, 1 at `one`, smooth between."""
    share = np.clip((values - zero) / (one - zero), 0, 1).astype(np.float32)
    return share * share * (3 - 2 * share)


def _person(rgb: np.ndarray) -> np.ndarray:
    """Matte of head and body by GrabCut (Rother et al., SIGGRAPH 2004), started from the two outlines."""
    labels = np.full(rgb.shape[:2], cv2.GC_BGD, np.uint8)
    possible = polygon(_POSSIBLE, 0) > 0
    labels[cv2.dilate(possible.astype(np.uint8), np.ones((9, 9))) > 0] = cv2.GC_PR_BGD
    labels[possible] = cv2.GC_PR_FGD
    labels[polygon(_CERTAIN, 0) > 0] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its mixture models start from random clusters
    cv2.grabCut(rgb, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    # A little narrower than found: the outermost pixels mix with the photograph's own background.
    return _ramp(cv2.GaussianBlur(person, (0, 0), 1.5), 0.35, 0.95)


def _flesh(rgb: np.ndarray) -> np.ndarray:
    """Skin by its colour (a Gaussian in log-chromaticity, learnt on cheeks and forehead) near face, neck and ears."""
    logs = np.log(cv2.GaussianBlur(rgb, (0, 0), 0.8).astype(np.float32) + 4)
    features = np.stack([logs[..., 0] - logs[..., 1], logs[..., 1] - logs[..., 2]], axis=-1)
    sample = features[(ellipse(224, 120, 36, 38) > 0.5) & (_not_skin() < 0.1)]
    spread = np.linalg.inv(np.cov(sample.T) + 1e-4 * np.eye(2))
    offset = features - sample.mean(axis=0)
    distance = np.sqrt(np.einsum("hwi,ij,hwj->hw", offset, spread, offset))
    red = rgb[..., 0].astype(np.float32)
    likely = _ramp(distance, 5.0, 3.0) * _ramp(red, 70, 120)
    # Only hair is close to skin in colour, and only on the forehead; jaw and neck end at something dark or grey.
    below = np.maximum(ellipse(224, 125, 40, 55), _ramp(np.arange(512)[:, None], 104, 112) * _ramp(red, 45, 80))
    core = polygon(_FACE, 1.0) * np.maximum(likely, below)
    for ear in _EARS:
        core = np.maximum(core, likely * polygon(ear, 0.8))
    eyes = sum(ellipse(*eye) for eye in EYES) * _bright_or_dark(rgb.astype(np.float32))
    teeth = ellipse(223, 145, 19, 4.5) * _ramp(features[..., 1], 0.22, 0.10)
    return np.clip(cv2.GaussianBlur(core, (0, 0), 0.7) - np.clip(eyes + teeth, 0, 1), 0, 1)


def _not_skin() -> np.ndarray:
    mask = sum(ellipse(x, y, a * 1.1, b * 1.2) for x, y, a, b in EYES) + ellipse(*MOUTH) + ellipse(*NOSTRILS)
    brows = np.zeros((512, 512), np.float32)
    for brow in BROWS:
        cv2.polylines(brows, [np.array(brow, np.int32)], False, 1.0, 4)
    return np.clip(mask + cv2.GaussianBlur(brows, (0, 0), 1.0), 0, 1).astype(np.float32)


def _bright_or_dark(rgb: np.ndarray) -> np.ndarray:
    """Where a pixel is colourless or dark, as iris, pupil and the white of the eye are."""
    rgb = rgb.astype(np.float32)
    saturation = (rgb.max(axis=2) - rgb.min(axis=2)) / (rgb.max(axis=2) + 1)
    return np.maximum(_ramp(saturation, 0.28, 0.16), _ramp(rgb.mean(axis=2), 100, 75)).astype(np.float32)


def _spread_person(rgb: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Continue the person's colours outwards, so that the soft outline mixes no old background into a new one."""
    inside = (person > 0.97).astype(np.float32)
    weight = cv2.GaussianBlur(inside, (0, 0), 2.5)
    spread = cv2.GaussianBlur(rgb.astype(np.float32) * inside[..., None], (0, 0), 2.5) / (weight[..., None] + 1e-6)
    keep = np.where(weight > 1e-3, inside, 1.0)[..., None]
    return (rgb * keep + spread * (1 - keep)).astype(np.float32)


def _close_eyes(rgb: np.ndarray) -> np.ndarray:
    """The photograph with its lids down: the skin around the eye fills it in, the lashes lie at its lower edge."""
    picture = np.clip(rgb, 0, 255).astype(np.uint8)
    mask = sum(ellipse(x, y, a * 1.05, b * 1.15, soft=0.02) for x, y, a, b in EYES)
    filled = cv2.inpaint(picture, (mask > 0.5).astype(np.uint8), 4, cv2.INPAINT_TELEA).astype(np.float32)
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    for x, y, a, b in EYES:
        across = (columns - x) / a
        lash = y + 0.55 * b * (1 - across**2)
        dark = np.exp(-0.5 * ((rows - lash) / 0.9) ** 2) * _ramp(np.abs(across), 1.0, 0.8)
        filled *= 1 - 0.5 * dark[..., None]
    return filled
