"""Windows: millions of them in one array or a folder of files, with a table; the same samples, splits and checks."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from config import load_config
from dataset.clips.batch import collate
from dataset.clips.clips import Ask
from dataset.clips.inputs import ClipOptions, Input
from dataset.clips.labels import Label, transform
from dataset.clips.windows import WindowDataset
from dataset.data_loader.base import BaseLoader
from dataset.files import windows as files
from dataset.files.windows import open_windows
from dataset.prepare.section import IncompleteError, prepare
from dataset.prepare.splits import SplitError
from registry import DATASETS

CHANNELS = ("ecg", "ppg")
SBP, BP = Label("sbp", "scalar", required=True), Label("bp", "scalar", ("sbp", "rhythm"))
ROWS = [("anna", 20, 120), ("anna", 10, 121), ("bo", 0, 130), ("cy", 0, ""), ("cy", 5, 141), ("dee", 0, "")]


@pytest.fixture
def folder(tmp_path):
    """Six windows of two channels at 50 Hz of four people, with their table."""
    values = np.random.default_rng(0).normal(size=(6, 2, 100)).astype(np.float32)
    np.save(tmp_path / "windows.npy", values)
    lines = [f"{subject},{start},{sbp},{row % 3}" for row, (subject, start, sbp) in enumerate(ROWS)]
    (tmp_path / "windows.csv").write_text("\n".join(["subject,start,sbp,rhythm", *lines]) + "\n")
    return tmp_path


def opened(folder, **more):
    """The windows of the folder."""
    return open_windows(folder / "windows.npy", folder / "windows.csv", CHANNELS, 50.0, **more)


def made(folder, ids=None, **options):
    """A data set of ECG and PPG with the pressure as its label."""
    given = {"inputs": ("ecg", "ppg"), "labels": (SBP,), **options}
    return WindowDataset(opened(folder), ids, ClipOptions(**given))


def test_samples_are_those_of_clips(folder):
    """Inputs by channel, scalars (B,), places by start; rows without a required label are left out and said."""
    values, data = np.load(folder / "windows.npy"), made(folder)
    batch = collate([data[k] for k in range(len(data))])
    assert batch["recording"] == ["anna", "anna", "bo", "cy"] and batch["subject"] == batch["recording"]
    assert batch["clip"].tolist() == [0, 1, 0, 1] and batch["sbp"].tolist() == [121, 120, 130, 141]
    np.testing.assert_array_equal(batch["ecg"], values[[1, 0, 2, 4], 0])
    np.testing.assert_array_equal(batch["ppg"], values[[1, 0, 2, 4], 1])
    assert batch["fs"].tolist() == [50.0] * 4 and data.recordings == ["anna", "bo", "cy"]
    assert data.failed == [("dee", "no window has the target 'sbp'")]
    assert data.notes == ["2 of 6 windows have no 'sbp' and are left out"]
    assert data.clip_lengths() is None
    assert data[Ask(1, epoch=4)]["epoch"] == 4 and "epoch" not in data[1]


@pytest.mark.parametrize("ask", [int, lambda k: Ask(k, 3)], ids=["numbers", "asks"])
def test_a_batch_read_at_once_is_the_samples_put_together(folder, ask):
    """Inputs at two rates, one that is missing, waves and scalars as labels: equal to the bit, of the same types."""
    inputs = (Input("both", CHANNELS), Input("ppg", fs=25.0), Input("abp", optional=True))
    data = made(folder, inputs=inputs, labels=(SBP, BP, Label("ecg"), Label("waves", parts=("ppg", "ecg"))))
    chosen = [ask(k) for k in (3, 0, 2)]
    once, one_by_one = collate(data.__getitems__(chosen)), collate([data[k] for k in chosen])
    assert list(once) == list(one_by_one)
    for key, value in once.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == one_by_one[key].dtype and torch.equal(value, one_by_one[key]), key
        else:
            assert value == one_by_one[key], key
    assert once["both"].shape == (3, 2, 100) and once["ppg"].shape == (3, 50) and not once["abp"].any()


def test_inputs_and_labels_of_all_kinds(folder):
    """Several channels of one input, another rate, a missing one, codes, and a wave that is a channel."""
    values = np.load(folder / "windows.npy")
    data = made(
        folder, ["bo", "anna"], label_type="Standardized",
        inputs=(Input("both", CHANNELS), Input("slow", ("ecg",), fs=25.0), Input("radar", optional=True)),
        labels=(Label("ppg"), Label("rhythm", "codes"), BP, Label("age", "scalar")),
    )  # fmt: skip
    sample = data[0]
    assert (sample["recording"], sample["both"].shape, sample["slow"].shape) == ("bo", (2, 100), (1, 50))
    assert not sample["has_radar"] and sample["radar"].tolist() == [0.0] * 100 and "age" not in sample
    np.testing.assert_allclose(sample["ppg"], transform(values[2, 1], "Standardized"), rtol=1e-5)
    assert sample["rhythm"] == 2 and sample["bp"].tolist() == [130, 2]
    for wrong, said in (
        ({"inputs": ("eeg",)}, "no channel 'eeg'"),
        ({"labels": (Label("age", "scalar", required=True),)}, "no target 'age'"),
    ):
        with pytest.raises(ValueError, match=said):
            made(folder, **wrong)


def test_a_number_that_is_too_large_is_missing(folder):
    """In a label of one column and of several, required or not: a loss of infinity would end the training."""
    table = folder / "windows.csv"
    table.write_text(table.read_text().replace("bo,0,130,", "bo,0,1e40,"))
    data = made(folder, labels=(BP, Label("sbp", "scalar"), Label("both", "scalar", ("rhythm", "sbp"), required=True)))
    sample = data[2]
    assert sample["recording"] == "bo" and sample["sbp"].isnan()
    assert sample["bp"][0].isnan() and sample["bp"][1] == 2 and sample["both"][1].isnan()


def test_a_folder_of_files(folder):
    """One .npz for each window, (L, C) as well as (C, L); the table says whose it is."""
    values = np.load(folder / "windows.npy")
    (folder / "npz").mkdir()
    for row, window in enumerate(values):
        np.savez_compressed(folder / "npz" / f"w{row}.npz", x=window.T)
    np.savez(
        folder / "t.npz", subject=np.arange(6), sbp=np.arange(6.0), window=np.array([f"w{row}" for row in range(6)])
    )
    windows = open_windows(folder / "npz", folder / "t.npz", CHANNELS, 50.0, time_first=True)
    data = WindowDataset(windows, None, ClipOptions(inputs=CHANNELS, labels=(SBP,)))
    assert len(data) == 6 and torch.equal(data[4]["ppg"], torch.from_numpy(values[4, 1])) and data[4]["subject"] == "4"
    np.savez(folder / "npz" / "w4.npz", x=values[4][:, :50].T)
    with pytest.raises(ValueError, match="w4.npz' holds float32"):
        data[4]
    (folder / "npz" / "w4.npz").write_bytes(b"PK no zip")
    with pytest.raises(ValueError, match="w4.npz' holds no window"):
        data[4]


@pytest.mark.parametrize("name", ["../windows", "/etc/passwd", "a\\b", "missing"])
def test_a_table_leads_to_no_other_folder(folder, name):
    """Names of files are names, not paths."""
    (folder / "npz").mkdir()
    np.savez(folder / "t.npz", subject=np.arange(1), window=np.array([name]))
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_windows(folder / "npz", folder / "t.npz", CHANNELS, 50.0)


def test_pickles_are_never_opened(folder):
    """Neither as an array, nor in a table, nor as a window."""
    evil = np.array([{"a": 1}] * 6, dtype=object)
    np.save(folder / "evil.npy", evil, allow_pickle=True)
    with pytest.raises(ValueError, match="evil.npy'"):
        open_windows(folder / "evil.npy", folder / "windows.csv", CHANNELS, 50.0)
    np.savez(folder / "evil.npz", subject=evil)
    with pytest.raises(ValueError, match="evil.npz' is no table"):
        open_windows(folder / "windows.npy", folder / "evil.npz", CHANNELS, 50.0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("subject,sbp\na,1\n", "1 rows, .* 6 windows"),
        ("patient,sbp\na,1\n", "no column subject"),
        ("subject,sbp\n", "no rows"),
        ("", "is no table"),
        ("subject,sbp\n" + "a,1,2\n" * 6, "more or fewer cells"),
        ("sbp,subject\n" + "1\n" * 6, "more or fewer cells"),
        ("recording,subject\n" + "r,a\n" * 5 + "r,b\n", "several subjects"),
        ("subject,sbp\n" + "1," * 600_000 + "\n", "a line has more than"),
    ],
)
def test_tables_that_do_not_fit_are_named(folder, table, said):
    """With the file and what is wrong with it."""
    (folder / "windows.csv").write_text(table)
    with pytest.raises(ValueError, match=said) as caught:
        opened(folder)
    assert "windows.csv" in str(caught.value)


def test_a_cut_off_array_is_named(folder):
    """The header claims more than the file holds."""
    path = folder / "windows.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="windows.npy' cannot be read"):
        opened(folder)
    np.save(path, np.zeros((6, 3, 100), np.float32))
    with pytest.raises(ValueError, match="2 channels"):
        opened(folder)


def test_words_in_a_table(folder):
    """A subject may be called NA; what is no number is missing."""
    (folder / "windows.csv").write_text("subject,sbp\n" + "NA,120\n" * 5 + "007,high\n")
    windows = opened(folder)
    assert windows.subjects == ("NA", "007") and np.isnan(windows.targets["sbp"][5]) and len(windows) == 6


def test_maps_are_let_go_and_never_travel(folder, monkeypatch):
    """Memory does not grow with what was read; workers open the file themselves."""
    monkeypatch.setattr(files, "DROPPED_AFTER", 2 * files.PAGES)
    data, seen = made(folder), set()
    for _ in range(5):
        data[0]
        seen.add(id(data.windows.store._map))
        assert data.windows.store._mapped <= 4 * files.PAGES
    assert len(pickle.dumps(data)) < 5000
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[2]["ecg"], data[2]["ecg"]) and again.windows.store._map is not None


# --- As a data set --------------------------------------------------------------------------------------------------


@DATASETS.register("TestWindows")
class TestWindowsLoader(BaseLoader):
    """The windows of the folder above."""

    __test__ = False
    windows = True

    def read_windows(self, root: Path):
        """See `folder`."""
        return opened(root)


def ready(folder, name="TRAIN", **changes):
    """The section of a configuration, prepared."""
    node = load_config("configs/demo/physnet.yaml", []).clone()
    node.defrost()
    data = node[name].DATA
    data.DATASET, data.DATA_PATH, data.BEGIN, data.END = "TestWindows", str(folder), 0.0, 1.0
    data.PREPROCESS.LABEL_TYPE = "Raw"
    node.ALLOW_INCOMPLETE = changes.pop("ALLOW_INCOMPLETE", False)
    for key, value in changes.items():
        data[key] = value
    return prepare(data, name.lower(), node)


def test_sections_split_by_subject(folder):
    """BEGIN and END count people, whatever their number of windows; what all windows lack is incomplete."""
    first, second = ready(folder, END=0.5), ready(folder, BEGIN=0.5, ALLOW_INCOMPLETE=True)
    assert first.split.ids == ("anna", "bo") and second.split.ids == ("cy", "dee") and first.fs == 50.0
    assert len(first.clips(labels=(SBP,))) == 3 and len(first.clips()) == 3
    assert set(first.clips()[0]) >= {"ecg", "ppg"} and first.legacy and first.used == first.split
    assert len(second.clips(labels=(SBP,))) == 1 and (len(second.failed), second.total) == (1, 2)
    with pytest.raises(IncompleteError, match="dee: no window has the target 'sbp'"):
        ready(folder).clips(labels=(SBP,))
    with pytest.raises(ValueError, match=r"TRAIN.DATA \(TestWindows\): the windows have no channel 'eeg'"):
        first.clips(inputs=("eeg",))


def test_sections_say_what_is_missing(folder):
    """No folder, nothing in the range."""
    with pytest.raises(FileNotFoundError, match="TRAIN.DATA.DATA_PATH"):
        ready(folder / "nowhere")
    with pytest.raises(SplitError, match="is empty"):
        ready(folder, BEGIN=0.0, END=0.1)
