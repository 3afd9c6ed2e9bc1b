"""A box that goes with the pixels under it, from one frame to the next.

Kalal et al., "Forward-Backward Error: Automatic Detection of Tracking Failures", ICPR 2010: corners inside the box are
followed by sparse optical flow to the next frame and back; those that return to where they started say how the box
moves and grows. A fraction of the cost of a detection.
"""

import cv2
import numpy as np

SIDE = 320  # pixels: longest side of the pictures in which corners are followed
POINTS = 60  # corners looked for
FEWEST = 10  # corners that must return, and at least half of those looked for
RETURN = 1.0  # pixels: how far from its start a corner may return
GROWTH = (0.9, 1.1)  # how much a face may shrink or grow between two frames
WINDOW = {"winSize": (15, 15), "maxLevel": 3}


def picture(rgb: np.ndarray) -> np.ndarray:
    """`rgb` (H, W, 3) uint8 in grey, with a longest side of at most 320 pixels."""
    ratio = SIDE / max(rgb.shape[:2])
    if ratio < 1:
        size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if ratio > 0.5 else cv2.INTER_LINEAR)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def follow(before: np.ndarray, after: np.ndarray, box: np.ndarray, scale: float) -> np.ndarray | None:
    """Where `box` (4,) x, y, w, h of one frame is in the next; None when too few corners can be followed.

    `before` and `after` are the frames' pictures; `scale` is pixels of the frame per pixel of a picture.
    """
    if before.shape != after.shape:
        return None
    here = box / scale
    points = _corners(before, here)
    if points is None or len(points) < FEWEST:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, **WINDOW)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **WINDOW)
    good = (found & returned).ravel().astype(bool) & (np.abs(back - points).max(axis=(1, 2)) < RETURN)
    if good.sum() < max(FEWEST, len(points) / 2):
        return None
    moved = moved_box(here, points[good, 0], there[good, 0])
    return moved * scale if _inside(moved, after.shape) else None


def moved_box(box: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """`box` (4,) moved and scaled as points (N, 2) moved from `start` to `end`; outliers do not count."""
    growth = np.clip(_spread(end) / max(_spread(start), 1e-6), *GROWTH)
    middle = box[:2] + box[2:] / 2
    anchor = np.median(start, axis=0)
    middle = anchor + np.median(end - start, axis=0) + growth * (middle - anchor)
    return np.concatenate([middle - growth * box[2:] / 2, growth * box[2:]])


def _spread(points: np.ndarray) -> float:
    """The median distance between two of `points` (N, 2)."""
    first, second = np.triu_indices(len(points), 1)
    return float(np.median(np.linalg.norm(points[first] - points[second], axis=1)))


def _corners(grey: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Corners (N, 1, 2) in the middle of `box`, away from its edges, where the background shows."""
    x, y, w, h = box
    x0, y0 = max(0, round(x + 0.1 * w)), max(0, round(y + 0.1 * h))
    part = grey[y0 : max(y0, round(y + 0.9 * h)), x0 : max(x0, round(x + 0.9 * w))]
    if min(part.shape) < 8:
        return None
    points = cv2.goodFeaturesToTrack(part, POINTS, 0.01, 3)
    return None if points is None else points + np.float32([x0, y0])


def _inside(box: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether at least half of `box` is inside a picture (H, W)."""
    shared = np.minimum(box[:2] + box[2:], shape[::-1]) - np.maximum(box[:2], 0)
    return bool((shared > 0).all() and np.prod(shared) > np.prod(box[2:]) / 2)
