"""Public sets of two sensors read as multimodal ones: what their own readers give, with masks of what is there.

iBVP       RGB and thermal camera of 30 frames per second, taken to run together; finger PPG
PhysDrive  RGB and finger PPG; its public radar clips tell no time of their own, so they cannot be laid beside a video
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from dataset.data_loader.base import BaseLoader, Frames, Recording, Signal
from dataset.files.lookup import entry, matching
from registry import DATASETS

HAS = {"iBVP": ("rgb", "thermal", "ppg"), "PhysDrive": ("rgb", "ppg")}
HEAT_SIZE = (160, 128)  # width, height of iBVP's thermal pictures here: a sixteenth of their pixels


def reader(name: str, options: dict[str, Any]) -> BaseLoader:
    """The set's own reader; ValueError for one that is none of HAS."""
    if name not in HAS:
        raise ValueError(f"SOURCE is {name!r}. Use one of {', '.join(HAS)}, or '' for recordings of the toolbox's own.")
    return DATASETS[name]({**options, "DATA_MODE": "RGB"})


def waves(name: str, own: BaseLoader, recording: Recording, modalities: tuple[str, ...]) -> dict[str, Signal]:
    """What its own reader gives, and `valid_*` at the frames."""
    found = {key: signal for key, signal in own.read_wave(recording).items() if key == "ppg"}
    times = frame_times(own, recording, found["ppg"])
    for sensor in ("rgb", "thermal", "radar", "ppg"):
        there = float(sensor in modalities and sensor in HAS[name])
        found[f"valid_{sensor}"] = Signal(np.full(len(times), there), times=times, unit="")
    return found


def frame_times(own: BaseLoader, recording: Recording, ppg: Signal) -> np.ndarray:
    """Seconds (T,) of the frames: those of the PPG where it has any (iBVP), else one every 1 / fs s."""
    if ppg.times is not None:
        return np.asarray(ppg.times, float)
    return np.arange(len(matching(entry(recording.path, "Align"), "*.png"))) / own.fs


def heat(name: str, own: BaseLoader, recording: Recording) -> Frames | None:
    """iBVP's thermal pictures (h, w) float32 in degrees Celsius; None of another set."""
    if name != "iBVP":
        return None
    return Frames(_smaller(own.read_thermal(recording)), fs=own.fs)


def _smaller(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield cv2.resize(frame, HEAT_SIZE, interpolation=cv2.INTER_AREA)
