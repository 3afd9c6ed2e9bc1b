"""Video files, raw layouts and the loader of synthetic recordings."""

import io
import json
import pickle
import struct

import cv2
import numpy as np
import pytest

from dataset.data_loader.base import Recording
from dataset.files.images import iter_images
from dataset.files.video import iter_frames
from dataset.synthetic import layouts, writer
from dataset.synthetic.layouts import LAYOUTS, write_layout
from dataset.synthetic.render import Session, Truth
from dataset.synthetic.settings import CODECS, resolve
from registry import DATASETS
from tests.video_tools import BOTTOM_UP_ABORTS

SHORT = {"SECONDS": 0.7, "WIDTH": 162, "HEIGHT": 120, "SUBJECTS": 2}  # rows of raw frames need padding at this width


def loader(**changes):
    """The loader with short recordings."""
    return DATASETS["Synthetic"]({"SYNTHETIC": {**SHORT, **changes}})


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_reads_back(codec, tmp_path):
    """All frames come back in order; lossless ones exactly, the others nearly; writing twice gives the same bytes."""
    session = Session(resolve({**SHORT, "CODEC": codec, "DROPPED_FRAMES": 0.2}), 1)
    paths = [tmp_path / f"{k}{writer.extension(codec)}" for k in range(2)]
    for path in paths:
        writer.write_recording(path, session)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    frames = list(session.frames())
    decoded = [(np.asarray(frame), frame.time) for frame in iter_frames(paths[0])]
    assert len(decoded) == len(frames)
    limit = {"h264": 6, "mjpg": 6, "mpeg4": 6, "i420": 3}.get(codec, 0)
    for (got, _), frame in zip(decoded, frames, strict=True):
        assert np.abs(got.astype(int) - frame).mean() <= limit
    if writer.extension(codec) != ".avi":
        assert np.allclose([time for _, time in decoded], session.course.times, atol=1e-3)


