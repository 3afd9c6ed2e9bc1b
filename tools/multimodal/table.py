"""Which sensors does it take? python tools/multimodal/table.py --root DIR

Trains SensorFusion on each choice of sensors, tests the network of all of them without each one, and puts the errors of
pulse and breathing beside those of signal processing alone (POS, phase of the radar, heat). --once trains one network
of all sensors and tests it with each choice, which is several times faster. Everything is an ordinary run of
configs/multimodal/fusion.yaml; the table is written to the folder of --out.
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

from config import ROOT, load_config, run_folder
from dataset.files import hdf5
from dataset.multimodal.layout import ALIGNED
from dataset.program import answer
from evaluation.heart_rate import spectral_peak_heart_rate
from evaluation.tables import json_text, write_text

CONFIG = ROOT / "configs" / "multimodal" / "fusion.yaml"
SENSORS = ("rgb", "thermal", "radar")
SECTIONS = ("TRAIN", "VALID", "TEST")
WINDOW = 20.0  # s of a rate, as a clip of the configuration
PULSE, BREATH = (0.6, 3.3), (0.13, 0.5)  # Hz, as the runs have them
NAMES = {"rgb": "RGB", "thermal": "thermal", "radar": "radar"}
ALONE = {"rgb": "no network: POS", "thermal": "no network: heat", "radar": "no network: phase"}
ANY = "any"  # light


@dataclass(frozen=True)
class Line:
    """A row: what was trained, which sensors it was tested with, in which light.

    Then the mean absolute errors of pulse and breath per minute, and of how many windows of 20 s.
    """

    trained: str
    tested: str
    light: str
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
    parser.add_argument("--once", action="store_true", help="train one network and test it with each choice of sensors")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of every run")
    asked = parser.parse_args(arguments)
    return answer(lambda: make(asked.root, asked.out, asked.epochs, asked.light, asked.once, asked.set))


def make(
    root: Path,
    out: Path,
    epochs: int | None = None,
    lights: Iterable[str] = (),
    once: bool = False,
    changes: Iterable[str] = (),
) -> int:
    """Run everything, print and write the table; ValueError where a run failed."""
    begin, lights = time.monotonic(), (ANY, *lights)
    common = [f"{part}.DATA.DATA_PATH={root}" for part in SECTIONS]
    common += [f"{part}.DATA.CACHED_PATH={out / 'cache'}" for part in SECTIONS]
    common += [f"TRAIN.EPOCHS={epochs}"] if epochs else []
    common += changes
    lines = [line for light in lights for line in baselines(common, light)]
    for sensors in [SENSORS] if once else subsets():
        lines += _trained(common, sensors, out, lights, every=once)
    text = table(lines)
    print(f"\n{text}\n\nMade in {time.monotonic() - begin:.0f} s.")
    write_text(out / "table.md", text + "\n")
    write_text(out / "table.json", json_text([vars(line) for line in lines]))
    return 0


def subsets(sensors: Iterable[str] = SENSORS) -> list[tuple[str, ...]]:
    """Every choice of at least one sensor, the small ones first."""
    sensors = tuple(sensors)
    return [some for count in range(1, len(sensors) + 1) for some in itertools.combinations(sensors, count)]


def _trained(common: list[str], sensors: tuple[str, ...], out: Path, lights: Iterable[str], every: bool) -> list[Line]:
    """A network of `sensors`, tested with them; one of all also without each one, or with `every` choice of them."""
    folder = out / "runs" / _name(sensors)
    where = [*common, f"TRAIN.MODEL_FILE_NAME={_name(sensors)}"]
    found = _run([*where, _reading(sensors), f"LOG.PATH={folder}"])
    lines = [_line(found, sensors, sensors, ANY)]
    weights = max(folder.glob("*/PreTrainedModels/*.pth"), key=lambda path: path.stat().st_mtime)
    where += ["TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}"]
    least = 1 if every else 2
    chosen = [one for one in subsets() if len(one) >= least] if sensors == SENSORS else [sensors]
    for light, some in itertools.product(lights, chosen):
        if (light, some) != (ANY, sensors):
            place = folder / f"{_name(some)}_{light}"
            found = _run([*where, *_in(light), _reading(some), f"LOG.PATH={place}"])
            lines.append(_line(found, sensors, some, light))
    return lines


def _name(sensors: Iterable[str]) -> str:
    return "_".join(sensors)


def _in(light: str) -> list[str]:
    """The settings that test on recordings of this light."""
    return [] if light == ANY else ["TEST.DATA.FILTERING.SELECT_TASKS=True", f"TEST.DATA.FILTERING.TASK_LIST=[{light}]"]


def _reading(sensors: Iterable[str]) -> str:
    """The setting by which the network reads these sensors; the recordings in the cache are the same for all."""
    return f"MODEL.FUSION.SENSORS=[{','.join(sensors)}]"


def _run(changes: list[str]) -> Path:
    """One run of the configuration with `changes`; its folder. ValueError with what it said where it failed."""
    import main as program  # torch comes with it

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = program.main(["--config_file", str(CONFIG), *changes])
    if code:
        raise ValueError(f"A run of '{CONFIG}' failed: {said.getvalue().strip().splitlines()[-1]}")
    return ROOT / run_folder(load_config(CONFIG, changes))


def _line(folder: Path, trained: tuple[str, ...], tested: tuple[str, ...], light: str) -> Line:
    values = json.loads((folder / "metrics.json").read_text())
    pulse, count = _mae(values["tables"])
    breath, _ = _mae(values.get("heads", {}).get("resp", {}).get("tables", []))
    first, second = (" + ".join(NAMES[one] for one in some) for some in (trained, tested))
    return Line(first, second, light, pulse, breath, count)


def _mae(tables: Iterable[Mapping]) -> tuple[float, int]:
    """Mean absolute error of the network, and of how many windows; NaN without any."""
    own = next((one for one in tables if not one["baseline"]), None)
    found = None if own is None else own["metrics"]["MAE"]["value"]
    return (float("nan") if found is None else float(found)), (0 if own is None else int(own["n"]))


def baselines(common: list[str], light: str = ANY) -> list[Line]:
    """Signal processing of each sensor alone on the same recordings, in windows of a clip's length."""
    from dataset.prepare.section import prepare

    config = load_config(CONFIG, [*common, *_in(light)])
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
        count = int(np.isfinite(errors[:, 0]).sum())
        lines.append(Line(ALONE[sensor], NAMES[sensor], light, *means, count))
    return lines


def _errors(file: h5py.File, sensor: str) -> list[tuple[float, float]]:
    """Errors (per minute) of pulse and breath in each window; NaN where the sensor, or the reference, has none."""
    times = hdf5.signal(file, "t")
    fs = (len(times) - 1) / (times[-1] - times[0])
    size = round(WINDOW * fs)
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
    heads = ("trained with", "tested with", "light", "pulse MAE (bpm)", "breathing MAE (1/min)", "windows")
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for line in lines:
        values = f"{_number(line.pulse)} | {_number(line.breath)} | {line.n}"
        rows.append(f"| {line.trained} | {line.tested} | {line.light} | {values} |")
    return "\n".join(rows)


def _number(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
