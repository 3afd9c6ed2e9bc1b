"""From a DATA section to recordings that are ready: cache, splits, lists, filters, failures."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from config import schema
from dataset import run as preprocessing
from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from dataset.prepare import listing, node, unused
from dataset.prepare.legacy import LegacyChunks
from dataset.prepare.listing import unmatched
from dataset.prepare.recording import SkipRecording
from dataset.prepare.section import IncompleteError, judge_overlaps, prepare
from dataset.prepare.splits import SplitError
from registry import DATASETS, DETECTORS
from tests.damage_others import write_list
from tests.test_legacy import write_chunk

READ = []  # ids of the recordings whose video was read


class ToyLoader(BaseLoader):
    """`<subject>_<take>.npy` files of frames; a file that is no array is a recording that fails."""

    fs = 30.0

    def recordings(self, root):
        """One per file."""
        return [Recording(path.stem, path.stem.split("_")[0], path) for path in natural_sort(root.glob("*.npy"))]

    def read_video(self, recording):
        """Frames of the array."""
        READ.append(recording.id)
        return iter(np.load(recording.path))

    def read_wave(self, recording):
        """A ramp, except for recordings called bare."""
        return {} if "bare" in recording.id else {"ppg": Signal(np.arange(float(len(np.load(recording.path)))))}

    def select(self, recording, data):
        """Keep what EXCLUSION_LIST does not name."""
        return recording.id not in data["FILTERING"]["EXCLUSION_LIST"]


def write_video(root, name, count=25):
    """One recording of noise."""
    root.mkdir(parents=True, exist_ok=True)
    seed = [ord(letter) for letter in name]
    np.save(root / f"{name}.npy", np.random.default_rng(seed).integers(0, 256, (count, 12, 16, 3), dtype=np.uint8))


@pytest.fixture
def raw(tmp_path):
    """A raw folder of four subjects with two recordings each."""
    READ.clear()
    for subject in ("s1", "s2", "s10", "s3"):
        for take in ("T1", "T2"):
            write_video(tmp_path / "raw", f"{subject}_{take}")
    return tmp_path / "raw"


@pytest.fixture
def config(tmp_path, raw, monkeypatch):
    """A configuration whose sections all read the raw folder; the toy reader is known during the test only."""
    assert "PURE" in DATASETS
    monkeypatch.setitem(DATASETS._entries, "Toy", ("Toy", ToyLoader))
    config = schema()
    config.PREPROCESS_WORKERS = 1
    for section in ("TRAIN", "VALID", "TEST", "UNSUPERVISED"):
        data = config[section].DATA
        data.DATASET, data.DATA_PATH, data.FS = "Toy", str(raw), 30
        data.CACHE_ROOT, data.EXP_DATA_NAME = str(tmp_path / "cache"), "exp"
        data.CACHED_PATH = str(tmp_path / "cache" / "exp")
        data.FILE_LIST_PATH = str(tmp_path / "cache" / "DataFileLists" / "exp_0.0_1.0.csv")
        data.PREPROCESS.DATA_TYPE, data.PREPROCESS.LABEL_TYPE = ["Raw"], "Raw"
        data.PREPROCESS.CHUNK_LENGTH = 10
        data.PREPROCESS.RESIZE.W = data.PREPROCESS.RESIZE.H = 8
        data.PREPROCESS.CROP_FACE.DO_CROP_FACE = False
    return config


def ready(config, section="TEST", **changes):
    """`prepare` for one section after `changes` of its DATA node."""
    data = config[section].DATA
    data.update(changes)
    return prepare(data, section.lower(), config)


def ids(recordings):
    """Their ids."""
    return [recording.id for recording in recordings]


def test_missing_entries_are_made_once_and_said(config, capsys):
    """DO_PREPROCESS False makes what is missing, says so, and does not read a video twice."""
    prepared = ready(config)
    assert "8 of 8 recordings not (wholly) in the cache" in capsys.readouterr().out
    assert ids(prepared.recordings) == [f"{s}_{t}" for s in ("s1", "s2", "s3", "s10") for t in ("T1", "T2")]
    assert not prepared.failed and prepared.fs == 30.0 and prepared.total == 8
    READ.clear()
    ready(config)
    assert not READ and capsys.readouterr().out == ""


class WholeFrame:
    """A detector that runs on a GPU and sees one face, as big as the frame."""

    on_device = True

    def __init__(self, device):
        """Whatever `device` is."""

    def detect(self, rgb):
        """One box."""
        return np.array([[0, 0, rgb.shape[1], rgb.shape[0]]])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_detector_without_its_gpu_is_told_once(config, capsys, monkeypatch):
    """For all sections; nothing is said of a detector that needs none, of `cpu`, and when nothing is made."""
    monkeypatch.setitem(DETECTORS._entries, "Whole", ("Whole", WholeFrame))
    monkeypatch.setattr(listing, "_TOLD", set())
    for section, backend, device, said in (
        ("VALID", "Whole", "cpu", 0), ("TRAIN", "Whole", "cuda:0", 1), ("TRAIN", "Whole", "cuda:0", 0),
        ("TEST", "Whole", "cuda:0", 0), ("UNSUPERVISED", "HC", "cuda:0", 0),
    ):  # fmt: skip
        data, config.DEVICE = config[section].DATA, device
        data.CACHED_PATH = data.CACHE_ROOT = str(Path(data.CACHE_ROOT).with_name(section))
        crop = data.PREPROCESS.CROP_FACE
        crop.DO_CROP_FACE, crop.BACKEND, crop.NO_FACE = True, backend, "full_frame"
        ready(config, section)
        assert capsys.readouterr().out.count("faces are looked for on the CPU") == said


def test_pseudo_labels_add_the_colour_of_the_whole_frame(config, raw):
    """Asked for later, the whole frame's colour is added to entries that lack it, once."""
    for name in ("s1_T1", "s1_T2"):
        write_video(raw, name, count=80)
    ready(config, END=0.25)
    config.TEST.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL = True
    made = ready(config, END=0.25).clips()
    assert len(made) == 16 and 0 < made[3]["ppg"].abs().max() <= 1
    READ.clear()
    assert ready(config, END=0.25).entry("s1_T1").frame_trace.shape == (80, 3) and not READ


