"""What is special about single data sets: codes, filters, poor frames, tasks, videos with more motion."""

import dataclasses
import sys
from types import SimpleNamespace

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
from dataset.face.crop import FaceCrop
from dataset.files.frames import VideoError
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from dataset.synthetic.layouts import takes, write_layout
from dataset.synthetic.render import Session
from registry import DATASETS
from tests.loader_tools import SETTINGS, VIDEO, pixels

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
            trace=np.zeros((40, 3)),
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
