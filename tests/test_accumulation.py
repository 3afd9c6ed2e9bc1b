"""Accumulated micro-batches make the gradient of one large batch, ragged windows and the schedule's end included."""

import copy

import pytest
import torch
from torch import nn

from neural_methods.batches import Micro, training_plan, windows
from neural_methods.trainer.base import Trainer
from neural_methods.training import replace_norm, train_mode
from registry import METHODS
from tests.trainer_tools import ToyClips, tiny_config

WINDOWS = [(2, 2), (1, 1, 1, 1), (3, 1)]


class Smooth(Trainer):
    """A small network in double precision without layers that mix clips."""

    def build_model(self):
        """Two convolutions over time and space."""
        return nn.Sequential(
            nn.Conv3d(3, 4, 3, padding=1), nn.ELU(), nn.Conv3d(4, 1, 3, padding=1), nn.AdaptiveAvgPool3d((16, 1, 1))
        ).double()

    def normalise(self, batch):
        """Double precision throughout."""
        return {**batch, "video": batch["video_float"].double(), "ppg": batch["ppg"].double()}

    def predict(self, model, batch):
        """(B, T) from (B, 1, T, 1, 1)."""
        return {"ppg": model(batch["video"]).flatten(1)}

    def loss(self, outputs, batch, epoch):
        """Mean squared error."""
        return {"loss": ((outputs["ppg"] - batch["ppg"]) ** 2).mean()}


@pytest.fixture
def trainer(tmp_path):
    """The small trainer."""
    return Smooth(tiny_config("Smooth", tmp_path))


def _gradients(trainer, network, sizes):
    """Gradients of `network` after one window of micro-batches of these sizes, over the same four clips."""
    clips, network = ToyClips(n=sum(sizes)), copy.deepcopy(network)
    starts = [sum(sizes[:position]) for position in range(len(sizes))]
    collate = torch.utils.data.default_collate
    batches = (
        trainer.enter(collate([clips[start + offset] for offset in range(size)]))
        for start, size in zip(starts, sizes, strict=True)
    )
    trainer.accumulate(network, batches, [Micro(tuple(range(size)), size, size) for size in sizes])
    return network, torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("sizes", WINDOWS)
def test_window_has_the_gradient_of_the_large_batch(trainer, sizes):
    """Equal to 1e-10 for even and ragged windows, and so are the parameters after one Adam step."""
    network = trainer.build()
    whole, expected = _gradients(trainer, network, (4,))
    parts, found = _gradients(trainer, network, sizes)
    assert (found - expected).norm() < 1e-10 * expected.norm()
    for model in (whole, parts):
        torch.optim.Adam(model.parameters(), lr=1e-3).step()
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", WINDOWS)
def test_physnet_with_frozen_batch_norm_accumulates_exactly(tmp_path, sizes):
    """The published network too, once its batch norms keep their statistics (double precision)."""
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    network = trainer.build().double()
    train_mode(network, "frozen_batch")
    trainer.normalise = lambda batch: {**batch, "video": batch["video_float"].double(), "ppg": batch["ppg"].double()}
    _, expected = _gradients(trainer, network, (4,))
    _, found = _gradients(trainer, network, sizes)
    assert (found - expected).norm() < 1e-10 * expected.norm()


def test_batch_norm_in_training_does_not_accumulate_exactly(tmp_path):
    """The caveat is true: with statistics of each micro-batch the gradients differ clearly."""
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    network = trainer.build().train()
    _, expected = _gradients(trainer, network, (4,))
    _, found = _gradients(trainer, network, (2, 2))
    assert (found - expected).norm() > 1e-2 * expected.norm()


