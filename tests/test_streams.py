"""Recordings that are more, or less, than a video: signals alone, further cameras, scalars; from reader to entry."""

import hashlib
import json
import math
import pickle
import sys
import zlib

import numpy as np
import pytest

from config import schema
from dataset.data_loader.base import BaseLoader, Frames, Recording, Signal
from dataset.face.crop import FaceCrop
from dataset.prepare.node import cache_settings, make_loader, open_cache
from dataset.prepare.prepared import IncompleteError
from dataset.prepare.recording import preprocess_all
from dataset.prepare.section import prepare
from dataset.run import run, summary
from dataset.store.cache import Cache
from dataset.store.disk import CacheError
from registry import DATASETS

WATCHERS: list[list[str]] = []  # each gets the name of every file that anything opens; an audit hook stays for ever
sys.addaudithook(lambda event, about: [one.append(str(about[0])) for one in WATCHERS] if event == "open" else None)
NO_FACES = FaceCrop(size=(8, 8), do_crop=False)


def side_frames(count=7):
    """A second camera of 5 x 4 pixels."""
    return np.random.default_rng(3).integers(0, 256, (count, 5, 4, 3), dtype=np.uint8)


def heat_frames(count=6):
    """A depth camera without a channel axis."""
    return np.random.default_rng(4).normal(1.2, 0.1, (count, 3, 9)).astype(np.float32)


class Sensors(BaseLoader):
    """Four people with ECG and PPG at rates of their own and a pressure that two of them lack; no video."""

    has_video = False
    signals = ("ecg", "ppg")

    def recordings(self, root):
        """Always four."""
        return [Recording(f"p{k}", f"p{k}", root / f"p{k}.csv", {"number": k}) for k in range(4)]

    def read_wave(self, recording):
        """ECG at 250 Hz and PPG at 100 Hz with times; the last one has no PPG."""
        waves = {"ecg": Signal(np.sin(np.arange(500) / 9), fs=250.0, unit="mV")}
        if recording.id != "p3":
            waves["ppg"] = Signal(np.arange(200.0), times=np.arange(200) / 100)
        return waves

    def read_targets(self, recording):
        """Systolic and diastolic pressure in mmHg."""
        return {} if recording.id == "p3" else {"sbp": 120.5, "dbp": math.nan if recording.id == "p2" else 80}


class Cameras(BaseLoader):
    """A video of 20 frames at 30 fps, a side camera at 10 fps, a depth camera and a radar; `b` lacks what it can."""

    fs = 30.0
    signals = ("radar",)
    streams = ("side", "depth")

    def recordings(self, root):
        """Two."""
        return [Recording(name, name, root / name) for name in ("a", "b")]

    def read_video(self, recording):
        """Noise."""
        return iter(np.random.default_rng(1).integers(0, 256, (20, 12, 16, 3), dtype=np.uint8))

    def read_wave(self, recording):
        """A radar at 50 Hz."""
        return {"radar": Signal(np.arange(34.0), fs=50.0)} if recording.id == "a" else {}

    def read_stream(self, recording, name):
        """Times that the side camera wrote down, with one frame lost; the rate of the depth camera."""
        if name == "side":
            times = np.delete(np.arange(8) / 10, 4)
            return Frames(iter(side_frames()), times=times) if recording.id == "a" else None
        return Frames(iter(heat_frames()), fs=15)