def test_clips_come_from_the_cache(config):
    """Two clips of ten frames per recording, faces of the asked size, one label value a frame."""
    made = ready(config, END=0.25).clips()
    assert len(made) == 4 and made[1]["video"].shape == (3, 10, 8, 8)
    np.testing.assert_allclose(made[1]["ppg"], np.arange(10.0, 20.0))
    assert len(ready(config, END=0.25).clips(length=None)) == 2


def test_chunk_length_and_split_need_no_new_preprocessing(config):
    """Other clips, parts and types use the same entries."""
    ready(config)
    READ.clear()
    config.TEST.DATA.PREPROCESS.CHUNK_LENGTH = 5
    config.TEST.DATA.PREPROCESS.LABEL_TYPE = "Standardized"
    assert len(ready(config, BEGIN=0.5).clips()) == 20 and not READ


def test_other_sizes_get_other_entries(config):
    """The size of the faces is part of the cache's name."""
    first = ready(config).cache.root
    config.TEST.DATA.PREPROCESS.RESIZE.W = 6
    second = ready(config)
    assert second.cache.root != first and second.entry("s1_T1").faces.shape[1:] == (8, 6, 3)


def test_the_cache_alone_is_enough(config, raw):
    """Without raw data the frozen listing and its entries are used."""
    ready(config)
    shutil.rmtree(raw)
    prepared = ready(config, BEGIN=0.5)
    assert ids(prepared.recordings) == ["s3_T1", "s3_T2", "s10_T1", "s10_T2"]
    assert {r.subject for r in prepared.recordings} == {"s3", "s10"}


def test_neither_raw_data_nor_cache(config, raw):
    """The error names section, cache and DATA_PATH."""
    shutil.rmtree(raw)
    with pytest.raises(FileNotFoundError, match="TEST.DATA .Toy. in .*cache.*DATA_PATH"):
        ready(config)


