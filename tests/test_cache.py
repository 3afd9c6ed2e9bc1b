"""The cache: entries appear whole or not at all, come back as written, and nothing foreign is ever taken for one."""

import errno
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dataset.data_loader.base import Recording, Signal
from dataset.store import cache as module
from dataset.store import disk, streams
from dataset.store.cache import Cache, Status, cache_folder, safe_name, settings_hash
from dataset.store.disk import CacheError
from dataset.store.streams import frame_rate

SETTINGS = {"RESIZE": {"W": 8, "H": 6}, "CROP": True, "COEF": 1.5, "TYPES": ("a", "b")}


def recording(name: str = "subject1", **info) -> Recording:
    """A recording that exists only by name."""
    return Recording(id=name, subject=name[:8], path=Path("/raw") / name, info=info)


def frames(count: int = 20, seed: int = 0) -> np.ndarray:
    """Random faces (T, 6, 8, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)


def fill(cache: Cache, one: Recording, faces: np.ndarray, fs: float | None = None) -> None:
    """Write an entry with a box that changes halfway, a signal and times at 25 Hz (none when `fs` is given)."""
    with cache.write(one) as entry:
        for index, face in enumerate(faces):
            box = (1, 2, 30, 40) if index < len(faces) // 2 else (3, 4, 30, 40)
            entry.append(face, box, None if fs else index / 25)
        entry.signals = {
            "ppg": Signal(np.sin(np.arange(9.0)), fs=5.0),
            "hr": Signal(np.arange(3), times=np.arange(3.0)),
        }
        entry.flags, entry.fs = {"dropped_frames": np.int64(2)}, fs


@pytest.fixture
def cache(tmp_path):
    """An empty cache."""
    return Cache(tmp_path / "faces-v1" / "X", SETTINGS)


@pytest.mark.parametrize("count", [1, 2, 20, 500])
def test_an_entry_comes_back_as_written(cache, monkeypatch, count):
    """Faces, times, boxes, mean colours, signals, statistics and flags, over any number of blocks."""
    monkeypatch.setattr(streams, "BLOCK", 1000)
    faces = frames(count)
    fill(cache, recording(age=33, path=Path("/secret")), faces, fs=30.0 if count == 1 else None)
    entry = cache.entry("subject1")
    np.testing.assert_array_equal(entry.faces, faces)
    assert isinstance(entry.faces, np.memmap) and entry.shape == faces.shape
    np.testing.assert_allclose(entry.trace, faces.reshape(count, -1, 3).mean(axis=1), rtol=1e-12)
    assert entry.boxes.shape == (count, 4) and tuple(entry.boxes[-1]) == (3, 4, 30, 40)
    if count > 1:
        np.testing.assert_array_equal(entry.times, np.arange(count) / 25)
        assert entry.fs == pytest.approx(25.0)
        assert tuple(entry.boxes[0]) == (1, 2, 30, 40)
    else:
        assert entry.times is None and entry.fs == 30.0
    assert entry.stats.mean == pytest.approx(faces.mean()) and entry.stats.std == pytest.approx(faces.std())
    np.testing.assert_array_equal(entry.signals["ppg"].values, np.sin(np.arange(9.0)))
    assert entry.signals["ppg"].fs == 5.0 and entry.signals["hr"].fs is None
    np.testing.assert_array_equal(entry.signals["hr"].times, np.arange(3.0))
    assert entry.flags == {"dropped_frames": 2} and entry.info == {"age": 33}
    assert cache.verify("subject1") and cache.status("subject1") == Status("done")


def test_the_faces_take_their_pixels_and_a_fixed_header(cache):
    """One byte per pixel and channel: 15,552 bytes a frame at 72 x 72."""
    faces = np.zeros((10, 72, 72, 3), np.uint8)
    fill(cache, recording(), faces)
    assert (cache.path("subject1") / "faces.npy").stat().st_size == 10 * 15_552 + streams.HEADER


def test_equal_input_gives_equal_bytes_that_say_nothing_of_the_machine(tmp_path):
    """Two caches in different places hold the same files, and none of them names its place."""
    caches = [Cache(tmp_path / name / "X", SETTINGS) for name in ("first", "second")]
    for one in caches:
        fill(one, recording(), frames())
    files = [{p.name: p.read_bytes() for p in one.path("subject1").iterdir()} for one in caches]
    assert files[0] == files[1] and set(files[0]) == {"faces.npy", "signals.npz", "entry.json"}
    assert not any(str(tmp_path).encode() in content for content in files[0].values())


def test_an_entry_travels_without_its_pixels(cache):
    """A pickled entry is small and opens its faces again where it arrives."""
    fill(cache, recording(), frames(300))
    entry = cache.entry("subject1")
    _ = entry.faces
    sent = pickle.dumps(entry)
    assert len(sent) < 20_000
    np.testing.assert_array_equal(pickle.loads(sent).faces, frames(300))


@pytest.mark.parametrize("error", [RuntimeError("decoder"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_stops(cache, error):
    """An exception inside the block, also Ctrl-C, leaves no entry and no leftovers, and keeps an older entry."""
    fill(cache, recording(), frames(5))
    for name in ("subject1", "subject2"):
        with pytest.raises(type(error)), cache.write(recording(name)) as entry:
            entry.append(frames()[0])
            raise error
    assert list((cache.root / ".writing").iterdir()) == []
    assert len(cache.entry("subject1").faces) == 5
    assert cache.status("subject2").state == "missing"


def test_an_entry_is_replaced_as_a_whole(cache):
    """Writing again exchanges the folder; a killed run's leftovers are taken over."""
    fill(cache, recording(), frames(5))
    leftover = cache.root / ".writing" / "subject1"
    leftover.mkdir()
    (leftover / "faces.npy").write_bytes(b"half")
    fill(cache, recording(), frames(7))
    assert len(cache.entry("subject1").faces) == 7 and list((cache.root / ".writing").iterdir()) == []