def filled(loader, folder, settings=None):
    """A cache with all recordings of `loader`, and what became of them."""
    cache = Cache(folder, settings or {"A": 1})
    cache.freeze(loader.recordings(folder))
    return cache, preprocess_all(loader, loader.recordings(folder), NO_FACES, cache, workers=1)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration whose TRAIN section reads the sensors."""
    assert "PURE" in DATASETS
    monkeypatch.setitem(DATASETS._entries, "Sensors", ("Sensors", Sensors))
    config, raw = schema(), tmp_path / "raw"
    raw.mkdir()
    config.PREPROCESS_WORKERS = 1
    data = config.TRAIN.DATA
    data.DATASET, data.DATA_PATH = "Sensors", str(raw)
    data.CACHE_ROOT, data.EXP_DATA_NAME, data.CACHED_PATH = str(tmp_path / "cache"), "exp", str(tmp_path / "cache/exp")
    data.FILE_LIST_PATH = str(tmp_path / "cache" / "DataFileLists" / "exp_0.0_1.0.csv")
    return config


def test_signals_alone_become_an_entry_without_anything_of_faces(tmp_path, monkeypatch):
    """Two files; signals at their own rates, targets with what is missing of them, and what is lacking by name."""
    monkeypatch.setattr(FaceCrop, "detector", lambda self: pytest.fail("a detector was built"))
    cache, statuses = filled(Sensors(), tmp_path / "cache")
    assert {status.state for status in statuses.values()} == {"done"}
    entry = cache.entry("p2")
    assert {file.name for file in entry.path.iterdir()} == {"entry.json", "signals.npz"}
    assert entry.signals["ecg"].fs == 250 and len(entry.signals["ppg"].times) == 200 and entry.fs == 250
    assert entry.faces is None and entry.thermal is None and entry.streams == {} and entry.stream_names == ()
    assert entry.times is None and entry.shape == () and entry.trace.shape == (0, 3) and entry.boxes.shape == (0, 4)
    assert entry.targets["sbp"] == 120.5 and math.isnan(entry.targets["dbp"])
    assert cache.entry("p3").targets == {} and cache.entry("p3").flags == {"lacking": ["ppg"]}
    assert not {"shape", "stats", "thermal", "streams"} & set(json.loads((entry.path / "entry.json").read_text()))
    assert cache.verify("p2") and pickle.loads(pickle.dumps(entry)).signals["ecg"].unit == "mV"


def test_what_a_cache_without_video_is_called_says_nothing_of_faces(config):
    """Size, detector and decoder may change; the loader's version may not."""
    data = config.TRAIN.DATA
    before = open_cache(data, make_loader(data)).root
    assert before.parent.name == "signals-v1" and set(cache_settings(data, Sensors({}))) == {"VERSION", "OPTIONS"}
    data.PREPROCESS.RESIZE.W, data.PREPROCESS.DECODER = 96, "opencv"
    data.PREPROCESS.CROP_FACE.BACKEND, data.PREPROCESS.DATA_AUG = "Y5F", ["Motion"]
    assert open_cache(data, make_loader(data)).root == before
    loader = make_loader(data)
    loader.version = 2
    assert open_cache(data, loader).root != before


def test_a_section_without_video_is_prepared(config, capsys):
    """Made once, found done then, with the rate of the first signal; the manifest and the screen account for it."""
    prepared = prepare(config.TRAIN.DATA, "test", config)
    assert [recording.id for recording in prepared.recordings] == ["p0", "p1", "p2", "p3"]
    assert prepared.fs == 250 and prepared.recordings[1].info == {"number": 1}
    assert prepared.entry("p1").targets == {"sbp": 120.5, "dbp": 80.0}
    assert "p0,p0,done,,,250.0,{}" in (prepared.cache.root / "manifest.csv").read_text()
    assert "4 of 4 ready" in summary(prepared)[0]
    capsys.readouterr()
    prepare(config.TRAIN.DATA, "test", config)
    assert capsys.readouterr().out == ""


def test_pseudo_labels_need_video(config):
    """It is said at once."""
    config.TRAIN.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL = True
    with pytest.raises(ValueError, match="USE_PSUEDO_PPG_LABEL is True, but Sensors has no video"):
        prepare(config.TRAIN.DATA, "train", config)


def test_further_cameras_keep_their_size_rate_and_times(tmp_path):
    """As stored arrays of their own; one that a recording lacks is named, and the others are there."""
    cache, statuses = filled(Cameras(), tmp_path / "cache")
    assert {status.state for status in statuses.values()} == {"done"}
    entry = cache.entry("a")
    assert tuple(entry.streams) == entry.stream_names == ("faces", "depth", "side")
    side, depth, faces = (entry.streams[name] for name in ("side", "depth", "faces"))
    np.testing.assert_array_equal(side.open(), side_frames())
    np.testing.assert_array_equal(depth.open()[..., 0], heat_frames())
    np.testing.assert_array_equal(faces.open(), entry.faces)
    assert (side.fs, side.shape, side.dtype) == (10, (7, 5, 4, 3), np.uint8) and len(side.times) == 7
    assert (depth.fs, depth.shape, depth.dtype, depth.times) == (15, (6, 3, 9, 1), np.float32, None)
    assert side.stats.mean == pytest.approx(side_frames().mean())
    assert depth.stats.std == pytest.approx(heat_frames().std(), rel=1e-5)
    assert entry.flags["side_dropped_frames"] == 1 and "lacking" not in entry.flags and cache.verify("a")
    other = cache.entry("b")
    assert other.stream_names == ("faces", "depth") and other.flags["lacking"] == ["radar", "side"]


