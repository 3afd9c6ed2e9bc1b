"""The hooks of a trainer: frozen parts, data drawn anew, weights of another method, learning without labels."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from neural_methods import needs
from neural_methods.batches import clip_lengths, evaluation_plan, seed_of
from neural_methods.checkpoint import WeightsError, write_weights
from neural_methods.needs import Needs
from neural_methods.trainer.base import Trainer
from neural_methods.training import Training
from tests.trainer_tools import ToyClips, tiny_config


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


class Encoded(Trainer):
    """An encoder with batch norm and dropout, and a head, on the mean colour."""

    needs = Needs(channels=3)
    optimizer = torch.optim.Adam
    weight_decay = 0.1

    def build_model(self):
        """Encoder (B, 3, T) -> (B, 4, T) and head -> (B, 1, T)."""
        encoder = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.Dropout(0.5))
        return nn.ModuleDict({"encoder": encoder, "head": nn.Conv1d(4, 1, 1)})

    def predict(self, model, batch):
        """The wave (B, T)."""
        return {"ppg": model["head"](model["encoder"](batch["video"].mean(dim=(3, 4)))).squeeze(1)}

    def loss(self, outputs, batch, epoch):
        """Mean squared error."""
        return {"loss": ((outputs["ppg"] - batch["ppg"]) ** 2).mean()}


class FrozenEncoder(Encoded):
    """The same, its encoder left alone."""

    def frozen(self, network):
        """The encoder."""
        return [network["encoder"]]


class Masked(Encoded):
    """Learns without labels to give the mean colour back from its encoding."""

    needs = Needs(signals=())
    heads = {}

    def build_model(self):
        """The encoder and a decoder -> (B, 3, T)."""
        network = super().build_model()
        return nn.ModuleDict({"encoder": network["encoder"], "decoder": nn.Conv1d(4, 3, 1)})

    def predict(self, model, batch):
        """The colour (B, 3, T)."""
        colour = batch["video"].mean(dim=(3, 4))
        return {"colour": model["decoder"](model["encoder"](colour))}

    def loss(self, outputs, batch, epoch):
        """Mean squared difference."""
        return {"loss": ((outputs["colour"] - batch["video"].mean(dim=(3, 4))) ** 2).mean()}


class Started(FrozenEncoder):
    """Takes the encoder of another method."""

    def initial_weights(self, state):
        """All but its decoder; the head starts fresh."""
        return {key: value for key, value in state.items() if not key.startswith("decoder.")}, ["head.*"]


class Unlabelled(Dataset):
    """Clips without a label; with `video` False they hold a signal (C, L) alone."""

    def __init__(self, n: int = 6, video: bool = True):
        """`n` clips."""
        self.clips = ToyClips(n)
        self.video = video

    def __len__(self):
        """Number of clips."""
        return len(self.clips)

    def __getitem__(self, index):
        """A clip by number."""
        sample = self.clips[int(index)]
        kept = {name: sample[name] for name in ("recording", "subject", "clip", "fs")}
        return {**kept, **({"video_float": sample["video_float"]} if self.video else {"ecg": sample["ppg"][None]})}


class Pairs(Dataset):
    """Each clip with another one, drawn anew in every epoch."""

    def __init__(self, clips, seed):
        """Pairs of `clips`."""
        self.clips, self.seed = clips, seed

    def __len__(self):
        """As many as there are clips."""
        return len(self.clips)

    def __getitem__(self, ask):
        """The clip and its partner of this epoch; `partner` says who is whose."""
        other = seed_of(self.seed, ask.epoch, ask) % len(self.clips)
        return {**self.clips[ask], "other": self.clips[other]["ppg"], "partner": other * 6 ** int(ask)}


class Paired(Encoded):
    """Its loss compares a clip with its partner."""

    def data(self, clips, section):
        """Pairs in every section."""
        return Pairs(clips, self.settings.seed)

    def loss(self, outputs, batch, epoch):
        """Near to its own label, far from its partner's."""
        own, other = (((outputs["ppg"] - batch[name]) ** 2).mean() for name in ("ppg", "other"))
        return {"loss": own - 0.1 * other, "partners": batch["partner"].double().mean()}


def _make(kind, folder: Path, **changes):
    return kind(tiny_config(kind.__name__, folder / "models", **changes))


def _state(folder: Path, epoch: int = 1) -> dict[str, torch.Tensor]:
    return torch.load(folder / "models" / f"tiny_Epoch{epoch}.pth", weights_only=True)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