def test_empty_folders_and_doubles_raise(config, tmp_path):
    """A folder without recordings, and two recordings of one name, are named."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no recording of Toy"):
        ready(config, DATA_PATH=str(tmp_path / "empty"))
    twice = [Recording("a", "a", tmp_path)] * 2
    with pytest.raises(ValueError, match="several recordings of one name: a"):
        unused.refuse_doubles(twice, tmp_path)


def test_a_failed_recording_stops_the_run_with_its_name(config, raw, capsys):
    """The others are preprocessed; the error has exit code 3; ALLOW_INCOMPLETE goes on and says n/m."""
    (raw / "s2_T1.npy").write_bytes(b"no array")
    with pytest.raises(IncompleteError, match="1 of 8 recordings missing.\n  s2_T1: ") as caught:
        ready(config)
    assert caught.value.exit_code == 3 and len(caught.value.prepared.recordings) == 7
    config.ALLOW_INCOMPLETE = True
    prepared = ready(config)
    assert (len(prepared.failed), prepared.total) == (1, 8) and len(prepared.clips()) == 14


def test_a_failure_moves_nobody_to_another_part(config, raw):
    """Units are counted with the failed ones."""
    (raw / "s1_T1.npy").write_bytes(b"no array")
    (raw / "s1_T2.npy").write_bytes(b"no array")
    config.ALLOW_INCOMPLETE = True
    assert ids(ready(config, BEGIN=0.25, END=0.5).recordings) == ["s2_T1", "s2_T2"]
    with pytest.raises(IncompleteError):
        ready(config, BEGIN=0.0, END=0.25)  # nothing left, allowed or not


def test_failed_ones_are_tried_again_when_asked(config, raw):
    """A failed recording is left alone until its file changes; DO_PREPROCESS True tries it again as it is."""
    np.save(raw / "s2_T1.npy", np.zeros((5, 7)))
    with pytest.raises(IncompleteError):
        ready(config)
    READ.clear()
    with pytest.raises(IncompleteError):
        ready(config)
    assert not READ
    with pytest.raises(IncompleteError):
        ready(config, DO_PREPROCESS=True)
    assert set(READ) == {"s2_T1"}
    write_video(raw, "s2_T1")
    assert len(ready(config, DO_PREPROCESS=False).recordings) == 8


def test_overwrite_remakes_each_entry_once(config):
    """Only when asked, and once although two sections share the entries."""
    ready(config)
    READ.clear()
    for section in ("TEST", "UNSUPERVISED"):
        prepare(config[section].DATA, section.lower(), config, overwrite=True)
    assert sorted(set(READ)) == sorted(READ) and len(READ) == 8


def test_recordings_too_short_for_a_clip_are_failed(config, raw):
    """They are preprocessed, but cutting them is refused by name."""
    write_video(raw, "s4_T1", count=7)
    prepared = ready(config)
    with pytest.raises(IncompleteError, match="s4_T1: too short: 7 frames, a clip has 10"):
        prepared.clips()
    config.ALLOW_INCOMPLETE = True
    prepared = ready(config)
    assert len(prepared.clips()) == 16 and (len(prepared.failed), prepared.total) == (1, 9)
    prepared.clips()
    assert (len(prepared.failed), prepared.total) == (1, 9)


def test_labels_are_required_for_training_only(config, raw, capsys):
    """A recording without label fails TRAIN and has NaN in TEST; a set without labels has none."""
    write_video(raw, "s4_bare")
    with pytest.raises(IncompleteError, match="s4_bare: no signal 'ppg'"):
        ready(config, "TRAIN").clips()
    made = ready(config).clips()
    assert made[len(made) - 5]["ppg"].isnan().any() or any(made[k]["ppg"].isnan().all() for k in range(len(made)))
    assert "recordings have no usable label 'ppg': s4_bare" in capsys.readouterr().out
    only = ready(config, BEGIN=0.6, END=0.8)
    assert ids(only.recordings) == ["s4_bare"] and "ppg" not in only.clips()[0]


def test_filters_exclude_and_do_not_fail(config):
    """What the user leaves out is neither failed nor preprocessed."""
    config.TEST.DATA.FILTERING.EXCLUSION_LIST = ["s1_T1", "s2_T2"]
    prepared = ready(config)
    assert ids(recording for recording, _ in prepared.excluded) == ["s1_T1", "s2_T2"] and prepared.total == 6
    assert "s1_T1" not in READ and prepared.split.ids[0] == "s1_T1" and "s1_T1" not in prepared.used.ids
    config.TEST.DATA.FILTERING.EXCLUSION_LIST = list(prepared.split.ids)
    with pytest.raises(SplitError, match="leave none of 8"):
        ready(config)


def test_filters_see_what_reading_found_out(config, monkeypatch):
    """A filter that needs the entry's info decides after preprocessing."""

    def select(self, recording, data):
        return recording.info["frames_seen"] if "frames_seen" in recording.info else recording.info["absent_before"]

    monkeypatch.setattr(ToyLoader, "select", select)
    with pytest.raises(KeyError):
        ready(config)  # the info never came: a mistake of the reader, not a silent choice
    assert len(set(READ)) == 8


