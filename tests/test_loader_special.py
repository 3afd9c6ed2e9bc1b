"""What is special about single data sets: codes, filters, poor frames, zip files, action units, two MATLAB formats."""

import dataclasses
import io
import sys
import zipfile
import zlib
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from config import schema
from dataset.clips.clips import ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.clips.labels import stretch
from dataset.data_loader import physdrive
from dataset.data_loader.base import Recording, Signal
from dataset.data_loader.bp4d_plus import iter_zip
from dataset.data_loader.bp4d_plus_bigsmall import UNITS
from dataset.face.crop import FaceCrop
from dataset.files import hdf5, matlab
from dataset.files.frames import VideoError
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from dataset.synthetic.layouts import takes, write_layout
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from registry import DATASETS

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.5)
VIDEO = np.random.default_rng(0).integers(0, 256, (19, 6, 5, 3), dtype=np.uint8)


def pixels(frames):
    """All frames as one array."""
    return np.stack([np.asarray(frame) for frame in frames])


# --- MATLAB files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8])
def test_matlab_5_videos_equal_scipys(kind, compressed, tmp_path):
    """Doubles, singles and integers, deflated or not, give the frames SciPy gives; other variables are passed over."""
    values = VIDEO if kind is np.uint8 else (VIDEO / 255).astype(kind)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": "LED-low", "c": {"d": 1}, "video": values}, do_compression=compressed)
    assert np.array_equal(pixels(matlab.iter_video(path, "video")), VIDEO)
    with pytest.raises(VideoError, match="no variable 'film'.*x, c, video"):
        list(matlab.iter_video(path, "film"))


def test_matlab_video_of_another_kind_is_refused(tmp_path):
    """Values outside 0-1, another shape, text, a v7.3 file, a file of nothing."""
    path = tmp_path / "a.mat"
    for values, message in ((VIDEO * 1.0, "0-1"), (np.full(VIDEO.shape, np.nan), "0-1"), (VIDEO[0], "no video")):
        scipy.io.savemat(path, {"video": values})
        with pytest.raises(VideoError, match=message):
            list(matlab.iter_video(path, "video"))
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(126) + b"IM" + bytes(500))
    with pytest.raises(VideoError, match="not a MATLAB file of version 5"):
        list(matlab.iter_video(path, "video"))


def test_matlab_bombs_are_refused(tmp_path):
    """A header that states more than the file can hold is an error before anything of that size is made."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"video": VIDEO / 255})
    data = bytearray(path.read_bytes())
    at = data.index(np.array(VIDEO.shape, np.int32).tobytes())
    data[at : at + 4] = np.int32(2**31 - 1).tobytes()
    path.write_bytes(data)
    with pytest.raises(VideoError, match="has .* bytes"):
        list(matlab.iter_video(path, "video"))
    for cut in (90, 200, len(data) - 100):
        path.write_bytes(data[:cut])
        with pytest.raises(VideoError):
            list(matlab.iter_video(path, "video"))


def test_small_variables_are_small(tmp_path):
    """Damaged files, missing variables and huge ones are errors with the file's name."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(5.0)}, do_compression=True)
    assert matlab.read_variables(path, ["BVP"])["BVP"].tolist() == [[0, 1, 2, 3, 4]]
    with pytest.raises(ValueError, match="no variable 'ECG'"):
        matlab.read_variables(path, ["ECG"])
    data = path.read_bytes()
    start = data.index(b"\x78\x9c") if b"\x78\x9c" in data else 136
    content = bytearray(zlib.decompress(data[start:]))
    at = content.index(np.array([1, 5], np.int32).tobytes())
    content[at : at + 4] = np.int32(2**30).tobytes()
    packed = zlib.compress(bytes(content))
    path.write_bytes(data[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed)
    with pytest.raises(ValueError, match="not a signal"):
        matlab.read_variables(path, ["BVP"])


@pytest.mark.parametrize("compressed", [False, True])
def test_small_variables_equal_scipys(compressed, tmp_path):
    """Numbers of every type, texts, cells within cells, empty ones: values, types and shapes; from bytes as well."""
    cells = np.empty((2, 3), object)
    for index in range(6):
        cells.flat[index] = np.arange(float(index))[None]
    outer = np.empty((1, 2), object)
    outer[0, 0], outer[0, 1] = np.array(["text"]), cells
    content = {"word": "größe 心", "none": "", "words": np.array(["abc", "xyz"]), "cells": cells, "outer": outer}
    content |= {"deep": np.random.default_rng(0).normal(size=(2, 3, 4)), "flag": np.array([[True, False]])}
    content |= {kind: np.arange(10).reshape(2, 5).astype(kind) for kind in "i1 u1 i2 u2 i4 u4 i8 u8 f4 f8".split()}
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, content, do_compression=compressed)
    expected = scipy.io.loadmat(path)
    for found in (matlab.read_variables(path, content), matlab.read_variables(path, content, path.read_bytes())):
        assert all(same(found[name], expected[name]) for name in content)


