"""Pre-training of CM-SSL in the one loop: the teacher, kills, checkpoints, what a stage refuses."""

import shutil

import pytest
import torch

from neural_methods import checkpoint
from neural_methods.backbones import load_backbone, open_backbone
from neural_methods.checkpoint import WeightsError
from neural_methods.model import tokenizer as networks
from neural_methods.teachers import open_teacher, sign_of
from neural_methods.training import Training
from tests.cmssl_tools import Waves, files, make, original_file, trained_tokenizer


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The file of a trained tokenizer."""
    return trained_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def tokens_of(trainer, network, waves):
    """Tokens that the network in a trainer gives in training, dropout and all."""
    batch = trainer.prepare({"waves": waves})
    network.train()
    for part in trainer.frozen(network):
        part.eval()
    return trainer.predict(network, batch)["tokens"].long()


# --- The teacher -----------------------------------------------------------------------------------------------------


def test_cmssl_teacher_says_the_tokens_of_the_tokenizer(tmp_path, tokenizer):
    """All of them, though the encoder trains: no dropout, the projection in its place."""
    first, second = make("Tokenizer", tmp_path), make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer)})
    waves = Waves(500, seed=5).waves
    owner = first.load(tokenizer).eval()
    expected = first.predict(owner, first.prepare({"waves": waves}))["tokens"]
    found = tokens_of(second, second.start(), waves)
    assert torch.equal(found, expected) and len(found.unique()) > 1


def test_cmssl_teacher_without_its_projection_is_noticed(tmp_path, tokenizer, monkeypatch):
    """CM-SSL's fault: quantised before the projection, most tokens are others, and its file lacks the entries."""
    trainer = make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer)})
    network = trainer.start()
    waves = Waves(100, seed=6).waves
    expected = tokens_of(trainer, network, waves)
    network.tokenizer.proj = torch.nn.Linear(16, 8)
    assert (tokens_of(trainer, network, waves) != expected).float().mean() > 0.1
    state = {key: value for key, value in checkpoint.read_weights(tokenizer).items() if not key.startswith("proj.")}
    bare = tmp_path / "bare.pth"
    checkpoint.write_state(bare, {"model": state, "sidecar": checkpoint.read_sidecar(tokenizer)})
    with pytest.raises(WeightsError, match="2 missing .'proj.weight'"):
        make("TokenEncoder", tmp_path, {"TOKENIZER": str(bare)}).start()


def test_cmssl_teacher_keeps_its_bits(tmp_path, tokenizer):
    """Codes, sizes, sums and layers after a training of the encoder are those of before."""
    trainer = make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer)}, TRAIN__LR=1e-2)
    fitted = trainer.fit(Waves(), folder=tmp_path / "run")
    before, after = checkpoint.read_weights(tokenizer), checkpoint.read_weights(fitted.path)
    taught = {key.removeprefix("tokenizer."): value for key, value in after.items() if key.startswith("tokenizer.")}
    assert taught and all(torch.equal(before[key], value) for key, value in taught.items())


@pytest.mark.parametrize("taught", [["ecg", "ppg"], ["ecg"], ["ppg"]])
@pytest.mark.parametrize("student", ["ecg", "ppg"])
def test_cmssl_every_teacher_can_teach_every_student(tmp_path, taught, student):
    """ECG comes first wherever there are both; each sees its own channels and no others."""
    path = trained_tokenizer(tmp_path, {"CHANNELS": taught})
    trainer = make("TokenEncoder", tmp_path, {"TOKENIZER": str(path), "CHANNEL": student})
    (needed,) = trainer.needs.inputs
    numbers = {"ecg": 1.0, "ppg": 2.0}
    ramp = torch.linspace(0, 1, 250) ** 2
    waves = torch.stack([ramp * numbers[name] + numbers[name] for name in needed.streams])[None]
    trainer.own.defrost()
    trainer.own.INPUT_NORM = "none"
    batch = trainer.prepare({"waves": waves})
    assert batch["seen"][0, 0, 0] == numbers[student]
    assert batch["taught"][0, 0, :, 0].tolist() == [numbers[name] for name in taught]
    assert batch["taught"].shape == (1, 2, len(taught), 125)


