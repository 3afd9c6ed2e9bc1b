"""What pre-training learns on synthetic people, whole stages: slow."""

import pytest

from neural_methods.cmssl_command import CONFIGS
from neural_methods.cmssl_runs import best_validation, run
from tools import make_synthetic_ecgppg

SMALL = {"DEVICE": "cpu", "NUM_WORKERS": 0, "TRAIN.PLOT_LOSSES_AND_LR": False, "TRAIN.BATCH_SIZE": 32}


def settings(folder, data, name, **more):
    """Settings of a pre-training on the array of `data`."""
    paths = {f"{part}.DATA.DATA_PATH": str(folder / data / "pretraining.npy") for part in ("TRAIN", "VALID", "TEST")}
    own = {"LOG.PATH": str(folder / "runs"), "TRAIN.MODEL_FILE_NAME": name, "TRAIN.BUNDLE": str(folder / f"{name}.pth")}
    return {**SMALL, **paths, **own, **more}


@pytest.mark.slow
def test_cmssl_a_student_of_the_ppg_learns_of_the_ecg_what_both_share(tmp_path, monkeypatch):
    """Where that is the rate alone: better than knowing nothing; with pairs of different people: not."""
    monkeypatch.chdir(tmp_path)
    for name, more in (("paired", []), ("shuffled", ["--shuffle-pairs"])):
        arguments = ["--out", name, "--subjects", "60", "--task-subjects", "10", "--rate-only", *more]
        assert make_synthetic_ecgppg.main(arguments) == 0
    tokens = {"CHANNELS": ["ecg"], "CODES": 64, "WIDTH": 64, "DECODER_LAYERS": 1}
    changes = {f"MODEL.TOKENIZER.{key}": value for key, value in tokens.items()}
    tokenizer = CONFIGS / "tiny_tokenizer.yaml"
    run(tokenizer, settings(tmp_path, "paired", "tokenizer", **changes, **{"TRAIN.EPOCHS": 20}))
    found = {}
    for name in ("paired", "shuffled"):
        teacher = {"MODEL.TOKENENCODER.TOKENIZER": str(tmp_path / "tokenizer.pth"), "TRAIN.EPOCHS": 15}
        folder = run(CONFIGS / "tiny_encoder.yaml", settings(tmp_path, name, name, **teacher))
        found[name] = best_validation(folder)
    paired, shuffled = found["paired"], found["shuffled"]
    assert paired["validation"] < paired["valid/entropy"] - 0.05 and paired["valid/top1"] > paired["valid/chance"]
    assert abs(shuffled["validation"] - shuffled["valid/entropy"]) < 0.05
    assert shuffled["valid/top1"] < shuffled["valid/chance"] + 0.01
