"""What earlier runs and other people left, damaged or hostile: caches, full disks, weights, saved outputs.

One clear message, a non-zero exit, nothing half-written; no code in them is run.
"""

import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import main
from evaluation.outputs import read_outputs
from tests.bad_input_tools import VICTIM, damageable_place, filled_place, refusing_run, with_weights
from tests.conftest import ROOT, few
from tests.damage_bytes import Bomb

whole = pytest.fixture(scope="module")(filled_place)
place = pytest.fixture(damageable_place)
refused = pytest.fixture(refusing_run)


# --- The cache -------------------------------------------------------------------------------------------------------


def test_a_cache_that_is_a_file_is_refused(place, refused):
    """CACHED_PATH names a file: nothing can be written there, whoever runs this."""
    blocked = place.root / "blocked"
    blocked.write_text("mine")
    refused(place.arguments(f"UNSUPERVISED.DATA.CACHED_PATH={blocked}"), str(blocked), "CACHED_PATH")
    assert blocked.read_text() == "mine"


def test_a_results_folder_that_is_a_file_is_refused(place, refused):
    """LOG.PATH names a file: said before anything is read."""
    blocked = place.root / "blocked"
    blocked.write_text("mine")
    shown = refused(place.arguments(f"LOG.PATH={blocked}"), str(blocked), "LOG.PATH", "it is a file")
    assert "\nPreprocessed " not in shown
    assert blocked.read_text() == "mine"


def test_a_full_disk_is_named_and_leaves_nothing_half_written(place, refused, monkeypatch):
    """The disk fills up while faces are written: one message for all recordings; the finished ones stay."""
    from dataset.store import disk

    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_all", full)
    refused(place.arguments(), str(place.cache), "No space left on device", "make room")
    assert place.entries() == {"subject1", "subject3"}
    monkeypatch.undo()
    assert main.main(place.arguments()) == 0


