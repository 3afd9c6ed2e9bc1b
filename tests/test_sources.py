"""An entry is that of its files, whatever they are called: other files of the same names are never taken for them."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from config import schema
from dataset.prepare import origin
from dataset.prepare.section import IncompleteError, prepare
from dataset.store.cache import Cache
from dataset.store.disk import CacheError
from dataset.store.entry import ENTRY
from dataset.store.sources import MARK, sign
from registry import DATASETS
from tests.video_tools import cut_file, moving_face, write_video

READ = []  # recordings whose video was read, beside the header
TIMES = np.arange(12) / 30


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Sections that read videos of any name and keep whole frames, small ones."""
    READ.clear()
    monkeypatch.setattr(origin, "USED", {})  # as in a process of its own
    config = schema()
    config.PREPROCESS_WORKERS = 1
    for section in ("TRAIN", "TEST"):
        data = config[section].DATA
        data.DATASET, data.CACHE_ROOT = "Folder", str(tmp_path / "cache")
        data.CACHED_PATH = str(tmp_path / "cache")
        data.PREPROCESS.RESIZE.W = data.PREPROCESS.RESIZE.H = 16
        data.PREPROCESS.CROP_FACE.DO_CROP_FACE = False
    return config


def ready(config, root, section="TEST", **changes):
    """`prepare` for one section on `root`, as in a run of its own."""
    if section == "TEST":
        origin.USED.clear()
    config[section].DATA.update(DATA_PATH=str(root), **changes)
    return prepare(config[section].DATA, section.lower(), config)


def person(seed, count=12):
    """Frames that differ from person to person and are alike within one."""
    colour = np.random.default_rng(seed).integers(0, 200, (6, 8, 3), dtype=np.uint8)
    still = cv2.resize(colour, (64, 48), interpolation=cv2.INTER_NEAREST)
    return [np.clip(still.astype(int) + index, 0, 255).astype(np.uint8) for index in range(count)]


def video(path, seed, count=12):
    """A short video of one person."""
    return write_video(path, person(seed, count), "ffv1")


def shows(prepared, name, seed):
    """Whether the entry shows that person."""
    return np.abs(prepared.entry(name).faces[0].astype(int) - cv2.resize(person(seed)[0], (16, 16))).mean() < 25


def label(path, values=TIMES):
    """A label beside a video."""
    path.write_text(
        "time,ppg\n" + "".join(f"{time:.4f},{value:.4f}\n" for time, value in zip(TIMES, values, strict=True))
    )


def entries(prepared):
    """Every file of the entries of a section, as bytes."""
    places = [prepared.cache.path(recording.id) for recording in prepared.recordings]
    return {(place.name, file.name): file.read_bytes() for place in places for file in sorted(place.iterdir())}


def identity(prepared, name="me"):
    """The file of frames itself: another number for one that was written anew."""
    return os.stat(prepared.cache.path(name) / "faces.npy").st_ino


# --- Another person's data -------------------------------------------------------------------------------------------


def test_two_people_in_files_of_one_name(config, tmp_path, capsys):
    """a/me.avi, b/me.avi, then a/me.avi overwritten: each run reads its own file, and says so; a rerun reads none."""
    first, second = video(tmp_path / "a" / "me.avi", 1), video(tmp_path / "b" / "me.avi", 2)
    assert shows(ready(config, first), "me", 1)
    other = ready(config, second)
    assert shows(other, "me", 2) and "holds recordings of another folder" in capsys.readouterr().out
    assert shows(ready(config, first), "me", 1)
    video(first, 3)
    capsys.readouterr()
    prepared = ready(config, first)
    assert shows(prepared, "me", 3) and not shows(prepared, "me", 1)
    said = capsys.readouterr().out
    assert "not what the entry was made of, 1 recording: me (me.avi)" in said and "1 made again" in said
    ready(config, first)
    assert "again" not in capsys.readouterr().out
    assert shows(ready(config, second), "me", 2)


