"""One small picture of a recording: brightness, frame intervals, waves, spectra, and where the label fits."""

import io
from typing import Any

import numpy as np

from dataset.doctor import label
from dataset.files.frames import LUMA
from evaluation import figures
from evaluation.post_process import next_power_of_2, periodogram

SHOWN_SECONDS = 8.0  # of the waves
POINTS = 1500  # of a line: a long recording has more than the picture has pixels


def draw(times: np.ndarray | None, waves: Any) -> bytes:
    """A PNG file: `times` (T,) of the frames (s) or None, and the recording's `Waves`."""
    together = waves.together()
    count = 5 if len(together[0]) else 4
    figure = figures.new_figure(2.1 * count, 1.75)
    # Fixed margins: a layout engine takes longer than all the rest.
    margins = {"left": 0.04, "right": 0.985, "bottom": 0.25, "top": 0.88, "wspace": 0.22}
    panels = figure.subplots(1, count, gridspec_kw={"width_ratios": (1.1, 1, 1.6, 1, 1)[:count], **margins})
    for panel in panels:
        panel.tick_params(labelsize=6)
    _brightness(panels[0], waves)
    _intervals(panels[1], times)
    _waves(panels[2], waves, together)
    _spectra(panels[3], waves, together)
    if count == 5:
        _fit(panels[4], waves, together)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=90, metadata={"Software": None})
    return content.getvalue()


def _brightness(panel: Any, waves: Any) -> None:
    step = max(1, len(waves.times) // POINTS)
    panel.plot(waves.times[::step], (waves.trace @ LUMA)[::step], color="0.3", linewidth=0.8)
    panel.set_title("brightness of the face, 0-255", fontsize=7)
    panel.set_xlabel("time [s]", fontsize=6)


def _intervals(panel: Any, times: np.ndarray | None) -> None:
    panel.set_title("time between frames [ms]", fontsize=7)
    if times is None or len(times) < 2:
        panel.text(0.5, 0.5, "no frame times", ha="center", va="center", fontsize=7, transform=panel.transAxes)
        panel.set_axis_off()
        return
    panel.plot(times[1:], 1000 * np.diff(times), ".", color="0.3", markersize=2)
    panel.set_ylim(min(0.0, 1000 * float(np.diff(times).min())), 1200 * float(np.diff(times).max()))
    panel.set_xlabel("time [s]", fontsize=6)


def _waves(panel: Any, waves: Any, together: tuple[np.ndarray, ...]) -> None:
    times, pulse, reference = together if len(together[0]) else (waves.times[: len(waves.pulse)], waves.pulse, None)
    panel.set_title("pulse by the camera (red)" + (", label (grey)" if reference is not None else ""), fontsize=7)
    panel.set_yticks([])
    if not len(pulse):
        return
    begin = max(times[0], (times[0] + times[-1] - SHOWN_SECONDS) / 2)
    shown = (times >= begin) & (times <= begin + SHOWN_SECONDS)
    for wave, colour in ((reference, "0.5"), (pulse, "tab:red")):
        if wave is not None:
            panel.plot(times[shown], wave[shown] / (wave[shown].std() or 1.0), color=colour, linewidth=0.9)
    panel.set_xlabel("time [s]", fontsize=6)


def _spectra(panel: Any, waves: Any, together: tuple[np.ndarray, ...]) -> None:
    panel.set_title("their spectra", fontsize=7)
    panel.set_yticks([])
    for wave, colour in ((together[2], "0.5"), (waves.pulse, "tab:red")):
        if len(wave):
            size = next_power_of_2(8 * len(wave))
            freqs, power = periodogram(wave * np.hanning(len(wave)), waves.fs, size)
            inside = (freqs >= 0.5) & (freqs <= 4.0)
            panel.plot(60 * freqs[inside], power[inside] / (power[inside].max() or 1.0), color=colour, linewidth=0.9)
    panel.set_xlabel("rate [bpm]", fontsize=6)


def _fit(panel: Any, waves: Any, together: tuple[np.ndarray, ...]) -> None:
    _, pulse, reference = together
    panel.set_title("correlation with the label, moved", fontsize=7)
    reach = label.reach(len(pulse), waves.fs)
    fit = label.cross_correlation(pulse, reference, reach)
    panel.plot(np.arange(-reach, reach + 1) / waves.fs, fit, color="tab:blue", linewidth=0.9)
    panel.axvline(0, color="0.6", linewidth=0.6)
    panel.set_ylim(-1, 1)
    panel.set_xlabel("label late by [s]", fontsize=6)
