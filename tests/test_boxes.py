"""Arithmetic of face boxes: truncation, borders, medians, schedules, exactly as rPPG-Toolbox computes them."""

import json

import numpy as np
import pytest

from dataset.face.boxes import clip_box, enlarge, full_frame, largest, median_box, schedule
from tests.conftest import reference


def test_the_widest_face_wins_and_the_first_of_equals():
    """Width alone decides; no face gives None."""
    assert largest(np.array([[0, 0, 5, 5], [1, 2, 9, 3], [3, 3, 9, 9]])) == (1, 2, 9, 3)
    assert largest(np.zeros((0, 4), int)) is None


def test_every_number_of_an_enlarged_box_is_cut_to_an_integer():
    """The published example: (201, 101, 133, 133) by 1.5 is (167, 67, 199, 199)."""
    assert enlarge((201, 101, 133, 133), 1.5) == (167, 67, 199, 199)


def test_a_box_at_the_border_moves_inwards():
    """x and y stop at 0 while the size still grows."""
    assert enlarge((10, 0, 100, 60), 2.0) == (0, 0, 200, 120)
    assert enlarge((10, 20, 30, 40), 1.0) == (10, 20, 30, 40)


def test_the_whole_frame_has_width_and_height_in_order():
    """For a frame of 480 rows and 640 columns the box is 640 wide."""
    assert full_frame((480, 640)) == (0, 0, 640, 480)


def test_the_median_is_taken_per_coordinate_and_cut():
    """Halves are cut towards zero."""
    assert median_box([(0, 10, 20, 30), (1, 11, 25, 33)]) == (0, 10, 22, 31)


def test_a_box_is_clipped_to_the_frame():
    """Rows and columns outside the frame are left out; a box that is all outside is an error."""
    assert clip_box((-5, 10, 20, 200), (100, 50)) == (0, 10, 15, 90)
    with pytest.raises(ValueError, match="outside the frame of 50x100"):
        clip_box((60, 0, 10, 10), (100, 50))


def test_faces_are_looked_for_on_schedule():
    """Every f-th frame when dynamic, otherwise once."""
    assert [i for i in range(10) if schedule(i, True, 4)] == [0, 4, 8]
    assert [i for i in range(10) if schedule(i, False, 4)] == [0]


def test_enlarged_boxes_equal_those_of_rppg_toolbox():
    """Recorded boxes with coefficients 1.5 and 2.0, number by number."""
    recorded = json.loads(reference("parity/preprocessing.json").read_text())
    for name in ("astronaut", "frame640", "twofaces"):
        case = recorded[f"face_{name}"]
        assert list(largest(np.array(case["all_detections"]))) == case["box"]
        assert list(enlarge(case["box"], 1.5)) == case["box_large_1_5"]
        assert list(enlarge(case["box"], 2.0)) == case["box_large_2_0"]
