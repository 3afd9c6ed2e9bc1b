"""A run once more: the same numbers in another folder, or which differ and why; changed data are named, not read."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import main
from config import load_config, run_folder
from dataset.synthetic.layouts import write_layout
from evaluation import replay
from evaluation.provenance import read
from settings.modes import trains, used_sections
from tests.conftest import ROOT

DEMOS = {file.stem: load_config(file) for file in sorted((ROOT / "configs" / "demo").glob("*.yaml"))}
DEMOS = {name: one for name, one in DEMOS.items() if name not in ("own_videos", "own_signals")}  # these have no data
SMALL = {"PRESET": "easy", "SUBJECTS": 2, "SECONDS": 6.0, "WIDTH": 160, "HEIGHT": 120, "CODEC": "mjpg"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A classical run on two rendered people in the layout of UBFC-rPPG, started by a file that has a BASE."""
    folder = tmp_path_factory.mktemp("replay")
    write_layout("UBFC-rPPG", folder / "raw", SMALL)
    process = {"CROP_FACE": {"DO_CROP_FACE": False}, "RESIZE": {"W": 16, "H": 16}, "DO_CHUNK": False}
    data = {"DATASET": "UBFC-rPPG", "DATA_PATH": str(folder / "raw"), "FS": 30, "CACHED_PATH": str(folder / "cache")}
    section = {"METHOD": ["POS", "GREEN"], "METRICS": ["MAE", "RMSE"], "DATA": {**data, "PREPROCESS": process}}
    (folder / "base.yaml").write_text(yaml.safe_dump({"TOOLBOX_MODE": "unsupervised_method", "UNSUPERVISED": section}))
    own = {"BASE": ["base.yaml"], "LOG": {"PATH": str(folder / "runs")}, "PREPROCESS_WORKERS": 1}
    (folder / "x.yaml").write_text(yaml.safe_dump(own))
    assert main.main(["--config_file", str(folder / "x.yaml")]) == 0
    return run_folder(load_config(folder / "x.yaml"))


@pytest.fixture
def copied(first, tmp_path):
    """The same run with raw data of its own, which a test may change."""
    shutil.copytree(first.parents[2], tmp_path / "all")
    run = tmp_path / "all" / first.relative_to(first.parents[2])
    for name in ("config.yaml", "provenance.json"):
        text = (run / name).read_text().replace(str(first.parents[2]), str(tmp_path / "all"))
        (run / name).write_text(text)
    return run


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_knows_its_code_its_split_and_its_data(first):
    """Commit or sign of the code, a hash of the split, and of each recording length, checksums and files."""
    known = read(first)
    assert len(known["code"]["sign"]) == 16 and known["code"]["version"]
    found = known["data"]["UNSUPERVISED"]
    assert len(found["split"]["hash"]) == 16 and found["split"]["subjects"] == 2 and len(found["fingerprint"]) == 16
    one = found["recordings"]["subject1"]
    assert one["frames"] == 180 and set(one["checksums"]) == {"faces.npy", "signals.npz"}
    assert list(one["files"]["video"]) == ["subject1/vid.avi"] and one["files"]["labels"]


def test_a_replay_gives_every_number_again_and_touches_nothing(first, capsys, monkeypatch, tmp_path):
    """From another working directory, twice: two new folders, the old one byte for byte as it was."""
    before = files(first)
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert main.main(["--replay", str(first)]) == 0
        said = capsys.readouterr().out
        assert "are the same again, to the last digit" in said
        new = first.parent.parent / "replays" / f"{first.name}-{number}" / "runs" / first.name
        found = json.loads((new / "replay.json").read_text())
        assert found["numbers"] == found["equal"] > 50 and found["differences"] == []
    assert files(first) == before


def test_other_numbers_are_named_with_what_may_be_the_reason(first, capsys, monkeypatch):
    """Exit code 1; a thread, a version or the code that is not as it was."""
    numbers, environment = first / "metrics.json", first / "environment.json"
    kept = {path: path.read_text() for path in (numbers, environment)}
    content, machine = json.loads(kept[numbers]), json.loads(kept[environment])
    content["tables"][0]["metrics"]["MAE"]["value"] += 1e-12
    numbers.write_text(json.dumps(content))
    environment.write_text(json.dumps({**machine, "numpy": "0.9", "OMP_NUM_THREADS": "7"}))
    try:
        assert main.main(["--replay", str(first)]) == 1
    finally:
        for path, text in kept.items():
            path.write_text(text)
    said = capsys.readouterr().out
    assert "1 of" in said and "metrics.json, tables[exact, POS].metrics.MAE.value" in said
    assert "numpy: 0.9 then" in said and "OMP_NUM_THREADS: 7 then, 1 now" in said


