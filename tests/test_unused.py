"""What people's disks do to a data set: nothing that lies in DATA_PATH is silently absent, or silently a second person.

One suite for every registered data set, on miniatures whose pictures are noise.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import main
from config import schema
from dataset.files.lookup import copy_of, entry, first, instead, is_system, matching
from dataset.prepare.unused import elsewhere, list_recordings, refuse_doubles, unused
from registry import DATASETS
from tests.damage import make_good
from tests.damage_run import arguments
from tests.test_loader_contract import NAMES, frames_of, loader


@pytest.fixture(scope="module", params=NAMES)
def made(request, tmp_path_factory):
    """Name and folder of a data set of two subjects. Not to be changed."""
    root = tmp_path_factory.mktemp("raw") / "raw"
    make_good(request.param, root, 2)
    return request.param, root


@pytest.fixture
def copied(made, tmp_path):
    """Name and folder of a copy that may be changed."""
    name, root = made
    shutil.copytree(root, tmp_path / "raw")
    return name, tmp_path / "raw"


def facts(name, root):
    """Ids and subjects in small letters, and the frames and first wave of each recording."""
    reader = loader(name)
    found = {}
    for recording in reader.recordings(root):
        waves = reader.read_wave(recording)
        wave = waves[reader.signals[0]].values if waves else np.zeros(1)
        frames = frames_of(reader, recording)[0]
        found[recording.id.lower()] = (recording.subject.lower(), len(frames), float(frames[0].mean()), wave.tolist())
    return found


def said(name, root):
    """All sentences about what is not used."""
    reader = loader(name)
    return "\n".join(unused(reader, root, reader.recordings(root)))


def accounted(name, root, path):
    """Whether `path` is a recording, or lies in one, or is named as not used."""
    places = [recording.path for recording in loader(name).recordings(root)]
    inside = any(place == path or place in path.parents or path in place.parents for place in places)
    return inside or path.name in said(name, root)


def test_every_entry_of_a_data_set_is_used(made):
    """In the layouts as they are published nothing is left over."""
    assert said(*made) == ""


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_names_count_in_whatever_case(copied, change):
    """`Subject1`, `vid.AVI`, `.MAT`: the same recordings, frames and waves."""
    name, root = copied
    before = facts(name, root)
    for path in sorted(root.rglob("*"), reverse=True):
        path.rename(path.with_name(change(path.name)))
    assert facts(name, root) == before
    assert said(name, root) == ""


def test_files_of_systems_are_overlooked(copied):
    """macOS' twins of every file, and what Windows and servers leave, change nothing."""
    name, root = copied
    before = facts(name, root)
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            for left in (".DS_Store", "Thumbs.db", "desktop.ini", f"._{path.name}"):
                (path / left).write_bytes(b"\0\5\x16\7")
        if path != root:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._data").write_bytes(b"\0\5\x16\7")
    assert facts(name, root) == before
    assert said(name, root) == ""


@pytest.mark.parametrize("ending", [" (1)", " - Copy", " copy"])
def test_a_copy_is_no_second_person(copied, ending):
    """It is left out and named; an equal copy of an own video is left out, too."""
    name, root = copied
    reader = loader(name)
    before = [(r.id, r.subject) for r in reader.recordings(root)]
    path = reader.recordings(root)[0].path
    copy = path.with_name(f"{path.stem if path.is_file() else path.name}{ending}{path.suffix * path.is_file()}")
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    found = [(r.id, r.subject) for r in reader.recordings(root)]
    assert {subject for _, subject in found} == {subject for _, subject in before}
    assert found == before or name == "Folder"
    assert found != before or copy.name in said(name, root)


def test_what_is_packed_is_named(copied):
    """A recording left in its archive: the sentence names it."""
    name, root = copied
    path = loader(name).recordings(root)[0].path
    packed = shutil.make_archive(str(path.with_name(f"{path.stem}7")), "zip", path.parent, path.name)
    if path.is_dir():
        shutil.rmtree(path)
    assert f"archives left packed: {Path(packed).relative_to(root).as_posix()}. Unpack them there." in said(name, root)


@pytest.mark.parametrize("prefix", ["subject ", "x-", "7"])
def test_a_recording_of_another_name_is_read_or_named(copied, prefix):
    """`p02-a`, or `subject3` where numbers are meant."""
    name, root = copied
    path = loader(name).recordings(root)[-1].path
    other = path.with_name(f"{prefix}{path.name}")
    path.rename(other)
    assert accounted(name, root, other)


