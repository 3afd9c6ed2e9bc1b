"""Times that are no seconds: a failed recording, and a sentence that guesses the unit, in every data set with times.

And tables of waves that people have: units in names, rates, files of an Empatica E4.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from dataset.data_loader.base import Signal
from dataset.doctor.label import check_heart_rate, check_length, check_shape, window_rates
from dataset.face.crop import FaceCrop
from dataset.files.wave_table import read_labels
from dataset.prepare.checks import check_signals, check_times
from dataset.prepare.clock import Video, check_frames, gap, wave_problem
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from tests.damage import make_good
from tests.test_loader_contract import LABEL, loader

RATE = 30.0


def scaled(path: Path, factor: float, row: int | None = None, column: int = 0, delimiter: str = ",") -> None:
    """Multiply a row or a column of a table by `factor`; a heading stays."""
    lines = [line.split(delimiter if delimiter != " " else None) for line in path.read_text().splitlines()]
    head = [] if re.match(r"[-+.\d]", lines[0][0].strip()) else [lines.pop(0)]
    table = np.array(lines, dtype=float)
    part = (row, slice(None)) if row is not None else (slice(None), column)
    table[part] *= factor
    text = [delimiter.join(line) for line in head] + [delimiter.join(f"{v:.17g}" for v in line) for line in table]
    path.write_text("\n".join(text) + "\n")


def _hdf5(path: Path, factor: float, name: str = "time") -> None:
    with h5py.File(path, "r+") as file:
        times = file[name][()]
        del file[name]
        file[name] = times * factor


def _aligned(path: Path, factor: float) -> None:
    _hdf5(path, factor, "t")


def _mat(path: Path, factor: float) -> None:
    content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    content["pulseOxTime"] = content["pulseOxTime"] * factor
    scipy.io.savemat(path, content)


def _stamps(path: Path, factor: float) -> None:
    content = json.loads(path.read_text())
    for package in content["/FullPackage"]:
        package["Timestamp"] = int(package["Timestamp"] * factor)
    path.write_text(json.dumps(content))


def _values(tag: str) -> Callable[[Path, float], None]:
    def change(path: Path, factor: float) -> None:
        text = re.sub(rf"<{tag}>([\d.]+)<", lambda m: f"<{tag}>{float(m[1]) * factor:.9f}<", path.read_text())
        path.write_text(text)

    return change


CLOCKS = {  # data sets with times in their files: file, how to scale them, by what, the guess
    "UBFC-rPPG ms": ("ground_truth.txt", lambda p, f: scaled(p, f, row=2, delimiter=" "), 1e3, "milliseconds"),
    "UBFC-rPPG ns": ("ground_truth.txt", lambda p, f: scaled(p, f, row=2, delimiter=" "), 1e9, "nanoseconds"),
    "UBFC-rPPG-1 us": ("gtdump.xmp", scaled, 1e3, "milliseconds"),
    "UBFC-rPPG-1 s": ("gtdump.xmp", scaled, 1e-3, "."),
    "COHFACE ms": ("data.hdf5", _hdf5, 1e3, "milliseconds"),
    "Multimodal ms": ("aligned.h5", _aligned, 1e3, "frames a second"),
    "Folder ms": ("*.csv", scaled, 1e3, "milliseconds"),
    "Folder us": ("*.csv", scaled, 1e6, "microseconds"),
    "MR-NIRP ms": ("pulseOx.mat", _mat, 1e3, "milliseconds"),
    "PURE ms": ("*.json", _stamps, 1e-6, "."),
    "LGI-PPGI s": ("cv_camera_sensor_timer_stream_handler.xml", _values("value1"), 1e-3, "frames a second"),
    "ECG-Fitness us": ("c920.csv", scaled, 1e3, "."),
    "VIPL-HR s": ("time.txt", scaled, 1e-3, "frames a second"),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_times_that_are_no_seconds_cost_their_recording(case, tmp_path):
    """The recording fails with its place, a sentence and, where there is one, the guess; the others are done."""
    name = case.split()[0]
    pattern, change, factor, guess = CLOCKS[case]
    make_good(name, tmp_path / "raw", 2)
    file = sorted(tmp_path.rglob(pattern))[0]
    change(file, factor)
    reader = loader(name)
    reader.fs = 30.0 if name == "Folder" else reader.fs
    cache, recordings = Cache(tmp_path / "cache", {}), reader.recordings(tmp_path / "raw")
    statuses = preprocess_all(reader, recordings, FaceCrop(size=(16, 16), do_crop=False), cache, 1)
    failed = {key: status.reason for key, status in statuses.items() if status.state == "failed"}
    assert len(failed) == 1 and len(statuses) > 1, failed
    reason = next(iter(failed.values()))
    assert guess in reason and re.search("leave|Mend", reason) and "\n" not in reason
    assert any(part in reason for part in (str(file.parents[1]), file.parent.name, file.stem))


def test_the_remedy_for_milliseconds_works(tmp_path):
    """Divided by what the sentence says, the recording is done; so it is with the unit in the column's name."""
    make_good("Folder", tmp_path / "raw", 1)
    file = next(tmp_path.rglob("*.csv"))
    reader, crop = loader("Folder"), FaceCrop(size=(16, 16), do_crop=False)
    reader.fs = 30.0

    def run(place):
        cache = Cache(tmp_path / place, {})
        return cache, preprocess_all(reader, reader.recordings(tmp_path / "raw"), crop, cache, 1)["person1_phone"]

    good, _ = run("good")
    scaled(file, 1e3)
    reason = run("bad")[1].reason
    scaled(file, 1 / float(re.search(r"divide them by (\d+)", reason)[1]))
    assert run("mended")[1].state == "done"
    scaled(file, 1e3)
    file.write_text(file.read_text().replace("time,", "time_ms,"))
    named, status = run("named")
    assert status.state == "done" and "time_ms" in named.entry("person1_phone").info["label_times"]
    np.testing.assert_allclose(
        named.entry("person1_phone").signals["ppg"].times, good.entry("person1_phone").signals["ppg"].times
    )


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.arange(60) / RATE, ""),
        (np.arange(1800) / RATE * 1e3, "look like milliseconds: divide them by 1000"),
        (np.arange(1800) / RATE * 1e6, "look like microseconds: divide them by 1000000"),
        (np.arange(1800) / RATE * 1e9, "look like nanoseconds"),
        (np.arange(6000) / 100 / 60, "look like minutes: multiply them by 60"),
        (1.6e9 + np.arange(60) / RATE, "seconds since 1970: subtract"),
        (np.arange(60)[::-1] / RATE, "run backwards"),
        (np.zeros(60), "one time, 0, for all 60"),
        (np.arange(60.0), "needs at least 5"),
        (np.repeat(np.arange(0, 60, 1.0), 30), ""),  # packets of samples that share one time
        (np.arange(120_000) / 2000, ""),  # fast, and as long as the video
    ],
)
def test_clocks_of_waves(times, words):
    """Unit, order, pace and overlap with a video of a minute."""
    problem = wave_problem(Signal(np.zeros(len(times)), times=times), Video(0.0, 60.0))
    assert re.search(words, problem) if words else problem == ""
    assert not words or re.search("leave the recording out|Mend", problem)


