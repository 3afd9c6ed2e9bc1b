"""Clips: cut from cached faces, and stacked to batches."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.clips import clips, labels, transforms
from dataset.clips.batch import collate
from dataset.clips.clips import ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.clips.labels import Label
from dataset.clips.resampling import measure, resampled
from dataset.data_loader.base import Signal


def entry(tmp_path, name="r1", count=25, seed=0, on_disk=True, **changes):
    """A cache entry with `count` frames of 6x5 noise and a label of one sample a frame."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    if on_disk:
        path = tmp_path / f"{name}.npy"
        np.save(path, faces)
        faces = np.load(path, mmap_mode="r") if count else faces
    made = {
        "id": name,
        "subject": name[:2],
        "faces": faces,
        "trace": faces.mean(axis=(1, 2)),
        "times": None,
        "fs": 30.0,
        "signals": {"ppg": Signal(rng.normal(size=max(count, 1)))},
        "stats": measure(lambda start, stop: faces[start:stop], count),
        **{"thermal": None, "thermal_stats": None, "streams": {}, "targets": {}, "frame_trace": None},
    }
    return SimpleNamespace(**{**made, **changes})


def dataset(*entries, select=None, **options):
    """A ClipDataset over fake entries."""
    by_id = {one.id: one for one in entries}
    return ClipDataset(by_id.__getitem__, list(by_id), ClipOptions(**{"length": 10, **options}), select)


def test_clips_are_slices_with_their_next_frame(tmp_path):
    """Whole chunks in order; the frame after each; the rest is dropped and counted."""
    one = entry(tmp_path)
    made = dataset(one)
    assert made.dropped == {"r1": 5} and made.recordings == ["r1"] and made.clip_lengths() == [10, 10]
    sample = made[1]
    assert sample["video"].dtype == torch.uint8 and sample["video"].shape == (3, 10, 6, 5)
    assert (sample["video"].permute(1, 2, 3, 0).numpy() == one.faces[10:20]).all()
    assert sample["has_next"] and (sample["next_frame"].permute(1, 2, 0).numpy() == one.faces[20]).all()
    assert (sample["recording"], sample["subject"], sample["clip"], sample["fs"]) == ("r1", "r1", 1, 30.0)
    assert sample["index"] == 1


def test_the_last_frame_of_a_recording_has_no_next(tmp_path):
    """A clip that ends with the recording says so."""
    sample = dataset(entry(tmp_path, count=20))[1]
    assert not sample["has_next"] and (sample["next_frame"] == 0).all()


@pytest.mark.parametrize("label_type", ["Raw", "DiffNormalized", "Standardized"])
def test_labels_are_transformed_before_they_are_cut(tmp_path, label_type):
    """The joined clip labels are the head of the transformed whole label."""
    one = entry(tmp_path)
    made = dataset(one, label_type=label_type)
    joined = np.concatenate([made[k]["ppg"].numpy() for k in range(len(made))])
    expected = labels.transform(one.signals["ppg"].values, label_type)[:20]
    np.testing.assert_array_equal(joined, expected.astype(np.float32))


def test_normalised_batches_equal_the_normalised_recording(tmp_path):
    """From file to network input: the cut of the whole normalised recording to 1e-6."""
    one = entry(tmp_path, count=30)
    made = dataset(one)
    batch = collate([made[k] for k in range(3)])
    normalised = transforms.normalise(
        batch["video"], batch["next_frame"], batch["has_next"], batch["stats"], ["DiffNormalized", "Standardized"]
    )
    x = np.asarray(one.faces, dtype=float)
    steps = (x[1:] - x[:-1]) / (x[1:] + x[:-1] + 1e-7)
    expected = np.concatenate(
        [np.concatenate([steps / steps.std(), np.zeros_like(x[:1])]), (x - x.mean()) / x.std()], -1
    )
    found = torch.cat(list(normalised), 1).permute(1, 2, 3, 0).numpy()
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_whole_recordings(tmp_path):
    """DO_CHUNK False: one clip each, of its own length."""
    made = dataset(entry(tmp_path), entry(tmp_path, "r2", 8), length=None)
    assert [made[k]["video"].shape[1] for k in range(2)] == [25, 8] and made.dropped == {"r1": 0, "r2": 0}
    with pytest.raises(ValueError, match="BATCH_SIZE of 1"):
        collate([made[0], made[1]])


