"""Frames out of video files, one at a time, with their real times, by the decoder that the settings name."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from dataset.files.containers import open_container, video_of
from dataset.files.decoding import current, note, remember
from dataset.files.frames import Frame, VideoError
from dataset.files.limits import OneSize
from dataset.files.opencv import iter_opencv
from dataset.files.pyav import iter_pyav
from dataset.files.reading import AGAIN, require_file

DECODERS = {"pyav": iter_pyav, "opencv": iter_opencv}


def iter_frames(path: str | Path, decoder: str | None = None, count: int | None = None) -> Iterator[Frame]:
    """Yield the frames of the video file `path` in order, at their real times.

    `decoder` is "pyav" or "opencv"; None: that of the enclosing `decoding` block, else PyAV. `count`: how many frames
    there have to be, where the data set says so and the headers of its files do not. Raises VideoError for files that
    are missing, empty, no video, damaged, or that end before that number or the length their header states.
    """
    path = Path(path)
    state = current()
    decoder = decoder or (state.decoder if state else "pyav")
    if decoder not in DECODERS:
        raise VideoError(f"Unknown decoder {decoder!r}. Known: {', '.join(DECODERS)}.")
    try:
        require_file(path)
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    if not path.stat().st_size:
        raise VideoError(f"'{path}' is empty (0 bytes). {AGAIN}")
    remember(path)
    if state is not None and state.unseen is not None:
        return (Frame() for _ in range(state.unseen))
    return _of_one_size(DECODERS[decoder](path, count), path)


def _of_one_size(frames: Iterable[Frame], path: Path) -> Iterator[Frame]:
    size = OneSize()
    for frame in frames:
        size.check(frame.shape, f"'{path}'")
        yield frame


def frame_count(path: str | Path) -> int | None:
    """Frames of a video file by its header; None where it does not say."""
    try:
        with open_container(require_file(path)) as container:
            return video_of(container, Path(path)).frames or None
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def with_times(frames: Iterable[Frame], times: Sequence[float] | np.ndarray) -> Iterator[Frame]:
    """`frames` at the given `times` in seconds instead of their own; None for those beyond."""
    for index, frame in enumerate(frames):
        frame.time = float(times[index]) if index < len(times) else None
        yield frame


def within_times(frames: Iterable[Frame], times: Sequence[float] | np.ndarray) -> Iterator[Frame]:
    """`frames` at the given `times` in seconds; those beyond are decoded, left out and counted."""
    index = -1
    for index, frame in enumerate(frames):
        if index < len(times):
            frame.time = float(times[index])
            yield frame
    note("frames_without_time", max(0, index + 1 - len(times)))