def test_only_waves_are_judged():
    """A heart rate comes once a second, or seldomer; the signal that is needed does not."""
    slow = Signal(np.full(60, 70.0), times=np.arange(60.0))
    wave = Signal(np.zeros(60), times=np.arange(60) / RATE)
    check_signals({"ppg": wave, "hr": slow, "spo2": Signal(np.zeros(60), fs=1.0)}, ["ppg"])
    with pytest.raises(ValueError, match="'ppg' of 'x' has 1 samples a second"):
        check_signals({"ppg": slow}, ["ppg"], " of 'x'")
    with pytest.raises(ValueError, match="'ppg' has 1 samples a second.*none"):
        check_signals({"ppg": Signal(np.zeros(60), fs=1.0)}, ["ppg"])


def test_frames_without_a_rate_a_camera_has_are_refused():
    """Frame times in milliseconds, or a thousandth of them; ordinary ones pass."""
    frames = np.arange(90) / RATE
    check_frames(frames)
    check_frames(None)
    with pytest.raises(ValueError, match="0.03 frames a second.*milliseconds: divide them by 1000"):
        check_frames(frames * 1e3)
    with pytest.raises(ValueError, match=r"of 'x' give 3e\+04 frames a second"):
        check_frames(frames / 1e3, " of 'x'")
    with pytest.raises(ValueError, match="share nothing"):
        check_times({"ppg": Signal(np.zeros(90), times=frames + 100)}, ["ppg"], frames, 90, None)


def test_gaps_are_measured():
    """A second without a sample; the ordinary distance of a slow signal is none."""
    times = np.concatenate([np.arange(30) / RATE, 4 + np.arange(30) / RATE])
    assert gap(Signal(np.zeros(60), times=times)) == pytest.approx(4 - 29 / RATE)
    assert gap(Signal(np.zeros(60), times=np.arange(60.0))) == 0.0


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e9, 1e-3, 1e-6])
def test_the_doctor_says_so_of_entries_that_are_made(factor):
    """Labels on such a clock in a cache of before: findings, and no error."""
    signal = Signal(np.sin(np.arange(600) / 5), times=np.arange(600) / RATE * factor)
    finding = check_length(signal, np.arange(600) / RATE, 600, RATE)
    assert finding.grade == "bad" and "samples a second" in finding.text
    fs = min(100.0, RATE / factor)
    check_shape(signal.values, fs)
    check_heart_rate(signal.values, fs)
    assert all(len(found) == 0 for found in window_rates(signal.values, RATE / 1e3))


