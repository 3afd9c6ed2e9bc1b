"""What is special about ECG-Fitness, MCD-rPPG and MR-NIRP: cameras, clocks, ECG packets, raw sensor pictures."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
import scipy.io

from config import load_config, schema
from dataset.data_loader.base import Recording
from dataset.data_loader.mr_nirp import pulse
from dataset.files import pgm
from dataset.files.decoding import decoding
from dataset.files.frames import VideoError
from dataset.prepare.node import make_loader
from dataset.synthetic.layouts import write_subjects
from dataset.synthetic.layouts.mr_nirp import mosaic, write_pgm
from dataset.synthetic.settings import resolve
from registry import DATASETS

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.5)
FRAME = np.random.default_rng(0).integers(60, 200, (8, 10, 3), dtype=np.uint8)


def made(name, root, numbers=(1,), **options):
    """A miniature's reader and recordings."""
    write_subjects(name, root, SETTINGS, numbers)
    reader = DATASETS[name](options)
    return reader, reader.recordings(root)


def kept(reader, recordings, tasks):
    """Ids that TASK_LIST keeps."""
    data = schema().TEST.DATA
    data.FILTERING.update({"SELECT_TASKS": True, "TASK_LIST": tasks})
    return [recording.id for recording in recordings if reader.select(recording, data)]


@pytest.mark.parametrize(("name", "cameras"), [("ECG-Fitness", 2), ("MCD-rPPG", 2), ("MR-NIRP", 1)])
def test_a_camera_is_chosen_by_name(name, cameras, tmp_path):
    """One by default, `all` where they see the same light; a subject's cameras are one subject; others are errors."""
    reader, one = made(name, tmp_path)
    if cameras > 1:
        every = DATASETS[name]({"CAMERA": "all"}).recordings(tmp_path)
        assert len(every) == cameras * len(one) and {r.subject for r in every} == {r.subject for r in one}
    with pytest.raises(ValueError, match="CAMERA is 'front'. Known: "):
        DATASETS[name]({"CAMERA": "front"})
    with pytest.raises(ValueError, match="DATA_AUG is"):
        DATASETS[name]({"DATA_AUG": ["Motion"]})


# --- ECG-Fitness -----------------------------------------------------------------------------------------------------


def test_ecg_fitness_chooses_activities_and_light(tmp_path):
    """Sessions are known by number, activity, light and both; subject 11 has two of them exchanged."""
    reader, recordings = made("ECG-Fitness", tmp_path, (1, 11))
    assert kept(reader, recordings, ["talking"]) == ["01_01_c920-1", "11_02_c920-1"]
    assert kept(reader, recordings, ["rowing_natural"]) == ["01_02_c920-1", "11_01_c920-1"]
    assert kept(reader, recordings, ["02"]) == ["01_02_c920-1", "11_02_c920-1"] and not kept(
        reader, recordings, ["lamp"]
    )


def test_ecg_fitness_reads_the_ecg_while_the_video_ran(tmp_path):
    """Rows before and after the frames are not used, NaN among them; packets are spread; rates have eight bits."""
    reader, recordings = made("ECG-Fitness", tmp_path)
    path = recordings[0].path.with_name("viatom-raw.csv")
    head, *rows = path.read_text().splitlines()
    rows = [row.split(",") for row in rows]
    for row in rows[-3:]:
        row[1] = "nan"
    for row in rows:
        row[2] = "-106"
    path.write_text("\n".join([head, *map(",".join, rows)]))
    ecg, hr = (reader.read_wave(recordings[0])[name] for name in ("ecg", "hr"))
    frames = list(reader.read_video(recordings[0]))
    assert np.isfinite(ecg.values).all() and set(hr.values) == {150}
    assert ecg.times[0] == pytest.approx(0, abs=0.04) and ecg.times[-1] == pytest.approx(frames[-1].time, abs=0.02)
    assert np.allclose(np.diff(ecg.times), 1 / 125, atol=1e-3)


def test_ecg_fitness_frames_without_a_time_are_left_out(tmp_path):
    """A table that is shorter than the video says nothing of the last frames; how many is noted."""
    reader, recordings = made("ECG-Fitness", tmp_path)
    path = recordings[0].path.with_name("c920.csv")
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows[:-4]))
    with decoding() as noticed:
        assert len(list(reader.read_video(recordings[0]))) == len(rows) - 4
    assert noticed.notes == {"frames_without_time": 4}
    path.write_text("\n".join([rows[1], rows[0]]))
    with pytest.raises(ValueError, match="run backwards"):
        reader.read_wave(recordings[0])


# --- MCD-rPPG --------------------------------------------------------------------------------------------------------


