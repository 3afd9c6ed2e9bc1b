"""Frames out of video files and image folders, one at a time, with their real times.

A frame is turned into RGB only where it is looked at: `Frame.rgb(box)` cuts the box out of the decoded planes first and
converts that. The pixels are the same as those of the whole frame converted and cut afterwards.
"""

import contextlib
import ctypes
import functools
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from dataset.files.image_size import image_size
from dataset.files.reading import AGAIN, open_array, read_bytes, require_file, told

Box = tuple[int, int, int, int]  # x, y, width, height in pixels, inside the frame

ALIGN = 16  # columns: swscale's vector code then takes the same path for a cut as for the whole frame
CHROMA = {  # pixel formats that can be cut exactly: (columns, rows) per chroma sample
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
}
TOLERATED = 0.01  # share of undecodable frames that is flagged; more is an error
MOST_PIXELS = 1 << 25  # of a picture: 8K has fewer, and headers may state anything
KEPT = {"h264": 16, "hevc": 16, "vvc": 16, "vp9": 10, "av1": 10, "libdav1d": 10}  # pictures that a decoder may hold
MOST_KEPT = 24 * MOST_PIXELS  # bytes of them: 16 pictures of 8K in 8 bits
PATIENCE = 30.0  # seconds for the next frame: a demuxer may look for one in any number of zeros
LARGEST_IMAGE = 1 << 28  # bytes of an image file
# Containers that hold their video themselves; FFmpeg would follow a playlist, whatever its ending, to other files.
CONTAINERS = (
    "avi,mov,mp4,matroska,webm,mpeg,mpegts,mpegvideo,m4v,h264,hevc,asf,flv,ogg,mxf,nut,yuv4mpegpipe,dv,gif,ivf,wav"
)
WAYS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}  # options of FFmpeg, whoever calls it
PICTURES = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails  # not the video itself
OF_ONE_SIZE = ("rawvideo", "ffv1", "huffyuv", "ffvhuff", "utvideo")  # codecs whose size stands in the header alone

PYAV = int(av.__version__.split(".")[0])
# PyAV refuses files with tags that are not UTF-8 unless told to replace such bytes; from 19 on it escapes them itself.
ODD_TEXTS = {"metadata_errors": "replace"} if PYAV < 19 else {}


class VideoError(ValueError):
    """A video or image that cannot be read as it should; the message names file, reason and remedy."""


