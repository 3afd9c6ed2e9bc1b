"""Writes one entry: frames as they come, everything beside them at the end."""

import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset.data_loader.base import Frames, Recording, Signal
from dataset.store import disk
from dataset.store.entry import ENTRY, FORMAT, SIGNALS
from dataset.store.order import in_order
from dataset.store.streams import FACES, THERMAL, StreamWriter, check_names, frame_rate


class EntryWriter:
    """Takes the faces of one recording one by one; set `signals`, `flags`, `info` and `fs` before the block ends.

    Of a recording without `video` no face is expected; further cameras come by `add_stream`, scalars as `targets`.
    """

    def __init__(self, folder: Path, recording: Recording, settings: dict[str, Any], video: bool = True):
        """Write into `folder`, which is empty."""
        self.signals: dict[str, Signal] = {}
        self.targets: dict[str, float] = {}
        self.flags: dict[str, Any] = {}
        self.info: dict[str, Any] = dict(recording.info)
        self.sources: Mapping[str, Any] = {}  # the files it is made of, see dataset.store.sources
        self.fs: float | None = None  # frames per second where the frames have no times
        self.times: list[float | None] = []
        self._folder, self._recording, self._settings, self._video = folder, recording, settings, video
        self._boxes: list[tuple[int, ...]] = []
        self._box_frames: list[int] = []
        self._trace: list[tuple[float, ...]] = []
        self._faces = StreamWriter(folder, FACES)
        self._thermal = StreamWriter(folder, THERMAL)
        self._streams: dict[str, StreamWriter] = {}
        self._clocks: dict[str, tuple[float, np.ndarray | None]] = {}  # fs and times of the further streams

    def __len__(self) -> int:
        """Faces so far."""
        return len(self.times)

    def append(
        self,
        face: np.ndarray,
        box: Sequence[int] | None = None,
        time: float | None = None,
        thermal: np.ndarray | None = None,
    ) -> None:
        """Add a face (H, W, 3) uint8, the box it was cut from, its time in seconds, and (H, W) float32 of its heat.

        Raises ValueError for a face of another size or type than the first, CacheError when it cannot be written.
        """
        if face.ndim != 3 or face.dtype != np.uint8:
            raise ValueError(f"A face is an array (H, W, C) of uint8, not {face.shape} of {face.dtype}.")
        self._faces.append(face)
        self._trace.append(cv2.mean(face)[:3])
        if box is not None and (not self._boxes or box != self._boxes[-1]):
            self._boxes.append(tuple(box))
            self._box_frames.append(len(self.times))
        if thermal is not None:
            if thermal.shape != face.shape[:2] or thermal.dtype != np.float32:
                raise ValueError(
                    f"Thermal frame {thermal.shape} of {thermal.dtype} is not {face.shape[:2]} of float32."
                )
            self._thermal.append(thermal)
        self.times.append(time)

    def add_stream(self, name: str, frames: Frames) -> None:
        """Add all frames of a further camera; ValueError for unusable ones, CacheError when they cannot be written."""
        check_names([name])
        writer = self._streams[name] = StreamWriter(self._folder, name)
        for frame in frames.frames:
            writer.append(np.asarray(frame))
        if not len(writer):
            raise ValueError(f"The stream {name!r} has no frames. Mend its file, or leave the recording out.")
        times = None if frames.times is None else np.asarray(frames.times, np.float64)
        if times is not None and (times.shape != (len(writer),) or not np.isfinite(times).all()):
            raise ValueError(f"The stream {name!r} has {len(writer)} frames, but not as many times that are numbers.")
        rate = (frame_rate(times) if times is not None else None) or frames.fs
        if not rate or not math.isfinite(rate) or rate < 0:
            raise ValueError(f"Nothing says how many frames per second the stream {name!r} has: give `fs` or `times`.")
        self._clocks[name] = float(rate), times

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Further cameras so far."""
        return tuple(self._streams)

    def frame_times(self) -> np.ndarray | None:
        """Times (T,) of the faces so far in seconds, as they are shown, or None when one of them has none."""
        return self._in_order()[0]

    @property
    def reordered(self) -> int:
        """Frames whose time was that of a neighbour."""
        return self._in_order()[1]

    def _in_order(self) -> tuple[np.ndarray | None, int]:
        return (None, 0) if None in self.times or not self.times else in_order(np.array(self.times))

    def finish(self) -> None:
        """Write what is left, then everything beside the frames; afterwards the folder is a whole entry."""
        self._check_content()
        with disk.writing(self._folder):
            checksums = {f"{writer.name}.npy": writer.finish() for writer in self._writers()}
            self.flags |= {
                f"{writer.name}_repeated_frames" if writer is not self._faces else "repeated_frames": writer.repeated
                for writer in self._writers()
                if writer.repeated and writer is not self._thermal
            }
            signals = self._signals_file()
            disk.write(self._folder / SIGNALS, signals)
            checksums[SIGNALS] = f"crc32:{zlib.crc32(signals):08x}"
            disk.write(self._folder / ENTRY, self._entry_file(checksums).encode(errors="backslashreplace"))
            disk.sync_folder(self._folder)

    def close(self) -> None:
        """Close all files of frames; harmless when they are closed already."""
        for writer in (self._faces, self._thermal, *self._streams.values()):
            writer.close()

    def _writers(self) -> list[StreamWriter]:
        """Those that have frames, and that of the faces where there must be some."""
        own = [self._faces] if self._video else []
        return [*own, *([self._thermal] if len(self._thermal) else []), *self._streams.values()]

    def _check_content(self) -> None:
        if self._video and not self.times:
            raise ValueError("no frame was stored")
        if len(self._thermal) not in (0, len(self.times)):
            raise ValueError(f"{len(self._thermal)} thermal frames came with {len(self.times)} of colour.")
        if not self._video and not (self.signals or self._streams):
            raise ValueError("neither a signal nor a frame was stored")

    def _signals_file(self) -> bytes:
        arrays = (self._face_arrays() if self._video else {}) | signal_arrays(self.signals)
        arrays |= {f"stream.{name}.times": times for name, (_, times) in self._clocks.items() if times is not None}
        return archive(arrays)

    def _face_arrays(self) -> dict[str, np.ndarray]:
        arrays = {"trace": np.array(self._trace, np.float64)}
        arrays["boxes"] = np.array(self._boxes, np.int32).reshape(-1, 4)
        arrays["box_frames"] = np.array(self._box_frames, np.int32)
        times = self.frame_times()
        return arrays if times is None else {**arrays, "times": times}

    def _entry_file(self, checksums: dict[str, str]) -> str:
        content = {
            "format": FORMAT,
            "id": self._recording.id,
            "subject": self._recording.subject,
            "settings": self._settings,
            "fs": self._rate(),
            "signals": about_signals(self.signals),
            "flags": self.flags,
            "info": plain_info(self.info),
            "checksums": checksums,
            **self._where_there_is_any(),
        }
        return entry_text(content)

    def _where_there_is_any(self) -> dict[str, Any]:
        """What entry.json says of faces, thermal frames, further streams and targets."""
        content: dict[str, Any] = {}
        if self._video:
            content |= {"shape": list(self._faces.shape), "stats": asdict(self._faces.stats())}
        if len(self._thermal):
            content["thermal"] = {"stats": asdict(self._thermal.stats())}
        if self._streams:
            content["streams"] = {
                name: {**writer.about(), "fs": self._clocks[name][0]} for name, writer in self._streams.items()
            }
        if self.targets:
            content["targets"] = checked_targets(self.targets)
        if self.sources:
            content["sources"] = self.sources
        return content

    def _rate(self) -> float:
        times = self.frame_times()
        rate = (frame_rate(times) if times is not None else None) or self.fs
        if not rate and not self._video:
            rate = next(filter(None, [*map(signal_rate, self.signals.values()), *self._stream_rates()]), None)
        if not rate:
            if self._video:
                raise ValueError(
                    "nothing says how many frames per second there are. Set FS of the data set, as in FS=30."
                )
            raise ValueError("nothing says how many samples per second there are. Give a signal `fs` or `times`.")
        return float(rate)

    def _stream_rates(self) -> list[float]:
        return [rate for rate, _ in self._clocks.values()]


def entry_text(content: Mapping[str, Any]) -> str:
    """What entry.json holds, as text: the same for the same content."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, default=as_plain) + "\n"


def archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    """signals.npz of these arrays, in their order."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def signal_arrays(signals: Mapping[str, Signal]) -> dict[str, np.ndarray]:
    """The arrays by which signals.npz keeps signals; ValueError for one that holds no numbers."""
    arrays = {}
    for name, signal in sorted(signals.items()):
        arrays[f"signal.{name}.values"] = _numbers(signal.values, name)
        if signal.times is not None:
            arrays[f"signal.{name}.times"] = _numbers(signal.times, name)
    return arrays


def about_signals(signals: Mapping[str, Signal]) -> dict[str, Any]:
    """What entry.json says of signals."""
    return {name: {"fs": signal.fs, "unit": signal.unit} for name, signal in signals.items()}


def plain_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """What of `info` can be stored."""
    return {key: value for key, value in info.items() if _is_plain(value)}


def signal_rate(signal: Signal) -> float | None:
    """Samples per second of a signal, by its times or what it says; None when nothing tells."""
    return (frame_rate(np.asarray(signal.times, float)) if signal.times is not None else None) or signal.fs


def checked_targets(targets: Mapping[str, float]) -> dict[str, float | None]:
    """Targets as they are stored, None for NaN; ValueError naming one that is no finite number."""
    plain: dict[str, float | None] = {}
    for name, value in targets.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or np.isinf(value):
            raise ValueError(f"The target {name!r} is {value!r}, and not a number (NaN where it is missing).")
        plain[name] = None if math.isnan(value) else float(value)
    return plain


def as_plain(value: Any) -> Any:
    """A number of NumPy as one of Python, for JSON; TypeError for what is neither number nor text."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of {type(value).__name__} cannot be stored; use plain numbers and texts")


def _numbers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise ValueError(f"signal {name!r} holds {array.dtype} instead of numbers")
    return array


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (str, int, float, bool, np.integer, np.floating))
