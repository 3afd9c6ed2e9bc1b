"""The doctor on ECG, PPG and arterial pressure: planted defects are found by name, whole signals are not blamed."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

import main
from dataset.data_loader.base import Signal
from dataset.doctor.contact import merged
from dataset.doctor.examine import sensor_findings
from dataset.doctor.finding import Finding
from dataset.doctor.sensors import RINGING, examine, ringing_of, sensors_of
from dataset.files.wfdb import read_record
from dataset.pressure import find_beats
from tests.conftest import reference
from tests.signal_miniatures import arterial, write_npz, write_ppg_bp

FS, SECONDS = 250.0, 30.0


def people(number=0, seconds=SECONDS, fs=FS, delay=0.25, rate=66.0):
    """ECG (mV), PPG and pressure of one heart, the PPG `delay` s and the pressure 0.15 s behind the R peaks."""
    rng = np.random.default_rng(number)
    times = np.arange(round(seconds * fs)) / fs
    beats = np.cumsum(60 / rate * (1 + 0.02 * rng.normal(size=int(seconds * rate / 60) + 8))) - 2.3
    after = times[:, None] - beats
    bumps = ((-0.17, 0.12, 0.025), (0.0, 1.1, 0.010), (0.03, -0.2, 0.010), (0.25, 0.28, 0.045))
    ecg = sum(h * np.exp(-0.5 * ((after - t) / w) ** 2) for t, h, w in bumps).sum(axis=1)
    ecg += 0.02 * rng.normal(size=len(times))
    ppg = np.exp(-0.5 * ((after - delay - 0.075) / 0.075) ** 2) + 0.4 * np.exp(
        -0.5 * ((after - delay - 0.3) / 0.09) ** 2
    )
    line = arterial_of(after - 0.15)
    return ecg, ppg.sum(axis=1) + 0.005 * rng.normal(size=len(times)), line


def arterial_of(after):
    """A pressure (L,) in mmHg from the times (L, beats) since each foot."""
    last = np.where(after >= 0, after, 9.0).min(axis=1)
    rise = np.where(last < 0.1, np.sin(np.pi / 2 * last / 0.1) ** 2, np.exp(-(last - 0.1) / 0.3))
    return 75 + 50 * rise


def graded(signals, targets=None, **changes):
    """Check -> grade of ECG, PPG and pressure, some of them changed."""
    found = {name: Signal(values, fs=FS, unit=unit) for name, (values, unit) in signals.items()} | changes
    return {one.check: one for one in examine(found, targets or {})}


def signals(number=0, **changes):
    """Name -> (values, unit) of one person, each changed by the function of its name."""
    ecg, ppg, line = people(number)
    whole = {"ecg": (ecg, "mV"), "ppg": (ppg, "a.u."), "abp": (line, "mmHg")}
    return {name: (changes.get(name, lambda x: x)(values), unit) for name, (values, unit) in whole.items()}


@pytest.mark.parametrize("number", range(4))
def test_whole_signals_are_not_blamed(number):
    """Nothing to look at, at several hearts."""
    found = graded(signals(number), {"sbp": 125.0, "dbp": 75.0})
    assert {name: one.text for name, one in found.items() if one.grade in ("look", "bad")} == {}
    assert {
        "ecg rhythm",
        "ppg beats alike",
        "ppg polarity",
        "ecg unit",
        "abp damping",
        "lag ecg-abp",
        "rates",
        "label",
    } <= set(found)
    assert all(one.source for one in found.values() if one.grade)


def damped(line):
    """Averaged over 0.4 s."""
    return np.convolve(np.pad(line, 100, mode="reflect"), np.ones(100) / 100, mode="same")[100:-100]


def still(ecg):
    """Two seconds without any change."""
    return np.where(np.arange(len(ecg)) // 500 == 3, 0.1, ecg)


def noise(ecg):
    """No heart at all."""
    return np.random.default_rng(0).normal(size=len(ecg))


def flushed(line):
    """At 300 and above for two seconds."""
    return np.where(np.arange(len(line)) // 500 == 5, 301.0 + np.arange(len(line)) % 3, line)


DEFECTS = {
    "clipped PPG": ({"ppg": lambda x: x.clip(-1, 0.6)}, "ppg samples", "bad", "end of its scale"),
    "flat stretch": ({"ecg": still}, "ecg samples", "look", "does not change"),
    "constant": ({"ppg": lambda x: 0 * x}, "ppg samples", "bad", "never changes"),
    "all NaN": ({"ppg": lambda x: x * np.nan}, "ppg samples", "bad", "lacks 100 %"),
    "noise in place of an ECG": ({"ecg": noise}, "ecg rhythm", "bad", "not those"),
    "inverted PPG": ({"ppg": lambda x: -x}, "ppg polarity", "bad", "upside down"),
    "inverted ECG": ({"ecg": lambda x: -x}, "ecg polarity", "look", "points down"),
    "microvolts": ({"ecg": lambda x: 1000 * x}, "ecg unit", "bad", "probably in uV"),
    "volts": ({"ecg": lambda x: x / 1000}, "ecg unit", "bad", "probably in V"),
    "PPG too early": ({"ppg": lambda x: np.roll(x, -round(0.4 * FS))}, "lag ecg-ppg", "bad", "before it"),
    "pressure late": ({"abp": lambda x: np.roll(x, round(0.25 * FS))}, "lag ecg-abp", "bad", "70 to 250 ms"),
    "flush": ({"abp": flushed}, "abp flush", "bad", "flushed or clamped"),
    "damped": ({"abp": damped}, "abp damping", "bad", "like a sine"),
    "a step": ({"abp": lambda x: x + 45 * (np.arange(len(x)) > 4000)}, "abp pressure step", "look", "within 5 s"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_by_its_name(defect):
    """With its grade, its reason and what to do."""
    changes, check, grade, words = DEFECTS[defect]
    one = graded(signals(**changes))[check]
    assert one.grade == grade and words in one.text and one.mend and one.source


@pytest.mark.parametrize(("stated", "said"), [(2.0, 250), (0.5, 250)])
def test_a_wrong_sampling_rate_is_found(stated, said):
    """250 Hz that are called 500, or 125: the heart and its QRS are then too fast or too slow, against the PPG, too."""
    ecg, ppg, _ = people(1, rate=70.0)
    found = graded({}, ecg=Signal(ecg, fs=stated * FS, unit="mV"), ppg=Signal(ppg, fs=FS))
    assert (
        found["ecg sampling rate"].grade in ("look", "bad")
        and f"{said} Hz fit better" in found["ecg sampling rate"].text
    )
    assert found["rates"].grade == "bad" and found["clocks"].grade == "look"


def test_one_missing_sample_costs_no_beat():
    """Neither an error nor an empty result."""
    ecg, ppg, _ = people()
    whole, holed = (
        sensors_of({"ecg": Signal(x, fs=FS)})[0] for x in (ecg, np.where(np.arange(len(ecg)) == 50, np.nan, ecg))
    )
    assert len(holed.beats) == len(whole.beats) > 25


def test_a_drifting_clock_is_seen():
    """The lag moves by 60 ms from one end to the other."""
    ecg, ppg, _ = people(2, seconds=60.0)
    times = np.arange(len(ppg)) / FS
    late = np.interp(times - 0.06 * times / times[-1], times, ppg)
    found = graded({}, ecg=Signal(ecg, fs=FS, unit="mV"), ppg=Signal(late, fs=FS))
    assert found["lag ecg-ppg"].grade == "look" and "moves by" in found["lag ecg-ppg"].text
    assert graded({}, ecg=Signal(ecg, fs=FS), ppg=Signal(ppg, fs=FS))["lag ecg-ppg"].grade == "ok"


def test_signals_that_begin_later_keep_their_lag():
    """Times count, not places in the array."""
    ecg, ppg, _ = people(3)
    times = np.arange(len(ppg)) / FS
    found = graded({}, ecg=Signal(ecg, fs=FS), ppg=Signal(ppg[1000:], times=times[1000:]))
    assert found["lag ecg-ppg"].grade == "ok" and found["clocks"].grade == "ok"


def test_ringing_is_seen():
    """An underdamped line of 10 Hz overshoots; the heart's own wave does not ring."""
    line = arterial(FS, SECONDS)
    frequency, damping, step = 2 * np.pi * 10.0, 0.1, 1 / FS / 8
    out, speed, rung = line[0], 0.0, []
    for value in np.repeat(line, 8):
        speed += step * (frequency**2 * (value - out) - 2 * damping * frequency * speed)
        out += step * speed
        rung.append(out)
    for values, rings in ((line, False), (np.array(rung[::8]), True)):
        (one,) = sensors_of({"abp": Signal(values, fs=FS, unit="mmHg")})
        assert bool(ringing_of(one, find_beats(values, FS)) > RINGING) is rings


