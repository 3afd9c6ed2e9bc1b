"""The data doctor: every planted defect is found and named, a clean recording has none, the page is safe to open."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import main
from config import schema
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.doctor import label, page, picture, timing
from dataset.doctor.examine import Job, Report, examine, probe
from dataset.doctor.finding import Finding
from dataset.face.crop import FaceCrop
from dataset.files.video import iter_frames
from dataset.store.cache import Cache
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_video as write_synthetic
from evaluation.results import uniform
from registry import DATASETS
from tests.conftest import reference
from tests.video_tools import moving_face, write_video

ROOT = Path(__file__).resolve().parent.parent
FS = 30.0
SKIN, RESPONSE = np.array([170.0, 120.0, 100.0]), np.array([0.33, 0.77, 0.53])
CROP = FaceCrop(size=(16, 16))


def heart(times: np.ndarray, bpm: float = 72.0, seed: int = 0) -> np.ndarray:
    """A pulse wave at `times` (s), rising with the blood, whose rate wanders as that of a person."""
    clock = np.arange(-10.0, times[-1] + 10.0, 0.01)
    wander = np.interp(clock, clock[::200], np.random.default_rng(seed).normal(0, 0.05, len(clock[::200])))
    phase = 2 * np.pi * np.cumsum(bpm / 60 * (1 + wander)) * 0.01
    angle = np.interp(times, clock, phase)
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


def make(folder: Path, name: str = "one", times=None, faces=lambda faces: faces, flags=None, ppg=None, box=90) -> Job:
    """A cache entry of 20 s with a painted pulse, and the job to examine it; the arguments plant defects.

    `faces` changes the frames (T, H, W, 3), `ppg` is the signal in place of one in step with the video.
    """
    times = np.arange(600) / FS if times is None else times
    noise = np.random.default_rng(1).normal(0, 2, (len(times), 16, 16, 3))
    features = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 60, (16, 16)), (0, 0), 1.5)[..., None]
    pictures = SKIN * (1 - 0.02 * heart(times)[:, None] * RESPONSE)[:, None, None] + features + noise
    pictures = np.clip(np.rint(faces(pictures)), 0, 255).astype(np.uint8)
    native = np.arange(0.0, 20.0, 1 / 64)
    recording = Recording(name, name, folder / name, {"absent": True})
    cache = Cache(folder / "cache", {})
    with cache.write(recording) as entry:
        for face, time in zip(pictures, times, strict=True):
            entry.append(face, (10, 10, box, box), float(time))
        entry.signals = {"ppg": ppg or Signal(heart(native), times=native)}
        entry.flags = {"face_coverage": 1.0, **(flags or {})}
    return Job("TEST", recording, BaseLoader(), cache, CROP, {"TEST.DATA.FS": FS})


@pytest.fixture
def plots():
    """Asked for by the tests that look at the pictures of waves."""


@pytest.fixture(autouse=True)
def _plots_where_asked_for(request, monkeypatch):
    """Drawing takes longer than all checks."""
    if "plots" not in request.fixturenames:
        monkeypatch.setattr("dataset.doctor.examine.draw", lambda *_: b"")


def noticed(report: Report) -> dict[str, str]:
    """Check -> grade of everything that is not fine."""
    assert not report.error
    return {finding.check: finding.grade for finding in report.findings if finding.grade not in ("ok", "")}


def found(report: Report, check: str) -> Finding:
    """The finding of one check."""
    return next(finding for finding in report.findings if finding.check == check)


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


# --- The page and the program -----------------------------------------------------------------------------------------

NASTY = "<script>alert(1)</script>&\"'=1"


def test_the_page_escapes_names_sorts_worst_first_and_needs_nothing_else():
    """File names are written by strangers."""
    fine = Report("TEST", "fine", "s1", [Finding("light", "ok", "Good.")])
    odd = Report("TEST", "odd", "s2", [Finding("light", "look", f"{NASTY} here", "Mend <b>it</b>")])
    bad = Report("TEST", NASTY, "s3", [Finding("light", "bad", "Worse.")], plot=b"\x89PNG")
    lost = Report("TEST", "lost", "s4", error=f"no <file> '{NASTY}'")
    text = page.page(f"Doctor {NASTY}", [fine, odd, bad, lost])
    assert "<script" not in text and "&lt;script&gt;" in text and "Mend &lt;b&gt;it&lt;/b&gt;" in text
    assert re.findall(r"<details id=r\d( open)?><summary><span class='chip (\w+)", text) == [
        (" open", "failed"), (" open", "bad"), (" open", "look"), ("", "ok"),
    ]  # fmt: skip
    assert not re.search(r"(src|href)=(?!'data:|'#)|@import|url\(", text), "nothing is fetched"
    rows = list(csv.DictReader(page.table([fine, odd, bad, lost]).splitlines()))
    assert [row["grade"] for row in rows] == ["failed", "bad", "look", "ok"]
    assert rows[1]["recording"] == NASTY and rows[0]["findings"].startswith("no <file>")


def test_every_number_has_a_column(tmp_path):
    """csv.DictWriter would refuse others; none is forgotten."""
    values = {name for finding in examine(make(tmp_path)).findings for name in finding.values}
    assert values - {"codec"} == set(page.COLUMNS[7:]) - {"codec", "label_gap_s"} | {"label_gap_s"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Three small videos: one with its label, one whose label is late, one that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    times = np.arange(360) / FS
    rng = np.random.default_rng(0)
    frames = SKIN * (1 - 0.02 * heart(times)[:, None] * RESPONSE)[:, None, None] + rng.normal(0, 4, (360, 24, 32, 3))
    frames = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    for name, lateness in (("good", 0.0), ("late <i>one", 0.8)):
        write_video(folder / f"{name}.mkv", frames, "ffv1_rgb", FS)
        lines = [f"{t:.3f},{v:.5f}" for t, v in zip(times, heart(times - lateness), strict=True)]
        (folder / f"{name}.csv").write_text("time,ppg\n" + "\n".join(lines) + "\n")
    (folder / "broken.mp4").write_bytes(b"no video at all")
    return folder


def doctor(videos: Path, folder: Path, *more: str) -> int:
    """Run the program on the videos, whole frames in place of faces."""
    crop = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE=False"
    size = ["UNSUPERVISED.DATA.PREPROCESS.RESIZE.W=16", "UNSUPERVISED.DATA.PREPROCESS.RESIZE.H=16"]
    places = [f"LOG.PATH={folder / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={folder / 'cache'}"]
    return main.main(["--video", str(videos), "--doctor", crop, *size, *places, "PREPROCESS_WORKERS=1", *more])


def test_the_doctor_examines_own_videos(videos, tmp_path, capsys, plots):
    """One row each, the failed one with its reason; exit code 3 because of it."""
    assert doctor(videos, tmp_path) == 3
    out = capsys.readouterr().out
    (table,) = (tmp_path / "runs" / "runs").glob("*/doctor.csv")
    rows = {row["recording"]: row for row in csv.DictReader(table.open())}
    assert {name: row["grade"] for name, row in rows.items()} == {
        "broken": "failed",
        "late <i>one": "bad",
        "good": "ok",
    }
    assert float(rows["late <i>one"]["lag_s"]) == pytest.approx(0.8, abs=0.02)
    assert rows["good"]["codec"] == "ffv1"
    text = table.with_name("doctor.html").read_text()
    assert "late &lt;i&gt;one" in text and "late <i>" not in text and "data:image/png;base64," in text
    assert "3 recordings: 1 failed, 1 bad, 1 ok" in out and "BAD late <i>one: The label comes 0.80 s late" in out
    assert "FAILED broken:" in out and f"Report: {table.with_name('doctor.html')}" in out


def test_the_exit_code_says_whether_something_is_bad(videos, tmp_path):
    """0: nothing bad; 1: something is."""
    one = tmp_path / "one"
    one.mkdir()
    for name in ("good.mkv", "good.csv"):
        (one / name).write_bytes((videos / name).read_bytes())
    assert doctor(one, tmp_path) == 0
    (one / "good.csv").write_bytes((videos / "late <i>one.csv").read_bytes())
    assert doctor(one, tmp_path, "--overwrite") == 1


def test_recordings_of_several_sections_are_examined_once(videos, tmp_path, capsys):
    """Each section's own, named; what two sections share counts for the first."""
    file = tmp_path / "x.yaml"
    data = {"DATASET": "Folder", "DATA_PATH": str(videos), "FS": 0, "CACHED_PATH": str(tmp_path / "cache")}
    data["PREPROCESS"] = {"CROP_FACE": {"DO_CROP_FACE": False}, "RESIZE": {"W": 16, "H": 16}}
    sections = {
        name: {"DATA": {**data, "BEGIN": begin, "END": end}}
        for name, begin, end in (("TRAIN", 0.0, 0.7), ("VALID", 0.3, 1.0))
    }
    settings = {"TOOLBOX_MODE": "preprocess", "PREPROCESS_WORKERS": 1, "LOG": {"PATH": str(tmp_path / "runs")}}
    file.write_text(yaml.safe_dump({**settings, **sections}))
    assert main.main(["--config_file", str(file), "--doctor"]) == 3
    (table,) = tmp_path.glob("runs/runs/*/doctor.csv")
    rows = [(row["section"], row["recording"]) for row in csv.DictReader(table.open())]
    assert sorted(rows) == [("TRAIN", "broken"), ("TRAIN", "good"), ("VALID", "late <i>one")]


