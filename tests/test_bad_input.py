"""Bad input through the command line: one clear message, a non-zero exit, nothing half-written, nobody missing."""

import csv
import itertools
import re
import shutil

import numpy as np
import pytest

import main
from config import load_config, run_folder
from tests.bad_input_tools import (
    CLASSICAL,
    QUICK,
    TRAINING,
    VICTIM,
    Place,
    damageable_place,
    filled_place,
    refusing_run,
    with_weights,
)
from tests.video_tools import write_video

whole = pytest.fixture(scope="module")(filled_place)
place = pytest.fixture(damageable_place)
refused = pytest.fixture(refusing_run)


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