def test_two_writers_do_not_share_a_folder(cache):
    """While one process writes a recording, another one writes elsewhere; the last to end wins."""
    with cache.write(recording()) as first, cache.write(recording()) as second:
        for face in frames(4):
            first.append(face, time=0.0)
            second.append(face, time=0.0)
        first.fs = second.fs = 30.0
        assert len(list((cache.root / ".writing").iterdir())) == 2
    assert len(cache.entry("subject1").faces) == 4


@pytest.mark.parametrize(
    "name",
    [
        "../../evil",
        "/etc/evil",
        "..",
        ".",
        "",
        ".hidden",
        "a/b",
        "a\\b",
        "a\0b",
        "recordings.json",
        "x" * 400,
        "CON|?*",
    ],
)
def test_no_recording_id_leads_out_of_the_cache(cache, name):
    """Hostile ids become harmless names that keep ids apart."""
    recording = Recording(id=name, subject="s", path=Path())  # which keeps what can be written of its name
    fill(cache, recording, frames(2))
    assert cache.path(name).parent == cache.root and cache.path(recording.id).is_dir()
    assert len(cache.entry(recording.id).faces) == 2
    assert safe_name(name) != safe_name(name + "?")
    outside = [p for p in cache.root.parent.parent.rglob("*.npy") if cache.root not in p.parents]
    assert not outside


def test_writers_of_one_entry_may_end_at_the_same_moment(cache):
    """Whoever ends last has its entry there; nobody is refused, and nothing of the others is left."""
    one, start = recording(), threading.Barrier(4)

    def write() -> None:
        for _ in range(10):
            start.wait(timeout=10)
            fill(cache, one, frames())

    with ThreadPoolExecutor(4) as pool:
        for task in [pool.submit(write) for _ in range(4)]:
            task.result()
    assert np.array_equal(cache.entry(one.id).faces, frames())
    assert not list((cache.root / module.WRITING).iterdir())


@pytest.mark.parametrize("name", ["subject1", "01-02", "Zoë am Fenster", "s1_T1", "F001T1", "心拍 3"])
def test_ordinary_ids_stay_as_they_are(name):
    """Letters of any script, digits, blanks and dashes need no change."""
    assert safe_name(name) == name


