"""Hair on the head: a cap that stands off the scalp, and, where it is long, what falls over the shoulders."""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset.synthetic.people.canvas import Canvas, drawn_out, halfway, noise, ramp, unit
from dataset.synthetic.people.mesh import normals
from dataset.synthetic.people.raster import rasterise

# How the hairline runs on the base mesh: y (dm) against z, from the nape over the ear and the temple to the forehead.
_LINE_Z = (-0.30, 0.10, 0.36, 0.62, 0.80, 0.88, 1.10, 1.30, 1.42, 1.60)
_LINE_Y = (6.55, 6.70, 7.25, 7.30, 7.12, 7.42, 7.66, 7.85, 7.92, 7.94)
_THICKNESS = {"shaved": 0.006, "receding": 0.05, "short": 0.09, "medium": 0.15, "long": 0.12}  # dm
_COVER = {"shaved": 0.55, "receding": 0.92, "short": 0.98, "medium": 1.0, "long": 1.0}
_RECEDED = 0.36  # dm
_TEXTURE = (256, 1024)  # pixels of the noise that strands are drawn from


@dataclass(frozen=True)
class Hair:
    """Maps (H, W[, 3]) float32: linear colour, and how much of what is behind it covers."""

    colour: np.ndarray
    cover: np.ndarray
    behind: np.ndarray  # cover of what hangs behind head and neck


def grow(canvas: Canvas, direction: np.ndarray) -> Hair:
    """The hair of the person under a lamp from `direction` (3,)."""
    identity, rng = canvas.identity, canvas.random(8)
    cap, normal, place = _cap(canvas)
    scalp = _scalp(canvas, place)
    ragged = (
        0.5
        + 0.22 * noise(rng, scalp.shape, 1.0 * canvas.density)
        + 0.10 * noise(rng, scalp.shape, 0.4 * canvas.density)
    )
    ragged = np.clip(ragged, 0.23, 0.77)  # no holes away from the line
    cover = ramp(scalp, ragged - 0.22, ragged + 0.22) * cap * _COVER[identity.style]
    strands = _strands(rng, place)
    behind = front = np.zeros_like(cover)
    if identity.style in ("long", "medium"):
        behind, front = _fall(canvas, rng)
        strands = np.where(np.maximum(behind, front) > cover, _straight(canvas, rng), strands)
        cover = np.maximum(cover, front)
    lit = np.where(cap > 0.5, 0.30 + 0.70 * np.clip(normal @ direction, 0, 1), 0.42)
    lit = lit * (1 - 0.55 * np.maximum(behind, 0.6 * front) * (cap < 0.5))
    gloss = 0.022 * np.clip(normal @ halfway(direction), 0, 1) ** 10 * np.clip(1 + 0.6 * strands, 0, 2) * (cap > 0.5)
    shade = np.clip(lit * (1 + 0.33 * strands), 0.03, 2.5)
    colour = np.float32(identity.hair) * shade[..., None] * 1.25 + gloss[..., None]
    return Hair(np.float32(colour), np.float32(cover), np.float32(behind))


