"""Learning rates of CM-SSL at the first step, the peak, the middle and the last, against the closed form."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from evaluation import tables
from neural_methods import schedules
from tests import test_cmssl_views as views
from tests.cmssl_tools import Waves, make, trained_tokenizer

EPOCHS, STEPS = 20, 7


def rates(optimizer, scheduler, steps):
    """The rate of the first group at every step."""
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def of(trainer, network=None):
    """Optimiser and scheduler of a trainer."""
    return trainer.optimizers(network or trainer.build(), STEPS)[:2]


def test_cmssl_tokenizer_warms_up_from_one_percent_and_ends_at_the_least_rate(tmp_path):
    """Ten epochs up, then a cosine to 1e-5 over all steps."""
    own = {"WARMUP_EPOCHS": 10, "MIN_LR": 1e-5}
    found = rates(*of(make("Tokenizer", tmp_path, own, TRAIN__EPOCHS=EPOCHS, TRAIN__LR=1e-3)), EPOCHS * STEPS + 1)
    assert found[0] == pytest.approx(1e-5, abs=1e-9) and found[70] == pytest.approx(1e-3, abs=1e-9)
    assert found[35] == pytest.approx(1e-3 * (0.01 + 0.99 * 0.5), abs=1e-9)
    assert found[105] == pytest.approx(1e-5 + (1e-3 - 1e-5) / 2, abs=1e-9)
    last = 1e-5 + (1e-3 - 1e-5) * 0.5 * (1 + math.cos(math.pi * 69 / 70))
    assert found[139] == pytest.approx(last, abs=1e-9) and found[140] == pytest.approx(1e-5, abs=1e-9)


def test_cmssl_steps_fall_by_gamma(tmp_path):
    """After the warm-up, every so many epochs."""
    own = {"SCHEDULE": "step", "WARMUP_EPOCHS": 2, "STEP_EPOCHS": 5, "GAMMA": 0.5}
    found = rates(*of(make("Tokenizer", tmp_path, own, TRAIN__EPOCHS=EPOCHS, TRAIN__LR=1e-3)), EPOCHS * STEPS)
    places = {0: 0.01, 7: 0.505, 14: 1.0, 48: 1.0, 49: 0.5, 84: 0.25, 139: 0.125}
    assert all(found[step] == pytest.approx(1e-3 * factor, abs=1e-9) for step, factor in places.items())


def test_cmssl_plateau_follows_the_validation(tmp_path):
    """It falls when the score has not got better for so many epochs, and needs a validation."""
    own = {"SCHEDULE": "plateau", "PLATEAU_EPOCHS": 2, "GAMMA": 0.1}
    trainer = make("Tokenizer", tmp_path, own, VALID__MONITOR=True, TRAIN__LR=1e-3)
    optimizer, scheduler, per = trainer.optimizers(trainer.build(), STEPS)
    for _ in range(4):
        scheduler.step(1.0)
    assert per == "validation" and optimizer.param_groups[0]["lr"] == pytest.approx(1e-4, abs=1e-9)
    blind = make("Tokenizer", tmp_path, own)
    with pytest.raises(ValueError, match="VALID.MONITOR: True"):
        blind.optimizers(blind.build(), STEPS)


def test_cmssl_encoder_warms_up_over_a_tenth_of_all_steps(tmp_path):
    """One warm-up and one cosine to zero, whatever the epochs."""
    trainer = make("TokenEncoder", tmp_path, {"TOKENIZER": str(trained_tokenizer(tmp_path))},
                   TRAIN__EPOCHS=EPOCHS, TRAIN__LR=1e-4)  # fmt: skip
    found = rates(*of(trainer), EPOCHS * STEPS + 1)
    expected = {0: 0.0, 7: 0.5, 14: 1.0, 77: 0.5, 139: 0.5 * (1 + math.cos(math.pi * 125 / 126)), 140: 0.0}
    assert all(found[step] == pytest.approx(1e-4 * factor, abs=1e-9) for step, factor in expected.items())
    assert max(found) == pytest.approx(1e-4, abs=1e-9)


def test_cmssl_fine_tuning_falls_epoch_by_epoch():
    """A cosine over the epochs, without a warm-up."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-4)
    found = rates(optimizer, schedules.scheduled(optimizer, schedules.warmup_cosine(EPOCHS, 0)), EPOCHS)
    expected = [1e-4 * 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS)) for epoch in range(EPOCHS)]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", views.METHODS_OF_VIEWS)
def test_cmssl_methods_of_two_views_warm_up_and_fall_to_zero(tmp_path, name):
    """So many epochs up, one cosine down over all steps."""
    trainer = views.make(name, tmp_path, {"WARMUP_EPOCHS": 4}, TRAIN__EPOCHS=EPOCHS, TRAIN__LR=1e-3)
    found = rates(*of(trainer), EPOCHS * STEPS + 1)
    expected = {0: 0.0, 14: 0.5, 28: 1.0, 84: 0.5, 139: 0.5 * (1 + math.cos(math.pi * 111 / 112)), 140: 0.0}
    assert all(found[step] == pytest.approx(1e-3 * factor, abs=1e-9) for step, factor in expected.items())


def test_cmssl_a_training_runs_with_the_rates_of_its_schedule(tmp_path):
    """Every update's, as the history has it: from one hundredth up in one epoch, then down."""
    own = {"WARMUP_EPOCHS": 1, "MIN_LR": 1e-5, "LAYER_DECAY": 1.0}
    make("Tokenizer", tmp_path, own, TRAIN__EPOCHS=4, TRAIN__LR=1e-3).fit(Waves(), folder=tmp_path / "run")
    found = [float(line["lr"]) for line in tables.csv_lines(tmp_path / "run" / "history.csv")]
    up = [1e-3 * (0.01 + 0.99 * step / 3) for step in range(3)]
    down = [1e-5 + (1e-3 - 1e-5) * 0.5 * (1 + math.cos(math.pi * step / 9)) for step in range(9)]
    assert found == pytest.approx(up + down, abs=1e-9)


def test_cmssl_rates_fall_towards_the_input(tmp_path):
    """0.75 to the power of 13 for the projection of ten and two layers, 12 - i for layer i, 1 for what is last."""
    own = {"LAYERS": 10, "DECODER_LAYERS": 2, "LAYER_DECAY": 0.75}
    trainer = make("Tokenizer", tmp_path, own, TRAIN__LR=1.0)
    network = trainer.build()
    rate = {id(p): group["lr"] for group in trainer.parameter_groups(network) for p in group["params"]}
    names = dict(network.named_parameters())
    powers = {
        "te.linear.weight": 13, "je.encoder.layers.0.linear1.weight": 12, "je.encoder.layers.9.linear1.weight": 3,
        "de.decoder.layers.0.linear1.bias": 2, "de.decoder.layers.1.linear1.weight": 1, "proj.weight": 0,
        "de.mlp.4.bias": 0,
    }  # fmt: skip
    assert {name: rate[id(names[name])] for name in powers} == pytest.approx({n: 0.75**p for n, p in powers.items()})
    decayed = {id(p) for group in trainer.parameter_groups(network) if group["weight_decay"] for p in group["params"]}
    assert {name for name, p in names.items() if id(p) in decayed} == {n for n, p in names.items() if p.ndim > 1}
    assert SimpleNamespace(**trainer.parameter_groups(network)[0]).lr == 1.0  # what the history shows
