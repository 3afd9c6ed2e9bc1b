"""tools/pulsedb_to_npy.py: subsets of PulseDB become an array of ECG and PPG, in blocks, with whose they are."""

import json

import h5py
import numpy as np
import pytest

from dataset.files import pulsedb
from dataset.files.finite import unfinished_rows
from dataset.files.windows import WindowArray
from tests.signal_miniatures import PEOPLE, write_pulsedb
from tools import pulsedb_to_npy
from tools.pulsedb_to_npy import main


def run(*files, out, more=()):
    """The exit code."""
    return main(["--mat", *map(str, files), "--out", str(out), *more])


def test_windows_people_and_notes(tmp_path, monkeypatch, capsys):
    """(n, 2, 1250) in the order of the file, however small the blocks; subjects, rate and licence beside it."""
    monkeypatch.setattr(pulsedb, "BLOCK", 4)
    signals = write_pulsedb(tmp_path / "Train_Subset.mat")
    assert run(tmp_path / "Train_Subset.mat", out=tmp_path / "a.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), signals[:, :2], rtol=1e-6)
    assert np.load(tmp_path / "a_subjects.npy")[:3].tolist() == ["p000000_1", "p000000_1", "p000001_1"]
    note = json.loads((tmp_path / "a.json").read_text())
    assert note["fs"] == 125 and note["normalisation"] == "none" and note["windows"] == 2 * PEOPLE
    assert note["licence"] == "VitalDB part (subjects ..._1): CC BY-NC-SA 4.0"
    assert len(WindowArray(tmp_path / "a.npy", 2)) == 2 * PEOPLE and not len(unfinished_rows(tmp_path / "a.npy"))
    assert "CC BY-NC-SA" in capsys.readouterr().out


def test_each_window_and_channel_is_normalised_by_itself(tmp_path):
    """Mean 0 and spread 1."""
    write_pulsedb(tmp_path / "x.mat")
    run(tmp_path / "x.mat", out=tmp_path / "a.npy", more=("--normalize", "zscore"))
    waves = np.load(tmp_path / "a.npy").astype(float)
    assert np.abs(waves.mean(axis=-1)).max() < 1e-5 and np.abs(waves.std(axis=-1) - 1).max() < 1e-4


def test_a_constant_window_becomes_zeros():
    """And no division by nothing."""
    assert (pulsedb_to_npy.normalised(np.full((1, 2, 5), 3.0, np.float32)) == 0).all()


def test_several_subsets_follow_one_another_with_both_licences(tmp_path):
    """People of MIMIC-III and of VitalDB."""
    write_pulsedb(tmp_path / "a.mat", people=2)
    write_pulsedb(tmp_path / "b.mat", people=3)
    with h5py.File(tmp_path / "b.mat", "r+") as file:
        for reference in file["Subset/Subject"][0]:
            file[reference][-1, 0] = ord("0")
    run(tmp_path / "a.mat", tmp_path / "b.mat", out=tmp_path / "both.npy")
    note = json.loads((tmp_path / "both.json").read_text())
    assert len(np.load(tmp_path / "both.npy")) == 10 and note["subjects"] == 5
    assert "CC BY-NC-SA 4.0" in note["licence"] and "ODbL" in note["licence"]


def test_windows_with_nan_are_left_out_with_their_subjects(tmp_path, capsys):
    """Counted; NaN in the pressure is no fault of ECG and PPG."""
    write_pulsedb(tmp_path / "x.mat", people=3)
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file["Subset/Signals"][7, 1, 2] = np.nan  # PPG of the third window
        file["Subset/Signals"][7, 2, 0] = np.nan  # pressure of the first
    run(tmp_path / "x.mat", out=tmp_path / "a.npy")
    assert np.load(tmp_path / "a_subjects.npy").tolist() == [f"p{k:06d}_1" for k in (0, 0, 1, 2, 2)]
    assert "1 with NaN left out" in capsys.readouterr().out


@pytest.mark.parametrize("pair", pulsedb.APART)
def test_newer_files_with_signals_apart_are_read(tmp_path, pair):
    """(1250, n) each, beside fields that nobody asks for."""
    signals = write_pulsedb(tmp_path / "x.mat", people=2)
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        del file["Subset/Signals"]
        for channel, name in enumerate(pair):
            file[f"Subset/{name}"] = signals[:, channel].T
        file["Subset/T"] = np.zeros((1250, 4))
    assert run(tmp_path / "x.mat", out=tmp_path / "a.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), signals[:, :2], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "other"), [("VitalDB_CalBased_Test_Subset", "Train_Subset"), ("AAMI_Cal_Subset", "AAMI_Test_Subset")]
)
def test_subsets_that_share_people_are_never_called_exclusive(tmp_path, capsys, name, other):
    """Named on the screen and in the notes."""
    write_pulsedb(tmp_path / f"{name}.mat", people=2)
    run(tmp_path / f"{name}.mat", out=tmp_path / "a.npy")
    assert f"shares its people with {other} by design" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["sources"][0]["shares_subjects_with"] == other


def _truncate(path):
    path.write_bytes(path.read_bytes()[:3000])


def _segments(path):
    path.unlink()
    with h5py.File(path, "w") as file:
        file.create_group("Subj_Wins")


def _fewer(path):
    with h5py.File(path, "r+") as file:
        file["Subset/Signals2"] = file["Subset/Signals"][..., :3]
        del file["Subset/Signals"]
        file.move("Subset/Signals2", "Subset/Signals")


def _empty(path):
    with h5py.File(path, "r+") as file:
        file["Subset/Signals"][:] = np.nan


BAD = {
    "truncated": (_truncate, "cannot be read as an HDF5 file"),
    "one person's segments": (_segments, "one person's segments"),
    "signals of another export": (_fewer, "not of one export"),
    "nothing but NaN": (_empty, "No window"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_converted_is_one_sentence_and_leaves_nothing(tmp_path, capsys, what):
    """Exit code 2, no array."""
    damage, said = BAD[what]
    write_pulsedb(tmp_path / "x.mat", people=2)
    damage(tmp_path / "x.mat")
    assert run(tmp_path / "x.mat", out=tmp_path / "a.npy") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("Error: ") and said in error
    assert [path.name for path in tmp_path.iterdir()] == ["x.mat"]


def test_a_name_that_is_no_array_is_refused(tmp_path, capsys):
    """Before anything is read."""
    assert run(tmp_path / "x.mat", out=tmp_path / "folder") == 2 and "must end in .npy" in capsys.readouterr().err
