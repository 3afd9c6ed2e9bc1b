"""Skin of one person: where there is more blood, more pigment, lips, freckles, moles, the shade of a shaved beard."""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset.synthetic.people import skin
from dataset.synthetic.people.canvas import ORIGIN, Canvas, drawn_out, ramp
from dataset.synthetic.people.mesh import data_folder

_BROW = ((0.12, 7.415), (0.22, 7.445), (0.36, 7.465), (0.46, 7.440), (0.55, 7.375))  # |x| and y (dm) on the base mesh

_DARKER = (0.55, 0.52, 0.50)  # hairs of brows and beard against those of the head, which the light reaches


@dataclass(frozen=True)
class Complexion:
    """Maps (H, W[, 3]) float32."""

    albedo: np.ndarray  # (H, W, 3) share of light returned, linear
    bare: np.ndarray  # 0 to 1, what shows the pulse: neither lips nor hairs


def paint(canvas: Canvas, response: tuple[float, float, float]) -> Complexion:
    """The skin of the head; `response` are the shares of R, G, B in which blood absorbs."""
    identity = canvas.identity
    lips = _lips(canvas)
    brows, beard = _brows(canvas), _beard(canvas)
    melanin = skin.melanin_of(identity.angle, response) * _pigment(canvas) + _spots(canvas) + 0.10 * lips
    blood = skin.USUAL_BLOOD * _redness(canvas) + _lip_blood(canvas) * lips
    colour = skin.albedo(melanin, blood, response)
    hair = np.float32(np.array(identity.hair) * _DARKER)
    for cover in (brows, beard):
        colour = colour + (hair - colour) * cover[..., None]
    bare = (1 - lips) * (1 - np.clip(1.3 * brows, 0, 1)) * (1 - np.clip(1.2 * beard, 0, 1))
    return Complexion(colour, bare)


