"""The Haar cascade for frontal faces that comes with OpenCV.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001.
"""

from pathlib import Path

import cv2
import numpy as np

from registry import DETECTORS

NEAR = 72  # pixels: side to which a region is scaled for a quick look


@DETECTORS.register("HC")
class HaarCascade:
    """`haarcascade_frontalface_default.xml` with OpenCV's default arguments."""

    def __init__(self):
        """Load the cascade; ValueError where this OpenCV has none."""
        if not hasattr(cv2, "CascadeClassifier"):
            raise ValueError(
                f"OpenCV {cv2.__version__} has no Haar cascades. pip install 'opencv-python-headless>=4.10,<4.13'"
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
        """Whether `region`, a known face box enlarged 1.5 times, still shows a face of about that size (about 1 ms)."""
        small = cv2.resize(region, (NEAR, NEAR), interpolation=cv2.INTER_AREA)
        least = int(NEAR / 1.5 * 0.7)
        return len(self._cascade.detectMultiScale(small, 1.15, 2, 0, (least, least))) > 0
