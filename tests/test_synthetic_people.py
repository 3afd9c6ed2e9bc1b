"""Modelled people: who they are follows from the seed, their skin has the tone and the pulse that was asked for."""

import importlib.util
from functools import lru_cache

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from dataset.data_loader.synthetic import SyntheticLoader
from dataset.synthetic.face import Face, make_face
from dataset.synthetic.people import mesh
from dataset.synthetic.people.canvas import FIT
from dataset.synthetic.people.identity import TONE_ANGLES, draw_identity
from dataset.synthetic.people.raster import rasterise
from dataset.synthetic.people.skin import USUAL_BLOOD, albedo, melanin_of, typology_angle
from dataset.synthetic.render import Session
from dataset.synthetic.settings import fingerprint, resolve
from tests.test_synthetic_render import CALM, face_trace, spectral_rate
from unsupervised_methods.methods.pos import pos

SMALL = {"FACE": "modelled", "SECONDS": 0.1, "WIDTH": 160, "HEIGHT": 120}
RESPONSE = (0.33, 0.77, 0.53)
needs_heads = pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason=f"no heads: {mesh.INSTALL}")


@lru_cache(maxsize=8)
def face_of(subject: int, **options: object) -> Face:
    """The modelled face of `subject` in a small frame; made once."""
    return make_face(resolve({**SMALL, **options}), subject)


