"""--export_lists: the splits of a run as files, which FILE_LIST_PATH of a later run reads back to the same clips."""

import json
from pathlib import Path

import numpy as np
import pytest

import main
from config import load_config, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.prepare import exported, section
from dataset.prepare.splits import Split, SplitError, read_column
from evaluation import provenance, replay
from registry import DATASETS
from tests.run_tools import write_run
from tests.test_legacy import write_chunk

LENGTHS = {"a1": 40, "a2, \u00fc": 24, "a10": 32, "b": 16}  # frames
PARTS = {"TRAIN": (0.0, 0.5), "TEST": (0.5, 1.0)}


@DATASETS.register("TestListed")
class TestListedLoader(BaseLoader):
    """Grey frames of 16 x 16 pixels; each recording is a subject of its own."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    fs = 30.0

    def recordings(self, root):
        """Those of `LENGTHS`."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in LENGTHS]

    def read_video(self, recording):
        """Frames (16, 16, 3) that count; none where there is a file `broken`."""
        if (recording.path / "broken").exists() and recording.id == "b":
            raise ValueError("the video is damaged")
        for number in range(LENGTHS[recording.id]):
            yield np.full((16, 16, 3), 100 + number, np.uint8)

    def read_wave(self, recording):
        """A wave."""
        return {"ppg": Signal(np.sin(np.arange(LENGTHS[recording.id]) / 4), fs=30.0)}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty working directory with the file x.yaml: PhysNet on clips of eight frames, two people in each section."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "x.yaml", "TestListed", PARTS, length=8, more="MODEL: {NAME: Physnet}\n")
    return tmp_path


def command(*words: str) -> int:
    """The command line with x.yaml."""
    return main.main(["--config_file", "x.yaml", f"LOG.PATH={Path.cwd()}/runs", *words])


def read_by(*words: str, name: str = "TEST") -> list[tuple]:
    """Recording and number of each clip that a section reads."""
    config = load_config("x.yaml", list(words))
    clips = section.prepare(config[name].DATA, name.lower(), config).clips()
    return [(clips[k]["recording"], clips[k]["clip"]) for k in range(len(clips))]


def test_exported_lists_are_read_back_to_the_same_clips(place, capsys):
    """Whatever BEGIN and END say then; lists exported from lists are the same, and nothing is run or left elsewhere."""
    assert command("--export_lists", "lists") == 0
    printed = capsys.readouterr().out
    assert "8 clips of 2 recordings, split " in printed and "TRAIN.DATA.FILE_LIST_PATH=lists/train.csv" in printed
    assert sorted(path.name for path in Path("lists").iterdir()) == [
        "test.csv", "test.split.json", "train.csv", "train.split.json",
    ]  # fmt: skip
    assert read_column(Path("lists/test.csv"), "input_files")[-2:] == ["b_input0.npy", "b_input1.npy"]
    stored = json.loads(Path("lists/train.split.json").read_text())
    assert stored["ids"] == ["a1", "a2, \u00fc"] and stored["end"] == 0.5 and str(place) not in json.dumps(stored)
    assert not (place / "runs").exists()

    lists = [f"{name}.DATA.FILE_LIST_PATH=lists/{name.lower()}.csv" for name in PARTS]
    whole = ["TRAIN.DATA.END=1.0", "TEST.DATA.BEGIN=0.0"]
    for name in PARTS:
        assert read_by(*lists, *whole, name=name) == read_by(name=name)
    assert command("--export_lists", "again", *lists, *whole) == 0
    for name in ("train.csv", "test.csv"):
        assert Path("again", name).read_bytes() == Path("lists", name).read_bytes()


def test_a_part_of_a_list_stays_a_part(place):
    """Clips that somebody has taken off are not in the list that is made of it."""
    Path("mine.csv").write_text(",input_files\n0,b_input1.npy\n1,a10_input3.npy\n")
    assert command("--export_lists", "lists", "TEST.DATA.FILE_LIST_PATH=mine.csv") == 0
    assert read_column(Path("lists/test.csv"), "input_files") == ["a10_input3.npy", "b_input1.npy"]


