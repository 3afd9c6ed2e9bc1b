"""LGI-PPGI, VIPL-HR, V4V: frame times and rates that lie beside the video, and the parts a data set is divided in."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from config import schema
from dataset.clips.labels import align
from dataset.files.frames import VideoError
from dataset.files.matroska import cut_off
from dataset.files.stamps import stamps_of_frames
from dataset.files.video import iter_frames
from dataset.prepare.checks import check_signals
from dataset.synthetic.layouts import write_layout
from dataset.synthetic.settings import resolve
from registry import DATASETS
from tests.video_tools import moving_face, write_video

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.6)


def times_of(reader, recording):
    """Seconds of all frames."""
    return [frame.time for frame in reader.read_video(recording)]


def filtering(*tasks):
    """A DATA node that keeps these tasks."""
    data = schema().TEST.DATA
    data.FILTERING.update({"SELECT_TASKS": True, "TASK_LIST": list(tasks)})
    return data


def ids(reader, root, data):
    """What the filters keep."""
    return [r.id for r in reader.recordings(root) if reader.select(r, data)]


# --- Time stamps beside a video --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of 20 frames."""
    return write_video(tmp_path_factory.mktemp("video") / "a.avi", moving_face(20), "mjpg")


def test_surplus_stamps_are_left_out_and_the_last_one_may_lack(video):
    """From zero, one for each frame; a single missing one follows at the usual distance."""
    stamps = 7.0 + np.arange(25) * 0.04
    assert np.allclose(stamps_of_frames(video, stamps, "t"), np.arange(20) * 0.04)
    assert np.allclose(stamps_of_frames(video, stamps[:19], "t"), np.arange(20) * 0.04)


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        (np.arange(15) * 0.04, "15 time stamps for the 20 frames"),
        (np.r_[np.arange(10), np.arange(10)] * 0.04, "run backwards"),
        (np.r_[np.arange(19), np.nan] * 0.04, "NaN"),
    ],
)
def test_stamps_that_do_not_fit_are_refused(video, stamps, said):
    """Too few, backwards or not numbers: an error that names the file, never times that are made up."""
    with pytest.raises(VideoError, match=said):
        stamps_of_frames(video, stamps, "time.txt")


def test_a_matroska_file_that_lacks_a_byte_is_cut_off(tmp_path):
    """Its segment states how long it is; a whole one lacks nothing, other containers state nothing."""
    path = write_video(tmp_path / "a.mkv", moving_face(4), "ffv1")
    assert cut_off(path) == 0
    path.write_bytes(path.read_bytes()[:-1])
    assert cut_off(path) == 1
    with pytest.raises(VideoError, match="ends early: 1 bytes are missing"):
        list(iter_frames(path))
    path.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(40))
    assert cut_off(path) == 0


# --- LGI-PPGI --------------------------------------------------------------------------------------------------------


def lgi(root):
    """Reader and first recording."""
    write_layout("LGI-PPGI", root, SETTINGS)
    reader = DATASETS["LGI-PPGI"]()
    return reader, reader.recordings(root)[0]


def log(path, *rows):
    """A log of these rows."""
    entries = "".join(
        f"<value{n}>" + "".join(f"<value{k}>{v}</value{k}>" for k, v in enumerate(row)) + f"</value{n}>"
        for n, row in enumerate(rows)
    )
    path.write_text(f"<cereal>{entries}</cereal>")


def test_lgi_samples_end_with_the_last_frame(tmp_path):
    """What the oximeter recorded before the video lies before 0; frames have the camera's own, uneven times."""
    reader, recording = lgi(tmp_path)
    stamps = 1000 + 40 * np.arange(15) + np.where(np.arange(15) > 7, 25, 0)
    log(recording.path / "cv_camera_sensor_timer_stream_handler.xml", *enumerate(stamps.tolist()))
    log(recording.path / "cms50_stream_handler.xml", *((n, 70, n % 50) for n in range(60)))
    assert np.allclose(times_of(reader, recording), (stamps - 1000) / 1000)
    ppg, hr = (reader.read_wave(recording)[name] for name in ("ppg", "hr"))
    assert ppg.values[9] == 9 and hr.values[9] == 70 and hr.unit == "bpm"
    assert ppg.times[-1] == pytest.approx(0.585 - 1 / 60) and ppg.times[0] == pytest.approx(0.585 - 1.0)


