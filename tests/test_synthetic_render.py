"""Rendered frames carry the pulse, the person and the disturbances that the settings name, and nothing else."""

import cv2
import numpy as np
import pytest

from dataset.synthetic.camera import coloured
from dataset.synthetic.face import make_face, pulse_amplitude, tone_share
from dataset.synthetic.photo import load_photo
from dataset.synthetic.render import Session, Truth
from dataset.synthetic.settings import PRESETS, resolve
from tests.conftest import few
from unsupervised_methods.methods.pos import pos

CALM = {
    "PRESET": "easy", "NOISE": 0.0, "BLINKS": 0.0, "BREATH_MOTION": 0.0, "LIGHT_DRIFT": 0.0, "SECONDS": 4.0,
    "BREATH_BASELINE": 0.0, "BREATH_AMPLITUDE": 0.0,
}  # fmt: skip


def spectral_rate(signal: np.ndarray, fs: float) -> float:
    """Highest peak (bpm) between 42 and 150 bpm."""
    signal = (signal - signal.mean()) * np.hanning(len(signal))
    power = np.abs(np.fft.rfft(signal, 16384)) ** 2
    rates = 60 * np.fft.rfftfreq(16384, 1 / fs)
    inside = (rates >= 42) & (rates <= 150)
    return float(rates[inside][power[inside].argmax()])


def face_trace(session: Session) -> np.ndarray:
    """Mean colour (T, 3) of the true face box at rest."""
    x, y, w, h = np.rint(session.truth().box[0]).astype(int)
    return np.array([frame[y : y + h, x : x + w].reshape(-1, 3).mean(axis=0) for frame in session.frames()])


def test_same_seed_same_bytes():
    """Rendering twice gives the same frames; another seed other ones."""
    first, again = (list(Session(resolve({"SECONDS": 0.5}), 2).frames()) for _ in range(2))
    other = next(Session(resolve({"SECONDS": 0.5, "SEED": 1}), 2).frames())
    assert np.array_equal(first, again)
    assert first[0].shape == (240, 320, 3) and first[0].dtype == np.uint8
    assert not np.array_equal(first[0], other)


def test_length_and_frame_times():
    """SECONDS x FS frame times; a lost frame leaves a gap and is listed."""
    session = Session(resolve({"SECONDS": 10.0, "FS": 25, "DROPPED_FRAMES": 0.1}), 1)
    truth = session.truth()
    assert len(truth.times) + len(truth.lost) == 250 and len(truth.lost) > 5
    assert sum(1 for _ in session.frames()) == len(truth.times) == len(truth.ppg) == len(truth.box)
    assert np.allclose(np.setdiff1d(np.arange(250), truth.lost) / 25, truth.times)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("size", few([(320, 240), (640, 480)], (320, 240)))
