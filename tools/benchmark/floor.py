"""The least that preprocessing must do: find the face in the first frame, decode, cut, resize. Nothing is kept.

    python -m tools.benchmark.floor video.avi folder_of_png --core 0

One pinned core, the decoder that the toolbox ships as its default, files in the page cache, median of five.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from dataset.data_loader.base import natural_sort
from dataset.face import get_detector
from dataset.face.boxes import clip_box, enlarge, full_frame, largest
from dataset.files.frames import Frame
from dataset.files.images import iter_images
from dataset.files.video import iter_frames

SIZE = (72, 72)  # width, height
COEFFICIENT = 1.5  # growth of the face box


def main(arguments: Sequence[str] | None = None) -> None:
    """Print frames per second of each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="+", type=Path)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args(arguments)
    pin(asked.core)
    for video in asked.video:
        frames, seconds = zip(*(floor(video) for _ in range(asked.repeats + 1)), strict=True)
        median = statistics.median(seconds[1:])  # the first run fills the page cache
        print(f"{video}: {frames[0]} frames, {frames[0] / median:.0f} frames/s")


def floor(video: Path) -> tuple[int, float]:
    """Frames and seconds of one pass over `video`, a file or a folder of images."""
    detector = get_detector("HC")
    begin = time.perf_counter()
    count, box = 0, None
    for frame in open_video(video):
        if box is None:
            face = largest(detector.detect(frame.rgb()))
            box = full_frame(frame.shape) if face is None else clip_box(enlarge(face, COEFFICIENT), frame.shape)
        cv2.resize(frame.rgb(box), SIZE, interpolation=cv2.INTER_AREA)
        count += 1
    return count, time.perf_counter() - begin


def open_video(video: Path) -> Iterable[Frame]:
    """Frames of a file, or of the images in a folder."""
    return iter_images(natural_sort(video.iterdir())) if video.is_dir() else iter_frames(video)


def pin(core: int | None) -> None:
    """Keep this process and OpenCV on one core; None: only OpenCV on one thread."""
    cv2.setNumThreads(1)
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    main()
