"""The training loop: what it writes, which epoch it chooses, what it does with bad gradients, several processes."""

import functools
import math
import os
import shlex
import subprocess
import sys

import pytest
import torch
from torch import nn

from evaluation.kinds import check_heads
from neural_methods import run
from neural_methods.checkpoint import read_sidecar
from neural_methods.history import History
from neural_methods.settings import choose_device
from neural_methods.trainer.base import Needs, Trainer
from neural_methods.training import gradient_norm
from registry import METHODS
from tests.conftest import ROOT
from tests.trainer_tools import ToyClips, tiny_config


class Small(Trainer):
    """A weighted sum of channels with a bias, trained on the mean squared error."""

    def build_model(self):
        """One convolution over time."""
        return nn.Conv1d(3, 1, 3, padding=1)

    def predict(self, model, batch):
        """(B, T) from the mean colour."""
        return {"ppg": model(batch["video"].mean(dim=(3, 4))).squeeze(1)}

    def loss(self, outputs, batch, epoch):
        """Mean squared error and its root."""
        loss = ((outputs["ppg"] - batch["ppg"]) ** 2).mean()
        return {"loss": loss, "root": loss.detach().sqrt(), "epoch weight": float(epoch)}


def _small(folder, **changes):
    return Small(tiny_config("Small", folder / "models", **changes))


def _weights(folder, epoch=None):
    files = sorted((folder / "models").glob("*.pth"))
    return torch.load(files[-1] if epoch is None else folder / "models" / f"tiny_Epoch{epoch}.pth", weights_only=True)


def _scored(trainer, scores):
    """Let the validation score of epoch k be scores[k]."""
    remaining = iter(scores)
    trainer.validation_score = lambda rows: next(remaining)
    return trainer


def test_leaves_checkpoints_history_and_plots(tmp_path):
    """Files of rPPG-Toolbox's names, a sidecar each, one row per update, PDF and PNG curves, TensorBoard events."""
    trainer = _small(tmp_path, TRAIN__PLOT_LOSSES_AND_LR=True, VALID__MONITOR=True)
    fitted = trainer.fit(ToyClips(n=5), ToyClips(n=2), tmp_path / "run", plots=tmp_path / "plots")
    names = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert names == ["tiny_Epoch0.json", "tiny_Epoch0.pth", "tiny_Epoch1.json", "tiny_Epoch1.pth"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "tiny_learning_rates.pdf",
        "tiny_learning_rates.png",
        "tiny_losses.pdf",
        "tiny_losses.png",
    ]
    header, *rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert header.startswith("epoch,update,samples,loss,root,epoch weight,lr,seconds,skipped,validation")
    assert len(rows) == 6
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert fitted.epoch == 1 and fitted.path.name == "tiny_Epoch1.pth"
    assert read_sidecar(fitted.path)["method"] == "Small"


def test_best_epoch_is_the_strictly_lowest_and_never_nan(tmp_path, capsys):
    """NaN in the first epoch does not freeze the choice; equal values keep the earlier epoch."""
    trainer = _scored(
        _small(tmp_path, TRAIN__EPOCHS=5, TEST__USE_LAST_EPOCH=False), [math.nan, 3.0, 2.0, 2.0, math.nan]
    )
    fitted = trainer.fit(ToyClips(), ToyClips(), tmp_path / "run")
    assert fitted.epoch == fitted.best_epoch == 2
    said = capsys.readouterr().out
    assert "validation loss:  3.0" in said
    assert "Update best model! Best epoch: 2" in said
    assert "best trained epoch: 2, min_val_loss: 2.0" in said


def test_no_finite_validation_is_an_error(tmp_path):
    """With NaN in every epoch there is no best one, and the message says what to do."""
    trainer = _scored(_small(tmp_path, TEST__USE_LAST_EPOCH=False), [math.nan] * 2)
    with pytest.raises(ValueError, match="USE_LAST_EPOCH: True"):
        trainer.fit(ToyClips(), ToyClips(), tmp_path / "run")