# --- Kills and files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Tokenizer", "TokenEncoder"])
def test_cmssl_a_killed_training_ends_with_the_same_bits(name, tmp_path, tokenizer, monkeypatch):
    """Moving averages, counts of idle codes and the history's health included; codes start anew on the way."""
    own = {"DEAD_AFTER": 2} if name == "Tokenizer" else {"TOKENIZER": str(tokenizer), "MASK_RATIO": 0.5}
    changes = {"TRAIN__STATE_EVERY": 1, "VALID__MONITOR": True}
    parts = {one: tmp_path / one for one in ("whole", "killed")}
    make(name, parts["whole"], own, **changes).fit(Waves(), Waves(4), parts["whole"] / "run")
    step, calls = Training._step, []

    def once(self, session):
        calls.append(0)
        if len(calls) > 4:
            raise Killed
        return step(self, session)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", once)
        with pytest.raises(Killed):
            make(name, parts["killed"], own, **changes).fit(Waves(), Waves(4), parts["killed"] / "run")
    make(name, parts["killed"], own, **changes).fit(Waves(), Waves(4), parts["killed"] / "run")
    assert files(parts["killed"]) == files(parts["whole"])
    lines = [
        [line.split(",") for line in (part / "run" / "history.csv").read_text().splitlines()] for part in parts.values()
    ]
    seconds = lines[0][0].index("seconds")
    assert [[*a[:seconds], *a[seconds + 1 :]] for a in lines[0]] == [
        [*a[:seconds], *a[seconds + 1 :]] for a in lines[1]
    ]


def test_cmssl_checkpoints_say_what_they_are(tmp_path, tokenizer):
    """One file: channels, normalisation and sizes; of an encoder also who taught it. Nothing else is needed."""
    own = checkpoint.read_sidecar(tokenizer)["options"]["TOKENIZER"]
    assert own["CHANNELS"] == ["ecg", "ppg"] and own["INPUT_NORM"] == "zscore" and own["CODES"] == 12
    fitted = make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer)}).fit(Waves(), folder=tmp_path / "run")
    checkpoint.write_bundle(tmp_path / "encoder.pth", fitted.path, {})
    said = checkpoint.read_sidecar(tmp_path / "encoder.pth")
    teacher = open_teacher(tokenizer)
    network = teacher.build()
    teacher.load(network)
    assert said["teacher"] == {"channels": ["ecg", "ppg"], "sign": sign_of(network)}
    alone = tmp_path / "alone" / "encoder.pth"
    alone.parent.mkdir()
    shutil.move(tmp_path / "encoder.pth", alone)
    backbone, _ = open_backbone(alone)
    load_backbone(backbone, alone)
    assert (backbone.channel, backbone.norm) == ("ppg", "zscore")
    assert backbone.network.eval()(torch.randn(3, 250)).shape == (3, backbone.width)


def test_cmssl_collapse_is_reported_and_the_training_goes_on(tmp_path, capsys):
    """One code for everything: the run says so, ends, and its history has the perplexity."""
    trainer = make("Tokenizer", tmp_path, {"KMEANS": False, "DEAD_AFTER": 0, "INPUT_NORM": "none"})
    still = Waves()
    still.waves.zero_()
    trainer.fit(still, folder=tmp_path / "run")
    said = "The vocabulary has collapsed (perplexity 1.00 of 12 codes)"
    assert f"Warning: {said}" in capsys.readouterr().out
    assert f"**{said}" in (tmp_path / "run" / "training.md").read_text()
    assert "codes/perplexity" in (tmp_path / "run" / "history.csv").read_text()


def test_cmssl_use_of_every_code_in_validation_is_left(tmp_path):
    """Exact counts: two patches of each of four windows."""
    make("Tokenizer", tmp_path, VALID__MONITOR=True).fit(Waves(), Waves(4, seed=1), tmp_path / "run")
    lines = (tmp_path / "run" / "code_use.csv").read_text().splitlines()[1:]
    assert len(lines) == 12 and sum(int(line.split(",")[1]) for line in lines) == 8


def test_cmssl_commitment_is_recorded_by_itself(tmp_path):
    """Its term is not the total, and the total is made of the terms."""
    trainer = make("Tokenizer", tmp_path, {"ECG_WEIGHT": 2.0, "PPG_WEIGHT": 3.0, "BETA": 0.5})
    batch = trainer.prepare({"waves": Waves().waves})
    terms = trainer.loss(trainer.predict(trainer.build().eval(), batch), batch, 0)
    expected = 2 * terms["ecg"] + 3 * terms["ppg"] + 0.5 * terms["commitment"]
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["commitment"] < terms["loss"]


