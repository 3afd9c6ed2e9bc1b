"""Who is in a video: a box for each face that is there for most of its first seconds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset.face.boxes import Box, clip_box, enlarge, to_box
from dataset.face.crop import SEARCH_SECONDS, WATCH_MARGIN
from dataset.face.follow import distance
from dataset.files.frames import Frame

LOOK = 0.5  # s between two looks
SAME = 0.5  # lengths of a face by which it moves between two looks, at most
MOST_LOOKS = 0.5  # share of the looks in which somebody who is there is found


@dataclass
class Seen:
    """One face: where it was `first` and `last` found (4,), and in how many `looks`."""

    first: np.ndarray
    last: np.ndarray
    looks: int = 1


def faces_in(frames: Iterable[Frame], detector: Any, fs: float) -> list[Box]:
    """A box x, y, w, h for each face in the first 5 s of `frames`, from left to right, where it was found first.

    `fs` (Hz) paces the looks where frames have no times. What is found in less than half of the looks is no face, nor
    is what lies inside a larger one.
    """
    known: list[Seen] = []
    looks, following = 0, 0.0
    for index, frame in enumerate(frames):
        time = index / fs if frame.time is None else frame.time
        if time > SEARCH_SECONDS:
            break
        if time >= following:
            looks, following = looks + 1, time + LOOK - 1e-6
            _enter(known, _found(detector, frame))
    there = sorted((one for one in known if one.looks >= MOST_LOOKS * looks), key=lambda one: -one.first[2])
    kept: list[Box] = []
    for one in there:
        if not any(_within(one.first, np.array(larger)) for larger in kept):
            kept.append(to_box(one.first))
    return sorted(kept)


def _found(detector: Any, frame: Frame) -> list[np.ndarray]:
    """The faces in a frame, those that a second look confirms where the detector has one."""
    found = [np.asarray(box, dtype=float) for box in detector.detect(frame.rgb())]
    around = [clip_box(enlarge(to_box(box), WATCH_MARGIN), frame.shape) for box in found]
    near = getattr(detector, "near", lambda region: True)
    return [box for box, region in zip(found, around, strict=True) if near(frame.rgb(region))]


def _enter(known: list[Seen], found: list[np.ndarray]) -> None:
    """Each of the faces `found` in one look belongs to the nearest one that is known, or is new."""
    free = list(known)
    for box in found:
        away = distance(np.array([one.last for one in free]), box) if free else np.array([np.inf])
        if away.min() > SAME:
            known.append(Seen(box, box))
            continue
        one = free.pop(int(away.argmin()))
        one.last, one.looks = box, one.looks + 1


def _within(box: np.ndarray, larger: np.ndarray) -> bool:
    """Whether the middle of `box` lies in `larger`, both (4,)."""
    inside = box[:2] + box[2:] / 2 - larger[:2]
    return bool((inside >= 0).all() and (inside <= larger[2:]).all())