@pytest.mark.parametrize("name", ["faces", "signals", "../up", "", "a b"])
def test_a_stream_needs_a_name_that_is_free_and_harmless(tmp_path, monkeypatch, name):
    """Said before anything is read."""
    monkeypatch.setattr(Cameras, "streams", (name,))
    with pytest.raises(ValueError, match="stream cannot be called"):
        filled(Cameras(), tmp_path / "cache")


BAD = {
    "no frames": (Frames([], fs=5), "has no frames"),
    "no clock": (Frames([np.zeros((2, 2), np.uint8)]), "how many frames per second"),
    "few times": (Frames([np.zeros((2, 2), np.uint8)] * 3, times=np.arange(2.0)), "not as many times"),
    "sizes": (Frames([np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)], fs=5), "does not fit the first"),
    "type": (Frames([np.zeros((2, 2))], fs=5), "uint8 or float32"),
    "NaN": (Frames([np.full((2, 2), np.nan, np.float32)], fs=5), "NaN"),
    "milliseconds": (Frames([np.zeros((2, 2), np.uint8)] * 9, times=np.arange(9) * 40.0), "divide them by 1000"),
}


@pytest.mark.parametrize("bad", BAD)
def test_an_unusable_stream_fails_its_recording_by_name(tmp_path, monkeypatch, bad):
    """Nothing of the entry is left."""
    frames, words = BAD[bad]
    monkeypatch.setattr(Cameras, "read_stream", lambda self, recording, name: frames)
    cache, statuses = filled(Cameras(), tmp_path / "cache")
    assert {status.state for status in statuses.values()} == {"failed"}
    assert words in statuses["a"].reason and "side" in statuses["a"].reason and not cache.path("a").exists()


def test_a_cut_stream_is_a_damaged_entry_and_made_again(tmp_path):
    """As for faces: the sizes tell."""
    cache, _ = filled(Cameras(), tmp_path / "cache")
    file = cache.path("a") / "side.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert "side.npy has another size" in cache.status("a").reason
    filled(Cameras(), tmp_path / "cache")
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"read_wave": lambda self, one: {"ecg": Signal(np.arange(9.0))}}, "how many samples per second"),
        ({"read_wave": lambda self, one: {}}, "neither a signal nor a frame"),
        ({"read_wave": lambda self, one: {"ecg": Signal(np.ones(1), fs=20.0)}}, "a single value"),
        ({"read_targets": lambda self, one: {"sbp": "high"}}, "The target 'sbp' is 'high'"),
        ({"read_targets": lambda self, one: {"sbp": math.inf}}, "The target 'sbp' is inf"),
    ],
)
def test_unusable_signals_and_targets_fail_their_recording(tmp_path, monkeypatch, change, words):
    """By name, with what is wrong."""
    for name, function in change.items():
        monkeypatch.setattr(Sensors, name, function)
    _, statuses = filled(Sensors(), tmp_path / "cache")
    assert statuses["p0"].state == "failed" and words in statuses["p0"].reason


def test_preparing_opens_no_signals_and_reads_each_entry_once(config):
    """All that `prepare` says of a recording stands in entry.json."""
    prepare(config.TRAIN.DATA, "test", config)
    opened: list[str] = []
    WATCHERS.append(opened)
    prepared = prepare(config.TRAIN.DATA, "test", config)
    WATCHERS.clear()
    assert len(prepared.recordings) == 4 and not [file for file in opened if file.endswith("signals.npz")]
    assert len([file for file in opened if file.endswith("entry.json")]) == 4


def test_damaged_signals_are_named_where_they_are_read_and_when_preprocessing(config, tmp_path):
    """With DO_PREPROCESS they are made again."""
    prepared = prepare(config.TRAIN.DATA, "test", config)
    file = prepared.cache.path("p1") / "signals.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + b"?" * 9)
    prepared = prepare(config.TRAIN.DATA, "test", config)
    with pytest.raises(CacheError, match="p1' is damaged.*--preprocess"):
        _ = prepared.entry("p1").signals
    prepared.verify()
    assert [recording.id for recording, _ in prepared.failed] == ["p1"]
    with pytest.raises(IncompleteError, match="p1' is damaged"):
        prepared.check()
    config.TRAIN.DATA.DO_PREPROCESS = True
    prepare(config.TRAIN.DATA, "test", config)
    assert file.read_bytes() == whole


