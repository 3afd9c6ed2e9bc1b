"""Face detectors: found by name, built once, and looking where they should."""

import json

import cv2
import numpy as np
import pytest

from dataset.face import get_detector
from dataset.face.boxes import clip_box, enlarge, largest
from registry import DETECTORS
from tests.conftest import reference
from tests.video_tools import moving_face


def test_a_face_is_found_where_it_is():
    """The photograph's face lies inside the middle of the frame."""
    x, y, w, h = largest(get_detector("HC").detect(moving_face(1)[0]))
    assert 130 < x + w / 2 < 190 and 60 < y + h / 2 < 140 and 50 < w < 130


def test_no_face_gives_no_boxes():
    """An empty frame gives an array (0, 4)."""
    assert get_detector("HC").detect(np.full((120, 160, 3), 90, np.uint8)).shape == (0, 4)


def test_the_channels_are_taken_as_they_come():
    """The detector sees RGB as if it were BGR, as rPPG-Toolbox does; the boxes depend on it."""
    frame = moving_face(1)[0]
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    expected = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    np.testing.assert_array_equal(get_detector("HC").detect(frame), expected)


def test_a_quick_look_tells_a_face_from_none():
    """`near` says yes on the enlarged face and no on the background and on noise."""
    frame, detector = moving_face(1)[0], get_detector("HC")
    x, y, w, h = clip_box(enlarge(largest(detector.detect(frame)), 1.5), frame.shape[:2])
    assert detector.near(frame[y : y + h, x : x + w])
    assert not detector.near(np.full((90, 90, 3), 100, np.uint8))
    assert not detector.near(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))


def test_a_reduced_look_finds_the_face_wherever_it_went():
    """`anywhere` says yes on a frame with the face in another corner, and no on an empty one."""
    frame, detector = moving_face(1)[0], get_detector("HC")
    width = largest(detector.detect(frame))[2]
    assert detector.anywhere(cv2.copyMakeBorder(frame, 200, 0, 300, 0, cv2.BORDER_REPLICATE), width)
    assert not detector.anywhere(np.full((440, 620, 3), 90, np.uint8), width)


def test_a_detector_is_built_once_per_process():
    """Parsing the cascade takes longer than a look."""
    assert get_detector("HC") is get_detector("HC")


@pytest.mark.parametrize("name", ["Y5F", "my-Y5F-large"])
def test_yolo5face_says_that_it_is_not_available(name):
    """The name is known to the configuration; building it says what to set instead."""
    assert "Y5F" in DETECTORS
    with pytest.raises(ValueError, match="not available yet.*BACKEND: HC"):
        get_detector(name)


def test_an_unknown_detector_is_named_with_the_known_ones():
    """A mistyped name gets the nearest one."""
    with pytest.raises(KeyError, match="Did you mean 'HC'"):
        get_detector("hc")


def test_opencv_without_cascades_is_explained(monkeypatch):
    """OpenCV 5 has no cascades; the error says which release has."""
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(ValueError, match="no Haar cascades"):
        DETECTORS["HC"]()


@pytest.mark.parametrize("name", ["astronaut", "frame640", "noface", "twofaces"])
def test_detections_equal_those_of_rppg_toolbox(name):
    """Recorded with another OpenCV release: each face may move by 3 pixels."""
    recorded = json.loads(reference("parity/preprocessing.json").read_text())[f"face_{name}"]
    image = np.load(reference("parity/preprocessing.npz"))[f"img_{name}"]
    found = get_detector("HC").detect(image)
    assert len(found) == len(recorded["all_detections"])
    if len(found):
        assert np.abs(np.array(largest(found)) - recorded["box"]).max() <= 3
