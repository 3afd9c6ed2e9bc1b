"""A modelled head as the layers that a rendered face is made of."""

import cv2
import numpy as np

from dataset.synthetic.people.canvas import Canvas, make_canvas, mix, ramp, unit
from dataset.synthetic.people.complexion import paint
from dataset.synthetic.people.eyes import close, look
from dataset.synthetic.people.hair import grow
from dataset.synthetic.people.identity import draw_identity
from dataset.synthetic.people.lighting import illuminate

_TONE_CURVE = 1 / 2.2
_EXPOSURE = 1.02  # linear
_AUTOMATIC = 0.30  # how much of a darker face the camera's exposure makes up for
_AXIS = 0.45  # z (dm) of the axis about which a head turns, on the base mesh


def portrait(
    seed: int, subject: int, tone: int, lamp: float, response: tuple[float, float, float], density: int = 2
) -> dict[str, np.ndarray]:
    """Layers of the person `subject` (1, 2 ...) of `seed` with skin of type `tone`, all (H, W[, 3]) float32.

    open, closed: grey levels; person, flesh, skin, shine: 0 to 1; normal: -1 to 1; depth: in the photograph's pixels.
    `lamp`: its direction to the right relative to straight ahead. `response`: shares of R, G, B in which blood absorbs.
    `density`: pixels for each pixel of the photograph, about the middle `canvas.ORIGIN`. Raises ModuleNotFoundError
    without the package that the heads come from.
    """
    canvas = make_canvas(draw_identity(seed, subject, tone), density)
    direction = unit(np.array([lamp, 0.5, 1.0], np.float32))
    light, complexion = illuminate(canvas, lamp), paint(canvas, response)
    hair, eyes = grow(canvas, direction), look(canvas, direction)
    body = canvas.body.seen.astype(np.float32)
    cloth, garment = _clothes(canvas, light.diffuse)
    linear = complexion.albedo * light.diffuse
    linear = mix(_inside(canvas), linear, body)
    linear = mix(linear, eyes.colour, eyes.open)
    linear = mix(linear, np.float32([0.006, 0.005, 0.005]), eyes.lashes)
    linear = mix(linear, garment, cloth)
    frames = _glasses(canvas)
    exposure = _EXPOSURE * _automatic(complexion.albedo, canvas)
    open_face = _grey(_dress(linear, hair, frames), exposure)
    lids = close(canvas, _grey(linear, exposure), eyes)
    closed = _grey(_dress(_linear(lids, exposure), hair, frames), exposure)
    covered = np.clip(np.maximum(np.maximum(hair.cover, cloth), frames), 0, 1)
    flesh = body * (1 - covered) * (1 - eyes.open)
    outline = canvas.blurred(np.maximum(_filled(body), np.maximum(hair.cover, hair.behind)), 0.45)
    around_eyes = cv2.dilate(np.maximum(eyes.open, eyes.lashes), np.ones((2 * density + 3, 2 * density + 3)))
    skin = flesh * complexion.bare * (1 - np.clip(around_eyes, 0, 1)) * ramp(light.open, 0.35, 0.6)
    return {
        "open": open_face,
        "closed": closed,
        "person": np.clip(outline, 0, 1),
        "flesh": np.float32(flesh),
        "skin": np.float32(np.clip(skin, 0, 1)),
        "shine": np.float32(light.shine * flesh),
        "normal": np.float32(canvas.normal * [1, -1, 1]),  # y down, as pictures have it
        "depth": _depth(canvas),
    }


def _dress(linear: np.ndarray, hair, frames: np.ndarray) -> np.ndarray:
    """Hair behind and on the head, and glasses over the face."""
    linear = mix(linear, hair.colour, hair.behind)
    linear = mix(linear, hair.colour, hair.cover)
    return mix(linear, np.float32([0.012, 0.011, 0.011]), frames)


def _automatic(albedo: np.ndarray, canvas: Canvas) -> float:
    x, y = canvas.offsets
    face = canvas.body.seen & (np.abs(x) < 35) & (np.abs(y) < 40)
    return float((0.42 / albedo[face].mean()) ** _AUTOMATIC)