def test_formats_that_are_not_read_and_other_files_are_named(copied):
    """Every file at the top: a picture that moves, a bare stream, a download, a note."""
    name, root = copied
    for file in ("me.gif", "me.h264", "me.mp4.part", "notes.pdf", "empty/", "papers/list.xlsx"):
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).mkdir() if file.endswith("/") else (root / file).write_bytes(b"0")
    text = said(name, root)
    for words in (
        "formats that are not read: me.gif, me.h264.",
        "not ended: me.mp4.part",
        "empty",
        "notes.pdf",
        "papers",
    ):
        assert words in text


def test_a_folder_too_deep_is_named(copied):
    """One further recording in a folder of its own: where its folders stand in DATA_PATH itself."""
    name, root = copied
    path = loader(name).recordings(root)[0].path
    top = root / path.relative_to(root).parts[0]
    (root / "more").mkdir()
    shutil.copytree(top, root / "more" / top.name) if top.is_dir() else shutil.copy(top, root / "more")
    assert accounted(name, root, root / "more")


def test_the_error_says_where_recordings_lie(copied):
    """DATA_PATH one folder too high, or too low: the folder that the error names is the right one."""
    name, root = copied
    reader = loader(name)
    count = len(reader.recordings(root))
    if not reader.searches_below:
        (root.parent / "above").mkdir()
        root = root.rename(root.parent / "above" / root.name)
        with pytest.raises(FileNotFoundError, match=f"set DATA_PATH to '{root}'"):
            list_recordings(reader, root.parent)
    low = next(path for path in sorted(root.rglob("*")) if path.is_dir() or name == "SCAMPS")
    if name == "SCAMPS":
        low = root / "empty"
        low.mkdir()
    try:
        assert list_recordings(reader, low)
    except FileNotFoundError as error:
        assert f"set DATA_PATH to '{root}'" in str(error)
    assert len(reader.recordings(root)) == count


def test_another_data_set_is_recognised(made):
    """DATASET names another one: the error says which it is, and that one reads it."""
    name, root = made
    if name == "Folder":
        assert "It looks like Folder" in elsewhere(loader("PURE"), root)
        return
    for asked in ("PURE", "UBFC-rPPG", "COHFACE"):
        try:
            found = loader(asked).recordings(root)
        except FileNotFoundError:
            hint = elsewhere(loader(asked), root)
            assert "set DATASET to" in hint
            known = hint.rpartition("set DATASET to ")[2].rstrip(".")
            assert name.startswith(known) or len(loader(known).recordings(root)) == len(loader(name).recordings(root))
        else:
            assert asked == name or name in ("MMPD", "MR-NIRP"), found  # subject folders look like UBFC's


def test_a_foreign_recording_among_others_is_named(copied, tmp_path):
    """One of UBFC-rPPG's first part in the folder of another data set."""
    name, root = copied
    make_good("UBFC-rPPG-1", tmp_path / "foreign", 1)
    foreign = next((tmp_path / "foreign").iterdir())
    shutil.copytree(foreign, root / "5-gt")
    assert accounted(name, root, root / "5-gt")
    if name == "UBFC-rPPG":
        assert "look like UBFC-rPPG-1: 5-gt. Read them with DATASET: UBFC-rPPG-1." in said(name, root)


def test_where_links_are_forbidden_only_the_guess_is_missing(copied, tmp_path, monkeypatch):
    """As for ordinary users of Windows: what is left is named all the same."""

    def symlink_to(self, target):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", symlink_to)
    name, root = copied
    (root / "notes.pdf").write_bytes(b"0")
    assert "notes.pdf" in said(name, root)


