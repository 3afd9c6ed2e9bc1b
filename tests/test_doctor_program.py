"""The data doctor as a program: a page that is safe to open, the right exit code, rendered people judged rightly."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import main
from config import schema
from dataset.doctor import label, page, timing
from dataset.doctor.examine import Report, examine
from dataset.doctor.finding import Finding
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_video as write_synthetic
from evaluation.results import uniform
from tests.conftest import ROOT, reference
from tests.doctor_tools import FS, RESPONSE, SKIN, asked_for, draws_where_asked, heart, make
from tests.video_tools import write_video

plots = pytest.fixture(asked_for)
_plots_where_asked_for = pytest.fixture(autouse=True)(draws_where_asked)


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
    assert "What helps:\n  label lag: Shift the label's times by -0.80 s" in out
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
