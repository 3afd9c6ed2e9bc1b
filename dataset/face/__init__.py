"""Face detectors by name, the boxes they find, and boxes that follow a face."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from registry import DETECTORS


def get_detector(backend: str, device: str = "cpu") -> Any:
    """The detector called `backend`, built once per process: a cascade file takes longer to parse than to run.

    Any name with `Y5F` in it means YOLO5Face, as in rPPG-Toolbox. `device` is for detectors that run in torch. KeyError
    names the known ones.
    """
    kind = _kind(backend)
    return _built(kind, device if getattr(kind, "on_device", False) else "")


def lacks_gpu(backend: str, device: str) -> bool:
    """Whether the detector called `backend` would run on the GPU `device`, and has to make do with the CPU."""
    if not (getattr(_kind(backend), "on_device", False) and "cuda" in device):
        return False
    import torch

    return not torch.cuda.is_available()


def _kind(backend: str) -> type:
    return DETECTORS["Y5F" if "Y5F" in backend else backend]


@functools.lru_cache(maxsize=4)
def _built(kind: type, device: str) -> Any:
    return kind(device) if device else kind()


def detect_many(detector: Any, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Boxes (N, 4) of each of `frames` (H, W, 3): in one pass where the detector can and they are of one size."""
    together = getattr(detector, "detect_many", None)
    if together and len({frame.shape for frame in frames}) == 1:
        return together(frames)
    return [detector.detect(frame) for frame in frames]
