"""A modelled head as the layers that a rendered face is made of."""

import cv2
import numpy as np

from dataset.synthetic.people.canvas import Canvas, make_canvas, mix, ramp
from dataset.synthetic.people.complexion import paint
from dataset.synthetic.people.eyes import Eyes, close, look
from dataset.synthetic.people.hair import Hair, grow
from dataset.synthetic.people.identity import draw_identity
from dataset.synthetic.people.lighting import illuminate, towards
from dataset.synthetic.people.worn import clothes, glasses

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
    direction = towards(lamp)
    light, complexion = illuminate(canvas, direction), paint(canvas, response)
    hair, eyes = grow(canvas, direction), look(canvas, direction)
    cloth, garment = clothes(canvas, light.diffuse)
    frames = glasses(canvas)
    exposure = _EXPOSURE * _automatic(complexion.albedo, canvas)
    bare = mix(_bare_head(canvas, complexion.albedo * light.diffuse, eyes), garment, cloth)
    lids = _linear(close(canvas, _grey(bare, exposure), eyes), exposure)
    flesh = canvas.body.seen * (1 - np.maximum(np.maximum(hair.cover, cloth), frames)) * (1 - eyes.open)
    layers = {
        "open": _grey(_dress(bare, hair, frames), exposure),
        "closed": _grey(_dress(lids, hair, frames), exposure),
        "person": _outline(canvas, hair),
        "flesh": flesh,
        "skin": flesh * complexion.bare * (1 - _around(canvas, eyes)) * ramp(light.open, 0.35, 0.6),
        "shine": light.shine * flesh,
        "normal": canvas.normal * [1, -1, 1],  # y down, as pictures have it
        "depth": _depth(canvas),
    }
    return {name: np.float32(layer) for name, layer in layers.items()}


def _bare_head(canvas: Canvas, skin: np.ndarray, eyes: Eyes) -> np.ndarray:
    """Skin, eyes and lashes, and the dark red between the lips and in the corners of the eyes."""
    inside = np.broadcast_to(np.float32([0.045, 0.014, 0.012]), skin.shape)
    head = mix(inside, skin, canvas.body.seen.astype(np.float32))
    head = mix(head, eyes.colour, eyes.open)
    return mix(head, np.float32([0.006, 0.005, 0.005]), eyes.lashes)


def _dress(linear: np.ndarray, hair: Hair, frames: np.ndarray) -> np.ndarray:
    """Hair behind and on the head, and glasses over the face."""
    linear = mix(linear, hair.colour, hair.behind)
    linear = mix(linear, hair.colour, hair.cover)
    return mix(linear, np.float32([0.012, 0.011, 0.011]), frames)


def _outline(canvas: Canvas, hair: Hair) -> np.ndarray:
    """Cover by the whole person, without the holes of eyes and mouth."""
    body = cv2.morphologyEx(canvas.body.seen.astype(np.float32), cv2.MORPH_CLOSE, np.ones((15, 15)))
    return np.clip(canvas.blurred(np.maximum(body, np.maximum(hair.cover, hair.behind)), 0.45), 0, 1)


def _around(canvas: Canvas, eyes: Eyes) -> np.ndarray:
    """The eyes and what is next to them: lids, where a pulse is not looked for."""
    side = 2 * canvas.density + 3
    return np.clip(cv2.dilate(np.maximum(eyes.open, eyes.lashes), np.ones((side, side))), 0, 1)


def _automatic(albedo: np.ndarray, canvas: Canvas) -> float:
    x, y = canvas.offsets
    face = canvas.body.seen & (np.abs(x) < 35) & (np.abs(y) < 40)
    return float((0.42 / albedo[face].mean()) ** _AUTOMATIC)


def _grey(linear: np.ndarray, exposure: float) -> np.ndarray:
    return np.float32(255) * np.clip(np.maximum(linear, 0) * exposure, 0, 1) ** np.float32(_TONE_CURVE)


def _linear(grey: np.ndarray, exposure: float) -> np.ndarray:
    return (np.clip(grey, 0, 255) / np.float32(255)) ** np.float32(1 / _TONE_CURVE) / exposure


def _depth(canvas: Canvas) -> np.ndarray:
    """How far the surface is before the axis of the head, 0 beside it, smoothed across its outline."""
    x, y = canvas.offsets
    axis = canvas.project(canvas.vertices[[np.argmin(np.abs(canvas.mesh.vertices - [0, 8.49, _AXIS]).sum(axis=1))]])
    depth = np.where(canvas.body.seen, (canvas.body.depth - axis[0, 2]) / canvas.density, 0)
    near = ramp(np.hypot(x / 80.0, (y + 4) / 100.0), 1.2, 0.95)
    holes = cv2.morphologyEx(np.float32(np.clip(depth, 0, None)), cv2.MORPH_CLOSE, np.ones((9, 9)))
    return np.float32(canvas.blurred(holes, 3.0) * near)