def test_best_epoch_is_refused_when_validation_is_the_test_set(tmp_path):
    """The reason is repeated; with the last epoch the same data may be monitored."""
    with pytest.raises(ValueError, match="VALID and TEST share.*choose by the test set"):
        _small(tmp_path, TEST__USE_LAST_EPOCH=False).fit(ToyClips(), ToyClips(), refuse_best="VALID and TEST share s1.")
    monitored = _scored(_small(tmp_path, VALID__MONITOR=True), [1.0, 2.0])
    fitted = monitored.fit(ToyClips(), ToyClips(), tmp_path / "run", refuse_best="VALID and TEST share s1.")
    assert fitted.epoch == 1 and fitted.best_epoch == 0


def test_early_stopping_counts_epochs_without_gain(tmp_path):
    """Two epochs without a lower value end the training."""
    changes = {"TRAIN__EPOCHS": 9, "TRAIN__EARLY_STOPPING": 2, "TEST__USE_LAST_EPOCH": False}
    trainer = _scored(_small(tmp_path, **changes), [3.0, 1.0, 2.0, 1.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    fitted = trainer.fit(ToyClips(), ToyClips(), tmp_path / "run")
    assert fitted.epoch == 1
    assert len(list((tmp_path / "models").glob("*.pth"))) == 4


def test_last_and_best_checkpoints_are_kept(tmp_path):
    """KEEP_CHECKPOINTS: last_and_best removes the others with their sidecars."""
    changes = {"TRAIN__EPOCHS": 4, "TRAIN__KEEP_CHECKPOINTS": "last_and_best", "TEST__USE_LAST_EPOCH": False}
    _scored(_small(tmp_path, **changes), [3.0, 1.0, 2.0, 2.0]).fit(ToyClips(), ToyClips(), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [
        "tiny_Epoch1.json",
        "tiny_Epoch1.pth",
        "tiny_Epoch3.json",
        "tiny_Epoch3.pth",
    ]


@pytest.mark.parametrize("amp", ["", "bf16", "fp16"])
def test_update_with_a_bad_gradient_is_left_out(tmp_path, capsys, amp):
    """A NaN loss changes no weight; it is counted, said and written down, and training goes on."""
    trainer = _small(tmp_path, TRAIN__AMP=amp, TRAIN__EPOCHS=1)
    honest, calls = trainer.loss, []

    def loss(outputs, batch, epoch):
        calls.append(0)
        found = honest(outputs, batch, epoch)
        return {"loss": found["loss"] * math.nan} if len(calls) == 2 else {"loss": found["loss"]}

    trainer.loss = loss
    trainer.fit(ToyClips(n=6), folder=tmp_path / "run")
    rows = History(tmp_path / "run")
    rows.open(9, 0)
    skipped = [row["skipped"] for row in rows.rows]
    assert skipped[1] == 1 and skipped[2] == 0
    assert amp == "fp16" or skipped[0] == 0  # float16 first has to find a scale without overflow
    assert f"{sum(skipped)} updates were left out" in capsys.readouterr().out
    assert all(torch.isfinite(value).all() for value in _weights(tmp_path).values())


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_trains(tmp_path, amp):
    """Autocast on the CPU: finite losses in float32, weights in float32, close to full precision."""
    losses = {}
    for kind in ("", amp):
        folder = tmp_path / (kind or "full")
        _small(folder, TRAIN__AMP=kind).fit(ToyClips(), folder=folder / "run")
        history = History(folder / "run")
        history.open(9, 0)
        losses[kind] = history.epoch_losses()
        assert {value.dtype for value in _weights(folder).values()} == {torch.float32}
    assert losses[amp] == pytest.approx(losses[""], rel=0.02)


def test_compiled_training_saves_the_plain_weights(tmp_path, monkeypatch):
    """TRAIN.COMPILE: the same weights under the same names (traced, but without the C++ compiler CI may lack)."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        _small(folder, TRAIN__COMPILE=compiled).fit(ToyClips(), folder=folder / "run")
    plain, traced = _weights(tmp_path / "False"), _weights(tmp_path / "True")
    assert plain.keys() == traced.keys()
    assert all(torch.allclose(plain[key], traced[key], rtol=1e-5, atol=1e-7) for key in plain)


def test_gradient_is_clipped_to_the_limit():
    """The norm returned is that before clipping; afterwards it is the limit."""
    network = nn.Linear(4, 4)
    network(torch.ones(2, 4)).square().sum().backward()
    before = gradient_norm(network)
    assert gradient_norm(network, limit=0.1).item() == pytest.approx(before.item())
    assert gradient_norm(network).item() == pytest.approx(0.1, rel=1e-4)


def test_average_of_weights_is_what_is_saved(tmp_path):
    """With a decay near one the saved weights stay near the first ones while the trained ones move."""
    first = _small(tmp_path).build().state_dict()
    moved = {}
    for decay in (0.0, 0.999):
        folder = tmp_path / str(decay)
        _small(folder, TRAIN__EMA=decay, TRAIN__LR=0.1).fit(ToyClips(), folder=folder / "run")
        moved[decay] = (_weights(folder)["weight"] - first["weight"]).norm()
    assert 0 < moved[0.999] < 0.05 * moved[0.0]


def test_seed_decides_and_global_random_numbers_are_left_alone(tmp_path):
    """Same seed, same weights; another seed, others; torch's own generator is where it was."""
    results = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        torch.manual_seed(number)
        before = torch.get_rng_state()
        _small(folder, SEED=seed).fit(ToyClips(), folder=folder / "run")
        assert torch.equal(torch.get_rng_state(), before)
        results.append(_weights(folder)["weight"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_reading_processes_change_nothing(tmp_path):
    """The same weights with a loader process as without."""
    for workers in (0, 1):
        folder = tmp_path / str(workers)
        _small(folder, NUM_WORKERS=workers, VALID__MONITOR=True).fit(ToyClips(), ToyClips(n=2), folder / "run")
    assert torch.equal(_weights(tmp_path / "0")["weight"], _weights(tmp_path / "1")["weight"])


def test_start_says_parameters_and_batch(tmp_path, capsys):
    """Parameters and effective batch."""
    _small(tmp_path).fit(ToyClips(n=5), folder=tmp_path / "run")
    said = capsys.readouterr().out
    assert "Small: 10 parameters, 10 of them trained, on cpu" in said
    assert "effective batch 2 (2 x 1), 3 updates per epoch" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_that_the_gpu_is_not_there_is_said_once(tmp_path, capsys, monkeypatch):
    """By whoever comes first: the run, before its data are read, or a training that is started alone."""
    monkeypatch.setitem(METHODS._entries, "Small", ("Small", Small))
    config = tiny_config("Small", tmp_path, DEVICE="cuda:0")
    for make in (run.make_trainer, Small):
        make(config).fit(ToyClips(n=3), folder=tmp_path / "run", restart=True)
        assert capsys.readouterr().out.count("torch sees no CUDA device") == 1


def test_the_line_for_several_gpus_can_be_pasted():
    """File names of rPPG-Toolbox hold a space, settings hold brackets."""
    words = ["main.py", "--config_file", "a/PURE_PHYSFORMER_BASIC .yaml", "TEST.METRICS=['MAE']"]
    assert shlex.split(run.torchrun_line(4, words)) == ["torchrun", "--nproc_per_node=4", *words]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda_runs_on_the_cpu_and_says_so():
    """cuda:0 falls back with a sentence; auto and cpu are silent."""
    device, note = choose_device("cuda:0")
    assert device.type == "cpu" and "DEVICE is 'cuda:0'" in note
    assert choose_device("auto") == choose_device("cpu") == (torch.device("cpu"), "")


@pytest.mark.parametrize(
    ("needs", "changes", "words"),
    [
        (Needs(channels=6), {}, "DATA_TYPE"),
        (Needs(square=True), {"TRAIN__DATA__PREPROCESS__RESIZE__W": 20}, "W and H alike"),
        (Needs(sizes=(36, 72)), {}, "RESIZE.H is 16"),
    ],
)
def test_needs_are_checked_before_the_start(tmp_path, needs, changes, words):
    """Channels, shape and size that a method cannot take are errors that name the key."""
    trainer = _small(tmp_path, **changes)
    trainer.needs = needs
    with pytest.raises(ValueError, match=words):
        trainer.check_needs()


def test_no_clips_is_an_error_that_names_the_keys(tmp_path):
    """Nothing to train on, or nothing to validate on."""
    with pytest.raises(ValueError, match="TRAIN.DATA"):
        _small(tmp_path).fit(ToyClips(n=0))
    with pytest.raises(ValueError, match="VALID.DATA"):
        _small(tmp_path, VALID__MONITOR=True).fit(ToyClips())


def test_predictions_come_by_recording_and_clip(tmp_path):
    """Every clip once, clips in the order of their numbers, with its label."""
    trainer, clips = _small(tmp_path), ToyClips(n=5)
    predictions = trainer.predictions(trainer.build(), clips)
    assert {name: list(parts) for name, parts in predictions.items()} == {"r0": [0, 1], "r1": [0, 1], "r2": [0]}
    assert (predictions["r1"][1]["label"] == clips.labels[3]).all()
    assert predictions["r1"][1]["ppg"].shape == (16,)


def test_all_registered_methods_say_what_they_are():
    """Every method declares heads that can be evaluated, and a signal to learn from; of pairs, the heart's is any."""
    for name in (name for name in METHODS.names() if METHODS[name].__module__.startswith("neural_methods.")):
        if not METHODS[name].heads and not METHODS[name].needs.signals:
            continue  # learns from signals alone, in mode train
        check_heads(METHODS[name].heads, name)
        assert METHODS[name].needs.signals or set(METHODS[name].heads.values()) == {"pair"}


CHILD = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.test_accumulation import Smooth
from tests.trainer_tools import ToyClips, tiny_config
from neural_methods import distributed
folder = Path(sys.argv[1])
config = tiny_config("Smooth", folder / "models", TRAIN__BATCH_SIZE=2, TRAIN__ACCUMULATION_STEPS=2, VALID__MONITOR=True)
trainer = Smooth(config)
fitted = trainer.fit(ToyClips(n=7), ToyClips(n=3, seed=1), folder / "run")
predictions = trainer.predictions(trainer.load(fitted.path), ToyClips(n=5))
if distributed.is_main():
    counts = {name: sorted(clips) for name, clips in predictions.items()}
    (folder / "counts.json").write_text(json.dumps([distributed.size(), counts]))
distributed.stop()
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """torchrun with two processes: weights of a single process to 1e-6 (ragged batches too), each clip tested once."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    for folder, command in {"one": [sys.executable], "two": torchrun}.items():
        (tmp_path / folder).mkdir()
        done = subprocess.run(
            [*command, str(script), str(tmp_path / folder)], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = _weights(tmp_path / "one"), _weights(tmp_path / "two")
    assert all(torch.allclose(one[key], two[key], rtol=1e-6, atol=1e-9) for key in one)
    assert (tmp_path / "two" / "counts.json").read_text() == '[2, {"r0": [0, 1], "r1": [0, 1], "r2": [0]}]'
    columns = ("loss", "validation")
    histories = [History(tmp_path / folder / "run") for folder in ("one", "two")]
    for history in histories:
        history.open(9, 0)
    for first, second in zip(histories[0].rows, histories[1].rows, strict=True):
        assert all(first[name] == pytest.approx(second[name], rel=1e-6) for name in columns if first[name] != "")
