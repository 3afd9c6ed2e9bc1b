"""Which sensors does it take? python tools/multimodal/table.py --root DIR

Trains SensorFusion on each sensor, each pair and all of them, tests the network of all without each one, and puts the
errors of pulse and breathing beside those of signal processing alone (POS, phase of the radar, heat). Everything is an
ordinary run of configs/multimodal/fusion.yaml; the table is written to the folder of --out.
"""

import argparse
import contextlib
import io
import itertools
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from config import load_config, run_folder
from dataset.files import hdf5
from dataset.files.writing import write_whole
from dataset.multimodal.layout import ALIGNED
from dataset.program import answer
from evaluation.heart_rate import spectral_peak_heart_rate

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "multimodal" / "fusion.yaml"
SENSORS = ("rgb", "thermal", "radar")
SECTIONS = ("TRAIN", "VALID", "TEST")
WINDOW = 20.0  # s of a rate, as a clip of the configuration
PULSE, BREATH = (0.6, 3.3), (0.13, 0.5)  # Hz, as the runs have them
NAMES = {"rgb": "RGB", "thermal": "thermal", "radar": "radar"}
ALONE = {"rgb": "POS", "thermal": "heat of skin and nostrils", "radar": "phase of the radar"}


@dataclass(frozen=True)
class Line:
    """A row: who measured, with which sensors, on what; mean absolute errors per minute, and of how many windows."""

    method: str
    sensors: str
    tested: str
    pulse: float
    breath: float
    n: int


def main(arguments: list[str] | None = None) -> int:
    """Make the table; 2 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="an aligned multimodal set")
    parser.add_argument("--out", type=Path, default=Path("runs/multimodal"), help="folder of runs and table")
    parser.add_argument("--epochs", type=int, help="of each training, in place of the configuration's")
    parser.add_argument("--light", action="append", default=[], help="also test on recordings of this light (dark)")
    asked = parser.parse_args(arguments)
    return answer(lambda: make(asked.root, asked.out, asked.epochs, asked.light))


def make(root: Path, out: Path, epochs: int | None = None, lights: Iterable[str] = ()) -> int:
    """Run everything, print and write the table; 1 where a run failed."""
    begin = time.monotonic()
    common = [f"{part}.DATA.DATA_PATH={root}" for part in SECTIONS]
    common += [f"{part}.DATA.CACHED_PATH={out / 'cache'}" for part in SECTIONS]
    common += [f"LOG.PATH={out / 'runs'}"]
    common += [f"TRAIN.EPOCHS={epochs}"] if epochs else []
    lines = []
    for sensors in subsets():
        lines += _trained(common, sensors, out, lights)
    lines = [*baselines(common), *lines]
    text = table(lines)
    print(f"\n{text}\nMade in {time.monotonic() - begin:.0f} s.")
    write_whole(out / "table.md", text + "\n")
    write_whole(out / "table.json", json.dumps([vars(line) for line in lines], indent=2) + "\n")
    return 0


def subsets(sensors: Iterable[str] = SENSORS) -> list[tuple[str, ...]]:
    """Every choice of at least one sensor, the small ones first."""
    sensors = tuple(sensors)
    return [some for count in range(1, len(sensors) + 1) for some in itertools.combinations(sensors, count)]


def _trained(common: list[str], sensors: tuple[str, ...], out: Path, lights: Iterable[str]) -> list[Line]:
    """A network of `sensors`: tested with them, without each one where there are three, and by light."""
    name = "fusion_" + "_".join(sensors)
    chosen = [f"{part}.DATA.MODALITIES=[{','.join(sensors)}]" for part in SECTIONS]
    where = [*common, *chosen, f"TRAIN.MODEL_FILE_NAME={name}"]
    folder = _run(where)
    lines = [_line(folder, sensors, "all")]
    weights = sorted(folder.rglob("*.pth"))[-1] if list(folder.rglob("*.pth")) else None
    tests = {}
    if len(sensors) == len(SENSORS):
        for without in sensors:
            rest = [one for one in sensors if one != without]
            tests[f"without {NAMES[without]}"] = [f"TEST.DATA.MODALITIES=[{','.join(rest)}]"]
    for light in lights:
        picked = ["TEST.DATA.FILTERING.SELECT_TASKS=True", f"TEST.DATA.FILTERING.TASK_LIST=[{light}]"]
        tests[f"{light} only"] = picked
    for word, changes in tests.items():
        again = [*where, *changes, "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}"]
        place = f"LOG.PATH={out / 'runs' / word.replace(' ', '_')}"
        lines.append(_line(_run([*again, place]), sensors, word))
    return lines


def _run(changes: list[str]) -> Path:
    """One run of the configuration with `changes`; its folder. ValueError with what it said where it failed."""
    import main as program  # torch comes with it

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = program.main(["--config_file", str(CONFIG), *changes])
    if code:
        raise ValueError(f"A run of '{CONFIG}' failed: {said.getvalue().strip().splitlines()[-1]}")
    return ROOT / run_folder(load_config(CONFIG, changes))


def _line(folder: Path, sensors: tuple[str, ...], tested: str) -> Line:
    values = json.loads((folder / "metrics.json").read_text())
    pulse, count = _mae(values["tables"])
    breath, _ = _mae(values.get("heads", {}).get("resp", {}).get("tables", []))
    return Line("SensorFusion", " + ".join(NAMES[one] for one in sensors), tested, pulse, breath, count)


def _mae(tables: Iterable[Mapping]) -> tuple[float, int]:
    """Mean absolute error of the network, and of how many windows; NaN without any."""
    own = next((one for one in tables if not one["baseline"]), None)
    found = None if own is None else own["metrics"]["MAE"]["value"]
    return (float("nan") if found is None else float(found)), (0 if own is None else int(own["n"]))


def baselines(common: list[str]) -> list[Line]:
    """Signal processing of each sensor alone on the same recordings, in windows of a clip's length."""
    from dataset.prepare.section import prepare

    config = load_config(CONFIG, common)
    with contextlib.redirect_stdout(io.StringIO()):
        recordings = prepare(config.TEST.DATA, "test", config).recordings
    found: dict[str, list[tuple[float, float]]] = {sensor: [] for sensor in SENSORS}
    for recording in recordings:
        with hdf5.open_file(recording.path / ALIGNED) as file:
            for sensor in SENSORS:
                found[sensor] += _errors(file, sensor)
    lines = []
    for sensor, pairs in found.items():
        errors = np.array(pairs, float).reshape(-1, 2)
        means = [float(np.nanmean(one)) if np.isfinite(one).any() else float("nan") for one in errors.T]
        lines.append(Line(ALONE[sensor], NAMES[sensor], "all", *means, len(errors)))
    return lines