def test_cmssl_a_token_is_right_when_its_score_is_the_best_or_among_five(tmp_path, tokenizer):
    """As sorted scores say, window by window; scores that are no numbers are never right."""
    trainer = make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer)})
    scores, tokens = torch.randn(6, 2, 12), torch.randint(12, (6, 2))
    outputs = {"scores": scores, "tokens": tokens.double(), "judged": torch.ones(6, 2).double()}
    found = trainer.loss(outputs, {}, 0)
    best = scores.topk(5, dim=-1).indices == tokens[..., None]
    assert found["top1"] == best[..., 0].double().mean() and found["top5"] == best.any(-1).double().mean()
    assert trainer.loss({**outputs, "scores": torch.full_like(scores, torch.nan)}, {}, 0)["top5"] == 0


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"INPUT_NORM": "none"}, "INPUT_NORM is 'none', but the tokenizer .* 'zscore'"),
        ({"PATCH": 50}, "PATCH is 50, the tokenizer .* 125"),
        ({"TOKENIZER": "none.pth"}, "No tokenizer at 'none.pth'"),
        ({"TOKENIZER": ""}, "TOKENIZER names no file"),
        ({"CHANNEL": "abp"}, "CHANNEL is 'abp'"),
        ({"TEACHER_CHANNEL": "ecg"}, "TEACHER_CHANNEL is ecg, but the tokenizer .* reads ecg and ppg"),
        ({"LOSS_ON": "masked"}, "needs a MASK_RATIO"),
        ({"MASK_RATIO": 1.0}, "from 0 to below 1"),
    ],
)
def test_cmssl_an_encoder_refuses_what_does_not_fit_its_teacher(tmp_path, tokenizer, own, said):
    """By a sentence that names the key or the file."""
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        make("TokenEncoder", tmp_path, {"TOKENIZER": str(tokenizer), **own})


def test_cmssl_another_teacher_under_the_same_name_stops_a_training(tmp_path, tokenizer):
    """A training that goes on compares the content, not the path."""
    path = shutil.copy(tokenizer, tmp_path / "teacher.pth")
    make("TokenEncoder", tmp_path, {"TOKENIZER": str(path)}, TRAIN__EPOCHS=2).fit(Waves(), folder=tmp_path / "run")
    state = checkpoint.read_state(tmp_path / "run" / "state.pth")
    state["progress"] |= {"epoch": 1, "finished": False}
    checkpoint.write_state(tmp_path / "run" / "state.pth", state)
    other = checkpoint.read_weights(path)
    other["proj.bias"] = other["proj.bias"] + 1
    checkpoint.write_state(path, {"model": other, "sidecar": checkpoint.read_sidecar(tokenizer)})
    with pytest.raises(ValueError, match="begun with another tokenizer"):
        make("TokenEncoder", tmp_path, {"TOKENIZER": str(path)}).fit(Waves(), folder=tmp_path / "run")


@pytest.mark.parametrize("channels", [["ppg", "ecg"], [], ["eeg"]])
def test_cmssl_channels_are_ecg_and_ppg_in_this_order(tmp_path, channels):
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"CHANNELS is .* must be \[ecg, ppg\]"):
        make("Tokenizer", tmp_path, {"CHANNELS": channels})


def test_cmssl_averaged_weights_are_refused_for_codes(tmp_path):
    """An average of two unit codes is none."""
    with pytest.raises(ValueError, match="set TRAIN.EMA: 0"):
        make("Tokenizer", tmp_path, TRAIN__EMA=0.9)


# --- Files of CM-SSL -------------------------------------------------------------------------------------------------


def test_cmssl_original_checkpoint_loads_whole(tmp_path):
    """No entry is missing and none is over, in the tokenizer and in the teacher; tokens of 1,000 windows are equal."""
    owner = original_file(tmp_path / "original.ckpt")
    state = checkpoint.read_weights(tmp_path / "original.ckpt")
    network = networks.JointTokenizer(width=32, heads=8, layers=2, codes=40, code_width=16, kmeans=False)
    network.load_state_dict(state, strict=True)
    teacher = open_teacher(tmp_path / "original.ckpt")
    taught = teacher.build().eval()
    teacher.load(taught)
    patches = torch.randn(1000, 10, 2, 125)
    with torch.no_grad():
        expected = owner.tokens(patches)
        assert torch.equal(network.eval().tokens(patches), expected) and torch.equal(taught.tokens(patches), expected)
    assert (teacher.channels, teacher.norm) == (("ecg", "ppg"), "none") and len(expected.unique()) > 1


def test_cmssl_original_checkpoint_is_loaded_by_the_trainer(tmp_path):
    """As MODEL.WEIGHTS and to test."""
    original_file(tmp_path / "original.ckpt")
    own = {"WIDTH": 32, "HEADS": 8, "LAYERS": 2, "CODES": 40, "CODE_WIDTH": 16, "DECODER_HEADS": 4, "DECODER_LAYERS": 2}
    trainer = make("Tokenizer", tmp_path, own, MODEL__WEIGHTS=str(tmp_path / "original.ckpt"))
    assert bool(trainer.start().quantizer.embedding.initted)
    original_file(tmp_path / "bare.ckpt", drop="proj.")
    with pytest.raises(WeightsError, match="2 entries are missing"):
        make("Tokenizer", tmp_path, own).load(tmp_path / "bare.ckpt")
