"""Agreement of predicted and reference rates: scatter and difference plots.

Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
The Lancet 327, 1986.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation import figures
from evaluation.limits import Limits

VISIBLE = (40.0, 150.0)  # bpm: the axes of the scatter plot, as rPPG-Toolbox draws them
JITTER = 0.01  # of the range of the values: keeps quantised rates from hiding each other
SEED = 100
WORDS = {"FFT": "FFT", "welch": "Welch"}  # method -> what names of files say; Peak for the others
DENSE, FEW = 5000, 500  # of more points than that the density is estimated from so many: its cost is the square


class Agreement(NamedTuple):
    """Mean difference (prediction - label), its sample standard deviation and the 95 % limits, all in bpm."""

    bias: float
    spread: float
    low: float
    high: float


def agreement(label: np.ndarray, prediction: np.ndarray, correction: bool = False) -> Agreement:
    """Bland-Altman statistics of rates (n,) in bpm; NaN spread and limits for fewer than two pairs.

    `correction` widens the limits by sqrt(2), as rPPG-Toolbox always does: right only when each value is itself
    the mean of two measurements, too wide for independent observations.
    """
    difference = np.asarray(prediction, dtype=float) - np.asarray(label, dtype=float)
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else np.nan
    reach = 1.96 * spread * (np.sqrt(2.0) if correction else 1.0)
    bias = float(difference.mean()) if len(difference) else np.nan
    return Agreement(bias, spread, bias - reach, bias + reach)


class Quantity(NamedTuple):
    """What is compared: the words on the axes and the range (per minute) that a scatter plot shows."""

    truth: str = "GT PPG HR"
    prediction: str = "rPPG HR"
    unit: str = "bpm"
    visible: tuple[float, float] = VISIBLE


PULSE = Quantity()


def plots(
    label: np.ndarray,
    prediction: np.ndarray,
    folder: Path,
    id: str,
    method: str = "FFT",
    correction: bool = True,
    quantity: Quantity = PULSE,
    about: str = "",
) -> list[Path]:
    """Write scatter and difference plot of rates (n,) per minute to `folder`, as PDF and PNG; the files written.

    `about`: what the rates are of, for the titles.

    `method` is that of WORDS, or "peak detection". Names: <id>_{FFT|Peak}_BlandAltman_{ScatterPlot|DifferencePlot}.pdf.
    Never raises: a plot that cannot be drawn is a warning. The inputs stay as they are.
    """
    label, prediction = np.asarray(label, dtype=float), np.asarray(prediction, dtype=float)
    name = f"{id}_{WORDS.get(method, 'Peak')}_BlandAltman_"
    written = []
    for kind, size, draw in (("ScatterPlot", (5, 5), draw_scatter), ("DifferencePlot", (6.4, 4.8), draw_difference)):
        dpi = 300 if kind == "ScatterPlot" else 100
        title = f"{name}{kind}\n{about}".strip()
        drawn = (draw, label, prediction, correction, quantity)
        written += figures.attempt(name + kind, _write, folder, name + kind, title, size, dpi, *drawn) or []
    return written


def _write(
    folder: Path, name: str, title: str, size: tuple[float, float], dpi: int, draw: Callable, *arguments: Any
) -> list[Path]:
    """Draw one plot and save it as PDF (rPPG-Toolbox's file) and as PNG."""
    figure = figures.new_figure(*size, layout="tight")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=8)
    draw(axes, *arguments)
    files = [
        figures.save(figure, Path(folder) / f"{name}.pdf", dpi),
        figures.save(figure, Path(folder) / f"{name}.png"),
    ]
    return files


def draw_scatter(
    axes: Any, label: np.ndarray, prediction: np.ndarray, correction: bool = False, quantity: Quantity = PULSE
) -> None:
    """Predicted over reference rates (n,) on matplotlib `axes`; drawn with jitter, coloured by density."""
    low, high = quantity.visible
    x, y = jittered(label, prediction)
    axes.scatter(x, y, c=density(x, y), s=30)
    axes.plot([low, high], [low, high], "k--", linewidth=1)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=f"{quantity.truth} [{quantity.unit}]")
    axes.set_ylabel(f"{quantity.prediction} [{quantity.unit}]")
    outside = int(((np.minimum(x, y) < low) | (np.maximum(x, y) > high)).sum())
    if outside:
        axes.text(0.02, 0.95, f"{outside} of {len(x)} points outside", transform=axes.transAxes, fontsize=8)
    spread = f"points moved at random, by {100 * JITTER:.0f} % of the range; brighter: denser"
    axes.text(0.98, 0.02, spread, transform=axes.transAxes, fontsize=8, ha="right")
    axes.grid()


def draw_difference(
    axes: Any,
    label: np.ndarray,
    prediction: np.ndarray,
    correction: bool,
    quantity: Quantity = PULSE,
    found: Limits | None = None,
) -> None:
    """The difference plot of rates (n,) on matplotlib `axes`, exact points, mean and limits as lines.

    `found`: limits over people, drawn with their intervals in place of those of the points alone.
    """
    label, prediction = np.asarray(label, dtype=float), np.asarray(prediction, dtype=float)
    middle, difference = (label + prediction) / 2, prediction - label
    axes.scatter(middle, difference, c=density(middle, difference), s=30)
    lines = found or agreement(label, prediction, correction)
    axes.axhline(lines.bias, color="black", label=f"mean {lines.bias:.2f} {quantity.unit}")
    if np.isfinite(lines.low):
        axes.axhline(
            lines.high, color="tab:red", linestyle="--", label=f"95 % limits {lines.low:.2f} to {lines.high:.2f}"
        )
        axes.axhline(lines.low, color="tab:red", linestyle="--")
    known = found is not None and bool(np.isfinite(found.low_ci95).all())
    for span, colour in _spans(found) if known else ():
        axes.axhspan(*span, color=colour, alpha=0.1, linewidth=0)
    axes.set_xlabel(f"Average of {quantity.prediction} and {quantity.truth} [{quantity.unit}]")
    axes.set_ylabel(f"{quantity.prediction} - {quantity.truth} [{quantity.unit}]")
    axes.legend(fontsize=7)
    wide = "; limits x sqrt(2), as rPPG-Toolbox" if correction and np.isfinite(lines.low) else ""
    bands = "; bands: 95 % intervals over people" if known else ""
    axes.text(0.02, 0.02, f"brighter: denser{bands}{wide}", transform=axes.transAxes, fontsize=6)
    axes.grid()


def _spans(found: Limits) -> list[tuple[tuple[float, float], str]]:
    """The intervals of lower limit, mean and upper limit, and their colours."""
    return [(found.low_ci95, "tab:red"), (found.bias_ci95, "black"), (found.high_ci95, "tab:red")]


def jittered(*values: np.ndarray) -> list[np.ndarray]:
    """Copies of `values` with Gaussian noise of 1 % of each range, from a generator of their own."""
    random = np.random.default_rng(SEED)
    return [x + random.normal(0, JITTER * np.ptp(x) if len(x) else 0.0, size=x.shape) for x in values]


def density(x: np.ndarray, y: np.ndarray) -> np.ndarray | str:
    """Density (n,) of the points for colouring; one colour when the points allow no estimate (equal, in line, < 3)."""
    from scipy.stats import gaussian_kde

    try:
        points = np.stack([x, y])
        known = points if len(x) <= DENSE else np.random.default_rng(SEED).choice(points, FEW, axis=1, replace=False)
        found = gaussian_kde(known)(points)
    except (np.linalg.LinAlgError, ValueError):
        return "tab:blue"
    return found if np.isfinite(found).all() else "tab:blue"
