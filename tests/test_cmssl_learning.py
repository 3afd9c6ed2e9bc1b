"""What pre-training learns on synthetic people: whole stages, slow."""

import pytest

import main
from config import load_config, run_folder
from evaluation import tables
from evaluation.comparing.paired import difference
from neural_methods.cmssl_command import CONFIGS
from neural_methods.cmssl_runs import PROBE, RANDOM, best_validation, finetuned, run
from tools import make_synthetic_ecgppg

SMALL = {"DEVICE": "cpu", "NUM_WORKERS": 0, "TRAIN.PLOT_LOSSES_AND_LR": False}


def settings(folder, data, name, **more):
    """Settings of a pre-training on the array of `data`."""
    paths = {f"{part}.DATA.DATA_PATH": str(folder / data / "pretraining.npy") for part in ("TRAIN", "VALID", "TEST")}
    own = {"LOG.PATH": str(folder / "runs"), "TRAIN.MODEL_FILE_NAME": name, "TRAIN.BUNDLE": str(folder / f"{name}.pth")}
    return {**SMALL, **paths, **own, **more}


@pytest.mark.slow
def test_cmssl_the_tiny_stages_learn(tmp_path, monkeypatch):
    """As shipped: errors halve, many codes, a student that knows more than frequencies, a probe better than chance."""
    monkeypatch.chdir(tmp_path)
    assert make_synthetic_ecgppg.main([]) == 0
    histories = {}
    for stage in ("tokenizer", "encoder"):
        file = str(CONFIGS / f"tiny_{stage}.yaml")
        assert main.main(["--config_file", file, "DEVICE=cpu"]) == 0
        histories[stage] = run_folder(load_config(file, ["DEVICE=cpu"]))
    lines = [line for line in tables.csv_lines(histories["tokenizer"] / "history.csv") if line["validation"]]
    first, best = lines[0], best_validation(histories["tokenizer"])
    for channel in ("ecg", "ppg"):
        assert best[f"valid/{channel}"] < 0.5 * float(first[f"valid/{channel}"])
    assert best["valid_codes/perplexity"] > 10 and best["codes/perplexity"] > 10
    student = best_validation(histories["encoder"])
    assert student["validation"] < student["valid/entropy"] and student["valid/top1"] > 2 * student["valid/chance"]
    probe = {**PROBE, **SMALL, "TRAIN.EPOCHS": 12, "TRAIN.BATCH_SIZE": 64}
    weights = "runs/cmssl/tiny_encoder.pth"
    runs = [finetuned("synth_hr", weights, name, {**probe, **own}) for name, own in (("own", {}), ("random", RANDOM))]
    assert difference(*runs).high < 0


@pytest.mark.slow
def test_cmssl_a_student_of_the_ppg_learns_of_the_ecg_what_both_share(tmp_path, monkeypatch):
    """Where that is the rate alone: better than knowing nothing; with the PPG of other people: not."""
    monkeypatch.chdir(tmp_path)
    for name, more in (("paired", []), ("shuffled", ["--shuffle-pairs"])):
        arguments = ["--out", name, "--subjects", "60", "--task-subjects", "15", "--rate-only", *more]
        assert make_synthetic_ecgppg.main(arguments) == 0
    tokens = {"CHANNELS": ["ecg"], "CODES": 32, "WIDTH": 64, "DECODER_LAYERS": 1}
    changes = {f"MODEL.TOKENIZER.{key}": value for key, value in tokens.items()}
    run(CONFIGS / "tiny_tokenizer.yaml", settings(tmp_path, "paired", "tokenizer", **changes, **{"TRAIN.EPOCHS": 20}))
    teacher = {"MODEL.TOKENENCODER.TOKENIZER": str(tmp_path / "tokenizer.pth"), "TRAIN.EPOCHS": 15}
    paired, shuffled = (
        best_validation(run(CONFIGS / "tiny_encoder.yaml", settings(tmp_path, name, name, **teacher)))
        for name in ("paired", "shuffled")
    )
    assert paired["validation"] < paired["valid/entropy"] - 0.02 and paired["valid/top1"] > paired["valid/chance"]
    assert -0.02 < shuffled["validation"] - shuffled["valid/entropy"] < 0.1
    assert shuffled["valid/top1"] < shuffled["valid/chance"] + 0.01
