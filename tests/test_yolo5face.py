"""YOLO5Face: the network of the released file, what enters it and what is made of its answers."""

import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from dataset.face import _built, detect_many, get_detector, yolo5face
from dataset.face.networks.yolo5face import ANCHORS, YOLO5FaceNet
from registry import DETECTORS
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def network():
    """A network whose heads see nothing: their weights are 0, so that their biases alone decide."""
    torch.manual_seed(0)
    network = YOLO5FaceNet().eval()
    for head in network.model[23].m:
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor([0.0] * 4 + [-20.0] + [0.0] * 11).repeat(3)
    return network


@pytest.fixture
def weights(network, tmp_path, monkeypatch):
    """Its weights in a file, where the detector looks for them."""
    path = tmp_path / "Y5sF_WFRGB.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setenv("RPPG_Y5F", str(path))
    _built.cache_clear()
    yield path
    _built.cache_clear()


def test_names_and_shapes_are_those_of_the_released_file(network):
    """374 entries, 7,074,640 parameters; the names of each kind of layer."""
    state = network.state_dict()
    assert len(state) == 374 and sum(value.numel() for value in network.parameters()) == 7_074_640
    shapes = {
        "model.0.stem_2b.conv.weight": (32, 16, 3, 3),
        "model.0.stem_3.bn.num_batches_tracked": (),
        "model.3.m.2.cv2.conv.weight": (64, 64, 3, 3),
        "model.7.cv2.conv.weight": (512, 1024, 1, 1),
        "model.22.cv3.bn.running_var": (512,),
        "model.23.anchors": (3, 3, 2),
        "model.23.anchor_grid": (3, 1, 3, 1, 1, 2),
        "model.23.m.0.weight": (48, 128, 1, 1),
        "model.23.m.2.bias": (48,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert {module.eps for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {1e-3}


def test_boxes_come_from_cells_and_anchors(network):
    """Where the heads say 0, the box is the anchor itself in the middle of its cell; three scales, three anchors."""
    with torch.inference_mode():
        found = network(torch.zeros(2, 3, 64, 128))
    assert found.shape == (2, 3 * (8 * 16 + 4 * 8 + 2 * 4), 6)
    torch.testing.assert_close(found[0, 17, :4], torch.tensor([12.0, 12.0, 4.0, 5.0]))  # row 1, column 1, first anchor
    torch.testing.assert_close(found[1, -1, :4], torch.tensor([112.0, 48.0, *map(float, ANCHORS[2][2])]))
    assert float(found[..., 4].max()) < 1e-6 and torch.all(found[..., 5] == 0.5)


@pytest.mark.parametrize(
    ("shape", "seen"), [((480, 640), (512, 640)), ((1080, 1920), (384, 640)), ((240, 320), (512, 640))]
)
def test_frames_are_fitted_into_640_pixels_with_grey_around(shape, seen):
    """The longest side becomes 640, the other is padded to a multiple of 64, half on each side."""
    fitted = yolo5face.letterbox(np.full((*shape, 3), 7, np.uint8))
    assert fitted.shape == (*seen, 3)
    border = (seen[0] - int(shape[0] * 640 / shape[1])) // 2
    assert (fitted[:border] == 114).all() and (fitted[border:-border] == 7).all() and (fitted[-border:] == 114).all()


def test_boxes_return_to_the_frame_as_squares():
    """Padding and scale are undone, corners cut off at the frame and rounded; the longer side makes the square."""
    corners = np.array([[100.0, 112.0, 200.0, 252.0], [-30.0, 0.0, 50.0, 60.0]])
    corners = yolo5face.to_frame(corners, (384, 640), (1080, 1920))  # a third of the size, 12 rows above
    assert corners.tolist() == [[300, 300, 600, 720], [0, 0, 150, 144]]
    assert yolo5face.squares(corners).tolist() == [[240, 300, 420, 420], [0, -3, 150, 150]]


def test_only_sure_faces_are_kept_and_the_surest_comes_first():
    """Object and face must both be sure, and one face is named once."""
    found = np.array(
        [
            [100, 100, 40, 40, 0.8, 0.9],
            [103, 100, 40, 40, 0.9, 0.95],  # the same face, surer
            [300, 200, 60, 60, 0.99, 0.99],
            [500, 200, 60, 60, 0.55, 1.0],  # no object
            [500, 400, 60, 60, 0.7, 0.7],  # 0.49 together
        ]
    )
    assert yolo5face.faces(found, (512, 640), (480, 640)).tolist() == [[270, 154, 60, 60], [83, 64, 40, 40]]
    assert yolo5face.faces(found[3:], (512, 640), (480, 640)).shape == (0, 4)


def test_the_detector_reads_its_file_and_finds_what_the_network_says(weights, network):
    """From the file to boxes: one anchor of the coarsest scale is made sure everywhere."""
    detector = get_detector("my-Y5F-large")
    assert get_detector("Y5F") is detector
    frame = np.zeros((480, 640, 3), np.uint8)
    assert detector.detect(frame).shape == (0, 4)
    detector._network.model[23].m[2].bias.data[[4, 15]] = 20.0
    boxes = detect_many(detector, [frame, frame])
    assert len(boxes) == 2 and (boxes[0] == boxes[1]).all() and (boxes[0] == detector.detect(frame)).all()
    inner = [x for x, _, w, _ in boxes[0].tolist() if w in (216, 217) and 0 < x < 400]  # that anchor's height, uncut
    assert inner and all((x + 108 - 16) % 32 == 0 for x in inner)


def test_a_missing_file_is_explained(monkeypatch, tmp_path):
    """What to take, where from, where to, and what does without."""
    monkeypatch.delenv("RPPG_Y5F", raising=False)
    monkeypatch.setattr(yolo5face, "PLACE", tmp_path / "Y5sF_WFRGB.pth")
    with pytest.raises(FileNotFoundError, match="Y5sF_WFRGB.pth from rPPG-Toolbox.*RPPG_Y5F.*HC, CF"):
        DETECTORS["Y5F"]()
    monkeypatch.setenv("RPPG_Y5F", "gone.pth")
    with pytest.raises(FileNotFoundError, match="RPPG_Y5F names 'gone.pth', which is no file"):
        DETECTORS["Y5F"]()


def test_weights_of_another_network_are_refused(weights, network):
    """The first parameter that differs is named with both shapes; so is a file of something else."""
    state = network.state_dict()
    torch.save({**state, "model.6.conv.weight": torch.zeros(3)}, weights)
    with pytest.raises(ValueError, match=r"1 of 374.*'model.6.conv.weight' \(shape \(3,\) there, \(512, 256, 3, 3\)"):
        yolo5face.read_weights(weights, state)
    torch.save([1, 2], weights)
    with pytest.raises(ValueError, match="no state dict"):
        yolo5face.read_weights(weights, state)
    weights.write_bytes(b"<html>")
    with pytest.raises(ValueError, match="Copy Y5sF_WFRGB.pth again|holds Python objects"):
        yolo5face.read_weights(weights, state)


def test_weights_of_a_parallel_run_are_read(weights, network):
    """Names with `module.` in front are the same parameters."""
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, weights)
    assert yolo5face.read_weights(weights, network.state_dict()).keys() == network.state_dict().keys()


class Hostile:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path):
        """Make `path`."""
        self.path = path

    def __reduce__(self):
        """What pickle would call."""
        return os.mkdir, (str(self.path),)


def test_a_pickled_network_is_refused_without_running_it(weights, network, tmp_path):
    """Such files exist (the original YOLO5Face release); the error says how to convert one that is trusted."""
    torch.save({"model": Hostile(tmp_path / "made")}, weights)
    with pytest.raises(ValueError, match="not only parameters.*state_dict"):
        yolo5face.read_weights(weights, network.state_dict())
    weights.write_bytes(pickle.dumps(Hostile(tmp_path / "made"), protocol=2))
    with pytest.raises(ValueError):
        yolo5face.read_weights(weights, network.state_dict())
    assert not (tmp_path / "made").exists()


def test_torch_is_imported_only_with_the_detector():
    """Preprocessing without it, and the list of names, do without torch."""
    code = (
        "import sys, dataset.prepare.recording; from registry import DETECTORS\n"
        "from dataset.face import get_detector; get_detector('HC'); print(DETECTORS.names(), 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['CF', 'HC', 'Y5F'] False"


def test_the_anchors_are_faces_of_every_size():
    """From 4 pixels to 433: each scale's anchors are larger than those of the one before."""
    areas = [math.prod(anchor) for scale in ANCHORS for anchor in scale]
    assert areas == sorted(areas) and areas[0] == 20
