"""The data doctor: every planted defect is found and named, a clean recording has none."""

import re

import cv2
import numpy as np
import pytest

from dataset.data_loader.base import Recording, Signal
from dataset.doctor import label, picture, timing
from dataset.doctor.examine import examine, probe
from dataset.files.video import iter_frames
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_video as write_synthetic
from registry import DATASETS
from tests.doctor_tools import FS, SKIN, asked_for, draws_where_asked, found, heart, make, noticed
from tests.video_tools import moving_face

plots = pytest.fixture(asked_for)
_plots_where_asked_for = pytest.fixture(autouse=True)(draws_where_asked)


def test_a_clean_recording_is_ok(tmp_path, plots):
    """And nearly every check could be made."""
    report = examine(make(tmp_path))
    assert report.grade == "ok", noticed(report)
    assert [f.check for f in report.findings if not f.grade] == ["compression"], "no raw video here"
    assert found(report, "label lag").values["lag_s"] == pytest.approx(0.0, abs=0.02)
    assert report.plot.startswith(b"\x89PNG") and all(face.startswith(b"\xff\xd8") for face in report.faces)


NATIVE = np.arange(0.0, 20.0, 1 / 64)


@pytest.mark.parametrize(
    ("lateness", "grade"), [(0.1, "ok"), (0.4, "look"), (-0.4, "look"), (0.9, "bad"), (-1.7, "bad")]
)
def test_a_shifted_label_is_measured(tmp_path, lateness, grade):
    """To a fifth of a frame, on both sides."""
    report = examine(make(tmp_path, ppg=Signal(heart(NATIVE - lateness), times=NATIVE)))
    lag = found(report, "label lag")
    assert lag.values["lag_s"] == pytest.approx(lateness, abs=0.2 / FS)
    assert lag.grade == grade and f"{abs(lateness):.2f} s {'late' if lateness > 0 else 'early'}" in lag.text


def test_an_inverted_label_is_told_from_a_late_one(tmp_path):
    """Half a beat later the waves look alike, but not alike enough."""
    lag = found(examine(make(tmp_path, ppg=Signal(-heart(NATIVE), times=NATIVE))), "label lag")
    assert lag.grade == "look" and "upside down" in lag.text
    assert lag.values["lag_s"] == pytest.approx(0.0, abs=0.02)


def test_the_label_of_somebody_else_has_no_lag_but_another_rate(tmp_path):
    """No number where the waves have nothing in common."""
    report = examine(make(tmp_path, ppg=Signal(heart(NATIVE, 95.0, seed=3), times=NATIVE)))
    assert found(report, "label lag").grade == "" and "cannot be told" in found(report, "label lag").text
    assert noticed(report) == {"camera pulse": "bad"}
    assert "do not belong together" in found(report, "camera pulse").text


def clipped(wave):
    """The upper third cut off."""
    return np.minimum(wave, np.quantile(wave, 0.7))


def flat(wave):
    """A sensor that lay beside the finger for a quarter of the time."""
    return np.where((NATIVE > 5) & (NATIVE < 10), wave[400], wave)


@pytest.mark.parametrize(("spoil", "word", "share"), [(clipped, "clipped", 0.3), (flat, "flat", 0.25)])
def test_clipped_and_flat_labels_are_measured(tmp_path, spoil, word, share):
    """As shares of the samples."""
    shape = found(examine(make(tmp_path, ppg=Signal(spoil(heart(NATIVE)), times=NATIVE))), "label shape")
    assert shape.grade == "bad" and word in shape.text
    assert shape.values[f"label_{word}"] == pytest.approx(share, abs=0.02)
    other = {"clipped": "flat", "flat": "clipped"}[word]
    assert shape.values[f"label_{other}"] == 0 and other not in shape.text


def test_a_constant_label_is_flat_and_nothing_breaks(tmp_path):
    """No division by its spread."""
    report = examine(make(tmp_path, ppg=Signal(np.full(1280, 3.0), times=NATIVE)))
    assert noticed(report) == {"label shape": "bad"}
    assert found(report, "label shape").values["label_flat"] == 1


def test_a_still_picture_has_no_pulse_and_breaks_nothing(tmp_path, plots):
    """Every frame the same."""
    report = examine(make(tmp_path, faces=lambda faces: np.repeat(faces[:1], len(faces), axis=0)))
    assert noticed(report) == {"doubled frames": "bad", "camera pulse": "look"}
    assert "never change" in found(report, "camera pulse").text and report.plot


def test_quantised_labels_are_not_clipped():
    """An oximeter's whole numbers repeat at the top of each beat."""
    wave = np.rint(50 * heart(NATIVE) + 60)
    assert label.clipped_share(wave, 64.0) == 0 and label.flat_share(wave, 64.0) == 0