def _cap(canvas: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The scalp moved outwards: where it is nearer than the bare head, its normals and its places on the base mesh."""
    base, faces = canvas.mesh.vertices, canvas.mesh.faces
    rng = canvas.random(9)
    away = normals(canvas.vertices, faces)
    deep = _above(base, canvas.identity.style)
    thick = _THICKNESS[canvas.identity.style] * rng.uniform(0.8, 1.3) * ramp(deep, -0.02, 0.22)
    thick *= 1 + 0.20 * ramp(base[:, 1], 7.9, 8.5)
    wavy = 1 + 0.25 * np.sin(base @ rng.normal(0, 7, 3) + rng.uniform(0, 6)).astype(np.float32)
    points = canvas.vertices + away * (thick * wavy)[:, None]
    scalp = faces[(deep[faces] > -0.06).any(axis=1) & (np.abs(base[faces][..., 0]) < 0.80).all(axis=1)]
    raster = rasterise(canvas.project(points), scalp, canvas.size)
    nearer = raster.seen & (raster.depth >= canvas.body.depth - 0.02 * canvas.density)
    normal = unit(raster.spread(normals(points, faces)))
    return canvas.blurred(nearer.astype(np.float32), 0.35), normal, raster.spread(base)


def _above(places: np.ndarray, style: str) -> np.ndarray:
    """How far (dm) places (..., 3) on the base mesh lie above the hairline; ears do not."""
    x, y, z = np.moveaxis(places, -1, 0)
    line = np.interp(z, _LINE_Z, _LINE_Y)
    if style == "receding":
        line = line + _RECEDED * ramp(z, 0.75, 1.25) * (0.55 + 0.45 * ramp(np.abs(x), 0.08, 0.35))
    ear = ramp(np.abs(x), 0.76, 0.79) * ramp(y, 7.42, 7.36) * ramp(z, 0.28, 0.36)
    return np.float32(y - line - 2.0 * ear)


def _scalp(canvas: Canvas, place: np.ndarray) -> np.ndarray:
    """0 below the hairline, 1 above it, 0.5 on it."""
    return ramp(_above(place, canvas.identity.style), -0.035, 0.035)


def _strands(rng: np.random.Generator, place: np.ndarray) -> np.ndarray:
    """(H, W) noise along the hairs, which run from the crown outwards."""
    x, y, z = np.moveaxis(place, -1, 0)
    crown = rng.uniform(-0.12, 0.12)
    turn = np.arctan2(x - crown, z - 0.35) + 0.5 * (y - 8) * rng.uniform(-0.6, 0.6)
    out = np.hypot(x - crown, z - 0.35) - 0.8 * y
    return drawn_out(rng, _TEXTURE, 0.8, turn * 160, out * 26)


def _straight(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """(H, W) noise along hairs that hang down."""
    x, y = canvas.offsets
    wave = 2.0 * np.sin(y / rng.uniform(9, 22) + rng.uniform(0, 6)) * rng.uniform(0, 1)
    return drawn_out(rng, _TEXTURE, 0.8, (x + wave) * 2.2, y * 0.25)


def _fall(canvas: Canvas, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cover behind head and neck, and before ears and shoulders, of hair that reaches the chin or the chest."""
    x, y = canvas.offsets
    seen = canvas.body.seen
    rest_x, rest_y, rest_z = np.moveaxis(canvas.rest, -1, 0)
    head = seen & (rest_y > 6.9) & (np.abs(rest_x) < 0.76)
    half = float(np.quantile(np.abs(x[head]), 0.995))
    long = canvas.identity.style == "long"
    end = rng.uniform(95, 190) if long else rng.uniform(38, 62)
    wide = half + rng.uniform(7, 14) + rng.uniform(-0.02, 0.10) * np.clip(y, 0, None) * (1 if long else 0)
    wavy = rng.uniform(1, 4) * np.sin(y / rng.uniform(9, 22) + rng.uniform(0, 6)) + 0.7 * canvas.noise(rng, 3)
    round_top = wide * np.sqrt(np.clip(1 - ((-10 - y).clip(0) / 95.0) ** 2, 0, 1))
    edge = np.minimum(round_top + wavy * ramp(y, -40, 0), 1000)
    ends = cv2.resize(
        noise(rng, (8, x.shape[1]), 1.5 * canvas.density)[:1], x.shape[::-1]
    )  # the same for a whole strand
    bottom = end + 5 * ends - 0.10 * np.abs(x)
    inside = ramp(np.abs(x), edge + 1.0, edge - 1.0) * ramp(y, bottom + 4, bottom - 4) * ramp(y, -55, -30)
    behind = inside * ~seen
    # Locks hang before ears, the sides of the neck and the shoulders, never before the face.
    inner = half * rng.uniform(0.92, 1.0) + 0.6 * canvas.noise(rng, 3)
    lock = ramp(np.abs(x), inner - 1.5, inner + 1.5) * seen * ((rest_y < 6.35) | (rest_z < 0.86) | ~head)
    return np.float32(behind), np.float32(inside * lock * ramp(y, -70, -45))
