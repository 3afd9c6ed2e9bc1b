"""New tasks are new files: data sets, methods and kinds of output from a folder of one's own, through main.py.

The plug-ins lie in tests/plugins and are copied to a temporary folder; nothing of the toolbox knows them.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT

PLUGINS = Path(__file__).parent / "plugins"
PEOPLE, SECONDS = 16, 40

CONFIG = """
TOOLBOX_MODE: {mode}
DEVICE: cpu
NUM_WORKERS: 0
PREPROCESS_WORKERS: 1
LOG: {{PATH: runs}}
MODEL: {{NAME: {method}}}
TRAIN:
  EPOCHS: {epochs}
  BATCH_SIZE: 8
  LR: 0.02
  MODEL_FILE_NAME: mine
  DATA: &data
    DATASET: RECORDS
    DATA_PATH: raw
    CACHED_PATH: cache
    RESAMPLE_FS: 125
    BEGIN: 0.0
    END: 0.6
    PREPROCESS: {{LABEL_TYPE: Raw, CHUNK_LENGTH: 625}}
VALID:
  MONITOR: True
  DATA: {{<<: *data, BEGIN: 0.6, END: 0.75}}
TEST:
  METRICS: ['MAE', 'RMSE', 'Pearson']
  DATA: {{<<: *data, BEGIN: 0.75, END: 1.0}}
"""


def main(folder, *arguments, code=0):
    """Run main.py in `folder` with the plug-ins; what it printed."""
    command = [sys.executable, str(ROOT / "main.py"), "--plugin", "mine", *arguments]
    environment = {**os.environ, "RPPG_LOCAL": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def configure(folder, method, mode="train_and_test", epochs=2, name="mine.yaml"):
    """Write the configuration of a run."""
    (folder / name).write_text(CONFIG.format(method=method, mode=mode, epochs=epochs))
    return "--config_file", name


def arguments_of(folder):
    """A classical run on the records."""
    text = (
        "TOOLBOX_MODE: unsupervised_method\nUNSUPERVISED: {METHOD: [POS], DATA: {DATASET: RECORDS, DATA_PATH: raw}}\n"
    )
    (folder / "classical.yaml").write_text(text)
    return "--config_file", "classical.yaml", "UNSUPERVISED.DATA.CACHED_PATH=cache"


def write_records(folder):
    """Sixteen people whose pulse in the PPG is the stronger, the higher their pressure."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(PEOPLE):
        sbp, rate = 95 + 4.0 * number, rng.uniform(0.9, 1.6)
        beat = 2 * np.pi * rate * np.arange(SECONDS * 250) / 250
        ecg = np.exp(-((beat % (2 * np.pi) - 1) ** 2) / 0.01) + rng.normal(0, 0.02, len(beat))
        ppg = (sbp - 80) / 40 * np.sin(beat[::2]) + rng.normal(0, 0.02, len(beat[::2]))
        np.savez(folder / f"p{number:02d}.npz", ecg=ecg, ppg=ppg, sbp=sbp)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A working folder with plug-ins and records, preprocessed by the first run that needs them."""
    folder = tmp_path_factory.mktemp("plugin_tasks")
    shutil.copytree(PLUGINS, folder / "mine")
    write_records(folder / "raw")
    return folder


def run_folder(folder, start):
    """The folder of the one run whose name begins with `start`."""
    (found,) = (folder / "runs" / "runs").glob(f"{start}*")
    return found


def newest_weights(folder):
    """The weight file that was written last."""
    return max(folder.glob("runs/**/*_Epoch*.pth"), key=lambda file: (file.stat().st_mtime_ns, file.name))


def test_a_pressure_is_learnt_from_ecg_and_ppg_tested_and_tested_again_from_its_file(made, tmp_path):
    """A scalar of a recording without video: trained, better than the mean, and the same numbers from its file."""
    folder = tmp_path / "a"
    shutil.copytree(made, folder)
    said = main(folder, *configure(folder, "Pressure", epochs=12))
    assert "bpm" not in said and "mmHg" in said
    report = json.loads((run_folder(folder, "mine") / "metrics.json").read_text())
    content = json.dumps(report)
    assert "sbp" in content and "bpm" not in content
    weights = [file for file in folder.glob("runs/**/mine_Epoch11.pth")]
    assert len(weights) == 1
    again = main(
        folder, *configure(folder, "Pressure", "only_test", name="test.yaml"), f"INFERENCE.MODEL_PATH={weights[0]}"
    )
    lines = [line for line in said.splitlines() if line.startswith("Pressure  ")]
    again = [line.split() for line in again.splitlines() if line.startswith("Pressure  ")]
    assert lines and again == [line.split() for line in lines]
    error = regression_error(report)
    assert error["model"] < 0.7 * error["constant mean"]
    assert not list((folder / "cache").glob("**/faces.npy"))


def regression_error(report):
    """MAE by row of the regression table: the method and the constant mean."""
    rows = report["heads"]["sbp"]["tables"]
    found = {}
    for row in rows:
        name = "constant mean" if "constant mean" in row["method"] else "model"
        found[name] = row["metrics"]["MAE"]["value"]
    return found


@pytest.mark.slow
def test_a_killed_training_on_signals_ends_with_the_same_bits(made, tmp_path):
    """Pairs of signals, killed after an update and run again: not one bit differs."""
    weights = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        shutil.copytree(made, folder)
        arguments = [*configure(folder, "Twins", "train", epochs=6), "TRAIN.STATE_EVERY=1"]
        if name == "killed":
            kill_during_training(folder, arguments)
        main(folder, *arguments)
        weights.append(torch.load(newest_weights(folder), weights_only=True))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def kill_during_training(folder, arguments):
    """Start a run and kill it as soon as it has saved a state."""
    command = [sys.executable, str(ROOT / "main.py"), "--plugin", "mine", *arguments]
    environment = {**os.environ, "RPPG_LOCAL": "", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not list(folder.glob("runs/runs/*/state.pth")) and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("runs/runs/*/state.pth"))


def test_pairs_are_others_in_each_epoch(monkeypatch):
    """What is drawn depends on the epoch and the clip alone."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    import pairs

    from dataset.clips.clips import Ask

    clips = [{"waves": torch.zeros(2, 4), "sbp": torch.tensor(float(k))} for k in range(50)]
    drawn = {epoch: [float(pairs.Pairs(clips, 1)[Ask(k, epoch)]["other_sbp"]) for k in range(50)] for epoch in (0, 1)}
    assert drawn[0] == [float(pairs.Pairs(clips, 1)[Ask(k, 0)]["other_sbp"]) for k in range(50)]
    assert drawn[0] != drawn[1]


