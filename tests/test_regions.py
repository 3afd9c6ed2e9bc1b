"""Which part of the stored face is measured: UNSUPERVISED.ROI."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import main
from pulsescope import measure
from tests.video_tools import moving_face, write_video
from unsupervised_methods import regions
from unsupervised_methods.regions import REGIONS, Region, region_of

SKIN, HAIR = (190, 140, 120), (40, 60, 160)
FRAMES, SIZE = 90, 40


def faces(flicker: bool = True) -> np.ndarray:
    """(T, H, W, 3) uint8: skin in the middle half, around it something blue that flickers."""
    pictures = np.empty((FRAMES, SIZE, SIZE, 3))
    pictures[:] = HAIR
    if flicker:
        pictures += 30 * np.sin(np.arange(FRAMES) / 2)[:, None, None, None]
    pictures[:, 10:30, 10:30] = SKIN
    return np.clip(pictures, 0, 255).astype(np.uint8)


def cut(scale: float = 1.0, crop: bool = True) -> SimpleNamespace:
    """A PREPROCESS node that stores the face box x `scale`."""
    return SimpleNamespace(
        CROP_FACE=SimpleNamespace(DO_CROP_FACE=crop, USE_LARGE_FACE_BOX=scale != 1.0, LARGE_BOX_COEF=scale)
    )


def test_skin_leaves_out_what_has_another_colour():
    """Its colour is the skin's alone, however much the rest flickers."""
    assert np.allclose(region_of("skin", cut()).trace(faces(), 30.0), SKIN, atol=0.5)


@pytest.mark.parametrize("scale", [1.0, 1.5, 0.8])
@pytest.mark.parametrize("name", ["inner", "cheeks_forehead"])
def test_parts_lie_in_the_face_box_however_much_is_stored(name, scale):
    """The same places of the face, whether more than its box is stored or less."""
    size = 240
    place = (np.arange(size) + 0.5) / size  # across the stored picture
    picture = np.zeros((2, size, size, 3), np.uint8)
    picture[..., 0] = np.round(200 * ((place - 0.5) * scale + 0.5).clip(0, 1))  # across the face box
    picture[..., 1] = np.round(200 * ((place - 0.5) * scale + 0.5).clip(0, 1))[:, None]
    x, y, _ = region_of(name, cut(scale)).trace(picture, 30.0)[0] / 200
    parts = regions.PARTS[name]
    assert x == pytest.approx(np.mean([(a + b) / 2 for a, b, _, _ in parts]), abs=0.01)
    assert y == pytest.approx(np.mean([(a + b) / 2 for _, _, a, b in parts]), abs=0.01)


def test_the_blocks_of_a_long_recording_leave_no_seam(monkeypatch):
    """Whatever is read at once, the colours are the same."""
    moving = np.stack([np.roll(face, k // 9, axis=1) for k, face in enumerate(faces())])
    whole = {name: Region(name).trace(moving, 30.0) for name in REGIONS[1:]}
    monkeypatch.setattr(regions, "BLOCK", 16)
    for name, trace in whole.items():
        tolerance = 0.2 if name == "skin" else 1e-3  # what colour skin has is judged by fewer pictures
        assert np.abs(Region(name).trace(moving, 30.0) - trace).max() < tolerance, name


def test_a_region_that_is_not_stored_is_refused_with_what_to_set():
    """The remedy works."""
    with pytest.raises(ValueError, match="the face box x 0.5: set .*LARGE_BOX_COEF to 0.7 or more"):
        region_of("inner", cut(0.5))
    with pytest.raises(ValueError, match="LARGE_BOX_COEF to 0.8 or more, such as 1.0"):
        region_of("cheeks_forehead", cut(0.7))
    assert region_of("inner", cut(0.7)) and region_of("cheeks_forehead", cut(0.8))
    with pytest.raises(ValueError, match="faces are not cut out: set .*DO_CROP_FACE to True, or UNSUPERVISED.ROI to"):
        region_of("inner", cut(crop=False))
    assert region_of("box", cut(crop=False)).words == "whole picture"


def test_a_picture_without_skin_costs_its_recording():
    """Where the colour of the face's middle is found nowhere there is nothing to average."""
    gone = faces(flicker=False)
    gone[60:] = HAIR
    with pytest.raises(ValueError, match="UNSUPERVISED.ROI skin: 0% of a picture is skin. Measure another ROI."):
        Region("skin").trace(gone, 30.0)


def test_what_is_measured_is_lighter_than_the_rest():
    """The picture on the page shows the region."""
    face = faces(flicker=False)[0]
    shown = Region("skin").drawn(face)
    assert (shown[15, 15] == SKIN).all() and (shown[2, 2] == np.array(HAIR) // 3).all()
    assert (Region().drawn(face) == face).all()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A face of 6 s."""
    return write_video(tmp_path_factory.mktemp("videos") / "me.mp4", moving_face(180), "h264")


@pytest.mark.parametrize("roi", REGIONS)
def test_the_command_measures_that_region_and_says_so(video, tmp_path_factory, tmp_path, roi):
    """In vitals.json, in the waves, and in the picture on the page; one cache serves all."""
    cache = tmp_path_factory.getbasetemp() / "cache_of_regions"
    places = [f"LOG.PATH={tmp_path / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={cache}"]
    whole = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.LARGE_BOX_COEF=1.0"
    main.main(["--video", str(video), *places, whole, f"UNSUPERVISED.ROI={roi}"])
    (written,) = (tmp_path / "runs" / "runs").glob("*/vitals.json")
    (found,) = json.loads(written.read_text())["recordings"]
    words = {"box": "face box", "inner": "inner face", "skin": "skin in the face box"}.get(roi, "cheeks and forehead")
    assert found["region"] == words and f"as stored: {words}" in written.with_name("vitals.html").read_text()


def test_python_measures_it_too(video, tmp_path):
    """The same answer through `measure`; a part that is not stored is an error with its remedy."""
    whole = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.LARGE_BOX_COEF=1.0"
    asked = "UNSUPERVISED.ROI=cheeks_forehead"
    assert measure(video, settings=[asked, whole]).region == "cheeks and forehead"
    with pytest.raises(ValueError, match="LARGE_BOX_COEF to 0.8 or more"):
        measure(video, settings=[asked])
