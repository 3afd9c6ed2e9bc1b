"""The Haar cascade for frontal faces that comes with OpenCV.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001.
"""

from pathlib import Path

import cv2
import numpy as np

from registry import DETECTORS

LOOKS = ((72, 1.15), (108, 1.1))  # quick looks at a region: side in pixels, step between face sizes
SMALL = 72  # pixels: width of a known face in the reduced frame in which it is looked for


@DETECTORS.register("HC")
class HaarCascade:
    """`haarcascade_frontalface_default.xml` with OpenCV's default arguments."""

    def __init__(self):
        """Load the cascade; ValueError where this OpenCV has none."""
        if not hasattr(cv2, "CascadeClassifier"):
            raise ValueError(
                f"OpenCV {cv2.__version__} has no Haar cascades (from 5.0 on they are left out). Install a version "
                f"that was tried: pip install -r requirements.txt"
            )
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise ValueError(f"The Haar cascade '{path}' cannot be loaded. Install opencv-python-headless again.")

    def detect(self, rgb: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) x, y, w, h of the faces in `rgb` (H, W, 3) uint8; (0, 4) without any.

        OpenCV takes the channels for BGR when it makes them grey. They are RGB here on purpose: rPPG-Toolbox does
        the same, and the boxes depend on it.
        """
        found = self._cascade.detectMultiScale(rgb)
        return np.asarray(found, dtype=np.int64).reshape(-1, 4)

    def near(self, region: np.ndarray) -> bool:
        """Whether `region`, a known face box enlarged 1.5 times, still shows a face of about that size (1 to 5 ms)."""
        return any(self._shows_face(region, side, step) for side, step in LOOKS)

    def anywhere(self, rgb: np.ndarray, width: int) -> bool:
        """Whether a face about as wide as `width` pixels, or wider, is anywhere in `rgb` (H, W, 3) uint8.

        Looks at a frame reduced as far as that face allows, which takes a tenth of the time of `detect`.
        """
        scale = min(1.0, SMALL / width)
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        least = int(0.7 * scale * width)
        return len(self._cascade.detectMultiScale(small, 1.1, 3, 0, (least, least))) > 0

    def _shows_face(self, region: np.ndarray, side: int, step: float) -> bool:
        small = cv2.resize(region, (side, side), interpolation=cv2.INTER_AREA)
        least = int(side / 1.5 * 0.7)
        return len(self._cascade.detectMultiScale(small, step, 2, 0, (least, least))) > 0