def test_unusable_recordings_are_failed_with_a_reason(tmp_path):
    """Too short, empty, NaN or without a label: named, and the others are there."""
    nan = {"ppg": Signal(np.full(25, np.nan))}
    made = dataset(
        entry(tmp_path, "short", 9),
        entry(tmp_path, "empty", 0),
        entry(tmp_path, "nan", signals=nan),
        entry(tmp_path, "bare", signals={}),
        entry(tmp_path, "good"),
    )
    reasons = dict(made.failed)
    assert made.recordings == ["good"] and list(reasons) == ["short", "empty", "nan", "bare"]
    assert "9 frames, a clip has 10" in reasons["short"] and reasons["empty"] == "no frames"
    assert "NaN" in reasons["nan"] and "no signal 'ppg'" in reasons["bare"]


def test_optional_labels_are_nan(tmp_path):
    """A test without a label for one recording still has its clips; without any, no label at all."""
    bare = entry(tmp_path, "bare", signals={})
    made = dataset(bare, entry(tmp_path, "good"), labels=(Label("ppg"),))
    assert made[0]["ppg"].isnan().all() and not made[2]["ppg"].isnan().any()
    assert not made.failed and made.notes == ["1 of 2 recordings have no usable label 'ppg': bare"]
    assert "ppg" not in dataset(bare, labels=())[0]


def test_odd_label_lengths_are_noted(tmp_path):
    """A label that is stretched by more than 2 % is named."""
    made = dataset(entry(tmp_path, signals={"ppg": Signal(np.arange(22.0))}))
    assert "22 samples" in made.notes[0] and len(made) == 2


def test_timestamps_reach_the_label(tmp_path):
    """With times on both sides the label is read off at the frames' times."""
    times = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, 25))
    own = np.linspace(0, 2, 500)
    made = dataset(entry(tmp_path, times=times, signals={"ppg": Signal(5 * own, times=own)}))
    np.testing.assert_allclose(made[0]["ppg"], 5 * times[:10], rtol=1e-5)


def test_selected_clips(tmp_path):
    """A list chooses clips of a recording; one that it does not have fails the recording."""
    made = dataset(entry(tmp_path), entry(tmp_path, "r2"), select={"r1": [1], "r2": [0, 7]})
    assert [(made[k]["recording"], made[k]["clip"]) for k in range(len(made))] == [("r1", 1)]
    assert made.failed == [("r2", "the list names clip 7, but the recording has clips 0 to 1")]


def test_pickles_stay_small_and_files_are_opened_anew(tmp_path, monkeypatch):
    """No video travels to a worker, and only few files stay open."""
    monkeypatch.setattr(clips, "OPEN_FILES", 2)
    made = dataset(*(entry(tmp_path, f"r{k}", 50, seed=k) for k in range(5)))
    samples = [made[k] for k in range(len(made))]
    assert len(made._open) == 2 and len(pickle.dumps(made)) < 10_000
    again = pickle.loads(pickle.dumps(made))
    assert all((again[k]["video"] == samples[k]["video"]).all() for k in range(len(made)))
    assert (made[0]["video"] == samples[0]["video"]).all()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 no array", None])
def test_damaged_faces_name_their_file(tmp_path, content):
    """A file that lost its tail since it was indexed is named with the way out."""
    made = dataset(entry(tmp_path))
    path = tmp_path / "r1.npy"
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    with pytest.raises(ValueError, match="r1.npy' is damaged"):
        made[0]


def test_arrays_without_a_file_work(tmp_path):
    """Entries made in a notebook need no file."""
    assert dataset(entry(tmp_path, on_disk=False))[0]["video"].shape == (3, 10, 6, 5)