def test_other_settings_and_formats_are_refused(cache):
    """Never a silent reuse: the error names what differs."""
    fill(cache, recording(), frames())
    with pytest.raises(CacheError, match="other settings.*COEF: 1.5 there, 2.0 here"):
        Cache(cache.root, {**SETTINGS, "COEF": 2.0}).entry("subject1")
    path = cache.path("subject1") / "entry.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "id": "subject2"}))
    with pytest.raises(CacheError, match="another id"):
        cache.entry("subject1")
    path.write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(CacheError, match="format 99"):
        cache.entry("subject1")


def rewrite(path: Path, **changes) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


PICKLE = np.array([{"a": 1}], dtype=object)
DAMAGE = {
    "cut": lambda folder: (folder / "faces.npy").write_bytes((folder / "faces.npy").read_bytes()[:-10]),
    "longer": lambda folder: (folder / "faces.npy").open("ab").write(b"0"),
    "gone": lambda folder: (folder / "faces.npy").unlink(),
    "dtype": lambda folder: np.save(folder / "faces.npy", frames().astype(np.float32)),
    "pickle": lambda folder: np.save(folder / "faces.npy", PICKLE, allow_pickle=True),
    "json": lambda folder: (folder / "entry.json").write_text("{"),
    "list": lambda folder: (folder / "entry.json").write_text("[]"),
    "shape": lambda folder: rewrite(folder / "entry.json", shape=[10**12, 6, 8, 3]),
    "stats": lambda folder: rewrite(folder / "entry.json", stats={"mean": 1}),
    "signals": lambda folder: np.savez(folder / "signals.npz", trace=PICKLE),
    "trace": lambda folder: np.savez(folder / "signals.npz", trace=np.zeros((2, 3))),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_entries_are_refused_and_made_again(cache, damage):
    """Whatever happens to the files, reading is a CacheError; what sizes tell makes the state `missing`, too."""
    fill(cache, recording(), frames())
    DAMAGE[damage](cache.path("subject1"))
    with pytest.raises(CacheError, match="damaged"):
        cache.entry("subject1")
    if damage not in ("stats", "signals", "trace"):
        assert cache.status("subject1").state == "missing" and "damaged" in cache.status("subject1").reason


def test_a_flipped_byte_is_found_by_the_checksum(cache):
    """`verify` reads the files whole."""
    fill(cache, recording(), frames())
    faces = cache.path("subject1") / "faces.npy"
    content = bytearray(faces.read_bytes())
    content[-5] ^= 1
    faces.write_bytes(content)
    assert not cache.verify("subject1")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("place", ["faces", "signals", "rename"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(cache, monkeypatch, code, place):
    """Whenever writing fails, the error says so, and no half entry is left."""

    def fail(*_):
        raise OSError(code, "No space left on device" if code == errno.ENOSPC else "Input/output error")

    if place == "rename":
        monkeypatch.setattr(disk.os, "replace", fail)
    else:
        monkeypatch.setattr(disk, {"faces": "write_all", "signals": "write"}[place], fail)
    with pytest.raises(CacheError, match="disk is full" if code == errno.ENOSPC else "Set CACHED_PATH"):
        fill(cache, recording(), frames())
    assert not cache.path("subject1").exists() and list((cache.root / ".writing").iterdir()) == []


def test_an_unwritable_cache_is_a_clear_error(tmp_path):
    """A cache below a file cannot be made."""
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "X", SETTINGS)
    with pytest.raises(CacheError, match="cannot be written.*CACHED_PATH"):
        fill(cache, recording(), frames())
    with pytest.raises(CacheError, match="cannot be written"):
        cache.freeze([recording()])


def test_the_listing_follows_the_data_aloud(cache, capsys):
    """The listing follows the data: what has gone leaves it by name, and what is new joins it with a message."""
    cache.freeze([recording("s2"), recording("s10")])
    assert not capsys.readouterr().out
    cache.freeze([recording("s10")])
    assert [row["id"] for row in cache.listing()] == ["s10"]
    assert "Gone from the data set and from all tables, 1 of 2 recordings: s2." in capsys.readouterr().out
    cache.freeze([recording("s1"), recording("s10"), recording("s11")])
    assert [row["id"] for row in cache.listing()] == ["s1", "s10", "s11"]
    assert "New in the data set, which had 1: 2 recordings;" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"format": 2, "recordings": []}', '{"format": 1, "recordings": [3]}']
)
def test_a_foreign_listing_is_refused(cache, content):
    """Listings of another format are errors that say which file to delete."""
    cache.root.mkdir(parents=True)
    (cache.root / "recordings.json").write_text(content)
    with pytest.raises(CacheError, match="recordings.json.*Delete it"):
        cache.listing()