def test_train_and_test_with_the_same_names_read_their_own_files(config, tmp_path):
    """Two sites whose folders and files are called alike, one of them a copy of the other but for one person."""
    for site, people in (("siteA", (1, 2)), ("siteB", (1, 3))):
        for name, seed in zip(("p1", "p2"), people, strict=True):
            video(tmp_path / site / "videos" / f"{name}.avi", seed)
    train = ready(config, tmp_path / "siteA" / "videos", "TRAIN")
    config.TEST.DATA.DATA_PATH = str(tmp_path / "siteB" / "videos")
    test = prepare(config.TEST.DATA, "test", config)
    assert shows(train, "p2", 2) and shows(test, "p2", 3) and shows(test, "p1", 1)
    assert train.cache.root != test.cache.root


def test_a_copy_of_the_data_is_known_by_its_content(config, tmp_path, capsys):
    """Data that were moved keep their entries, which are made of the same files."""
    video(tmp_path / "old" / "videos" / "me.avi", 1)
    before = identity(ready(config, tmp_path / "old" / "videos"))
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert identity(ready(config, tmp_path / "new" / "videos")) == before
    assert "another folder" not in capsys.readouterr().out


def test_two_folders_do_not_share_a_cache_in_one_run(config, tmp_path):
    """The one that came first would show what is made anew for the other."""
    for place in ("old", "new"):
        video(tmp_path / place / "videos" / "me.avi", 1)
    train = ready(config, tmp_path / "old" / "videos", "TRAIN")
    config.TEST.DATA.DATA_PATH = str(tmp_path / "new" / "videos")
    assert prepare(config.TEST.DATA, "test", config).cache.root != train.cache.root


def test_a_cache_that_another_process_has_just_begun_for_the_same_data_is_used(config, tmp_path, monkeypatch, capsys):
    """Its list is there and nothing else yet; its owner is written while it is looked at, or before the list."""
    video(tmp_path / "videos" / "me.avi", 1)
    root, looks, original = (tmp_path / "videos").resolve(), [], Cache.owner
    begun = ready(config, root).cache.root
    shutil.rmtree(begun / "me")
    shutil.rmtree(begun / ".status")
    origin.USED.clear()

    def owner(self):
        looks.append(self.root)
        return {} if len(looks) == 1 else original(self)

    monkeypatch.setattr(Cache, "owner", owner)
    assert ready(config, root).cache.root == begun and "another folder" not in capsys.readouterr().out
    order, frozen, claimed = [], Cache.freeze, Cache.claim
    monkeypatch.setattr(Cache, "freeze", lambda *given: (order.append("list"), frozen(*given)))
    monkeypatch.setattr(Cache, "claim", lambda *given: (order.append("owner"), claimed(*given)))
    shutil.rmtree(begun)
    ready(config, root)
    assert order == ["owner", "list"]


def test_rendered_data_never_stand_for_real_ones(config, tmp_path, capsys):
    """Their entries are marked, and a real folder of the same name gets its own, even with the same bytes."""
    video(tmp_path / "x" / "UBFC" / "me.avi", 1)
    (tmp_path / "x" / "UBFC" / MARK).write_text("{}")
    video(tmp_path / "y" / "UBFC" / "me.avi", 1)
    rendered = ready(config, tmp_path / "x" / "UBFC")
    real = ready(config, tmp_path / "y" / "UBFC")
    assert rendered.entry("me").rendered and not real.entry("me").rendered
    assert rendered.cache.root != real.cache.root and "another folder" in capsys.readouterr().out
    assert rendered.rendered and not real.rendered