def _errors(file: h5py.File, sensor: str) -> list[tuple[float, float]]:
    """Errors (per minute) of pulse and breath in each window; NaN where the sensor, or the reference, has none."""
    times = hdf5.signal(file, "t")
    fs = (len(times) - 1) / (times[-1] - times[0])
    size = round(WINDOW * 30.0)
    errors = []
    for start in range(0, len(times) - size + 1, size):
        part = slice(start, start + size)
        pair = []
        for kind, truth, band in (("pulse", "ppg", PULSE), ("breath", "belt", BREATH)):
            rates = [_rate(file, f"waves/{name}/{kind}", part, fs, band) for name in (sensor, truth)]
            pair.append(abs(rates[0] - rates[1]))
        errors.append(tuple(pair))
    return errors


def _rate(file: h5py.File, name: str, part: slice, fs: float, band: tuple[float, float]) -> float:
    return spectral_peak_heart_rate(hdf5.signal(file, name)[part], fs, band) if hdf5.has(file, name) else float("nan")


def table(lines: Iterable[Line]) -> str:
    """The table as Markdown."""
    rows = ["| method | sensors | tested | pulse MAE (bpm) | breathing MAE (1/min) | n |", "|---|---|---|---|---|---|"]
    for line in lines:
        values = f"{_number(line.pulse)} | {_number(line.breath)} | {line.n}"
        rows.append(f"| {line.method} | {line.sensors} | {line.tested} | {values} |")
    return "\n".join(rows)


def _number(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