def test_chunks_of_rppg_toolbox_are_refused_with_a_remedy(tmp_path):
    """They keep nothing that could be examined."""
    from dataset.doctor import run

    np.save(tmp_path / "s1_input0.npy", np.zeros((10, 8, 8, 3)))
    np.save(tmp_path / "s1_label0.npy", np.zeros(10))
    config = schema()
    config.TOOLBOX_MODE = "unsupervised_method"
    data = config.UNSUPERVISED.DATA
    data.DATASET, data.FS, data.CACHED_PATH = "Folder", 30, str(tmp_path)
    with pytest.raises(ValueError, match="DATA_PATH to the raw data"):
        run.run(config)


def test_the_doctor_does_without_torch():
    """It examines data: no network, no wait for one."""
    code = "import sys, dataset.doctor.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0


def test_real_phones_are_judged_by_their_clocks_and_colours():
    """21 fingertip videos: gaps up to 0.6 s, bursts, and two whose red is saturated, one of them 22 bpm off."""
    folder = reference("data/fingertip/welltory/data")
    gaps, shapes = {}, {}
    for path in folder.glob("*/PPG.csv"):
        times, red = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1)).T
        name = int(path.parent.name[-2:])
        gaps[name] = timing.check_dropped(times / 1000, len(times))
        shapes[name] = label.check_shape(uniform(times / 1000, red, FS)[1], FS)
    assert len(gaps) == 21
    assert {name for name, finding in gaps.items() if finding.grade == "bad"} == {1, 12, 13, 19}
    assert max(gaps, key=lambda name: gaps[name].values["longest_gap_s"]) == 19
    assert gaps[19].values["longest_gap_s"] == pytest.approx(0.61, abs=0.01)
    assert {name for name, finding in shapes.items() if finding.grade == "bad"} == {20, 21}