def test_folds_choose_subjects(config, tmp_path, capsys):
    """The fold's subjects within the range; absent ones are told; an empty choice is an error."""
    fold = tmp_path / "fold.csv"
    fold.write_text("subjects\ns10\ns1\ns99\n")
    config.TEST.DATA.FOLD.FOLD_NAME, config.TEST.DATA.FOLD.FOLD_PATH = "one", str(fold)
    prepared = ready(config)
    assert ids(prepared.recordings) == ["s1_T1", "s1_T2", "s10_T1", "s10_T2"] and prepared.split.fold == "one"
    assert "1 of 3 subjects of the fold absent: ['s99']" in capsys.readouterr().out
    with pytest.raises(SplitError, match="is empty"):
        ready(config, BEGIN=0.25, END=0.75)


def test_recordings_that_a_fold_names_and_nobody_has_are_told(config, capsys):
    """As its subjects are: a fold of fewer recordings is another one."""
    config.TEST.DATA.FOLD.RECORDINGS = ["s1_T2", "s1_T9", "s10_T1"]
    assert ids(ready(config).recordings) == ["s1_T2", "s10_T1"]
    assert "TEST.DATA: 1 of 3 recordings of the fold absent: ['s1_T9']" in capsys.readouterr().out


def test_a_list_of_recordings_wins_over_the_range(config, tmp_path):
    """Clips that a list names, in natural order, preprocessing only those recordings."""
    path = write_list(tmp_path / "mine.csv", ["s10_T1_input1.npy", "s2_T1_input0.npy", "s2_T1_input1.npy"])
    prepared = ready(config, FILE_LIST_PATH=str(path), BEGIN=0.9)
    made = prepared.clips()
    assert [(made[k]["recording"], made[k]["clip"]) for k in range(3)] == [("s2_T1", 0), ("s2_T1", 1), ("s10_T1", 1)]
    assert set(READ) == {"s2_T1", "s10_T1"} and prepared.split.unit == "recording"


def test_unknown_names_in_a_list(config, tmp_path):
    """One error with the first five; a list that does not exist is named."""
    path = write_list(tmp_path / "mine.csv", [f"x{k}_input0.npy" for k in range(7)])
    with pytest.raises(SplitError, match="7 recording.* x0, x1, x2, x3, x4, ..."):
        ready(config, FILE_LIST_PATH=str(path))
    with pytest.raises(FileNotFoundError, match="absent.csv"):
        ready(config, FILE_LIST_PATH=str(tmp_path / "absent.csv"))


def test_own_chunks_of_rppg_toolbox_by_list(config, tmp_path, raw):
    """An existing list of chunk files is read as it is, with the filters, without raw data or new entries."""
    cache = Path(config.TEST.DATA.CACHED_PATH)
    paths = [write_chunk(cache, stem, k)[0] for stem in ("s1_T1", "s1_T2") for k in range(2)]
    write_list(Path(config.TEST.DATA.FILE_LIST_PATH), paths)
    shutil.rmtree(raw)
    prepared = ready(config)
    made = prepared.clips()
    assert prepared.legacy and isinstance(made, LegacyChunks) and len(made) == 4 and made[0]["fs"] == 30
    with pytest.raises(ValueError, match="no cache entry"):
        prepared.entry("s1_T1")
    filtering = config.TEST.DATA.FILTERING
    filtering.USE_EXCLUSION_LIST, filtering.EXCLUSION_LIST = True, ["s1_T2"]
    assert ids(ready(config).recordings) == ["s1_T1"]
    filtering.EXCLUSION_LIST = ["s1_T2", "s1_T1"]
    with pytest.raises(SplitError, match="leave none"):
        ready(config)
    filtering.EXCLUSION_LIST = []
    paths[0].write_bytes(b"")
    with pytest.raises(IncompleteError, match="s1_T1: .*input0.npy"):
        ready(config).clips()
    with pytest.raises(ValueError, match="FS is 0"):
        ready(config, FS=0)


