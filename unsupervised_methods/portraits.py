"""Pictures of the face that was measured: the first whole frame with the region drawn in, and the region as stored."""

import contextlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dataset.files.decoding import decoding
from dataset.files.frames import as_frame
from dataset.prepare.node import has_raw, make_loader
from evaluation import figures
from unsupervised_methods.regions import Region

Portraits = Sequence[tuple[str, bytes]]  # (what it shows, a JPEG file)
WIDTH = 320  # pixels of the whole frame, at most
GREEN = (60, 220, 60)


def portraits(prepared: Any, data: Any, name: str, region: Region = Region()) -> Portraits:  # noqa: B008 - it is frozen
    """Pictures of the recording called `name`; fewer where its video or its entry is not there."""
    found = []
    if frame := figures.attempt(f"The first frame of {name}", _whole, prepared, data, name):
        found.append(("first frame, with the region", frame))
    if face := figures.attempt(f"The face of {name}", _stored, prepared, name, region):
        found.append((f"what was measured, as stored: {region.words}", face))
    return tuple(found)


def _whole(prepared: Any, data: Any, name: str) -> bytes:
    """The first frame with the first box; empty where the videos are not there or no box was stored."""
    loader = make_loader(data)
    recording = next((one for one in prepared.recordings if one.id == name), None)
    boxes = prepared.entry(name).boxes if not prepared.legacy else ()
    if recording is None or not has_raw(data, loader) or not len(boxes):
        return b""
    with decoding(data.PREPROCESS.get("DECODER", "pyav")), contextlib.closing(loader.read_video(recording)) as frames:
        frame = as_frame(next(frames)).rgb().copy()
    x, y, w, h = (int(number) for number in boxes[0])
    cv2.rectangle(frame, (x, y), (x + w - 1, y + h - 1), GREEN, max(1, round(frame.shape[1] / WIDTH * 2)))
    return jpeg(frame)


def _stored(prepared: Any, name: str, region: Region) -> bytes:
    """The stored face in the middle of the recording, the region lighter than the rest."""
    faces = None if prepared.legacy else prepared.entry(name).faces
    return b"" if faces is None else jpeg(region.drawn(faces[len(faces) // 2]))


def jpeg(rgb: np.ndarray) -> bytes:
    """`rgb` (H, W, 3) uint8 as a JPEG file, not wider than WIDTH."""
    scale = min(1.0, WIDTH / rgb.shape[1])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    return cv2.imencode(".jpg", cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR))[1].tobytes()