def test_leads_that_do_not_add_up_are_found():
    """I + III = II; a swap of two of them breaks it."""
    ecg, _, _ = people()
    leads = {"I": 0.6 * ecg, "III": 0.4 * np.roll(ecg, 3), "II": 0.6 * ecg + 0.4 * np.roll(ecg, 3)}
    right = graded({}, **{name: Signal(wave, fs=FS, unit="mV") for name, wave in leads.items()})
    assert right["leads"].grade == "ok"
    leads["I"], leads["II"] = leads["II"], leads["I"]
    wrong = graded({}, **{name: Signal(wave, fs=FS, unit="mV") for name, wave in leads.items()})
    assert wrong["leads"].grade == "bad" and "I + III = II" in wrong["leads"].text


@pytest.mark.parametrize(
    ("targets", "grade"),
    [
        ({"sbp": 120.0, "dbp": 80.0}, "ok"),
        ({"right_arm_sbp": 80.0, "right_arm_dbp": 120.0}, "bad"),
        ({"sbp": 16.0, "dbp": 10.6}, "bad"),
        ({"sbp": np.nan}, "look"),
        ({"SBP": 300.0}, "bad"),
    ],
)
def test_labels_are_examined_as_well(targets, grade):
    """Swapped columns, kPa in place of mmHg, missing ones."""
    assert graded(signals(), targets)["label"].grade == grade