def in_own_mounts(script: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a shell script that mounts; nobody else sees its mounts, and they end with it. Skips where not permitted."""
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    command = ["unshare", "--mount", "sh", "-ec", script, "sh", sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("options", "words"),
    [("size=300k", ("No space left on device", "make room")), ("ro", ("Read-only file system", "CACHED_PATH"))],
)
def test_a_small_or_read_only_disk_is_named(place, options, words):
    """A real file system of 300 kB, and one that cannot be written; workers are processes of their own."""
    disk = place.root / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o {options} tmpfs '{disk}'; code=0; \"$@\" || code=$?; "
        f"find '{disk}' -path '*/.writing/*' -o -name faces.npy | sed 's/^/LEFT /'; exit $code"
    )
    made = in_own_mounts(
        script, *place.arguments(f"UNSUPERVISED.DATA.CACHED_PATH={disk / 'cache'}", "PREPROCESS_WORKERS=2")
    )
    assert made.returncode == 1, made.stderr
    assert "Traceback" not in made.stdout + made.stderr and "LEFT" not in made.stdout
    assert made.stderr.count("Error: ") == 1
    for word in (str(disk), *words):
        assert word in made.stderr


def test_a_disk_that_fills_up_keeps_what_is_finished_and_takes_the_rest_later(place):
    """Room for one recording and a half: that one stays; with more room the same command makes the others only."""
    disk = place.root / "disk"
    disk.mkdir()
    entries = f"find '{disk}' -name faces.npy -printf 'ENTRY %i %P\\n' -o -path '*/.writing/*' -printf 'LEFT %P\\n'"
    script = (
        f"mount -t tmpfs -o size=4m tmpfs '{disk}'; code=0; \"$@\" || code=$?; echo CODE $code; {entries}; "
        f"mount -o remount,size=40m '{disk}'; \"$@\"; {entries}; cat '{disk}'/cache/faces-v1/*/manifest.csv"
    )
    changes = [f"UNSUPERVISED.DATA.CACHED_PATH={disk / 'cache'}", "TOOLBOX_MODE=preprocess"]
    made = in_own_mounts(script, *place.arguments(*changes))
    assert made.returncode == 0, made.stderr
    first, second = made.stdout.split("CODE 1\n")[1].split("Configuration, ")
    found = [set(re.findall(r"^ENTRY (\d+) .*/(\w+)/faces.npy$", part, re.MULTILINE)) for part in (first, second)]
    assert {name for _, name in found[0]} == {"subject1"} and found[0] < found[1] and len(found[1]) == 3
    assert "LEFT" not in made.stdout and "Traceback" not in made.stdout + made.stderr
    assert made.stderr.count("Error: ") == 1 and f"The cache '{disk}" in made.stderr and "make room" in made.stderr
    assert re.findall(r"^(\w+),.*,done,", second, re.MULTILINE) == ["subject1", "subject2", "subject3"]


@pytest.mark.parametrize("name", ["faces.npy", "signals.npz", "entry.json"])
def test_a_cache_file_with_code_in_it_is_not_run(place, capsys, name):
    """In place of an entry's files: made again, or that recording is refused by name; the code never runs."""
    mark = place.root / "ran"
    assert main.main(place.arguments()) == 0
    file = next(place.cache.rglob(f"{VICTIM}/{name}"))
    if name == "entry.json":
        file.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        array = np.array([Bomb(mark)], dtype=object)
        with file.open("wb") as opened:
            np.savez(opened, trace=array) if name.endswith("z") else np.save(opened, array, allow_pickle=True)
    capsys.readouterr()
    code = main.main(place.arguments())
    printed = "".join(capsys.readouterr())
    assert not mark.exists() and "Traceback" not in printed
    if name == "signals.npz":
        assert code == 3 and "1 of 3" in printed and str(file.parent) in printed and "--preprocess" in printed
    else:
        assert code == 0


DAMAGE = {
    "a cut": lambda content: content[:-100],
    "a flipped bit": lambda content: bytes([*content[:1500], content[1500] ^ 4, *content[1501:]]),
    "nothing": lambda content: b"",
}


@pytest.mark.parametrize("damage", few(DAMAGE, "a flipped bit"))
@pytest.mark.parametrize("flag", ["--preprocess", "--overwrite"])
def test_damaged_signals_of_an_entry_are_named_and_made_again_when_asked(place, capsys, damage, flag):
    """Unasked, the recording is missing, by name; with --preprocess or --overwrite its entry is made, and said."""
    assert main.main(place.arguments()) == 0
    file = next(place.cache.rglob(f"{VICTIM}/signals.npz"))
    whole = file.read_bytes()
    file.write_bytes(DAMAGE[damage](whole))
    if damage != "nothing":  # what sizes tell is mended without asking
        capsys.readouterr()
        assert main.main(place.arguments()) == 3
        printed = "".join(capsys.readouterr())
        assert "1 of 3" in printed and f"'{file.parent}' is damaged" in printed and "--preprocess" in printed
    assert main.main(place.arguments(flag)) == 0
    assert f"'{file.parent}' is damaged" in capsys.readouterr().out
    assert file.read_bytes() == whole


def test_a_chunk_of_rppg_toolbox_with_code_in_it_is_not_run(place, refused):
    """An object array as `<id>_input0.npy`, named by a file list."""
    mark, chunks = place.root / "ran", place.root / "chunks"
    chunks.mkdir()
    np.save(chunks / "a_input0.npy", np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    np.save(chunks / "a_label0.npy", np.zeros(180))
    (place.root / "list.csv").write_text(f",input_files\n0,{chunks / 'a_input0.npy'}\n")
    lists = (f"UNSUPERVISED.DATA.FILE_LIST_PATH={place.root / 'list.csv'}", f"UNSUPERVISED.DATA.CACHED_PATH={chunks}")
    refused(place.arguments(*lists), "a_input0.npy", code=3)
    assert not mark.exists()


# --- Weights and outputs ---------------------------------------------------------------------------------------------


def test_weights_that_do_not_exist_are_named(place, refused):
    """Before hours of preprocessing."""
    shown = refused(with_weights(place, place.root / "none.pth"), "none.pth", "INFERENCE.MODEL_PATH")
    assert "\nPreprocessed " not in shown and place.entries() == {"subject1", "subject3"}


def test_weights_with_code_in_them_are_not_opened(place, refused):
    """A whole pickled object instead of a state dict."""
    import torch

    mark, weights = place.root / "ran", place.root / "evil.pth"
    torch.save({"state_dict": Bomb(mark)}, weights)
    refused(with_weights(place, weights), "evil.pth", "code", "state_dict()")
    assert not mark.exists()


def test_weights_of_another_model_are_recognised(place, refused):
    """The message says whose weights they are and what to set."""
    import torch

    from neural_methods.model.deepphys import DeepPhys

    weights = place.root / "PURE_DeepPhys.pth"
    torch.save(DeepPhys().state_dict(), weights)
    refused(with_weights(place, weights), "PURE_DeepPhys.pth", "DeepPhys", "MODEL.NAME")


@pytest.mark.parametrize("content", [b"", b"no weights", b"hello world", b"a text", b"PK\x03\x04 half a file"])
def test_damaged_weights_are_named(place, refused, content):
    """Empty, something else, cut off."""
    weights = place.root / "half.pth"
    weights.write_bytes(content)
    refused(with_weights(place, weights), "half.pth' is damaged", "again")


def test_an_output_pickle_with_code_in_it_is_not_run(tmp_path):
    """The reader of rPPG-Toolbox's outputs names the file and what is in it."""
    mark, file = tmp_path / "ran", tmp_path / "x_outputs.pickle"
    file.write_bytes(pickle.dumps({"predictions": Bomb(mark), "labels": {}, "label_type": "Raw", "fs": 30}))
    with pytest.raises(ValueError, match="x_outputs.pickle.*mkdir.*could run code"):
        read_outputs(file)
    assert not mark.exists()