def _grey(linear: np.ndarray, exposure: float) -> np.ndarray:
    return np.float32(255) * np.clip(np.maximum(linear, 0) * exposure, 0, 1) ** np.float32(_TONE_CURVE)


def _linear(grey: np.ndarray, exposure: float) -> np.ndarray:
    return (np.clip(grey, 0, 255) / np.float32(255)) ** np.float32(1 / _TONE_CURVE) / exposure


def _filled(body: np.ndarray) -> np.ndarray:
    """The outline without the holes of eyes and mouth."""
    return cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((15, 15)))


def _inside(canvas: Canvas) -> np.ndarray:
    """What is seen between the lips and in the corners of the eyes: dark and red."""
    return np.broadcast_to(np.float32([0.045, 0.014, 0.012]), (*canvas.size[::-1], 3))


def _clothes(canvas: Canvas, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a shirt lies, and its lit colour."""
    rng = canvas.random(11)
    x, y, z = np.moveaxis(canvas.rest, -1, 0)
    collar = (x / rng.uniform(0.62, 0.80)) ** 2 + ((y - 6.15) / rng.uniform(0.45, 0.75)) ** 2
    cover = ramp(collar, 0.98, 1.02) * ramp(y, 6.02, 5.98) * canvas.body.seen
    cover = np.maximum(cover, canvas.body.seen * ramp(y, 5.2, 5.1))
    colour = rng.uniform(0.02, 0.5) * np.exp(rng.normal(0, 0.35, 3))
    weave = 1 + 0.05 * canvas.noise(rng, 0.5) + 0.03 * canvas.noise(rng, 7)
    rim = 1 - 0.35 * np.exp(-0.5 * ((collar - 1.06) / 0.03) ** 2)
    return np.float32(cover), np.float32(np.clip(colour, 0.01, 0.8)) * light * (weave * rim)[..., None]


def _glasses(canvas: Canvas) -> np.ndarray:
    """Cover by the frame of glasses, 0 throughout for who wears none."""
    x, y = canvas.offsets
    if not canvas.identity.glasses:
        return np.zeros_like(x)
    rng = canvas.random(12)
    half_w, half_h, power = rng.uniform(15, 18), rng.uniform(9.5, 13), rng.choice([2.0, 3.0, 4.5])
    thick = rng.uniform(0.05, 0.13)
    frame = np.zeros_like(x)
    for side in (-1, 1):
        place = (np.abs((x - side * 22.5) / half_w) ** power + np.abs((y + 9.5) / half_h) ** power) ** (1 / power)
        frame = np.maximum(frame, ramp(np.abs(place - 1), thick, thick * 0.6))
    bridge = ramp(np.abs(y + 12 - 0.02 * x**2), 1.6, 0.9) * (np.abs(x) < 22.5 - half_w * 0.96)
    temple = ramp(np.abs(y + 13), 1.5, 0.8) * (np.abs(x) > 22.5 + half_w) * canvas.body.seen
    return np.float32(np.clip(np.maximum(frame, np.maximum(bridge, temple)), 0, 0.95))


def _depth(canvas: Canvas) -> np.ndarray:
    """How far the surface is before the axis of the head, 0 beside it, smoothed across its outline."""
    x, y = canvas.offsets
    axis = canvas.project(canvas.vertices[[np.argmin(np.abs(canvas.mesh.vertices - [0, 8.49, _AXIS]).sum(axis=1))]])
    depth = np.where(canvas.body.seen, (canvas.body.depth - axis[0, 2]) / canvas.density, 0)
    near = ramp(np.hypot(x / 80.0, (y + 4) / 100.0), 1.2, 0.95)
    holes = cv2.morphologyEx(np.float32(np.clip(depth, 0, None)), cv2.MORPH_CLOSE, np.ones((9, 9)))
    return np.float32(canvas.blurred(holes, 3.0) * near)
