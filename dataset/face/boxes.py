"""Face boxes (x, y, w, h) in whole pixels: which one, how large, which frames, which part of the frame.

Every function is exact in the sense of rPPG-Toolbox: the same numbers give the same pixels.
"""

from collections.abc import Sequence

import numpy as np

Box = tuple[int, int, int, int]


def largest(boxes: np.ndarray) -> Box | None:
    """The widest of `boxes` (N, 4), the first of equals; None of none."""
    boxes = np.asarray(boxes).reshape(-1, 4)
    return to_box(boxes[boxes[:, 2].argmax()]) if len(boxes) else None


def nms(corners: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Which of `corners` (N, 4) x0, y0, x1, y1 to keep, (M,), by falling `scores` (N,).

    Those that overlap a surer one by more than `overlap` (IoU) are the same face.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[iou(corners[first], corners[order]) <= overlap]
    return np.array(kept, dtype=np.int64)


def iou(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Shared area of the corners `one` (4,) and each of `others` (N, 4), as a share of what both cover: (N,)."""
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(one[2:] - one[:2])
    return shared / np.maximum(areas - shared, np.finfo(float).tiny)


def enlarge(box: Sequence[int], coefficient: float) -> Box:
    """`box` grown about its centre by `coefficient`, every number cut to an integer.

    x and y stop at 0 while width and height do not shrink: a box at the left or upper border moves inwards.
    """
    x, y, w, h = box
    margin = (coefficient - 1) / 2
    return to_box((max(0, x - margin * w), max(0, y - margin * h), coefficient * w, coefficient * h))


def median_box(boxes: Sequence[Box]) -> Box:
    """The median of each coordinate over `boxes`, cut to integers."""
    return to_box(np.median(np.asarray(boxes), axis=0))


def full_frame(shape: tuple[int, int]) -> Box:
    """The box that is the whole frame (H, W)."""
    return 0, 0, int(shape[1]), int(shape[0])


def clip_box(box: Sequence[int], shape: tuple[int, int]) -> Box:
    """The part of `box` inside a frame (H, W); ValueError when nothing of it is."""
    x, y, w, h = box
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, shape[1]), min(y + h, shape[0])
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"The face box {tuple(box)} lies outside the frame of {shape[1]}x{shape[0]} pixels.")
    return int(x0), int(y0), int(x1 - x0), int(y1 - y0)


def schedule(index: int, dynamic: bool, frequency: int) -> bool:
    """Whether a face is looked for in frame `index`: every `frequency`-th if dynamic, otherwise only the first."""
    return index % frequency == 0 if dynamic else index == 0


def to_box(numbers: Sequence[float]) -> Box:
    """Four numbers cut to integers, towards zero."""
    x, y, w, h = (int(number) for number in numbers)
    return x, y, w, h