def same(one, other):
    """Whether two arrays, of objects perhaps, are equal in every way."""
    if one.dtype != object:
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    return one.shape == other.shape and all(map(same, one.flat, other.flat))


def test_zeros_at_the_end_of_a_matlab_file_are_no_variables(tmp_path):
    """A tail of half a terabyte of zeros is neither searched to its end nor taken for data."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(5.0)})
    with open(path, "r+b") as file:
        file.truncate(1 << 39)
    assert matlab.read_variables(path, ["BVP"])["BVP"].size == 5
    with pytest.raises(ValueError, match="a.mat.*type 0"):
        matlab.read_variables(path, ["ECG"])


def test_wrong_bytes_in_a_matlab_file_do_not_end_the_process(tmp_path):
    """SciPy crashes on some of these: memory is read where a damaged length says."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"BVP": np.arange(300.0)})
    good = path.read_bytes()
    for seed in range(300):
        rng, damaged = np.random.default_rng(seed), bytearray(good)
        for place in rng.integers(0, 200, 8):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert matlab.read_variables(path, ["BVP"])["BVP"].dtype.kind in "iufUO"
        except ValueError as error:
            assert "a.mat" in str(error)


@pytest.mark.parametrize("chunks", [None, (1, 5, 6, 4), (3, 5, 6, 19)])
def test_hdf5_videos_are_read_in_pieces(chunks, tmp_path, monkeypatch):
    """However the file is cut into chunks, the frames are the same; few are held at once."""
    monkeypatch.setattr(hdf5, "BYTES", 1 << 12)
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("Xsub", data=(VIDEO / 255).transpose(3, 2, 1, 0), chunks=chunks)
    assert np.array_equal(pixels(hdf5.iter_video(path, "Xsub")), VIDEO)


def test_hdf5_files_cannot_reach_out_or_lie(tmp_path):
    """Links to other files and sizes that nothing backs are errors."""
    other, path = tmp_path / "secret.h5", tmp_path / "a.mat"
    with h5py.File(other, "w") as file:
        file["Xsub"] = VIDEO
    with h5py.File(path, "w") as file:
        file["Xsub"] = h5py.ExternalLink(str(other), "Xsub")
        file.create_dataset("huge", (3, 72, 72, 10**7), "f8", chunks=(3, 72, 72, 1))
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(other), "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        (tmp_path / "raw").write_bytes(bytes(32))
        file.create_dataset("outside", (4,), "f8", external=[(str(tmp_path / "raw"), 0, 32)])
    for name, message in (("Xsub", "inside this file"), ("huge", "states")):
        with pytest.raises(VideoError, match=message):
            list(hdf5.iter_video(path, name))
    for name in ("virtual", "outside"):
        with hdf5.open_file(path) as file, pytest.raises(VideoError, match="inside this file"):
            hdf5.signal(file, name)


# --- MMPD ------------------------------------------------------------------------------------------------------------