def at(face: Face, picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """`picture` at x, y from the middle of the face, in units in which the eyes are 45.5 apart."""
    place, side = face.placement, -1 if face.placement.mirrored else 1
    column = place.centre[0] + side * x * FIT * place.scale[0]
    return picture[round(place.centre[1] + y * FIT * place.scale[1]), round(column)]


def test_without_the_package_the_remedy_is_named(monkeypatch, tmp_path):
    """Before anything is rendered: what to install, and what needs nothing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    loader = SyntheticLoader({"SYNTHETIC": {"FACE": "modelled"}})
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps anny==0\.6\.2.*FACE: portrait needs nothing"):
        loader.recordings(tmp_path)


def test_what_is_rendered_already_needs_no_package(monkeypatch, tmp_path):
    """Where the videos lie, another machine reads them."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    loader = SyntheticLoader({"SYNTHETIC": {"FACE": "modelled", "SUBJECTS": 1}})
    folder = tmp_path / f"standard-{fingerprint(loader.settings)}"
    folder.mkdir()
    (folder / "subject1.mp4").touch()
    assert len(loader.recordings(tmp_path)) == 1


def test_another_release_of_the_package_is_refused(monkeypatch, tmp_path):
    """A base mesh with other vertices would put every shape elsewhere."""
    (tmp_path / "3dobjs").mkdir()
    (tmp_path / "3dobjs" / "base.obj").write_text("v 0 0 0\n")
    monkeypatch.setattr(mesh, "data_folder", lambda: tmp_path)
    mesh.load_mesh.cache_clear()
    with pytest.raises(ValueError, match="has 1 vertices, not 19158. Install that release"):
        mesh.load_mesh()


def test_the_kind_of_face_opens_a_folder_of_its_own():
    """Recordings of modelled people never lie among those of the photograph."""
    assert fingerprint(resolve({"FACE": "modelled"})) != fingerprint(resolve({}))


def test_a_person_follows_from_the_seed():
    """The same seed and number: the same person, to the last digit; another seed or number: another."""
    assert draw_identity(1, 2, 3) == draw_identity(1, 2, 3)
    people = {draw_identity(seed, number, 3).angle for seed in range(5) for number in range(20)}
    assert len(people) == 100


def test_types_are_the_ranges_of_the_typology():
    """Very light, light, intermediate, tan, brown, dark: borders at 55, 41, 28, 10 and -30 degrees, none crossed."""
    borders = [90.0, 55.0, 41.0, 28.0, 10.0, -30.0, -90.0]
    for tone, (low, high) in enumerate(TONE_ANGLES):
        assert borders[tone + 1] < low < high < borders[tone]
        angles = [draw_identity(7, number, tone + 1).angle for number in range(40)]
        assert low <= min(angles) and max(angles) <= high and np.ptp(angles) > 0.5 * (high - low)


@pytest.mark.parametrize("angle", [60.0, 35.0, 0.0, -50.0])
def test_pigment_gives_the_angle_that_was_asked_for(angle):
    """Melanin is solved for: the angle of the colour it gives is the one that was drawn."""
    colour = albedo(np.array(melanin_of(angle, RESPONSE)), np.array(USUAL_BLOOD), RESPONSE)
    assert typology_angle(colour) == pytest.approx(angle, abs=0.01)


def test_the_typology_angle_is_that_of_its_definition():
    """From L* and b* as another library gives them, for colours of skin and for grey."""
    colours = np.array([[198, 134, 66], [230, 190, 170], [90, 60, 45]]) / 255
    lightness, _, yellow = rgb2lab(colours).T
    linear = np.where(colours > 0.04045, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92)
    assert typology_angle(linear) == pytest.approx(np.degrees(np.arctan2(lightness - 50, yellow)), abs=0.1)


def test_more_blood_darkens_by_the_shares_of_the_channels():
    """What the depth returns falls by the same shares as the pulse; the light of the surface stays."""
    before, after = (albedo(np.array(0.5), np.array(blood), RESPONSE) - 0.022 for blood in (0.3, 0.31))
    assert np.log(before / after) == pytest.approx(0.01 * np.array(RESPONSE) / RESPONSE[1], rel=1e-3)


def test_the_nearer_of_two_triangles_is_seen():
    """Depth decides, not the order; what looks away is left out; values are carried linearly."""
    points = np.array([[0, 0, 1], [0, 9, 1], [9, 0, 1], [0, 0, 5], [0, 9, 5], [9, 0, 5]], float)
    faces = np.array([[3, 4, 5], [0, 1, 2], [3, 5, 4]])
    raster = rasterise(points, faces, (12, 12))
    assert raster.face[2, 2] == 0 and raster.depth[2, 2] == pytest.approx(5) and raster.face[8, 8] == -1
    assert raster.spread(points[:, 0])[2, 4] == pytest.approx(4) and raster.spread(points)[11, 11].tolist() == [0, 0, 0]
    assert raster.seen.sum() == 55  # rows of 10, 9, ... 1 pixels


@needs_heads
def test_all_shapes_that_are_drawn_exist():
    """Every name of a shape is a file of the package."""
    names = {name for number in range(60) for name in draw_identity(3, number, 1 + number % 6).shapes}
    missing = [name for name in names if not (mesh.data_folder() / "targets" / f"{name}.target.gz").is_file()]
    assert not missing and len(names) > 150


@needs_heads
def test_the_same_seed_gives_the_same_picture():
    """Bit by bit; another number gives another person."""
    first, again, other = face_of(1), make_face(resolve(SMALL), 1), face_of(2)
    for name in ("picture", "pulse", "shine", "lids", "skin", "depth"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert np.abs(first.picture - other.picture).mean() > 10


@needs_heads
def test_pulse_is_on_the_skin_only_and_has_the_colours_of_blood():
    """None on eyes, lips, hair, shirt and background; on the cheeks in the shares that the settings name."""
    face = face_of(2)
    assert np.all(face.pulse[face.skin == 0] == 0)
    mouth = min(at(face, face.skin, 0, y) for y in np.arange(28, 40, 2))  # its height differs from person to person
    assert mouth < 0.1 and all(at(face, face.skin, x, y) < 0.1 for x, y in ((22.75, -12), (80, 115), (0, -85)))
    assert at(face, face.skin, 25, 14) > 0.9 and at(face, face.skin, -25, 14) > 0.9
    skin = face.skin > 0.95
    share = -face.pulse[skin] / (face.picture - face.shine)[skin]
    assert np.allclose(share / share[:, 1:2], np.array(RESPONSE) / RESPONSE[1], rtol=1e-3)
    assert 0.9 < share[:, 1].mean() < 1.1


@needs_heads
def test_frames_of_a_modelled_person_are_rendered_and_read_back(tmp_path):
    """Turning head, blinks and speech included; the loader gives the frames and the truth."""
    options = {**SMALL, "SECONDS": 1.0, "TALKING": 1.0, "BLINKS": 60.0, "SUBJECTS": 1}
    loader = SyntheticLoader({"SYNTHETIC": options})
    recording = loader.recordings(tmp_path)[0]
    frames = [np.asarray(frame) for frame in loader.read_video(recording)]
    truth = Session(resolve(options), 1).truth()
    assert len(frames) == len(truth.times) and frames[0].shape == (120, 160, 3)
    assert np.abs(frames[-1].astype(float) - frames[0]).mean() > 0.5 and "ppg" in loader.read_wave(recording)


@needs_heads
def test_a_modelled_face_holds_what_moves_it():
    """The nose stands before the cheeks; normals point outwards on both sides; lids close eyes and nothing else."""
    face = face_of(2)
    assert at(face, face.depth, 0, 10) > at(face, face.depth, 33, 10) + 2
    side = -1 if face.placement.mirrored else 1
    assert side * at(face, face.normal_x, 33, 10) > 0.2 > -0.2 > side * at(face, face.normal_x, -33, 10)
    change = np.abs(face.lids).sum(axis=2)
    assert at(face, change, 22.75, -11) > 30 and at(face, change, 25, 14) < 1 and at(face, change, 0, -30) < 1


@pytest.mark.slow
@needs_heads
def test_types_follow_each_other_in_the_picture():
    """From I to VI the angle that a camera would measure on the lit skin falls, and the skin gets darker."""
    angles, levels = [], []
    for tone in range(1, 7):
        face = make_face(resolve({**SMALL, "SKIN_TONES": [tone], "SPECULAR": 0.0}), 3)
        skin = face.picture[face.skin > 0.95] / 255
        angles.append(float(typology_angle((skin**2.2).mean(axis=0))))
        levels.append(skin.mean())
    assert np.all(np.diff(angles) < -5) and np.all(np.diff(levels) < 0), (angles, levels)


@pytest.mark.slow
@needs_heads
def test_the_cascade_finds_modelled_people():
    """At least 34 of 40 in their first frame, where the truth says."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    settings, found = resolve({"FACE": "modelled", "SECONDS": 0.1}), 0
    for subject in range(1, 41):
        session = Session(settings, subject)
        x, y, w, h = session.truth().box[0]
        boxes = cascade.detectMultiScale(cv2.cvtColor(next(session.frames()), cv2.COLOR_RGB2GRAY))
        found += any(abs(bx + bw / 2 - x - w / 2) < 0.25 * w and abs(by + bh / 2 - y - h / 2) < 0.25 * h
                     for bx, by, bw, bh in boxes)  # fmt: skip
    assert found >= 34


@pytest.mark.slow
@needs_heads
def test_pos_measures_modelled_people():
    """Two people of `easy` from the pixels: POS within 2 bpm of the truth; a photograph of one has no pulse at all."""
    for subject in (1, 2):
        session = Session(resolve({**SMALL, "PRESET": "easy", "SECONDS": 20.0}), subject)
        assert spectral_rate(pos(face_trace(session), 30.0), 30.0) == pytest.approx(session.truth().hr, abs=2)
    still = Session(resolve({**SMALL, **CALM, "PHOTO": True, "SECONDS": 1.0}), 1)
    assert np.ptp(np.stack(list(still.frames())), axis=0).max() == 0