def golden(folder):
    """An entry as the first version of the format has it, byte for byte, put together by hand; its faces."""
    faces = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    folder.mkdir(parents=True)
    text = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4, 3), }"
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"
    (folder / "faces.npy").write_bytes(header + faces.tobytes())
    arrays = {
        "trace": faces.reshape(2, -1, 3).mean(axis=1),
        "boxes": np.array([[1, 2, 3, 4]], np.int32),
        "box_frames": np.array([0], np.int32),
        "times": np.array([0.0, 0.04]),
        "signal.ppg.values": np.array([1.0, 2.0, 3.0]),
        "signal.ppg.times": np.array([0.0, 0.02, 0.04]),
    }
    np.savez(folder / "signals.npz", **arrays)
    sums = {name: f"crc32:{zlib.crc32(content):08x}" for name, content in {
        "faces.npy": faces.tobytes(), "signals.npz": (folder / "signals.npz").read_bytes()
    }.items()}  # fmt: skip
    content = {
        "checksums": sums, "flags": {"repeated_frames": 1}, "format": 1, "fs": 25.0, "id": "old", "info": {"light": 2},
        "settings": {"A": 1}, "shape": [2, 3, 4, 3], "signals": {"ppg": {"fs": None, "unit": "a.u."}},
        "stats": {"diff_std": 0.1, "mean": 35.5, "std": 20.8}, "subject": "one",
    }  # fmt: skip
    (folder / "entry.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return faces


def test_an_entry_of_before_is_read_unchanged(tmp_path):
    """It lacks all that came later."""
    faces = golden(tmp_path / "cache" / "old")
    cache = Cache(tmp_path / "cache", {"A": 1})
    entry = cache.entry("old")
    np.testing.assert_array_equal(entry.faces, faces)
    np.testing.assert_array_equal(entry.boxes, [[1, 2, 3, 4]] * 2)
    np.testing.assert_array_equal(entry.signals["ppg"].values, [1, 2, 3])
    assert entry.stats.mean == 35.5 and entry.fs == 25 and entry.info == {"light": 2} and entry.thermal is None
    assert entry.targets == {} and entry.stream_names == ("faces",) and entry.streams["faces"].shape == (2, 3, 4, 3)
    assert entry.flags == {"repeated_frames": 1} and cache.verify("old") and cache.status("old").state == "done"


BEFORE = {"faces.npy": "8478cc788145764d", "thermal.npy": "b20027b3f6e289a4"}


def test_an_entry_of_video_made_anew_has_the_bytes_of_before(tmp_path):
    """Checked against the sums of the files that the version before streams wrote of the same frames."""
    cache = Cache(tmp_path / "cache", {"A": 1})
    ramp = np.add.outer(np.arange(6), np.arange(3 * 4 * 3).reshape(3, 4, 3)).astype(np.uint8)
    with cache.write(Recording("one", "s", tmp_path, {"light": 2})) as entry:
        for index, face in enumerate(ramp):
            entry.append(face, (1, 2, 3, 4), index / 25, (face[..., 0] / np.float32(8)).astype(np.float32))
        entry.signals, entry.flags = {"ppg": Signal(np.arange(5.0), fs=20.0)}, {"odd": 1}
    assert {name: digest(cache.path("one") / name) for name in BEFORE} == BEFORE
    content = json.loads((cache.path("one") / "entry.json").read_text())
    assert set(content.pop("thermal")["stats"]) == {"mean", "std", "diff_std"}
    assert set(content["checksums"]) == {"faces.npy", "thermal.npy", "signals.npz"}
    del content["checksums"]["signals.npz"]  # which differs between versions of NumPy
    assert hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16] == "e75b409568146cf9"


def digest(file):
    """Of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def test_the_preprocess_mode_reads_the_signals_of_every_entry(config, monkeypatch, capsys):
    """Damage that no size tells is found there, and the exit code says so."""
    prepared = prepare(config.TRAIN.DATA, "train", config)
    file = prepared.cache.path("p1") / "signals.npz"
    file.write_bytes(file.read_bytes()[:-9] + b"?" * 9)
    monkeypatch.setattr("dataset.run.used_sections", lambda config: ["TRAIN"])
    assert run(config) == 3
    assert "FAILED p1" in capsys.readouterr().out
