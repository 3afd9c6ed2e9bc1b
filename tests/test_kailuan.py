"""The synthetic Kailuan file, and what prepare_kailuan_npz.py makes of it and of damaged ones."""

import csv
import json

import h5py
import numpy as np
import pytest
import scipy

import prepare_kailuan_npz
from dataset.prepare.kailuan import people_of
from tools import make_synthetic_kailuan

TARGETS = ("right_arm_dbp", "left_arm_mbp", "right_arm_pp", "right_arm_sbp", "left_arm_sbp")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A synthetic file of 12 records. Not to be changed."""
    path = tmp_path_factory.mktemp("kailuan") / "study.h5"
    assert make_synthetic_kailuan.main(["--n", "12", "--h5_path", str(path), "--seed", "3"]) == 0
    return path


@pytest.fixture
def copied(made, tmp_path):
    """A copy that may be damaged."""
    path = tmp_path / "study.h5"
    path.write_bytes(made.read_bytes())
    return path


def prepare(path, folder, *more, targets=TARGETS, code=0):
    """Prepare into `folder`; rows of the table of labels."""
    arguments = [
        "--h5_path",
        str(path),
        "--output_npz",
        str(folder / "npz"),
        "--output_csv",
        str(folder / "labels.csv"),
    ]
    assert prepare_kailuan_npz.main([*arguments, "--target_cols", *targets, *more]) == code
    return rows_of(folder / "labels.csv") if code == 0 else []


def rows_of(path):
    """The rows of a table."""
    with path.open() as file:
        return list(csv.DictReader(file))


def array_of(folder, row):
    """x (L, 2) of a row and its rate."""
    with np.load(folder / "npz" / f"{row['ssoid']}.npz", allow_pickle=False) as file:
        return file["x"], float(file["fs"])


def delay_of(ecg, ppg, fs):
    """Lag (samples, to a fraction) from the R peaks to the rises of the PPG, by cross-correlation."""
    spikes = np.zeros(len(ecg))
    spikes[scipy.signal.find_peaks(ecg, height=0.5 * ecg.max(), distance=int(0.35 * fs))[0]] = 1
    smooth = scipy.signal.sosfiltfilt(scipy.signal.butter(2, 10, fs=fs, output="sos"), ppg)
    rise = np.gradient(smooth)
    lags = np.arange(int(0.05 * fs), int(0.55 * fs))
    fit = np.array([spikes[: len(spikes) - lag] @ rise[lag:] / spikes[: len(spikes) - lag].sum() for lag in lags])
    k = int(fit.argmax())
    left, middle, right = fit[k - 1 : k + 2]
    return lags[k] + 0.5 * (left - right) / (left - 2 * middle + right)


def test_files_and_rows_are_one_to_one_and_say_nobodys_name(made, tmp_path):
    """Shape, rate, columns; neither id, name nor pressure of the study stands in a name."""
    rows = prepare(made, tmp_path, "--subject_key", "name", "sex", "--id_map_csv", str(tmp_path / "map.csv"))
    assert list(rows[0]) == ["ssoid", *TARGETS, "subject"] and len(rows) == 12
    assert {f"{row['ssoid']}.npz" for row in rows} == {path.name for path in (tmp_path / "npz").glob("*.npz")}
    x, fs = array_of(tmp_path, rows[0])
    assert x.shape == (7500, 2) and x.dtype == np.float32 and fs == pytest.approx(600 * 7500 / 3630)
    with h5py.File(made) as file:
        ids = [one.decode() for one in file["metadata/new_id"]]
        assert np.array_equal(np.float32([row["right_arm_sbp"] for row in rows]), file["metadata/right_arm_sbp"][:])
    assert [row["id"] for row in rows_of(tmp_path / "map.csv")] == ids
    told = (tmp_path / "labels.csv").read_text() + (tmp_path / "npz" / "prepared.json").read_text()
    assert "Person" not in told and not any(one in told for one in ids)
    assert list(rows_of(people_of(tmp_path / "labels.csv"))[0])[:4] == ["ssoid", "age", "sex", "bmi"]


def test_one_person_has_one_hash(made, tmp_path):
    """As many subjects as there are pairs of name and sex; the same again with the same salt."""
    key = ("--subject_key", "name", "sex")
    first = [row["subject"] for row in prepare(made, tmp_path, *key)]
    with h5py.File(made) as file:
        names = [one.decode() for one in file["metadata/name"]]
    assert len(set(first)) == len(set(names)) < 12
    assert len(set(zip(first, names, strict=True))) == len(set(names))
    assert [row["subject"] for row in prepare(made, tmp_path, *key, "--overwrite")] == first


@pytest.mark.parametrize("how", ["linear", "polyphase"])
def test_the_delay_from_ecg_to_ppg_stays_within_a_sample(made, tmp_path, how):
    """The delay after preparation is that before it, scaled; over all records it is the truth."""
    rows, off = prepare(made, tmp_path, "--resample", how), []
    with h5py.File(made) as file:
        for k, row in enumerate(rows):
            x, fs = array_of(tmp_path, row)
            found = delay_of(*x.T.astype(float), fs)
            ecg, ppg = file["signals/ecg"][k].astype(float), file["signals/ppg"][k][600:].astype(float)
            assert abs(found / fs - delay_of(ecg, ppg, 600.0) / 600) < 1 / 600
            off.append(found / fs - float(file["truth/delay"][k]))
    assert abs(np.mean(off)) < 0.003


def test_a_ppg_that_is_the_delayed_ecg_is_found_exactly(copied, tmp_path):
    """No sample off at any place: lead, lengths and factor are all right."""
    with h5py.File(copied, "r+") as file:
        wave = np.random.default_rng(0).normal(size=4800).cumsum().astype(np.float32)
        for k in range(12):
            file["signals/ecg"][k], file["signals/ppg"][k] = wave[600 + 150 : 4230 + 150], wave[:4230]
    x, _ = array_of(tmp_path, prepare(copied, tmp_path, "--align_mode", "truncate")[0])
    assert x.shape == (3630, 2) and np.array_equal(x[:-150, 0], x[150:, 1])
    x, fs = array_of(tmp_path / "b", prepare(copied, tmp_path / "b")[0])
    lag = 150 * fs / 600
    moved = np.interp(np.arange(400, 7000) + lag, np.arange(7500), x[:, 1])
    assert np.corrcoef(moved, x[400:7000, 0])[0, 1] > 0.99999


def test_stretching_each_on_its_own_is_warned_about_and_moves_them(made, tmp_path, capsys):
    """The legacy mode does what it warns of."""
    rows = prepare(made, tmp_path, "--align_mode", "resample")
    assert "Warning: --align_mode resample" in capsys.readouterr().out
    with h5py.File(made) as file:
        x, _ = array_of(tmp_path, rows[0])
        places = np.arange(7500) * 4230 / 7500
        assert np.allclose(x[:, 1], np.interp(places, np.arange(4230), file["signals/ppg"][0]), atol=1e-5)


BROKEN = {
    "no right_arm_sbp": lambda file: file["metadata/right_arm_sbp"].__setitem__(2, np.nan),
    "outside of 50 to 280": lambda file: file["metadata/right_arm_sbp"].__setitem__(2, 400),
    "right_arm_sbp not above right_arm_dbp": lambda file: file["metadata/right_arm_dbp"].__setitem__(2, 179),
    "NaN in the ECG": lambda file: file["signals/ecg"].__setitem__(2, np.r_[np.nan, np.zeros(3629)]),
    "a constant PPG": lambda file: file["signals/ppg"].__setitem__(2, np.zeros(4230)),
    "less than 2 s of PPG": lambda file: file["signals/ppg"].__setitem__(2, np.zeros(0)),
    "another length": lambda file: file["signals/ecg"].__setitem__(2, np.arange(3000.0)),
    "an id that came before": lambda file: file["metadata/new_id"].__setitem__(2, file["metadata/new_id"][1]),
    "no id": lambda file: file["metadata/new_id"].__setitem__(2, ""),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_record_that_cannot_be_used_is_counted_by_its_reason_and_the_rest_goes_on(copied, tmp_path, capsys, reason):
    """Neither row nor file of it; the other eleven are there."""
    with h5py.File(copied, "r+") as file:
        BROKEN[reason](file)
    rows = prepare(copied, tmp_path, "--ppg_lead_trim", "600")
    assert len(rows) == 11 == len(list((tmp_path / "npz").glob("*.npz")))
    said = capsys.readouterr().out
    assert "11 records of 12 exported" in said and reason in said


def test_a_file_without_anything_to_export_is_no_success(copied, tmp_path, capsys):
    """Exit code 2, and no table that would look like data."""
    with h5py.File(copied, "r+") as file:
        file["metadata/left_arm_sbp"][:] = np.nan
    prepare(copied, tmp_path, code=2)
    assert "0 records of 12 exported" in capsys.readouterr().out and not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (None, ("--id_key", "newid"), "Did you mean 'new_id'?"),
        (None, ("--subject_key", "nam"), "Did you mean 'name'?"),
        (None, ("--target_seq_len", "3"), "--target_seq_len 3"),
        (None, ("--ppg_lead_trim", "-4"), "--ppg_lead_trim -4"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), (), "cannot be read as an HDF5 file"),
        (lambda path: path.unlink(), (), "does not exist"),
        (lambda path: path.write_bytes(b"no HDF5"), (), "cannot be read as an HDF5 file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_exit_code_2(copied, tmp_path, capsys, change, arguments, words):
    """Nothing is written."""
    if change:
        change(copied)
    prepare(copied, tmp_path, *arguments, code=2)
    said = capsys.readouterr().err
    assert words in said and said.startswith("Error: ") and "Traceback" not in said
    assert not (tmp_path / "npz").exists() and not (tmp_path / "labels.csv").exists()


def test_a_target_that_is_no_column_is_named_with_the_nearest(made, tmp_path, capsys):
    """A typing error costs no time."""
    prepare(made, tmp_path, targets=("right_arm_spb",), code=2)
    assert "Did you mean 'right_arm_sbp'?" in capsys.readouterr().err


def test_files_made_in_another_way_are_not_mixed(made, tmp_path, capsys):
    """Going on keeps files; other settings are refused until --overwrite."""
    prepare(made, tmp_path, "--limit", "5")
    prepare(made, tmp_path)
    assert "5 files of them had been there already" in capsys.readouterr().out
    prepare(made, tmp_path, "--align_mode", "truncate", code=2)
    assert "--overwrite" in capsys.readouterr().err
    rows = prepare(made, tmp_path, "--align_mode", "truncate", "--overwrite")
    assert array_of(tmp_path, rows[0])[0].shape == (3630, 2)
    assert json.loads((tmp_path / "npz" / "prepared.json").read_text())["align_mode"] == "truncate"


def test_a_real_file_is_never_replaced_by_a_synthetic_one(tmp_path, capsys):
    """Whatever lies under the name."""
    path = tmp_path / "real.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert make_synthetic_kailuan.main(["--n", "2", "--h5_path", str(path)]) == 2
    assert "left alone" in capsys.readouterr().err
    with h5py.File(path) as file:
        assert list(file) == ["x"]


@pytest.mark.parametrize("cue", ["shape", "delay", "both", "none"])
def test_the_cue_alone_tells_the_pressure(tmp_path, cue):
    """The delay goes with the pressure where it is the cue, and nowhere else."""
    path = tmp_path / "x.h5"
    make_synthetic_kailuan.main(["--n", "150", "--h5_path", str(path), "--cue", cue, "--fs", "100"])
    with h5py.File(path) as file:
        r = np.corrcoef(file["truth/delay"][:], file["metadata/right_arm_sbp"][:])[0, 1]
        assert len(file["signals/ppg"][0]) - len(file["signals/ecg"][0]) == 100
    assert r < -0.97 if cue in ("delay", "both") else abs(r) < 0.25
