"""What people wear: a shirt, and glasses where they have some."""

import numpy as np

from dataset.synthetic.people.canvas import Canvas, ramp


def clothes(canvas: Canvas, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a shirt lies, and its lit colour."""
    rng = canvas.random(11)
    x, y, _ = np.moveaxis(canvas.rest, -1, 0)
    collar = (x / rng.uniform(0.62, 0.80)) ** 2 + ((y - 6.15) / rng.uniform(0.45, 0.75)) ** 2
    cover = ramp(collar, 0.98, 1.02) * ramp(y, 6.02, 5.98) * canvas.body.seen
    cover = np.maximum(cover, canvas.body.seen * ramp(y, 5.2, 5.1))
    colour = rng.uniform(0.02, 0.5) * np.exp(rng.normal(0, 0.35, 3))
    weave = 1 + 0.05 * canvas.noise(rng, 0.5) + 0.03 * canvas.noise(rng, 7)
    rim = 1 - 0.35 * np.exp(-0.5 * ((collar - 1.06) / 0.03) ** 2)
    return np.float32(cover), np.float32(np.clip(colour, 0.01, 0.8)) * light * (weave * rim)[..., None]


def glasses(canvas: Canvas) -> np.ndarray:
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