def mmpd(folder, **changes):
    """A recording whose codes are all 1 (skin 3), with `changes` of its fields."""
    fields = {"light": "LED-low", "motion": "Stationary", "exercise": "True", "skin_color": 3, "gender": "male"}
    fields |= dict.fromkeys(("glasser", "hair_cover", "makeup"), "True")
    path = folder / "subject1" / "p1_0.mat"
    path.parent.mkdir(exist_ok=True)
    scipy.io.savemat(path, {"video": VIDEO / 255, "GT_ppg": np.arange(19.0)[None], **fields, **changes})
    return Recording("p1_0", "subject1", path)


def test_mmpd_codes_are_rppg_toolboxs(tmp_path):
    """Words become codes; the label that older files have for walking, too."""
    reader = DATASETS["MMPD"]()
    found = reader.describe(mmpd(tmp_path, motion="Watching Videos", light="Nature", makeup="False", gender="female"))
    assert list(found.values()) == [4, 4, 1, 3, 2, 1, 1, 2]
    with pytest.raises(ValueError, match="light is 'Moon'; known: LED-low"):
        reader.describe(mmpd(tmp_path, light="Moon"))


def test_mmpd_is_chosen_by_info(tmp_path):
    """Each field of INFO decides; the default keeps nothing; an unknown word is left for reading to report."""
    reader, data, recording = DATASETS["MMPD"](), schema().TEST.DATA, mmpd(tmp_path)
    assert reader.select(recording, data) is False
    data.INFO.update({field: [1, 3] for field in data.INFO})
    assert reader.select(recording, data) is True
    for field in data.INFO:
        kept, data.INFO[field] = data.INFO[field], [2]
        assert reader.select(recording, data) is False, field
        data.INFO[field] = kept
    known = Recording("p1_0", "subject1", tmp_path / "gone.mat", reader.describe(recording))
    assert reader.select(known, data) is True, "codes in the cache are enough"
    with pytest.raises(KeyError):
        reader.select(mmpd(tmp_path, light="Moon"), data)


# --- UBFC-PHYS, COHFACE, UBFC-rPPG-1, PhysDrive ----------------------------------------------------------------------


def test_ubfc_phys_lists_a_task_by_video_or_label(tmp_path):
    """A task whose video is gone still counts; it fails by name when it is read."""
    write_layout("UBFC-PHYS", tmp_path, SETTINGS)
    (tmp_path / "s1" / "vid_s1_T2.avi").unlink()
    reader = DATASETS["UBFC-PHYS"]()
    recordings = reader.recordings(tmp_path)
    assert [recording.id for recording in recordings] == ["s1_T1", "s1_T2", "s1_T3"]
    with pytest.raises(VideoError, match="vid_s1_T2.avi"):
        list(reader.read_video(recordings[1]))
    assert reader.read_wave(recordings[1])["ppg"].fs == 64 and reader.read_wave(recordings[1])["eda"].fs == 4


def test_cohface_without_times_runs_at_256_hz(tmp_path):
    """`time` is used where it is there, and need not be; ids are rPPG-Toolbox's numbers."""
    write_layout("COHFACE", tmp_path, SETTINGS)
    reader = DATASETS["COHFACE"]()
    recording = reader.recordings(tmp_path)[3]
    assert (recording.id, recording.subject) == ("103", "1")
    assert reader.read_wave(recording)["ppg"].times[1] == pytest.approx(1 / 256)
    with h5py.File(recording.path / "data.hdf5", "r+") as file:
        del file["time"], file["respiration"]
    signals = reader.read_wave(recording)
    assert signals["ppg"].fs == 256 and set(signals) == {"ppg"}


def test_ubfc_rppg_1_is_found_below_its_parent(tmp_path):
    """DATA_PATH may be the folder above DATASET_1; times are milliseconds in the file."""
    write_layout("UBFC-rPPG-1", tmp_path / "DATASET_1", SETTINGS)
    reader = DATASETS["UBFC-rPPG-1"]()
    recording = reader.recordings(tmp_path)[0]
    signals = reader.read_wave(recording)
    assert recording.id == "1-gt" and set(signals) == {"ppg", "hr", "spo2"}
    assert np.allclose(signals["ppg"].times, np.arange(31) / 60, atol=6e-4)