@pytest.mark.parametrize("change", ["video", "label", "gone", "new"])
def test_changed_data_are_named_before_anything_is_read(copied, change, capsys):
    """The file, the recording; nothing is written, and the cache stays as it is."""
    raw, cache = copied.parents[2] / "raw", copied.parents[2] / "cache"
    if change == "video":
        with (raw / "subject2" / "vid.avi").open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"?")
    elif change == "label":
        (raw / "subject2" / "ground_truth.txt").write_text("1 2 3\n")
    elif change == "gone":
        shutil.rmtree(raw / "subject2")
    else:
        shutil.copytree(raw / "subject1", raw / "subject7")
    before = files(cache), files(copied.parents[1])
    assert main.main(["--replay", str(copied)]) == 1
    said = capsys.readouterr().err
    named = {"video": "subject2: subject2/vid.avi", "label": "subject2: subject2/ground_truth.txt"}
    named |= {"gone": "1 recording gone: subject2", "new": "1 recording not there then: subject7"}
    assert named[change] in said and "--config_file" in said and "Traceback" not in said
    assert (files(cache), files(copied.parents[1])) == before


def test_changed_weights_are_named(tmp_path):
    """Those that were tested, or started from: by content, not by name."""
    (tmp_path / "w.pth").write_bytes(b"now")
    then = {"weights": {"INFERENCE.MODEL_PATH": {"path": str(tmp_path / "w.pth"), "sha256": "0" * 64}}}
    config = load_config()
    assert replay.changes(then, config) == [f"INFERENCE.MODEL_PATH: {tmp_path / 'w.pth'} holds other weights"]
    then["weights"]["INFERENCE.MODEL_PATH"]["sha256"] = replay.file_sign(tmp_path / "w.pth")
    assert replay.changes(then, config) == []
    (tmp_path / "w.pth").unlink()
    assert "is gone" in replay.changes(then, config)[0]


def test_a_folder_of_no_run_is_refused_in_a_sentence(tmp_path, capsys):
    """With what is missing and what to name."""
    assert main.main(["--replay", str(tmp_path)]) == 1
    assert "is no folder of a run: a replay needs its config.yaml and provenance.json" in capsys.readouterr().err


def test_numbers_are_compared_to_the_last_digit_and_clocks_are_not(tmp_path):
    """Missing numbers count; NaN is equal to NaN; the seconds that an update took are the machine's."""
    for name, loss, seconds, more in (("a", "0.5", "1.0", "nan"), ("b", "0.5000000001", "2.0", "nan")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text(f"epoch,loss,seconds,x\n0,{loss},{seconds},{more}\n")
    (tmp_path / "a" / "metrics.json").write_text('{"n": 3, "title": "t", "complete": true}')
    count, found = replay.compare(tmp_path / "a", tmp_path / "b")
    assert count == 4 and [(one.file, one.where) for one in found] == [
        ("metrics.json", "n"),
        ("history.csv", "line 2, loss"),
    ]
    assert "none now" in str(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DEMOS))
def test_each_demo_is_the_same_again_to_the_bit(name, tmp_path, capsys):
    """Trained or classical, also in folds: same threads, same numbers, same weights."""
    changes = [f"LOG.PATH={tmp_path / 'runs'}", "DEVICE=cpu", "PREPROCESS_WORKERS=1"]
    for section in used_sections(DEMOS[name]):
        faces = {"SUBJECTS": 3, "SECONDS": 6.0}
        changes += [f"{section}.DATA.SYNTHETIC.{key}={value}" for key, value in faces.items()]
        changes += [f"{section}.DATA.DATA_PATH={tmp_path / 'raw'}", f"{section}.DATA.CACHED_PATH={tmp_path / 'cache'}"]
        changes += [f"{section}.DATA.PREPROCESS.CHUNK_LENGTH=80"]
        if section != "UNSUPERVISED" and DEMOS[name].SPLIT.KIND == "":
            begin, end = {"TRAIN": (0.0, 0.34), "VALID": (0.34, 0.67), "TEST": (0.67, 1.0)}[section]  # one person each
            changes += [f"{section}.DATA.BEGIN={begin}", f"{section}.DATA.END={end}"]
    if trains(DEMOS[name]):
        changes += ["TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=2"]
    file = ROOT / "configs" / "demo" / f"{name}.yaml"
    assert main.main(["--config_file", str(file), *changes]) == 0
    assert main.main(["--replay", str(run_folder(load_config(file, changes)))]) == 0
    assert "are the same again, to the last digit" in capsys.readouterr().out
