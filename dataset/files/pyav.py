"""Video files read by PyAV, and whether all of them was decoded."""

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import VideoReformatter

from dataset.files.containers import open_container, reason, video_of
from dataset.files.decoding import note
from dataset.files.frames import Frame, VideoError
from dataset.files.limits import TOLERATED
from dataset.files.matroska import cut_off
from dataset.files.planes import DecodedFrame
from dataset.files.reading import AGAIN


def iter_pyav(path: Path, count: int | None = None) -> Iterator[Frame]:
    """Yield the frames of `path`; VideoError for damage, or fewer frames than `count` or its header state."""
    _keep_freed_buffers()
    tally = _Tally(count)
    try:
        with open_container(path) as container:
            stream = video_of(container, path)
            # One thread: as fast as several on one core, and workers do not take each other's cores.
            stream.codec_context.thread_count = 1
            yield from _decode(container, stream, tally)
            _check_complete(path, container, stream, tally)
    except VideoError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        where = f" after {tally.frames} frames" if tally.frames else ""
        raise VideoError(f"'{path}' cannot be decoded{where}: {reason(error)}. {AGAIN}") from error


@dataclass
class _Tally:
    """Packets and frames of one file, to find out whether all of it was decoded."""

    expected: int | None = None  # frames, by another source than the header
    packets: int = 0
    discarded: int = 0  # by an edit list: decoded for reference, never shown
    frames: int = 0
    corrupt: int = 0
    last: float = 0.0  # time of the last frame, seconds


@functools.cache
def _keep_freed_buffers() -> None:
    """Let glibc keep up to 64 MB of freed memory for the next frames of this process.

    Otherwise it may hand the buffer of every large frame back to the system and have it zeroed anew, which took longer
    than all else that is done with an uncompressed frame.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: smaller blocks come from the heap
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD: freed heap that is kept


def _decode(container: Any, stream: Any, tally: _Tally) -> Iterator[Frame]:
    reformatter = VideoReformatter()
    start, rotation = None, 0
    for packet in container.demux(stream):
        tally.packets += packet.size > 0
        tally.discarded += bool(packet.is_discard)
        for picture in packet.decode():
            time = picture.time
            if not tally.frames:
                start = time
                rotation = round(getattr(picture, "rotation", 0) / 90) % 4
            tally.frames += 1
            tally.corrupt += picture.is_corrupt
            tally.last = time = None if time is None or start is None else time - start
            yield DecodedFrame(picture, time, reformatter, rotation)


def _check_complete(path: Path, container: Any, stream: Any, tally: _Tally) -> None:
    if not tally.frames:
        raise VideoError(f"'{path}' has no frame that can be decoded. {AGAIN}")
    stated = stream.frames if tally.expected is None else tally.expected
    missing = stated - tally.packets
    if missing > 1:  # recorders that count one too many exist; their files are whole
        raise VideoError(f"'{path}' ends early: {tally.packets} of {stated} frames. {AGAIN}")
    note("missing_frames", max(missing, 0))
    lost = max(tally.packets - tally.discarded - tally.frames, 0) + tally.corrupt
    if lost > max(1, TOLERATED * tally.packets):
        raise VideoError(f"'{path}' is damaged: {lost} of {tally.packets} frames cannot be decoded. {AGAIN}")
    note("corrupt_frames", lost)
    missing = cut_off(path)
    if missing:
        raise VideoError(f"'{path}' ends early: {missing} bytes are missing. {AGAIN}")
    length = None if tally.expected else _stated_length(container, stream)
    if length and tally.last is not None and tally.last < length - max(1.0, 0.02 * length):
        raise VideoError(f"'{path}' ends early: at {tally.last:.1f} s of {length:.1f} s. {AGAIN}")


def _stated_length(container: Any, stream: Any) -> float | None:
    """Seconds of video by the header, where the container states no number of frames (Matroska, WebM)."""
    if stream.frames:
        return None
    tag = stream.metadata.get("DURATION", "")
    if tag.count(":") == 2:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None
