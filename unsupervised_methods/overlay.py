"""The video with what was measured drawn in: the region, the wave, the rate at that moment. Same size, same clock.

Frames are decoded, drawn on and written one by one, so memory does not grow with the length. H.264; the sound is not
copied. A size that is odd is written with full colours (4:4:4), as half of it could not be.
"""

import contextlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from dataset.files.decoding import decoding
from dataset.files.frames import Frame, as_frame
from dataset.files.names import shown
from dataset.files.reading import told
from dataset.files.writing import replacing
from dataset.prepare.node import has_raw, make_loader
from dataset.progress import show_progress
from dataset.store.cache import safe_name
from evaluation.consensus import Answer
from evaluation.view import View

TICKS = 90_000  # per second: what frame rates are made of, 30000/1001 too
SHOWN = 6.0  # s of the wave below the picture, up to the frame
STRIP = 0.16  # of the height, for the wave
REGION, WAVE, SURE, UNSURE = (60, 220, 60), (255, 90, 80), (255, 255, 255), (255, 200, 80)  # RGB
QUALITY = {"crf": "20", "preset": "veryfast"}
UNREADABLE = (ValueError, OSError, RuntimeError, av.error.FFmpegError)  # of one video; the others go on


def write_overlays(folder: Path, prepared: Any, data: Any, found: list[tuple[Answer, View | None]]) -> list[Path]:
    """Write `<recording>.mp4` into `folder` for every answer with a wave, and print where, or why there is none."""
    written = []
    loader = make_loader(data)
    recordings = {} if prepared.legacy or not has_raw(data, loader) else {one.id: one for one in prepared.recordings}
    for one, seen in found:
        if seen is None:
            print(f"No overlay of {shown(one.id)}: nothing was measured ({one.reason}).")
        elif one.id not in recordings:
            print(f"No overlay of {shown(one.id)}: its video is not there, only its faces in the cache.")
        else:
            try:
                entry = prepared.entry(one.id)
                with decoding(data.PREPROCESS.get("DECODER", "pyav")):
                    frames = map(as_frame, loader.read_video(recordings[one.id]))
                    path = write_overlay(folder / f"{safe_name(one.id)}.mp4", frames, entry, one, seen)
            except UNREADABLE as error:
                print(f"No overlay of {shown(one.id)}: {told(error)}.")
            else:
                print(f"Overlay: {path}")
                written.append(path)
    return written


def write_overlay(path: Path, frames: Iterator[Frame], entry: Any, one: Answer, seen: View) -> Path:
    """Write `frames` with what `one` and `seen` say of them to `path`; `entry` holds boxes and times of its faces."""
    clock = np.arange(len(entry.trace)) / entry.fs if entry.times is None else np.asarray(entry.times, float)
    dropped = "lost_frames_dropped" in entry.flags  # else the entry's times are the frames', in order
    painter = Painter(one, seen, clock, entry.boxes)
    with replacing(path, ending=".mp4") as temporary, contextlib.closing(Writer(temporary, entry.fs)) as writer:
        for index, frame in enumerate(show_progress(frames, one.id, len(clock), "frames", keep=False)):
            time = frame.time if dropped and frame.time is not None else clock[min(index, len(clock) - 1)]
            writer.add(painter.paint(np.array(frame.rgb()), time), time)
    return path


class Writer:
    """An MP4 file that takes pictures one at a time, each at its own time."""

    def __init__(self, path: Path, fs: float, options: Mapping[str, str] = QUALITY):
        """Open `path` for about `fs` frames per second; `options` of x264."""
        self._file, self._options = av.open(str(path), "w", format="mp4"), dict(options)
        self._rate, self._stream, self._last = Fraction(fs).limit_denominator(1001), None, -1

    def add(self, rgb: np.ndarray, time: float) -> None:
        """Take `rgb` (H, W, 3) uint8 at `time` (s); times that stand still move on by the smallest step."""
        if self._stream is None:
            self._stream = self._opened(*rgb.shape[:2])
        picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=self._stream.pix_fmt)
        picture.pts = self._last = max(self._last + 1, round(time * TICKS))
        picture.time_base = Fraction(1, TICKS)
        self._file.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Write what is still held back."""
        try:
            if self._stream is not None:
                self._file.mux(self._stream.encode())
        finally:
            self._file.close()

    def _opened(self, height: int, width: int) -> Any:
        stream = self._file.add_stream("libx264", rate=self._rate, options=self._options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        return stream


class Painter:
    """Draws the answer `one` and what is `seen` of it on frames; `boxes` (T, 4) lie at `clock` (T,) in s."""

    def __init__(self, one: Answer, seen: View, clock: np.ndarray, boxes: np.ndarray):
        """Work out what stays the same."""
        self._one, self._seen, self._clock, self._boxes = one, seen, clock, boxes
        self._scale = np.abs(seen.wave).max() or 1.0

    def paint(self, rgb: np.ndarray, time: float) -> np.ndarray:
        """`rgb` (H, W, 3) uint8 with region, wave and rate at `time` (s), drawn in place."""
        thick = max(1, round(rgb.shape[0] / 300))
        if len(self._boxes):
            x, y, w, h = (int(v) for v in self._boxes[np.abs(self._clock - time).argmin()])
            cv2.rectangle(rgb, (x, y), (x + w - 1, y + h - 1), REGION, thick)
        self._wave(rgb, time - self._clock[0], thick)
        self._words(rgb, time - self._clock[0], thick)
        return rgb

    def _wave(self, rgb: np.ndarray, time: float, thick: int) -> None:
        """The last seconds of the wave on a darkened strip at the bottom; the frame's moment is at its right end."""
        height, width = rgb.shape[:2]
        strip = max(8, round(STRIP * height))
        rgb[height - strip :] //= 3
        times = self._seen.times
        shown = slice(*np.searchsorted(times, (time - SHOWN, time + 1e-6)))
        across = (times[shown] - time + SHOWN) / SHOWN * (width - 1)
        up = height - strip / 2 - 0.45 * strip * self._seen.wave[shown] / self._scale
        points = np.round(np.stack([across, up], axis=1)).astype(np.int32)
        cv2.polylines(rgb, [points.reshape(-1, 1, 2)], False, WAVE, thick, cv2.LINE_AA)

    def _words(self, rgb: np.ndarray, time: float, thick: int) -> None:
        height, course = rgb.shape[0], self._one.course
        rate = float(np.interp(time, course.times, course.rates))
        text, colour = (f"{rate:.0f} bpm", SURE) if self._one.reliable else ("no reliable pulse", UNSURE)
        size = height / 400 if self._one.reliable else height / 600
        place = (round(0.02 * height), round((1 - STRIP) * height) - round(0.03 * height))
        for ink, width in (((0, 0, 0), 3 * thick), (colour, thick)):
            cv2.putText(rgb, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, width, cv2.LINE_AA)
