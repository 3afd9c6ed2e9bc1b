"""rPPG-Toolbox's caches and lists: read as they are, and nothing but that."""

import os

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from config import schema
from dataset.clips.batch import collate
from dataset.prepare import legacy, splits
from tests.damage_others import write_list


def write_chunk(folder, stem, number, length=8, channels=6, dtype=np.float64, seed=0):
    """One chunk file with its label, as rPPG-Toolbox saves them; returns its path and arrays."""
    rng = np.random.default_rng([seed, number])
    folder.mkdir(parents=True, exist_ok=True)
    frames = rng.normal(size=(length, 4, 5, channels)).astype(dtype)
    label = rng.normal(size=length)
    path = folder / f"{stem}_input{number}.npy"
    np.save(path, frames)
    np.save(folder / f"{stem}_label{number}.npy", label)
    return path, frames, label


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_chunks_become_samples(tmp_path, dtype):
    """float64 with six channels as well as float32: values, axes, names."""
    path, frames, label = write_chunk(tmp_path / "input" / "cache", "s1_T1", 3, dtype=dtype)
    sample = legacy.LegacyChunks([path], fs=30)[0]
    assert sample["video_float"].dtype == torch.float32 and sample["video_float"].is_contiguous()
    np.testing.assert_array_equal(sample["video_float"].permute(1, 2, 3, 0), frames.astype(np.float32))
    np.testing.assert_array_equal(sample["ppg"], label.astype(np.float32))
    assert (sample["recording"], sample["clip"], sample["fs"]) == ("s1_T1", 3, 30.0)


def test_batches_and_joined_signals(tmp_path):
    """Chunks stack to a batch; trace and label join all chunks in order."""
    made = [write_chunk(tmp_path, "p", k) for k in range(3)]
    chunks = legacy.LegacyChunks([path for path, _, _ in made], fs=25)
    batch = collate([chunks[0], chunks[1]])
    assert batch["video_float"].shape == (2, 6, 8, 4, 5) and batch["clip"].tolist() == [0, 1]
    assert chunks.recordings == ["p"] and chunks.clip_lengths() == [8, 8, 8]
    np.testing.assert_allclose(
        chunks.trace("p"), np.concatenate([frames[..., :3].mean(axis=(1, 2)) for _, frames, _ in made])
    )
    np.testing.assert_array_equal(chunks.label("p"), np.concatenate([label for _, _, label in made]))


def test_nothing_is_written(tmp_path):
    """Maps are read-only and the sample's memory is its own."""
    path, _, _ = write_chunk(tmp_path, "p", 0, dtype=np.float32)
    before = path.read_bytes()
    sample = legacy.LegacyChunks([path], 30)[0]
    sample["video_float"].zero_()
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        """Remember where."""
        self.path = str(path)

    def __reduce__(self):
        """What a pickle would run."""
        return (open, (self.path, "w"))