def test_group_norm_accumulates_exactly(tmp_path):
    """MODEL.NORM: group replaces every batch norm and makes accumulation exact again."""
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    network = replace_norm(trainer.build_model(), "group").double().train()
    assert not [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    trainer.normalise = lambda batch: {**batch, "video": batch["video_float"].double(), "ppg": batch["ppg"].double()}
    _, expected = _gradients(trainer, network, (4,))
    _, found = _gradients(trainer, network, (3, 1))
    assert (found - expected).norm() < 1e-10 * expected.norm()


def test_plain_loss_over_steps_would_be_wrong(trainer):
    """For the ragged window {3, 1}, weighting micro-batches alike gives another gradient."""
    network = trainer.build()
    _, expected = _gradients(trainer, network, (4,))
    three, one = ToyClips(n=4), copy.deepcopy(network)
    collate = torch.utils.data.default_collate
    for indices in ((0, 1, 2), (3,)):
        batch = trainer.enter(collate([three[index] for index in indices]))
        (trainer.loss(trainer.forward(one, batch), batch, 0)["loss"] / 2).backward()
    found = torch.cat([parameter.grad.flatten() for parameter in one.parameters()])
    assert (found - expected).norm() > 1e-3 * expected.norm()


def test_windows_take_every_clip_once_and_keep_the_ragged_end():
    """Seven clips in batches of 2, windows of 2: the last window holds the last 3 clips and is not lost."""
    plan = training_plan(7, 2, seed=1, epoch=0)
    assert sorted(index for micro in plan for index in micro.indices) == list(range(7))
    assert [sum(micro.total for micro in window) for window in windows(plan, 2)] == [4, 3]


@pytest.mark.parametrize(("batch", "steps"), [(2, 2), (2, 3), (4, 1)])
def test_schedule_ends_with_the_last_update(tmp_path, batch, steps):
    """One rate per update, ceil(micro-batches / steps) updates per epoch, the last one max / 25 / 1e4."""
    config = tiny_config(
        "Smooth", tmp_path, TRAIN__BATCH_SIZE=batch, TRAIN__ACCUMULATION_STEPS=steps, TRAIN__LR=9e-3, TRAIN__EPOCHS=3
    )
    Smooth(config).fit(ToyClips(n=7), folder=tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("lr")
    rates = [float(row.split(",")[column]) for row in rows[1:]]
    micro_batches = -(-7 // batch)
    assert len(rates) == 3 * -(-micro_batches // steps)
    assert rates[0] == pytest.approx(9e-3 / 25)
    assert rates[-1] == pytest.approx(3.6e-8, rel=1e-6)


def test_start_says_effective_batch_and_caveat(tmp_path, capsys):
    """The start names the effective batch and, for batch norms, what accumulation cannot do."""
    config = tiny_config("Physnet", tmp_path, TRAIN__ACCUMULATION_STEPS=2, TRAIN__EPOCHS=1)
    METHODS["Physnet"](config).fit(ToyClips(n=5), folder=tmp_path / "run")
    said = capsys.readouterr().out
    assert "effective batch 4 (2 x 2), 2 updates per epoch" in said
    assert "11 batch norm layers" in said


def test_loss_that_compares_clips_refuses_accumulation(tmp_path):
    """A loss across the batch is not a sum over clips: an error says so."""

    class Mixing(Smooth):
        """As above with such a loss."""

        loss_mixes_samples = True

    with pytest.raises(ValueError, match="ACCUMULATION_STEPS: 1"):
        Mixing(tiny_config("Mixing", tmp_path, TRAIN__ACCUMULATION_STEPS=2)).fit(ToyClips())


class Mixed(Smooth):
    """Its loss has terms of every kind that methods return."""

    def forward(self, model, batch):
        """Without autocast, which knows no `meta`."""
        return self.predict(model, batch)

    def loss(self, outputs, batch, epoch):
        """One on the device, one on the CPU, a number."""
        return {**super().loss(outputs, batch, epoch), "clamped": torch.tensor(0.5), "weight": 1.0}


def test_all_terms_of_a_window_lie_on_the_device(tmp_path):
    """Only then can they be stacked and summed over the processes; `meta` stands for a GPU."""
    trainer = Mixed(tiny_config("Mixed", tmp_path), device="meta")
    clips, network = ToyClips(n=2), trainer.build_model().to("meta")
    batch = trainer.enter(torch.utils.data.default_collate([clips[0], clips[1]]))
    sums = trainer.accumulate(network, [batch], [Micro((0, 1), 2, 2)])
    assert set(sums) == {"loss", "clamped", "weight"}
    assert {term.device.type for term in sums.values()} == {"meta"}
