"""tools/prepare_downstream.py on miniatures of every raw format: shapes, labels, parts, rates, damage."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

from dataset.clips.resampling import at_rate, change_rate, even_grid
from dataset.files.downstream import open_downstream, read_meta
from dataset.files.pickles import read_pickle
from dataset.files.wfdb import read_record
from dataset.prepare.downstream.bidmc import by_intervals, counted
from dataset.prepare.downstream.common import Options, cut, fitted, prepared
from dataset.prepare.downstream.ppg_dalia import breathing
from registry import PREPARATIONS
from tests import cmssl_miniatures as raw
from tests.conftest import ROOT, reference
from tools.prepare_downstream import main

WRITERS = {
    "ppg_dalia_hr": raw.write_dalia, "ppg_dalia_rr": raw.write_dalia, "bidmc_hr": raw.write_bidmc,
    "bidmc_rr": raw.write_bidmc, "uci_bp": raw.write_uci_parts, "csn": raw.write_csn, "ptb-xl": raw.write_ptb_xl,
    "physionet2017": raw.write_cinc2017,
}  # fmt: skip
CHANNELS = {"csn": 12, "ptb-xl": 12}
NATIVE = {  # samples of a window as recorded
    "ppg_dalia_hr": 512, "ppg_dalia_rr": 1250, "bidmc_hr": 1250, "bidmc_rr": 1250, "uci_bp": 625, "csn": 5000,
    "ptb-xl": 1000, "physionet2017": 3000,
}  # fmt: skip


@pytest.fixture(scope="module", params=sorted(WRITERS))
def made(request, tmp_path_factory):
    """Name and raw folder of each data set. Not to be changed."""
    root = tmp_path_factory.mktemp("raw") / request.param
    return request.param, WRITERS[request.param](root)


def run(name, folder, out, *more):
    """The exit code."""
    return main(["--dataset", name, "--raw", str(folder), "--out", str(out), *more])


def arrays(out, what="features"):
    """The arrays of the three parts."""
    return {part: np.load(out / f"{part}_{what}.npy") for part in ("train", "val", "test")}


def test_every_preparation_has_a_miniature():
    """A new one comes with its raw files."""
    assert sorted(PREPARATIONS.names()) == sorted(WRITERS)


def test_shapes_people_and_notes(made, tmp_path):
    """Windows of 10 s at 125 Hz; nobody in two parts; the loader reads what was written."""
    name, folder = made
    assert run(name, folder, tmp_path) == 0
    features, subjects = arrays(tmp_path), arrays(tmp_path, "subjects")
    for part, found in features.items():
        assert found.shape[1:] == (CHANNELS.get(name, 1), 1250) and found.dtype == np.float32, part
        assert len(found) == len(subjects[part]) == len(np.load(tmp_path / f"{part}_labels.npy")) > 0
    people = [set(names.tolist()) for names in subjects.values()]
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    meta = read_meta(tmp_path)
    assert meta.rate == 125 and meta.window == 1250 and meta.about["source"] and meta.about["resize"] == "crop"
    assert len(open_downstream(tmp_path)) == sum(map(len, features.values()))


def test_windows_as_recorded_have_the_published_shapes(made, tmp_path):
    """--rate 0: no resampling, no padding."""
    name, folder = made
    assert run(name, folder, tmp_path, "--rate", "0") == 0
    assert arrays(tmp_path)["train"].shape[2] == NATIVE[name] == read_meta(tmp_path).window
    rates = {"ppg_dalia_hr": 64, "ppg_dalia_rr": 64, "csn": 500, "ptb-xl": 100, "physionet2017": 300}
    assert read_meta(tmp_path).rate == rates.get(name, 125)


def test_the_same_seed_draws_the_same_people(made, tmp_path):
    """To the bit; another seed draws others, unless the data set divides them itself."""
    name, folder = made
    for number, seed in enumerate((42, 42, 7)):
        run(name, folder, tmp_path / str(number), "--seed", str(seed))
    first, again, other = (arrays(tmp_path / str(k), "subjects") for k in range(3))
    assert all((first[part] == again[part]).all() for part in first)
    fixed = name in ("uci_bp", "ptb-xl")
    assert all(np.array_equal(first[part], other[part]) for part in first) == fixed


# --- Rates ----------------------------------------------------------------------------------------------------------


def spectrum(window):
    """Magnitudes (F,) from 0.5 to 8 Hz of a window at 125 Hz."""
    where = np.fft.rfftfreq(len(window), 1 / 125)
    inside = (where >= 0.5) & (where <= 8)
    return np.abs(np.fft.rfft((window - window.mean()) * np.hanning(len(window))))[inside]


def test_two_rates_of_one_real_signal_are_prepared_alike():
    """PPG at 250 Hz and its copy at 62.5 Hz: spectra within 1 %, rates within 0.5 bpm, in every window."""
    signal = read_record(reference("data/ecg_ppg_abp/v102s/v102s.hea"))["PLETH"]
    grid = even_grid(signal).to(250.0)
    values = at_rate(signal, grid)
    both = [
        prepared(wave, fs, Options(), 10.0, 10.0)[:, 0]
        for wave, fs in ((values, 250.0), (change_rate(values, 1, 4), 62.5))
    ]
    assert both[0].shape == both[1].shape and len(both[0]) >= 25
    for one, other in zip(*both, strict=True):
        first, second = spectrum(one), spectrum(other)
        assert np.linalg.norm(first - second) < 0.01 * np.linalg.norm(first)
        assert abs(rate_of(one) - rate_of(other)) < 0.5


def rate_of(window):
    """bpm of the highest peak of the spectrum from 0.7 to 3 Hz."""
    where, power = scipy.signal.periodogram(window - window.mean(), 125, "hann", nfft=1 << 15)
    inside = (where >= 0.7) & (where <= 3)
    return 60 * where[inside][np.argmax(power[inside])]


@pytest.mark.parametrize("fs", [62.5, 64.0, 100.0, 250.0, 300.0, 500.0])
def test_a_tone_keeps_its_frequency_and_what_lies_above_is_gone(fs):
    """1.5 Hz stays; 100 Hz, where the rate holds it, does not become another tone."""
    times = np.arange(round(20 * fs)) / fs
    wave = np.sin(2 * np.pi * 1.5 * times) + (np.sin(2 * np.pi * 100 * times) if fs > 200 else 0)
    window = prepared(wave, fs, Options(), 10.0, 10.0)[0, 0]
    where, power = scipy.signal.periodogram(window, 125, nfft=1 << 15)
    assert where[np.argmax(power)] == pytest.approx(1.5, abs=0.01)
    assert power[(where > 10)].sum() < 1e-4 * power.sum()


def test_a_window_of_another_length_is_cut_or_padded_never_stretched():
    """A tone of 2 Hz stays one in 8 s and in 19.5 s; stretched as CM-SSL has it, it does not."""
    for seconds in (8.0, 19.53125):
        wave = np.sin(2 * np.pi * 2.0 * np.arange(round(30 * 64)) / 64)
        for resize, expected in (("crop", 2.0), ("stretch", 2.0 * seconds / 10)):
            window = prepared(wave, 64.0, Options(resize=resize), seconds, 5.0)[0, 0]
            where, power = scipy.signal.periodogram(window[:990], 125, nfft=1 << 15)
            assert len(window) == 1250 and where[np.argmax(power)] == pytest.approx(expected, abs=0.05)


def test_the_middle_is_kept_and_padding_is_the_mean():
    """1,500 samples lose 125 at each end; 1,000 get 250 behind them."""
    long = np.arange(1500.0)[None, None]
    assert fitted(long, Options())[0, 0].tolist() == list(range(125, 1375))
    short = fitted(np.arange(1000.0)[None, None], Options())[0, 0]
    assert (short[:1000] == np.arange(1000)).all() and (short[1000:] == 499.5).all()


def test_windows_start_where_they_should():
    """Every 2 s, all that lie wholly in the wave, also where a step is no whole number of samples."""
    assert cut(np.arange(30.0)[None], 1.0, 10.0, 2.0)[:, 0, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert cut(np.arange(1000.0)[None], 62.5, 10.0, 1.0)[:, 0, 0].tolist() == [0, 62, 125, 188, 250, 312, 375]
    assert cut(np.arange(5.0)[None], 1.0, 10.0, 2.0).shape == (0, 1, 10)


# --- PPG-DaLiA ------------------------------------------------------------------------------------------------------


def test_dalia_rates_are_those_of_the_windows(tmp_path):
    """60 + 5 k bpm of person k; windows of 8 s every 2 s: 27 in 60 s, the last quarter padded."""
    run("ppg_dalia_hr", raw.write_dalia(tmp_path / "raw"), tmp_path / "out")
    for part, features in arrays(tmp_path / "out").items():
        subjects, labels = (np.load(tmp_path / "out" / f"{part}_{what}.npy") for what in ("subjects", "labels"))
        assert len(features) == 27 * len(set(subjects))
        for subject, label in zip(subjects, labels, strict=True):
            assert label == 60 + 5 * int(subject[1:])
        assert (features[:, 0, 1000:] == features[:, 0, 1000:1001]).all()


def test_dalia_fifteen_people_are_twelve_one_and_two(tmp_path):
    """As CM-SSL divides them."""
    run("ppg_dalia_hr", raw.write_dalia(tmp_path / "raw", people=15, seconds=10), tmp_path / "out")
    assert [len(set(names)) for names in arrays(tmp_path / "out", "subjects").values()] == [12, 1, 2]


@pytest.mark.parametrize(
    ("more", "expected", "unit"), [((), 15.0, "breaths/min"), (("--label_unit", "hz"), 0.25, "Hz")]
)
def test_dalia_breathing_is_the_belts(tmp_path, more, expected, unit):
    """15 breaths a minute, or 0.25 Hz; 41 windows of 19.53 s every second in 60 s."""
    run("ppg_dalia_rr", raw.write_dalia(tmp_path / "raw"), tmp_path / "out", *more)
    labels = arrays(tmp_path / "out", "labels")["train"]
    assert np.abs(labels / expected - 1).max() < 0.01 and read_meta(tmp_path / "out").units == {"rr": unit}
    assert len(labels) == 41 * len(set(arrays(tmp_path / "out", "subjects")["train"]))


def test_a_flat_belt_has_no_rate():
    """NaN, so the window is dropped."""
    assert np.isnan(breathing(np.ones(700 * 30), 700.0, 19.53125, 1.0)).all()


class _Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys, monkeypatch):
    """One sentence, exit code 2, nothing ran and nothing was written."""
    monkeypatch.chdir(tmp_path)
    folder = raw.write_dalia(tmp_path / "raw", people=3, subject=_Evil())
    assert run("ppg_dalia_hr", folder, tmp_path / "out") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "S1.pkl' is refused" in error and "could run code" in error
    assert not (tmp_path / "evil").exists() and not list((tmp_path / "out").glob("*.npy"))


def test_pickles_of_arrays_are_read_whoever_wrote_them(tmp_path):
    """Protocols 0 to 5, numbers of numpy, text of Python 2."""
    content = {"a": np.arange(6.0).reshape(2, 3), "b": np.float64(2.5), "c": [1, "x"], "d": np.array(["u"])}
    for protocol in range(6):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_pickle(tmp_path / "a.pkl")
        assert (found["a"] == content["a"]).all() and found["b"] == 2.5 and found["c"] == [1, "x"]
    (tmp_path / "b.pkl").write_bytes(b"(dp0\nS'label'\np1\nS'\\xe9'\np2\ns.")  # Python 2
    assert read_pickle(tmp_path / "b.pkl") == {"label": "\xe9"}


# --- BIDMC ----------------------------------------------------------------------------------------------------------


def test_bidmc_rates_are_means_of_the_seconds_that_have_one(tmp_path):
    """60 + k bpm; 16 windows of 10 s every 2 s in 40 s."""
    run("bidmc_hr", raw.write_bidmc(tmp_path / "raw"), tmp_path / "out")
    labels, subjects = (arrays(tmp_path / "out", what)["train"] for what in ("labels", "subjects"))
    assert all(label == 60 + int(name[-2:]) for label, name in zip(labels, subjects, strict=True))
    assert len(labels) == 16 * len(set(subjects))


def test_bidmc_breaths_by_intervals_and_by_their_number(tmp_path):
    """A breath every 4 s is 15 a minute; counts give 12 or 18; the other annotator marked half of them."""
    folder = raw.write_bidmc(tmp_path / "raw")
    found = {}
    for name, more in {"a": (), "b": ("--breaths", "counts"), "c": ("--annotator", "2")}.items():
        assert run("bidmc_rr", folder, tmp_path / name, *more) == 0
        found[name] = arrays(tmp_path / name, "labels")["train"]
    assert np.allclose(found["a"], 15) and set(found["b"].tolist()) == {12.0, 18.0} and np.allclose(found["c"], 7.5)


def test_breaths_of_the_closed_forms():
    """Two intervals of 5 s and one of 2 s; outside of the marks nothing is known."""
    marks = np.array([0.0, 5.0, 10.0, 12.0])
    assert by_intervals(marks, 0, 10) == pytest.approx(12) and by_intervals(marks, 2, 12) == pytest.approx(15.6)
    assert np.isnan(by_intervals(marks, 4, 14)) and counted(marks, 0, 10) == 12


# --- UCI ------------------------------------------------------------------------------------------------------------


def test_uci_parts_are_the_split_and_labels_those_of_the_line(tmp_path):
    """Parts 1 and 2, 3, 4; the top of the beats is 110 + 5 part + record."""
    run("uci_bp", raw.write_uci_parts(tmp_path / "raw"), tmp_path / "out")
    for part, numbers in {"train": {1, 2}, "val": {3}, "test": {4}}.items():
        subjects, labels = (arrays(tmp_path / "out", what)[part] for what in ("subjects", "labels"))
        assert {int(name.split("_")[1]) for name in subjects} == numbers
        for name, (sbp, dbp) in zip(subjects, labels, strict=True):
            _, k, record = name.split("_")
            assert sbp == pytest.approx(110 + 5 * int(k) + int(record) - 1, abs=2) and dbp == pytest.approx(70, abs=3)
    assert "unknown" in read_meta(tmp_path / "out").about["subjects"]


def test_uci_folds_keep_their_patients(tmp_path):
    """SP and DP as they stand; patients are subjects, trials recordings."""
    run("uci_bp", raw.write_uci_folds(tmp_path / "raw"), tmp_path / "out")
    assert arrays(tmp_path / "out", "subjects")["test"].tolist() == ["200", "200", "201", "201", "202", "202"]
    assert arrays(tmp_path / "out", "recordings")["val"][:2].tolist() == ["100_0", "100_1"]
    assert arrays(tmp_path / "out", "labels")["train"][:2].tolist() == [[120, 70], [120, 71]]


@pytest.mark.parametrize("writer", [raw.write_uci_parts, raw.write_uci_folds])
def test_uci_signals_in_two_parts_are_removed_from_both_and_counted(tmp_path, capsys, writer):
    """One file copied over another shares everything but what is in no other."""
    folder = writer(tmp_path / "raw")
    names = sorted(path.name for path in folder.iterdir())
    run("uci_bp", folder, tmp_path / "whole")
    whole = {part: len(found) for part, found in arrays(tmp_path / "whole").items()}
    _share_one(folder / names[-1], folder / names[0])
    assert run("uci_bp", folder, tmp_path / "out") == 0
    lost = whole["train"] - len(arrays(tmp_path / "out")["train"])
    assert lost == whole["test"] - len(arrays(tmp_path / "out")["test"]) > 0
    assert read_meta(tmp_path / "out").about["removed_in_two_parts"] == 2 * lost
    assert f"{2 * lost} windows whose signal stands in two parts were removed" in capsys.readouterr().out


def _share_one(first, second):
    """The first record of one file becomes that of the other."""
    if first.name.startswith("Part"):
        import h5py

        with h5py.File(first, "r+") as one, h5py.File(second, "r") as other:
            one["#refs#/r0"][:] = other["#refs#/r0"][:]
        return
    import scipy.io

    one, other = scipy.io.loadmat(first), scipy.io.loadmat(second)
    one["signal"][0] = other["signal"][0]
    scipy.io.savemat(first, {key: value for key, value in one.items() if not key.startswith("__")})


def test_uci_needs_all_of_its_files(tmp_path, capsys):
    """The part that is missing is named."""
    folder = raw.write_uci_parts(tmp_path / "raw")
    (folder / "Part_4.mat").unlink()
    assert run("uci_bp", folder, tmp_path / "out") == 2 and "lacks the files for test" in capsys.readouterr().err


# --- 12 leads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csn", "ptb-xl"])
def test_leads_are_found_by_their_name(tmp_path, name):
    """Lead k is k + 1 high, in whatever order the record has them: lead II is the second."""
    folder = WRITERS[name](tmp_path / "raw")
    for header in sorted(folder.rglob("*.hea"))[::2]:
        shuffled = [raw.LEADS[k] for k in np.random.default_rng(3).permutation(12)]
        comments = [line for line in header.read_text().splitlines() if line.startswith("#")]
        raw.write_ecg12(
            header.parent, header.stem, 100.0 if name == "ptb-xl" else 500.0, order=shuffled, comments=False
        )
        header.write_text(header.read_text() + "\n".join([*comments, ""]))
    run(name, folder, tmp_path / "out")
    meta = read_meta(tmp_path / "out")
    assert meta.channels == raw.LEADS and meta.channels[1] == "II"
    height = arrays(tmp_path / "out")["train"].std(axis=-1)
    np.testing.assert_allclose(height / height[:, :1], np.tile(np.arange(1, 13.0), (len(height), 1)), rtol=0.01)


def test_csn_codes_are_found_with_and_without_a_blank(tmp_path):
    """All codes that occur are labels, their list is saved; each record has its own."""
    run("csn", raw.write_csn(tmp_path / "raw"), tmp_path / "out")
    codes = ["164934002", "426177001", "426783006", "427084000"]
    assert json.loads((tmp_path / "out" / "snomed_ct_classes.json").read_text()) == codes
    assert list(read_meta(tmp_path / "out").labels) == codes and read_meta(tmp_path / "out").task == "labels"
    subjects, labels = (arrays(tmp_path / "out", what)["train"] for what in ("subjects", "labels"))
    expected = {0: [0, 0, 1, 0], 1: [1, 1, 0, 0], 2: [0, 0, 0, 1]}
    assert all(label.tolist() == expected[int(name[2:]) % 3] for name, label in zip(subjects, labels, strict=True))


def test_records_that_cannot_be_read_are_skipped_and_named(tmp_path, capsys):
    """A header with two lines in one, and a file that is cut off."""
    folder = raw.write_csn(tmp_path / "raw", 30)
    header, samples = (next(folder.rglob(name)) for name in ("JS00002.hea", "JS00005.dat"))
    header.write_text(header.read_text().replace("\n", " ", 1))
    samples.write_bytes(samples.read_bytes()[:-100])
    assert run("csn", folder, tmp_path / "out") == 0
    skipped = read_meta(tmp_path / "out").about["skipped"]
    assert sorted(skipped) == ["JS00002", "JS00005"] and "cut off" in skipped["JS00005"]
    assert "Skipped 2 recordings (JS00002, JS00005)" in capsys.readouterr().out
    assert sum(map(len, arrays(tmp_path / "out").values())) == 28


def test_real_records_of_twelve_leads(tmp_path):
    """Fifteen of two sources at 500 Hz: shapes, codes, lead II as the record has it."""
    folder = reference("data/ecg12")
    assert run("csn", folder, tmp_path) == 0
    features = arrays(tmp_path)
    assert sum(map(len, features.values())) == 15 and features["train"].shape[1:] == (12, 1250)
    headers = [path.read_text() for path in folder.glob("*.hea")]
    codes = {code.strip() for text in headers for line in text.splitlines() if line.startswith("# Dx:")
             for code in line.split(":")[1].split(",")}  # fmt: skip
    assert set(read_meta(tmp_path).labels) == codes
    name = arrays(tmp_path, "subjects")["train"][0]
    lead = read_record(folder / f"{name}.hea")["II"].values
    np.testing.assert_allclose(features["train"][0, 1], change_rate(np.asarray(lead), 1, 4), atol=1e-5)


def test_ptb_xl_has_its_folds_and_superclasses(tmp_path):
    """Folds 1 to 8, 9, 10 by patient; rows of zeros where there is none, or dropped; zero likelihood still counts."""
    folder = raw.write_ptb_xl(tmp_path / "raw")
    run("ptb-xl", folder, tmp_path / "out")
    run("ptb-xl", folder, tmp_path / "dropped", "--drop_unlabelled")
    assert arrays(tmp_path / "out", "subjects")["val"].tolist() == ["patient8", "patient8"]
    assert arrays(tmp_path / "out", "recordings")["test"].tolist() == ["ecg19", "ecg20"]
    labels = arrays(tmp_path / "out", "labels")["train"]
    assert read_meta(tmp_path / "out").labels == ("CD", "HYP", "MI", "NORM", "STTC") and len(labels) == 16
    assert labels[:4].tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0, 0, 0, 1, 0]]
    assert read_meta(tmp_path / "out").about["unlabelled"] == 5
    assert (arrays(tmp_path / "dropped", "labels")["train"].sum(axis=1) > 0).all()


# --- PhysioNet 2017 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [True, False])
def test_records_become_windows_that_vote(tmp_path, headers):
    """9 s one window, 16 s two, 30 s three, 61 s six; classes in the same shares in each part."""
    run("physionet2017", raw.write_cinc2017(tmp_path / "raw", headers=headers), tmp_path / "out")
    meta = read_meta(tmp_path / "out")
    assert meta.vote and meta.task == "choice" and meta.classes == ("N", "A", "O", "~")
    for part in ("train", "val", "test"):
        names, labels = (arrays(tmp_path / "out", what)[part] for what in ("recordings", "labels"))
        counts = {name: int((names == name).sum()) for name in names}
        assert all(count == {0: 1, 1: 3, 2: 2, 3: 6}[int(name[1:]) % 4] for name, count in counts.items())
        assert all(label == int(name[1:]) % 4 for name, label in zip(names, labels, strict=True))
        assert np.unique(labels).tolist() == [0, 1, 2, 3]


def test_padded_records_are_those_of_the_original(tmp_path):
    """61 s of zeros behind each record, at 300 Hz, without a vote; stretched they are 1,250 samples."""
    folder = raw.write_cinc2017(tmp_path / "raw")
    run("physionet2017", folder, tmp_path / "out", "--mode", "padded")
    features = arrays(tmp_path / "out")["train"]
    assert features.shape[1:] == (1, 18300) and not read_meta(tmp_path / "out").vote
    assert read_meta(tmp_path / "out").rate == 300 and len(features) == len(
        set(arrays(tmp_path / "out", "subjects")["train"])
    )
    run("physionet2017", folder, tmp_path / "short", "--mode", "padded", "--resize", "stretch")
    assert arrays(tmp_path / "short")["train"].shape[1:] == (1, 1250)


def test_a_class_that_is_none_is_refused(tmp_path, capsys):
    """The line is named."""
    folder = raw.write_cinc2017(tmp_path / "raw", records=4)
    (folder / "REFERENCE-v3.csv").write_text("A00001,N\nA00002,B\n")
    assert run("physionet2017", folder, tmp_path / "out") == 2 and "'A00002,B'" in capsys.readouterr().err


# --- What cannot be prepared ----------------------------------------------------------------------------------------


def test_an_empty_folder_is_one_sentence(made, tmp_path, capsys):
    """What was looked for is named."""
    (tmp_path / "empty").mkdir()
    assert run(made[0], tmp_path / "empty", tmp_path / "out") == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("Error: ") and "holds n" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "pattern"), [("ppg_dalia_hr", "S2.pkl"), ("uci_bp", "Part_2.mat"), ("bidmc_hr", "bidmc_02_Signals.csv")]
)
def test_a_truncated_file_is_one_sentence(tmp_path, capsys, name, pattern):
    """Named, exit code 2, no array left behind."""
    folder = WRITERS[name](tmp_path / "raw")
    path = next(folder.rglob(pattern))
    path.write_bytes(path.read_bytes()[: 20 if pattern.endswith("csv") else 2000])
    assert run(name, folder, tmp_path / "out") == 2
    assert pattern in capsys.readouterr().err and not list((tmp_path / "out").glob("*.npy"))


def test_one_person_cannot_be_divided(tmp_path, capsys):
    """One subject: one sentence."""
    folder = raw.write_dalia(tmp_path / "raw", people=1)
    assert run("ppg_dalia_hr", folder, tmp_path / "out") == 2
    assert "cannot be drawn into 3 parts" in capsys.readouterr().err


def test_an_unknown_data_set_has_a_nearest_name(tmp_path, capsys):
    """And the underscore of ptb_xl does no harm."""
    assert run("bidmc_hp", tmp_path, tmp_path / "out") == 2 and "bidmc_hr" in capsys.readouterr().err
    assert run("ptb_xl", raw.write_ptb_xl(tmp_path / "raw"), tmp_path / "out") == 0


def test_the_program_runs_as_a_file_from_any_folder(tmp_path):
    """As the documentation calls it."""
    folder = raw.write_csn(tmp_path / "raw", 10)
    command = [sys.executable, str(ROOT / "tools" / "prepare_downstream.py"), "--dataset", "csn"]
    done = subprocess.run([*command, "--raw", folder, "--out", tmp_path / "out"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "out")