def test_physdrive_leaves_processed_alone(tmp_path):
    """A folder `processed` is nobody's subject."""
    write_layout("PhysDrive", tmp_path, SETTINGS)
    (tmp_path / "processed" / "A1" / "Align").mkdir(parents=True)
    assert [r.id for r in DATASETS["PhysDrive"]().recordings(tmp_path)] == ["AFH1_A1", "AFH1_B1"]
    assert physdrive.LOWEST_QUALITY == 0.5


def test_physdrive_scores_beats():
    """A clean pulse scores high, noise lower, a constant or short clip nothing."""
    pytest.importorskip("neurokit2", reason="neurokit2 is not installed")
    time = np.arange(300) / 30
    pulse = np.exp(np.sin(2 * np.pi * 1.2 * time))
    noise = np.random.default_rng(0).normal(size=300)
    assert physdrive.clip_quality(pulse, 30) > 0.8 > physdrive.clip_quality(noise, 30)
    assert physdrive.clip_quality(np.ones(300), 30) == physdrive.clip_quality(pulse[:5], 30) == 0


def test_physdrive_leaves_out_clips_with_poor_labels(monkeypatch):
    """Clips keep their numbers, how many went is noted, a recording without a good clip fails; NaN is kept."""
    scores = {0.0: 0.2, 1.0: 0.6, 2.0: float("nan"), 3.0: 0.49}
    monkeypatch.setattr(physdrive, "clip_quality", lambda label, fs: scores[float(label[0])])
    entries = {
        name: SimpleNamespace(
            id=name,
            subject=name,
            fs=30.0,
            times=None,
            faces=np.zeros((40, 4, 4, 3), np.uint8),
            signals={"ppg": Signal(np.repeat(levels, 10))},
            stats=SimpleNamespace(mean=0.0, std=0.0, diff_std=0.0),
        )
        for name, levels in (("AFH1_A1", [0.0, 1.0, 2.0, 3.0]), ("AFH1_B1", [0.0, 3.0, 0.0, 3.0]))
    }
    options = ClipOptions(length=10, keep=DATASETS["PhysDrive"].keep_clip)
    clips = ClipDataset(entries.get, list(entries), options)
    assert [clips[k]["clip"] for k in range(len(clips))] == [1, 2]
    assert clips.notes == ["AFH1_A1: 2 of 4 clips have poor labels"]
    assert clips.failed[0][0] == "AFH1_B1" and "all 4 clips are poor" in clips.failed[0][1]


def test_physdrive_without_neurokit2_keeps_every_clip(monkeypatch):
    """The package is optional; that nothing was judged is said."""
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    with pytest.warns(UserWarning, match="pip install neurokit2"):
        assert DATASETS["PhysDrive"].keep_clip(np.zeros(300), 30.0)


@pytest.mark.parametrize(
    ("name", "place"), [("iBVP", "p01_a/p01_a"), ("PhysDrive", "AFH1/A1"), ("UBFC-rPPG-1", "1-gt")]
)
def test_motion_augmented_videos_are_arrays(name, place, tmp_path):
    """DATA_AUG ['Motion'] reads the .npy file: integers as they are, floats times 255; labels as usual."""
    write_layout(name, tmp_path, SETTINGS)
    reader = DATASETS[name]({"DATA_AUG": ["Motion"]})
    recording = reader.recordings(tmp_path)[0]
    with pytest.raises(FileNotFoundError, match=r"\*\.npy"):
        list(reader.read_video(recording))
    (tmp_path / place).mkdir(exist_ok=True)
    for video in (VIDEO, VIDEO / 255):
        np.save(tmp_path / place / "moved.npy", video)
        frames = pixels(reader.read_video(recording))
        assert len(frames) == (len(reader.read_wave(recording)["ppg"].values) if name == "iBVP" else len(VIDEO))
        assert {frame.tobytes() for frame in frames} <= {frame.tobytes() for frame in VIDEO}


