"""Video files: compressed ones through PyAV, uncompressed AVI by hand; the same frames give the same bytes."""

import dataclasses
import os
import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from dataset.synthetic.render import Session
from dataset.synthetic.settings import Settings

EXTENSIONS = {
    "h264": ".mp4",
    "mjpg": ".avi",
    "mpeg4": ".avi",
    "ffv1": ".mkv",
    "raw": ".avi",
    "raw_top_down": ".avi",
    "i420": ".avi",
}
_KEY_FRAME_SECONDS = 2  # as webcams and recorders set it
_LIMIT = 2**32 - 1  # bytes: the sizes in an AVI header have 32 bits


def extension(codec: str) -> str:
    """File name ending, with its dot, of `codec`: AVI for mjpg, mpeg4, raw and i420, MP4 for h264, MKV for ffv1."""
    return EXTENSIONS[codec]


def write_recording(path: Path, session: Session) -> None:
    """Render `session` into the video file `path` in its settings' codec."""
    settings = dataclasses.replace(session.settings, crf=(session.crf, session.crf))
    write_video(path, session.frames(), session.course.times, settings)


def write_video(path: Path, frames: Iterable[np.ndarray], times: np.ndarray, settings: Settings) -> None:
    """Write `frames` (H, W, 3) uint8 RGB; `times` (T,) in s become time stamps where the container has them.

    AVI has a fixed rate: there a lost frame makes what follows early, as it does in a real webcam's file. Of a range of
    rate factors the better end is taken; `write_recording` draws.
    """
    if settings.codec in ("raw", "raw_top_down"):
        with open(path, "wb") as file:
            count = len(times)
            write_raw_avi(file, frames, count, settings.width, settings.height, settings.fs, settings.codec == "raw")
        return
    _write_compressed(path, frames, times, settings)


def write_raw_avi(
    file: BinaryIO, frames: Iterable[np.ndarray], count: int, width: int, height: int, fs: float, bottom_up: bool = True
) -> None:
    """Write an uncompressed BGR24 AVI of `count` frames, as VirtualDub or a webcam's own software does.

    Bottom-up is the ordinary order of a Windows bitmap (positive height) and that of UBFC-rPPG's files; FFmpeg's muxer
    writes only the other. Layout: Microsoft, "AVI RIFF file reference" (hdrl with avih, strh, strf; movi; idx1).
    Raises ValueError when the file would pass 4 GB, or when there are not `count` frames.
    """
    stride = (3 * width + 3) // 4 * 4  # rows are padded to four bytes
    size = stride * height
    if 4096 + count * (size + 24) > _LIMIT:
        raise ValueError(
            f"{count} raw frames of {width} x {height} are more than the 4 GB of an AVI file. "
            f"Shorten SYNTHETIC.SECONDS or choose SYNTHETIC.CODEC: ffv1, which is lossless, too."
        )
    header = _raw_header(count, width, height if bottom_up else -height, size, fs)
    movi = 4 + count * (8 + size)
    index = 16 * count
    file.write(b"RIFF" + struct.pack("<I", 4 + len(header) + 8 + movi + 8 + index) + b"AVI " + header)
    file.write(b"LIST" + struct.pack("<I", movi) + b"movi")
    padded = np.zeros((height, stride), np.uint8)
    number = 0
    for frame in frames:
        padded[:, : 3 * width] = frame[:: -1 if bottom_up else 1, :, ::-1].reshape(height, 3 * width)
        file.write(b"00db" + struct.pack("<I", size))
        file.write(padded.data)
        number += 1
    if number != count:
        raise ValueError(f"{number} frames came where {count} were announced.")
    file.write(b"idx1" + struct.pack("<I", index))
    for k in range(count):  # chunk, key frame flag, offset from the word "movi", size
        file.write(struct.pack("<4sIII", b"00db", 0x10, 4 + k * (8 + size), size))


def _raw_header(count: int, width: int, signed_height: int, size: int, fs: float) -> bytes:
    rate = Fraction(fs).limit_denominator(1001)
    height = abs(signed_height)
    main = struct.pack(
        "<14I", round(1e6 / fs), round(size * fs), 0, 0x10, count, 0, 1, size, width, height, 0, 0, 0, 0
    )  # fmt: skip
    stream = struct.pack(
        "<4s4sIHHIIIIIIII4H", b"vids", b"DIB ", 0, 0, 0, 0, rate.denominator, rate.numerator, 0, count, size,
        0xFFFFFFFF, 0, 0, 0, width, height,
    )  # fmt: skip
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, signed_height, 1, 24, 0, size, 0, 0, 0, 0)
    streams = _chunk(b"LIST", b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", bitmap))
    return _chunk(b"LIST", b"hdrl" + _chunk(b"avih", main) + streams)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def _write_compressed(path: Path, frames: Iterable[np.ndarray], times: np.ndarray, settings: Settings) -> None:
    kind = {".mp4": "mp4", ".avi": "avi", ".mkv": "matroska"}[path.suffix]
    with av.open(os.fspath(path), "w", format=kind, options={"fflags": "+bitexact"}) as container:
        codec, rate, options = _codec(settings)
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = settings.width, settings.height
        stream.pix_fmt = _PIXELS[settings.codec]
        stream.codec_context.thread_count = 1  # slices and rate control must not depend on the machine
        # Frame times are multiples of 1 / fs; AVI knows no gaps.
        ticks = range(len(times)) if kind == "avi" else np.rint(np.asarray(times) * settings.fs).astype(int).tolist()
        for frame, tick in zip(frames, ticks, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = tick, 1 / stream.codec_context.framerate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


_PIXELS = {"h264": "yuv420p", "mjpg": "yuvj422p", "mpeg4": "yuv420p", "ffv1": "bgr0", "i420": "yuv420p"}


def _codec(settings: Settings) -> tuple[str, Fraction, dict[str, str]]:
    rate = Fraction(settings.fs).limit_denominator(1001)
    if settings.codec == "h264":
        # A camera's encoder cannot look ahead. (x264's look-ahead also differs from run to run in the last bits.)
        live = {"preset": "veryfast", "tune": "zerolatency", "g": str(round(_KEY_FRAME_SECONDS * settings.fs))}
        return "libx264", rate, {"crf": str(settings.crf[0]), "flags": "+bitexact", **live}
    if settings.codec in ("mjpg", "mpeg4"):
        step = str(settings.jpeg_quantiser)  # as both bounds: PyAV does not hand on the quality of single frames
        name = {"mjpg": "mjpeg", "mpeg4": "mpeg4"}[settings.codec]
        return name, rate, {"flags": "+bitexact", "qmin": step, "qmax": step}
    if settings.codec == "i420":
        return "rawvideo", rate, {"flags": "+bitexact"}
    return "ffv1", rate, {"flags": "+bitexact", "level": "3", "slicecrc": "1"}
