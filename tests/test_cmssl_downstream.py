"""Windows divided for a task: what is written is read again, by part, and what does not fit is refused."""

import dataclasses
import json

import numpy as np
import pytest

from config import schema
from dataset.clips.inputs import Input
from dataset.clips.labels import Label
from dataset.files import finite
from dataset.files.downstream import FolderWriter, Meta, open_downstream, read_meta
from dataset.files.finite import unfinished_rows
from dataset.prepare.section import judge_overlaps, prepare
from dataset.prepare.splits import SplitError

META = Meta("toy", 125.0, 50, ("ppg",), ("hr",), units={"hr": "bpm"})
PEOPLE = {"train": ["p1", "p2", "p3"], "val": ["p4"], "test": ["p5", "p6"]}


def write(out, meta=META, people=PEOPLE, seed=0):
    """Two windows of each person, their labels counted from 60 (or within the classes)."""
    rng = np.random.default_rng(seed)
    with FolderWriter(out, meta) as writer:
        for part, names in people.items():
            for number, name in enumerate(names):
                windows = rng.normal(size=(2, len(meta.channels), meta.window))
                labels = np.arange(2 * len(meta.labels)).reshape(2, -1) + (
                    60.0 + number if meta.task == "regression" else 0
                )
                writer.add(part, name, windows, labels % 2 if meta.task == "labels" else labels)
    return out


def section(out, name, **changes):
    """The section `name` of a run on the folder, made ready."""
    config = schema()
    data = config.TRAIN.DATA
    data.DATASET, data.DATA_PATH = "Downstream", str(out)
    for key, value in changes.items():
        setattr(data, key, value)
    return prepare(data, name, config)


def test_each_section_reads_its_own_part(tmp_path):
    """Each section reads its own part."""
    out = write(tmp_path / "toy")
    found = {name: [one.id for one in section(out, name).recordings] for name in ("train", "valid", "test")}
    assert found == {"train": ["p1", "p2", "p3"], "valid": ["p4"], "test": ["p5", "p6"]}
    assert judge_overlaps([section(out, name) for name in found]) == []


def test_a_fold_divides_all_people(tmp_path):
    """A fold divides all people."""
    config = schema()
    config.TRAIN.DATA.DATASET, config.TRAIN.DATA.DATA_PATH = "Downstream", str(write(tmp_path / "toy"))
    config.SPLIT.KIND = "loso"
    assert len(prepare(config.TRAIN.DATA, "train", config).recordings) == 6


def test_a_share_of_the_training_people(tmp_path):
    """A share of the training people."""
    assert [one.id for one in section(write(tmp_path / "toy"), "train", END=0.4).recordings] == ["p1"]


def test_windows_and_labels_come_back(tmp_path):
    """Windows and labels come back."""
    out = write(tmp_path / "toy")
    clips = section(out, "test").clips(inputs=(Input("ppg"),), labels=(Label("hr", "scalar", required=True),))
    stored = np.load(out / "test_features.npy")
    assert len(clips) == 4 and [float(clips[k]["hr"]) for k in range(4)] == [60.0, 61.0, 61.0, 62.0]
    np.testing.assert_array_equal(clips[3]["ppg"].numpy(), stored[3, 0])
    assert clips[0]["subject"] == "p5" and stored.dtype == np.float32 and stored.shape == (4, 1, 50)


def test_features_without_a_row_of_channels_are_read(tmp_path):
    """Features without a row of channels are read."""
    out = write(tmp_path / "toy")
    for part in PEOPLE:
        np.save(out / f"{part}_features.npy", np.load(out / f"{part}_features.npy")[:, 0])
    windows = open_downstream(out)
    np.testing.assert_array_equal(windows.read(6, [0]), np.load(out / "val_features.npy")[:1])


def test_windows_with_nan_are_left_out_and_counted(tmp_path, capsys):
    """Windows with nan are left out and counted."""
    out = write(tmp_path / "toy")
    features = np.load(out / "train_features.npy")
    features[1, 0, 7] = np.nan
    np.save(out / "train_features.npy", features)
    for _ in range(2):  # the second time from what was noted
        clips = section(out, "train").clips(inputs=(Input("ppg"),), labels=())
        assert len(clips) == 5 and "1 of 6 windows cannot be used" in capsys.readouterr().out


def test_nan_is_looked_for_again_when_the_file_has_changed(tmp_path, monkeypatch):
    """Nan is looked for again when the file has changed."""
    path, values = tmp_path / "a.npy", np.zeros((7, 3), np.float32)
    monkeypatch.setattr(finite, "BLOCK", 30)
    np.save(path, values)
    assert unfinished_rows(path).tolist() == []
    values[4, 1], values[6] = np.inf, 3e38  # the last: large, but numbers
    np.save(path, values)
    assert unfinished_rows(path).tolist() == [4]