def test_a_folder_that_must_not_be_read_is_named(tmp_path, monkeypatch):
    """It stops nothing, wherever it lies."""
    make_good("PURE", tmp_path, 1)
    (tmp_path / "locked" / "inner").mkdir(parents=True)
    (tmp_path / "other" / "locked").mkdir(parents=True)
    listdir = os.listdir

    def refusing(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")
    assert "folders that must not be read: locked." in said("PURE", tmp_path)
    assert "folders without a recording: other." in said("PURE", tmp_path)


def test_a_recording_that_takes_the_whole_folder_leaves_nothing(tmp_path):
    """DATA_PATH is the recording's own folder, as LGI-PPGI's may be."""
    make_good("LGI-PPGI", tmp_path, 1)
    reader = loader("LGI-PPGI")
    root = reader.recordings(tmp_path)[0].path
    assert [one.path for one in reader.recordings(root)] == [root] and said("LGI-PPGI", root) == ""


def test_a_path_through_another_folder_changes_nothing(copied):
    """DATA_PATH with `..` in it."""
    name, root = copied
    (root.parent / "aside").mkdir()
    assert said(name, root.parent / "aside" / ".." / root.name) == ""


def test_names_of_any_bytes_can_be_said(tmp_path, capsys):
    """Files that are not used, with names that are no text."""
    make_good("PURE", tmp_path / "raw", 1)
    Path(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/caf\xe9\x1b.pdf")).touch()
    list_recordings(loader("PURE"), tmp_path / "raw", "test")
    assert r"other files: caf\xe9\x1b.pdf." in capsys.readouterr().out


def test_filtering_works_for_every_data_set(made):
    """EXCLUSION_LIST by id or person, TASK_LIST by id, in whatever case; other recordings stay."""
    name, root = made
    reader, data = loader(name), schema().TEST.DATA
    for field, codes in data.INFO.items():
        data.INFO[field] = list(range(1, 7)) if codes else codes
    found = [r for r in reader.recordings(root) if reader.select(r, data)]
    one = found[0]
    data.FILTERING.update({"USE_EXCLUSION_LIST": True, "EXCLUSION_LIST": [one.id.swapcase()]})
    assert [r.id for r in found if not reader.select(r, data)] == [one.id]
    data.FILTERING.EXCLUSION_LIST = [one.subject.swapcase()]
    assert [r.id for r in found if not reader.select(r, data)] == [r.id for r in found if r.subject == one.subject]
    data.FILTERING.update({"USE_EXCLUSION_LIST": False, "SELECT_TASKS": True, "TASK_LIST": [one.id.swapcase()]})
    assert [r.id for r in found if reader.select(r, data)] == [one.id]


@pytest.mark.parametrize(
    ("name", "id", "tasks"),
    [
        ("PURE", "102", ["01-02"]),
        ("PURE", "102", ["02"]),
        ("UBFC-PHYS", "s1_T3", ["S1_t3"]),
        ("iBVP", "p01a", ["p01_a"]),
        ("PhysDrive", "AFH1_A1", ["a1"]),
    ],
)
def test_parts_and_spellings_of_ids_count_in_task_lists(name, id, tasks, tmp_path):
    """PURE's own names have a dash that its ids lack."""
    from dataset.data_loader.base import Recording

    data = schema().TEST.DATA
    data.FILTERING.update({"SELECT_TASKS": True, "TASK_LIST": tasks})
    subject = {"PURE": "1", "UBFC-PHYS": "s1", "iBVP": "p01", "PhysDrive": "AFH1"}[name]
    recording = Recording(id, subject, tmp_path, {"task": id[-2:]})
    assert loader(name).select(recording, data)
    data.FILTERING.TASK_LIST = ["T9"]
    assert not loader(name).select(recording, data)


# --- The parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PURE", "PhysDrive", "iBVP"])
def test_a_folder_without_pictures_says_what_it_holds(name, tmp_path):
    """Pictures of another format: how many, and which."""
    make_good(name, tmp_path, 1)
    ending = ".bmp" if name == "iBVP" else ".png"
    for file in tmp_path.rglob(f"*{ending}"):
        file.rename(file.with_suffix(".jpg"))
    reader = loader(name)
    with pytest.raises(ValueError, match=r"holds no (PNG|BMP) file, but \d+ \.jpg"):
        list(reader.read_video(reader.recordings(tmp_path)[0]))


def test_two_folders_of_one_name_but_for_case_are_refused(tmp_path):
    """`Subject1` and `subject1`: nobody can tell which one is meant."""
    for folder in ("subject1", "Subject1"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ValueError, match="several recordings of one name: subject1 .'Subject1'.*Keep one of each"):
        list_recordings(loader("UBFC-rPPG"), tmp_path)
    with pytest.raises(ValueError, match="P1.MAT"):
        (tmp_path / "s").mkdir()
        for file in ("p1.mat", "P1.MAT"):
            (tmp_path / "s" / file).touch()
        refuse_doubles(loader("SCAMPS").recordings(tmp_path / "s"), tmp_path)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("subject1 (1)", "subject1"),
        ("subject1(2)", "subject1"),
        ("subject1 - Copy", "subject1"),
        ("subject1 - Copy (2)", "subject1"),
        ("subject1 copy 3", "subject1"),
        ("subject1_copy", "subject1"),
        ("Copy of subject1", "subject1"),
        ("subject1 - Kopie", "subject1"),
        ("subject1 2", "subject1"),
        ("vid (1).avi", "vid.avi"),
        ("subject 1", ""),
        ("01-02", ""),
        ("5-gt", ""),
        ("subject1_copier", ""),
    ],
)
def test_names_of_copies(name, of, tmp_path):
    """As Windows, macOS and browsers name them; what is close to it is none."""
    assert copy_of(tmp_path / name) == of