@pytest.mark.slow
def test_a_method_without_labels_trains_and_another_starts_from_its_frozen_encoder(made, tmp_path):
    """Mode train tests nothing; the second method takes the encoder over and leaves it as it is."""
    folder = tmp_path / "b"
    shutil.copytree(made, folder)
    said = main(folder, *configure(folder, "Masked", "train"), "TRAIN.MODEL_FILE_NAME=masked")
    assert "===Testing===" not in said
    first = next(folder.glob("runs/**/masked_Epoch1.pth"))
    said = main(folder, *configure(folder, "Tuned", name="tuned.yaml"), f"MODEL.WEIGHTS={first}")
    assert "2" in said
    before, after = (torch.load(file, weights_only=True) for file in (first, newest_weights(folder)))
    assert torch.equal(before["encoder.weight"], after["encoder.weight"])
    assert torch.equal(before["encoder.bias"], after["encoder.bias"])
    assert "head.weight" in after


@pytest.mark.slow
def test_a_second_camera_and_a_radar_join_and_may_be_missing(made, tmp_path):
    """Another size, another rate, a radar; one person lacks the camera and one the radar."""
    folder = tmp_path / "d"
    shutil.copytree(made / "mine", folder / "mine")
    arguments = configure(folder, "Fusion")
    video = "{LABEL_TYPE: Standardized, DATA_TYPE: ['Standardized'], CHUNK_LENGTH: 48, CROP_FACE: {DO_CROP_FACE: False}"
    video += ", RESIZE: {W: 16, H: 16}}"
    text = (folder / "mine.yaml").read_text().replace("RECORDS", "SENSORS").replace("RESAMPLE_FS: 125", "FS: 24")
    text = text.replace("{LABEL_TYPE: Raw, CHUNK_LENGTH: 625}", video).replace("END: 0.6", "END: 0.5")
    text = text.replace("BEGIN: 0.6, END: 0.75", "BEGIN: 0.5, END: 0.75")
    (folder / "mine.yaml").write_text(text)
    main(folder, *arguments, "TRAIN.BATCH_SIZE=2")
    streams = sorted(file.name for file in (folder / "cache").glob("**/*.npy"))
    assert streams.count("faces.npy") == 4 and streams.count("side.npy") == 3
    two = "TRAIN.DATA.PREPROCESS.DATA_TYPE=['Raw','Standardized']"
    refused = main(folder, *arguments, two, "MODEL.NAME=Physnet", code=1)
    assert "channels" in refused


def test_a_new_kind_of_output_brings_its_own_section(made, tmp_path):
    """Lines on screen, a section of the report, numbers in metrics.json."""
    folder = tmp_path / "e"
    shutil.copytree(made, folder)
    said = main(folder, *configure(folder, "Graded"))
    assert "grade (sbp):" in said
    report = run_folder(folder, "mine") / "report.md"
    assert "## Grades of sbp" in report.read_text()
    assert json.loads(report.with_name("metrics.json").read_text())["heads"]["sbp"]["kind"] == "grade"


def test_what_the_data_do_not_have_is_refused_before_anything_is_made(made, tmp_path):
    """An input that no recording has, and a kind of output that does not exist."""
    folder = tmp_path / "f"
    shutil.copytree(made, folder)
    said = main(folder, *configure(folder, "Fusion"), code=1)
    assert "RECORDS" in said and "video" in said
    assert not (folder / "cache").exists() or not list((folder / "cache").glob("**/entry.json"))
    classical = main(folder, *arguments_of(folder), code=1)
    assert "RECORDS" in classical and "has no video" in classical and not (folder / "cache").exists()
    source = (folder / "mine" / "pressure.py").read_text()
    (folder / "mine" / "pressure.py").write_text(source.replace('"regression"', '"regresion"'))
    said = main(folder, *configure(folder, "Pressure"), code=1)
    assert "regresion" in said and "regression" in said


@pytest.mark.slow
def test_a_random_split_is_drawn_once_and_written(made, tmp_path):
    """split.csv names every person once."""
    folder = tmp_path / "g"
    shutil.copytree(made, folder)
    arguments = configure(folder, "Pressure")
    whole = ["TRAIN.DATA.END=1.0", "SPLIT.KIND=random", "SPLIT.RATIOS=[0.5,0.25,0.25]", "SPLIT.SEED=7"]
    main(folder, *arguments, *whole)
    (split,) = folder.glob("runs/runs/*/split.csv")
    rows = list(csv.DictReader(split.open()))
    assert len({row["subject"] for row in rows}) == PEOPLE
    assert sorted({row["part"] for row in rows}) == ["test", "train", "valid"]
