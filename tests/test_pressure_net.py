"""The head in mmHg, its bounds, the losses on z-scores, the filter of ECGFounder."""

import math

import numpy as np
import pytest
import torch

from dataset.clips.ecg_filter import founder_filter
from neural_methods.loss.pressure import correlation_loss, regression_loss
from neural_methods.model.net1d import Net1D
from neural_methods.model.ppg_net1d import PPGNet1D
from neural_methods.model.pressure_net import CONSTRAINTS, PressureHead, PressureNet, SmallPressureNet

KNOWN = {"mean": [120.0, 75.0], "spread": [15.0, 10.0], "low": [80.0, 40.0], "high": [190.0, 110.0]}


def head(constrain, scale=1.0):
    """A head that knows its targets; its last weights times `scale`."""
    torch.manual_seed(0)
    made = PressureHead(8, 2, constrain, hidden=16).eval()
    made.know(**KNOWN)
    with torch.no_grad():
        made.layers[-1].weight.mul_(scale)
    return made


@pytest.mark.parametrize("constrain", CONSTRAINTS)
def test_training_starts_at_the_mean(constrain):
    """Without any weight the last bias gives the mean of the training targets."""
    torch.testing.assert_close(head(constrain, 0.0)(torch.randn(3, 8)), torch.tensor([KNOWN["mean"]] * 3))


@pytest.mark.parametrize("constrain", CONSTRAINTS)
def test_bounds_hold(constrain):
    """Of huge outputs all lie inside but those of `none`."""
    y = head(constrain, 1e4)(torch.randn(200, 8))
    inside = (y >= torch.tensor(KNOWN["low"]) - 1e-3) & (y <= torch.tensor(KNOWN["high"]) + 1e-3)
    assert inside.all() == (constrain != "none")


def test_what_the_head_knows_is_in_the_state_dict():
    """A weight file is whole."""
    state = head("none").state_dict()
    assert all(state[name].tolist() == values for name, values in KNOWN.items())


def test_sizes():
    """34.6 M for both founders, under 0.5 M for the small network."""
    with torch.device("meta"):
        both = PressureNet({"ecg": Net1D(), "ppg": PPGNet1D()}, 5)
    count = lambda network: sum(parameter.numel() for parameter in network.parameters())  # noqa: E731
    assert round(count(both) / 1e6, 1) == 34.6 and count(SmallPressureNet(2, 5)) < 500_000


def test_the_small_network_sees_the_delay_between_its_waves():
    """A wave that moves alone changes nothing; beside one that stays it does."""
    torch.manual_seed(0)
    alone, both = SmallPressureNet(1, 1).eval(), SmallPressureNet(2, 1).eval()
    ecg, ppg = torch.zeros(2, 1, 1, 640)
    ecg[..., 300:330], ppg[..., 310:340] = 100 * torch.randn(30), 100 * torch.randn(30)
    moved = ppg.roll(32, -1)  # as far as one step of the last stage
    with torch.no_grad():
        still = float(alone({"ppg": ppg}) - alone({"ppg": moved}))
        delayed = float(both({"ecg": ecg, "ppg": ppg}) - both({"ecg": ecg, "ppg": moved}))
    assert abs(still) < 1e-6 < 1e-4 < abs(delayed)


def test_losses_against_their_formulas():
    """Errors 0.5 and 2: half squares below 1, lines above."""
    predicted, true = torch.tensor([[0.5], [2.0]]), torch.zeros(2, 1)
    assert float(regression_loss(predicted, true, "mse")["loss"]) == pytest.approx((0.25 + 4) / 2)
    assert float(regression_loss(predicted, true, "huber")["loss"]) == pytest.approx((0.125 + 1.5) / 2)
    both = regression_loss(predicted, torch.tensor([[0.0], [1.0]]), "mae_pearson", 0.5, 0.25)
    assert float(both["loss"]) == pytest.approx(0.5 * (1 - 1) + 0.25 * 0.75, abs=1e-6)


def test_correlation_is_of_each_target_for_itself():
    """Two targets far apart, each predicted upside down: r is -1 and 1 - r is 2; thrown together r would be near 1."""
    true = torch.tensor([[100.0, 10.0], [101.0, 11.0], [102.0, 12.0]])
    predicted = true.flip(0)
    assert float(correlation_loss(predicted, true, torch.ones_like(true).bool())) == pytest.approx(2.0)
    assert np.corrcoef(predicted.ravel(), true.ravel())[0, 1] > 0.99


def test_a_missing_label_counts_nowhere():
    """The loss and its gradient are those of the others; without any label both are zero."""
    predicted = torch.tensor([[0.5, 9.0], [2.0, 1.0]], requires_grad=True)
    true = torch.tensor([[0.0, math.nan], [0.0, 1.0]])
    loss = regression_loss(predicted, true, "mae_pearson")["loss"]
    loss.backward()
    assert torch.isfinite(loss) and predicted.grad[0, 1] == 0 and torch.isfinite(predicted.grad).all()
    assert float(regression_loss(predicted.detach(), torch.full_like(true, math.nan))["loss"]) == 0


def test_the_founder_filter_takes_mains_drift_and_level():
    """A heart beat of 10 Hz stays; 50 Hz, 0.2 Hz and an offset go."""
    fs, times = 500.0, np.arange(5000) / 500.0
    beat = np.sin(2 * np.pi * 10 * times)
    for noise in (np.sin(2 * np.pi * 50 * times), 3 * np.sin(2 * np.pi * 0.2 * times), np.full(len(times), 7.0)):
        left = founder_filter(beat + noise, fs) - founder_filter(beat, fs)
        assert np.abs(left[500:-500]).max() < 0.15
    kept = founder_filter(beat, fs)[500:-500]
    assert np.corrcoef(kept, beat[500:-500])[0, 1] > 0.99
    with pytest.raises(ValueError, match="ECG_FS"):
        founder_filter(beat, 100.0)
