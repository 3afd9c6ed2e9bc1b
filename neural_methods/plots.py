"""Plots of a training: losses per epoch and learning rate per update, as PDF (rPPG-Toolbox's names) and PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from neural_methods.history import History


def training_plots(history: History, folder: Path, name: str, about: str = "") -> list[Path]:
    """Write `<name>_losses` and `<name>_learning_rates` into `folder`; returns the files. `about`: what was trained."""
    title = f"{name}\n{about}" if about else name
    curves = {"train": list(enumerate(history.epoch_losses()))}
    for term in history.terms():
        if term != "loss":
            curves[term] = list(enumerate(history.epoch_losses(term)))
    if history.validation():
        curves["validation"] = history.validation()
    losses = _lines(curves, "epoch", "loss", f"losses of {title}", (10, 6), folder / f"{name}_losses")
    rates = {"learning rate": list(enumerate(history.learning_rates()))}
    return losses + _lines(
        rates, "update", "learning rate", f"learning rate of {title}", (6, 4), folder / f"{name}_learning_rates"
    )


def _lines(
    curves: Mapping[str, Sequence[tuple[int, float]]],
    xlabel: str,
    ylabel: str,
    title: str,
    size: tuple[float, float],
    stem: Path,
) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no window, and the user's backend stays as it is
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=name, marker="o" if len(points) < 40 else None)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 0.5
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in ("pdf", "png")]
    for file in files:
        figure.savefig(file)
    return files