@pytest.mark.parametrize("name", ["PURE", "UBFC-rPPG", "UBFC-rPPG-1", "iBVP", "PhysDrive"])
def test_motion_augmented_videos_keep_the_clock(name, tmp_path):
    """An array has as many frames as the video had, lost ones included: its rate is read in the same time."""
    settings = dataclasses.replace(SETTINGS, dropped_frames=0.2, seconds=2.0, ppg_fs=200.0)
    write_layout(name, tmp_path, settings)
    plain, moved = DATASETS[name](), DATASETS[name]({"DATA_AUG": ["Motion"]})
    recording = plain.recordings(tmp_path)[0]
    before = list(plain.read_video(recording))
    place = {"PURE": recording.path / recording.path.name, "iBVP": recording.path / recording.path.name}.get(
        name, recording.path
    )
    place.mkdir(exist_ok=True)
    frames = list(plain._images(recording)) if name == "iBVP" else before
    np.save(place / "moved.npy", np.zeros((len(frames), 16, 16, 3), np.uint8))
    if name == "PURE":
        for image in place.glob("*.png"):
            image.unlink()
    after = list(moved.read_video(recording))
    assert len(after) == len(before)
    known = [frame.time for frame in before], [frame.time for frame in after]
    if name == "UBFC-rPPG-1":  # the container's clock is not the array's
        assert known[1][-1] == pytest.approx(2.0, abs=0.02) and np.allclose(np.diff(known[1]), known[1][1])
    else:
        assert known[0] == known[1] or np.allclose(*known)
    cache = Cache(tmp_path / "cache", {})
    statuses = preprocess_all(moved, [recording], FaceCrop(size=(8, 8), do_crop=False), cache, 1)
    assert statuses[recording.id].state == "done"


@pytest.mark.parametrize("name", ["MMPD", "SCAMPS", "UBFC-PHYS", "COHFACE", "BP4DPlus", "BP4DPlusBigSmall"])
def test_motion_is_refused_where_there_is_none(name):
    """Reading ordinary videos under that name would be a lie."""
    with pytest.raises(ValueError, match="DATA_AUG is \\['Motion'\\]"):
        DATASETS[name]({"DATA_AUG": ["Motion"]})


# --- iBVP ------------------------------------------------------------------------------------------------------------


def test_ibvp_leaves_out_poor_frames(tmp_path):
    """SQ2 <= 0.3 takes frame and label away; the others keep their times, and how many went is recorded."""
    write_layout("iBVP", tmp_path, SETTINGS)
    reader = DATASETS["iBVP"]()
    recording = reader.recordings(tmp_path)[0]
    path = recording.path / "p01_a_bvp.csv"
    rows = np.zeros((41, 4))
    rows[:, 0], rows[:, 3] = np.arange(41), np.where((np.arange(41) >= 10) & (np.arange(41) < 20), 0.3, 0.31)
    np.savetxt(path, rows, delimiter=",", header="BVP,x,SQ1,SQ2", comments="")
    kept = ~(stretch(rows[:, 3], 15) <= 0.3)
    assert 9 <= kept.sum() <= 12
    frames = list(reader.read_video(recording))
    ppg = reader.read_wave(recording)["ppg"]
    assert [frame.time for frame in frames] == ppg.times.tolist() == (np.flatnonzero(kept) / 30).tolist()
    assert np.allclose(ppg.values, stretch(rows[:, 0], 15)[kept])
    assert reader.describe(recording) == {"all_frames": 15, "low_quality_frames": int((~kept).sum())}
    rows[:, 3] = 0
    np.savetxt(path, rows, delimiter=",", header="BVP,x,SQ1,SQ2", comments="")
    with pytest.raises(VideoError, match="No frame of .* above 0.3"):
        list(reader.read_video(recording))


