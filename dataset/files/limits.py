"""What a picture or a video may be: how large, all of one size, and how much of it may be damaged."""

from typing import Any

from dataset.files.frames import VideoError
from dataset.files.reading import AGAIN

TOLERATED = 0.01  # share of undecodable frames that is flagged; more is an error
MOST_PIXELS = 1 << 25  # of a picture: 8K has fewer, and headers may state anything
KEPT = {"h264": 16, "hevc": 16, "vvc": 16, "vp9": 10, "av1": 10, "libdav1d": 10}  # pictures that a decoder may hold
MOST_KEPT = 24 * MOST_PIXELS  # bytes of them: 16 pictures of 8K in 8 bits


def require_size(width: int, height: int, name: str) -> None:
    """VideoError for a picture of more than MOST_PIXELS pixels, before memory is taken for it."""
    if width * height > MOST_PIXELS:
        raise VideoError(f"{name} states a picture of {width} x {height}, more than {MOST_PIXELS} pixels. {AGAIN}")


def most_pixels(codec: Any) -> int:
    """Of a picture, so that all those which the decoder keeps for reference fit into MOST_KEPT bytes."""
    bits = codec.format.padded_bits_per_pixel if codec.format else 12
    return min(MOST_PIXELS, MOST_KEPT * 8 // (KEPT.get(codec.name, 1) * max(bits, 1)))


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
