"""The documented commands: every form of a setting, what they run, and what they refuse in one sentence."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from config import load_config
from neural_methods import cmssl_command, cmssl_files
from src.app import run_jtwbio_tokenizer_pretraining as pretraining
from src.modules import encoder_finetuning
from tools import make_synthetic_ecgppg

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    "DEVICE=cpu", "NUM_WORKERS=0", "TRAIN.PLOT_LOSSES_AND_LR=False", "TRAIN.EPOCHS=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with synthetic data where users would have them."""
    folder = tmp_path_factory.mktemp("place")
    make_synthetic_ecgppg.main(
        ["--out", str(folder / "data/synthetic_ecgppg"), "--subjects", "5", "--windows", "4", "--task-subjects", "15"]
    )
    return folder


@pytest.fixture
def here(place, monkeypatch):
    """Started there."""
    monkeypatch.chdir(place)
    return place


def overrides(arguments, stage="tokenizer"):
    """Settings of a pre-training command."""
    return dict(cmssl_command.pretraining(arguments, stage).overrides)


def test_cmssl_every_form_of_a_setting(tmp_path):
    """--model.x v, --model.x=v, model.x=v, and a key of this program."""
    file = str(ROOT / "src/configs/jtwbio_tokenizer_config.yaml")
    for words in (["--model.D_embed", "64"], ["--model.D_embed=64"], ["model.D_embed=64"]):
        assert overrides(["fit", "--config", file, *words])["MODEL.TOKENIZER.WIDTH"] == 64
    found = overrides([f"--config={file}", "TRAIN.EPOCHS=3", "--model.used_channel", "[1]"])
    assert found["TRAIN.EPOCHS"] == 3 and found["MODEL.TOKENIZER.CHANNELS"] == ["ppg"]


def test_cmssl_files_in_its_own_layout_are_our_settings(tmp_path, monkeypatch):
    """Every key that says something arrives; both shipped files resolve to what ours say."""
    monkeypatch.chdir(tmp_path)
    Path("data/pulsedb").mkdir(parents=True)
    Path("data/pulsedb/train.npy").touch()
    for stage, name in (("tokenizer", "Tokenizer"), ("encoder", "TokenEncoder")):
        asked = cmssl_command.pretraining(
            ["--config", str(ROOT / f"src/configs/jtwbio_{stage}_config.yaml"), "--trainer.max_epochs", "1024"], stage
        )
        theirs = load_config(str(asked.file), asked.overrides)
        ours = load_config(str(ROOT / f"configs/cmssl/{stage}.yaml"), [])
        assert theirs.MODEL[name.upper()] == ours.MODEL[name.upper()] and theirs.MODEL.NAME == name
        assert (theirs.TRAIN.LR, theirs.SPLIT) == (ours.TRAIN.LR, ours.SPLIT)


