"""A video that grows: without loss, every frame by itself, in Matroska clusters of a fraction of a second.

H.264 in its lossless mode takes 4 ms for a YUYV frame of 640 x 480, FFV1 (RFC 9043) 9 ms for a fifth fewer bytes; both
give back the camera's own bytes. What a kill leaves lacks the index and the last cluster: `finish_video` copies the
whole packets into a proper file.
"""

import itertools
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dataset.files.writing import replacing
from tools.multimodal.device import Sample

MILLISECONDS = Fraction(1, 1000)
CLUSTER = {"cluster_time_limit": "200", "flush_packets": "1"}  # ms: what a kill may cost
LOSSLESS = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}
FFV1 = {"level": "3", "slices": "4", "slicecrc": "1", "coder": "rice"}  # rice: 2 % larger, 30 % faster
# (codec, last axis of a frame) -> how it comes, how it is stored, encoder, its options
HOW = {
    ("h264", 2): ("yuyv422", "yuv422p", "libx264", LOSSLESS),
    ("h264", 3): ("rgb24", "bgr0", "libx264rgb", LOSSLESS),
    ("ffv1", 2): ("yuyv422", "yuv422p", "ffv1", FFV1),
    ("ffv1", 3): ("rgb24", "bgr0", "ffv1", FFV1),
}
BT601, LIMITED = 5, 1  # what a USB camera's YUYV is, and so what a reader must know to show its colours


class GrowingVideo:
    """Frames in, packets out."""

    def __init__(self, path: Path, fps: float, codec: str):
        """Begin the file; the first frame says its size. `codec`: h264 or ffv1."""
        path.open("xb").close()
        self._path, self._fps, self._codec = path, fps, codec
        self._container, self._stream, self._began, self._last, self._shape = None, None, 0, -1, ()

    def append(self, sample: Sample) -> int:
        """Encode and write a frame (H, W, 3) RGB or (H, W, 2) YUYV; its bytes. ValueError for another size."""
        frame = np.ascontiguousarray(sample.data)
        if self._container is None:
            self._open(frame, sample.t_host_ns)
        if frame.shape != self._shape:
            raise ValueError(f"a frame of {frame.shape} after those of {self._shape}")
        packed, stored, *_ = HOW[self._codec, frame.shape[2]]
        picture = av.VideoFrame.from_ndarray(frame, format=packed).reformat(format=stored)
        self._last = max(self._last + 1, (sample.t_host_ns - self._began) // 1_000_000)
        picture.pts, picture.time_base = self._last, MILLISECONDS
        return self._write(self._stream.encode(picture))

    def _open(self, frame: np.ndarray, began: int) -> None:
        if frame.ndim != 3 or frame.shape[2] not in (2, 3) or frame.dtype != np.uint8:
            raise ValueError(f"frames are (H, W, 3) RGB or (H, W, 2) YUYV in 8 bits, not {frame.shape} {frame.dtype}")
        _, stored, encoder, options = HOW[self._codec, frame.shape[2]]
        if encoder not in av.codecs_available:
            raise ValueError(f"PyAV has no encoder {encoder} here; `codec: ffv1` needs none that is not always there")
        self._container = av.open(str(self._path), "w", format="matroska", options=CLUSTER)
        rate = Fraction(self._fps).limit_denominator(1000)
        stream = self._container.add_stream(encoder, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.shape[1], frame.shape[0], stored
        stream.gop_size, stream.time_base = 1, MILLISECONDS
        stream.codec_context.time_base, stream.codec_context.thread_count = MILLISECONDS, 1
        if frame.shape[2] == 2:
            stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED
        self._stream, self._began, self._shape = stream, began, frame.shape

    def _write(self, packets: list[av.Packet]) -> int:
        for packet in packets:
            self._container.mux(packet)
        return sum(packet.size for packet in packets)

    def flush(self, sync: bool) -> None:
        """A cluster goes to the system when its time is over; `sync`: what is there goes to the disk."""
        if sync:
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Write the last cluster and the index."""
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            for packet in self._stream.encode(None):
                container.mux(packet)
        finally:
            container.close()


def whole_packets(path: Path) -> int:
    """How many frames of a growing or finished video are whole: those before the first that cannot be decoded."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in _packets(container))
    except (av.error.FFmpegError, IndexError):  # too short to hold a header
        return 0


def finish_video(path: Path, count: int) -> None:
    """Give the video its index, with its first `count` frames; another file takes its place when all is written."""
    with replacing(path, ending=".mkv") as new, av.open(str(path)) as old:
        source = old.streams.video[0]
        with av.open(str(new), "w", format="matroska") as container:
            stream = container.add_stream_from_template(source)
            stream.time_base = source.time_base
            for packet in itertools.islice(_packets(old), count):
                packet.stream = stream
                container.mux(packet)


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet]:
    """The packets of the video whose frame is whole."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    packets = container.demux(stream)
    previous = None
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            break
        if not packet.size:
            continue
        if previous is not None:
            yield previous
        previous = packet
    if previous is not None and _decodes(stream, previous):  # only the last one can be cut off
        yield previous


def _decodes(stream: av.VideoStream, packet: av.Packet) -> bool:
    try:
        return not packet.is_corrupt and len(stream.codec_context.decode(packet)) == 1
    except av.error.FFmpegError:
        return False
