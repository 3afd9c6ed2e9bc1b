"""Face detectors by name, and the arithmetic of their boxes."""

import functools
from typing import Any

from registry import DETECTORS


@functools.lru_cache(maxsize=4)
def get_detector(backend: str) -> Any:
    """The detector called `backend`, built once per process: a cascade file takes longer to parse than to run.

    Any name with `Y5F` in it means YOLO5Face, as in rPPG-Toolbox. KeyError names the known ones.
    """
    return DETECTORS["Y5F" if "Y5F" in backend else backend]()