def chunk_sections(config, dataset, **stems):
    """Sections, train and test, of chunks of rPPG-Toolbox with these stems."""
    found = []
    for name, of in stems.items():
        data = config[name.upper()].DATA
        data.DATASET, data.DATA_PATH, data.FS, data.CACHED_PATH = dataset, "", 30, config.TEST.DATA.CACHED_PATH
        paths = [write_chunk(Path(data.CACHED_PATH), stem, 0)[0] for stem in of]
        data.FILE_LIST_PATH = str(Path(data.CACHED_PATH) / f"{name}.csv")
        write_list(Path(data.FILE_LIST_PATH), paths)
        found.append(prepare(data, name, config))
    return found


def test_chunks_are_compared_by_person_where_their_names_say_whose_they_are(config, capsys):
    """Other recordings of one person in training and test are refused; samples, folds and tables know the person."""
    train, test = chunk_sections(config, "PURE", train=["102", "201"], test=["103", "301"])
    with pytest.raises(SplitError, match="TRAIN and TEST share 1 subject of the same data folder: 1. The test would"):
        judge_overlaps([train, test])
    assert [one.subject for one in train.recordings] == ["1", "2"] and test.clips()[0]["subject"] == "1"
    assert "do not say whose" not in capsys.readouterr().out
    assert judge_overlaps(chunk_sections(config, "PURE", train=["102", "201"], test=["301"])) == []


def test_chunks_that_do_not_say_whose_they_are_are_compared_by_recording_aloud(config, capsys):
    """Once when they are read, and where recordings are shared."""
    train, test = chunk_sections(config, "Folder", train=["102", "201"], test=["103", "201"])
    assert "TEST.DATA: the names of these chunks do not say whose they are: each" in capsys.readouterr().out
    with pytest.raises(SplitError, match="TRAIN and TEST share 1 recording .whose they are is not known. of .*: 201"):
        judge_overlaps([train, test])


def test_chunks_without_list_or_raw_data(config, raw):
    """A whole folder of chunks can be used; a part of it cannot be told."""
    write_chunk(Path(config.TEST.DATA.CACHED_PATH), "p", 0)
    shutil.rmtree(raw)
    assert ids(ready(config).recordings) == ["p"]
    with pytest.raises(SplitError, match="Give FILE_LIST_PATH"):
        ready(config, END=0.5)


@pytest.mark.parametrize(("key", "name"), [("SUBJECTS", "s1"), ("RECORDINGS", "s1_T1")])
def test_names_choose_whatever_lists_there_are(config, tmp_path, raw, key, name):
    """A list that rPPG-Toolbox left does not stand in for them, nor do all of its chunks; beside one's own list: no."""
    paths = [write_chunk(Path(config.TEST.DATA.CACHED_PATH), stem, 0)[0] for stem in ("s1_T1", "s2_T1")]
    left = write_list(Path(config.TEST.DATA.FILE_LIST_PATH), paths)
    config.TEST.DATA.FOLD[key] = [name]
    prepared = ready(config)
    assert not prepared.legacy and {recording.subject for recording in prepared.recordings} == {"s1"}
    with pytest.raises(SplitError, match=f"FILE_LIST_PATH .*mine.csv', and FOLD names {key}"):
        ready(config, FILE_LIST_PATH=str(write_list(tmp_path / "mine.csv", paths)))
    shutil.rmtree(raw)
    assert {one.subject for one in ready(config, FILE_LIST_PATH=str(left)).recordings} == {"s1"}
    shutil.rmtree(prepared.cache.root)
    with pytest.raises(FileNotFoundError, match="No preprocessed data for TEST.DATA"):
        ready(config)


