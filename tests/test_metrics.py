"""The metrics on hand-made rates: known values, undefined cases, weights, names."""

import numpy as np
import pytest

from evaluation.metrics import check_names, computed, is_plot
from registry import METRICS

TRUE = np.array([70, 82.5, 65, 90, 101])
PREDICTED = np.array([71, 80, 66.5, 90, 120])
KNOWN = {
    "MAE": (4.8, 3.195622),
    "RMSE": (8.608136, 8.009983),
    "MAPE": (5.115690, 3.095703),
    "Pearson": (0.951089, 0.178354),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_values(name):
    """Value and standard error of a worked example with five windows."""
    assert METRICS[name](PREDICTED, TRUE) == pytest.approx(KNOWN[name], abs=1e-6)


def test_snr_and_macc_are_means_of_their_columns():
    """Both take their own column and ignore the rates."""
    columns = {"snr": np.array([1.0, 3.0]), "macc": np.array([0.5, 0.7])}
    assert METRICS["SNR"](TRUE[:2], TRUE[:2], **columns) == pytest.approx((2.0, 1 / np.sqrt(2)))
    assert METRICS["MACC"](TRUE[:2], TRUE[:2], **columns) == pytest.approx((0.6, 0.1 / np.sqrt(2)))


@pytest.mark.parametrize("name", [*KNOWN, "SNR", "MACC"])
def test_weights_count_windows(name):
    """A weight of 2 equals the window given twice, 0 equals leaving it out; many weightings at once."""
    counts = np.array([[2, 0, 1, 1, 3], [1, 1, 1, 1, 1]])
    columns = {"predicted": PREDICTED, "true": TRUE, "snr": TRUE / 10, "macc": TRUE / 200}
    found = METRICS[name](**columns, weights=counts.astype(float))
    for row, repeat in enumerate(counts):
        expected = METRICS[name](**{key: np.repeat(value, repeat) for key, value in columns.items()})
        assert found.value[row] == pytest.approx(expected.value, abs=1e-9)
        assert found.standard_error[row] == pytest.approx(expected.standard_error, abs=1e-9)


def test_pearson_needs_three_windows():
    """Two always lie on a line: no correlation with two, with one or with a constant; never a warning."""
    with np.errstate(all="raise"):
        two, one = METRICS["Pearson"](PREDICTED[:2], TRUE[:2]), METRICS["Pearson"](PREDICTED[:1], TRUE[:1])
        constant = METRICS["Pearson"](np.full(5, 80.0), TRUE)
    assert np.isnan(two.value) and np.isnan(two.standard_error)
    assert np.isnan(one.value) and np.isnan(constant.value)


def test_nothing_changes_its_input():
    """Metrics read, never write."""
    before = PREDICTED.copy(), TRUE.copy()
    for name in KNOWN:
        METRICS[name](PREDICTED, TRUE)
    assert np.array_equal(before[0], PREDICTED) and np.array_equal(before[1], TRUE)


def test_names_are_checked_with_a_hint():
    """Plots and action units pass, a mistyped name is refused with the nearest known one."""
    check_names(["MAE", "BA", "AU_METRICS", "MACC"])
    assert computed(["MAE", "BA", "AU_METRICS"]) == ["MAE"] and is_plot("BA")
    with pytest.raises(ValueError, match="Wrong Test Metric Type: TEST.METRICS holds 'RMES'. Did you mean 'RMSE'"):
        check_names(["MAE", "RMES"], "TEST.METRICS")
    with pytest.raises(ValueError, match="'XYZ'. Known:"):
        check_names(["XYZ"])
