"""Bad input through the command line: one clear message, a non-zero exit, nothing half-written, nobody missing.

Three people are rendered once; every test damages a copy of them, made of hard links and a filled cache, so that only
what a test damages is read again.
"""

import csv
import itertools
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import main
from config import load_config, run_folder
from dataset.synthetic.layouts import write_layout
from evaluation.outputs import read_outputs
from tests.video_tools import write_video

ROOT = Path(__file__).resolve().parent.parent
CLASSICAL = str(ROOT / "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml")
PHYSNET = str(ROOT / "configs/infer_configs/PURE_UBFC-rPPG_PHYSNET_BASIC.yaml")
TRAINING = str(ROOT / "configs/train_configs/PURE_PURE_UBFC-rPPG_PHYSNET_BASIC.yaml")
SMALL = {"PRESET": "easy", "SUBJECTS": 3, "SECONDS": 6.0, "WIDTH": 320, "HEIGHT": 240, "CODEC": "mjpg"}
QUICK = ["UNSUPERVISED.METHOD=['POS']", "UNSUPERVISED.METRICS=['MAE']", "PREPROCESS_WORKERS=1"]
VICTIM = "subject2"


class Place:
    """A data set, a cache and a folder for results that belong to one test, and the settings that name them."""

    def __init__(self, root: Path):
        """`root` holds all three."""
        self.root, self.data, self.cache, self.runs = root, root / "UBFC-rPPG", root / "cache", root / "runs"

    @property
    def victim(self) -> Path:
        """Folder of the recording that a test damages."""
        return self.data / VICTIM

    def arguments(self, *more: str, file: str = CLASSICAL, section: str = "UNSUPERVISED") -> list[str]:
        """The command line of a run on this place."""
        node = f"{section}.DATA"
        own = [f"{node}.DATA_PATH={self.data}", f"{node}.CACHED_PATH={self.cache}", f"LOG.PATH={self.runs}"]
        return ["--config_file", file, *own, *QUICK, *more]

    def entries(self) -> set[str]:
        """Recordings in the cache; the folder of unfinished ones must be empty."""
        assert not [file for file in self.cache.rglob(".writing/*")], "something half-written is left"
        return {file.parent.name for file in self.cache.rglob("entry.json")}

    def replace(self, name: str, content: bytes) -> None:
        """Another content for a file of the victim; the original, of which this is a hard link, stays."""
        (self.victim / name).unlink()
        (self.victim / name).write_bytes(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Place:
    """The undamaged place, its cache filled."""
    place = Place(tmp_path_factory.mktemp("whole"))
    write_layout("UBFC-rPPG", place.data, SMALL)
    assert main.main(place.arguments("TOOLBOX_MODE=preprocess")) == 0
    assert place.entries() == {"subject1", "subject2", "subject3"}
    return place


@pytest.fixture
def place(whole, tmp_path) -> Place:
    """A copy to damage, in whose cache the victim is missing."""
    shutil.copytree(whole.data, tmp_path / "UBFC-rPPG", copy_function=os.link)
    shutil.copytree(whole.cache, tmp_path / "cache")
    copied = Place(tmp_path)
    for path in [*copied.cache.rglob(VICTIM), *copied.cache.rglob(f"{VICTIM}.json")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copied


@pytest.fixture
def refused(capsys):
    """Run a command line that must end with one message; returns all that was printed."""

    def run(arguments: list[str], *words: str, code: int = 1) -> str:
        capsys.readouterr()
        found = main.main(arguments)
        printed = capsys.readouterr()
        assert found == code, printed.err or printed.out[-2000:]
        assert "Traceback" not in printed.out + printed.err
        starts = [match.start() for match in re.finditer(r"^Error: ", printed.err, re.MULTILINE)]
        assert len(starts) == 1, "one message"
        message = printed.err[starts[0] :]
        for word in words:
            assert word in message
        return printed.out + printed.err

    return run


class Bomb:
    """Unpickling this leaves a file behind: the proof that code ran."""

    def __init__(self, mark: Path):
        """`mark` is the file."""
        self.mark = mark

    def __reduce__(self):
        """What a hostile pickle does."""
        return os.mkdir, (str(self.mark),)


# --- Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UNSUPERVISED.DATA.DATASET=UBFC-rPG", ("UNSUPERVISED.DATA.DATASET", "UBFC-rPG", "Did you mean 'UBFC-rPPG'")),
        ("UNSUPERVISED.DATA.PREPROCES.RESIZE.W=72", ("PREPROCES", "Did you mean 'PREPROCESS'")),
        ("UNSUPERVISED.DATA.BEGIN=1.5", ("UNSUPERVISED.DATA.BEGIN", "1.5", "0")),
        ("UNSUPERVISED.DATA.PREPROCESS.RESIZE.W=-3", ("RESIZE.W", "-3")),
        ("UNSUPERVISED.DATA.FS=fast", ("UNSUPERVISED.DATA.FS", "fast")),
        ("UNSUPERVISED.METHOD=['PSO']", ("PSO", "POS")),
        ("UNSUPERVISED.METRICS=['MEA']", ("MEA", "MAE")),
        ("INFERENCE.PRESET=tolbox", ("tolbox", "toolbox")),
        ("INFERENCE.HR_BAND=[3.3,0.6]", ("INFERENCE.HR_BAND", "rising")),
        ("INFERENCE.EVALUATION_WINDOW.WINDOW_SIZE=-1", ("WINDOW_SIZE", "-1")),
        ("UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.BACKEND=HAAR", ("BACKEND", "HAAR", "HC")),
        ("PREPROCESS_WORKERS=0", ("PREPROCESS_WORKERS", "0")),
        ("TOOLBOX_MODE=unsupervised", ("TOOLBOX_MODE", "unsupervised_method")),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_read(place, refused, change, words):
    """The message has the key, the value and what is allowed; no entry is made."""
    refused(place.arguments(change), *words)
    assert place.entries() == {"subject1", "subject3"}


def test_a_mistyped_key_in_a_file_is_named_with_its_file(tmp_path, refused):
    """The message says which of several files."""
    file = tmp_path / "mine.yaml"
    file.write_text(f"BASE: ['{CLASSICAL}']\nUNSUPERVISED:\n  DATA:\n    DATAPATH: x\n")
    refused(["--config_file", str(file)], "mine.yaml", "UNSUPERVISED.DATA.DATAPATH", "Did you mean 'DATA_PATH'")


@pytest.mark.parametrize("text", ["A: [1, 2", "just words", "\x00", "A:\n\t- tab"])
def test_a_file_that_is_no_yaml_is_named(tmp_path, refused, text):
    """Also an unfinished list, a tab, or bytes of something else."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    refused(["--config_file", str(file)], "mine.yaml")


def test_a_configuration_that_does_not_exist_is_named(tmp_path, refused):
    """No traceback for the commonest mistake of all."""
    refused(["--config_file", str(tmp_path / "none.yaml")], "none.yaml")


# --- Data roots ------------------------------------------------------------------------------------------------------


def test_a_missing_data_root_on_the_command_line_is_named(place, refused):
    """A path that was typed and does not exist is an error at once."""
    refused(place.arguments(f"UNSUPERVISED.DATA.DATA_PATH={place.root / 'none'}"), "DATA_PATH", "none")


def test_a_missing_data_root_in_a_file_says_how_to_set_it(place, refused):
    """Key, path, cache, and both ways to mend it."""
    file = place.root / "mine.yaml"
    file.write_text(f"BASE: ['{CLASSICAL}']\nUNSUPERVISED:\n  DATA:\n    DATA_PATH: {place.root / 'none'}\n")
    arguments = ["--config_file", str(file), f"UNSUPERVISED.DATA.CACHED_PATH={place.root / 'new'}", *QUICK]
    refused(arguments, "UNSUPERVISED.DATA.DATA_PATH", str(place.root / "none"), "RPPG_DATA")
    assert not (place.root / "new").exists()


@pytest.mark.parametrize("other", [[], ["holiday.txt", "subject1.avi"]])
def test_a_folder_without_recordings_says_what_belongs_there(place, refused, other):
    """Empty, or full of something else."""
    empty = place.root / "else"
    empty.mkdir()
    for name in other:
        (empty / name).write_text("x")
    refused(place.arguments(f"UNSUPERVISED.DATA.DATA_PATH={empty}"), str(empty), "subject1/vid.avi")


def test_a_video_that_does_not_exist_is_named(tmp_path, refused):
    """--video with a mistyped name."""
    refused(["--video", str(tmp_path / "me.mp4")], "--video", "me.mp4")


# --- One broken recording --------------------------------------------------------------------------------------------


def label(place: Place, change) -> None:
    """Rewrite the victim's label file after `change` of its rows (3, N): wave, rate, time."""
    rows = np.loadtxt(place.victim / "ground_truth.txt")
    text = "\n".join(" ".join(map(repr, row.tolist())) for row in change(rows))
    place.replace("ground_truth.txt", text.encode())


def with_nan(rows: np.ndarray) -> np.ndarray:
    """Three samples of the wave are lost."""
    rows[0, 40:43] = np.nan
    return rows


def video(place: Place, share: float) -> bytes:
    """The first `share` of the victim's video file."""
    content = (place.victim / "vid.avi").read_bytes()
    return content[: int(share * len(content))]


def grey(place: Place) -> None:
    """A video without a face."""
    noise = np.random.default_rng(0).integers(100, 110, (240, 320, 3), dtype=np.uint8)
    (place.victim / "vid.avi").unlink()
    write_video(place.victim / "vid.avi", [np.roll(noise, shift, 1) for shift in range(160)])


def first_seconds(place: Place, seconds: float) -> None:
    """Video and label of `seconds` only: too short for a rate."""
    from dataset.files.video import iter_frames

    every = iter_frames(place.victim / "vid.avi")
    frames = [frame.rgb() for frame in itertools.islice(every, int(30 * seconds))]
    (place.victim / "vid.avi").unlink()
    write_video(place.victim / "vid.avi", frames)
    label(place, lambda rows: rows[:, : len(frames)])


BROKEN = {
    "a video that does not decode": (lambda p: p.replace("vid.avi", b"no video" * 999), ("vid.avi", "cannot be")),
    "an empty video": (lambda p: p.replace("vid.avi", b""), ("vid.avi", "is empty")),
    "a truncated video": (lambda p: p.replace("vid.avi", video(p, 0.6)), ("vid.avi", "ends early")),
    "a header alone": (lambda p: p.replace("vid.avi", video(p, 0.002)), ("vid.avi",)),
    "no video": (lambda p: (p.victim / "vid.avi").unlink(), ("vid.avi", "does not exist")),
    "no face anywhere": (grey, ("No face", "NO_FACE")),
    "no label": (lambda p: (p.victim / "ground_truth.txt").unlink(), ("ground_truth.txt", "does not exist")),
    "an empty label": (lambda p: p.replace("ground_truth.txt", b""), ("ground_truth.txt", "is empty")),
    "words for a label": (lambda p: p.replace("ground_truth.txt", b"see mail"), ("ground_truth.txt", "numbers")),
    "bytes for a label": (lambda p: p.replace("ground_truth.txt", bytes(range(256))), ("ground_truth.txt",)),
    "too short for a rate": (lambda p: first_seconds(p, 2.0), ("2.0 s are too short", "5 s needed")),
    "NaN in a label": (lambda p: label(p, with_nan), ("NaN", "3")),
    "a label half as long": (lambda p: label(p, lambda rows: rows[:, :90]), ("50 %",)),
    "lines of different lengths": (lambda p: label(p, lambda r: [r[0], r[1][:50], r[2]]), ("ground_truth.txt", "50")),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_one_broken_recording_stops_nobody_and_is_never_missing_from_a_table(place, refused, capsys, damage):
    """Exit 3 before any method runs, with its name and the reason; ALLOW_INCOMPLETE runs and says INCOMPLETE 2/3."""
    destroy, words = BROKEN[damage]
    destroy(place)
    shown = refused(place.arguments(), VICTIM, *words, "1 of 3", "ALLOW_INCOMPLETE", code=3)
    assert "Unsupervised Method" not in shown and not METRIC.search(shown)
    assert {"subject1", "subject3"} <= place.entries()
    incomplete(place, capsys, words)


def incomplete(place: Place, capsys, words: tuple[str, ...]) -> None:
    """With ALLOW_INCOMPLETE every table names the victim and the reason."""
    arguments = place.arguments("ALLOW_INCOMPLETE=True")
    assert main.main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.index("INCOMPLETE 2/3") < METRIC.search(shown).start()
    folder = run_folder(load_config(CLASSICAL, arguments[2:]))
    report = (folder / "report.md").read_text()
    assert "INCOMPLETE 2/3" in report and VICTIM in report
    with (folder / "per_recording.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["recording"] == VICTIM]
    assert rows and all(row["status"] == "failed" for row in rows)
    for word in words:
        assert any(word in " ".join(row.values()) for row in rows)


def test_a_label_longer_than_its_video_is_said(place, capsys):
    """Twice as long: the part beside the video counts; the report says that the lengths differ."""

    def longer(rows: np.ndarray) -> np.ndarray:
        later = rows.copy()
        later[2] += rows[2, -1] + 1 / 30
        return np.hstack([rows, later])

    label(place, longer)
    arguments = place.arguments()
    assert main.main(arguments) == 0
    report = (run_folder(load_config(CLASSICAL, arguments[2:])) / "report.md").read_text()
    assert f"{VICTIM}: " in report and "12.0 s of signal for 6.0 s of video" in report


def test_preprocessing_alone_finishes_the_others_and_exits_with_3(place, capsys):
    """Mode preprocess, two recordings broken in two ways: both reasons, the third is done."""
    place.replace("vid.avi", b"no video")
    (place.data / "subject1" / "ground_truth.txt").unlink()
    shutil.rmtree(place.cache)
    assert main.main(place.arguments("TOOLBOX_MODE=preprocess")) == 3
    printed = "".join(capsys.readouterr())
    assert "Traceback" not in printed
    assert "FAILED subject1: " in printed and "FAILED subject2: " in printed and "1 of 3 ready" in printed
    assert place.entries() == {"subject3"}


def test_when_all_are_broken_nothing_runs_whatever_is_allowed(place, refused):
    """There is no table of nobody."""
    for folder in place.data.iterdir():
        (folder / "vid.avi").unlink()
        (folder / "vid.avi").write_bytes(b"no video")
    shutil.rmtree(place.cache)
    refused(place.arguments("ALLOW_INCOMPLETE=True"), "3 of 3", "vid.avi", code=3)
    assert place.entries() == set() and not list(place.runs.rglob("metrics.json"))


def test_fewer_frames_than_a_chunk_are_named_before_training(place, refused):
    """Every recording with its length and the chunk's; no model is written."""
    sections = [f"{name}.DATA.{key}" for name in ("TRAIN", "VALID", "TEST") for key in ("DATA_PATH", "CACHED_PATH")]
    paths = [f"{key}={place.data if key.endswith('DATA_PATH') else place.cache}" for key in sections]
    kinds = [f"{name}.DATA.DATASET=UBFC-rPPG" for name in ("TRAIN", "VALID", "TEST")]
    ranges = ["TRAIN.DATA.END=0.4", "VALID.DATA.BEGIN=0.4", "VALID.DATA.END=0.7", "TEST.DATA.BEGIN=0.7"]
    lengths = [f"{name}.DATA.PREPROCESS.CHUNK_LENGTH=512" for name in ("TRAIN", "VALID", "TEST")]
    more = ["MODEL.PHYSNET.FRAME_NUM=512", "DEVICE=cpu", f"MODEL.MODEL_DIR={place.root / 'models'}"]
    arguments = ["--config_file", TRAINING, *paths, *kinds, *ranges, *lengths, *more, f"LOG.PATH={place.runs}"]
    refused(arguments, "subject1", "512", "180", code=3)
    assert not list(place.root.rglob("*.pth"))


METRIC = re.compile(r"(FFT|Peak) (MAE|RMSE|MAPE|Pearson)")  # how rPPG-Toolbox's lines of numbers begin


def test_an_incomplete_test_set_gives_no_number_in_only_test(place, refused, capsys):
    """Exit 3 with the name and the reason; with ALLOW_INCOMPLETE every number stands below INCOMPLETE 2/3."""
    import torch

    from neural_methods.model.physnet import PhysNet

    torch.manual_seed(0)
    torch.save(PhysNet().state_dict(), place.root / "random.pth")
    place.replace("vid.avi", b"no video" * 999)
    arguments = with_weights(place, place.root / "random.pth")
    shown = refused(arguments, VICTIM, "vid.avi", "1 of 3", "ALLOW_INCOMPLETE", code=3)
    assert not METRIC.search(shown) and not list(place.runs.rglob("metrics.json"))
    assert main.main([*arguments, "ALLOW_INCOMPLETE=True"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("INCOMPLETE 2/3") < METRIC.search(shown).start() and f"FAILED {VICTIM}: " in shown


def test_an_incomplete_test_set_stops_a_training_before_its_first_step(place, refused):
    """The recording that fails is one of TEST only; nothing is trained, no number is printed."""
    nodes = [f"{name}.DATA" for name in ("TRAIN", "VALID", "TEST")]
    paths = [f"{node}.{key}" for node in nodes for key in (f"DATA_PATH={place.data}", f"CACHED_PATH={place.cache}")]
    kinds = [f"{node}.DATASET=UBFC-rPPG" for node in nodes]
    ranges = ["TRAIN.DATA.END=0.34", "VALID.DATA.END=0.34", "TEST.DATA.BEGIN=0.34", "DEVICE=cpu"]
    place.replace("vid.avi", b"no video" * 999)
    more = ["TEST.USE_LAST_EPOCH=True", f"MODEL.MODEL_DIR={place.root / 'models'}", f"LOG.PATH={place.runs}"]
    arguments = ["--config_file", TRAINING, *paths, *kinds, *ranges, *more]
    shown = refused(arguments, "TEST.DATA", VICTIM, "vid.avi", "1 of 2", "ALLOW_INCOMPLETE", code=3)
    assert not METRIC.search(shown) and "Training" not in shown.split("Configuration:")[-1].split("\n\n", 1)[1]
    assert not list(place.root.rglob("*.pth"))


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


@pytest.mark.parametrize("damage", DAMAGE)
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
    refused(place.arguments(f"UNSUPERVISED.DATA.FILE_LIST_PATH={place.root / 'list.csv'}"), "a_input0.npy", code=3)
    assert not mark.exists()


# --- Weights and outputs ---------------------------------------------------------------------------------------------


def with_weights(place: Place, weights: Path) -> list[str]:
    """The command line that tests PhysNet with these weights."""
    arguments = place.arguments(file=PHYSNET, section="TEST")
    return [*arguments, f"INFERENCE.MODEL_PATH={weights}", "DEVICE=cpu"]


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