def test_without_raw_data_the_sentence_says_whose_cache_it_is(config, tmp_path, capsys):
    """One cache of that name: used, named and not compared. Several: refused, and the remedy works."""
    video(tmp_path / "a" / "videos" / "me.avi", 1)
    ready(config, tmp_path / "a" / "videos")
    shutil.rmtree(tmp_path / "a")
    capsys.readouterr()
    ready(config, tmp_path / "else" / "videos")
    said = capsys.readouterr().out
    assert f"made from '{tmp_path / 'a' / 'videos'}'" in said and "cannot be compared" in said
    video(tmp_path / "b" / "videos" / "me.avi", 2)
    ready(config, tmp_path / "b" / "videos")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match="several caches could be meant"):
        ready(config, tmp_path / "else" / "videos")
    assert shows(ready(config, tmp_path / "b" / "videos"), "me", 2)
    assert shows(ready(config, tmp_path / "a" / "videos"), "me", 1)


def test_entries_name_no_absolute_path_and_are_reproducible(config, tmp_path):
    """The same data in two places give the same bytes."""
    made = []
    for place in ("a", "b"):
        video(tmp_path / place / "videos" / "me.avi", 1)
        label(tmp_path / place / "videos" / "me.csv")
        made.append(entries(ready(config, tmp_path / place / "videos", CACHE_ROOT=str(tmp_path / place / "cache"))))
    assert made[0] == made[1] and str(tmp_path).encode() not in b"".join(made[0].values())


# --- Labels ----------------------------------------------------------------------------------------------------------


def test_a_changed_label_rereads_the_signals_alone(config, tmp_path, capsys):
    """The frames stay the same file, all else is as if made anew; also for a label that comes later, or goes."""
    path = video(tmp_path / "videos" / "me.avi", 1)
    bare = ready(config, path.parent)
    frames = identity(bare)
    for values in (TIMES, np.sin(TIMES)):
        label(path.with_suffix(".csv"), values)
        capsys.readouterr()
        prepared = ready(config, path.parent)
        assert "because the labels have changed, 1 recording: " in capsys.readouterr().out
        assert prepared.entry("me").signals["ppg"].values == pytest.approx(values, abs=1e-4)
        assert identity(prepared) == frames
    fresh = ready(config, path.parent, CACHE_ROOT=str(tmp_path / "fresh"))
    assert entries(fresh) == entries(prepared)
    path.with_suffix(".csv").unlink()
    config.TEST.DATA.CACHE_ROOT = str(tmp_path / "cache")
    assert not ready(config, path.parent).entry("me").signals and identity(ready(config, path.parent)) == frames


def ubfc(folder, ppg, times=TIMES):
    """A folder of UBFC-rPPG, whose label also says when the frames were."""
    write_video(folder / "vid.avi", moving_face(12), "raw")
    rows = [ppg, 70 + times, times]
    (folder / "ground_truth.txt").write_text("\n".join(" ".join(f"{v:.7e}" for v in row) for row in rows) + "\n")


def test_a_label_that_times_the_frames_is_read_without_them(config, tmp_path):
    """Other values and other times: both are in the entry, as one made anew has them, and no frame was decoded."""
    folder = tmp_path / "UBFC" / "subject1"
    ubfc(folder, np.sin(TIMES))
    frames = identity(ready(config, folder.parent, DATASET="UBFC-rPPG"), "subject1")
    ubfc(folder, np.cos(TIMES), TIMES * 1.1)
    prepared = ready(config, folder.parent)
    assert identity(prepared, "subject1") == frames and prepared.entry("subject1").times[-1] == pytest.approx(
        1.1 * TIMES[-1]
    )
    assert entries(ready(config, folder.parent, CACHE_ROOT=str(tmp_path / "fresh"))) == entries(prepared)


def test_an_unusable_new_label_costs_the_recording_and_not_the_others(config, tmp_path):
    """It fails with the reason; mended, it is back without a word of --preprocess."""
    for name in ("me", "you"):
        video(tmp_path / "videos" / f"{name}.avi", len(name))
        label(tmp_path / "videos" / f"{name}.csv")
    ready(config, tmp_path / "videos")
    (tmp_path / "videos" / "me.csv").write_text("time,ppg\n0,apple\n")
    with pytest.raises(IncompleteError, match="me: .*me.csv"):
        ready(config, tmp_path / "videos")
    label(tmp_path / "videos" / "me.csv")
    assert len(ready(config, tmp_path / "videos").recordings) == 2


