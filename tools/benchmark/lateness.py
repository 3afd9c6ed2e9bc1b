"""How late GridPulse's streamed wave has to come: python -m tools.benchmark.lateness [--windows 60] [--weights FILE]

Drawn windows of 40 s with all effects, of which 15 s are compared. For each lateness, and each length of the colours
that are read at once: the correlation with the wave of the whole window, read offline; the correlation with the drawn
pulse; mean absolute error in bpm of windows of 10 s against the drawn pulse, each by itself and along the path. The
last line is the offline wave.
"""

import argparse
import sys

import numpy as np
import torch

from dataset.synthetic import signals
from evaluation.path import course, spectra
from evaluation.presets import preset
from evaluation.results import RecordingResult
from neural_methods import checkpoint, chosen
from neural_methods.model.grid_pulse import RATE, GridPulse
from neural_methods.streaming import LATE, SECONDS, GridStream
from tools.benchmark.traces import errors

LATENESS = (0.0, 1.0, LATE, 3.0, 4.0)  # s
AT_ONCE = (SECONDS, 2 * SECONDS)  # s
LENGTH, SETTLED, ENDING = 40.0, 20.0, 35.0  # s of a window; between the other two all streams read as much as they keep
KEY = 4711  # no window of a training or a validation
BAND = preset("exact").band


def main(arguments: list[str] | None = None) -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--weights", default=chosen.shipped("GridPulse"))
    asked = parser.parse_args(arguments)
    model = GridPulse()
    model.load_state_dict(checkpoint.read_weights(asked.weights))
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for number in range(asked.windows):
        drawn = signals.draw((KEY, number), round(LENGTH * RATE), RATE)
        whole, times = offline(model.eval(), drawn.colours), np.arange(round(LENGTH * RATE)) / RATE
        for seconds in AT_ONCE:
            for late in LATENESS:
                wave = streamed(GridStream(model, late, seconds), drawn.colours, times)
                found.setdefault((f"{late:g}", f"{seconds:g}"), []).append(compared(wave, whole, drawn.ppg, times))
        found.setdefault(("offline", f"{LENGTH:g}"), []).append(compared(whole, whole, drawn.ppg, times))
    print("| late, s | read at once, s | with offline | with the pulse | windows, bpm | path, bpm |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for (late, seconds), rows in found.items():
        numbers = np.mean(rows, axis=0)
        print(f"| {late} | {seconds} | {numbers[0]:.3f} | {numbers[1]:.3f} | {numbers[2]:.2f} | {numbers[3]:.2f} |")
    return 0


@torch.no_grad()
def offline(model: GridPulse, colours: np.ndarray) -> np.ndarray:
    """The wave (T,) of all `colours` (T, C, 3) at once."""
    grid = model.grid
    video = torch.from_numpy(colours.reshape(-1, grid, grid, 3).copy()).permute(3, 0, 1, 2)[None]
    return model(video)[0][0].numpy()


def streamed(stream: GridStream, colours: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The wave (T,) as it is given out; NaN where it is not."""
    wave = np.full(len(times), np.nan)
    side = round(colours.shape[1] ** 0.5)
    for time, cells in zip(times, colours, strict=True):
        if piece := stream.push(float(time), cells.reshape(side, side, 3)):
            wave[np.rint(piece.times * RATE).astype(int)] = piece.wave
    return wave


def compared(wave: np.ndarray, whole: np.ndarray, pulse: np.ndarray, times: np.ndarray) -> tuple[float, ...]:
    """Correlation with the offline wave, with the pulse, errors of windows and along the path."""
    inside = (times >= SETTLED) & (times < ENDING)
    wave, pulse = wave[inside], pulse[inside]
    reference = course(spectra(pulse, RATE, BAND))
    rates = errors(RecordingResult("drawn", "drawn", RATE, wave), reference.times, reference.rates)
    return np.corrcoef(wave, whole[inside])[0, 1], np.corrcoef(wave, pulse)[0, 1], *rates


if __name__ == "__main__":
    sys.exit(main())
