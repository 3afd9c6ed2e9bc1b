"""Frames with their times for the terminal view: of a camera of this machine, or of a video file in real time."""

import math
import queue
import threading
import time as clock
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from dataset.files.frames import VideoError
from dataset.files.video import iter_frames
from unsupervised_methods.live.rolling import GAP

WIDTH, HEIGHT, FPS = 640, 480, 30  # asked for; what comes is measured
SILENT = 5.0  # s without a frame after which a camera is given up
NEAR = 1.0  # s between the driver's stamp and this machine's clock for which the stamp is one of that clock
Timed = tuple[np.ndarray, float]  # (H, W, 3) uint8 RGB, s


def film(path: Path) -> Iterator[Timed]:
    """The frames of the video `path`, none before its time. VideoError where it cannot be read or has no times.

    Frames that are not later than the one before are left out, and a gap in which nothing happens is not waited for.
    """
    begun, last = 0.0, -math.inf
    for frame in iter_frames(path):
        if frame.time is None:
            raise VideoError(f"'{path}' does not say when its frames were taken. --video {path} FS=30 takes a rate.")
        if frame.time <= last:
            continue
        if frame.time - last > GAP:
            begun = clock.monotonic() - frame.time
        last = frame.time
        clock.sleep(max(0.0, begun + frame.time - clock.monotonic()))
        yield frame.rgb(), frame.time


def camera(name: str) -> Iterator[Timed]:
    """The frames of camera `name`, a number or a device such as /dev/video0, until it is gone or nobody asks for more.

    A thread of its own takes them from the driver and keeps the newest two: what is slow costs frames, not time.
    OSError where the camera cannot be opened or gives no frames.
    """
    opened = cv2.VideoCapture(int(name) if name.isdigit() else name)
    try:
        if not opened.isOpened():
            raise OSError(
                f"Camera {name} cannot be opened. Is it connected, and used by no other program? Cameras of Linux are "
                "/dev/video0 and so on; reading them takes membership in the group video."
            )
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, WIDTH),
            (cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT),
            (cv2.CAP_PROP_FPS, FPS),
        ):
            opened.set(key, value)
        yield from _newest(opened, name)
    finally:
        opened.release()


def _newest(opened: cv2.VideoCapture, name: str) -> Iterator[Timed]:
    frames: queue.Queue[Timed | None] = queue.Queue(2)
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(opened, frames, ended), daemon=True)
    reader.start()
    try:
        while True:
            try:
                frame = frames.get(timeout=SILENT)
            except queue.Empty:
                frame = None
            if frame is None:
                raise OSError(f"Camera {name} gives no frames any more. Connect it again.")
            yield frame
    finally:
        ended.set()
        reader.join(SILENT)  # it is in a call of the driver for a frame's time at most


def _read(opened: cv2.VideoCapture, frames: queue.Queue, ended: threading.Event) -> None:
    """Take frames from the driver until `ended` or there are none; None says so."""
    last = 0.0
    while not ended.is_set():
        if not opened.grab():
            _put(frames, None)
            return
        now = clock.monotonic()
        stamp = opened.get(cv2.CAP_PROP_POS_MSEC) / 1000
        time = stamp if abs(now - stamp) < NEAR else now
        there, bgr = opened.retrieve()
        if there and bgr is not None and time > last:
            last = time
            _put(frames, (cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), time))


def _put(frames: queue.Queue, frame: Timed | None) -> None:
    """Into the queue, in place of the oldest where it is full; only the reader puts, so there is room then."""
    try:
        frames.put_nowait(frame)
    except queue.Full:
        try:
            frames.get_nowait()
        except queue.Empty:
            pass
        frames.put_nowait(frame)