def test_a_video_named_like_a_copy_shows_the_same_person(tmp_path):
    """Phones number their videos so: another content is another recording, but no other subject."""
    for file, content in (("me.mp4", b"1"), ("me (1).mp4", b"1"), ("me (2).mp4", b"22"), ("other (1).mp4", b"3")):
        (tmp_path / file).write_bytes(content)
    found = {r.id: r.subject for r in loader("Folder").recordings(tmp_path)}
    assert found == {"me": "me", "me (2)": "me", "other (1)": "other (1)"}
    assert "named like copies: me (1).mp4." in said("Folder", tmp_path)


def test_names_are_found_by_the_letters_on_the_disk(tmp_path):
    """The exact name wins; without any the name asked for comes back, to be missed by name."""
    (tmp_path / "Label").mkdir()
    (tmp_path / "Label" / "bvp.MAT").touch()
    assert entry(tmp_path, "label/BVP.mat") == tmp_path / "Label" / "bvp.MAT"
    (tmp_path / "Label" / "BVP.mat").touch()
    assert entry(tmp_path, "label/BVP.mat") == tmp_path / "Label" / "BVP.mat"
    assert entry(tmp_path, "Label/none.mat") == tmp_path / "Label" / "none.mat"
    assert {path.name for path in matching(tmp_path, "LABEL/*.mat")} == {"bvp.MAT", "BVP.mat"}
    with pytest.raises(FileNotFoundError, match=r"holds no \*.png, but 1 .(mat|MAT) and 1 .(mat|MAT). Copy"):
        first(tmp_path / "Label", "*.png")


@pytest.mark.parametrize("name", ["._vid.avi", ".DS_Store", "Thumbs.db", "DESKTOP.INI", "__MACOSX"])
def test_files_of_systems_are_known(name):
    """By a dot in front, or by name."""
    assert is_system(name) and not is_system(name.lstrip("._").replace("MACOSX", "x").replace(".", "x"))


def test_what_a_folder_holds_is_counted(tmp_path):
    """By ending, the most frequent first; folders by name."""
    assert instead(tmp_path) == " and is empty" and "no such folder" in instead(tmp_path / "x")
    for number in range(3):
        (tmp_path / f"{number}.PNG").touch()
    (tmp_path / "a.json").touch()
    (tmp_path / "inner").mkdir()
    assert instead(tmp_path) == ", but 3 .PNG, 1 .json and 1 folder (inner)"


def test_the_command_line_names_what_is_left(tmp_path, capsys):
    """Once for all sections, before the work; the recordings that are there are done."""
    make_good("UBFC-rPPG", tmp_path / "data", 2)
    shutil.make_archive(str(tmp_path / "data" / "subject3"), "zip", tmp_path / "data", "subject1")
    shutil.copytree(tmp_path / "data" / "subject2", tmp_path / "data" / "subject2 (1)")
    (tmp_path / "data" / "subject2").rename(tmp_path / "data" / "Subject2")
    assert main.main(arguments("UBFC-rPPG", tmp_path / "data", tmp_path / "cache", 1)) == 0
    printed = capsys.readouterr().out
    assert printed.count("archives left packed: subject3.zip.") == 1
    assert printed.count("named like copies: subject2 (1).") == 1
    assert "2 done" in printed


def test_many_recordings_are_accounted_for_in_time(tmp_path):
    """Thousands of folders and as many strange files: one line."""
    for number in range(2000):
        (tmp_path / f"subject{number}").mkdir()
        (tmp_path / f"note{number}.pdf").touch()
    reader = DATASETS["UBFC-rPPG"]()
    lines = unused(reader, tmp_path, reader.recordings(tmp_path))
    assert len(lines) == 1 and "(2000 in all)" in lines[0]