def test_heart_rates_nobody_has_are_named():
    """Noise, 20 bpm too fast, and a jump."""
    assert "without a clear rhythm" in label.check_heart_rate(np.random.default_rng(0).normal(size=1280), 64.0).text
    fast = label.check_heart_rate(np.sin(2 * np.pi * 3.4 * NATIVE), 64.0)
    assert fast.grade == "bad" and "outside 40-180 bpm" in fast.text
    jump = np.where(NATIVE < 10, np.sin(2 * np.pi * 1.0 * NATIVE), np.sin(2 * np.pi * 1.6 * NATIVE))
    jump = label.check_heart_rate(jump, 64.0)
    assert jump.grade == "look" and jump.values["hr_jump"] == pytest.approx(36, abs=1)


def test_a_short_label_is_measured_in_time_and_by_count(tmp_path):
    """Frames without label; a label of another speed."""
    short = Signal(heart(NATIVE)[: 64 * 15], times=NATIVE[: 64 * 15])
    length = found(examine(make(tmp_path, ppg=short)), "label length")
    assert length.grade == "bad" and length.values["label_missing"] == pytest.approx(0.25, abs=0.01)
    stretched = label.check_length(Signal(np.zeros(1280), fs=64.0), None, 500, 30.0)
    assert stretched.grade == "bad" and "25.00 frames per second" in stretched.mend


def test_dropped_frames_and_gaps_are_counted(tmp_path):
    """By the times."""
    times = np.delete(np.arange(660) / FS, np.r_[100:140, 200:400:10])
    dropped = found(examine(make(tmp_path, times=times)), "dropped frames")
    assert dropped.grade == "bad" and dropped.values["dropped_frames"] == 60
    assert dropped.values["longest_gap_s"] == pytest.approx(41 / FS, abs=0.01)
    assert timing.check_dropped(np.arange(600) / FS, 600).grade == "ok"
    backwards = timing.check_dropped(np.r_[np.arange(300), np.arange(299, 599)[::-1]] / FS, 600)
    assert backwards.grade == "bad" and "run backwards" in backwards.text


