"""What data sets of contact sensors have to do, on small files of their layouts: names, people, targets, damage."""

import shutil

import numpy as np
import pytest

from dataset.clips.inputs import ClipOptions
from dataset.clips.windows import WindowDataset
from dataset.data_loader import signal_files, wfdb_pressure
from dataset.files.hdf5 import VideoError
from registry import DATASETS
from tests.conftest import reference
from tests.signal_miniatures import (
    PEOPLE,
    arterial,
    pressure_record,
    waves,
    write_npz,
    write_ppg_bp,
    write_pulsedb,
    write_wfdb,
)

OWN = ("Downstream", "Kailuan", "PPG-BP", "PairedWindows", "PulseDB", "SignalFiles", "WFDB-ABP")


@pytest.fixture(autouse=True)
def _nothing_remembered():
    signal_files._windows.cache_clear()
    wfdb_pressure._windows.cache_clear()


def test_every_data_set_without_video_is_tested_here():
    """A new one comes with a miniature, unless it makes its data; CM-SSL's two are in test_cmssl_*.py."""
    ours = [name for name in DATASETS.names() if DATASETS[name].__module__.startswith("dataset.")]
    assert sorted(n for n in ours if not (DATASETS[n].has_video or DATASETS[n].generated)) == sorted(OWN)