def test_sensors_beside_a_video_are_examined_too():
    """An ECG and a line that lies; the pulse wave is judged as a label, not twice."""
    whole = {name: Signal(values, fs=FS, unit=unit) for name, (values, unit) in signals(abp=damped).items()}
    found = {one.check: one.grade for one in sensor_findings(SimpleNamespace(signals=whole, targets={"sbp": 500.0}))}
    assert found["abp damping"] == "bad" and found["ecg rhythm"] == "ok" and found["label"] == "bad"
    assert "lag ecg-ppg" in found and not any(check.startswith("ppg ") for check in found)
    alone = SimpleNamespace(signals={"ppg": whole["ppg"]}, targets={})
    assert list(sensor_findings(alone)) == []


def test_windows_are_judged_together():
    """Bad where most of them are; otherwise to be looked at, with their number."""
    ok, bad = Finding("x", "ok", "fine"), Finding("x", "bad", "broken")
    assert merged([[ok], [ok], [bad]])[0].grade == "look" and "In 1 of 3 windows" in merged([[ok], [ok], [bad]])[0].text
    assert merged([[bad], [bad], [ok]])[0].grade == "bad" and merged([[ok], [ok]])[0] == ok


def test_real_leads_and_lines_are_not_blamed():
    """Twelve leads of a hospital: nothing is bad, limb leads add up."""
    record = read_record(reference("data/ecg12/HR06000.hea"))
    found = examine({name: record[name] for name in ("I", "II", "III", "aVR", "aVL", "aVF")}, {})
    assert not [one.text for one in found if one.grade == "bad"]
    assert next(one for one in found if one.check == "leads").grade == "ok"


@pytest.mark.parametrize("name", ["PPG-BP", "Kailuan"])
def test_the_program_examines_data_without_video(tmp_path, capsys, name):
    """--doctor writes the table and the page, with a picture, and names the recording with the clipped wave."""
    if name == "PPG-BP":
        root = write_ppg_bp(tmp_path / "raw", people=2)
        path = root / "0_subject" / "3_2.txt"
        values = np.array(path.read_text().split(), dtype=int)
        path.write_text("\t".join(map(str, values.clip(None, int(np.percentile(values, 60))))))
    else:
        root = write_npz(tmp_path, people=2)
        with np.load(root / "w2.npz") as file:
            x = file["x"].copy()
        x[:, 1] = x[:, 1].clip(None, np.percentile(x[:, 1], 60))
        np.savez(root / "w2.npz", x=x, fs=100.0)
    changes = {"TOOLBOX_MODE": "unsupervised_method", "LOG.PATH": tmp_path / "runs", "PREPROCESS_WORKERS": 1}
    changes |= {"UNSUPERVISED.DATA.DATASET": name, "UNSUPERVISED.DATA.DATA_PATH": root,
                "UNSUPERVISED.DATA.CACHED_PATH": tmp_path / "cache"}  # fmt: skip
    config = tmp_path / "x.yaml"
    config.write_text("UNSUPERVISED: {METHOD: [POS]}\n")
    code = main.main(["--config_file", str(config), "--doctor", *(f"{key}={value}" for key, value in changes.items())])
    said = capsys.readouterr().out
    bad = "3_2" if name == "PPG-BP" else "w2"
    assert code == 1 and f"BAD {bad}:" in said and "end of its scale" in said
    (page,) = tmp_path.rglob("doctor.html")
    assert "data:image/png" in page.read_text() and "own threshold" in page.read_text()
    with page.with_name("doctor.csv").open() as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert rows[bad]["grade"] == "bad" and float(rows[bad]["ppg_clipped"]) > 0.3
    assert len(rows) == (6 if name == "PPG-BP" else 4)
