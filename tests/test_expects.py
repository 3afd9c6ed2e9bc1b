"""What a network expects: written and read again, refused where no network can mean it, turned into settings."""

import json

import pytest

from unsupervised_methods.expects import Expects, ExpectsError, box_of

USUAL = {"method": "Physnet", "frames": 128, "size": [72, 64], "data_types": ["DiffNormalized"], "channels": 3,
         "label_type": "DiffNormalized", "fs": 30.0, "box": 1.5}  # fmt: skip


def test_a_description_survives_its_way_through_a_file():
    """All of it."""
    one = Expects.of(USUAL)
    assert Expects.of_text(one.text()) == one and one.shape == (3, 128, 72, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 0}, {"frames": 10**9}, {"size": [72, 10**6]}, {"size": [0, 72]}, {"size": [72]}, {"channels": 4},
        {"data_types": []}, {"data_types": ["Grey"]}, {"label_type": "x"}, {"fs": -1}, {"fs": 1e9}, {"fs": "nan"},
        {"box": float("inf")}, {"method": ""}, {"method": "\x1b[2J"}, {"method": "x" * 999}, {"frames": "many"},
        {"frames": 4096, "size": [512, 512]}, {"format": 2}, {"format": None}, {"size": None},
    ],
)  # fmt: skip
def test_what_no_network_has_is_refused(change):
    """Numbers that would ask for all memory, names that steer a terminal, other versions."""
    with pytest.raises(ExpectsError):
        Expects.of_text(json.dumps({"format": 1, **USUAL, **change}))


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '"x"', "[" * 99_999, '{"format": 1}'])
def test_what_is_no_description_is_refused(text):
    """Whatever stands in its place."""
    with pytest.raises(ExpectsError):
        Expects.of_text(text)


def test_rates_near_its_own_are_read_as_they_are():
    """24 to 37 of 30; others at its own."""
    one = Expects.of(USUAL)
    assert [one.rate_for(fs) for fs in (15, 24, 29.97, 35, 60)] == [30, 0, 0, 0, 30]
    assert Expects.of({**USUAL, "fs": 0}).rate_for(60) == 0


@pytest.mark.parametrize(
    ("node", "box"),
    [
        ({"DO_CROP_FACE": False, "USE_LARGE_FACE_BOX": True, "LARGE_BOX_COEF": 1.5}, 0.0),
        ({"DO_CROP_FACE": True, "USE_LARGE_FACE_BOX": False, "LARGE_BOX_COEF": 1.5}, 1.0),
        ({"DO_CROP_FACE": True, "USE_LARGE_FACE_BOX": True, "LARGE_BOX_COEF": 1.2}, 1.2),
    ],
)
def test_the_region_goes_both_ways(node, box):
    """From a CROP_FACE node and back into one."""
    assert box_of(node) == box
    keys = {key.rpartition(".")[2]: value for key, value in Expects.of({**USUAL, "box": box}).crop()}
    assert keys["RESIZE"] == {"W": 64, "H": 72} and box_of(keys) == box