def _killed(kind, folder: Path, clips, monkeypatch, at: int, **changes) -> None:
    """Train until the update `at`, which is not made."""
    original, calls = Training._step, []

    def step(self, session):
        calls.append(0)
        if len(calls) > at:
            raise Killed
        return original(self, session)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", step)
        with pytest.raises(Killed):
            _make(kind, folder, TRAIN__STATE_EVERY=1, **changes).fit(clips, folder=folder / "run")


# --- Frozen parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"TRAIN__EMA": 0.9}, {"TRAIN__CLIP_GRAD": 0.1, "VALID__MONITOR": True}])
def test_frozen_part_keeps_its_bits_and_the_rest_learns(tmp_path, settings):
    """Weights and batch statistics are those of the start, whatever the settings; without the hook they move."""
    for kind in (FrozenEncoder, Encoded):
        folder = tmp_path / kind.__name__
        trainer = _make(kind, folder, **settings)
        first = {key: value.clone() for key, value in trainer.build().state_dict().items()}
        trainer.fit(ToyClips(), ToyClips(n=2), folder / "run")
        last = _state(folder)
        same = {key for key in first if torch.equal(first[key], last[key])}
        encoder = {key for key in first if key.startswith("encoder.")}
        assert same == (encoder if kind is FrozenEncoder else set())


def test_frozen_part_is_in_eval_mode_without_gradient_and_out_of_the_optimiser(tmp_path):
    """Seen from within: its dropout does nothing, and groups hold the head alone."""
    seen = []

    class Watched(FrozenEncoder):
        def predict(self, model, batch):
            seen.append((model["encoder"][2].training, model["head"].training, torch.is_grad_enabled()))
            return super().predict(model, batch)

        def optimizers(self, model, steps_per_epoch):
            self.found = super().optimizers(model, steps_per_epoch)
            return self.found

    trainer = _make(Watched, tmp_path, VALID__MONITOR=True)
    trainer.fit(ToyClips(), ToyClips(n=2), tmp_path / "run")
    assert {parts[:2] for parts in seen if parts[2]} == {(False, True)}
    assert [p.shape for p in trainer.found[0].param_groups[0]["params"]] == [(1, 4, 1), (1,)]


def test_nothing_to_train_and_foreign_parts_are_refused(tmp_path):
    """All frozen, or a module of something else: one sentence each."""
    for parts, words in ((lambda n: [n], "nothing is left to train"), (lambda n: [nn.Linear(1, 1)], "no module")):
        trainer = _make(Encoded, tmp_path)
        trainer.frozen = parts
        with pytest.raises(ValueError, match=words):
            trainer.fit(ToyClips(), folder=tmp_path / "run")


