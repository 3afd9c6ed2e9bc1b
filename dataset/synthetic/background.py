"""Rooms behind the face: out-of-focus walls, curtains, shelves and windows, drawn from a random generator."""

import cv2
import numpy as np


def make_background(rng: np.random.Generator, width: int, height: int, kind: str = "varied") -> np.ndarray:
    """A background (height, width, 3), float32 grey levels; `plain` is one colour with a gentle gradient."""
    base = _colour(rng, 70, 190, 0.15)
    picture = np.ones((height, width, 3), np.float32) * base
    picture *= _gradient(rng, width, height, 0.2)[..., None]
    if kind == "plain":
        return picture
    painter = (_wall, _curtain, _shelf, _window)[rng.integers(4)]
    picture = painter(rng, picture)
    picture = cv2.GaussianBlur(picture, (0, 0), height * rng.uniform(0.004, 0.016))
    return np.clip(picture * _gradient(rng, width, height, 0.2)[..., None], 5, 245).astype(np.float32)


def _colour(rng: np.random.Generator, low: float, high: float, saturation: float) -> np.ndarray:
    grey = rng.uniform(low, high)
    return (grey * (1 + rng.uniform(-saturation, saturation, 3))).astype(np.float32)


def _gradient(rng: np.random.Generator, width: int, height: int, strength: float) -> np.ndarray:
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    a, b = rng.uniform(-strength, strength, 2)
    return 1 + a * x + b * y


def _wall(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    coarse = rng.normal(0, 1, (max(3, height // 20), max(3, width // 20))).astype(np.float32)
    blotches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = picture * (1 + 0.03 * blotches[..., None])
    x0, y0 = int(width * rng.uniform(-0.1, 0.15)), int(height * rng.uniform(0.05, 0.3))
    x1, y1 = x0 + int(width * rng.uniform(0.12, 0.25)), y0 + int(height * rng.uniform(0.2, 0.4))
    cv2.rectangle(picture, (x0, y0), (x1, y1), [float(c) for c in _colour(rng, 30, 200, 0.25)], -1)  # a picture
    return picture


def _curtain(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    width = picture.shape[1]
    x = np.linspace(0, 1, width)
    folds = np.sin(2 * np.pi * (x * rng.uniform(6, 14) + 0.3 * np.sin(2 * np.pi * x * rng.uniform(1, 3))))
    folds = folds + 0.4 * np.sin(2 * np.pi * x * rng.uniform(20, 35) + rng.uniform(0, 6))
    return picture * (1 + 0.14 * folds[None, :, None]).astype(np.float32)


def _shelf(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    rows = rng.integers(3, 5)
    for row in range(rows):
        y1 = int((row + 1) * height / rows) - height // 40
        x = int(-width * rng.uniform(0, 0.05))
        while x < width:
            book = int(width * rng.uniform(0.018, 0.055)) + 1
            y0 = y1 - int(height / rows * rng.uniform(0.55, 0.85))
            cv2.rectangle(picture, (x, y0), (x + book - 1, y1), [float(c) for c in _colour(rng, 50, 130, 0.28)], -1)
            x += book
    return picture


def _window(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    left = bool(rng.integers(2))
    w, h = int(width * rng.uniform(0.22, 0.34)), int(height * rng.uniform(0.5, 0.8))
    x, y = (0 if left else width - w), int(height * rng.uniform(0.02, 0.12))
    cv2.rectangle(picture, (x, y), (x + w, y + h), [float(c) for c in _colour(rng, 200, 235, 0.04)], -1)
    frame = [float(c) for c in _colour(rng, 90, 200, 0.08)]
    for shift in (0.0, 0.5, 1.0):
        cv2.line(picture, (x + int(w * shift), y), (x + int(w * shift), y + h), frame, max(2, width // 80))
        cv2.line(picture, (x, y + int(h * shift)), (x + w, y + int(h * shift)), frame, max(2, width // 80))
    return picture
