"""Time of the signal code: each classical method on 60 s of colour, and all figures of a 30 s window.

python -m tools.benchmark.signals
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from evaluation.evaluate import rows
from evaluation.presets import PRESETS
from evaluation.results import RecordingResult
from registry import UNSUPERVISED
from tools.benchmark.measure import conditions

FS = 30.0


def main() -> None:
    """Print a Markdown table of medians over 20 calls."""
    print(f"{conditions()}\n\n{section()}")


def section() -> str:
    """The table: milliseconds per call, median of 20 after one warm-up."""
    rng = np.random.default_rng(0)
    times = np.arange(int(60 * FS)) / FS
    pulse = np.sin(2 * np.pi * 1.2 * times)
    rgb = 120 + rng.normal(0, 0.2, (len(times), 3)) + pulse[:, None] * [0.3, 0.8, 0.5]
    lines = ["| what | ms |", "| --- | --- |"]
    for name in UNSUPERVISED.names():
        lines.append(f"| {name} on 60 s of colour | {milliseconds(lambda n=name: UNSUPERVISED[n](rgb, FS)):.1f} |")
    window = slice(0, int(30 * FS))
    result = RecordingResult(
        id="window",
        subject="window",
        fs=FS,
        prediction=rgb[window, 1].astype(np.float32),
        label=pulse[window].astype(np.float32),
        label_type="Raw",
    )
    for method in ("FFT", "peak detection"):
        call = milliseconds(lambda m=method: rows([result], PRESETS["toolbox"], m))
        lines.append(f"| rates, SNR and MACC of a 30 s window ({method}) | {call:.2f} |")
    return "\n".join(lines)


def milliseconds(call: Callable[[], object], repeats: int = 20) -> float:
    """Median wall time of one call."""
    call()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