def test_cmssl_keys_of_the_machine_and_callbacks(tmp_path, monkeypatch):
    """Patience and folder are taken from callbacks; a batch is of each process; what is of Lightning alone is left."""
    callbacks = [
        {"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": {"patience": 7}},
        {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"dirpath": "out/x"}},
    ]
    content = {
        "trainer": {"devices": 4, "strategy": "ddp", "accelerator": "cpu", "callbacks": callbacks},
        "data": {"batch_size": 8, "pin_memory": True, "val_npy_file": "v.npy", "test_npy_file": None},
        "model": {"learning_rate": 0.5},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = overrides(["--config", str(tmp_path / "c.yaml")])
    assert found == {
        "TRAIN.EARLY_STOPPING": 7, "TRAIN.BUNDLE": "out/x/best.pth", "DEVICE": "cpu", "TRAIN.BATCH_SIZE": 16,
        "VALID.DATA.DATA_PATH": "v.npy", "SPLIT.KIND": "", "TRAIN.LR": 0.5,
    }  # fmt: skip


def test_cmssl_experiments_are_files_and_models_are_methods():
    """Every experiment of the contract loads; the encoder's weights stand where the stage before puts them."""
    names = {"bidmc_hr", "bidmc_rr", "ppg_dalia_hr", "ppg_dalia_rr", "uci_sbp", "uci_dbp", "uci_bp", "physionet2017",
             "ptb-xl", "csn", "synth_hr", "synth_rhythm"}  # fmt: skip
    assert {file.stem for file in cmssl_command.EXPERIMENTS.glob("*.yaml")} == names
    for name in sorted(names):
        asked = cmssl_command.finetuning([f"experiment={name}", "training.optimizer.backbone_lr=1e-6"])
        config = load_config(str(asked.file), asked.overrides)
        assert config.MODEL.FINETUNE.LR_BACKBONE == 1e-6 and config.MODEL.FINETUNE.METHOD == "TokenEncoder"
        assert config.TRAIN.DATA == config.VALID.DATA and config.TRAIN.DATA.DATASET == "Downstream"
    synthetic = dict(cmssl_command.finetuning(["experiment=synth_hr"]).overrides)
    assert synthetic["MODEL.FINETUNE.PRETRAINED"] == "runs/cmssl/tiny_encoder.pth"


def test_cmssl_three_stages_through_the_documented_commands(here, monkeypatch, capsys):
    """Tokenizer, encoder, fine-tuning and a probe from random weights; files, a row for each, the same as main.py."""
    small = ["MODEL.TOKENIZER.CODES=16", "MODEL.TOKENIZER.WIDTH=16"]
    config = str(ROOT / "configs/cmssl/tiny_{}.yaml")
    assert pretraining.main(["--config", config.format("tokenizer"), *TINY, *small]) == 0
    narrow = ["MODEL.TOKENENCODER.WIDTH=16", "MODEL.TOKENENCODER.LAYERS=1"]
    assert pretraining.main(["fit", "--config", config.format("encoder"), *TINY, *narrow], "encoder") == 0
    assert Path("runs/cmssl/tiny_encoder.pth").is_file()
    words = ["model=encoder", "experiment=synth_hr", "results.summary_file_path=all.csv", *TINY]
    assert encoder_finetuning.main(words) == 0
    probe = ["training.finetune_mode=linear_probing", "model.init=random", "TRAIN.MODEL_FILE_NAME=probe"]
    assert encoder_finetuning.main([*words, *probe]) == 0
    with open("all.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model_name"], row["task_name"]) for row in rows] == [("encoder", "synth_hr")] * 2
    assert all(float(row["MAE"]) > 0 and row["n"] == "12" for row in rows)
    (folder,) = Path("runs/cmssl/runs").glob("encoder_synth_hr-*")
    with np.load(folder / "test_predictions.npz") as stored:
        errors = np.abs(stored["labels"].ravel() - stored["predictions"].ravel())
    assert errors.mean() == pytest.approx(float(rows[0]["MAE"]), abs=1e-4)
    assert (folder / "checkpoints/best_finetuned_model.pth").is_file() and (folder / "config.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["experiment=bidmc_h"], "No experiment 'bidmc_h'. Did you mean 'bidmc_hr'?"),
        (["model=encodr"], "No model 'encodr'. Did you mean 'encoder'?"),
        (["training.epoch=3"], "Unknown key 'training.epoch'. Did you mean 'training.epochs'?"),
        (["data.path=synth_hr", "model.pretrained_model_path=no.pth"], "No weights at 'no.pth'"),
        (["experiment=bidmc_hr"], "data/downstream/bidmc_hr"),
        (["--training.epochs"], "--training.epochs has no value"),
    ],
)
def test_cmssl_fine_tuning_refuses_in_one_sentence(place, tmp_path, monkeypatch, capsys, arguments, said):
    """Exit code 2; the nearest name where there is one."""
    monkeypatch.chdir(tmp_path)
    Path("synth_hr").symlink_to(place / "data/synthetic_ecgppg/synth_hr")
    assert encoder_finetuning.main(["DEVICE=cpu", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and error.startswith("Error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--config names no file"),
        (["test", "--config", "x.yaml"], "'test' cannot be done here"),
        (["--config", "x.yaml"], "No configuration at 'x.yaml'"),
        (["--config", "src.yaml", "--model.D_embedding", "3"], "Unknown key 'model.D_embedding'. Did you mean"),
        (["--config", "src.yaml", "--model.used_channel", "[2]"], "Channels are 0 (ECG) and 1 (PPG)"),
        (["--config", "src.yaml", "--data.train_npy_file", "no.npy"], "no.npy"),
    ],
)
def test_cmssl_pretraining_refuses_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, said):
    """Exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("src.yaml").write_text((ROOT / "src/configs/jtwbio_tokenizer_config.yaml").read_text())
    assert pretraining.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_cmssl_summary_joins_columns_and_keeps_other_tables(tmp_path):
    """Other metrics get empty cells; a run that is tested again replaces its row; a foreign table is refused."""
    path = tmp_path / "s.csv"
    cmssl_files.append(path, {"model_name": "a", "task_name": "t", "run": "1", "MAE": 2.0})
    cmssl_files.append(path, {"model_name": "a", "task_name": "u", "run": "2", "AUROC": 0.5})
    cmssl_files.append(path, {"model_name": "a", "task_name": "t", "run": "1", "MAE": 1.0})
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task_name"], row["MAE"], row["AUROC"]) for row in rows] == [("u", "", "0.5"), ("t", "1.0", "")]
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="other.csv' has no column model_name"):
        cmssl_files.append(tmp_path / "other.csv", {"run": "1"})


def test_cmssl_entry_scripts_are_short_and_src_holds_nothing_else():
    """At most sixty lines each, two configurations, and the empty packages."""
    names = {
        str(file.relative_to(ROOT / "src")) for file in (ROOT / "src").rglob("*") if file.suffix in (".py", ".yaml")
    }
    scripts = {"app/run_jtwbio_tokenizer_pretraining.py", "app/run_jtwbio_encoder_pretraining.py",
               "modules/encoder_finetuning.py"}  # fmt: skip
    others = {"__init__.py", "app/__init__.py", "modules/__init__.py", "configs/jtwbio_tokenizer_config.yaml",
              "configs/jtwbio_encoder_config.yaml"}  # fmt: skip
    assert names == scripts | others
    assert all(len((ROOT / "src" / name).read_text().splitlines()) <= 60 for name in scripts)


@pytest.mark.slow
def test_cmssl_script_runs_every_job_and_reports_a_failure(here):
    """One job fails, the other is done all the same; the code is not 0."""
    command = ["./run_finetuning.sh", "-m", "encoder", "-e", "no_such synth_hr", *TINY]
    environment = {"PYTHON": sys.executable, "SUMMARY": str(here / "jobs.csv"), "PATH": "/usr/bin:/bin"}
    data = [f"{part}.DATA.DATA_PATH={here}/data/synthetic_ecgppg/synth_hr" for part in ("TRAIN", "VALID", "TEST")]
    command += [*data, "model.init=random", f"LOG.PATH={here}/jobs"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 1 and "FAILED: encoder on no_such" in done.stderr, done.stderr
    assert "done: encoder on synth_hr" in done.stdout and (here / "jobs.csv").is_file()