# --- The listing -----------------------------------------------------------------------------------------------------


def test_deleted_renamed_and_replaced_files(config, tmp_path, capsys):
    """What went is named and in no table; a new name stands once; a good file in a bad one's place is read."""
    root = tmp_path / "videos"
    for number, name in enumerate(("one", "two", "three")):
        video(root / f"{name}.avi", number)
    cut_file(root / "three.avi", 0.3)
    with pytest.raises(IncompleteError, match="three"):
        ready(config, root)
    (root / "one.avi").unlink()
    (root / "two.avi").rename(root / "deux.avi")
    video(root / "three.avi", 2)
    capsys.readouterr()
    prepared = ready(config, root)
    assert "Gone from the data set and from all tables, 2 of 3 recordings: one, two" in capsys.readouterr().out
    assert [recording.id for recording in prepared.recordings] == ["deux", "three"] and shows(prepared, "three", 2)
    lines = (prepared.cache.root / "manifest.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["deux", "three"]


def test_a_good_file_replaced_by_a_bad_one_is_not_shown_any_more(config, tmp_path):
    """The old entry would be a silent lie."""
    path = video(tmp_path / "videos" / "me.avi", 1)
    prepared = ready(config, path.parent)
    path.write_bytes(b"no video")
    with pytest.raises(IncompleteError, match="me.avi"):
        ready(config, path.parent)
    assert not prepared.cache.path("me").exists()


# --- Entries of before -----------------------------------------------------------------------------------------------


def forget(prepared):
    """Make entries such as there were before they said what they were made of."""
    (prepared.cache.root / ".root.json").unlink()
    for recording in prepared.recordings:
        path = prepared.cache.path(recording.id) / ENTRY
        content = json.loads(path.read_text())
        del content["sources"]
        path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def test_old_entries_are_checked_and_completed_in_place(config, tmp_path, capsys):
    """The frames stay, the bytes are those of an entry of today; one whose video differs is made again."""
    root = tmp_path / "videos"
    for number, name in enumerate(("one", "two", "three")):
        video(root / f"{name}.avi", number)
        label(root / f"{name}.csv")
    prepared = ready(config, root)
    whole, frames = entries(prepared), identity(prepared, "one")
    forget(prepared)
    assert entries(prepared) != whole
    video(root / "two.avi", 9)
    label(root / "three.csv", np.sin(TIMES))
    kept = identity(prepared, "three")
    capsys.readouterr()
    prepared = ready(config, root)
    said = capsys.readouterr().out
    assert "1 with the same content, 1 with new signals and the frames as they were, 1 made again" in said
    assert identity(prepared, "one") == frames and identity(prepared, "three") == kept and shows(prepared, "two", 9)
    assert entries(prepared)["one", ENTRY] == whole["one", ENTRY]
    assert prepared.entry("three").signals["ppg"].values == pytest.approx(np.sin(TIMES), abs=1e-4)


def test_an_old_cache_that_is_only_read_is_used(config, tmp_path, monkeypatch):
    """Its entries agree with their files; that this cannot be noted stops nothing."""
    path = video(tmp_path / "videos" / "me.avi", 1)
    forget(ready(config, path.parent))

    def refuse(self, path, content):
        raise CacheError("read-only")

    monkeypatch.setattr(Cache, "_replace", refuse)
    assert shows(ready(config, path.parent), "me", 1)


def test_an_old_cache_of_other_people_is_not_taken(config, tmp_path):
    """Same names, lengths and labels: the first face tells."""
    for site, seed in (("a", 1), ("b", 2)):
        video(tmp_path / site / "videos" / "me.avi", seed)
        label(tmp_path / site / "videos" / "me.csv")
    old = ready(config, tmp_path / "a" / "videos")
    forget(old)
    new = ready(config, tmp_path / "b" / "videos")
    assert new.cache.root != old.cache.root and shows(new, "me", 2) and shows(old, "me", 1)


# --- Plug-ins --------------------------------------------------------------------------------------------------------

PLUGIN = """
from pathlib import Path
import numpy as np
from dataset.data_loader.base import BaseLoader, Recording, Signal

class Own(BaseLoader):
    fs = 30.0
    def recordings(self, root):
        return [Recording(path.name, path.name, path) for path in sorted(Path(root).iterdir())]
    def read_video(self, recording):
        return np.load(recording.path / "frames.npy") + {add}
    def read_wave(self, recording):
        return {{"ppg": Signal(np.loadtxt(recording.path / "pulse.txt"))}}
"""


def test_files_and_code_of_a_plugin_count(config, tmp_path, monkeypatch, capsys):
    """All files of the recording's folder count, however it opens them, and its source belongs to the entry."""
    import importlib

    folder = tmp_path / "data" / "anna"
    folder.mkdir(parents=True)
    np.save(folder / "frames.npy", np.zeros((12, 16, 16, 3), np.uint8))
    np.savetxt(folder / "pulse.txt", TIMES)
    source = tmp_path / "own_reader.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(DATASETS._entries, "Own", None)
    assert "PURE" in DATASETS

    def run(add):
        source.write_text(PLUGIN.format(add=add))
        importlib.invalidate_caches()
        module = importlib.import_module("own_reader")
        source.write_text(PLUGIN.format(add=add))
        exec(compile(source.read_text(), str(source), "exec"), vars(module))
        DATASETS._entries["Own"] = ("Own", module.Own)
        capsys.readouterr()
        return ready(config, tmp_path / "data", DATASET="Own").entry("anna"), capsys.readouterr().out

    assert run(1)[0].faces[0].max() == 1 and "again" not in run(1)[1]
    entry, said = run(2)
    assert entry.faces[0].max() == 2 and "anna (the code of the plug-in)" in said
    np.savetxt(folder / "pulse.txt", np.sin(TIMES))
    assert run(2)[0].signals["ppg"].values == pytest.approx(np.sin(TIMES))
    np.save(folder / "frames.npy", np.full((12, 16, 16, 3), 7, np.uint8))
    assert run(2)[0].faces[0].max() == 9


# --- Signs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size", "place"), [("labels", 3 << 20, 1 << 20), ("video", 9 << 20, 0), ("video", 500, 9)]
)
def test_a_changed_byte_of_the_same_size_is_seen(tmp_path, kind, size, place):
    """Labels are signed whole, large videos at their head; size and clock of the file are the same."""
    content = bytearray(size)
    (tmp_path / "a").write_bytes(content)
    before = sign(tmp_path, "a", kind)
    content[place] = 1
    (tmp_path / "a").write_bytes(content)
    os.utime(tmp_path / "a", (0, 0))
    assert sign(tmp_path, "a", kind) != before


def test_a_series_of_pictures_is_one_source(config, tmp_path):
    """One that is added or replaced changes it."""
    folder = tmp_path / "videos" / "me"
    folder.mkdir(parents=True)
    for index, frame in enumerate(person(1, 20)):
        (folder / f"{index:03}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    sources = ready(config, folder.parent, FS=30).entry("me").sources
    assert list(sources["video"]) == ["me/*.png"] and sources["video"]["me/*.png"][2] == 20
    (folder / "020.png").write_bytes((folder / "000.png").read_bytes())
    assert ready(config, folder.parent).entry("me").shape[0] == 21


def test_a_device_or_a_pipe_in_place_of_a_file_has_no_sign(tmp_path):
    """A device has no end and a pipe no content: neither is read."""
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    assert sign(tmp_path, "endless", "label") is None and sign(tmp_path, "pipe", "video") is None