def test_cascade_finds_every_face_of_a_preset(preset, size):
    """OpenCV's frontal face cascade finds each subject where the truth says, in the first frame, at 1:1 and 2:1."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    settings = resolve({"PRESET": preset, "WIDTH": size[0], "HEIGHT": size[1], "SECONDS": 0.1})
    for subject in range(1, 19):
        session = Session(settings, subject)
        found = cascade.detectMultiScale(next(session.frames()))
        assert len(found), f"no face in subject {subject}"
        x, y, w, h = found[found[:, 2].argmax()]
        bx, by, bw, bh = session.truth().box[0]
        assert abs(x + w / 2 - bx - bw / 2) < 0.15 * bw and abs(y + h / 2 - by - bh / 2) < 0.15 * bh


def test_pulse_strength_and_colour_are_the_settings():
    """Without disturbances: relative peak to valley on the skin is the amplitude, in the set proportion of channels."""
    session = Session(resolve({**CALM, "SPECULAR": 0.0, "AMPLITUDE_VARIATION": 0.0, "PULSE_AMPLITUDE": 0.05}), 1)
    skin = session.face.skin > 0.99
    trace = np.array([frame[skin].mean(axis=0) for frame in session.frames()])
    relative = np.ptp(trace, axis=0) / trace.mean(axis=0)
    expected = session.truth().amplitude * np.array([0.33, 0.77, 0.53]) / 0.77
    assert np.allclose(relative, expected, rtol=0.08)


def test_blood_darkens_the_skin():
    """The pixel goes down while the pulse wave goes up."""
    session = Session(resolve(CALM), 1)
    assert np.corrcoef(face_trace(session)[:, 1], session.truth().ppg)[0, 1] < -0.99


def test_pulse_below_a_grey_level_survives_quantisation():
    """Sensor noise dithers: a pulse of a third of a grey level comes back from the spatial mean."""
    session = Session(resolve({**CALM, "NOISE": 1.5, "PULSE_AMPLITUDE": 0.002}), 1)
    truth = session.truth()
    assert truth.amplitude * 255 < 0.6
    assert np.corrcoef(face_trace(session)[:, 1], truth.ppg)[0, 1] < -0.9


def test_pulse_is_on_the_skin_only():
    """Background, hair, eyes and teeth stay as they are while the skin changes, by different amounts."""
    face = make_face(resolve({"SECONDS": 0.1}), 1)
    assert np.all(face.pulse[face.skin == 0] == 0)
    strength = -face.pulse[..., 1][face.skin > 0.99] / face.picture[..., 1][face.skin > 0.99]
    assert strength.std() / strength.mean() > 0.15
    x, y, w, h = np.rint(face.placement.box).astype(int)
    assert 0.35 < (face.skin[y : y + h, x : x + w] > 0.5).mean() < 0.95


def test_parts_of_the_photograph_exclude_each_other():
    """Skin is part of flesh and of the person; hair and clothes are not skin; masks lie in [0, 1]."""
    photo = load_photo()
    for mask in (photo.person, photo.flesh, photo.skin, photo.hair, photo.clothes, photo.eyes, photo.inner):
        assert mask.shape == (512, 512) and mask.min() >= 0 and mask.max() <= 1
    assert np.all(photo.skin <= photo.flesh + 1e-6)
    assert (photo.hair * photo.skin).max() < 0.3 and (photo.clothes * photo.skin).max() < 0.3
    assert photo.skin[101, 202] == 0 and photo.skin[146, 223] == 0 and photo.skin[120, 200] > 0.9


def test_melanin_changes_colour_and_pulse():
    """From type I to VI skin gets darker and redder, and the pulse weaker."""
    colours, shares = [], [tone_share(tone) for tone in range(1, 7)]
    for tone in range(1, 7):
        settings = resolve({"SKIN_TONES": [tone], "SECONDS": 0.1, "SPECULAR": 0.0})
        face = make_face(settings, 1)
        colours.append(face.picture[face.skin > 0.99].mean(axis=0))
        drawn = pulse_amplitude(settings, 1) / shares[tone - 1]
        assert settings.pulse_amplitude[0] <= drawn <= settings.pulse_amplitude[1]
    colours = np.array(colours)
    assert np.all(np.diff(colours.sum(axis=1)) < 0) and colours[5].sum() < 0.6 * colours[0].sum()
    assert colours[5, 0] / colours[5, 2] > 1.1 * colours[0, 0] / colours[0, 2]
    assert np.all(np.diff(shares) < 0) and shares[0] == 1 and 0.5 < shares[5] < 0.65


def test_photograph_has_no_pulse():
    """PHOTO: nothing periodic in the frames, zeros for truth, no rates."""
    session = Session(resolve({**CALM, "PHOTO": True, "SECONDS": 1.0}), 1)
    truth = session.truth()
    assert truth.amplitude == 0 and not truth.ppg.any() and not truth.ppg_native.any() and not len(truth.beats)
    assert np.isnan(truth.hr) and np.isnan(truth.rr) and np.isnan(truth.hr_native).all()
    assert np.ptp(np.stack(list(session.frames())), axis=0).max() == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("LIGHT_DRIFT", 0.1), ("LIGHT_NOISE", 0.05), ("SIDE_LIGHT", 0.1), ("FLICKER", 0.05), ("EXPOSURE_STEPS", 30.0),
        ("NOISE", 2.0), ("SWAY", 0.05), ("ROLL", 4.0), ("YAW", 6.0), ("PITCH", 6.0), ("TURNS", 20.0), ("BLINKS", 60.0),
        ("TALKING", 1.0), ("BREATH_MOTION", 0.05),
    ],
)  # fmt: skip
def test_each_disturbance_changes_the_frames(key, value):
    """Alone, on a still subject without pulse, it makes frames differ; without it they are all the same."""
    still = {**CALM, "PULSE_AMPLITUDE": 0.0, "SECONDS": 12.0, "FS": 12}
    base = np.stack(list(Session(resolve(still), 1).frames()))
    moved = np.stack(list(Session(resolve({**still, key: value}), 1).frames()))
    assert np.ptp(base, axis=0).max() == 0
    assert np.ptp(moved, axis=0).max() >= 3


def test_subjects_differ_in_more_than_rate():
    """Two subjects of the same skin type differ in face, hair, clothes and background."""
    frames = [next(Session(resolve({"SKIN_TONES": [2], "NOISE": 0.0}), k).frames()).astype(float) for k in (1, 2)]
    assert np.abs(frames[0] - frames[1]).mean() > 15


def test_box_follows_the_head():
    """A head that sways right takes the true box along."""
    session = Session(resolve({**CALM, "SWAY": 0.05}), 1)
    truth, shift = session.truth(), session.course.shift
    assert np.allclose(truth.box[:, 0] - truth.box[0, 0], (shift[:, 0] - shift[0, 0]) * truth.box[0, 2])
    frames = list(session.frames())
    far = int(np.abs(shift[:, 0] - shift[0, 0]).argmax())
    x, y, w, h = np.rint(truth.box[0]).astype(int)
    patch = cv2.cvtColor(frames[0][y + 20 : y + h - 20, x + 20 : x + w - 20], cv2.COLOR_RGB2GRAY)
    match = cv2.matchTemplate(cv2.cvtColor(frames[far], cv2.COLOR_RGB2GRAY), patch, cv2.TM_CCOEFF_NORMED)
    found = np.array(np.unravel_index(match.argmax(), match.shape))[::-1] - (x + 20, y + 20)
    assert np.allclose(found, truth.box[far, :2] - truth.box[0, :2], atol=1.0)


def test_truth_survives_its_file(tmp_path):
    """What is saved is what is loaded, byte for byte the same file each time."""
    truth = Session(resolve({"SECONDS": 2.0}), 1).truth()
    truth.save(tmp_path / "a.npz")
    truth.save(tmp_path / "b.npz")
    loaded = Truth.load(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for name, value in vars(truth).items():
        assert np.array_equal(getattr(loaded, name), value), name
    assert len(truth.ppg_native) == 121 and truth.ppg_times[1] == pytest.approx(1 / 60)


def test_coloured_noise_has_its_band_and_its_size():
    """rms 1, nothing outside the band."""
    values = coloured(np.random.default_rng(0), 6000, 30.0, 0.1, 2.0, 1.0)
    power = np.abs(np.fft.rfft(values)) ** 2
    freqs = np.fft.rfftfreq(6000, 1 / 30)
    assert values.std() == pytest.approx(1, rel=1e-6)
    assert power[(freqs < 0.09) | (freqs > 2.1)].sum() < 1e-9 * power.sum()


def test_pos_measures_the_easy_preset():
    """Two subjects of `easy` from the pixels: POS within 2 bpm of the truth."""
    for subject in (1, 2):
        session = Session(resolve({"PRESET": "easy", "SECONDS": 20.0}), subject)
        assert spectral_rate(pos(face_trace(session), 30.0), 30.0) == pytest.approx(session.truth().hr, abs=2)


def test_light_disturbs_green_on_standard():
    """On `standard` most power of the green mean near the pulse is not the pulse."""
    session = Session(resolve({"SECONDS": 20.0, "DROPPED_FRAMES": 0.0}), 1)
    green = face_trace(session)[:, 1]
    pulse = session.truth().ppg
    assert abs(np.corrcoef(green, pulse)[0, 1]) < 0.3
