"""Whole runs of methods with several outputs: two heads on rendered faces, three on BP4D+'s layout, and its folds."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from config import load_config, run_folder
from dataset.prepare.node import cache_settings, face_crop, make_loader
from dataset.prepare.section import prepare
from dataset.synthetic.layouts import write_subjects
from dataset.synthetic.settings import resolve
from evaluation.outputs import read_outputs
from neural_methods.run import only_test, train_and_test
from registry import METHODS
from tests.conftest import ROOT

FOLDS = ROOT / "dataset" / "BP4D_BigSmall_Subject_Splits"
SECTIONS = ("TRAIN", "VALID", "TEST")
SMALL = {"BIG_W": 32, "BIG_H": 32, "SMALL_W": 2, "SMALL_H": 2}


def read_fold(number, name):
    """Subjects of a shipped fold."""
    with (FOLDS / f"Split{number}_{name}_Subjects.csv").open() as file:
        return [row["subjects"] for row in csv.DictReader(file)]


def test_published_folds_test_every_subject_once():
    """46, 47 and 47 of 140 subjects; trained on is who is not tested."""
    tests = {number: read_fold(number, "Test") for number in (1, 2, 3)}
    everybody = [name for names in tests.values() for name in names]
    assert [len(names) for names in tests.values()] == [46, 47, 47] and len(set(everybody)) == len(everybody) == 140
    for number, names in tests.items():
        trained = read_fold(number, "Train")
        assert len(trained) == len(set(trained)) and set(trained) == set(everybody) - set(names)


def big_small(number, folder, *overrides):
    """A shipped fold configuration on the miniature in `folder`."""
    paths = [f"{section}.DATA.DATA_PATH={folder}/raw" for section in SECTIONS]
    paths += [f"{section}.DATA.CACHED_PATH={folder}/cache" for section in SECTIONS]
    base = ["DEVICE=cpu", "NUM_WORKERS=0", "PREPROCESS_WORKERS=1", "TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=24",
            f"LOG.PATH={folder}/runs"]  # fmt: skip
    return load_config(
        ROOT / f"configs/train_configs/BP4D_BP4D_BIGSMALL_FOLD{number}.yaml", [*paths, *base, *overrides]
    )


def miniature(folder, subjects, seconds):
    """Rendered faces with coded action units."""
    settings = resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 8})
    write_subjects("BP4DPlusBigSmall", folder / "raw", dataclasses.replace(settings, seconds=seconds), subjects)


def sizes(values=SMALL):
    """Overrides for frames of other sizes than the published ones."""
    return [
        f"{section}.DATA.PREPROCESS.BIGSMALL.RESIZE.{key}={value}"
        for section in SECTIONS
        for key, value in values.items()
    ]


def test_faces_are_stored_at_the_big_size_alone(tmp_path):
    """One entry of 144 pixels; RESIZE counts where no types for big frames are named."""
    (tmp_path / "raw").mkdir()
    data = big_small(1, tmp_path).TRAIN.DATA
    loader = make_loader(data)
    assert face_crop(data).size == (144, 144) and cache_settings(data, loader)["RESIZE"] == {"W": 144, "H": 144}
    plain = data.clone()
    plain.defrost()
    plain.PREPROCESS.BIGSMALL.BIG_DATA_TYPE = [""]
    assert face_crop(plain).size == (128, 128) and cache_settings(plain, loader)["RESIZE"] == {"W": 128, "H": 128}


@pytest.mark.slow
def test_big_small_trains_and_tests_three_heads_on_a_published_fold(tmp_path, capsys, monkeypatch):
    """Subject 1 is trained on, 3 tested; pulse, respiration and units in print, report and files; then `only_test`."""
    monkeypatch.chdir(tmp_path)  # the fold is found beside the code, too
    miniature(tmp_path, (1, 3), 4.4)
    config = big_small(1, tmp_path, *sizes())
    path = train_and_test(config)
    said = capsys.readouterr().out
    boxes = [said.index(box) for box in ("==== PPG Metrics ====", "==== Resp Metrics ===", "===== AU METRICS ====")]
    assert boxes == sorted(boxes) and "Mean 12 AU F1:" in said and "judges by POS" not in said
    content = json.loads((run_folder(config) / "metrics.json").read_text())
    assert set(content["heads"]) == {"resp", "au"} and content["heads"]["au"]["recordings"] == 2
    assert content["heads"]["au"]["units"]["AU12"]["frames"] == 2 * 105  # 110 a recording, 106 coded, whole clips
    assert "## Respiration" in path.read_text() and "## Action units" in path.read_text()
    outputs = Path(config.TEST.OUTPUT_SAVE_DIR)
    pulse = read_outputs(outputs / "BP4D_BP4D_bigsmall_fold1_outputs.pickle")
    assert set(pulse["predictions"]) == {"F003T1", "F003T6"}
    plots = {file.name for file in (outputs.parent / "bland_altman_plots").glob("*.pdf")}
    assert "BP4D_BP4D_bigsmall_fold1_FFT_BlandAltman_ScatterPlot.pdf" in plots
    weights = next(Path(config.MODEL.MODEL_DIR).glob("*_Epoch0.pth"))
    again = big_small(1, tmp_path, *sizes(), "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}")
    only_test(again)
    assert json.loads((run_folder(again) / "metrics.json").read_text())["heads"] == content["heads"]


def test_big_small_learns_pseudo_labels_and_is_tested_on_the_measured_wave(tmp_path):
    """As published: the test label is the arterial pressure wave."""
    miniature(tmp_path, (1, 3), 2.4)
    config = big_small(1, tmp_path, *sizes())
    trainer = METHODS["BigSmall"](config)
    trained, tested = (
        prepare(config[name.upper()].DATA, name, config).clips(**trainer.clip_options(name))
        for name in ("train", "test")
    )
    assert trained.options.pseudo and not tested.options.pseudo
    sample = trained[0]
    assert sample["video"].shape == (3, 3, 32, 32)
    assert (
        sample["resp"].shape == (3,) and sample["au"].shape == (3, 12) and set(sample["au"].unique().tolist()) <= {0, 1}
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_published_fold_runs_at_full_size(tmp_path, number):
    """144 and 9 pixels, long enough for breathing rates under both presets."""
    miniature(tmp_path, (1, 3, 7), 13.0)
    config = big_small(number, tmp_path)
    train_and_test(config)
    heads = json.loads((run_folder(config) / "metrics.json").read_text())["heads"]
    assert heads["resp"]["tables"][0]["preset"] == "exact" and heads["resp"]["tables"][0]["n"] == 2
    assert np.isfinite(heads["au"]["mean"]["accuracy"]["value"])


TWO_HEADS = """
TOOLBOX_MODE: train_and_test
DEVICE: cpu
NUM_WORKERS: 0
PREPROCESS_WORKERS: 1
MODEL: {{NAME: MTTSCAN, MTTSCAN: {{FRAME_DEPTH: 10}}}}
LOG: {{PATH: {folder}/runs}}
INFERENCE: {{PRESET: exact}}
TRAIN: {{EPOCHS: 6, BATCH_SIZE: 2, LR: 0.003, MODEL_FILE_NAME: two, DATA: {{BEGIN: 0.0, END: 0.67, {data}}}}}
TEST: {{METRICS: [MAE, MACC, BA], DATA: {{BEGIN: 0.67, END: 1.0, {data}}}}}
"""
DATA = """DATASET: Synthetic, DATA_PATH: {folder}/raw, CACHED_PATH: {folder}/cache,
SYNTHETIC: {{PRESET: easy, SUBJECTS: 3, SECONDS: 12.0, WIDTH: 128, HEIGHT: 96}},
PREPROCESS: {{DATA_TYPE: [DiffNormalized, Standardized], LABEL_TYPE: DiffNormalized, CHUNK_LENGTH: 60,
CROP_FACE: {{DO_CROP_FACE: false}}, RESIZE: {{W: 16, H: 16}}}}"""


@pytest.mark.slow
def test_mtts_can_trains_both_heads_on_rendered_faces(tmp_path, capsys):
    """Respiration is learnt (its loss falls) and tested against the wave that was rendered."""
    file = tmp_path / "two.yaml"
    file.write_text(TWO_HEADS.format(folder=tmp_path, data=" ".join(DATA.format(folder=tmp_path).split())))
    config = load_config(file)
    train_and_test(config)
    said = capsys.readouterr().out
    assert "no respiration" not in said and "==== Resp Metrics ===" in said
    folder = run_folder(config)
    with (folder / "history.csv").open() as history:
        rows = list(csv.DictReader(history))
    assert float(rows[-1]["resp"]) < float(rows[0]["resp"]) and float(rows[-1]["ppg"]) < float(rows[0]["ppg"])
    table = json.loads((folder / "metrics.json").read_text())["heads"]["resp"]["tables"][0]
    assert table["preset"] == "exact" and table["n"] == 1 and list(table["metrics"]) == ["MAE"]
    plots = Path(config.TEST.OUTPUT_SAVE_DIR).parent / "bland_altman_plots"
    assert {file.name.split("_BlandAltman")[0] for file in plots.glob("*.pdf")} == {"two_FFT", "two_resp_FFT"}
