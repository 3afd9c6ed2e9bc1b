"""The metrics a user names in METRICS: predicted and true rates (bpm) in, value and standard error out.

Each takes the columns of the evaluated windows (n,) and, optionally, `weights` (..., n): how often each window
counts (intervals over people leave out one after the other). Spreads are population spreads, and the
standard error takes the n windows as independent, as rPPG-Toolbox does.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from registry import METRICS, did_you_mean


class Estimate(NamedTuple):
    """A value and its standard error, in the metric's unit; NaN where undefined."""

    value: Any
    standard_error: Any


def _moments(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, population standard deviation and count of `values` (n,), each of the weights' leading shape."""
    values = np.asarray(values, dtype=float)
    weights = np.ones(len(values)) if weights is None else weights
    count = weights.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = weights @ values / count
        variance = (weights * (values - np.expand_dims(mean, -1)) ** 2).sum(axis=-1) / count
    return mean, np.sqrt(variance), count


def _mean(values: np.ndarray, weights: np.ndarray | None, scale: float = 1.0) -> Estimate:
    """Mean of `values` (n,) and its standard error, times `scale`."""
    mean, spread, count = _moments(values, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Estimate(mean * scale, spread / np.sqrt(count) * scale)


@METRICS.register("MAE")
def mae(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, **_: Any) -> Estimate:
    """Mean absolute error, bpm."""
    return _mean(np.abs(np.subtract(predicted, true)), weights)


@METRICS.register("RMSE")
def rmse(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, **_: Any) -> Estimate:
    """Root mean square error, bpm; the standard error is rPPG-Toolbox's: root of that of the squares."""
    mean, spread, count = _moments(np.subtract(predicted, true) ** 2, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Estimate(np.sqrt(mean), np.sqrt(spread / np.sqrt(count)))


@METRICS.register("MAPE")
def mape(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, **_: Any) -> Estimate:
    """Mean absolute error relative to the true rate, in percent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean(np.abs(np.subtract(predicted, true) / np.asarray(true, dtype=float)), weights, scale=100.0)


@METRICS.register("Pearson")
def pearson(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, **_: Any) -> Estimate:
    """Correlation of predicted and true rates; NaN for a constant or fewer than three windows (two lie on a line).

    The standard error is sqrt((1 - r^2) / (n - 2)).
    """
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    weights = np.ones(len(true)) if weights is None else weights
    (mean_p, std_p, n), (mean_t, std_t, _n) = _moments(predicted, weights), _moments(true, weights)
    centred = (predicted - np.expand_dims(mean_p, -1)) * (true - np.expand_dims(mean_t, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = (std_p <= 1e-12 * np.abs(mean_p)) | (std_t <= 1e-12 * np.abs(mean_t)) | (n < 3)
        r = np.where(flat, np.nan, (weights * centred).sum(axis=-1) / n / (std_p * std_t))
        error = np.where(n > 2, np.sqrt(np.maximum(1 - r**2, 0) / (n - 2)), np.nan)
    return Estimate(r[()], error[()])


@METRICS.register("CCC")
def ccc(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None, **_: Any) -> Estimate:
    """Concordance: correlation less what differs in mean and spread; NaN where both are constant and equal.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 1989. No standard error:
    the interval over people is what there is.
    """
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    weights = np.ones(len(true)) if weights is None else weights
    (mean_p, std_p, n), (mean_t, std_t, _n) = _moments(predicted, weights), _moments(true, weights)
    centred = (predicted - np.expand_dims(mean_p, -1)) * (true - np.expand_dims(mean_t, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 2 * (weights * centred).sum(axis=-1) / n / (std_p**2 + std_t**2 + (mean_p - mean_t) ** 2)
        value = np.where(n < 3, np.nan, value)
    return Estimate(value[()], np.full_like(value, np.nan)[()])


@METRICS.register("SNR")
def snr(
    predicted: np.ndarray, true: np.ndarray, snr: np.ndarray, weights: np.ndarray | None = None, **_: Any
) -> Estimate:
    """Mean signal-to-noise ratio of the predicted wave at the true rate, dB."""
    return _mean(snr, weights)


@METRICS.register("SNR20")
def snr20(
    predicted: np.ndarray, true: np.ndarray, snr: np.ndarray, weights: np.ndarray | None = None, **_: Any
) -> Estimate:
    """The same as RhythmFormer's code prints it: 20 log10 of the ratio of powers, twice as many dB as `SNR`."""
    return _mean(snr, weights, scale=2.0)


@METRICS.register("MACC")
def macc(
    predicted: np.ndarray, true: np.ndarray, macc: np.ndarray, weights: np.ndarray | None = None, **_: Any
) -> Estimate:
    """Mean over windows of the largest cross-correlation of predicted and true wave, 0 to 1."""
    return _mean(macc, weights)


UNITS = {"MAE": "bpm", "RMSE": "bpm", "MAPE": "%", "SNR": "dB", "SNR20": "dB"}
USUAL = ("MAE", "RMSE", "MAPE", "Pearson")
DEFINITIONS = {  # where one name has two meanings in the field
    "SNR": "10 log10 of the power at the true rate and its double over the rest of the band (rPPG-Toolbox)",
    "SNR20": "20 log10 of the same ratio of powers (RhythmFormer)",
}
OF_RATES = (*USUAL, "CCC")  # metrics that need no predicted wave: defined for baselines, too


def unit_of(name: str, of_rates: str = "bpm") -> str:
    """Unit of the metric `name` where rates are in `of_rates`; "" without one."""
    unit = UNITS.get(name, "")
    return of_rates if unit == "bpm" else unit


def is_plot(name: str) -> bool:
    """Whether `name` in METRICS asks for Bland-Altman plots."""
    return "BA" in name


def computed(names: Iterable[str]) -> list[str]:
    """The metrics among `names` that are numbers of the pulse: without plots (`BA`) and action units (`AU...`)."""
    return [name for name in names if name in METRICS]


def check_names(names: Iterable[str], where: str = "METRICS") -> None:
    """ValueError for a name that is no metric; to be called before hours of inference, not after."""
    known = [*METRICS.names(), "BA", "AU_METRICS"]
    for name in names:
        if name in METRICS or is_plot(name) or "AU" in name:
            continue
        hint = did_you_mean(name, known)
        raise ValueError(f"Wrong Test Metric Type: {where} holds {name!r}.{hint} Known: {', '.join(known)}.")