# --- Data drawn anew ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_pairs_are_drawn_anew_and_resumed_to_the_same_bits(tmp_path, monkeypatch, workers):
    """Each epoch has its own partners; killed inside the second epoch, the weights end as without the kill."""
    changes = {"TRAIN__EPOCHS": 3, "NUM_WORKERS": workers}
    _make(Paired, tmp_path / "whole", **changes).fit(ToyClips(), folder=tmp_path / "whole" / "run")
    rows = (tmp_path / "whole" / "run" / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("partners")
    partners = np.array([float(row.split(",")[column]) for row in rows[1:]]).reshape(3, 3)
    assert len(set(partners.mean(axis=1).round(9))) == 3
    _killed(Paired, tmp_path / "killed", ToyClips(), monkeypatch, at=4, **changes)
    _make(Paired, tmp_path / "killed", TRAIN__STATE_EVERY=1, **changes).fit(
        ToyClips(), folder=tmp_path / "killed" / "run"
    )
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")


def test_validation_and_test_see_the_data_of_the_hook(tmp_path):
    """The loss of a validation needs partners, so does a test; both are asked for in epoch 0."""
    trainer = _make(Paired, tmp_path, VALID__MONITOR=True)
    trainer.fit(ToyClips(), ToyClips(n=2), tmp_path / "run")
    asked = []
    trainer.data = lambda clips, section: asked.append(section) or Pairs(clips, 1)
    assert set(trainer.predictions(trainer.build(), ToyClips(n=2))["r0"]) == {0, 1} and asked == ["test"]


def test_only_clips_of_a_length_that_is_said_share_a_batch():
    """A data set with `clip_lengths` is believed; one without holds equal clips."""
    data = SimpleNamespace(clip_lengths=lambda: [9, 9, 7])
    assert clip_lengths(data) == [9, 9, 7] and clip_lengths(ToyClips()) is None
    assert [micro.indices for micro in evaluation_plan(3, 4, lengths=clip_lengths(data))] == [(0, 1), (2,)]


# --- After an update ------------------------------------------------------------------------------------------------


class Codebook(Encoded):
    """Re-seeds a buffer at random after every second update."""

    def build_model(self):
        """As before, with a buffer."""
        network = super().build_model()
        network.register_buffer("codes", torch.zeros(4))
        return network

    def predict(self, model, batch):
        """Shifted by the codes."""
        return {"ppg": super().predict(model, batch)["ppg"] + model.codes.mean()}

    def after_update(self, network, epoch, update):
        """New random codes."""
        if update % 2:
            network.codes.copy_(torch.randn(4) + epoch)


@pytest.mark.slow
def test_codebook_reseeded_after_updates_resumes_to_the_same_bits(tmp_path, monkeypatch):
    """What the hook draws depends on seed, epoch and update; the buffer is part of the state."""
    _make(Codebook, tmp_path / "whole").fit(ToyClips(), folder=tmp_path / "whole" / "run")
    assert _state(tmp_path / "whole")["codes"].abs().sum() > 0
    _killed(Codebook, tmp_path / "killed", ToyClips(), monkeypatch, at=2)
    _make(Codebook, tmp_path / "killed", TRAIN__STATE_EVERY=1).fit(ToyClips(), folder=tmp_path / "killed" / "run")
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")


# --- Without labels, and from there on ------------------------------------------------------------------------------


def test_method_without_labels_trains_is_judged_by_its_loss_and_resumes(tmp_path, monkeypatch):
    """No head, no label, no pulse: the best epoch is that of the lowest loss."""
    changes = {"TEST__USE_LAST_EPOCH": False, "TRAIN__LR": 0.02}

    def fit(folder, **more):
        return _make(Masked, folder, **changes, **more).fit(Unlabelled(), Unlabelled(2), folder / "run")

    assert fit(tmp_path / "whole").best_epoch == 1
    original, calls = Training._step, []

    def step(self, session):
        calls.append(0)
        if len(calls) > 4:
            raise Killed
        return original(self, session)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", step)
        with pytest.raises(Killed):
            fit(tmp_path / "killed", TRAIN__STATE_EVERY=1)
    fit(tmp_path / "killed", TRAIN__STATE_EVERY=1)
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")
    assert _make(Masked, tmp_path).clip_options("train") == {"inputs": ("video",), "labels": ()}


class Waves(Masked):
    """The same from a signal: no video anywhere."""

    needs = Needs(signals=(), inputs=("ecg",))
    time_multiple = 5

    def build_model(self):
        """One filter."""
        return nn.Conv1d(1, 1, 3, padding=1)

    def predict(self, model, batch):
        """(B, 1, L) -> (B, 1, L)."""
        return {"wave": model(batch["ecg"])}

    def loss(self, outputs, batch, epoch):
        """Mean squared difference."""
        assert batch["ecg"].shape[-1] == 15  # 16 samples, cut to a multiple of 5
        return {"loss": ((outputs["wave"] - batch["ecg"]) ** 2).mean()}


def test_signals_pass_through_a_loop_without_video(tmp_path):
    """A signal enters as it is, cut to the multiple; trained and validated."""
    trainer = _make(Waves, tmp_path, VALID__MONITOR=True)
    trainer.fit(Unlabelled(video=False), Unlabelled(2, video=False), tmp_path / "run")
    assert "validation" in (tmp_path / "run" / "history.csv").read_text()


def test_training_starts_from_weights_of_another_method(tmp_path, capsys):
    """The encoder is the other method's to the bit, the head learns, and the counts are said."""
    fitted = _make(Masked, tmp_path / "first").fit(Unlabelled(), folder=tmp_path / "first" / "run")
    trainer = _make(Started, tmp_path / "second", MODEL__WEIGHTS=str(fitted.path))
    trainer.fit(ToyClips(), folder=tmp_path / "second" / "run")
    first, second = _state(tmp_path / "first"), _state(tmp_path / "second")
    assert all(torch.equal(first[key], second[key]) for key in first if key.startswith("encoder."))
    said = capsys.readouterr().out
    assert "of another method: 7 entries loaded, 2 missing ('head.weight', ...), 0 unexpected, 0 of another" in said


def test_weights_of_another_method_are_refused_without_the_hook_or_where_they_do_not_fit(tmp_path):
    """The default takes none; entries that no pattern excuses are named."""
    fitted = _make(Masked, tmp_path / "first").fit(Unlabelled(), folder=tmp_path / "first" / "run")
    with pytest.raises(WeightsError, match="weights of Masked, but MODEL.NAME is Encoded"):
        _make(Encoded, tmp_path / "a", MODEL__WEIGHTS=str(fitted.path)).fit(ToyClips(), folder=tmp_path / "a" / "run")
    trainer = _make(Started, tmp_path / "b", MODEL__WEIGHTS=str(fitted.path))
    trainer.initial_weights = lambda state: (state, ["head.*"])
    with pytest.raises(WeightsError, match="2 unexpected .*2 of them may not be, first 'decoder.weight'"):
        trainer.fit(ToyClips(), folder=tmp_path / "b" / "run")


def test_own_weights_do_not_go_through_the_hook(tmp_path):
    """Fine-tuning of the same method is as before, with a sidecar and without."""
    fitted = _make(Started, tmp_path / "first").fit(ToyClips(), folder=tmp_path / "first" / "run")
    for sidecar in (True, False):
        if not sidecar:
            fitted.path.with_suffix(".json").unlink()
        trainer = _make(Started, tmp_path / "second", MODEL__WEIGHTS=str(fitted.path))
        network = trainer.build()
        trainer.start_from(fitted.path, network)
        assert torch.equal(network["head"].weight, _state(tmp_path / "first")["head.weight"])


# --- What is refused before anything is opened ----------------------------------------------------------------------


def _reader(**attributes):
    kind = type("Reader", (), {"signals": ("ppg",), **attributes})
    return kind()


@pytest.mark.parametrize(
    ("asked", "reader", "lacking"),
    [
        (Needs(inputs=("ecg",)), _reader(), ["ecg"]),
        (Needs(inputs=("ecg",)), _reader(signals=("ecg",)), []),
        (Needs(inputs=("ecg",)), _reader(optional_signals=("ecg",)), []),
        (Needs(), _reader(has_video=False), ["video"]),
        (Needs(inputs=("camera2",)), _reader(streams=("camera2",)), []),
        (Needs(inputs=(SimpleNamespace(name="contact", streams=("ecg", "ppg"), optional=False),)), _reader(), ["ecg"]),
        (Needs(inputs=(SimpleNamespace(name="ecg", streams=(), optional=True),)), _reader(), []),
    ],
)
def test_inputs_that_a_data_set_does_not_have_are_found(asked, reader, lacking):
    """By name, by what an input is made of; optional ones may lack."""
    assert needs.lacking_inputs(asked, reader) == lacking


def test_labels_that_a_data_set_does_not_have_are_found():
    """Required ones; not those made from the video, and not values of a recording."""
    asked = Needs(signals=("ppg", "sbp"))
    assert needs.lacking_labels(asked, _reader(signals=()), pseudo=False) == ["ppg", "sbp"]
    assert needs.lacking_labels(asked, _reader(signals=()), pseudo=True, scalars=["sbp"]) == []


def test_one_frame_size_for_all_sections(tmp_path):
    """A network built for TRAIN's frames does not take others in the test: refused before, by the key."""
    trainer = _make(Encoded, tmp_path, TEST__DATA__PREPROCESS__RESIZE__H=20, TEST__DATA__PREPROCESS__RESIZE__W=20)
    trainer.check_needs()
    trainer.needs = Needs(one_size=True)
    with pytest.raises(ValueError, match="PREPROCESS.RESIZE alike .TRAIN.DATA has 16x16, TEST.DATA has 20x20"):
        trainer.check_needs()
    trainer.needs = Needs(sizes=(16,))
    with pytest.raises(ValueError, match="TEST.DATA.PREPROCESS.RESIZE.H is 20"):
        trainer.check_needs()


def test_augmentation_of_a_video_is_refused_where_there_is_none(tmp_path):
    """Nothing is silently left undone."""
    with pytest.raises(ValueError, match="TRAIN.AUGMENT.FLIP changes a video"):
        _make(Waves, tmp_path, TRAIN__AUGMENT__FLIP="sample").fit(Unlabelled(video=False))


def test_weights_that_do_not_fit_leave_the_network_as_it_was(tmp_path):
    """A refusal changes nothing."""
    write_weights(tmp_path / "a.pth", nn.Linear(2, 3), {"method": "Other"})
    trainer = _make(Started, tmp_path)
    network = trainer.build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError):
        trainer.start_from(tmp_path / "a.pth", network)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
