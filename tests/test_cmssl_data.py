"""Windows of ECG and PPG without labels: what is read, what is left out, what is refused; the synthetic people."""

import json
from dataclasses import replace

import numpy as np
import pytest

from config import load_config
from dataset.clips.inputs import ClipOptions, Input
from dataset.clips.windows import WindowDataset
from dataset.data_loader.paired_windows import PairedWindowsLoader
from dataset.files.downstream import open_downstream
from dataset.prepare.section import prepare
from dataset.prepare.splits import SplitError
from dataset.synthetic import ecgppg
from tools import make_synthetic_ecgppg


@pytest.fixture
def path(tmp_path):
    """Twelve windows of 300 samples of four people."""
    np.save(tmp_path / "w.npy", np.random.default_rng(0).normal(size=(12, 2, 300)).astype(np.float32))
    np.save(tmp_path / "w_subjects.npy", np.repeat(["a", "b", "c", "d"], 3))
    return tmp_path / "w.npy"


def read(path, **options):
    """Its windows of 100 samples."""
    return PairedWindowsLoader({"ARRAY_FS": 125.0, "WINDOW": 100, "STRIDE": 100, **options}).read_windows(path)


def test_cmssl_long_rows_are_cut_into_windows(path):
    """One every STRIDE samples, ECG first; a window belongs to the person of its row."""
    values, windows = np.load(path), read(path, STRIDE=50)
    assert len(windows) == 12 * 5 and windows.subjects == ("a", "b", "c", "d") and windows.fs == 125.0
    data = WindowDataset(windows, ["b"], ClipOptions(inputs=(Input("waves", ("ecg", "ppg")),), labels=()))
    assert len(data) == 15
    np.testing.assert_array_equal(data[6]["waves"], values[4, :, 50:150])
    np.testing.assert_array_equal(windows.read(6, [1]), values[1, 1:, 50:150])


def test_cmssl_windows_with_nan_are_left_out_and_counted(path):
    """Every window of such a row, said once."""
    values = np.load(path)
    values[3, 1, 7], values[5, 0, 299] = np.nan, np.inf
    np.save(path, values)
    data = WindowDataset(read(path), None, ClipOptions(inputs=(Input("waves", ("ecg", "ppg")),), labels=()))
    assert len(data) == 30 and data.notes == ["6 of 36 windows cannot be used and are left out"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: np.save(path, np.zeros((12, 3, 300), np.float32)), "2 channels"),
        (lambda path: np.save(path, np.zeros((12, 2, 300), complex)), "complex128"),
        (lambda path: np.save(path, np.zeros((12, 2, 90), np.float32)), "windows of 90 samples .* shorter than"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "w.npy' cannot be read"),
        (lambda path: path.with_name("w_subjects.npy").unlink(), "w_subjects.npy' is missing"),
        (lambda path: np.save(path.with_name("w_subjects.npy"), np.arange(5)), "5 subjects, the array 12"),
        (lambda path: np.save(path.with_name("w_subjects.npy"), np.zeros((12, 2))), "float64"),
        (lambda path: path.with_name("w.json").write_text(json.dumps({"fs": 250.0})), "says 250 Hz, ARRAY_FS is 125"),
    ],
)
def test_cmssl_arrays_that_do_not_fit_are_named(path, change, said):
    """With the file, what is wrong and the remedy."""
    change(path)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        read(path)


def test_cmssl_people_are_divided_and_never_their_windows(path):
    """Parts are drawn by person; one person cannot be divided."""
    config = load_config("configs/cmssl/tiny_tokenizer.yaml", []).clone()
    config.defrost()
    data = config.TRAIN.DATA
    data.DATA_PATH, data.WINDOW, data.STRIDE, config.SPLIT.KIND = str(path), 100, 100, ""
    data.BEGIN, data.END = 0.0, 0.5
    assert prepare(data, "train", config).split.ids == ("a", "b")
    np.save(path.with_name("w_subjects.npy"), np.repeat(["a"], 12))
    with pytest.raises(SplitError, match="TRAIN.DATA"):
        prepare(data, "train", config)


def test_cmssl_synthetic_people_have_the_rate_that_their_label_says(tmp_path):
    """Pre-training array and two tasks; the rate of the label is that of the R waves, and the PPG follows it."""
    assert make_synthetic_ecgppg.main(
        ["--out", str(tmp_path), "--subjects", "4", "--windows", "2", "--task-subjects", "15"]
    ) == 0  # fmt: skip
    loader = PairedWindowsLoader({"ARRAY_FS": 125.0, "WINDOW": 1250, "STRIDE": 1250})
    windows = loader.read_windows(tmp_path / "pretraining.npy")
    assert len(windows) == 8 and len(windows.subjects) == 4 and windows.length == 1250
    task = open_downstream(tmp_path / "synth_hr")
    ppg, rate = task.read(0, [0])[0], task.targets["hr"][0]
    spectrum = np.abs(np.fft.rfft((ppg - ppg.mean()) * np.hanning(1250), 1 << 15))
    rates = np.fft.rfftfreq(1 << 15, 1 / 125) * 60
    band = (rates > 40) & (rates < 180)
    assert abs(rates[band][spectrum[band].argmax()] - rate) < 3
    rhythm = open_downstream(tmp_path / "synth_rhythm")
    assert set(rhythm.targets["rhythm"]) == {0, 1, 2} and rhythm.channels == ("ecg",)
    assert not set(rhythm.subjects) & set(windows.subjects)


def test_cmssl_rate_only_pairs_share_the_rate_and_no_beat():
    """A beat of the PPG tells nothing of where the ECG's beats are: their distance is that of chance."""
    random = np.random.default_rng(0)
    someone = ecgppg.person(random, 0)

    def lags(rate_only):
        found = []
        for _ in range(12):
            one = ecgppg.window(someone, random, rate_only=rate_only)
            found.append((one.ppg.argmax() - np.flatnonzero(one.ecg > 0.6)[0]) / 125 % (60 / one.rate))
        return np.std(found)

    assert lags(True) > 3 * lags(False)


def test_cmssl_rate_only_ppg_knows_nothing_of_the_person_but_the_rate():
    """To the bit the same for somebody with another pressure, breath, rhythm and shape."""
    people = [ecgppg.person(np.random.default_rng(number), rhythm=number) for number in (0, 1)]
    one, other = (replace(someone, rate=70.0) for someone in people)
    first, second = (ecgppg.window(who, np.random.default_rng(3), rate_only=True) for who in (one, other))
    assert np.array_equal(first.ppg, second.ppg) and not np.array_equal(first.ecg, second.ecg)
    faster = ecgppg.window(replace(one, rate=90.0), np.random.default_rng(3), rate_only=True)
    assert not np.array_equal(first.ppg, faster.ppg)


@pytest.mark.parametrize("few", [["--subjects", "1"], ["--task-subjects", "14"]])
def test_cmssl_synthetic_tool_refuses_too_few(tmp_path, capsys, few):
    """One sentence, exit code 2."""
    assert make_synthetic_ecgppg.main(["--out", str(tmp_path), *few]) == 2
    assert capsys.readouterr().err.count("\n") == 1