def test_doubled_frames_are_found_by_their_pixels(tmp_path):
    """The clock does not know of them."""
    doubled = found(
        examine(make(tmp_path, faces=lambda faces: faces[np.arange(len(faces)) // 3 * 3])), "doubled frames"
    )
    assert (
        doubled.grade == "bad" and doubled.values["repeated_frames"] == 400 and doubled.values["doubled_by_time"] == 0
    )
    assert "about 10 pictures a second are real" in doubled.text


@pytest.mark.parametrize("crf", [18, 28])
def test_doubled_frames_are_found_after_they_were_encoded_again(tmp_path, crf):
    """No pixel needs to be the same; frames of which each brings new noise are real."""
    frames = [frame for frame in moving_face(40) for _ in range(2)]
    path = tmp_path / "x.mp4"
    write_synthetic(path, frames, np.arange(80) / FS, resolve({"CODEC": "h264", "CRF": crf}))
    alike = timing.hardly_changed(np.stack([frame.rgb((80, 40, 160, 160)) for frame in iter_frames(path)]))
    assert alike > 0.4 and timing.check_doubled(None, 0, 80, FS, alike).grade == "look"
    assert timing.hardly_changed(np.random.default_rng(0).integers(0, 9, (80, 16, 16, 3), dtype=np.uint8)) == 0


def test_a_wrong_rate_and_uneven_frames_are_found(tmp_path):
    """25 per second where 30 are stated; a phone's clock."""
    report = examine(make(tmp_path, times=np.arange(500) / 25.0))
    assert noticed(report) == {"frame rate": "bad"}
    assert "TEST.DATA.FS says 30" in found(report, "frame rate").text
    uneven = np.cumsum(np.random.default_rng(0).choice([0.022, 0.033, 0.045], 600))
    assert timing.check_spacing(uneven).grade == "look"
    assert timing.check_spacing(np.round(np.arange(600) / FS, 3)).grade == "ok", "a container rounds to milliseconds"


def test_without_frame_times_the_clock_is_not_judged():
    """Nothing is claimed."""
    assert timing.check_rate(None, 30.0, {"FS": 30.0}).grade == ""
    assert timing.check_dropped(None, 600).grade == "" and timing.check_spacing(None).grade == ""


@pytest.mark.parametrize(
    ("course", "grade", "words"),
    [
        (lambda t: np.where(t < 10, 1.0, 0.75), "look", "1 step of more than 15 %"),
        (lambda t: 1 + 0.08 * np.sin(2 * np.pi * 0.3 * t), "look", "slow pumping of 5 % (rms)"),
        (lambda t: 1 + 0.02 * np.sin(2 * np.pi * 0.05 * t), "ok", ""),
        (lambda t: np.full(len(t), 0.2), "look", "too dark"),
        (lambda t: np.full(len(t), 2.0), "look", "at full scale"),
    ],
)
def test_exposure_that_pumps_is_found(course, grade, words):
    """By the mean colour alone."""
    times = np.arange(600) / FS
    faces = SKIN * course(times)[:, None]
    light = picture.check_light(np.minimum(faces, 255), FS, float((faces >= 255).mean()))
    assert light.grade == grade and words in re.sub(r"(\d)\.\d %", r"\1 %", light.text)


def test_a_face_that_is_lost_or_small_or_not_alone_is_found(tmp_path):
    """What preprocessing flagged, graded."""
    flags = {"face_coverage": 0.5, "several_faces": 2, "face_left_box": 0.1}
    report = examine(make(tmp_path, flags=flags, box=40))
    assert noticed(report) == {"face": "bad", "one face": "look", "face size": "bad"}
    assert found(report, "face size").values == {"face_px": pytest.approx(26.7, abs=0.1), "box_px": 40}


def test_a_second_face_must_stay_to_count():
    """A detector's false alarm is small, or gone a second later."""
    two = np.array([[10, 10, 90, 90], [200, 20, 70, 70]])
    small, same = np.array([[10, 10, 90, 90], [200, 20, 30, 30]]), np.array([[10, 10, 90, 90], [20, 15, 80, 80]])
    assert picture.second_face([two, two])
    assert not any(picture.second_face([two, other]) for other in (small, same, two[:1], two[:0]))
    assert picture.check_several(1, False).grade == picture.check_several(0, None).grade == "ok"
    assert picture.check_several(1, True).grade == picture.check_several(1, None).grade == "look"


def test_motion_is_measured_in_picture_widths():
    """A pattern that moves by a known number of pixels."""
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.integers(0, 256, (80, 160, 3), dtype=np.uint8), (0, 0), 2)
    faces = np.stack([big[:64, 4 * k : 4 * k + 64] for k in range(10)])
    speed = picture.speeds(faces, np.zeros((0, 4)), np.arange(10) / 5)
    assert speed == pytest.approx(np.full(9, 4 / 64 * 5), rel=0.1)
    assert picture.check_motion(speed).grade == "look" and picture.check_motion(speed / 3).grade == "ok"


@pytest.mark.parametrize(("crf", "grade"), [(18, "ok"), (51, "bad")])
def test_compression_is_read_off_the_video_file(tmp_path, crf, grade):
    """Codec and bits per pixel."""
    path = tmp_path / "x.mp4"
    write_synthetic(path, moving_face(30), np.arange(30) / FS, resolve({"CODEC": "h264", "CRF": crf}))
    seen = probe(DATASETS["Folder"](), Recording("x", "x", path), "pyav", 30)
    finding = picture.check_compression(seen)
    assert finding.grade == grade and "h264" in finding.text
    assert finding.values["bits_per_pixel"] == pytest.approx(8 * path.stat().st_size / (30 * 320 * 240), rel=0.35)


@pytest.mark.parametrize(("name", "options", "grade"), [("png", [], "ok"), ("jpg", [95], "ok"), ("jpg", [8], "bad")])
def test_compression_is_read_off_a_folder_of_images(tmp_path, name, options, grade):
    """Blocks show in the pixels, bits in the size of a file."""
    (tmp_path / "images").mkdir()
    for k, frame in enumerate(moving_face(3)):
        arguments = [cv2.IMWRITE_JPEG_QUALITY, *options] if options else []
        (tmp_path / "images" / f"{k}.{name}").write_bytes(cv2.imencode(f".{name}", frame, arguments)[1].tobytes())
    seen = probe(DATASETS["Folder"](), Recording("x", "x", tmp_path / "images"), "pyav", 3)
    finding = picture.check_compression(seen)
    assert finding.grade == grade and {"png": "png, lossless", "jpg": "mjpeg"}[name] in finding.text
    assert (seen.blockiness > picture.BLOCKY_LOOK) == (grade == "bad") and seen.frame.shape == (240, 320, 3)


def test_a_video_that_cannot_be_opened_again_costs_only_that_check(tmp_path):
    """The cache has the rest."""
    job = make(tmp_path)
    gone = probe(DATASETS["Folder"](), Recording("x", "x", tmp_path / "gone.mp4"), "pyav", 10)
    assert picture.check_compression(gone).grade == "" and "could not be opened again" in gone.problem
    assert examine(job).grade == "ok"


def test_a_damaged_entry_is_a_failed_report(tmp_path):
    """With the reason, and no exception."""
    job = make(tmp_path)
    (job.cache.path("one") / "signals.npz").write_bytes(b"PK")
    report = examine(job)
    assert report.grade == "failed" and "damaged" in report.error
