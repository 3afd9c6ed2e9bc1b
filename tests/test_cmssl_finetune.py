"""Fine-tuning and probes: what stays, what is learned, how it is judged, what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

from config import load_config, run_folder
from dataset.files.downstream import FolderWriter, Meta
from neural_methods import checkpoint
from neural_methods.checkpoint import WeightsError
from neural_methods.run import only_test, train_and_test
from neural_methods.trainer.finetune import FinetuneTrainer, channel_of
from tests.cmssl_tools import trained_encoder, trained_tokenizer

TASKS = {
    "regression": Meta("toy", 125.0, 250, ("ppg",), ("hr",), units={"hr": "bpm"}),
    "choice": Meta("toy", 125.0, 250, ("ppg",), ("rhythm",), "choice", classes=("slow", "fast", "faster")),
    "labels": Meta("toy", 125.0, 250, ("ppg",), ("low", "high", "never"), "labels"),
}
PEOPLE = {"train": 9, "val": 4, "test": 4}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The file of an encoder of the PPG."""
    return trained_encoder(tmp_path_factory.mktemp("encoder"))


def task(folder, kind, meta=None):
    """A folder of sines whose rate is the answer."""
    meta, random = meta or TASKS[kind], np.random.default_rng(0)
    time = np.arange(meta.window) / meta.rate
    with FolderWriter(folder, meta) as writer:
        for part, people in PEOPLE.items():
            for person in range(people):
                rates = random.uniform(50, 130, 6)
                waves = np.sin(2 * np.pi * rates[:, None] / 60 * time + random.uniform(0, 6, (6, 1)))
                labels = {
                    "regression": rates, "choice": np.digitize(rates, [75, 105]),
                    "labels": np.stack([rates < 80, rates > 100, np.zeros(6)], axis=1),
                }[meta.task]  # fmt: skip
                writer.add(part, f"{part}{person}", np.repeat(waves[:, None], len(meta.channels), 1), labels)
    return folder


def configured(folder, encoder, *changes):
    """The settings of a short run."""
    data = [f"{part}.DATA.DATA_PATH={folder / 'toy'}" for part in ("TRAIN", "VALID", "TEST")]
    small = ["TRAIN.EPOCHS=3", "TRAIN.BATCH_SIZE=9", "TRAIN.PLOT_LOSSES_AND_LR=False", "DEVICE=cpu", "NUM_WORKERS=0"]
    own = [f"MODEL.FINETUNE.PRETRAINED={encoder}", "MODEL.FINETUNE.LENGTH=250", f"LOG.PATH={folder / 'runs'}"]
    return load_config("configs/cmssl/finetune.yaml", [*data, *small, *own, *changes])


def trainer_of(folder, encoder, *changes):
    """The trainer alone."""
    return FinetuneTrainer(configured(folder, encoder, *changes), device="cpu")


@pytest.mark.parametrize("kind", list(TASKS))
def test_cmssl_every_kind_of_task_is_learned_and_judged(tmp_path, encoder, kind):
    """Weights of the best epoch are there, whichever way its score counts; the report has the kind's own numbers."""
    task(tmp_path / "toy", kind)
    config = configured(tmp_path, encoder, "TRAIN.LR=0.01")
    folder = train_and_test(config).parent
    progress = checkpoint.read_state(folder / "state.pth")["progress"]
    with open(folder / "history.csv", newline="") as file:
        scores = [float(row["validation"]) for row in csv.DictReader(file) if row["validation"]]
    assert len(scores) == 3 and progress["best_epoch"] == int(np.argmin(scores))
    assert next((tmp_path / "runs").rglob(f"*_Epoch{progress['best_epoch']}.pth")).is_file()
    ((name, content),) = json.loads((folder / "metrics.json").read_text())["heads"].items()
    assert content["kind"] == kind and content["tables"][0]["n"] == 24
    if kind == "labels":
        assert content["tables"][0]["ranked"] == 2  # `never` has windows of one kind only