class Frame:
    """One picture of a video: `time` in seconds after the first frame (None where unknown), `shape` = (H, W)."""

    time: float | None = None
    shape: tuple[int, int]

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box` = (x, y, w, h), or all of it: (h, w, 3) uint8 RGB; maybe a view, not to be changed."""
        raise NotImplementedError

    def thermal(self, box: Box | None = None) -> np.ndarray | None:
        """The same part as a thermal camera sees it: (h, w) float32, degrees Celsius; None without such a camera."""
        return None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole frame as an array, for `np.asarray(frame)`."""
        return np.array(self.rgb(), dtype=dtype)


class ArrayFrame(Frame):
    """A frame that is already an array (H, W, 3) uint8; `order` says whether it is RGB or BGR."""

    def __init__(self, array: np.ndarray, time: float | None = None, order: str = "RGB"):
        """Wrap `array` without copying it."""
        self.array = array
        self.time = time
        self.shape = array.shape[:2]
        self._swap = order == "BGR"

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        part = cut(self.array, box)
        return cv2.cvtColor(part, cv2.COLOR_BGR2RGB) if self._swap else part


def as_frame(frame: Frame | np.ndarray) -> Frame:
    """`frame` itself, or an array (H, W, 3) uint8 RGB wrapped; VideoError for other arrays."""
    if isinstance(frame, Frame):
        return frame
    array = np.asarray(frame)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise VideoError(
            f"A frame is an array {array.shape} of {array.dtype}; read_video must yield (H, W, 3) uint8 RGB frames."
        )
    return ArrayFrame(array)


def cut(array: np.ndarray, box: Box | None) -> np.ndarray:
    """View of `array` (H, W, ...) inside `box`; all of it without one."""
    if box is None:
        return array
    x, y, w, h = box
    return array[y : y + h, x : x + w]


# --- What was noticed while decoding ---------------------------------------------------------------------------------


@dataclass
class Decoding:
    """The decoder in use, what it noticed (counts by name, such as `corrupt_frames`), and the files it was given.

    Of a folder of images only the first is named. With `unseen`, files are not decoded: so many frames without time
    and pixels stand for theirs, to learn what times a data set gives to them.
    """

    decoder: str = "pyav"
    notes: dict[str, int] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    unseen: int | None = None


_CURRENT: ContextVar[Decoding | None] = ContextVar("decoding", default=None)


@contextlib.contextmanager
def decoding(decoder: str = "pyav", unseen: int | None = None) -> Iterator[Decoding]:
    """Within the block `iter_frames` uses `decoder`, whoever calls it, and enters what it notices into the value.

    Loaders call `iter_frames(path)` without knowing the settings of the run; this is how the setting reaches them.
    """
    state = Decoding(decoder, unseen=unseen)
    token = _CURRENT.set(state)
    try:
        yield state
    finally:
        _CURRENT.reset(token)


def _remember(path: Path) -> None:
    state = _CURRENT.get()
    if state is not None:
        state.files.append(path)


def _note(name: str, count: int) -> None:
    state = _CURRENT.get()
    if state is not None and count:
        state.notes[name] = count


# --- Video files -----------------------------------------------------------------------------------------------------


def iter_frames(path: str | Path, decoder: str | None = None, count: int | None = None) -> Iterator[Frame]:
    """Yield the frames of the video file `path` in order, at their real times.

    `decoder` is "pyav" or "opencv"; None: that of the enclosing `decoding` block, else PyAV. `count`: how many frames
    there have to be, where the data set says so and the headers of its files do not. Raises VideoError for files that
    are missing, empty, no video, damaged, or that end before that number or the length their header states.
    """
    path = Path(path)
    state = _CURRENT.get()
    decoder = decoder or (state.decoder if state else "pyav")
    if decoder not in DECODERS:
        raise VideoError(f"Unknown decoder {decoder!r}. Known: {', '.join(DECODERS)}.")
    try:
        require_file(path)
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    if not path.stat().st_size:
        raise VideoError(f"'{path}' is empty (0 bytes). {AGAIN}")
    _remember(path)
    if state is not None and state.unseen is not None:
        return (Frame() for _ in range(state.unseen))
    return _of_one_size(DECODERS[decoder](path, count), path)


def _of_one_size(frames: Iterable[Frame], path: Path) -> Iterator[Frame]:
    size = OneSize()
    for frame in frames:
        size.check(frame.shape, f"'{path}'")
        yield frame


class OneSize:
    """Refuses a picture of another size than the one before: a box would cut something else out of it."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._shape: tuple[int, int] | None = None

    def check(self, shape: tuple[int, ...], name: str) -> None:
        """VideoError with the `name` of the file for a picture whose `shape` (H, W, ...) differs, or is too large."""
        require_size(shape[1], shape[0], name)
        self._shape = self._shape or shape[:2]
        if self._shape != shape[:2]:
            (height, width), (before_h, before_w) = shape[:2], self._shape
            raise VideoError(
                f"{name} has a picture of {width} x {height} after those of {before_w} x {before_h}. Bring all to one "
                f"size (for a video: ffmpeg -i IN -vf scale={before_w}:{before_h} OUT), or leave the recording out."
            )


def frame_count(path: str | Path) -> int | None:
    """Frames of a video file by its header; None where it does not say."""
    try:
        with _opened(require_file(path)) as container:
            return _video_of(container, Path(path)).frames or None
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def _opened(path: str | Path) -> Any:
    """The container at `path`, which cannot lead to other files or to the network."""
    options = WAYS | {"max_pixels": str(MOST_PIXELS)}
    # Before PyAV 17 options that reach the streams, too, end the process when a stream appears after the header.
    reach = "options" if PYAV >= 17 else "container_options"
    return av.open(f"file:{path}", timeout=PATIENCE, **{reach: options}, **ODD_TEXTS)


def _video_of(container: Any, path: Path) -> Any:
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
    stream.codec_context.options = {"max_pixels": str(_most_pixels(stream.codec_context))}
    return stream


def _most_pixels(codec: Any) -> int:
    """Of a picture, so that all those which the decoder keeps for reference fit into MOST_KEPT bytes."""
    bits = codec.format.padded_bits_per_pixel if codec.format else 12
    return min(MOST_PIXELS, MOST_KEPT * 8 // (KEPT.get(codec.name, 1) * max(bits, 1)))


def require_size(width: int, height: int, name: str) -> None:
    """VideoError for a picture of more than MOST_PIXELS pixels, before memory is taken for it."""
    if width * height > MOST_PIXELS:
        raise VideoError(f"{name} states a picture of {width} x {height}, more than {MOST_PIXELS} pixels. {AGAIN}")


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
    _note("frames_without_time", max(0, index + 1 - len(times)))


@dataclass
class _Tally:
    """Packets and frames of one file, to find out whether all of it was decoded."""

    expected: int | None = None  # frames, by another source than the header
    packets: int = 0
    discarded: int = 0  # by an edit list: decoded for reference, never shown
    frames: int = 0
    corrupt: int = 0
    last: float = 0.0  # time of the last frame, seconds


def _iter_pyav(path: Path, count: int | None = None) -> Iterator[Frame]:
    _keep_freed_buffers()
    tally = _Tally(count)
    try:
        with _opened(path) as container:
            stream = _video_of(container, path)
            # One thread: as fast as several on one core, and workers do not take each other's cores.
            stream.codec_context.thread_count = 1
            yield from _decode(container, stream, tally)
            _check_complete(path, container, stream, tally)
    except VideoError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        where = f" after {tally.frames} frames" if tally.frames else ""
        raise VideoError(f"'{path}' cannot be decoded{where}: {_reason(error)}. {AGAIN}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {PATIENCE:g} s"
    larger = f"{told(error)}, such as a picture of more than {MOST_PIXELS} pixels"
    return larger if isinstance(error, av.error.ArgumentError) else told(error)


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
            yield _DecodedFrame(picture, time, reformatter, rotation)


def _check_complete(path: Path, container: Any, stream: Any, tally: _Tally) -> None:
    if not tally.frames:
        raise VideoError(f"'{path}' has no frame that can be decoded. {AGAIN}")
    stated = stream.frames if tally.expected is None else tally.expected
    missing = stated - tally.packets
    if missing > 1:  # recorders that count one too many exist; their files are whole
        raise VideoError(f"'{path}' ends early: {tally.packets} of {stated} frames. {AGAIN}")
    _note("missing_frames", max(missing, 0))
    lost = max(tally.packets - tally.discarded - tally.frames, 0) + tally.corrupt
    if lost > max(1, TOLERATED * tally.packets):
        raise VideoError(f"'{path}' is damaged: {lost} of {tally.packets} frames cannot be decoded. {AGAIN}")
    _note("corrupt_frames", lost)
    missing = cut_off(path)
    if missing:
        raise VideoError(f"'{path}' ends early: {missing} bytes are missing. {AGAIN}")
    length = None if tally.expected else _stated_length(container, stream)
    if length and tally.last is not None and tally.last < length - max(1.0, 0.02 * length):
        raise VideoError(f"'{path}' ends early: at {tally.last:.1f} s of {length:.1f} s. {AGAIN}")


def cut_off(path: Path) -> int:
    """Bytes that a Matroska or WebM file lacks of what its segment states; 0 for others, and where it states nothing.

    RFC 8794 (EBML): a header, then one segment; each has an identifier and a size whose leading zeros tell its bytes.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return 0
    at, size = _ebml_size(head, 4)
    segment = at + (size or 0)
    start, length = _ebml_size(head, segment + 4)
    if head[segment : segment + 4] != b"\x18\x53\x80\x67" or length is None:
        return 0
    return max(start + length - path.stat().st_size, 0)


def _ebml_size(data: bytes, at: int) -> tuple[int, int | None]:
    """(where the content starts, its length) of an element whose size stands at `at`; None: unknown."""
    bytes_long = 9 - data[at : at + 1].rjust(1, b"\x01")[0].bit_length()
    value = int.from_bytes(data[at : at + bytes_long], "big") - (1 << 7 * bytes_long)
    return at + bytes_long, None if value == (1 << 7 * bytes_long) - 1 else value


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


class _DecodedFrame(Frame):
    """A frame as PyAV decodes it: planes of YUV or packed colour, to be shown after `rotation` quarter turns left."""

    def __init__(self, picture: Any, time: float | None, reformatter: VideoReformatter, rotation: int):
        """`reformatter` is shared by the frames of a video: it keeps what it needs for a conversion."""
        self.time = time
        self.shape = (picture.width, picture.height) if rotation % 2 else (picture.height, picture.width)
        self._picture = picture
        self._reformatter = reformatter
        self._rotation = rotation

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        if not self._rotation:
            return self._cut(box)
        stored = _turned_back(box or (0, 0, self.shape[1], self.shape[0]), self.shape, self._rotation)
        return np.ascontiguousarray(np.rot90(self._cut(stored), self._rotation))

    def _cut(self, box: Box | None) -> np.ndarray:
        picture = self._picture
        name = picture.format.name
        if name in ("bgr24", "rgb24") and (picture.planes[0].line_size > 0 or NEGATIVE_STRIDES):
            part = cut(_packed(picture.planes[0], picture), box)
            return cv2.cvtColor(part, cv2.COLOR_BGR2RGB) if name == "bgr24" else part
        if box is None or name not in CHROMA or picture.width % 2 or picture.height % 2:
            return cut(self._convert(picture), box)
        x0, y0, smaller = _cut_planes(picture, box, CHROMA[name])
        x, y, w, h = box
        return cut(self._convert(smaller), (x - x0, y - y0, w, h))

    def _convert(self, picture: Any) -> np.ndarray:
        converted = self._reformatter.reformat(picture, format="rgb24")
        return _packed(converted.planes[0], converted)


# Before PyAV 18 the buffer of a bottom-up plane began at the wrong end: such frames are converted as a whole there.
NEGATIVE_STRIDES = PYAV >= 18


def _packed(plane: Any, picture: Any) -> np.ndarray:
    """View (H, W, 3) of a plane of 3 bytes a pixel; rows from top to bottom."""
    rows = np.frombuffer(plane, np.uint8).reshape(picture.height, abs(plane.line_size))
    pixels = rows[:, : 3 * picture.width].reshape(picture.height, picture.width, 3)
    return pixels if plane.line_size > 0 else pixels[::-1]


def _cut_planes(picture: Any, box: Box, chroma: tuple[int, int]) -> tuple[int, int, Any]:
    """(x, y, frame): the smallest part around `box` that lies on the chroma grid, as a frame of the same format."""
    x, y, w, h = box
    x0, y0 = x // ALIGN * ALIGN, y // 2 * 2
    x1, y1 = min(-(-(x + w) // ALIGN) * ALIGN, picture.width), min(-(-(y + h) // 2) * 2, picture.height)
    part = av.VideoFrame(x1 - x0, y1 - y0, picture.format.name)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    for number, (source, target) in enumerate(zip(picture.planes, part.planes, strict=True)):
        sx, sy = chroma if number else (1, 1)
        pixels = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)
        copied = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)
        top, left = y0 // sy, x0 // sx
        copied[: target.height, : target.width] = pixels[top : top + target.height, left : left + target.width]
    return x0, y0, part


def _turned_back(box: Box, shape: tuple[int, int], quarters: int) -> Box:
    """Where `box` of the frame as shown, (H, W) = `shape`, lies in the stored one, before `quarters` turns left."""
    x, y, w, h = box
    height, width = shape
    if quarters == 1:
        return height - y - h, x, h, w
    if quarters == 2:
        return width - x - w, height - y - h, w, h
    return y, width - x - w, h, w


def _iter_opencv(path: Path, expected: int | None = None) -> Iterator[Frame]:
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
    _note("missing_frames", max(missing, 0))


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
        with _opened(path) as container:
            stream = _video_of(container, path)
            if stream is not container.streams.video[0]:
                raise VideoError(f"'{path}' begins with an attached picture. Set DECODER: pyav, or leave it out.")
            if stream.codec_context.name not in OF_ONE_SIZE:
                stream.codec_context.skip_frame = "NONKEY"
                stream.codec_context.thread_count = 1
                for picture in container.decode(stream):
                    size.check((picture.height, picture.width), f"'{path}'")
    except av.error.FFmpegError as error:
        raise VideoError(f"'{path}' cannot be opened: {_reason(error)}. Try DECODER: pyav, or: {AGAIN}") from None


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


OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OPENING = threading.Lock()  # the environment is that of the whole process
DECODERS = {"pyav": _iter_pyav, "opencv": _iter_opencv}


# --- Image folders ---------------------------------------------------------------------------------------------------


def iter_images(paths: Iterable[str | Path], times: Sequence[float] | np.ndarray | None = None) -> Iterator[Frame]:
    """Yield one frame per image file in the given order; `times` in seconds, as many as there are files.

    A file is decoded when its pixels are asked for; VideoError names one that cannot be.
    """
    paths = [Path(path) for path in paths]
    if times is not None and len(times) != len(paths):
        raise VideoError(f"{len(paths)} images but {len(times)} frame times.")
    if paths:
        _remember(paths[0])
    size = OneSize()
    for index, path in enumerate(paths):
        yield ImageFrame(functools.partial(read_image, path, size), None if times is None else float(times[index]))


class ImageFrame(Frame):
    """A compressed picture, decoded once at the first look; `decode` returns its pixels as BGR."""

    def __init__(self, decode: Callable[[], np.ndarray], time: float | None):
        """Nothing is read yet."""
        self.time = time
        self._decode = decode
        self._pixels: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self._bgr().shape[:2]

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """The part inside `box`."""
        return cv2.cvtColor(cut(self._bgr(), box), cv2.COLOR_BGR2RGB)

    def _bgr(self) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._decode()
        return self._pixels


def read_image(path: Path, one: OneSize | None = None) -> np.ndarray:
    """The image file `path` as (H, W, 3) uint8 BGR; VideoError when it is missing, no image, or cut short.

    With `one`, all its pictures have to be of one size.
    """
    try:
        data = np.frombuffer(read_bytes(path, LARGEST_IMAGE), np.uint8)
    except (OSError, ValueError) as error:
        raise VideoError(str(error)) from None
    return decode_image(data, f"'{path}'", one)


def decode_image(data: np.ndarray, name: str, one: OneSize | None = None) -> np.ndarray:
    """The bytes (L,) uint8 of an image file as (H, W, 3) uint8 BGR; VideoError with its `name` when that fails."""
    # A cut JPEG decodes without an error, its lower part grey: only the missing end marker tells.
    if data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:].tobytes():
        raise VideoError(f"{name} is cut short (no end of the JPEG data). {AGAIN}")
    size = image_size(memoryview(data))
    if size is not None:
        require_size(*size, name)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise VideoError(f"{name} cannot be decoded as an image ({data.size} bytes). {AGAIN}")
    if one is not None:
        one.check(pixels.shape, name)
    return pixels


# --- Arrays ----------------------------------------------------------------------------------------------------------


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
