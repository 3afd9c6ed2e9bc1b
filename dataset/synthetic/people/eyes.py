"""Eyeballs with iris and pupil between the lids, lashes, and the lids closed."""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset.synthetic.people.canvas import Canvas, halfway, ramp, unit
from dataset.synthetic.people.mesh import eyeball

_IRIS, _PUPIL = 0.46, 0.17  # radius as a share of the eyeball's
_WHITE = (0.62, 0.575, 0.54)  # linear


@dataclass(frozen=True)
class Eyes:
    """Maps (H, W[, 3]) float32."""

    colour: np.ndarray  # linear, lit
    open: np.ndarray  # 0 to 1, where the eyeballs are seen
    lashes: np.ndarray  # 0 to 1


def look(canvas: Canvas, direction: np.ndarray) -> Eyes:
    """Both eyes under a lamp from `direction` (3,)."""
    width, height = canvas.size
    colour, seen = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    rng = canvas.random(10)
    gaze = np.append(rng.normal(0, 0.035, 2), 1.0)
    for side in "lr":
        box, globe = _globe(canvas, side)
        if box is None:
            continue
        visible = globe[..., 3]
        colour[box] += _paint(canvas, globe[..., :3], unit(gaze), direction, rng) * visible[..., None]
        seen[box] = np.maximum(seen[box], visible)
    smooth = canvas.blurred(seen, 0.25)
    upper = np.roll(smooth, -2 * canvas.density // 3, axis=0)
    lashes = np.clip(canvas.blurred(np.clip(upper - smooth, 0, 1), 0.3) * 2.2, 0, 0.9)
    lower = np.clip(np.roll(smooth, canvas.density // 2, axis=0) - smooth, 0, 1)
    lashes = np.maximum(lashes, 0.35 * canvas.blurred(lower, 0.25))
    shade = 1 - 0.55 * np.clip(
        canvas.blurred(np.clip(np.roll(1 - smooth, canvas.density, axis=0), 0, 1), 0.9) * smooth * 1.4, 0, 1
    )
    strength = 1.0 if canvas.identity.male < 0.5 else 0.7
    return Eyes(colour * shade[..., None], smooth, np.float32(strength * lashes))


def close(canvas: Canvas, open_face: np.ndarray, eyes: Eyes) -> np.ndarray:
    """`open_face` (H, W, 3) grey levels with the lids down: the skin around fills the eye, lashes lie below."""
    hole = np.clip(1.6 * cv2.dilate(np.maximum(eyes.open, eyes.lashes), np.ones((5, 5))), 0, 1)
    keep = 1 - (hole > 0.02).astype(np.float32)
    around = canvas.blurred(open_face * keep[..., None], 5) / (canvas.blurred(keep, 5)[..., None] + 1e-3)
    closed = open_face + (0.97 * around - open_face) * canvas.blurred(hole, 0.5)[..., None]
    edge = np.clip(eyes.open - np.roll(eyes.open, -canvas.density, axis=0), 0, 1)  # the lower rim of the eye
    line = np.clip(canvas.blurred(edge, 0.4) * 1.3, 0, 0.6)
    return closed * (1 - line[..., None])


def _globe(canvas: Canvas, side: str) -> tuple[tuple[slice, slice] | None, np.ndarray]:
    """A window of the canvas, and there the eyeball's normal and whether it is seen: (h, w, 4)."""
    centre, radius = eyeball(canvas.vertices, side)
    (x, y, depth), (x_edge, _, _) = canvas.project(np.stack([centre, centre + [radius, 0, 0]]))
    size = abs(x_edge - x)
    width, height = canvas.size
    rows = slice(max(0, int(y - size) - 1), min(height, int(y + size) + 2))
    columns = slice(max(0, int(x - size) - 1), min(width, int(x + size) + 2))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None, np.zeros((0, 0, 4))
    down, across = np.mgrid[rows, columns].astype(np.float32)
    across, down = (across - x) / size, (down - y) / size
    front = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
    seen = (front > 0) & (depth + size * front > canvas.body.depth[rows, columns])
    return (rows, columns), np.stack([across, -down, front, seen], axis=-1)


def _paint(
    canvas: Canvas, normal: np.ndarray, gaze: np.ndarray, direction: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Colours (h, w, 3) of an eyeball with these normals (h, w, 3)."""
    off = np.sqrt(np.clip(1 - np.clip(normal @ np.float32(gaze), -1, 1) ** 2, 0, 1))  # distance from the axis
    turn = np.arctan2(normal[..., 1] - gaze[1], normal[..., 0] - gaze[0])
    fibres = sum(np.sin(k * turn + rng.uniform(0, 6.3)) / 3 for k in (9, 17, 29))
    iris = np.float32(canvas.identity.iris) * (1 + 0.22 * fibres * ramp(off, 0.15, 0.35))[..., None]
    iris *= (0.75 + 0.6 * ramp(off, 0.40, 0.20))[..., None]  # brighter around the pupil
    iris *= (1 - 0.65 * ramp(off, 0.37, _IRIS))[..., None]  # the dark ring
    corners = ramp(np.abs(normal[..., 0]), 0.45, 0.85)[..., None]
    white = np.float32(_WHITE) * (1 - corners * np.float32([0.10, 0.30, 0.30]))
    colour = iris + (white - iris) * ramp(off, _IRIS - 0.03, _IRIS + 0.03)[..., None]
    colour = colour * ramp(off, _PUPIL - 0.03, _PUPIL + 0.03)[..., None] + 0.004
    colour = colour * (0.55 + 0.45 * np.clip(normal @ direction, 0, 1))[..., None]
    return colour + np.float32(0.85) * ramp(normal @ halfway(direction), 0.978, 0.992)[..., None]