def test_cmssl_targets_are_scaled_by_the_training_part_and_reported_in_their_unit(tmp_path, encoder):
    """Mean and spread are those of the training people, and travel with the weights."""
    task(tmp_path / "toy", "regression")
    config = configured(tmp_path, encoder)
    folder = run_folder(config)
    train_and_test(config)
    labels = np.load(tmp_path / "toy" / "train_labels.npy")
    state = checkpoint.read_weights(next((tmp_path / "runs").rglob("*_Epoch*.pth")))
    assert state["mean"].item() == pytest.approx(labels.mean(), rel=1e-5)
    assert state["spread"].item() == pytest.approx(labels.std(), rel=1e-5)
    with open(folder / "hr_per_clip.csv", newline="") as file:
        found = [float(row["predicted"]) for row in csv.DictReader(file)]
    assert 40 < np.mean(found) < 140


def test_cmssl_fine_tuned_weights_are_tested_without_the_pretrained_file(tmp_path, encoder):
    """They say what their backbone is; the predictions are those of the training's own test."""
    task(tmp_path / "toy", "regression")
    whole = train_and_test(configured(tmp_path, encoder)).parent
    path = next((tmp_path / "runs").rglob("*_Epoch*.pth"))
    changes = ("TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={path}", f"LOG.PATH={tmp_path / 'again'}")
    again = only_test(configured(tmp_path, "gone.pth", *changes)).parent
    assert predicted(again) == predicted(whole) and len(predicted(again)) == 24


def predicted(run):
    """What a run answered, window by window."""
    with open(run / "hr_per_clip.csv", newline="") as file:
        return [row["predicted"] for row in csv.DictReader(file)]


def test_cmssl_a_probe_leaves_the_backbone_alone(tmp_path, encoder):
    """The same bits after training, in eval mode during it; all of it trained, they move."""
    task(tmp_path / "toy", "regression")
    moved = {}
    for mode in ("linear_probing", "full_finetuning"):
        changes = (f"MODEL.FINETUNE.MODE={mode}", f"LOG.PATH={tmp_path / mode}", "MODEL.FINETUNE.LR_BACKBONE=0.01")
        train_and_test(configured(tmp_path, encoder, *changes))
        before = checkpoint.read_weights(encoder)
        after = checkpoint.read_weights(next((tmp_path / mode).rglob("*_Epoch*.pth")))
        kept = [torch.equal(before[key], after[f"backbone.{key}"]) for key in before if key.startswith("encoder.")]
        moved[mode] = not all(kept)
    assert moved == {"linear_probing": False, "full_finetuning": True}
    trainer = trainer_of(tmp_path, encoder, "MODEL.FINETUNE.MODE=linear_probing")
    assert trainer.frozen(network := trainer.build()) == [network.backbone]


def test_cmssl_random_weights_are_others_in_the_same_network(tmp_path, encoder):
    """INIT random takes the sizes of the file and none of its weights; without a file METHOD names the network."""
    task(tmp_path / "toy", "regression")
    first, second = (trainer_of(tmp_path, encoder, f"MODEL.FINETUNE.INIT={way}").start().backbone.state_dict()
                     for way in ("pretrained", "random"))  # fmt: skip
    assert {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in second.items()}
    assert not torch.equal(first["encoder.linear_projection.weight"], second["encoder.linear_projection.weight"])
    bare = trainer_of(tmp_path, "", "MODEL.FINETUNE.INIT=random", "MODEL.FINETUNE.METHOD=TokenEncoder")
    assert bare.base.width == 1024


def test_cmssl_windows_of_another_length_are_cut_or_padded_and_stretched_when_asked(tmp_path, encoder):
    """Half a window keeps its rate and ends with zeros; stretched it beats at half the rate."""
    meta = Meta("toy", 125.0, 125, ("ppg",), ("hr",))
    task(tmp_path / "toy", "regression", meta)
    wave = torch.sin(2 * torch.pi * 5 * torch.arange(125) / 125)[None, None]
    padded = trainer_of(tmp_path, encoder).prepare({"wave": wave})["waves"]
    assert padded.shape == (1, 250) and not padded[0, 125:].any() and padded[0, :125].std() > 0.9
    stretched = trainer_of(tmp_path, encoder, "MODEL.FINETUNE.RESIZE=stretch")
    waves = stretched.prepare({"wave": wave})["waves"][0]
    assert stretched.needs.inputs[0].fs is None and waves.shape == (250,)
    assert torch.fft.rfft(waves).abs().argmax() == 5 and torch.fft.rfft(padded[0]).abs().argmax() == 10


