"""train_bp.py as a user runs it: its files; the same numbers from the weights, main.py, after a kill; refusals."""

import csv
import json
import pickle

import numpy as np
import pytest
import torch

import main
from config import load_config
from neural_methods import bp_command
from neural_methods.model.ppg_net1d import PPGNet1D
from neural_methods.trainer import bp
from neural_methods.training import Training
from tests.bp_tools import TARGETS, flags, prepared, run, tiny_founder
from tests.conftest import few

FILES = {
    "bp_best.pth", "args.json", "val_predictions.csv", "test_predictions.csv", "final_metrics.json", "history.csv",
    "learning_curves.png", "split.csv", "target_stats.json", "report.md",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Thirty records."""
    return prepared(tmp_path_factory.mktemp("kailuan"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run with a line fitted to the validation: (folder, metrics)."""
    out = tmp_path_factory.mktemp("out")
    return out, run(data, out, "--calibrate", "linear_val")


@pytest.fixture
def small_founders(monkeypatch):
    """Both branches with encoders of a few thousand parameters."""
    monkeypatch.setitem(bp.ENCODERS, "ecg", tiny_founder)
    monkeypatch.setitem(bp.ENCODERS, "ppg", tiny_founder)


def rows(path):
    """Of a CSV file."""
    return list(csv.DictReader(path.open()))


def test_all_files_are_written(trained):
    """Every file; plots of each target and protocol; every person once in the split."""
    out, metrics = trained
    names = {path.name for path in out.iterdir()}
    assert names >= FILES
    assert {f"bp_{t}_{p}.png" for t in TARGETS for p in ("calibration_free", "linear_val")} <= names
    parts = [row["split"] for row in rows(out / "split.csv")]
    assert len(parts) == 30 and set(parts) == {"train", "val", "test"}
    assert len(rows(out / "test_predictions.csv")) == parts.count("test") == metrics["n_records"]
    assert len(rows(out / "history.csv")) == 2 and metrics["best_epoch"] in (0, 1)


def test_predictions_are_what_the_metrics_are_of(trained):
    """MAE, mean error and their sign from the file."""
    out, metrics = trained
    found = rows(out / "test_predictions.csv")
    for target in TARGETS:
        error = np.array([float(row[f"{target}_pred"]) - float(row[f"{target}_true"]) for row in found])
        block = metrics["test"]["targets"][target]
        assert block["mae"] == pytest.approx(np.abs(error).mean(), abs=1e-4)
        assert block["me"] == pytest.approx(error.mean(), abs=1e-4)
        lined = np.array([float(row[f"{target}_cal"]) - float(row[f"{target}_true"]) for row in found])
        calibrated = metrics["protocols"]["linear_val"]["targets"][target]
        assert calibrated["mae"] == pytest.approx(np.abs(lined).mean(), abs=1e-4)


def test_baselines_are_beside_the_model(trained):
    """All four, and which of them it does not beat."""
    _, metrics = trained
    names = {"mean of training", "age + sex + BMI", "age + sex + BMI + heart rate", "pulse arrival time"}
    assert set(metrics["test"]["baselines"]) == names
    for target in TARGETS:
        assert set(metrics["test"]["targets"][target]["not_better_than"]) <= names
    assert metrics["baseline_mean_predictor"] == metrics["test"]["baselines"]["mean of training"]


def test_the_weight_file_is_whole_and_safe(trained):
    """Opened as tensors and plain values: mean, spread, bounds, line, arguments; equal to the statistics file."""
    out, metrics = trained
    content = torch.load(out / "bp_best.pth", weights_only=True)
    stats = json.loads((out / "target_stats.json").read_text())
    assert content["mu"].tolist() == pytest.approx([stats[target]["mu"] for target in TARGETS])
    assert (content["lo"] < content["mu"]).all() and (content["mu"] < content["hi"]).all()
    assert content["target_cols"] == list(TARGETS) and set(content["calibration"]) == set(TARGETS)
    assert content["args"]["epochs"] == 2 and content["epoch"] == metrics["best_epoch"]
    assert {"model", "sigma", "modality", "constrain", "input", "val"} <= set(content)


def test_from_the_weights_come_the_same_numbers(data, trained, tmp_path):
    """--eval_only: the test block, the baselines, the protocols, the standards, to the last digit."""
    out, metrics = trained
    (tmp_path / "moved").mkdir()
    for name in ("bp_best.pth", "split.csv"):  # nothing else is needed
        (tmp_path / "moved" / name).write_bytes((out / name).read_bytes())
    again = run(data, tmp_path / "again", "--eval_only", "--ckpt", tmp_path / "moved/bp_best.pth",
                "--calibrate", "linear_val")  # fmt: skip
    assert again == metrics


def test_main_gives_the_same(data, trained, tmp_path):
    """main.py with the configuration and the keys that the flags stand for."""
    _, metrics = trained
    asked = bp_command.parser("").parse_args(flags(data, tmp_path, "--calibrate", "linear_val"))
    changed = [f"{key}={value}" for key, value in bp_command.overrides(asked)]
    assert main.main(["--config_file", str(bp_command.file_of(asked)), *changed]) == 0
    (found,) = tmp_path.glob("runs/*/final_metrics.json")
    assert json.loads(found.read_text()) == {key: value for key, value in metrics.items() if key != "best_epoch"}


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def test_killed_and_run_again_ends_with_the_same_bits(data, trained, tmp_path, monkeypatch):
    """Stopped in its second epoch."""
    out, metrics = trained
    step, calls = Training._step, []

    def interrupted(*given):
        calls.append(0)
        if len(calls) > 4:
            raise Killed
        return step(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", interrupted)
        with pytest.raises(Killed):
            run(data, tmp_path, "--calibrate", "linear_val")
    assert run(data, tmp_path, "--calibrate", "linear_val") == metrics
    first, second = (torch.load(one / "bp_best.pth", weights_only=True)["model"] for one in (out, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_seed_draws_the_same_split_and_another_another(data, trained, tmp_path):
    """Also as a fixed split of another run."""
    out, _ = trained
    first = (out / "split.csv").read_text()
    run(data, tmp_path / "a", "--split_csv", out / "split.csv", "--seed", 3, "--epochs", 1)
    run(data, tmp_path / "b", "--seed", 3, "--epochs", 1)
    assert sorted((tmp_path / "a/split.csv").read_text().split()) == sorted(first.split())
    assert (tmp_path / "b/split.csv").read_text() != first


def founder_file(folder, **changes):
    """A file shaped like ECGFounder's, of the tiny network."""
    state = {**tiny_founder().state_dict(), "dense.weight": torch.zeros(150, 32), "dense.bias": torch.zeros(150)}
    torch.save({"state_dict": {**state, **changes}}, folder / "founder.pth")
    return folder / "founder.pth", state


def test_frozen_encoders_stay_as_they_were_read(data, tmp_path, small_founders, capsys):
    """Bit for bit, running statistics too; the PPG's starts fresh and it says so; bounded predictions are inside."""
    path, state = founder_file(tmp_path)
    run(data, tmp_path / "out", "--encoder", "founder", "--pretrain", path, "--freeze_backbone", "--lr_head", 0.01,
        "--constrain", "sigmoid", "--y_margin", 10)  # fmt: skip
    said = capsys.readouterr().out
    assert f"ECG encoder: {len(state) - 2}/{len(state) - 2} tensors" in said and "PPG encoder" in said
    content = torch.load(tmp_path / "out/bp_best.pth", weights_only=True)
    kept = {name: value for name, value in state.items() if not name.startswith("dense")}
    assert all(torch.equal(content["model"][f"encoders.ecg.{name}"], value) for name, value in kept.items())
    for row in rows(tmp_path / "out/test_predictions.csv"):
        values = torch.tensor([float(row[f"{target}_pred"]) for target in TARGETS])
        assert (values > content["lo"]).all() and (values < content["hi"]).all()


@pytest.mark.parametrize("modality", few(["ecg", "ppg"], "ppg"))
def test_one_branch_builds_no_other(data, tmp_path, small_founders, modality):
    """Neither in the network nor in the file; the ECG's filter goes through the same loop."""
    more = ["--ecg_filter", "founder"] if modality == "ecg" else []
    run(data, tmp_path, "--encoder", "founder", "--modality", modality, "--epochs", 1, *more)
    names = torch.load(tmp_path / "bp_best.pth", weights_only=True)["model"]
    assert {name.split(".")[1] for name in names if name.startswith("encoders.")} == {modality}


def test_waves_reach_the_encoders_at_their_rates(data):
    """3,630 samples at 600 Hz, stored as 7,500: 3,025 at 500 Hz for the ECG, 3,630 for the PPG; as stored on demand."""
    from dataset.prepare.section import prepare
    from registry import METHODS

    wanted = {"founder": (3025, 3630), STORED: (7500, 7500)}
    for how, lengths in wanted.items():
        asked = bp_command.parser("").parse_args(flags(data, data, "--encoder", "founder", "--ecg_fs", how))
        config = load_config(bp_command.file_of(asked), bp_command.overrides(asked))
        trainer = METHODS["BP"](config, device="cpu")
        sample = prepare(config.TRAIN.DATA, "train", config).clips(**trainer.clip_options("train"))[0]
        assert (len(sample["ecg"]), len(sample["ppg"])) == lengths
        assert any("another speed" in note for note in trainer.notes) == (how == STORED)


STORED = "stretched"


@pytest.mark.parametrize(("more", "words"), [
    (("--val_ratio", "0.5", "--test_ratio", "0.5"), "sum below 1"),
    (("--target_cols", "right_arm_sbq"), "Did you mean 'right_arm_sbp'"),
    (("--target_cols", "right_arm_sbp", "right_arm_sbp"), "each once"),
    (("--reg_loss", "hubert"), "Did you mean 'huber'"),
    (("--reg_loss", "mae_pearson", "--accumulation_steps", "2"), "ACCUMULATION_STEPS: 1"),
    (("--calibrate", "personal"), "personal K"),
    (("--ecg_fs", "fast"), "--ecg_fs 'fast'"),
    (("--eval_only",), "--ckpt"),
    (("--labels_csv", "nowhere.csv"), "nowhere.csv"),
    (("--encoder", "founder", "--modality", "ppg", "--ecg_ckpt", "x.pth"), "no such encoder"),
    (("--encoder", "founder", "--pretrain", "nowhere.pth"), "nowhere.pth"),
])  # fmt: skip
def test_what_cannot_be_is_told_in_one_sentence(data, tmp_path, capsys, more, words):
    """Exit code 2, no traceback."""
    run(data, tmp_path, *more, code=2)
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said and said.strip().splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("fault", ["code", "other modality", "94 percent"])
def test_weights_that_do_not_fit_are_refused_before_anything_is_trained(data, tmp_path, small_founders, capsys, fault):
    """A pickle with code, the PPG's encoder as the ECG's, too little."""
    path, state = founder_file(tmp_path)
    if fault == "code":
        path.write_bytes(pickle.dumps({"state_dict": print}))
    if fault == "other modality":
        torch.save({f"ppg_encoder.{name}": value for name, value in PPGNet1D().state_dict().items()}, path)
    if fault == "94 percent":
        torch.save(dict(list(state.items())[: int(0.94 * (len(state) - 2))]), path)
    run(data, tmp_path / "out", "--encoder", "founder", "--ecg_ckpt", path, code=2)
    words = {"code": "could run that code", "other modality": "holds a PPG encoder", "94 percent": "95 % are needed"}
    assert words[fault] in capsys.readouterr().err and not (tmp_path / "out/bp_best.pth").exists()


@pytest.mark.parametrize(("content", "words"), [
    ("ssoid,part\na,train\n", "columns ssoid and split"),
    ("ssoid,split\na,training\n", "known: train, val, test"),
    ("ssoid,split\na,train\nb,test\n", "names nobody for VALID"),
])  # fmt: skip
def test_a_split_file_that_cannot_be_used(data, tmp_path, capsys, content, words):
    """What is wrong with it, by name."""
    (tmp_path / "split.csv").write_text(content)
    run(data, tmp_path / "out", "--split_csv", tmp_path / "split.csv", code=2)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(bp_command.CONFIGS.glob("[A-Z]*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_configurations_load(file):
    """Each trains the method BP."""
    assert load_config(file).MODEL.NAME == "BP"


def test_fewer_than_three_people_are_no_split(tmp_path, capsys):
    """Two people."""
    small = prepared(tmp_path / "few", n=12)
    table = rows(small / "labels.csv")
    for row in table:
        row["subject"] = "ab"[int(row["ssoid"], 16) % 2]
    with (small / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    run(small, tmp_path / "out", code=2)
    assert "cannot be drawn into 3 parts" in capsys.readouterr().err
