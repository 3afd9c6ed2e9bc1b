"""Video files read by OpenCV, once PyAV has found nothing in them that OpenCV would believe or be ended by."""

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2

from dataset.files.containers import WAYS, open_container, reason, video_of
from dataset.files.decoding import note
from dataset.files.frames import ArrayFrame, Frame, VideoError
from dataset.files.limits import TOLERATED, OneSize
from dataset.files.reading import AGAIN

OF_ONE_SIZE = ("rawvideo", "ffv1", "huffyuv", "ffvhuff", "utvideo")  # codecs whose size stands in the header alone
OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OPENING = threading.Lock()  # the environment is that of the whole process


def iter_opencv(path: Path, expected: int | None = None) -> Iterator[Frame]:
    """Yield the frames of `path`; VideoError for damage, or fewer frames than `expected` or its header state."""
    _guard_bottom_up(path)
    _judge_sizes(path)
    capture = _capture(path)
    if not capture.isOpened():
        raise VideoError(f"'{path}' cannot be opened by OpenCV. Try DECODER: pyav, or: {AGAIN}")
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if expected is None else expected
    count, start = 0, None
    try:
        while True:
            good, picture = capture.read()
            if not good:
                break
            time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            start = time if start is None else start
            count += 1
            yield ArrayFrame(picture, time - start, order="BGR")
    finally:
        capture.release()
    if not count:
        raise VideoError(f"'{path}' has no frame that OpenCV can decode. Try DECODER: pyav, or: {AGAIN}")
    missing = stated - count
    if missing > max(1, TOLERATED * stated):
        raise VideoError(f"'{path}' ends early: {count} of {stated} frames. {AGAIN}")
    note("missing_frames", max(missing, 0))


def _capture(path: Path) -> cv2.VideoCapture:
    """OpenCV's reader of a file. Its FFmpeg would follow a playlist and takes options from the environment alone."""
    with _OPENING:
        before = os.environ.get(OPENCV_OPTIONS)
        own = [f"{name};{value}" for name, value in WAYS.items()]
        os.environ[OPENCV_OPTIONS] = "|".join(own if before is None else [before, *own])  # of two, the last one counts
        try:
            return cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        finally:
            os.environ.pop(OPENCV_OPTIONS) if before is None else os.environ.update({OPENCV_OPTIONS: before})


def _judge_sizes(path: Path) -> None:
    """VideoError for sizes that OpenCV would believe, or pictures it would squeeze, without a word.

    Key frames alone may change the size; PyAV decodes them first, since OpenCV says of a frame what the header says.
    """
    size = OneSize()
    try:
        with open_container(path) as container:
            stream = video_of(container, path)
            if stream is not container.streams.video[0]:
                raise VideoError(f"'{path}' begins with an attached picture. Set DECODER: pyav, or leave it out.")
            if stream.codec_context.name not in OF_ONE_SIZE:
                stream.codec_context.skip_frame = "NONKEY"
                stream.codec_context.thread_count = 1
                for picture in container.decode(stream):
                    size.check((picture.height, picture.width), f"'{path}'")
    except av.error.FFmpegError as error:
        raise VideoError(f"'{path}' cannot be opened: {reason(error)}. Try DECODER: pyav, or: {AGAIN}") from None


def _guard_bottom_up(path: Path) -> None:
    """OpenCV from 4.13 on ends the whole process (heap corruption) on raw AVI files stored bottom-up."""
    if tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 13):
        return
    if is_bottom_up_raw_avi(path):
        raise VideoError(
            f"'{path}' is an uncompressed bottom-up AVI, which OpenCV {cv2.__version__} cannot read safely. "
            f"Set DECODER: pyav, or install opencv-python-headless<4.12."
        )


def is_bottom_up_raw_avi(path: Path) -> bool:
    """Whether `path` is an AVI of uncompressed pixels whose rows are stored from the bottom up."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    at = head.find(b"strf", head.find(b"vids"))
    if head[:4] != b"RIFF" or at < 0 or len(head) < at + 28:
        return False
    height, _, compression = struct.unpack("<iII", head[at + 16 : at + 28])
    return compression == 0 and height > 0