def damages(folder):
    """Ways in which a chunk or its label can be broken."""
    proof = folder / "proof"
    np.save(folder / "object_input0.npy", np.array([Hostile(proof)], dtype=object), allow_pickle=True)
    (folder / "pickle_input0.npy").write_bytes(__import__("pickle").dumps(Hostile(proof)))
    np.savez(folder / "archive_input0.npz", a=1)
    (folder / "archive_input0.npz").rename(folder / "archive_input0.npy")
    (folder / "empty_input0.npy").write_bytes(b"")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 72, 72, 6), }"
    (folder / "huge_input0.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    np.save(folder / "flat_input0.npy", np.zeros(8))
    np.save(folder / "text_input0.npy", np.full((8, 2, 2, 3), "x"))
    path, _, _ = write_chunk(folder, "cut", 0)
    path.write_bytes(path.read_bytes()[:-100])
    write_chunk(folder, "long", 0)
    np.save(folder / "long_label0.npy", np.zeros(9))
    (write_chunk(folder, "nolabel", 0)[0].with_name("nolabel_label0.npy")).unlink()
    for stem in ("object", "pickle", "archive", "empty", "huge", "flat", "text"):
        np.save(folder / f"{stem}_label0.npy", np.zeros(8))
    return proof


def test_broken_chunks_fail_their_recording_only(tmp_path):
    """Pickles, archives, huge headers, wrong shapes, missing labels: each named, the good one there, no code run."""
    proof = damages(tmp_path)
    write_chunk(tmp_path, "good", 0)
    write_chunk(tmp_path, "cut", 1)
    chunks = legacy.LegacyChunks(legacy.find_chunks(tmp_path), 30)
    assert chunks.recordings == ["good"] and len(chunks) == 1
    reasons = dict(chunks.failed)
    assert set(reasons) == set("object pickle archive empty huge flat text cut long nolabel".split())
    assert all(stem in reason for stem, reason in reasons.items()) and not proof.exists()


def test_natural_order_of_chunks(tmp_path):
    """input2 before input10, s2 before s10; other files are passed over."""
    for stem, number in (("s10", 0), ("s2", 10), ("s2", 2)):
        write_chunk(tmp_path, stem, number)
    (tmp_path / "notes_input.txt").write_text("")
    assert [legacy.split_name(path) for path in legacy.find_chunks(tmp_path)] == [("s2", 2), ("s2", 10), ("s10", 0)]
    assert legacy.find_chunks(tmp_path / "absent") == []


def test_the_label_differs_in_the_base_name_only(tmp_path):
    """Folders and stems may be called input."""
    path = tmp_path / "input" / "my_input_file_input12.npy"
    assert legacy.label_path(path) == tmp_path / "input" / "my_input_file_label12.npy"
    with pytest.raises(ValueError, match="is not called"):
        legacy.split_name(tmp_path / "x_label0.npy")


def test_lists_find_files_here_there_and_in_the_cache(tmp_path, monkeypatch):
    """Absolute names, names relative to the working directory, and names from another machine by their base name."""
    cache = tmp_path / "cache"
    for number in range(3):
        write_chunk(cache, "p", number)
    monkeypatch.chdir(tmp_path)
    names = [cache / "p_input2.npy", "cache/p_input0.npy", r"D:\old\p_input1.npy", "cache/p_input0.npy"]
    lines = legacy.read_list(write_list(tmp_path / "list.csv", names), cache)
    assert [line.number for line in lines] == [0, 1, 2] and all(line.path.is_file() for line in lines)


def test_lists_of_recordings_have_no_files(tmp_path):
    """Names without a file are a recording's clips."""
    lines = legacy.read_list(write_list(tmp_path / "l.csv", ["s10_input0.npy", "x/s2_input3.npy"]), tmp_path)
    assert [(line.stem, line.number, line.path) for line in lines] == [("s2", 3, None), ("s10", 0, None)]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../../secret.npy",
        "p_input0.npz",
        "p_input0.pickle",
        "p_input.npy",
        "_input0.npy",
        "p_input0.npy/",
    ],
)
def test_anything_but_chunks_is_refused(tmp_path, name):
    """A list can name no other file, wherever it lies."""
    write_chunk(tmp_path, "p", 0)
    with pytest.raises(splits.SplitError, match="not called"):
        legacy.read_list(write_list(tmp_path / "l.csv", ["p_input0.npy", name]), tmp_path)


def test_zero_bytes_and_devices_are_refused(tmp_path):
    """A name with a zero byte is refused; a pipe is not taken for a file."""
    (tmp_path / "zero.csv").write_text(",input_files\n0,p\0_input0.npy\n")  # the csv of some Pythons writes none
    with pytest.raises(splits.SplitError):
        legacy.read_list(tmp_path / "zero.csv", tmp_path)
    os.mkfifo(tmp_path / "q_input0.npy")
    assert legacy.read_list(write_list(tmp_path / "l.csv", ["q_input0.npy"]), tmp_path)[0].path is None
    assert legacy.find_chunks(tmp_path) == []


def test_mixed_and_empty_lists_raise(tmp_path):
    """One list does not name both files and recordings; the first five are shown."""
    write_chunk(tmp_path, "p", 0)
    names = ["p_input0.npy", *(f"gone{k}_input0.npy" for k in range(7))]
    with pytest.raises(splits.SplitError, match="7 name.*gone0.*gone4_input0.npy', \\.\\.\\."):
        legacy.read_list(write_list(tmp_path / "l.csv", names), tmp_path)
    with pytest.raises(splits.SplitError, match="empty"):
        legacy.read_list(write_list(tmp_path / "e.csv", []), tmp_path)