def test_ibvp_thermal_frames_are_degrees(tmp_path):
    """Raw uint16 become degrees Celsius; a cut file is an error; there is no motion-augmented heat."""
    write_layout("iBVP", tmp_path, SETTINGS)
    reader = DATASETS["iBVP"]({"DATA_MODE": "RGBT"})
    recording = reader.recordings(tmp_path)[0]
    frames = list(reader.read_thermal(recording))
    assert len(frames) == 15 and frames[0].shape == (512, 640) and frames[0].dtype == np.float32
    assert 20 < frames[0].mean() < 40
    first = sorted((recording.path / "p01_a_t").iterdir())[0]
    first.write_bytes(first.read_bytes()[:1000])
    with pytest.raises(VideoError, match="00000.raw' ends early"):
        next(iter(reader.read_video(recording))).thermal()
    with pytest.raises(ValueError, match="DATA_MODE is 'T' and DATA_AUG"):
        DATASETS["iBVP"]({"DATA_MODE": "T", "DATA_AUG": ["Motion"]})


# --- BP4D+ -----------------------------------------------------------------------------------------------------------


def jpeg(level):
    """A small picture of one grey level."""
    return cv2.imencode(".jpg", np.full((16, 16, 3), level, np.uint8))[1].tobytes()


def zipped(path, members):
    """A deflated zip file of names and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_zip_members_come_in_natural_order(tmp_path):
    """Whatever their order in the file; other tasks and other endings are passed over."""
    names = [f"F001/T1/{k}.jpg" for k in (10, 2, 9, 1)] + ["F001/T10/3.jpg", "F001/T1/3.obj"]
    path = zipped(tmp_path / "F001.zip", [(n, jpeg(int(n.split("/")[2].split(".")[0]) * 10)) for n in names])
    frames = list(iter_zip(path, "T1", 25))
    assert [round(np.asarray(frame).mean(), -1) for frame in frames] == [10, 20, 90, 100]
    assert [frame.time for frame in frames] == [0, 0.04, 0.08, 0.12]
    with pytest.raises(VideoError, match="no picture of T7"):
        list(iter_zip(path, "T7", 25))


@pytest.mark.parametrize("name", ["../T1/1.jpg", "F001/T1/../../../1.jpg", "/F001/T1/1.jpg", "F001\\..\\T1\\1.jpg"])
def test_zip_members_that_lead_out_are_refused(name, tmp_path):
    """Nothing is unpacked anyway; such a file is not what it says it is."""
    path = zipped(tmp_path / "F001.zip", [("F001/T1/1.jpg", jpeg(9)), (name, jpeg(9))])
    with pytest.raises(VideoError, match="leads out of it"):
        list(iter_zip(path, "T1", 25))
    assert [file.name for file in tmp_path.iterdir()] == ["F001.zip"]


def test_zip_bombs_are_refused(tmp_path):
    """A member that inflates to more than a picture is an error, also when its header says it is small."""
    path = zipped(tmp_path / "F001.zip", [("F001/T1/1.jpg", bytes(1 << 26))])
    with pytest.raises(VideoError, match="is no picture: 67108864 bytes"):
        list(iter_zip(path, "T1", 25))
    data = path.read_bytes().replace((1 << 26).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(VideoError, match="F001"):
        [np.asarray(frame) for frame in iter_zip(path, "T1", 25)]


def test_damaged_zips_are_said(tmp_path):
    """No zip at all, a flipped byte inside a member, a member that is no picture."""
    path = tmp_path / "F001.zip"
    path.write_bytes(b"PK nothing")
    with pytest.raises(VideoError, match="cannot be read as a zip"):
        list(iter_zip(path, "T1", 25))
    zipped(path, [("F001/T1/1.jpg", b"words")])
    with pytest.raises(VideoError, match="'F001/T1/1.jpg' in .* cannot be decoded"):
        [np.asarray(frame) for frame in iter_zip(path, "T1", 25)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("F001/T1/1.jpg", jpeg(50))
    data = bytearray(buffer.getvalue())
    data[300] ^= 255
    path.write_bytes(data)
    with pytest.raises(VideoError, match="Bad CRC-32"):
        list(iter_zip(path, "T1", 25))


def test_bp4d_keeps_the_first_sample(tmp_path):
    """The files have no heading: as many samples as lines; the tasks without files are passed over."""
    write_layout("BP4DPlus", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlus"]()
    recordings = reader.recordings(tmp_path)
    assert [recording.id for recording in recordings] == ["F001T2", "F001T10"]
    path = recordings[0].path / "BP_mmHg.txt"
    values = reader.read_wave(recordings[0])["ppg"].values
    assert len(values) == len(path.read_text().splitlines()) == 500
    assert values[0] == float(path.read_text().split()[0])
    (tmp_path / "Physiology" / "F042" / "T11").mkdir(parents=True)
    (tmp_path / "Physiology" / "notes").mkdir()
    assert len(reader.recordings(tmp_path)) == 2


def test_bigsmall_has_every_signal_of_the_coded_part(tmp_path):
    """Waves and action units of the coded frames by name; the lower square; -1 where there is no coding."""
    write_layout("BP4DPlusBigSmall", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlusBigSmall"]()
    recording = reader.recordings(tmp_path)[0]
    signals = reader.read_wave(recording)
    frames = pixels(reader.read_video(recording))
    assert recording.id == "F001T1" and reader.describe(recording) == {"first_coded": 3, "last_coded": 10}
    assert frames.shape == (8, 72, 72, 3) and len(signals["ppg"].values) == 320
    waves = {"ppg", "bp_wave", "hr", "systolic_bp", "diastolic_bp", "mean_bp", "resp", "resp_bpm", "eda"}
    units = {f"AU{unit:02d}" for unit in UNITS} | {f"AU{unit:02d}int" for unit in (6, 10, 12, 14, 17)}
    assert set(signals) == waves | units and len(units) == 39
    assert all(
        len(signals[name].values) == 8 and set(signals[name].values) <= {0, 1} for name in units if "int" not in name
    )
    assert set(signals["AU12int"].values) <= set(range(6))
    (tmp_path / "AUCoding" / "AU_INT" / "AU12" / "F001_T1_AU12.csv").unlink()
    assert set(reader.read_wave(recording)["AU12int"].values) == {-1}
    (tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv").unlink()
    signals = reader.read_wave(recording)
    assert signals["AU01"].values.tolist() == [-1] and len(signals["ppg"].values) == 500
    assert len(pixels(reader.read_video(recording))) == 12


def test_bigsmall_refuses_codes_that_do_not_fit(tmp_path):
    """Frames out of order, or more of them than pictures, are errors that name the file or the recording."""
    write_layout("BP4DPlusBigSmall", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlusBigSmall"]()
    recording = reader.recordings(tmp_path)[0]
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    head, *rows = path.read_text().splitlines()
    more = [f"{number}{row[row.index(',') :]}" for number, row in zip(range(7, 15), rows, strict=True)]
    path.write_text("\n".join([head, *more]))
    with pytest.raises(VideoError, match="Frames 7 to 14 of 'F001T1' are coded"):
        list(reader.read_video(recording))
    path.write_text("\n".join([head, *rows[::-1]]))
    with pytest.raises(ValueError, match="not numbers in a row"):
        reader.read_wave(recording)


def test_takes_are_one_person_at_other_times():
    """Recordings of one subject share the face and nothing else."""
    first, second = takes(Session(SETTINGS, 1), 2)
    assert second.face is first.face and second.subject == first.subject
    assert not np.array_equal(first.truth().ppg, second.truth().ppg)
    assert np.array_equal(second.truth().ppg, takes(Session(SETTINGS, 1), 2)[1].truth().ppg)


def test_ubfc_phys_task_list_names_parts_of_ids(tmp_path):
    """A task, a person or a single recording, as rPPG-Toolbox finds them in the name."""
    write_layout("UBFC-PHYS", tmp_path, SETTINGS)
    reader, data = DATASETS["UBFC-PHYS"](), schema().TEST.DATA
    recordings = reader.recordings(tmp_path)
    for tasks, ids in ((["T2"], ["s1_T2"]), (["s1_T3", "s2"], ["s1_T3"]), (["s1"], ["s1_T1", "s1_T2", "s1_T3"])):
        data.FILTERING.update({"SELECT_TASKS": True, "TASK_LIST": tasks})
        assert [recording.id for recording in recordings if reader.select(recording, data)] == ids
