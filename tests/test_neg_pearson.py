"""Losses on waves: recorded values and gradients, invariance, and the cases that would give NaN."""

import json

import numpy as np
import pytest
import torch

from neural_methods.loss.mse import mse
from neural_methods.loss.neg_pearson import neg_cosine_across_batch, neg_pearson
from tests.conftest import reference

LOSSES = {
    "negpearson_dim0": neg_cosine_across_batch,
    "negpearson_persample": neg_pearson,
    "rhythm_negpearson": neg_pearson,
    "mse": mse,
}
CASES = [
    *(f"{loss}_{shape}" for loss in list(LOSSES)[:3] for shape in ("B1_T128", "B4_T128", "B4_T160")),
    "negpearson_dim0_column_T128",
    "mse_B4",
]


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_equal_the_recorded_ones(case):
    """Value to 1e-5, gradient to 1e-4 of its largest entry."""
    arrays = np.load(reference("parity/losses.npz"))
    value = json.loads(reference("parity/losses.json").read_text())[case]["value"]
    loss = next(function for name, function in LOSSES.items() if case.startswith(name))
    predicted = torch.from_numpy(arrays[f"{case}_pred"]).requires_grad_()
    found = loss(predicted, torch.from_numpy(arrays[f"{case}_label"]))
    found.backward()
    expected = arrays[f"{case}_grad"]
    assert found.item() == pytest.approx(value, rel=1e-5)
    assert np.abs(predicted.grad.numpy() - expected).max() <= 1e-4 * np.abs(expected).max() + 1e-8


def test_equals_the_correlation_of_numpy():
    """The mean over clips of 1 - NumPy's correlation coefficient."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3, 50))
    expected = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    assert neg_pearson(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(expected, rel=1e-12)


def test_offset_and_scale_do_not_count():
    """A stretched and shifted prediction has the same loss."""
    x, y = torch.randn(2, 4, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert neg_pearson(3 * x + 7, y).item() == pytest.approx(neg_pearson(x, y).item(), rel=1e-9)


def test_constant_wave_counts_one_without_gradient():
    """A constant prediction or label gives 1, and no NaN in the gradient."""
    x = torch.ones(2, 20, requires_grad=True)
    label = torch.stack([torch.linspace(0, 1, 20), torch.zeros(20)])
    loss = neg_pearson(x, label)
    loss.backward()
    assert loss.item() == 1
    assert torch.isfinite(x.grad).all()


def test_across_the_batch_one_clip_teaches_nothing():
    """The loss across the batch is 1 for a single clip, whatever it predicts."""
    x = torch.randn(1, 30, generator=torch.Generator().manual_seed(3)).requires_grad_()
    loss = neg_cosine_across_batch(x, torch.randn(1, 30))
    loss.backward()
    assert loss.item() == 1
    assert not x.grad.any()
