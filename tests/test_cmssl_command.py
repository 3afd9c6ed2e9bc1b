"""The documented commands: every form of a setting, what they run, and what they refuse in one sentence."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from config import load_config
from neural_methods import cmssl_command, cmssl_files
from neural_methods.checkpoint import write_bundle
from src.app import run_jtwbio_tokenizer_pretraining as pretraining
from src.modules import encoder_finetuning
from tests import test_cmssl_views as views
from tests.cmssl_tools import trained_encoder
from tests.conftest import ROOT
from tools import make_synthetic_ecgppg

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
        (["--config", "src.yaml", "--trainer.max_epoch", "3"], "Did you mean 'trainer.max_epochs'?"),
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


BAD = {
    "axes turned": (
        "tokenizer",
        lambda path: np.save(path, np.load(path).transpose(0, 2, 1)),
        "array.transpose(0, 2, 1)",
    ),
    "one subject": ("tokenizer", lambda path: np.save(path.with_name("w_subjects.npy"), np.zeros(6, int)), "subjects"),
    "truncated": ("tokenizer", lambda path: path.write_bytes(path.read_bytes()[:-9]), "w.npy' cannot be read"),
    "a pickle": ("tokenizer", lambda path: np.save(path, np.array([{}] * 6), allow_pickle=True), "w.npy'"),
    "short": ("tokenizer", lambda path: np.save(path, np.zeros((6, 2, 900), np.float32)), "shorter than WINDOW 1250"),
    "no teacher": ("encoder", lambda path: None, "No tokenizer at 'runs/cmssl/tiny_tokenizer.pth'"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_cmssl_bad_input_ends_a_pretraining_with_one_sentence(tmp_path, monkeypatch, capsys, what):
    """Exit code 2, whatever it is."""
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.random.default_rng(0).normal(size=(6, 2, 1250)).astype(np.float32))
    np.save("w_subjects.npy", np.arange(6))
    stage, change, said = BAD[what]
    change(tmp_path / "w.npy")
    config = str(ROOT / f"configs/cmssl/tiny_{stage}.yaml")
    assert pretraining.main(["--config", config, "--data.train_npy_file", "w.npy", "DEVICE=cpu"], stage) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_cmssl_people_without_a_usable_window_end_a_pretraining_as_main_does(tmp_path, monkeypatch, capsys):
    """Exit code 3: who it is, and how to go on without them; no traceback."""
    monkeypatch.chdir(tmp_path)
    waves = np.random.default_rng(0).normal(size=(6, 2, 1250)).astype(np.float32)
    waves[2:4, 1, 5] = np.nan
    np.save("w.npy", waves)
    np.save("w_subjects.npy", np.arange(6) // 2)
    config = str(ROOT / "configs/cmssl/tiny_tokenizer.yaml")
    assert pretraining.main(["--config", config, "--data.train_npy_file", "w.npy", "DEVICE=cpu"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and "EXCLUSION_LIST=['1']" in error and "Traceback" not in error


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
def test_cmssl_folds_through_the_documented_command_are_one_row(here, tmp_path):
    """Everybody is tested once; weights and predictions lie with each fold."""
    words = ["model=encoder", "experiment=synth_hr", f"LOG.PATH={tmp_path}", *TINY, "SPLIT.KIND=kfold", "SPLIT.FOLDS=3"]
    weights = trained_encoder(tmp_path / "encoder")
    assert encoder_finetuning.main([*words, f"model.pretrained_model_path={weights}"]) == 0
    (table,) = tmp_path.rglob("summary.csv")
    with open(table, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["n"] == "60" and row["subjects"] == "15" and not (table.parent / "test_predictions.npz").exists()


@pytest.mark.slow
def test_cmssl_script_runs_every_job_and_reports_a_failure(here, tmp_path):
    """Two models on three experiments, one of which does not exist: four rows, code 1; without it, code 0."""
    Path("runs/cmssl").mkdir(parents=True, exist_ok=True)
    for channel, name in (("ppg", "tiny"), ("ecg", "tiny_ecg")):
        folder = tmp_path / channel
        shutil.copy(trained_encoder(folder / "encoder", channel), f"runs/cmssl/{name}_encoder.pth")
        fitted = views.make("SimCLR", folder, {"CHANNEL": channel}).fit(views.Windows(), folder=folder / "run")
        write_bundle(f"runs/cmssl/{name}_simclr.pth", fitted.path, {})
    environment = {"PYTHON": sys.executable, "SUMMARY": "jobs.csv", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}

    def jobs(models, experiments):
        command = [ROOT / "run_finetuning.sh", "-m", models, "-e", experiments, *TINY, "LOG.PATH=jobs"]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=1500)

    done = jobs("encoder simclr", "synth_hr no_such synth_rhythm")
    assert done.returncode == 1 and done.stderr.count("FAILED: ") == 2, done.stderr
    assert "FAILED: encoder on no_such" in done.stderr and "done: simclr on synth_rhythm" in done.stdout
    with open("jobs.csv", newline="") as file:
        rows = [(row["model_name"], row["task_name"]) for row in csv.DictReader(file)]
    assert rows == [(model, task) for model in ("encoder", "simclr") for task in ("synth_hr", "synth_rhythm")]
    assert jobs("encoder", "synth_hr").returncode == 0
