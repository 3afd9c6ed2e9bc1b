"""Videos that are arrays: .npy files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.files.frames import ArrayFrame, Frame, VideoError
from dataset.files.limits import require_size
from dataset.files.reading import AGAIN, open_array


def iter_array(path: str | Path) -> Iterator[Frame]:
    """Yield the frames of a .npy file (T, H, W, >= 3): integers 0-255, or floats 0-1 that become round(255 x).

    The file is mapped, not loaded. VideoError for another shape, type or range.
    """
    try:
        video = open_array(path)
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    if 0 not in video.shape and video.ndim == 4:
        require_size(video.shape[2], video.shape[1], f"'{path}'")
    if video.ndim != 4 or video.shape[3] < 3 or 0 in video.shape or video.dtype.kind not in "uif":
        raise VideoError(f"'{path}' holds {video.shape} of {video.dtype}; a video is (T, H, W, 3) of numbers. {AGAIN}")
    for index, frame in enumerate(video[..., :3]):
        yield ArrayFrame(_to_uint8(np.asarray(frame), f"frame {index} of '{path}'"))


def array_length(path: str | Path) -> int:
    """Frames of a .npy file; VideoError when it is no array."""
    try:
        return len(open_array(path))
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    except TypeError:  # a single number has no length
        raise VideoError(f"'{path}' holds a single number and no video. {AGAIN}") from None


def _to_uint8(frame: np.ndarray, name: str) -> np.ndarray:
    top = 1 if frame.dtype.kind == "f" else 255
    if not (0 <= frame.min() and frame.max() <= top):
        raise VideoError(f"Pixels of {name} ({frame.dtype}) are not in 0-{top}. {AGAIN}")
    return np.ascontiguousarray(np.rint(frame * 255.0) if top == 1 else frame, dtype=np.uint8)