def test_lgi_without_the_camera_log_uses_the_container(tmp_path):
    """The rates alone remain: 25 frames and 60 samples a second."""
    reader, recording = lgi(tmp_path)
    (recording.path / "cv_camera_sensor_timer_stream_handler.xml").unlink()
    assert np.allclose(times_of(reader, recording), np.arange(15) / 25)
    assert reader.read_wave(recording)["ppg"].times is None and reader.read_wave(recording)["ppg"].fs == 60


def test_lgi_subjects_are_found_at_any_depth(tmp_path):
    """With or without the folders id1, id2; the part after the last dash is the session."""
    write_layout("LGI-PPGI", tmp_path, SETTINGS)
    reader = DATASETS["LGI-PPGI"]()
    deep, flat = reader.recordings(tmp_path), reader.recordings(tmp_path / "id1")
    assert [r.id for r in deep] == [r.id for r in flat] == ["user1_resting", "user1_talk"]
    assert {r.subject for r in deep} == {"user1"} and deep[1].info == {"task": "talk"}


# --- VIPL-HR ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def vipl(tmp_path):
    """Reader, folder, recordings by id."""
    write_layout("VIPL-HR", tmp_path, SETTINGS)
    reader = DATASETS["VIPL-HR"]()
    return SimpleNamespace(reader=reader, root=tmp_path, by_id={r.id: r for r in reader.recordings(tmp_path)})


def test_vipl_times_are_those_written_down(vipl):
    """time.txt counts, not the 25 fps of the container; the label follows the frames' uneven times."""
    recording = vipl.by_id["p1_v1_source1"]
    stamps = np.r_[0, np.cumsum(np.where(np.arange(17) % 5, 33, 66))]
    np.savetxt(recording.path / "time.txt", stamps, "%d")
    times = np.array(times_of(vipl.reader, recording))
    assert np.allclose(times, stamps / 1000)
    (recording.path / "wave.csv").write_text("Wave\n" + "\n".join(map(str, range(60))) + "\n")
    label = align(vipl.reader.read_wave(recording)["ppg"], times, len(times))
    assert np.allclose(label, np.minimum(60 * times, 59))
    assert vipl.reader.describe(recording) == {"frame_times": "time.txt"}


def test_vipl_phone_runs_at_thirty(vipl):
    """No time.txt: 30 fps as published, said with the recording, and a PPG that is spread over the video."""
    recording = vipl.by_id["p1_v1_source2"]
    assert np.allclose(times_of(vipl.reader, recording), np.arange(18) / 30)
    ppg = vipl.reader.read_wave(recording)["ppg"]
    assert ppg.times is None and ppg.fs == 60
    assert "assumed" in vipl.reader.describe(recording)["frame_times"]


def test_vipl_faults_of_the_sensor_are_not_numbers(vipl):
    """255 bpm and 127 % mean that it failed."""
    recording = vipl.by_id["p1_v1_source1"]
    (recording.path / "gt_HR.csv").write_text("HR\n71\n255\n")
    (recording.path / "gt_SpO2.csv").write_text("SpO2\n127\n98\n")
    signals = vipl.reader.read_wave(recording)
    assert np.array_equal(signals["hr"].values, [71, np.nan], equal_nan=True)
    assert np.array_equal(signals["spo2"].values, [np.nan, 98], equal_nan=True)
    check_signals(signals, vipl.reader.signals)


def test_vipl_scenarios_and_cameras_are_chosen_together(vipl):
    """One of the named scenarios AND one of the named cameras; infrared only when it is named."""
    assert ids(vipl.reader, vipl.root, filtering("v1")) == ["p1_v1_source1", "p1_v1_source2"]
    assert ids(vipl.reader, vipl.root, filtering("source1")) == ["p1_v1_source1", "p1_v5_source1"]
    assert ids(vipl.reader, vipl.root, filtering("v1", "v7", "source1")) == ["p1_v1_source1"]
    assert ids(vipl.reader, vipl.root, filtering("v1", "source4")) == ["p1_v1_source4"]


def test_vipl_second_takes_and_the_folder_data(vipl):
    """v1-2 is a recording of scenario v1; everything may lie below `data`, as it is unpacked."""
    (vipl.root / "p1").rename(vipl.root / "x")
    (vipl.root / "data").mkdir()
    (vipl.root / "x").rename(vipl.root / "data" / "p1")
    (vipl.root / "data" / "p1" / "v5").rename(vipl.root / "data" / "p1" / "v1-2")
    assert ids(vipl.reader, vipl.root, filtering("v1", "source1")) == ["p1_v1_source1", "p1_v1-2_source1"]