def change_json(**changes) -> None:
    """Write other values into the JSON of TEST."""
    path = Path("lists/test.split.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_changed_is_told(place, capsys):
    """List or JSON, or the clips that the numbers stand for; without the JSON the list is anybody's."""
    assert command("--export_lists", "lists") == 0
    listed = "TEST.DATA.FILE_LIST_PATH=lists/test.csv"
    path, about = Path("lists/test.csv"), Path("lists/test.split.json")
    text, known = path.read_text(), about.read_text()

    def told(*words: str) -> str:
        assert command(listed, *words, "--export_lists", "new") == 1 and not Path("new").exists()
        return capsys.readouterr().err

    assert "exported with PREPROCESS.CHUNK_LENGTH 8, but TEST.DATA.PREPROCESS.CHUNK_LENGTH is 4" in told(
        "TEST.DATA.PREPROCESS.CHUNK_LENGTH=4"
    )
    for changes in ({"ids": ["b"]}, {"begin": 0.0}, {"dataset": "PURE"}):
        change_json(**changes)
        assert "does not match its hash" in told()
        about.write_text(known)
    change_json(list={**json.loads(known)["list"], "cut": {}})
    assert "it was changed" in told()
    for content in ("", "[]", '{"format": 1}'):
        about.write_text(content)
        assert "is not a split of this toolbox" in told()
    about.write_text(known)
    path.write_text(text + "99,who_input0.npy\n")
    assert "is not the list that was exported with" in told()
    about.unlink()
    assert "names 1 recording that TestListed does not have: who" in told()
    path.write_text(text.replace("b_input1.npy", "b_input7.npy"))
    assert "the list names clip 7" in capsys.readouterr().err + _error(listed, capsys)


def _error(listed: str, capsys) -> str:
    assert command(listed, "--export_lists", "new") == 3
    return capsys.readouterr().err


def test_nothing_is_overwritten(place, capsys):
    """A folder that holds anything is refused before anything is read."""
    Path("lists").mkdir()
    Path("lists/train.csv").write_text("mine")
    assert command("--export_lists", "lists") == 1
    assert "'lists' is there, and not empty" in capsys.readouterr().err
    assert [path.name for path in Path("lists").iterdir()] == ["train.csv"] and not Path("cache").exists()


def test_recordings_that_failed_are_no_list(place, capsys):
    """Even where tables may be incomplete: those of the list would not say so. The remedy works."""
    (place / "raw" / "broken").touch()
    for more in ((), ("ALLOW_INCOMPLETE=True",)):
        assert command("--export_lists", "lists", *more) == 3 and not Path("lists").exists()
        told = capsys.readouterr().err
        assert "1 recording failed" in told and "the video is damaged" in told
        assert "TEST.DATA.FILTERING.USE_EXCLUSION_LIST=True \"TEST.DATA.FILTERING.EXCLUSION_LIST=['b']\"" in told
    left_out = ("TEST.DATA.FILTERING.USE_EXCLUSION_LIST=True", "TEST.DATA.FILTERING.EXCLUSION_LIST=['b']")
    assert command("--export_lists", "lists", *left_out) == 0


def test_folds_and_draws_have_lists(place):
    """One folder per fold; what is tested there is nobody's else, and is read back without SPLIT."""
    one = ("TRAIN.DATA.END=1.0", "TEST.DATA.BEGIN=0.0")
    assert command("--export_lists", "folds", "SPLIT.KIND=loso", *one) == 0
    tested = [json.loads(Path(f"folds/fold{k}/test.split.json").read_text())["ids"] for k in (1, 2, 3, 4)]
    assert sorted(sum(tested, [])) == sorted(LENGTHS)
    assert command("--export_lists", "drawn", "SPLIT.KIND=random", "SPLIT.RATIOS=[0.5,0.0,0.5]", *one) == 0
    drawn = {clip[0] for clip in read_by("TEST.DATA.FILE_LIST_PATH=drawn/test.csv", *one)}
    assert drawn == set(json.loads(Path("drawn/test.split.json").read_text())["ids"]) and len(drawn) == 2


def test_chunks_of_rppg_toolbox_are_listed_as_files(place):
    """As rPPG-Toolbox does; where the cache has moved, by their names in CACHED_PATH."""
    exp = place / "chunks" / "exp"
    for number in (0, 1):
        write_chunk(exp, "p", number)
    (place / "raw").rmdir()
    own = [f"TEST.DATA.{key}" for key in (f"CACHED_PATH={exp.parent}", "EXP_DATA_NAME=exp", "BEGIN=0.0")]
    only = ("TOOLBOX_MODE=only_test", "INFERENCE.MODEL_PATH=w.pth")
    assert command("--export_lists", "lists", *own, *only) == 0
    assert read_by(*own, *only, "TEST.DATA.FILE_LIST_PATH=lists/test.csv") == [("p", 0), ("p", 1)]


@pytest.mark.parametrize(
    ("key", "words", "column"),
    [
        ("FILE_LIST_PATH", ["FILE_LIST_PATH=mine.csv"], "input_files\nb_input0.npy\n"),
        ("FOLD.FOLD_PATH", ["FOLD.FOLD_PATH=mine.csv", "FOLD.FOLD_NAME=one"], "subjects\nb\n"),
    ],
)
def test_a_run_knows_the_file_that_chose_its_recordings(place, key, words, column):
    """It is compared before the run is repeated."""
    file = place / "mine.csv"
    file.write_text(column)
    config = load_config("x.yaml", [f"TEST.DATA.{word}" for word in words])
    provenance.note_data(config, section.prepare(config.TEST.DATA, "test", config))
    then = provenance.read(run_folder(config))
    assert replay.changes(then, config) == []
    file.write_text(column + "a10\n")
    assert replay.changes(then, config) == [f"TEST.DATA.{key}: {file} holds other names"]
    file.unlink()
    assert replay.changes(then, config) == [f"TEST.DATA.{key}: {file} is gone"]


@pytest.mark.parametrize("words", [["--export_lists", "f"], ["--export_lists", "f", "--config_file", "x", "--doctor"]])
def test_it_needs_a_file_and_no_other_errand(words):
    """Usage errors have exit code 2."""
    with pytest.raises(SystemExit) as error:
        main.main(words)
    assert error.value.code == 2


def test_a_list_of_another_data_set_is_told(place):
    """Where the same names are in both."""
    config = load_config("x.yaml", [])
    names = ["b_input0.npy"]
    exported.write_split(Path("l.csv"), Split("PURE", ("b",)), names, {})
    with pytest.raises(SplitError, match="lists clips of PURE, but TEST.DATA.DATASET is TestListed"):
        exported.require_unchanged(Path("l.csv"), names, config.TEST.DATA, "test")