def test_cmssl_leads_are_found_by_their_name():
    """Lead II wherever it stands; a folder without it is refused."""
    meta = Meta("toy", 100.0, 1000, ("I", "II", "V1"), ("x",))
    assert channel_of(meta, "ii") == "II" and channel_of(Meta("t", 1.0, 1, ("ecg",), ("x",)), "II") == "ecg"
    with pytest.raises(ValueError, match="LEAD is 'V9'; the windows have I, II, V1"):
        channel_of(meta, "V9")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["MODEL.FINETUNE.INPUT_NORM=none"], "INPUT_NORM is 'none', but .* 'zscore'"),
        (["MODEL.FINETUNE.PRETRAINED=no.pth"], "No weights at 'no.pth'"),
        (["MODEL.FINETUNE.PRETRAINED="], "PRETRAINED names no file"),
        (["MODEL.FINETUNE.TARGETS=['sbp']"], "no label 'sbp'"),
        (["MODEL.FINETUNE.DROPOUT=1.0"], "DROPOUT is 1, but must be from 0 to below 1"),
        (["MODEL.FINETUNE.MODE=probing"], "MODE is 'probing', but must be one of"),
    ],
)
def test_cmssl_fine_tuning_refuses_what_does_not_fit(tmp_path, encoder, changes, said):
    """By key or by file, before anything is trained."""
    task(tmp_path / "toy", "regression")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        trainer_of(tmp_path, encoder, *changes)


def test_cmssl_dropout_is_that_of_the_method_or_as_asked(tmp_path, encoder):
    """0: the same features in training as in testing; else two passes differ."""
    task(tmp_path / "toy", "regression")
    waves = torch.randn(4, 250)
    alike = {}
    for dropout in (-1.0, 0.0):
        network = trainer_of(tmp_path, encoder, f"MODEL.FINETUNE.DROPOUT={dropout}").start().train()
        alike[dropout] = torch.equal(network(waves), network(waves))
    assert alike == {-1.0: False, 0.0: True}


def test_cmssl_weights_without_a_backbone_are_refused(tmp_path, encoder):
    """Those of a tokenizer, of another network under the method's name, and of an encoder that is not whole."""
    task(tmp_path / "toy", "regression")
    with pytest.raises(WeightsError, match="weights of Tokenizer, which leaves no backbone"):
        trainer_of(tmp_path, trained_tokenizer(tmp_path / "tokenizer"))
    state, said = checkpoint.read_weights(encoder), checkpoint.read_sidecar(encoder)
    state = {key: value for key, value in state.items() if key != "encoder.layers.0.norm1.weight"}
    checkpoint.write_state(tmp_path / "cut.pth", {"model": state, "sidecar": said})
    with pytest.raises(WeightsError, match="1 missing .'encoder.layers.0.norm1.weight'"):
        trainer_of(tmp_path, tmp_path / "cut.pth").start()


def test_cmssl_another_signal_than_in_pretraining_is_said(tmp_path, encoder):
    """An encoder of the PPG on an ECG works, and the run says what it is."""
    meta = Meta("toy", 125.0, 250, ("ecg",), ("hr",))
    task(tmp_path / "toy", "regression", meta)
    assert trainer_of(tmp_path, encoder).notes == ("the backbone was trained on ppg, the windows are ecg.",)


def test_cmssl_fine_tuned_heads_have_the_published_shape():
    """Half the width, GELU, outputs; or one layer."""
    from neural_methods.model.fine_tuned import FineTuned

    network = FineTuned(nn.Identity(), 8, 3)
    assert [type(part) for part in network.head] == [nn.Linear, nn.GELU, nn.Linear]
    assert network.head[0].out_features == 4 and network(torch.zeros(2, 8)).shape == (2, 3)
    assert isinstance(FineTuned(nn.Identity(), 8, 3, "linear").head, nn.Linear)