def test_overlaps_of_prepared_sections(config):
    """TRAIN with TEST is refused; filters that part the subjects make it fine."""
    train, test = ready(config, "TRAIN"), ready(config)
    with pytest.raises(SplitError, match="TRAIN and TEST share 4"):
        judge_overlaps([train, test])
    config.TRAIN.DATA.FILTERING.EXCLUSION_LIST = [r.id for r in test.recordings[:4]]
    config.TEST.DATA.FILTERING.EXCLUSION_LIST = [r.id for r in test.recordings[4:]]
    assert judge_overlaps([ready(config, "TRAIN"), ready(config)]) == []


def test_rates(config):
    """RESAMPLE_FS wins over FS, FS over what the data say."""
    assert ready(config, FS=25.5).fs == 25.5 and ready(config, FS=0).fs == 30.0
    assert ready(config, RESAMPLE_FS=20.0).fs == 20.0


def test_cached_path_without_a_configuration_file(config):
    """The root above EXP_DATA_NAME is found also where only CACHED_PATH says it."""
    data = config.TEST.DATA
    data.CACHE_ROOT = ""
    assert node.above_experiment(data) == Path(data.CACHED_PATH).parent
    data.EXP_DATA_NAME = ""
    assert node.above_experiment(data) == Path(data.CACHED_PATH)


def test_mode_preprocess_reports_every_section(config, raw, capsys):
    """A failed recording is reported, the other sections are finished, the exit code is 3; without failures 0."""
    config.TOOLBOX_MODE = "preprocess"
    config.VALID.DATA.DATASET = ""
    config.TRAIN.DATA.END = 0.5
    config.TRAIN.DATA.FILTERING.EXCLUSION_LIST = ["s1_T1"]
    (raw / "s2_T1.npy").write_bytes(b"no array")
    assert preprocessing.run(config) == 3
    printed = capsys.readouterr().out
    assert "TRAIN.DATA Toy: 2 of 3 ready, 1 left out on purpose" in printed and "FAILED s2_T1: " in printed
    assert "UNSUPERVISED.DATA Toy: 7 of 8 ready" in printed and "Warning: TRAIN and TEST share" in printed
    write_video(raw, "s2_T1")
    for section in ("TRAIN", "TEST", "UNSUPERVISED"):
        config[section].DATA.DO_PREPROCESS = True
    config.TEST.DATA.BEGIN, config.VALID.DATA.DATASET, config.VALID.DATA.BEGIN = 0.5, "Toy", 0.5
    assert preprocessing.run(config) == 0
    assert "Warning: VALID and TEST share" in capsys.readouterr().out


def test_recordings_that_disappeared_leave_by_name(config, raw, capsys):
    """A recording whose files are gone is named, in no table and no failure, whether it was read before or not."""
    ready(config, END=0.25)
    for name in ("s1_T1", "s10_T2"):
        (raw / f"{name}.npy").unlink()
    capsys.readouterr()
    prepared = ready(config, END=1.0)
    assert "Gone from the data set and from all tables, 2 of 8 recordings: s1_T1, s10_T2" in capsys.readouterr().out
    assert prepared.total == 6 and not prepared.failed
    assert "s1_T1" not in (prepared.cache.root / "manifest.csv").read_text()


def test_a_part_that_was_never_preprocessed(config, raw):
    """Without raw data the recordings that are not in the cache are named, with the folder that is missing."""
    ready(config, END=0.5)
    shutil.rmtree(raw)
    with pytest.raises(IncompleteError, match="s10_T1: not in the cache, and DATA_PATH '.*raw' does not exist"):
        ready(config, END=1.0)


def test_skipped_recordings_are_excluded(config, monkeypatch):
    """What the reader leaves out on purpose is no failure, and neither is what the filter finds out by reading."""

    def read_video(self, recording):
        if recording.id == "s1_T1":
            raise SkipRecording("broken by its makers")
        return iter(np.load(recording.path))

    def select(self, recording, data):
        return recording.info["kept"]

    listed = ToyLoader.recordings

    def recordings(self, root):
        return [replace(one, info={"kept": True}) for one in listed(self, root)]

    monkeypatch.setattr(ToyLoader, "read_video", read_video)
    monkeypatch.setattr(ToyLoader, "recordings", recordings)
    prepared = ready(config)
    assert [(r.id, reason) for r, reason in prepared.excluded] == [("s1_T1", "broken by its makers")]
    monkeypatch.setattr(ToyLoader, "recordings", listed)
    monkeypatch.setattr(ToyLoader, "select", select)
    assert len(ready(config).recordings) == 7  # the filter reads what the entries remember
    monkeypatch.setattr(ToyLoader, "select", lambda self, one, data: one.info["kept"] and one.id != "s2_T2")
    assert "s2_T2" in ids(recording for recording, _ in ready(config).excluded)