@pytest.mark.parametrize(("codec", "key", "worse"), [("mjpg", "JPEG_QUANTISER", 20), ("h264", "CRF", 40)])
def test_a_coarser_setting_gives_a_smaller_file(codec, key, worse, tmp_path):
    """The settings of the compression reach the encoder."""
    sizes = []
    for number, changes in enumerate(({}, {key: worse})):
        path = tmp_path / f"{number}{writer.extension(codec)}"
        writer.write_recording(path, Session(resolve({**SHORT, "CODEC": codec, **changes}), 1))
        sizes.append(path.stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


def test_a_range_of_rate_factors_is_spread_over_the_subjects(tmp_path):
    """Each recording has a factor of its own inside the range, all steps alike; one number is all recordings'."""
    settings = resolve({**SHORT, "CRF": [18, 38]})
    factors = [Session(settings, subject).crf for subject in range(1, 64)]
    assert min(factors) == 18 and max(factors) == 38 and np.ptp(np.bincount(factors)[18:]) <= 2
    rates = [Session(settings, subject).heart.rate(np.zeros(1))[0] for subject in range(1, 64)]
    assert abs(np.corrcoef(factors, rates)[0, 1]) < 0.2  # who is compressed most has not the fastest heart
    assert {Session(resolve({"CRF": 23}), subject).crf for subject in range(1, 9)} == {23}
    coarsest, finest = (1 + factors.index(factor) for factor in (38, 18))
    for name, crf in (("range", [18, 38]), ("alone", factors[coarsest - 1])):
        session = Session(resolve({**SHORT, "CRF": crf}), coarsest)
        writer.write_recording(tmp_path / f"{name}.mp4", session)
    assert (tmp_path / "range.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert Session(settings, finest).crf == 18


@pytest.mark.parametrize("bottom_up", [True, False])
def test_raw_avi_is_what_windows_writes(bottom_up, tmp_path):
    """Positive height means bottom-up rows; PyAV, and OpenCV where it can, read the same pixels."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)
    path = tmp_path / "vid.avi"
    with path.open("wb") as file:
        writer.write_raw_avi(file, frames, 3, 6, 5, 30.0, bottom_up)
    data = path.read_bytes()
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    at = data.index(b"strf")
    assert struct.unpack("<iiHHI", data[at + 12 : at + 28]) == (6, 5 if bottom_up else -5, 1, 24, 0)
    offset = struct.unpack("<I", data[-8:-4])[0]
    assert data[data.index(b"movi") + offset :][:4] == b"00db"
    assert np.array_equal([np.asarray(frame) for frame in iter_frames(path, "pyav")], frames)
    if bottom_up and BOTTOM_UP_ABORTS:
        return
    capture = cv2.VideoCapture(str(path))
    for frame in frames:
        good, picture = capture.read()
        assert good and np.array_equal(picture[..., ::-1], frame)
    assert not capture.read()[0] and capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30)


def test_raw_avi_refuses_what_it_cannot_hold():
    """More than 4 GB, or another number of frames than announced."""
    with pytest.raises(ValueError, match="more than the 4 GB"):
        writer.write_raw_avi(io.BytesIO(), [], 5000, 640, 480, 30.0)
    with pytest.raises(ValueError, match="0 frames came where 2 were announced"):
        writer.write_raw_avi(io.BytesIO(), [], 2, 6, 5, 30.0)


def test_ubfc_layout(tmp_path):
    """subject<k>/vid.avi, raw and bottom-up, and three lines: pulse, rate, time of each frame."""
    folders = write_layout("UBFC-rPPG", tmp_path, resolve(SHORT))
    assert [folder.name for folder in folders] == ["subject1", "subject2"]
    session = Session(resolve({**SHORT, "CODEC": "raw"}), 2)
    truth = session.truth()
    ppg, rate, times = np.loadtxt(folders[1] / "ground_truth.txt")
    assert np.corrcoef(ppg, truth.ppg)[0, 1] > 0.999 and np.allclose(times, truth.times, atol=1e-6)
    assert abs(rate.mean() - truth.hr_native.mean()) < 3
    frames = [np.asarray(frame) for frame in iter_frames(folders[1] / "vid.avi")]
    assert np.array_equal(frames, list(session.frames()))


def test_ubfc_layout_keeps_a_codec_of_avi(tmp_path):
    """CODEC mjpg gives a smaller vid.avi, for tests of other decoders."""
    write_layout("UBFC-rPPG", tmp_path, resolve({**SHORT, "SUBJECTS": 1, "CODEC": "mjpg"}))
    assert b"MJPG" in (tmp_path / "subject1" / "vid.avi").read_bytes()[:512]


def test_pure_layout(tmp_path):
    """ss-01/ss-01/Image<ns>.png and a JSON at 60 Hz whose image stamps are the file names."""
    folder = write_layout("PURE", tmp_path, resolve({**SHORT, "SUBJECTS": 1, "DROPPED_FRAMES": 0.2}))[0]
    content = json.loads((folder / "01-01.json").read_text())
    names = sorted(path.name for path in (folder / "01-01").iterdir())
    assert names == [f"Image{image['Timestamp']}.png" for image in content["/Image"]]
    session = Session(resolve({**SHORT, "DROPPED_FRAMES": 0.2}), 1)
    truth = session.truth()
    stamps = np.array([image["Timestamp"] for image in content["/Image"]])
    assert np.allclose((stamps - stamps[0]) / 1e9, truth.times, atol=1e-6)
    samples = content["/FullPackage"]
    assert np.allclose(np.diff([sample["Timestamp"] for sample in samples]) / 1e9, 1 / 60, atol=1e-6)
    wave = [sample["Value"]["waveform"] for sample in samples]
    assert np.corrcoef(wave, truth.ppg_native)[0, 1] > 0.999 and all(isinstance(value, int) for value in wave)
    images = iter_images(sorted((folder / "01-01").iterdir()))
    assert np.array_equal([np.asarray(image) for image in images], list(session.frames()))


@pytest.mark.parametrize("name", ["UBFC-rPPG", "PURE"])
def test_real_loaders_read_their_layout(name, tmp_path):
    """The loader of the real data set finds all recordings, frames and labels of the miniature."""
    if name not in DATASETS:
        pytest.skip(f"no loader of {name} yet")
    write_layout(name, tmp_path, resolve(SHORT))
    reader = DATASETS[name]()
    recordings = reader.recordings(tmp_path)
    truth = Session(resolve(SHORT), 2).truth()
    assert len(recordings) == 2 and len({recording.subject for recording in recordings}) == 2
    assert sum(1 for _ in reader.read_video(recordings[1])) == len(truth.times)
    wave = reader.read_wave(recordings[1])["ppg"]
    expected = np.interp(wave.times - wave.times[0], truth.ppg_times, truth.ppg_native)
    assert np.corrcoef(wave.values, expected)[0, 1] > 0.99


def test_layouts_leave_existing_folders_alone(tmp_path):
    """Somebody's recording is never overwritten; a second call adds only what is missing."""
    own = tmp_path / "subject1" / "vid.avi"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    assert [folder.name for folder in write_layout("UBFC-rPPG", tmp_path, SHORT)] == ["subject2"]
    assert own.read_bytes() == b"mine" and write_layout("UBFC-rPPG", tmp_path, SHORT) == []


def test_a_layout_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    """A recording appears whole or not at all, and no loader sees its temporary folder."""
    seen = []

    def broken(path, session):
        seen.extend(list(tmp_path.glob("subject*")) + list(tmp_path.glob("*-*")))
        raise RuntimeError("stopped")

    monkeypatch.setattr("dataset.synthetic.layouts.ubfc_rppg.write_recording", broken)
    with pytest.raises(RuntimeError, match="stopped"):
        write_layout("UBFC-rPPG", tmp_path, SHORT)
    assert list(tmp_path.iterdir()) == [] and seen == []


def test_unknown_layout_names_the_known_ones(tmp_path):
    """As every registry does."""
    with pytest.raises(KeyError, match="Did you mean .PURE.. Known: .*UBFC-rPPG"):
        write_layout("PURRE", tmp_path)
    assert {"PURE", "UBFC-rPPG"} <= set(LAYOUTS.names()) and layouts.MINIATURE["SUBJECTS"] > 1


def test_loader_lists_what_the_settings_define(tmp_path):
    """Listing opens nothing and needs no folder; each subject is an identity of its own."""
    root = tmp_path / "not there yet"
    recordings = loader(SUBJECTS=11).recordings(root)
    assert [recording.id for recording in recordings] == [f"subject{k}" for k in range(1, 12)]
    assert len({recording.subject for recording in recordings}) == 11 and not root.exists()
    other = loader(SUBJECTS=11, NOISE=3.0)
    assert other.recordings(root)[0].path.parent != recordings[0].path.parent
    assert other.version != loader().version


def test_loader_renders_on_first_use_and_then_reads(tmp_path):
    """The first read makes video and truth; later reads use the files; a worker may hold the loader."""
    made = pickle.loads(pickle.dumps(loader(CODEC="mjpg", DROPPED_FRAMES=0.2)))
    recording = made.recordings(tmp_path)[0]
    frames = list(made.read_video(recording))
    truth = Truth.load(recording.path.with_suffix(".npz"))
    assert [frame.time for frame in frames] == truth.times.tolist() and np.asarray(frames[0]).shape == (120, 162, 3)
    stamp = recording.path.stat().st_mtime_ns
    signals = made.read_wave(recording)
    assert set(signals) == set(made.signals) and recording.path.stat().st_mtime_ns == stamp
    assert np.array_equal(signals["ppg"].values, truth.ppg_native) and signals["hr"].unit == "bpm"
    assert sorted(path.name for path in recording.path.parent.iterdir()) == ["subject1.avi", "subject1.npz"]


def test_killed_rendering_is_done_again(tmp_path):
    """Truth without video, and a temporary file of a killed run: rendered anew, the remains are gone."""
    made = loader()
    recording = made.recordings(tmp_path)[0]
    list(made.read_video(recording))
    whole = recording.path.read_bytes()
    recording.path.rename(recording.path.with_name(".subject1.mp4.0123.mp4"))
    list(made.read_video(recording))
    assert recording.path.read_bytes() == whole
    assert sorted(path.name for path in recording.path.parent.iterdir()) == ["subject1.mp4", "subject1.npz"]


def test_photograph_has_no_signals(tmp_path):
    """PHOTO: a data set without labels."""
    made = loader(PHOTO=True)
    assert made.signals == () and made.read_wave(made.recordings(tmp_path)[0]) == {}


def test_bad_settings_are_said_by_the_loader():
    """A wrong value is an error when the loader is made."""
    with pytest.raises(ValueError, match="SYNTHETIC.CODEC is 'divx'"):
        loader(CODEC="divx")
    assert isinstance(loader().recordings("x")[0], Recording)