def test_mcd_rppg_has_the_sensor_on_the_clock_of_the_frames(tmp_path):
    """100 Hz from before the first frame on; without that file the PPG at the frames; the table joins the info."""
    reader, recordings = made("MCD-rPPG", tmp_path)
    after, before = recordings
    assert (after.subject, before.info["view"]) == ("1001", "front") and kept(reader, recordings, ["after"]) == [
        after.id
    ]
    ppg = reader.read_wave(after)["ppg"]
    assert ppg.times[0] == pytest.approx(-0.5) and np.allclose(np.diff(ppg.times), 0.01)
    assert reader.describe(after)["upper_ap"] == 135 and reader.describe(before)["upper_ap"] == 120
    frames = [frame.time for frame in reader.read_video(after)]
    (tmp_path / "ppg" / "1001_after.PW").unlink()
    at_frames = reader.read_wave(after)["ppg"]
    assert at_frames.times.tolist() == frames
    assert np.abs(np.interp(frames, ppg.times, ppg.values) - at_frames.values).max() < 8
    (tmp_path / "db.csv").unlink()
    assert reader.describe(after) == {}


def test_mcd_rppg_counts_frames_by_its_own_table(tmp_path):
    """The header of a video may lie: as many frames as ppg_sync has lines have to be there, and no more."""
    reader, recordings = made("MCD-rPPG", tmp_path)
    data = bytearray(recordings[0].path.read_bytes())
    at = data.index(b"avih") + 8 + 16
    at_stream = data.index(b"strh") + 8 + 32
    data[at : at + 4] = data[at_stream : at_stream + 4] = (999).to_bytes(4, "little")
    recordings[0].path.write_bytes(data)
    assert len(list(reader.read_video(recordings[0]))) == 15
    sync = tmp_path / "ppg_sync" / f"{recordings[0].id}.txt"
    sync.write_text(sync.read_text() * 2)
    with pytest.raises(VideoError, match="15 of 30 frames"):
        list(reader.read_video(recordings[0]))


def test_mcd_rppg_says_which_line_is_broken(tmp_path):
    """Numbers without a moment, and moments that are none."""
    reader, recordings = made("MCD-rPPG", tmp_path)
    (tmp_path / "ppg" / "1001_after.PW").write_text("12 2023-11-13 14:10:51\n13 yesterday\n")
    with pytest.raises(ValueError, match="Line 2 of .*1001_after.PW"):
        reader.read_wave(recordings[0])


# --- MR-NIRP ---------------------------------------------------------------------------------------------------------


def test_mr_nirp_reads_cars_and_rooms(tmp_path):
    """People of both parts are others; one of the car has two numbers; conditions are words of the folder's name."""
    reader, recordings = made("MR-NIRP", tmp_path, (1, 2))
    assert {recording.subject for recording in recordings} == {"subject1", "indoor2"}
    assert kept(reader, recordings, ["garage_still", "indoor_motion_940"]) == [
        "subject1_garage_still_940", "Subject2_motion_940",
    ]  # fmt: skip
    for number in (2, 16):
        (tmp_path / f"Subject{number}" / f"subject{number}_driving_large_motion_975").mkdir(parents=True)
    moved = [r.subject for r in reader.recordings(tmp_path) if r.info["motion"] == "large_motion"]
    assert moved == ["subject2", "subject2"]


def test_mr_nirp_leaves_out_dark_frames(tmp_path):
    """The lamp of the car lights every second near infrared frame; indoors all of them are lit."""
    _, recordings = made("MR-NIRP", tmp_path, (1, 2))
    infrared, colour = DATASETS["MR-NIRP"]({"CAMERA": "NIR"}), DATASETS["MR-NIRP"]()
    for recording in recordings:
        grey, coloured = (list(reader.read_video(recording)) for reader in (infrared, colour))
        assert len(grey) == len(coloured) == 15
        picture = np.asarray(grey[0])
        assert (
            np.ptp(picture, axis=2).max() == 0 and picture.mean() > 50 and np.ptp(np.asarray(coloured[0]), axis=2).max()
        )
        assert np.allclose([frame.time for frame in grey], np.arange(15) / 30, atol=1e-5)


def test_mr_nirp_finds_the_camera_by_its_pictures(tmp_path):
    """Folders whose names are exchanged give the same frames; without colours the error names what is there."""
    reader, recordings = made("MR-NIRP", tmp_path, (2,))
    before = np.asarray(next(reader.read_video(recordings[0])))
    folder = recordings[0].path
    (folder / "RGB").rename(folder / "cam_flea3_1")
    (folder / "NIR").rename(folder / "RGB")
    assert np.array_equal(np.asarray(next(reader.read_video(recordings[0]))), before)
    for file in (folder / "cam_flea3_1").iterdir():
        file.unlink()
    with pytest.raises(VideoError, match="holds no RGB frames .*lie in: RGB"):
        next(reader.read_video(recordings[0]))


