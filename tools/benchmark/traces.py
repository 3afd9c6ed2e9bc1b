"""How far off methods are on colour traces with a contact sensor: python -m tools.benchmark.traces FOLDER [--weights W]

A file of FOLDER is an .npz with `<region>_rgb` (T, 3) and `<region>_time_s` (T,) for each region of the face, `ppg`
and `ppg_time_s`. Every trace is read at its own rate and at 30 per second. Two tables of mean absolute errors in bpm
over windows of 10 s, a second apart: each window by itself, and along the path through all of them. The reference is
the path through the contact sensor's wave, filtered in the same way.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dataset.files.names import natural_key
from evaluation.evaluate import whole_wave
from evaluation.path import course, spectra
from evaluation.presets import preset
from evaluation.results import RecordingResult
from evaluation.tables import csv_text
from registry import UNSUPERVISED
from unsupervised_methods.measure import at_rate, predict

METHODS = ("POS", "CHROM", "LGI")
EXACT = preset("exact")
Wave = Callable[[np.ndarray, float], np.ndarray]


def main(arguments: list[str] | None = None) -> int:
    """Print both tables as Markdown and, with --csv, write a line per trace and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", nargs="*", default=[], help="files of GridPulse's weights")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args(arguments)
    methods: dict[str, Wave] = {name: classical(name) for name in METHODS}
    methods |= {Path(path).stem: network(path) for path in asked.weights}
    lines = list(judged(asked.folder, methods))
    for kind in ("windows", "path"):
        print(f"\n{kind}\n\n| trace | per second | {' | '.join(methods)} |\n| --- | ---: |{' ---: |' * len(methods)}")
        for trace, fs in dict.fromkeys((one["trace"], one["fs"]) for one in lines):
            own = {one["method"]: one[kind] for one in lines if (one["trace"], one["fs"]) == (trace, fs)}
            print(f"| {trace} | {fs:.0f} | {' | '.join(f'{own[name]:.2f}' for name in methods)} |")
    if asked.csv:
        asked.csv.write_text(csv_text(list(lines[0]), lines))
    return 0


def classical(name: str) -> Wave:
    """A classical method as `exact` runs it, without filters of its own."""
    return lambda trace, fs: predict(UNSUPERVISED[name], trace, fs, EXACT.band)[0]


def network(path: str) -> Wave:
    """GridPulse with weights, on a trace as if all cells were alike."""
    import torch

    from neural_methods import checkpoint
    from neural_methods.model.grid_pulse import RATE, GridPulse

    model = GridPulse()
    model.load_state_dict(checkpoint.read_weights(path))
    model.eval()

    @torch.no_grad()
    def wave(trace: np.ndarray, fs: float) -> np.ndarray:
        times = np.arange(len(trace)) / fs
        even = at_rate(trace, times, RATE)[0].astype(np.float32)
        found = model(torch.from_numpy(even.T.copy())[None, :, :, None, None])[0][0].numpy()
        return np.interp(times, np.arange(len(even)) / RATE, found)

    return wave


def judged(folder: Path, methods: dict[str, Wave]) -> Iterator[dict]:
    """A line per trace, rate and method."""
    for file in sorted(folder.glob("*.npz"), key=lambda path: natural_key(path.name)):
        with np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
        contact = RecordingResult(
            file.stem, file.stem, _rate(arrays["ppg_time_s"]), arrays["ppg"], times=arrays["ppg_time_s"]
        )
        begin, truth, rate = _filtered(contact)
        true = course(spectra(truth, rate, EXACT.band))
        reference = begin + true.times, true.rates
        regions = [name.removesuffix("_rgb") for name in arrays if name.endswith("_rgb")]
        for region in regions:
            times, trace = arrays[f"{region}_time_s"], arrays[f"{region}_rgb"].astype(float)
            for fs in (_rate(times), 30.0):
                even, _ = at_rate(trace, times, fs)
                for name, method in methods.items():
                    wave = RecordingResult(
                        region, file.stem, fs, method(even, fs), times=times[0] + np.arange(len(even)) / fs
                    )
                    single, path = errors(wave, *reference)
                    yield {"trace": f"{file.stem} {region}", "fs": fs, "method": name, "windows": single, "path": path}


def errors(found: RecordingResult, times: np.ndarray, rates: np.ndarray) -> tuple[float, float]:
    """Mean absolute errors (bpm) of single windows and along the path; the true `rates` (N,) are those at `times`."""
    start, wave, fs = _filtered(found)
    seen = spectra(wave, fs, EXACT.band)
    own, clock = course(seen), start + seen.times
    inside = (clock >= times[0]) & (clock <= times[-1])
    reference = np.interp(clock, times, rates)[inside]
    single = seen.rates[seen.power.argmax(axis=1)]
    return tuple(float(np.abs(one[inside] - reference).mean()) for one in (single, own.rates))


def _filtered(result: RecordingResult) -> tuple[float, np.ndarray, float]:
    """Start (s), filtered wave and its rate (Hz); ValueError where it has no rate."""
    grid, wave, fs, problem = whole_wave(result, EXACT)
    if problem:
        raise ValueError(f"{result.id}: {problem}")
    return float(grid[0]), wave, fs


def _rate(times: np.ndarray) -> float:
    return float((len(times) - 1) / (times[-1] - times[0]))


if __name__ == "__main__":
    sys.exit(main())