def _lips(canvas: Canvas) -> np.ndarray:
    """From the map of the lips that belongs to the base mesh."""
    picture = cv2.imread(str(data_folder() / "textures" / "mpfb_lips.jpg"), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError(f"'{data_folder() / 'textures' / 'mpfb_lips.jpg'}' cannot be read as a picture.")
    uv = canvas.body.spread(canvas.mesh.uv)
    height, width = picture.shape
    found = cv2.remap(picture, uv[..., 0] * width, (1 - uv[..., 1]) * height, cv2.INTER_LINEAR)
    return np.clip(canvas.blurred(found.astype(np.float32) / 255 * canvas.body.seen, 0.6), 0, 1)


def _lip_blood(canvas: Canvas) -> float:
    rng = canvas.random(2)
    lipstick = canvas.identity.male < 0.5 and rng.random() < 0.3
    return float(rng.uniform(0.8, 1.2) if lipstick else rng.uniform(0.40, 0.70))


def _pigment(canvas: Canvas) -> np.ndarray:
    """Melanin relative to the person's mean: mottled, more below the eyes and on the forehead."""
    rng = canvas.random(3)
    field = 1 + 0.05 * canvas.noise(rng, 5) + 0.04 * canvas.noise(rng, 1.5) + 0.03 * canvas.noise(rng, 0.5)
    x, y, _ = np.moveaxis(canvas.rest, -1, 0)
    under_eyes = np.exp(-0.5 * (((np.abs(x) - 0.28) / 0.12) ** 2 + ((y - 7.16) / 0.05) ** 2))
    field += rng.uniform(0.02, 0.14) * under_eyes + 0.05 * ramp(y, 7.5, 7.8)
    return np.maximum(field, 0.2)


def _redness(canvas: Canvas) -> np.ndarray:
    """Blood relative to a cheek's usual: cheeks, nose and ears more, forehead less, mottled."""
    rng = canvas.random(4)
    x, y, z = np.moveaxis(canvas.rest, -1, 0)
    field = 0.85 + 0.14 * canvas.noise(rng, 6) + 0.10 * canvas.noise(rng, 2) + 0.06 * canvas.noise(rng, 0.7)
    cheeks = np.exp(-0.5 * (((np.abs(x) - 0.42) / 0.17) ** 2 + ((y - 6.95) / 0.17) ** 2))
    nose = np.exp(-0.5 * ((x / 0.13) ** 2 + ((y - 6.92) / 0.14) ** 2))
    ears = ramp(np.abs(x), 0.74, 0.80) * ramp(z, 0.75, 0.65) * ramp(y, 6.75, 6.85)
    eyelids = np.exp(-0.5 * (((np.abs(x) - 0.3) / 0.16) ** 2 + ((y - 7.28) / 0.07) ** 2))
    blush = rng.uniform(0.15, 0.75)
    field += blush * cheeks + rng.uniform(0.1, 0.6) * nose + 0.5 * ears + 0.25 * eyelids
    return np.maximum(field, 0.1)


def _spots(canvas: Canvas) -> np.ndarray:
    """Optical density of freckles on nose and cheeks, of moles anywhere, of spots of age."""
    rng, identity = canvas.random(5), canvas.identity
    width, height = canvas.size
    field = np.zeros((height, width), np.float32)
    freckles = int(900 * identity.freckles**1.5) if identity.freckles > 0.2 else 0
    spread = np.array([30.0, 13.0])
    for count, sigma, depth, wide in (
        (freckles, 0.45, 0.35, spread),
        (rng.integers(0, 9), 0.8, 1.6, np.array([30.0, 40.0])),
        (int(max(0, identity.age - 55) * rng.uniform(0, 1.2)), 1.6, 0.35, np.array([32.0, 40.0])),
    ):
        places = rng.normal(0, 1, (count, 2)) * wide + [0, 8]
        columns, rows = ((places + ORIGIN) * canvas.density).astype(int).T
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        points = np.zeros_like(field)
        points[rows[inside], columns[inside]] = rng.uniform(0.2, 1, inside.sum())
        field += (
            depth * 2 * np.pi * (sigma * canvas.density) ** 2 * cv2.GaussianBlur(points, (0, 0), sigma * canvas.density)
        )
    return np.minimum(field, 2.0)


def _brows(canvas: Canvas) -> np.ndarray:
    """Cover by the hairs of the brows along a curve on the base mesh."""
    rng, identity = canvas.random(6), canvas.identity
    x, y, z = np.moveaxis(canvas.rest, -1, 0)
    along, heights = np.array(_BROW).T
    lift = rng.normal(0, 0.012) + 0.006 * (identity.male < 0.5)
    middle = np.interp(np.abs(x), along, heights + lift).astype(np.float32)
    thick = rng.uniform(0.020, 0.034) * (1.15 if identity.male > 0.5 else 0.8)
    taper = ramp(np.abs(x), 0.60, 0.36) * 0.75 + 0.25
    profile = np.exp(-0.5 * ((y - middle) / (thick * taper)) ** 2)
    ends = ramp(np.abs(x), 0.085, 0.15) * ramp(np.abs(x), 0.58, 0.50) * ramp(z, 0.9, 1.05)
    strands = 1 + 0.35 * drawn_out(rng, (128, 512), 0.7, (np.abs(x) + 2.2 * (y - middle)) * 160, y * 12)
    density = rng.uniform(0.75, 1.0)
    return np.clip(density * ends * ramp(profile * strands, 0.12, 0.85), 0, 0.95)


def _beard(canvas: Canvas) -> np.ndarray:
    """Cover by the hairs of a beard: a shade when shaved, a dense one when not."""
    rng, full = canvas.random(7), canvas.identity.beard
    if not full:
        return np.zeros(canvas.size[::-1], np.float32)
    x, y, z = np.moveaxis(canvas.rest, -1, 0)
    side = np.abs(x)
    edge = 6.66 + 0.62 * np.clip(side - 0.30, 0, None) + 0.012 * canvas.noise(rng, 1.0)
    cheeks = ramp(y, edge + 0.05, edge - 0.05) * ramp(side, 0.20, 0.30)
    moustache = ramp(y, 6.83, 6.79) * ramp(side, 0.36, 0.28) * ramp(y, 6.62, 6.65)
    chin = ramp(y, 6.50, 6.45) * ramp(side, 0.42, 0.30)
    area = np.maximum(np.maximum(cheeks, moustache), chin) * ramp(z, 0.60, 0.78) * ramp(y, 6.02, 6.16)
    grain = ramp(canvas.noise(rng, 0.35), -1.4 + 1.2 * (1 - full), 1.6 - 1.2 * full)
    patchy = np.clip(1 + 0.15 * canvas.noise(rng, 4), 0.4, 1.3)
    return np.clip(area * patchy * (0.08 + 0.92 * full) * (0.35 + 0.65 * grain), 0, 0.93)