# --- Folders of .npz ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Kailuan", "SignalFiles"])
def test_windows_people_and_targets_of_a_folder(tmp_path, name):
    """Streams ecg and ppg at the rate of the files; age, sex and BMI join from the table of people."""
    windows = DATASETS[name]({}).read_windows(write_npz(tmp_path))
    assert windows.channels == ("ecg", "ppg") and windows.fs == 100 and windows.length == 600
    assert len(windows) == 2 * PEOPLE and len(set(windows.subjects)) == PEOPLE
    assert {"right_arm_sbp", "right_arm_dbp", "age", "sex", "bmi"} <= set(windows.targets) and not windows.unfit
    assert windows.targets["age"].tolist() == [30 + number // 2 for number in range(2 * PEOPLE)]
    ecg, ppg, _ = waves(100.0, 6.0, 3)
    np.testing.assert_allclose(windows.read(3, [0, 1]), np.stack([ecg, ppg]), atol=1e-6)


def test_files_that_cannot_be_used_are_left_out_by_name_and_the_rest_goes_on(tmp_path, capsys):
    """Truncated, of another shape, a pickle, NaN, a constant channel."""
    folder = write_npz(tmp_path)
    whole = (folder / "w1.npz").read_bytes()
    (folder / "w1.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(folder / "w2.npz", x=np.ones((50, 2), np.float32))
    np.savez(folder / "w3.npz", x=np.array([{"a": 1}], dtype=object))
    for name, value in (("w4", np.nan), ("w5", 0.0)):
        with np.load(folder / f"{name}.npz") as file:
            x = file["x"].copy()
        x[:, 1] = np.where(np.arange(600) == 50, value, x[:, 1]) if np.isnan(value) else value
        np.savez(folder / f"{name}.npz", x=x, fs=100.0)
    windows = DATASETS["Kailuan"]({}).read_windows(folder)
    said = capsys.readouterr().out
    assert sorted(windows.unfit) == [1, 2, 3, 4, 5] and all(f"w{k}.npz" in said for k in windows.unfit)
    assert "constant channel" in windows.unfit[5] and "no numbers" in windows.unfit[4]
    data = WindowDataset(windows, None, ClipOptions(inputs=("ecg", "ppg"), labels=()))
    assert len(data) == 2 * PEOPLE - 5 and {name for name, _ in data.failed} == {"w1", "w2", "w3", "w4", "w5"}
    signal_files._windows.cache_clear()
    assert 5 not in DATASETS["Kailuan"]({"ALLOW_CONSTANT": True}).read_windows(folder).unfit


def test_a_table_of_other_files_is_one_sentence_with_the_first_five(tmp_path):
    """Ids that no file has."""
    folder = write_npz(tmp_path)
    for number in range(7):
        (folder / f"w{number}.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"'w4.npz', \.\.\., but .* \(7 of 12 are missing\)"):
        DATASETS["Kailuan"]({}).read_windows(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("ssoid", "id"), "no column ssoid"),
        (lambda text: text.splitlines()[0] + "\n", "no rows"),
        (lambda text: text + "w1,1,2,p9\n", "several rows of 'w1'"),
        (lambda text: text.replace("w1,", "../w1,"), "no such file"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path, change, words):
    """With what is wrong."""
    folder = write_npz(tmp_path)
    table = tmp_path / "labels.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        DATASETS["Kailuan"]({}).read_windows(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError, match="TABLE names it"):
        DATASETS["Kailuan"]({}).read_windows(folder)


def test_without_subjects_there_is_a_warning(tmp_path, capsys):
    """Who an id is of is then a guess; a named column is no guess."""
    folder = write_npz(tmp_path)
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("subject", "who"))
    assert len(set(DATASETS["Kailuan"]({}).read_windows(folder).subjects)) == 2 * PEOPLE
    assert "no column of subjects" in capsys.readouterr().out
    assert len(set(DATASETS["Kailuan"]({"SUBJECT_COLUMN": "who"}).read_windows(folder).subjects)) == PEOPLE
    with pytest.raises(ValueError, match="SUBJECT_COLUMN"):
        DATASETS["Kailuan"]({"SUBJECT_COLUMN": "whom"}).read_windows(folder)


# --- PPG-BP ---------------------------------------------------------------------------------------------------------


def test_ppg_bp_pieces_people_and_cuff(tmp_path):
    """Three pieces of each person at 1000 Hz; the table's numbers are targets."""
    reader = DATASETS["PPG-BP"]({})
    recordings = reader.recordings(write_ppg_bp(tmp_path))
    assert [one.id for one in recordings[:4]] == ["2_1", "2_2", "2_3", "3_1"] and recordings[0].subject == "2"
    wave = reader.read_wave(recordings[0])["ppg"]
    assert wave.fs == 1000 and len(wave.values) == 2100
    assert reader.read_targets(recordings[3]) == {
        "sbp": 113, "dbp": 73, "hr": 70, "age": 33, "height": 160, "weight": 60, "bmi": 23.4, "sex": 1,
    }  # fmt: skip
    assert reader.describe(recordings[0]) == {"hypertension": "Normal"}


def test_ppg_bp_without_its_table_or_a_row_is_said(tmp_path):
    """By the name of the file; a sheet that was not saved as CSV, too."""
    reader = DATASETS["PPG-BP"]({})
    root = write_ppg_bp(tmp_path)
    (first, *_) = reader.recordings(root)
    table = root / "PPG-BP dataset.csv"
    table.write_text(table.read_text().replace("\n2,2,", "\n2,999,"))
    with pytest.raises(ValueError, match="no row of subject 2"):
        reader.read_targets(first)
    table.rename(root / "PPG-BP dataset.xlsx")
    with pytest.raises(FileNotFoundError, match="Save its sheet"):
        reader.read_targets(first)


def test_ppg_bp_as_published():
    """The 110 people at hand: every piece can be read, every person has a pressure."""
    root = reference("data/ppg_bp")
    reader = DATASETS["PPG-BP"]({})
    recordings = reader.recordings(root)
    assert len(recordings) == 330 and len({one.subject for one in recordings}) == 110
    assert {len(reader.read_wave(one)["ppg"].values) for one in recordings[:30]} <= {2100, 4200}
    targets = [reader.read_targets(one) for one in recordings[::3]]
    assert all(np.isfinite([one["sbp"], one["dbp"], one["age"], one["sex"], one["bmi"]]).all() for one in targets)


# --- PulseDB --------------------------------------------------------------------------------------------------------


def test_pulsedb_is_converted_once_and_read_window_by_window(tmp_path, capsys):
    """Texts behind references, windows across the file; a second reading converts nothing; a changed file is seen."""
    path = tmp_path / "VitalDB_Train_Subset.mat"
    signals = write_pulsedb(path)
    windows = DATASETS["PulseDB"]({}).read_windows(tmp_path)
    assert windows.channels == ("ecg", "ppg", "abp") and windows.fs == 125 and len(windows) == 2 * PEOPLE
    np.testing.assert_allclose(windows.read(5, [0, 1, 2]), signals[5], rtol=1e-6)
    assert windows.subjects[0] == "p000000_1" and windows.targets["sex"][:4].tolist() == [1, 1, 0, 0]
    assert windows.targets["sbp"][3] == 123
    assert "Converting" in capsys.readouterr().err
    DATASETS["PulseDB"]({}).read_windows(path)
    assert "Converting" not in capsys.readouterr().err
    write_pulsedb(path, people=3)
    assert len(DATASETS["PulseDB"]({}).read_windows(path)) == 6


def test_pulsedb_subsets_are_told_apart_and_damage_is_named(tmp_path):
    """Two subsets need a name; a truncated one is one sentence and leaves nothing behind."""
    path = tmp_path / "A.mat"
    write_pulsedb(path, people=2)
    shutil.copy(path, tmp_path / "B.mat")
    with pytest.raises(ValueError, match="SUBSET"):
        DATASETS["PulseDB"]({}).read_windows(tmp_path)
    assert len(DATASETS["PulseDB"]({"SUBSET": "B"}).read_windows(tmp_path)) == 4
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(VideoError, match="A.mat' cannot be read"):
        DATASETS["PulseDB"]({"SUBSET": "A"}).read_windows(tmp_path)
    assert not list(tmp_path.glob("A.windows*"))


# --- WFDB with an arterial line -------------------------------------------------------------------------------------


def test_windows_of_a_record_with_an_arterial_line(tmp_path):
    """Pressure of each window as the line was made; a folder pNNNNNN is the person."""
    pressure_record(tmp_path / "p00" / "p000123", "r1", number=1)
    pressure_record(tmp_path / "p00" / "p000123", "r2", number=2)
    windows = DATASETS["WFDB-ABP"]({"CHANNELS": ["ecg", "ppg", "abp"]}).read_windows(tmp_path)
    assert windows.fs == 125 and windows.length == 1250 and len(windows) == 12
    assert set(windows.subjects) == {"p000123"} and windows.recordings == ("p00_p000123_r1", "p00_p000123_r2")
    np.testing.assert_allclose(windows.targets["sbp"], 125, atol=1.5)
    np.testing.assert_allclose(windows.targets["dbp"], 75, atol=1.5)
    np.testing.assert_allclose(windows.targets["hr"], 72, atol=0.5)
    ecg = waves(250.0, 62.0, 1)[0]
    assert np.corrcoef(windows.read(1, [0])[0], ecg[2500:5000:2])[0, 1] > 0.98


def moving_average(line, seconds=0.4, fs=250.0):
    """A damped line."""
    size = round(seconds * fs)
    return np.convolve(np.pad(line, size, mode="wrap"), np.ones(size) / size, mode="same")[size:-size]


DAMAGE = {
    "damped": moving_average,
    "flat": lambda line: np.concatenate([line[:5200], np.full(400, line[5200]), line[5600:]]),
    "clipped": lambda line: line.clip(None, 118),
    "flush": lambda line: np.where((np.arange(len(line)) // 20) % 2 == 0, 310 + np.arange(len(line)) % 7, line),
    "clamped": lambda line: 100 + (line - 100) * 0.2,
    "fewer than 3 beats": lambda line: 90 + 0.1 * np.arange(len(line)) % 7,
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_windows_without_a_trustworthy_line_are_refused_and_counted(tmp_path, capsys, reason):
    """None becomes a label in silence; what is whole in the record, or beside it, stays."""
    pressure_record(tmp_path / "a", "bad", change=DAMAGE[reason])
    pressure_record(tmp_path / "b", "good", number=5)
    windows = DATASETS["WFDB-ABP"]({}).read_windows(tmp_path)
    said = capsys.readouterr().out
    count = int(said.split(f" a {reason}")[0].split()[-1]) if f" a {reason}" in said else 6
    assert reason in said and len(windows) == 12 - count
    assert (windows.targets["sbp"] > 120).all() and (windows.targets["sbp"] < 130).all()


def test_records_that_lack_a_channel_or_a_unit_are_named(tmp_path, capsys):
    """No ABP; a line in volt; a line without gain: none of them is a pressure."""
    pressure_record(tmp_path / "a", "good")
    ecg, ppg, line = waves(250.0, 20.0)
    write_wfdb(tmp_path / "b", "none", [("II", "mV", 2000, ecg), ("PLETH", "NU", 4000, ppg)])
    three = [("II", "mV", 2000, ecg), ("PLETH", "NU", 4000, ppg), ("ABP", "V", 50, line)]
    write_wfdb(tmp_path / "c", "volt", three)
    write_wfdb(tmp_path / "d", "raw", three, lines=lambda header: [*header[:-1], "raw.dat 16 0 16 0 0 0 0 ABP"])
    assert len(DATASETS["WFDB-ABP"]({}).read_windows(tmp_path)) == 6
    said = capsys.readouterr().out
    assert "none.hea" in said and "no abp" in said and "'V'" in said and "uncalibrated" in said


def test_a_gap_is_never_bridged(tmp_path, capsys):
    """A segment without samples between two others: windows that touch it go, the others keep their place in time."""
    line = arterial(250.0, 30.0)
    ecg, ppg, _ = waves(250.0, 30.0)
    three = [("II", "mV", 2000, ecg), ("PLETH", "NU", 4000, ppg), ("ABP", "mmHg", 50, line)]
    write_wfdb(tmp_path, "s1", three)
    (tmp_path / "whole.hea").write_text("whole/3 3 250 18750\ns1 7500\n~ 3750\ns1 7500\n")
    windows = DATASETS["WFDB-ABP"]({}).read_windows(tmp_path)
    assert len(windows) == 5 and windows.recordings == ("whole",)
    assert windows.targets["start"].tolist() == [0, 10, 20, 50, 60] and "2 a gap" in capsys.readouterr().out