def test_failures_are_known_to_who_catches_them(config, raw):
    """The error's `prepared` has rate and options, so that a caller may go on."""
    (raw / "s2_T1.npy").write_bytes(b"no array")
    with pytest.raises(IncompleteError) as caught:
        ready(config, FS=0)
    caught.value.prepared.allow_incomplete = True
    assert caught.value.prepared.fs == 30.0 and len(caught.value.prepared.clips()) == 14


def test_all_recordings_of_a_fold_are_known(config, tmp_path, capsys):
    """A fold without absent subjects says nothing."""
    (tmp_path / "fold.csv").write_text("subjects\ns1\n")
    ready(config)
    config.TEST.DATA.FOLD.FOLD_NAME, config.TEST.DATA.FOLD.FOLD_PATH = "one", str(tmp_path / "fold.csv")
    capsys.readouterr()
    assert len(ready(config).recordings) == 2 and capsys.readouterr().out == ""


def test_generated_data_need_no_folder_and_name_their_cache(config, raw, monkeypatch):
    """A reader that makes its files itself is asked also when DATA_PATH is not there; its settings name the cache."""
    first = ready(config).cache.root
    shutil.move(raw, raw.with_name("elsewhere"))
    monkeypatch.setattr(ToyLoader, "generated", True)
    monkeypatch.setattr(ToyLoader, "identity", lambda self: {"PRESET": "easy"})
    listed = ToyLoader.recordings
    monkeypatch.setattr(ToyLoader, "recordings", lambda self, root: listed(self, root.with_name("elsewhere")))
    prepared = ready(config)
    assert len(prepared.recordings) == 8 and prepared.cache.root != first


def test_names_in_filters_that_nothing_is_called_are_said(config, tmp_path):
    """Mistyped ones of both lists; ids, subjects and tasks count in any spelling; lists that are off say nothing."""
    data = config.TEST.DATA
    listing = [Recording("s1_T1", "s1", tmp_path), Recording("s2_T2", "s2", tmp_path)]
    data.FILTERING.update(EXCLUSION_LIST=["S1-t1", "s2", "s3_T1", ""], TASK_LIST=["t2", "T3", "s1"])
    assert unmatched(listing, BaseLoader(), data) == []
    data.FILTERING.update(USE_EXCLUSION_LIST=True, SELECT_TASKS=True)
    first, second = unmatched(listing, BaseLoader(), data)
    assert first == "FILTERING.EXCLUSION_LIST has 1 name of no recording in Toy: s3_T1."
    assert second == "FILTERING.TASK_LIST has 1 name of no recording in Toy: T3."


def test_tasks_that_only_reading_tells_are_not_called_unknown(config, tmp_path):
    """A loader that does not know its tasks yet, and one whose own `select` may know others."""

    class Late(BaseLoader):
        def tasks(self, recording):
            return [recording.info["task"]]

    data = config.TEST.DATA
    data.FILTERING.update(SELECT_TASKS=True, TASK_LIST=["talk"])
    for loader in (Late(), ToyLoader()):
        assert unmatched([Recording("a", "a", tmp_path)], loader, data) == []


def test_what_is_said_of_a_data_set_is_said_once(config, capsys, monkeypatch):
    """Names that match nothing, and times of labels that were made seconds, by the first section."""
    note = "column 'time_ms': times 0.001 s, made seconds"
    monkeypatch.setattr(ToyLoader, "describe", lambda self, recording: {"label_times": note})
    for section in ("TEST", "TRAIN"):
        config[section].DATA.FILTERING.update(USE_EXCLUSION_LIST=True, EXCLUSION_LIST=["s77"])
        ready(config, section)
    said = capsys.readouterr().out
    assert said.count(f"DATA: labels, {note}.") == 1 and said.count("name of no recording in Toy: s77.") == 1