# --- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["time_ms", "Time (ms)", "t[ms]", "timestamp.ms", "milliseconds", "ms", "time_msec"])
def test_the_unit_in_a_columns_name_is_understood(head, tmp_path):
    """Milliseconds become seconds."""
    (tmp_path / "a.csv").write_text(f"{head},bvp\n0,1\n33,2\n67,4\n")
    signal = read_labels(tmp_path / "a.csv")["ppg"]
    np.testing.assert_allclose(signal.times, [0, 0.033, 0.067])
    np.testing.assert_array_equal(signal.values, [1, 2, 4])


@pytest.mark.parametrize(("head", "factor"), [("time_us", 1e-6), ("time [ns]", 1e-9), ("time_s", 1), ("t_min", 60)])
def test_other_units(head, factor, tmp_path):
    """Micro- and nanoseconds, minutes, seconds."""
    (tmp_path / "a.csv").write_text(f"{head};ppg\n0;1\n100;2\n")
    np.testing.assert_allclose(read_labels(tmp_path / "a.csv")["ppg"].times, [0, 100 * factor])


@pytest.mark.parametrize("head", ["hr", "HR (bpm)", "heart_rate", "bpm", "pulse_rate", "Heart Rate [bpm]"])
def test_a_rate_is_never_the_wave(head, tmp_path):
    """Beside a wave it is a signal of its own; alone there is no wave."""
    (tmp_path / "a.csv").write_text(f"time,{head},ppg\n0,70,1\n1,71,2\n")
    signals = read_labels(tmp_path / "a.csv")
    assert signals["ppg"].values.tolist() == [1, 2] and signals["hr"].values.tolist() == [70, 71]
    assert signals["hr"].unit == "bpm"
    for text in (f"time,{head}\n0,70\n1,71\n", f"{head}\n70\n71\n"):
        (tmp_path / "b.csv").write_text(text)
        assert set(read_labels(tmp_path / "b.csv")) == {"hr"}


def test_a_file_of_an_empatica_is_recognised(tmp_path):
    """Start, rate, then the samples; its file of rates is no wave."""
    (tmp_path / "BVP.csv").write_text("1544027337.000000\n64.000000\n" + "0.5\n-0.5\n" * 64)
    signal = read_labels(tmp_path / "BVP.csv")["ppg"]
    assert signal.fs == 64 and len(signal.values) == 128 and signal.times is None
    (tmp_path / "HR.csv").write_text("1544027347.000000\n1.000000\n" + "71.2\n" * 60)
    with pytest.raises(ValueError, match="1 samples a second"):
        check_signals(read_labels(tmp_path / "HR.csv"), ["ppg"])


def test_tables_nobody_can_be_sure_of_are_refused(tmp_path):
    """Several columns without a known name; rows in place of columns; an index of rows is no time."""
    (tmp_path / "a.csv").write_text("time,left,right\n0,1,2\n1,2,3\n")
    with pytest.raises(ValueError, match="which one is the wave"):
        read_labels(tmp_path / "a.csv")
    (tmp_path / "b.txt").write_text("\n".join(" ".join(map(str, range(40))) for _ in range(3)))
    with pytest.raises(ValueError, match="lies on its side"):
        read_labels(tmp_path / "b.txt")
    (tmp_path / "d.csv").write_text("time,ppg\n1\n2\n")
    with pytest.raises(ValueError, match="names 2 columns, its rows have 1"):
        read_labels(tmp_path / "d.csv")
    (tmp_path / "c.csv").write_text(",bvp\n0,5\n1,6\n")
    signal = read_labels(tmp_path / "c.csv")["ppg"]
    assert signal.times is None and signal.values.tolist() == [5, 6]


def test_every_data_set_with_times_is_tried():
    """Those without have one value a frame, or a rate of the sensor, and no times in their files."""
    without = {"BP4DPlus", "BP4DPlusBigSmall", "iBVP", "MMPD", "PairedECG", "PhysDrive", "SCAMPS", "UBFC-PHYS", "V4V"}
    dates = {"MCD-rPPG"}  # moments with a date, which have no unit
    assert {case.split()[0] for case in CLOCKS} | without | dates == {*LABEL, "MMPD", "Multimodal", "SCAMPS"}
