"""Videos the tests make themselves: a moving photograph of a face, written with a named codec."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage import data

from dataset.synthetic.writer import write_raw_avi

CODECS = {  # encoder, pixel format, options
    "mjpg": ("mjpeg", "yuvj422p", {"q:v": "2"}),
    "mjpg420": ("mjpeg", "yuvj420p", {"q:v": "2"}),
    "h264": ("libx264", "yuv420p", {"crf": "18", "preset": "ultrafast"}),
    "ffv1": ("ffv1", "yuv420p", {}),
    "ffv1_422": ("ffv1", "yuv422p", {}),
    "ffv1_444": ("ffv1", "yuv444p", {}),
    "ffv1_10bit": ("ffv1", "yuv420p10le", {}),
    "ffv1_rgb": ("ffv1", "bgr0", {}),
}

# Releases that end the whole process on uncompressed AVI files stored bottom-up; the toolbox refuses to let them try.
BOTTOM_UP_ABORTS = tuple(int(part) for part in cv2.__version__.split(".")[:2]) >= (4, 13)


def moving_face(count: int = 12, width: int = 320, height: int = 240, seed: int = 0) -> list[np.ndarray]:
    """`count` frames (H, W, 3) uint8 RGB of a face that sways, with a pulse and noise."""
    photo = cv2.resize(data.astronaut()[:330, 60:420], (int(height * 360 / 330), height), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), (90, 110, 130), np.int16)
        left = int((width - photo.shape[1]) / 2 + 3 * np.sin(index / 5))
        frame[:, left : left + photo.shape[1]] = photo
        frame += rng.integers(-3, 4, frame.shape, dtype=np.int16) + int(round(2 * np.sin(index / 3)))
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return frames


def write_video(
    path: Path, frames: Iterable[np.ndarray], codec: str = "mjpg", fs: float = 30.0, times: np.ndarray | None = None
) -> Path:
    """Write RGB frames to `path`; raw and raw_top_down are uncompressed AVI. `times` in seconds make the rate vary."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    if codec.startswith("raw"):
        with path.open("wb") as file:
            write_raw_avi(file, frames, len(frames), width, height, fs, codec == "raw")
        return path
    name, pixels, options = CODECS[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=Fraction(fs).limit_denominator(1001), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)
            if times is not None:
                picture.pts, picture.time_base = round(times[index] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def cut_file(path: Path, share: float = 0.5) -> Path:
    """Keep only the first `share` of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