def test_resampling_keeps_what_is_linear(tmp_path):
    """A ramp at uneven times read at another rate is the ramp at the new times, and so is its label."""
    times = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, 200))
    level = 20 * times + 10
    faces = np.broadcast_to(np.rint(level)[:, None, None, None], (200, 2, 2, 3)).astype(np.uint8)
    signal = Signal(level, times=times)
    made = dataset(entry(tmp_path, faces=faces, times=times, signals={"ppg": signal}), length=None, fs=20.0)
    sample = made[0]
    grid = times[0] + np.arange(sample["video"].shape[1]) / 20
    assert sample["fs"] == 20.0 and grid[-1] <= times[-1] < grid[-1] + 0.05
    np.testing.assert_allclose(sample["video"][0, :, 0, 0], 20 * grid + 10, atol=1.01)
    np.testing.assert_allclose(sample["ppg"], 20 * grid + 10, rtol=1e-5)
    np.testing.assert_allclose(sample["stats"][0], sample["video"].float().mean(), rtol=1e-5)


def test_resampled_clips_are_cuts_of_the_resampled_recording(tmp_path):
    """The same frames whether read by clips or at once, with their next frames and statistics."""
    one = entry(tmp_path, count=300)
    whole = dataset(one, length=None, fs=25.0)[0]
    made = dataset(one, length=16, fs=25.0)
    joined = torch.cat([made[k]["video"] for k in range(len(made))], 1)
    assert whole["video"].shape[1] == 250 and (joined == whole["video"][:, : joined.shape[1]]).all()
    assert (made[3]["next_frame"] == made[4]["video"][:, 0]).all()
    x = whole["video"].double().numpy()
    steps = np.diff(x, axis=1) / (x[:, 1:] + x[:, :-1] + 1e-7)
    np.testing.assert_allclose(whole["stats"], [x.mean(), x.std(), steps.std()], rtol=1e-6)


def test_resampling_to_the_same_rate_changes_nothing(tmp_path):
    """At its own rate a recording stays as it is."""
    one = entry(tmp_path)
    assert (dataset(one, fs=30.0)[0]["video"] == dataset(one)[0]["video"]).all()


def test_float_frames_are_mixed_without_rounding():
    """Between two float frames lies their mean."""
    assert resampled(np.array([0.0, 1.0, 5.0]), np.array([0.5, 1.5, 2.0])).tolist() == [0.5, 3.0, 5.0]


def test_pseudo_labels_come_from_the_whole_frame(tmp_path):
    """The label is the POS signal of the frame's mean colour, also on resampled frames."""
    time = np.arange(240) / 30
    trace = 100 * (1 + 0.01 * np.sin(2 * np.pi * 1.2 * time)[:, None] * [0.33, 0.77, 0.53])
    one = entry(tmp_path, count=240, frame_trace=trace)
    expected = labels.pos_pseudo_label(trace, 30.0)
    np.testing.assert_allclose(dataset(one, pseudo=True)[0]["ppg"], expected[:10], rtol=1e-5)
    slow = dataset(one, pseudo=True, length=None, fs=15.0)[0]["ppg"]
    np.testing.assert_allclose(slow, expected[::2], rtol=1e-4, atol=1e-6)
    assert "whole frame" in dict(dataset(entry(tmp_path), pseudo=True).failed)["r1"]


def test_measured_statistics_do_not_depend_on_blocks():
    """Across block borders every pair of frames counts once; nothing gives zeros."""
    x = np.random.default_rng(3).integers(0, 256, (257, 3, 2, 3), dtype=np.uint8)
    found = measure(lambda start, stop: x[start:stop], len(x))
    y = x.astype(float)
    steps = (y[1:] - y[:-1]) / (y[1:] + y[:-1] + 1e-7)
    np.testing.assert_allclose([found.mean, found.std, found.diff_std], [y.mean(), y.std(), steps.std()], rtol=1e-7)
    assert measure(lambda start, stop: x[start:stop], 0).std == 0