def test_a_late_frame_is_not_a_lost_one():
    """Frames that arrive in bursts are all there."""
    times = np.arange(600) / FS
    times[10::20] += 0.03
    assert timing.check_dropped(times, 600).values["dropped_frames"] == 0
    assert timing.check_doubled(times, 0, 600, FS, 0.0).values["doubled_by_time"] == 0


# --- Rendered people (minutes) ----------------------------------------------------------------------------------------


def rendered(folder: Path, *changes: str) -> dict[str, dict[str, str]]:
    """Rows of doctor.csv by recording, of the synthetic demo with `changes` of its settings."""
    places = [f"LOG.PATH={folder / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={folder / 'cache'}"]
    places += [f"UNSUPERVISED.DATA.DATA_PATH={folder / 'raw'}", "PREPROCESS_WORKERS=2"]
    keys = [
        change if change.startswith("UNSUPERVISED") else f"UNSUPERVISED.DATA.SYNTHETIC.{change}" for change in changes
    ]
    main.main(["--doctor", *places, *keys])
    (table,) = folder.glob("runs/runs/*/doctor.csv")
    return {row["recording"]: row for row in csv.DictReader(table.open())}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["standard", "easy"])
def test_rendered_people_raise_no_false_alarm(tmp_path, preset):
    """Motion, drift, lost frames and a weak pulse within what is usual are no finding."""
    rows = rendered(tmp_path, f"PRESET={preset}", "SUBJECTS=6", "SECONDS=20.0")
    assert {name: row["findings"] for name, row in rows.items()} == {f"subject{k}": "" for k in range(1, 7)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "check"),
    [
        (["SENSOR_DELAY=0.4"], "label lag"),
        (["DROPPED_FRAMES=0.1"], "dropped frames"),
        (["EXPOSURE_STEPS=20.0", "EXPOSURE_STEP=0.3"], "light"),
        (["CODEC=h264", "CRF=45"], "compression"),
        (["FS=25.0"], "frame rate"),
        (["SECONDS=8.0"], "duration"),
        (["TURNS=20.0", "TURN_ANGLE=20.0", "SWAY=0.1", "YAW=10.0"], "motion"),
        (["HEART_RATE=[200.0, 200.0]"], "label rate"),
    ],
)
def test_a_defect_of_a_rendered_recording_is_found(tmp_path, changes, check):
    """Through the whole chain, and named."""
    rows = rendered(tmp_path, "PRESET=easy", "SUBJECTS=1", "SECONDS=15.0", *changes)
    assert f": {check}:" in rows["subject1"]["findings"]


@pytest.mark.slow
def test_a_face_that_leaves_is_found(tmp_path):
    """A rendered person who is there half of the time, in a video without a label."""
    settings = resolve({"PRESET": "easy", "SECONDS": 16.0, "CODEC": "h264"})
    session = Session(settings, 1)
    frames = [frame if k < 240 else np.full_like(frame, 90) for k, frame in enumerate(session.frames())]
    (tmp_path / "videos").mkdir()
    write_synthetic(tmp_path / "videos" / "half.mp4", frames, session.course.times, settings)
    places = [f"LOG.PATH={tmp_path / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={tmp_path / 'cache'}"]
    assert main.main(["--video", str(tmp_path / "videos"), "--doctor", *places]) == 1
    (table,) = tmp_path.glob("runs/runs/*/doctor.csv")
    (row,) = csv.DictReader(table.open())
    assert "bad: face: A face in" in row["findings"] and 0.3 < float(row["face_coverage"]) < 0.7