def test_the_writer_drops_windows_with_nan(tmp_path):
    """The writer drops windows with nan."""
    windows = np.zeros((3, 1, 50))
    windows[1, 0, 0] = np.nan
    with FolderWriter(tmp_path, META) as writer:
        assert writer.add("train", "a", windows, [1, 2, 3]) == 2
        assert writer.add("val", "b", windows, [1, 2, np.nan]) == 1
        writer.add("test", "c", windows, [1, 2, 3])
    assert read_meta(tmp_path).about["dropped_with_nan"] == 4
    assert np.load(tmp_path / "train_labels.npy").tolist() == [1, 3]


def test_nothing_is_left_of_a_folder_with_an_empty_part(tmp_path):
    """Nothing is left of a folder with an empty part."""
    with pytest.raises(ValueError, match="No window for test"):
        write(tmp_path / "toy", people={"train": ["a"], "val": ["b"]})
    assert not any((tmp_path / "toy").iterdir())


def test_the_writer_refuses_somebody_in_two_parts(tmp_path):
    """The writer refuses somebody in two parts."""
    with pytest.raises(ValueError, match="1 subject in train and test: \\['a'\\]"):
        write(tmp_path / "toy", people={"train": ["a"], "val": ["b"], "test": ["a"]})


def test_a_given_split_with_somebody_in_two_parts_is_refused(tmp_path):
    """A given split with somebody in two parts is refused."""
    out = write(tmp_path / "toy")
    np.save(out / "test_subjects.npy", np.array(["p5", "p5", "p2", "p2"]))
    with pytest.raises(ValueError, match="subject 'p2' is in train and in test"):
        open_downstream(out)


def test_a_class_that_nobody_trains_on_is_refused(tmp_path):
    """A class that nobody trains on is refused."""
    meta = dataclasses.replace(META, task="choice", labels=("rhythm",), classes=("N", "A"))
    out = write(tmp_path / "toy", meta)
    np.save(out / "train_labels.npy", np.zeros(6, int))
    with pytest.raises(ValueError, match="no training window is of class 'A'"):
        open_downstream(out)


BAD = {
    "another window": (lambda out: _meta(out, window=40), "windows of 50 samples, meta.json says 40"),
    "no rate": (lambda out: _meta(out, rate=None), "cannot be understood"),
    "rate missing": (lambda out: _meta(out, drop="rate"), "does not say 'rate'"),
    "other task": (lambda out: _meta(out, task="regresion"), "regression"),
    "more channels": (lambda out: _meta(out, channels=["ecg", "ppg"]), "2 channels"),
    "labels too few": (lambda out: np.save(out / "val_labels.npy", np.zeros(1)), "2 windows with 1 label"),
    "labels are text": (lambda out: np.save(out / "val_labels.npy", np.array(["a", "b"])), "were expected"),
    "names too few": (lambda out: np.save(out / "val_subjects.npy", np.array(["a"])), "2 names were expected"),
    "truncated": (lambda out: _cut(out / "train_features.npy"), "train_features.npy"),
    "objects": (lambda out: np.save(out / "val_labels.npy", np.array([{}, {}]), allow_pickle=True), "val_labels.npy"),
}  # fmt: skip


def _meta(out, drop="", **changes):
    known = json.loads((out / "meta.json").read_text()) | changes
    known.pop(drop, None)
    (out / "meta.json").write_text(json.dumps(known))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("what", BAD)
def test_bad_folders_are_refused_in_one_sentence(tmp_path, what):
    """Bad folders are refused in one sentence."""
    damage, said = BAD[what]
    damage(write(tmp_path / "toy"))
    with pytest.raises(ValueError, match=said):
        open_downstream(tmp_path / "toy")


def test_a_missing_part_is_named(tmp_path):
    """A missing part is named."""
    out = write(tmp_path / "toy")
    (out / "val_features.npy").unlink()
    with pytest.raises(SplitError, match="no part for it"):
        section(out, "valid")


def test_windows_at_another_rate_are_brought_to_the_one_asked_for(tmp_path):
    """Windows at another rate are brought to the one asked for."""
    out = write(tmp_path / "toy", dataclasses.replace(META, rate=62.5))
    clips = section(out, "train").clips(inputs=(Input("ppg", fs=125.0),), labels=())
    assert clips[0]["ppg"].shape == (100,) and clips[0]["fs"] == 125.0