def node(dataset="UBFC-PHYS", **info):
    """A DATA node with filters; all codes are kept but those given."""
    every = {name: [1, 2, 3, 4, 5, 6] for name in schema().TEST.DATA.INFO}
    filtering = {"USE_EXCLUSION_LIST": False, "EXCLUSION_LIST": [""], "SELECT_TASKS": False, "TASK_LIST": [""]}
    return CfgNode({"DATASET": dataset, "INFO": {**every, **info}, "FILTERING": filtering})


def test_filters_look_at_stems():
    """Tasks and exclusions of UBFC-PHYS, codes of MMPD; other stems are kept."""
    data = node(SKIN_COLOR=[3], EXERCISE=[True])
    assert legacy.kept("subject1_L1_MO4_E1_S3_GE1_GL2_H2_MA2", data)
    assert not legacy.kept("subject1_L1_MO4_E1_S5_GE1_GL2_H2_MA2", data)
    assert not legacy.kept("subject1_L1_MO4_E2_S3_GE1_GL2_H2_MA2", data)
    assert legacy.kept("102", data)
    data.FILTERING.update(USE_EXCLUSION_LIST=True, EXCLUSION_LIST=["s3_T1"], SELECT_TASKS=True, TASK_LIST=["T1"])
    assert [stem for stem in ("s1_T1", "s3_T1", "s1_T2") if legacy.kept(stem, data)] == ["s1_T1"]


@pytest.mark.parametrize(
    ("dataset", "stem", "named", "other"),
    [
        ("UBFC-PHYS", "s1_T1", "S1-t1", "T11"),
        ("UBFC-PHYS", "s1_T11", "t11", "T1"),
        ("BP4DPlus", "F001T1", "t1", "T10"),
        ("PURE", "102", "01-02", "03"),
        ("PURE", "102", "02", "3"),
        ("iBVP", "p01a", "P01_a", "b"),
    ],
)
def test_names_in_filters_match_stems_as_they_match_ids(dataset, stem, named, other):
    """In whatever case, with or without signs and zeros, and by parts; a task is no part of another task's name."""
    data = node(dataset, SKIN_COLOR=[3])
    data.FILTERING.update(SELECT_TASKS=True, TASK_LIST=[named])
    assert legacy.kept(stem, data)
    data.FILTERING.TASK_LIST = [other]
    assert not legacy.kept(stem, data)


@pytest.mark.parametrize(
    ("dataset", "stem", "subject"),
    [("UBFC-PHYS", "s1_T1", "S1"), ("BP4DPlus", "F001T1", "F001"), ("PURE", "102", "01"), ("iBVP", "p01a", "p01")],
)
def test_an_exclusion_may_name_the_subject_of_a_stem(dataset, stem, subject):
    """All recordings of a person are left out, and of nobody else."""
    data = node(dataset, SKIN_COLOR=[3])
    data.FILTERING.update(USE_EXCLUSION_LIST=True, EXCLUSION_LIST=[subject])
    assert not legacy.kept(stem, data) and legacy.kept("subject9", data)


STEMS = {  # of rPPG-Toolbox's chunks, by data set -> whose they are
    "UBFC-rPPG": ("subject12", "subject12"), "PURE": ("102", "1"), "UBFC-PHYS": ("s1_T1", "s1"),
    "MMPD": ("subject1_L1_MO4_E1_S3_GE1_GL2_H2_MA2", "subject1"), "SCAMPS": ("P000001.mat", "P000001"),
    "iBVP": ("p01a", "p01"), "PhysDrive": ("AFH1_A1", "AFH1"), "BP4DPlus": ("F001T1", "F001"),
    "BP4DPlusBigSmall": ("M008T10", "M008"), "COHFACE": ("1003", "10"),
}  # fmt: skip


@pytest.mark.parametrize("dataset", STEMS)
def test_a_stem_says_whose_it_is_by_its_data_sets_rule(dataset):
    """As the loader calls people; other names, and those of other data sets, say nobody."""
    stem, subject = STEMS[dataset]
    assert legacy.whose(stem, dataset) == subject
    assert legacy.whose("me", dataset) is None and legacy.whose(stem, "Folder") is None
    assert legacy.whose(stem, "mine") is None
