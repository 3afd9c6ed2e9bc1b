"""Light on a head: a lamp, its shadow, the light of the room, what hollows keep out, and what shines.

Diffuse light is wrapped around the edge of the shadow, red farthest, as light that travels in skin does.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset.synthetic.people.canvas import Canvas, halfway, ramp, unit

_WRAP = (0.38, 0.24, 0.16)  # R, G, B: how far light reaches beyond the edge of the shadow
_ROOM, _LAMP = 0.34, 0.82  # light from everywhere and from the lamp
_LAMP_UP = 0.5  # the lamp is above: up relative to straight ahead
_STEPS = 26  # places along the way to the lamp that are asked whether they lie in the head


@dataclass(frozen=True)
class Light:
    """What falls on the surface and what its surface mirrors; maps (H, W[, 3]) float32."""

    diffuse: np.ndarray  # (H, W, 3) factor on the albedo
    shine: np.ndarray  # (H, W) 0 to 1
    open: np.ndarray  # (H, W) 1 where nothing is near, falling in hollows


def towards(lamp: float) -> np.ndarray:
    """Unit vector (3,) to the lamp, which is `lamp` to the right relative to straight ahead (-0.5 to 0.5)."""
    return unit(np.array([lamp, _LAMP_UP, 1.0], np.float32))


def illuminate(canvas: Canvas, direction: np.ndarray) -> Light:
    """Light from a lamp in `direction` (3,), and from the room."""
    normal = _with_pores(canvas)
    facing = canvas.normal @ direction
    wrapped = np.stack([np.clip((facing + w) / (1 + w), 0, 1) for w in _WRAP], axis=-1)
    open_sky = _openness(canvas)
    room = (0.75 + 0.25 * canvas.normal[..., 1]) * open_sky
    lit = _LAMP * wrapped * _unshadowed(canvas, direction)[..., None] * (0.6 + 0.4 * open_sky[..., None])
    half = halfway(direction)
    gloss = 0.75 * np.clip(normal @ half, 0, 1) ** 14 + 0.5 * np.clip(normal @ half, 0, 1) ** 60
    return Light(lit + _ROOM * room[..., None], gloss * open_sky, open_sky)


def _with_pores(canvas: Canvas) -> np.ndarray:
    """Normals with the fine relief of skin."""
    rng = canvas.random(1)
    rough = np.stack([canvas.noise(rng, 0.5) for _ in range(2)] + [np.zeros(canvas.size[::-1], np.float32)], axis=-1)
    return unit(canvas.normal + 0.07 * rough)


def _height(canvas: Canvas, step: int) -> np.ndarray:
    """Depth at every `step`-th pixel in units of these; far back where nothing is."""
    depth = np.where(canvas.body.seen, canvas.body.depth, -400.0 * canvas.density).astype(np.float32)
    return depth[::step, ::step] / step


def _openness(canvas: Canvas) -> np.ndarray:
    """1 on open surfaces, less where the surroundings stand before the surface: nostrils, under a chin."""
    depth, seen = canvas.body.depth, canvas.body.seen.astype(np.float32)
    depth = np.where(canvas.body.seen, depth, 0).astype(np.float32)
    closed = np.zeros_like(seen)
    for sigma, weight in ((1.0, 0.35), (3.0, 0.35), (9.0, 0.30)):
        around = canvas.blurred(depth * seen, sigma) / (canvas.blurred(seen, sigma) + 1e-3)
        closed += weight * np.clip((around - depth) / (sigma * canvas.density) * 1.6, 0, 1)
    return np.clip(1 - 0.8 * closed, 0.15, 1)


def _unshadowed(canvas: Canvas, direction: np.ndarray) -> np.ndarray:
    """(H, W) share of the lamp that is seen: several points of it, the way to each walked across the heights."""
    height = _height(canvas, canvas.density)
    rows, columns = np.mgrid[: height.shape[0], : height.shape[1]].astype(np.float32)
    seen = np.zeros_like(height)
    lamps = [(0.0, 0.0), (0.13, 0.0), (-0.13, 0.0), (0.0, 0.13), (0.0, -0.13)]
    for right, up in lamps:
        x, y, z = unit(direction + np.array([right, up, 0.0], np.float32))
        free = np.ones_like(height)
        for step in range(1, _STEPS):
            far = 1.2 * step**1.15
            there = cv2.remap(
                height, columns + far * x, rows - far * y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            free = np.minimum(free, 1 - ramp(there - height - far * z, 0.6, 2.0))
        seen += free / len(lamps)
    return cv2.resize(cv2.GaussianBlur(seen, (0, 0), 1.0), canvas.size, interpolation=cv2.INTER_LINEAR)
