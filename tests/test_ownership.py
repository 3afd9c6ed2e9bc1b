"""Who owns what on the disk: checksums, links, locks and leftovers, while other processes live or are dead."""

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import main
from config import read, run_folder
from dataset import program
from dataset.doctor.examine import examine
from dataset.files.locks import TakenError, holding
from dataset.files.writing import replacing, write_whole
from dataset.store.cache import WRITING, Cache
from dataset.store.disk import CacheError
from dataset.store.entry import DamagedEntryError
from tests.conftest import ROOT
from tests.doctor_tools import make
from tests.test_cache import SETTINGS, fill, frames, recording


@pytest.fixture
def cache(tmp_path):
    """A cache with two recordings."""
    made = Cache(tmp_path / "faces-v1" / "X", SETTINGS)
    for seed, name in enumerate(("a", "b")):
        fill(made, recording(name), frames(200, seed))
    return made


def process(code: str) -> subprocess.Popen:
    """Another process that runs `code`, prints a line when it is there, and waits to be killed."""
    other = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nimport time\nprint('there', flush=True)\ntime.sleep(60)"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout.readline() == "there\n"
    return other


# --- Entries --------------------------------------------------------------------------------------------------------


def test_changed_frames_are_noticed_when_they_are_opened(cache):
    """A quarter of the bytes changed, wherever it lies; and the other recording's frames."""
    path = cache.path("a") / "faces.npy"
    whole = path.read_bytes()
    for part in range(4):
        size = (len(whole) - 128) // 4
        start = 128 + part * size
        path.write_bytes(
            whole[:start] + bytes(255 - one for one in whole[start : start + size]) + whole[start + size :]
        )
        with pytest.raises(DamagedEntryError, match="frame .* of faces.npy is not the one that was stored"):
            _ = cache.entry("a").faces
    path.write_bytes((cache.path("b") / "faces.npy").read_bytes())
    with pytest.raises(DamagedEntryError, match="frame 0 of faces.npy"):
        _ = cache.entry("a").faces
    path.write_bytes(whole)
    np.testing.assert_array_equal(cache.entry("a").faces, frames(200, 0))


def test_a_single_byte_is_noticed_by_who_verifies(cache):
    """As `--preprocess` does."""
    path = cache.path("a") / "faces.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedEntryError, match="another checksum"):
        cache.verified("a")
    assert cache.verified("b").id == "b" and not cache.damage("b") and "another checksum" in cache.damage("a")


@pytest.mark.parametrize("name", ["faces.npy", "signals.npz", "entry.json"])
def test_a_link_inside_an_entry_is_refused(cache, name):
    """Whatever it points to."""
    path = cache.path("a") / name
    path.rename(cache.root / f"kept-{name}")
    path.symlink_to(cache.root / f"kept-{name}")
    assert "is a link to another place" in cache.status("a").reason
    with pytest.raises(CacheError, match="is a link to another place"):
        cache.open("a")


def test_the_doctor_verifies(tmp_path):
    """One byte in the middle of the frames makes the recording fail."""
    job = make(tmp_path)
    path = job.cache.path("one") / "faces.npy"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    assert "another checksum" in examine(job).error


# --- Leftovers ------------------------------------------------------------------------------------------------------


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(cache):
    """Half-written entries and small files in .writing."""
    scratch = cache.root / WRITING
    code = (
        "import sys; from pathlib import Path; from dataset.store import disk; from dataset.files.writing import "
        f"replacing\nroot = Path({str(scratch)!r})\nkept = disk.own_folder(root, sys.argv[1] if len(sys.argv) > 1 else "
        "NAME)\n(kept[0] / 'faces.npy').write_bytes(b'half')\nopened = replacing(root / (NAME + '.json'), root)\n"
        "opened.__enter__().write_text('half')"
    )
    dead, alive = process(code.replace("NAME", "'dead'")), process(code.replace("NAME", "'alive'"))
    try:
        dead.kill()
        dead.wait()
        cache.clear_abandoned()
        names = sorted(path.name for path in scratch.iterdir())
        assert len(names) == 2 and names[0].startswith(".alive.json.") and names[1] == "alive"
    finally:
        alive.kill()
        alive.wait()
    cache.clear_abandoned()
    assert not any(scratch.iterdir())


def test_tidying_leaves_the_state_that_another_process_writes(tmp_path):
    """The first one's temporary file is there when it comes to rename it; that of a dead one is not."""
    state = tmp_path / "state.pth"
    (tmp_path / ".state.pth.0123456789ab.tmp").write_text("of a killed process")
    with replacing(state) as first:
        first.write_text("first")
        write_whole(state, "second", tidy=True)
        assert first.exists()
    assert state.read_text() == "first" and [path.name for path in tmp_path.iterdir()] == ["state.pth"]


def test_a_full_disk_names_the_path_what_is_safe_and_how_to_go_on(tmp_path, capsys):
    """In main.py and in the programs beside it. The system names no file when a write fails."""

    def write():
        with replacing(tmp_path / "metrics.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert program.answer(write) == program.BAD_INPUT
    said = capsys.readouterr().err
    assert str(tmp_path / "metrics.json") in said and "What was finished before is whole" in said
    assert "LOG.PATH" in said and "same command then continues" in said and not any(tmp_path.iterdir())


# --- The lock of a run ----------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_is_named_and_a_dead_one_holds_nothing(tmp_path):
    """The process and the lock file; after a kill the next one has it, and leaves nothing."""
    path = tmp_path / "run.lock"
    code = f"from pathlib import Path; from dataset.files.locks import holding; one = holding(Path({str(path)!r}), 'x')"
    other = process(f"{code}\none.__enter__()")
    with pytest.raises(TakenError, match=f"The same training is going on already: process {other.pid} on "):
        with holding(path, "The same training"):
            raise AssertionError
    other.kill()
    other.wait()
    started = time.monotonic()
    with holding(path, "The same training"):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert not path.exists() and time.monotonic() - started < 5


def test_the_second_identical_training_says_who_runs_and_stops(tmp_path, capsys):
    """Before any data are read; nothing of the first one's folder changes hands."""
    arguments = ["--config_file", str(ROOT / "configs/demo/physnet.yaml"), f"LOG.PATH={tmp_path}"]
    folder = run_folder(read(arguments[1], arguments[2:]).config)
    code = f"from pathlib import Path; from dataset.files.locks import holding; one = holding(Path({str(folder)!r}) / "
    other = process(f"{code}'run.lock', 'x')\none.__enter__()")
    try:
        assert main.main(arguments) == 1
        said = capsys.readouterr().err
        assert f"The same training is going on already: process {other.pid} on " in said
        assert "Nothing was changed" in said
        assert not (folder / "history.csv").exists()
    finally:
        other.kill()
        other.wait()
