"""Spectra of the effects in drawn signals, beside those of traces: python -m tools.show_signals effects.png [X.npz ...]

Each panel: one effect on a still face without pulse (grey: the pulse alone), relative change of the mean colour; line:
the median window, band: the middle 80 %. Windows are as long as those that training draws by default; traces, as for
`tools.benchmark.traces`, are cut into such.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.drawn_signals import DrawnSignalsLoader
from dataset.synthetic.signals import EFFECTS, draw
from evaluation import figures
from unsupervised_methods.measure import at_rate

DRAWN = DrawnSignalsLoader.OPTIONS["SIGNALS"]  # as training has them
FS, WINDOWS = 30.0, 60
FRAMES = round(FS * DRAWN["SECONDS"])
MIDDLE = (DRAWN["GRID"] + 1) * ((DRAWN["GRID"] - 1) // 2)  # the cell that is looked at
COLOURS = {"tab:red": 0, "tab:green": 1, "tab:blue": 2}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("traces", nargs="*", type=Path)
    asked = parser.parse_args(arguments)
    panels = [*drawn(), *(panel for path in asked.traces for panel in recorded(path))]
    figure = figures.new_figure(13, 2.5 * -(-len(panels) // 4), layout="constrained")
    axes = figure.subplots(-(-len(panels) // 4), 4, sharex=True, sharey=True).ravel()
    pulse = dict(panels)["pulse alone"]
    for (title, windows), ax in zip(panels, axes, strict=False):
        show(ax, title, windows, pulse)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel("frequency [Hz]")
    figure.supylabel("relative change [1/sqrt(Hz)]")
    figures.save(figure, asked.picture)
    print(f"{asked.picture}: {len(panels)} panels")


def drawn() -> Iterator[tuple[str, np.ndarray]]:
    """Title and windows (n, T, 3) of the pulse, each effect alone, and all of them together."""
    every = tuple(EFFECTS)
    yield "pulse alone", windows_of(every, True)
    for name in every:
        yield name.replace("_", " "), windows_of([one for one in every if one != name], False)
    yield "all of it", windows_of([], True)


def windows_of(without: Sequence[str], has_pulse: bool) -> np.ndarray:
    """(n, T, 3): of each window the cell in the middle of the face."""
    cells = [
        draw((1, number), FRAMES, FS, DRAWN["GRID"], has_pulse, without).colours[:, MIDDLE] for number in range(WINDOWS)
    ]
    return np.stack(cells)


def recorded(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Title and windows of each region of a file of traces."""
    with np.load(path, allow_pickle=False) as content:
        for name in content.files:
            if name.endswith("_rgb"):
                region = name.removesuffix("_rgb")
                times, trace = content[f"{region}_time_s"], content[name]
                even, _ = at_rate(trace, times, FS)
                count = len(even) // FRAMES
                yield f"recorded: {path.stem} {region}", even[: count * FRAMES].reshape(count, FRAMES, 3)


def show(ax: Any, title: str, windows: np.ndarray, pulse: np.ndarray) -> None:
    """The three colours' spectra of windows (n, T, 3)."""
    rates, of_pulse = spectra(pulse[..., 1])
    ax.loglog(rates, np.median(of_pulse, axis=0), color="0.7", linewidth=2)
    for colour, channel in COLOURS.items():
        found = spectra(windows[..., channel])[1]
        low, middle, high = np.quantile(found, [0.1, 0.5, 0.9], axis=0)
        ax.plot(rates, middle, color=colour, linewidth=1)
        ax.fill_between(rates, np.maximum(low, 1e-9), np.maximum(high, 1e-9), color=colour, alpha=0.12, linewidth=0)
    ax.axvspan(40 / 60, 200 / 60, color="tab:orange", alpha=0.08, linewidth=0)
    ax.set_title(title, fontsize=9)
    ax.set_ylim(1e-6, 1)


def spectra(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (F,) in Hz above 0 and amplitude densities (n, F) of windows (n, T), relative to their mean."""
    change = values / np.maximum(np.abs(values.mean(axis=1, keepdims=True)), 1e-6) - 1
    taper = np.hanning(values.shape[1])
    found = np.abs(np.fft.rfft(change * taper, axis=1)) / np.sqrt(FS * (taper**2).sum() / 2)
    return np.fft.rfftfreq(values.shape[1], 1 / FS)[1:], found[:, 1:]


if __name__ == "__main__":
    main()
