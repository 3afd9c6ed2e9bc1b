"""Any subset of sensors from a multimodal set: what is there, what is missing, what is left out and counted."""

import json
import shutil

import h5py
import numpy as np
import pytest

from dataset.face.crop import FaceCrop
from dataset.prepare.recording import SkipRecording, preprocess_all
from dataset.store.cache import Cache
from dataset.synthetic.layouts import write_layout
from registry import DATASETS

SMALL = {"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1, "SECONDS": 2.0}


@pytest.fixture(scope="module")
def _made(tmp_path_factory):
    root = tmp_path_factory.mktemp("multimodal") / "set"
    write_layout("Multimodal", root, SMALL)
    return root


@pytest.fixture
def root(_made, tmp_path):
    """A set of one person's two recordings, of the test's own."""
    return shutil.copytree(_made, tmp_path / "set")


def reader(**options):
    """The loader with these options."""
    return DATASETS["Multimodal"]({"DATA_AUG": ["None"], **options})


def _drop(root, *names):
    with h5py.File(root / "s001" / "r01" / "aligned" / "aligned.h5", "r+") as file:
        for name in names:
            del file[name]


def test_only_what_is_asked_for_is_read(root):
    """Of thermal alone: no video, no radar, and the mask says so."""
    one = reader(MODALITIES=["thermal"])
    recording = one.recordings(root)[0]
    waves = one.read_wave(recording)
    assert not one.has_video and one.streams == ("heat",) and "radar" not in waves
    assert waves["valid_thermal"].values.all() and not waves["valid_rgb"].values.any()
    assert {"ppg", "resp"} <= set(waves)


def test_heat_is_degrees_celsius_at_its_own_size(root):
    """The file holds kelvin."""
    one = reader()
    heat = one.read_stream(one.recordings(root)[0], "heat")
    frames = list(heat.frames)
    assert frames[0].shape == (30, 40) and frames[0].dtype == np.float32 and 15 < frames[0].mean() < 40
    assert len(frames) == len(heat.times)


def test_without_a_camera_frames_are_black_and_marked(root):
    """Zeros and a mask."""
    _drop(root, "rgb")
    one = reader()
    recording = one.recordings(root)[0]
    with h5py.File(recording.path / "aligned" / "aligned.h5", "r+") as file:
        file["valid"][:, 0] = False
    frames = [frame.rgb() for frame in one.read_video(recording)]
    assert len(frames) == 60 and not any(frame.any() for frame in frames)
    assert not one.read_wave(recording)["valid_rgb"].values.any()


def test_a_recording_with_none_of_them_is_skipped(root):
    """It is counted, not failed."""
    _drop(root, "radar/displacement")
    one = reader(MODALITIES=["radar"])
    with pytest.raises(SkipRecording, match="none of MODALITIES"):
        one.read_wave(one.recordings(root)[0])


def test_clocks_that_are_not_trusted_are_left_out_and_counted(root, tmp_path, capsys):
    """`sync_ok: false` with its reason; SYNC: any reads it."""
    path = root / "s001" / "r01" / "meta.json"
    values = json.loads(path.read_text())
    values["sync"] = {"sync_ok": False, "problems": ["radar: its clock is +750 ms off"]}
    path.write_text(json.dumps(values))
    one = reader(MODALITIES=["radar"])
    states = preprocess_all(
        one, one.recordings(root), FaceCrop(do_crop=False), Cache(tmp_path / "cache", {}), workers=1
    )
    assert [states[name].state for name in ("s001_r01", "s001_r02")] == ["skipped", "done"]
    assert "+750 ms" in states["s001_r01"].reason and "1 skipped" in capsys.readouterr().out
    assert len(reader(SYNC="any").read_wave(one.recordings(root)[0])) == 7


def test_a_recording_that_was_never_aligned_says_how(root):
    """The command that mends it."""
    (root / "s001" / "r01" / "aligned" / "aligned.h5").unlink()
    one = reader(SYNC="any")
    with pytest.raises(FileNotFoundError, match="align.py --root"):
        one.read_wave(one.recordings(root)[0])


@pytest.mark.parametrize("asked", [["sound"], []])
def test_modalities_that_are_none_are_refused(asked):
    """By name, with those that are."""
    with pytest.raises(ValueError, match="rgb, thermal, radar, ppg"):
        reader(MODALITIES=asked)


@pytest.mark.parametrize(("source", "heat"), [("iBVP", True), ("PhysDrive", False)])
def test_sets_of_two_sensors_are_read_as_such(tmp_path, source, heat):
    """With the masks of what they have."""
    write_layout(source, tmp_path / "raw", {**SMALL, "SECONDS": 1.0})
    one = reader(SOURCE=source)
    recording = one.recordings(tmp_path / "raw")[0]
    waves, stream = one.read_wave(recording), one.read_stream(recording, "heat")
    count = len(list(one.read_video(recording)))
    assert len(waves["valid_rgb"].values) == count and waves["valid_rgb"].values.all()
    assert bool(waves["valid_thermal"].values.all()) == heat and not waves["valid_radar"].values.any()
    assert (stream is not None) == heat
    if heat:
        assert next(iter(stream.frames)).shape == (128, 160)
