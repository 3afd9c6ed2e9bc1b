"""Preprocessing looks at the free space of the cache's disk: before the first recording is written, and on the way."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from dataset.data_loader.base import BaseLoader, Recording
from dataset.face.crop import FaceCrop
from dataset.prepare import room
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from dataset.store.disk import CacheError, taken
from dataset.synthetic.settings import Settings
from dataset.synthetic.writer import write_video

CROP = FaceCrop(do_crop=False, size=(24, 24))
SETTINGS = Settings(width=64, height=48, codec="h264")
COUNT = 8


class Noise(BaseLoader):
    """Recordings of ten grey frames; those that `broken` names cannot be read."""

    fs, signals, broken = 30.0, (), ()

    def recordings(self, root):
        """By name alone."""
        return [Recording(f"r{number}", f"r{number}", Path(root) / f"r{number}") for number in range(COUNT)]

    def read_video(self, recording):
        """Ten frames, each other than the one before."""
        if recording.id in self.broken:
            raise ValueError("damaged")
        return (np.full((24, 24, 3), 20 * number, np.uint8) for number in range(10))


class Slow(Noise):
    """The last recording takes a minute."""

    def read_video(self, recording):
        """As above, later."""
        time.sleep(60 * (recording.id == f"r{COUNT - 1}"))
        return super().read_video(recording)


@pytest.fixture
def cache(tmp_path):
    """An empty cache."""
    return Cache(tmp_path / "faces-v1" / "X", {})


@pytest.fixture
def left(monkeypatch):
    """`left(bytes)`: the disk has so many left for finished entries, whatever they take."""

    def set_left(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(count, 0, count))

    return set_left


def make(cache, workers=1, loader=None, **options):
    """Preprocess the recordings; the states by id."""
    loader = loader or Noise()
    return preprocess_all(loader, loader.recordings(cache.root), CROP, cache, workers, **options)


def one_entry(cache) -> int:
    """Bytes that an entry takes on this disk."""
    make(Cache(cache.root.parent / "measured", {}))
    return taken(cache.root.parent / "measured" / "r0")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error")
def test_what_cannot_fit_ends_after_a_few_recordings(cache, left, workers):
    """They stay, nothing half-written is left, and with room the same call makes the others."""
    left(2 * one_entry(cache))
    with pytest.raises(CacheError, match=r"will take at least .* MB in .*, whose disk has .* MB left: make"):
        make(cache, workers, Slow())  # however fast other processes are, they cannot end all of them
    assert room.SURE <= len(list(cache.finished())) < COUNT and not any(cache.path_of_unfinished.iterdir())
    left(1 << 40)
    assert all(status.state == "done" for status in make(cache, workers).values())
    assert len(list(cache.finished())) == COUNT


def test_what_is_known_to_be_too_much_is_refused_before_anything_is_written(cache, left):
    """By the entries of an earlier run."""
    left(2 * one_entry(cache))
    with pytest.raises(CacheError):
        make(cache)
    before = sorted(cache.finished())
    with pytest.raises(CacheError, match="5 recordings still to be preprocessed.*CACHED_PATH.*RESIZE"):
        make(cache)
    assert sorted(cache.finished()) == before


def test_what_probably_does_not_fit_is_a_warning_said_once(cache, left, capsys, monkeypatch):
    """After the first recording, when no other is there to compare with."""
    left(2 * one_entry(cache))
    monkeypatch.setattr(room, "SURE", COUNT)
    capsys.readouterr()
    make(cache)
    said = capsys.readouterr().out
    assert said.count("Warning: ") == 1 and "Warning: 7 recordings still to be preprocessed will take about" in said


def test_recordings_that_fail_take_no_room(cache, left):
    """Of eight six fail: two entries are no reason to stop."""
    left(3 * one_entry(cache))
    loader = Noise()
    loader.broken = ("r0", "r1", "r2", "r3", "r5", "r6")
    states = make(cache, loader=loader)
    assert [states[name].state for name in ("r4", "r7")] == ["done", "done"]


def test_what_is_made_again_takes_the_place_of_what_was_there(cache, left, capsys):
    """No further room is needed."""
    make(cache)
    left(0)
    capsys.readouterr()
    make(cache, overwrite=True)
    assert "Warning" not in capsys.readouterr().out


def test_headers_of_videos_warn_before_the_first_is_written(tmp_path, cache, left, capsys):
    """Forty frames of 24 x 24 are 69 kB, and what says nothing is taken for as long as the others."""
    video = tmp_path / "a.mp4"
    write_video(video, (np.full((48, 64, 3), number, np.uint8) for number in range(40)), np.arange(40) / 30, SETTINGS)
    todo = [Recording("a", "a", video), Recording("b", "b", tmp_path / "is no file")]
    left(3 * 24 * 24 * 80 - 1)
    room.Room(cache, todo, 3 * 24 * 24)
    assert "2 recordings still to be preprocessed will take about 0.1 MB" in capsys.readouterr().out
    left(3 * 24 * 24 * 80)
    room.Room(cache, todo, 3 * 24 * 24)
    assert not capsys.readouterr().out


def test_a_header_that_states_too_much_is_not_believed(tmp_path, cache, left, monkeypatch):
    """A file of 800 bytes holds no million frames."""
    (tmp_path / "a.mp4").write_bytes(bytes(800))
    monkeypatch.setattr(room, "frame_count", lambda path: 10**6)
    assert room._frames(Recording("a", "a", tmp_path / "a.mp4")) == 100


def test_looking_costs_the_same_however_many_recordings_there_are(tmp_path, cache, left, monkeypatch, capsys):
    """Of many videos some headers are read; what they say stands for the others."""
    asked = []
    monkeypatch.setattr(room, "_frames", lambda recording: asked.append(recording.id) or 10)
    todo = [Recording(f"r{number}", "a", tmp_path / "a.mp4") for number in range(20 * room.LOOKED_AT + 1)]
    left(10 * 100 * len(todo) - 1)
    room.Room(cache, todo, 100)
    assert len(asked) <= room.LOOKED_AT and asked[1] == "r21"
    assert f"{len(todo)} recordings still to be preprocessed will take about 1.0 MB" in capsys.readouterr().out
    left(10 * 100 * len(todo))
    looking = room.Room(cache, todo, 100)
    looking.ended("r0", done=False)
    looking.ended("r0", done=False)  # told twice
    assert looking._likely() == 10 * 100 * (len(todo) - 1) and not capsys.readouterr().out