def test_the_manifest_accounts_for_every_recording(cache):
    """Done, failed, skipped and missing, each with its reason, in listing order."""
    cache.freeze([recording(name) for name in ("a", "b", "c", "d")])
    fill(cache, recording("a"), frames(6))
    cache.set_status("b", Status("failed", "truncated, really"))
    cache.set_status("c", Status("skipped", "not wanted"))
    lines = cache.write_manifest().read_text().splitlines()
    assert lines[1].startswith("a,a,done,,6,25.0") and lines[2].startswith('b,b,failed,"truncated, really"')
    assert lines[3].startswith("c,c,skipped,not wanted") and lines[4].startswith("d,d,missing")
    assert {name: status.state for name, status in cache.statuses().items()} == dict(
        a="done", b="failed", c="skipped", d="missing"
    )


def test_an_entry_outlives_a_lost_status_file(cache):
    """A kill between rename and status file costs nothing: the entry itself is the proof."""
    fill(cache, recording(), frames())
    (cache.root / ".status" / "subject1.json").unlink()
    assert cache.status("subject1").state == "done"


def test_folders_tell_settings_apart(tmp_path):
    """Another setting is another folder; the order of keys and tuple or list are not."""
    turned = dict(reversed(list(SETTINGS.items()))) | {"TYPES": ["a", "b"]}
    assert settings_hash(SETTINGS) == settings_hash(turned) != settings_hash({**SETTINGS, "COEF": 1.6})
    folder = cache_folder(tmp_path, "UBFC-rPPG", "/data/UBFC/DATASET_2", SETTINGS)
    assert folder.parent == tmp_path / "faces-v1" and folder.name.startswith("UBFC-rPPG_DATASET_2_")


def test_the_frame_rate_comes_from_ordinary_intervals():
    """Rounded times, gaps and doubles do not bend it."""
    times = np.round(np.arange(300) / 30, 3)
    assert frame_rate(times) == pytest.approx(30.0, abs=0.01)
    assert frame_rate(np.delete(times, [40, 41, 42, 100])) == pytest.approx(30.0, abs=0.02)
    assert frame_rate(np.zeros(4)) is None and frame_rate(np.array([1.0])) is None


def test_unusable_input_to_a_writer_is_refused(cache):
    """No frames, frames of changing size, no frame rate, and signals that are no numbers."""
    with pytest.raises(ValueError, match="no frame"), cache.write(recording()):
        pass
    with pytest.raises(ValueError, match="does not fit"), cache.write(recording()) as entry:
        entry.append(frames()[0])
        entry.append(np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ValueError, match="frames per second"), cache.write(recording()) as entry:
        entry.append(frames()[0])
    with pytest.raises(ValueError, match="instead of numbers"), cache.write(recording()) as entry:
        entry.append(frames()[0])
        entry.fs, entry.signals = 30.0, {"ppg": Signal(np.array(["a"]))}


def test_the_mean_colour_of_whole_frames_can_be_added_later(cache):
    """It joins a finished entry without changing its other files."""
    fill(cache, recording(), frames(5))
    before = (cache.path("subject1") / "entry.json").read_bytes()
    assert cache.entry("subject1").frame_trace is None
    cache.write_frame_trace("subject1", np.arange(15.0).reshape(5, 3))
    np.testing.assert_array_equal(cache.entry("subject1").frame_trace, np.arange(15.0).reshape(5, 3))
    assert (cache.path("subject1") / "entry.json").read_bytes() == before
