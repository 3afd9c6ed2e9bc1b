"""YOLO5Face as rPPG-Toolbox uses it; the network is in `networks/yolo5face.py`, the user brings its weights.

Qi et al., "YOLO5Face: Why Reinventing a Face Detector", ECCV Workshops 2022, https://arxiv.org/abs/2105.12931

The file is `Y5sF_WFRGB.pth` of rPPG-Toolbox, looked for where `$RPPG_Y5F` says and then at the same place as there,
`dataset/data_loader/face_detector/ckpts/`. torch is imported when the detector is built, not before.
"""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset.face.boxes import nms
from dataset.files.zips import require_stored
from registry import DETECTORS
from settings.files import ROOT

FILE = "Y5sF_WFRGB.pth"
PLACE = ROOT / "dataset" / "data_loader" / "face_detector" / "ckpts" / FILE
SIDE = 640  # pixels: longest side of a frame as the network sees it
STEP = 64  # pixels: height and width are multiples of this
GREY = 114  # around the frame
SURE = 0.6  # least confidence
OVERLAP = 0.5  # IoU above which two boxes are one face


@DETECTORS.register("Y5F")
class YOLO5Face:
    """Square boxes about each face, the surest first."""

    best_first = True  # rPPG-Toolbox takes the surest face where there are several, not the biggest
    on_device = True

    def __init__(self, device: str = "cpu"):
        """Read the weights; FileNotFoundError and ValueError say where they belong and what they must be.

        `device` as DEVICE in the settings; a GPU that is not there is replaced by the CPU.
        """
        import torch

        from dataset.face.networks.yolo5face import YOLO5FaceNet

        self._torch = torch
        wanted = "cuda" if device == "auto" else device
        self._device = torch.device("cpu" if "cuda" in wanted and not torch.cuda.is_available() else wanted)
        self.batch = 1 if self._device.type == "cpu" else 8  # frames per pass: on a CPU more cost only memory
        network = YOLO5FaceNet()
        path = weights_file()
        network.load_state_dict(read_weights(path, network.state_dict()))
        self._network = network.float().eval().to(self._device)

    def detect(self, rgb: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) x, y, w, h, squares that may reach out of `rgb` (H, W, 3) uint8; (0, 4) without any."""
        return self.detect_many([rgb])[0]

    def detect_many(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`detect` for several frames of one size, in one forward pass."""
        prepared = np.stack([letterbox(frame) for frame in frames])
        with self._torch.inference_mode():
            values = self._torch.from_numpy(prepared).to(self._device).permute(0, 3, 1, 2).float() / 255
            found = self._network(values).cpu().numpy()
        return [faces(one, prepared.shape[1:3], frames[0].shape[:2]) for one in found]


def weights_file() -> Path:
    """Where the weights are; FileNotFoundError says where they belong."""
    named = os.environ.get("RPPG_Y5F", "")
    path = Path(named) if named else PLACE
    if path.is_file():
        return path
    where = f"RPPG_Y5F names '{named}', which is no file." if named else "Its weights are not here."
    raise FileNotFoundError(
        f"CROP_FACE.BACKEND: Y5F is YOLO5Face. {where} Take {FILE} from rPPG-Toolbox "
        f"(dataset/data_loader/face_detector/ckpts) and set the environment variable RPPG_Y5F to the file, or copy it "
        f"to '{PLACE}'. Detectors that need no such file: HC, CF."
    )


def read_weights(path: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Parameters by name from a plain state dict; ValueError for anything else than those of `wanted`."""
    import torch

    try:
        require_stored(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"'{path}' holds Python objects and not only parameters; such a file can run code, so it is not opened. If "
            f"you trust it, write its parameters once, where its own code is installed: "
            f"torch.save(torch.load('{path.name}', weights_only=False)['model'].float().state_dict(), '{FILE}')"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"'{path}' is no file of weights ({first}). Copy {FILE} again.") from None
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"'{path}' is no state dict (names and tensors). Take {FILE} of rPPG-Toolbox.")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    _compare(path, state, wanted)
    return state


def _compare(path: Path, state: dict[str, Any], wanted: dict[str, Any]) -> None:
    names = [*wanted, *(name for name in state if name not in wanted)]
    wrong = [name for name in names if _shape(state, name) != _shape(wanted, name)]
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"'{path}' holds another network than YOLO5Face s: {len(wrong)} of {len(names)} parameters differ, the "
            f"first is {first!r} (shape {_shape(state, first)} there, {_shape(wanted, first)} needed). Take {FILE} of "
            f"rPPG-Toolbox."
        )


def _shape(state: dict[str, Any], name: str) -> tuple[int, ...] | str:
    return tuple(state[name].shape) if name in state else "none"


def letterbox(rgb: np.ndarray) -> np.ndarray:
    """`rgb` (H, W, 3) with a longest side of 640, and grey around it up to multiples of 64."""
    height, width = rgb.shape[:2]
    ratio = SIDE / max(height, width)
    if ratio != 1:
        size = max(1, int(width * ratio)), max(1, int(height * ratio))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    rows, columns = (SIDE - rgb.shape[0]) % STEP / 2, (SIDE - rgb.shape[1]) % STEP / 2
    sides = (round(value) for half in (rows, columns) for value in (half - 0.1, half + 0.1))
    return cv2.copyMakeBorder(rgb, *sides, cv2.BORDER_CONSTANT, value=(GREY,) * 3)


def faces(found: np.ndarray, seen: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) in a frame of `shape` (H, W), surest first, from what the network says of it.

    `found` (M, 6): centre, size in pixels of the letterboxed frame of `seen` (H, W), object, face.
    """
    found = found[found[:, 4] > SURE]
    scores = found[:, 4] * found[:, 5]
    found, scores = found[scores > SURE], scores[scores > SURE]
    corners = np.hstack([found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2])
    return squares(to_frame(corners[nms(corners, scores, OVERLAP)], seen, shape))


def to_frame(corners: np.ndarray, seen: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Corners (N, 4) x0, y0, x1, y1 of the letterboxed frame as whole pixels inside the frame of `shape`."""
    gain = min(seen[0] / shape[0], seen[1] / shape[1])
    pad = np.array([seen[1] - shape[1] * gain, seen[0] - shape[0] * gain]) / 2
    limits = np.tile([shape[1], shape[0]], 2)
    return np.rint(np.clip((corners - np.tile(pad, 2)) / gain, 0, limits)).astype(np.int64)


def squares(corners: np.ndarray) -> np.ndarray:
    """The square about the centre of each box, as long as its longer side: (N, 4) x, y, w, h."""
    sizes = corners[:, 2:] - corners[:, :2]
    sides = sizes.max(axis=1, keepdims=True)
    return np.hstack([corners[:, :2] + sizes // 2 - sides // 2, sides, sides])
