"""Opening a video file with FFmpeg, so that it leads to no other file and states nothing that takes too much memory."""

import errno
from pathlib import Path
from typing import Any

import av

from dataset.files.frames import VideoError
from dataset.files.limits import MOST_PIXELS, most_pixels, require_size
from dataset.files.reading import AGAIN, told

PATIENCE = 30.0  # seconds for the next frame: a demuxer may look for one in any number of zeros
# Containers that hold their video themselves; FFmpeg would follow a playlist, whatever its ending, to other files.
CONTAINERS = (
    "avi,mov,mp4,matroska,webm,mpeg,mpegts,mpegvideo,m4v,h264,hevc,asf,flv,ogg,mxf,nut,yuv4mpegpipe,dv,gif,ivf,wav"
)
WAYS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}  # options of FFmpeg, whoever calls it
PICTURES = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails  # not the video itself

PYAV = int(av.__version__.split(".")[0])
# PyAV refuses files with tags that are not UTF-8 unless told to replace such bytes; from 19 on it escapes them itself.
ODD_TEXTS = {"metadata_errors": "replace"} if PYAV < 19 else {}


def open_container(path: str | Path) -> Any:
    """The container at `path`, which cannot lead to other files or to the network."""
    options = WAYS | {"max_pixels": str(MOST_PIXELS)}
    # Before PyAV 17 options that reach the streams, too, end the process when a stream appears after the header.
    reach = "options" if PYAV >= 17 else "container_options"
    return av.open(f"file:{path}", timeout=PATIENCE, **{reach: options}, **ODD_TEXTS)


def video_of(container: Any, path: Path) -> Any:
    """Its first video stream, attached pictures apart; VideoError without one, for an unknown codec or a huge size."""
    stream = next((stream for stream in container.streams.video if not stream.disposition & PICTURES), None)
    if stream is None:
        but = ", only a picture that is attached to it" if container.streams.video else ""
        raise VideoError(f"'{path}' has no video stream{but}. {AGAIN}")
    if stream.codec_context is None:
        raise VideoError(
            f"'{path}' is in a codec that FFmpeg does not know. Convert it to another, or leave the recording out."
        )
    require_size(stream.codec_context.width, stream.codec_context.height, f"'{path}'")
    # For the decoder: what the stream states later, whatever its header says, is judged before it takes memory.
    stream.codec_context.options = {"max_pixels": str(most_pixels(stream.codec_context))}
    return stream


def reason(error: Exception) -> str:
    """Why FFmpeg gave up, in words."""
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {PATIENCE:g} s"
    larger = f"{told(error)}, such as a picture of more than {MOST_PIXELS} pixels"
    return larger if getattr(error, "errno", 0) == errno.EINVAL else told(error)