def test_mr_nirp_reads_zip_files_where_they_lie(tmp_path):
    """Frames and labels of a session that was never unpacked are those of the unpacked one."""
    reader, recordings = made("MR-NIRP", tmp_path, (1,))
    folder = recordings[0].path
    before = [np.asarray(frame) for frame in reader.read_video(recordings[0])]
    ppg = reader.read_wave(recordings[0])["ppg"]
    for part in ("RGB", "NIR", "PulseOX"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for file in sorted((folder / part).iterdir(), reverse=True):
                archive.write(file, f"{part}/{file.name}")
                file.unlink()
        (folder / part).rmdir()
    assert np.array_equal([np.asarray(frame) for frame in reader.read_video(recordings[0])], before)
    assert np.array_equal(reader.read_wave(recordings[0])["ppg"].values, ppg.values)


def test_mr_nirp_pulse_cells_hold_several_samples_or_none(tmp_path):
    """Queued samples are spread over the interval before their time, zeros are lost samples, plain rows will do."""
    cells = np.empty((1, 4), dtype=object)
    cells[0] = [np.array([[5.0]]), np.array([[6.0, 7.0]]), np.array([[0.0]]), np.array([[9.0]])]
    (tmp_path / "PulseOx").mkdir()
    path = tmp_path / "PulseOx" / "pulseOX.mat"
    scipy.io.savemat(path, {"pulseOxRecord": cells, "pulseOxTime": 1e9 + np.array([[0.0, 1.0, 2.0, 3.0]])})
    values, times = pulse(tmp_path)
    assert values.tolist() == [5, 6, 7, 0, 9] and (times - 1e9).tolist() == [0, 0.5, 1, 2, 3]
    write_pgm(tmp_path / "Frame0.pgm", mosaic(FRAME))
    (tmp_path / "RGB").mkdir()
    (tmp_path / "Frame0.pgm").rename(tmp_path / "RGB" / "Frame0.pgm")
    recording, reader = Recording("a", "a", tmp_path, {}), DATASETS["MR-NIRP"]()
    assert reader.read_wave(recording)["ppg"].times.tolist() == [0, 0.5, 1, 3]
    assert reader.describe(recording) == {"lost_samples": 1}
    scipy.io.savemat(path, {"pulseOxRecord": np.arange(4.0)[None], "pulseOxTime": np.array([[0.0, 2.0, 1.0, 3.0]])})
    with pytest.raises(ValueError, match="4 samples and 4 times; as many are needed, rising"):
        pulse(tmp_path)


def test_sixteen_bits_become_eight_on_purpose():
    """Levels are scaled by 255 / top and rounded; colours come from where the mosaic has them; grey fills three."""
    levels = np.array([[0, 128, 129], [32767, 32768, 65535]], np.uint16)
    data = b"P5\n# camera\n3 2\n65535\n" + levels.astype(">u2").tobytes()
    grey = pgm.decode(data, "a").rgb(mosaic=False)
    assert grey.shape == (2, 3, 3) and grey[..., 0].tolist() == [[0, 0, 1], [127, 128, 255]]
    flat = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    raw = pgm.Raw(mosaic(flat).astype(np.uint16) * 257, 65535)
    assert raw.coloured and (raw.rgb(mosaic=True) == flat).all()
    assert not pgm.Raw(np.full((8, 8), 900, np.uint16), 65535).coloured
    colours = pgm.decode(b"P6 1 1 255\n" + bytes([9, 8, 7]), "b")
    assert colours.coloured and colours.rgb(mosaic=True).tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize("data", [b"", b"P5 2 2 65535\n123", b"P2 2 2 9\n1 2 3 4", b"P5 0 2 255\n", b"P5 2 2 0\n1234"])
def test_damaged_pgm_files_are_said(data):
    """Too short, of another format, of no size."""
    with pytest.raises(VideoError, match="'x.pgm'"):
        pgm.decode(data, "'x.pgm'")


def test_data_sets_with_cameras_go_together(tmp_path):
    """A network is trained on one and tested on another: each has its own camera where none is named."""
    file = tmp_path / "x.yaml"
    train, test = ({"DATASET": name, "DATA_PATH": str(tmp_path)} for name in ("MR-NIRP", "ECG-Fitness"))
    file.write_text(json.dumps({"TOOLBOX_MODE": "preprocess", "TRAIN": {"DATA": train}, "TEST": {"DATA": test}}))
    loaded = load_config(file)
    assert make_loader(loaded.TRAIN.DATA).identity() == {"CAMERA": "RGB"}
    assert make_loader(loaded.TEST.DATA).identity() == {"CAMERA": ["c920-1"]}