# --- V4V -------------------------------------------------------------------------------------------------------------


def test_v4v_waves_start_with_the_video_and_rates_lie_at_the_frames(tmp_path):
    """A pressure wave that lasts longer than the video is not stretched; rates have one value for each frame."""
    write_layout("V4V", tmp_path, SETTINGS)
    reader = DATASETS["V4V"]()
    recording = reader.recordings(tmp_path)[0]
    path = next(tmp_path.rglob("F001-T1-BP.txt"))
    path.write_text("".join(f"{n}\n" for n in range(900)))
    signals, times = reader.read_wave(recording), np.array(times_of(reader, recording))
    assert np.allclose(align(signals["ppg"], times, len(times)), 1000 * times, atol=1)
    assert signals["ppg"].unit == "mmHg"
    assert len(signals["hr"].values) == len(signals["resp_bpm"].values) == len(times) == 15
    assert np.allclose(signals["hr"].times, times, atol=0.001) and 30 < signals["hr"].values[0] < 200


def test_v4v_parts_come_from_the_folders(tmp_path):
    """Training, validation and test by the folder of the video; their labels from the files of both phases."""
    for place in ("Phase 1_ Training_Validation sets/Videos/valid", "Phase 2_ Testing set/Videos/Test/test"):
        (tmp_path / place).mkdir(parents=True)
    write_layout("V4V", tmp_path, SETTINGS)
    first, second = tmp_path / "Phase 1_ Training_Validation sets", tmp_path / "Phase 2_ Testing set"
    (first / "Videos/train/F001_T10.mkv").rename(first / "Videos/valid/F002_T10.mkv")
    (second / "blood_pressure/val_set_bp").mkdir(parents=True)
    (first / "Ground truth/BP_raw_1KHz/F001-T10-BP.txt").rename(second / "blood_pressure/val_set_bp/F002-T10.txt")
    (second / "validation_set_gt_release.txt").write_text(
        "F009_T1.mkv, HR, 1, 2\nF009_T1.mkv, RR, 1, 2\nF002_T10.mkv, HR, 70.5, 71\nF002_T10.mkv, RR, 15, 16\n"
    )
    reader = DATASETS["V4V"]()
    assert ids(reader, tmp_path, filtering("train")) == ["F001_T1"]
    assert ids(reader, tmp_path, filtering("valid")) == ["F002_T10"]
    signals = reader.read_wave(reader.recordings(tmp_path)[1])
    assert signals["hr"].values.tolist() == [70.5, 71] and signals["resp_bpm"].values.tolist() == [15, 16]
    assert len(signals["ppg"].values) == 600


def test_v4v_rates_alone_are_no_label(tmp_path):
    """Without its pressure wave a recording fails and says which file is missing and where it came from."""
    write_layout("V4V", tmp_path, SETTINGS)
    next(tmp_path.rglob("F001-T1-BP.txt")).unlink()
    reader = DATASETS["V4V"]()
    with pytest.raises(FileNotFoundError, match="neither F001-T1-BP.txt nor F001-T1.txt.*phase 2"):
        reader.read_wave(reader.recordings(tmp_path)[0])


def put_away(path):
    """A link to nothing in the place of the file."""
    path.unlink()
    path.symlink_to("/nonexistent")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_text("<html>Log in</html>\n"), "is no line of rates of F001_T1"),
        (lambda path: path.write_text("F001_T1.mkv, HR, 71, high\n"), "HR of F001_T1 is no row of numbers"),
        (put_away, "does not exist"),
    ],
)
def test_v4v_a_broken_file_of_rates_is_not_an_absent_one(tmp_path, change, match):
    """Without the file there are no rates; with one that holds none, an error names it."""
    write_layout("V4V", tmp_path, SETTINGS)
    path, reader = next(tmp_path.rglob("F001_T1.txt")), DATASETS["V4V"]()
    change(path)
    with pytest.raises((ValueError, OSError), match=f"F001_T1.txt.*{match}"):
        reader.read_wave(reader.recordings(tmp_path)[0])
    path.unlink()
    assert set(reader.read_wave(reader.recordings(tmp_path)[0])) == {"ppg"}
