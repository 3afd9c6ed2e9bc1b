"""Anybody's predictions: read as they come, judged under every preset, refused in one sentence where nothing fits."""

import json
import re

import numpy as np
import pytest

from evaluation.external import read_given
from evaluation.outputs import write_outputs
from registry import METRICS
from tests.conftest import reference
from tools.evaluate import main

RATES = np.linspace(50, 120, 12)


def waves(rates=RATES, seconds=20.0, fs=30.0, noise=0.3, seed=0):
    """(N, L) tones of these rates (bpm)."""
    times = np.arange(round(seconds * fs)) / fs
    clean = np.sin(2 * np.pi * np.asarray(rates)[:, None] / 60 * times)
    return clean + noise * np.random.default_rng(seed).normal(size=clean.shape)


@pytest.fixture
def arrays(tmp_path):
    """Paths of predictions and labels, 12 windows; the last prediction is 30 bpm off."""
    predicted = waves(np.r_[RATES[:-1], RATES[-1] - 30])
    np.save(tmp_path / "predictions.npy", predicted.astype(np.float32))
    np.save(tmp_path / "labels.npy", waves(noise=0.0).astype(np.float32))
    return str(tmp_path / "predictions.npy"), str(tmp_path / "labels.npy")


def scored(folder, *arguments):
    """Exit code and metrics.json of a run that leaves a report in `folder`."""
    code = main([*map(str, arguments), "--output", str(folder)])
    return code, json.loads((folder / "metrics.json").read_text())


def test_windows_are_judged_each(arrays, tmp_path, capsys):
    """One of twelve is 30 bpm off; the median is not."""
    code, content = scored(tmp_path / "out", "--predictions", arrays[0], "--labels", arrays[1], "--fs", 30)
    own, constant, shuffled, noise = content["tables"]
    assert shuffled["metrics"]["MAE"]["value"] > 20 and noise["n"] == 12 and noise["metrics"]["MACC"]["value"] < 0.4
    assert own["metrics"]["MACC"]["floor"] == noise["metrics"]["MACC"]["value"]
    assert code == 0 and own["n"] == 12 and own["preset"] == "exact" and constant["baseline"]
    assert own["metrics"]["MAE"]["value"] == pytest.approx(2.5, abs=0.1) and own["median_abs_error"] < 0.1
    assert own["within"]["5"] == pytest.approx(11 / 12) and own["metrics"]["CCC"]["value"] > 0.8
    printed = capsys.readouterr().out
    assert "92% within 5" in printed and "--subjects" in printed and "band 0.6-3.3 Hz" in printed


def test_people_are_resampled_where_they_are_known(arrays, tmp_path, capsys):
    """Twelve windows of three people: wider intervals, and three are said to be few."""
    (tmp_path / "who.txt").write_text("\n".join(["anna", "ben", "carl"] * 4))
    asked = ["--predictions", arrays[0], "--labels", arrays[1], "--fs", 30, "--subjects", tmp_path / "who.txt"]
    _, content = scored(tmp_path / "out", *asked)
    assert content["tables"][0]["subjects"] == 3 and "Only 3 people" in capsys.readouterr().out


def test_errors_by_attribute(arrays, tmp_path, capsys):
    """A table says of each window what it is of; one it does not know is named; one person is told from few."""
    asked = ["--predictions", arrays[0], "--labels", arrays[1], "--fs", 30, "--attributes", tmp_path / "what.csv"]
    lines = [f"window_{k},{'dark' if k > 8 else 'light'},{20 + k % 5}" for k in range(12)]
    (tmp_path / "what.csv").write_text("recording,skin,age\n" + "\n".join(lines) + "\n")
    _, content = scored(tmp_path / "out", *asked)
    groups = {(one["attribute"], one["value"]): one for one in content["tables"][0]["subgroups"]}
    assert groups["skin", "dark"]["n"] == 3 and groups["skin", "dark"]["metrics"]["MAE"]["value"] > 5
    assert groups["skin", "light"]["metrics"]["MAE"]["value"] < 0.5 and ("age", "20") in groups
    (tmp_path / "what.csv").write_text("recording,skin\nwindow_0,dark\n")
    assert main([*map(str, asked)]) == 1 and "says nothing of window_1, window_2" in capsys.readouterr().err
    (tmp_path / "who.txt").write_text("anna\n" * 12)
    assert main([*map(str, asked[:6]), "--subjects", str(tmp_path / "who.txt")]) == 0
    said = capsys.readouterr().out
    assert "All is of one person: there are no intervals" in said and "preset exact; whole recordings" in said


def test_one_wave_and_windows_of_it(tmp_path):
    """A flat array is one recording, in windows where they are asked for."""
    np.save(tmp_path / "p.npy", waves([72], 60)[0])
    np.save(tmp_path / "l.npy", waves([72], 60, noise=0)[0])
    asked = ["--predictions", tmp_path / "p.npy", "--labels", tmp_path / "l.npy", "--fs", 30]
    assert scored(tmp_path / "a", *asked)[1]["tables"][0]["n"] == 1
    assert scored(tmp_path / "b", *asked, "--window", 10)[1]["tables"][0]["n"] == 6


def test_labels_at_their_own_rate(tmp_path):
    """As a sensor gave them."""
    np.save(tmp_path / "p.npy", waves())
    np.save(tmp_path / "l.npy", waves(fs=64.0, noise=0))
    asked = ["--predictions", tmp_path / "p.npy", "--labels", tmp_path / "l.npy", "--fs", 30]
    assert scored(tmp_path / "out", *asked, "--label_fs", 64)[1]["tables"][0]["metrics"]["MAE"]["value"] < 0.2


def test_a_table_has_a_column_per_recording(tmp_path):
    """Shorter columns end in empty cells; the names are the recordings'."""
    for name, noise in (("p", 0.2), ("l", 0.0)):
        long, short = waves([60], 30, noise=noise)[0], waves([90], 20, noise=noise)[0]
        lines = [f"{value},{short[k] if k < len(short) else ''}" for k, value in enumerate(long)]
        (tmp_path / f"{name}.csv").write_text("anna,ben\n" + "\n".join(lines) + "\n")
    given = read_given(tmp_path / "p.csv", tmp_path / "l.csv", 30.0)
    assert [(one.id, len(one.prediction)) for one in given.recordings] == [("anna", 900), ("ben", 600)]


@pytest.mark.parametrize("kind", ["Raw", "DiffNormalized"])
def test_an_output_pickle_is_judged_under_exact_too(tmp_path, kind):
    """Its labels become references; derivatives are integrated."""
    predicted, true = waves(), waves(noise=0.0)
    if kind == "DiffNormalized":
        predicted, true = (np.diff(wave, axis=1, prepend=wave[:, :1]) for wave in (predicted, true))
    clips = [{f"s{k}": {0: row[:300], 1: row[300:]} for k, row in enumerate(of)} for of in (predicted, true)]
    path = write_outputs(tmp_path / "x_outputs.pickle", *clips, kind, 30)
    code, content = scored(tmp_path / "out", "--predictions", path, "--preset", "toolbox")
    exact = next(table for table in content["tables"] if table["preset"] == "exact")
    assert code == 0 and exact["n"] == 12 and exact["metrics"]["MAE"]["value"] < 1
    assert {table["preset"] for table in content["tables"]} == {"exact", "toolbox"}


def test_nothing_is_written_that_nobody_asked_for(arrays, tmp_path, monkeypatch):
    """Neither beside the arrays nor in the working directory."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["--predictions", arrays[0], "--labels", arrays[1], "--fs", "30"]) == 0
    assert sorted(tmp_path.iterdir()) == before


GIVEN = {"--predictions": "p.npy", "--labels": "l.npy", "--fs": "30"}
BAD = {  # files in place of the good ones, other arguments (None: left out), what is said
    "another number": ({"l.npy": waves(RATES[:5])}, {}, "12 windows.*5 windows"),
    "another length": ({"l.npy": waves(seconds=15)}, {}, "Check the rates"),
    "objects": ({"p.npy": np.array([{}], dtype=object)}, {}, "p.npy"),
    "text": ({"p.npy": np.array(["a", "b"])}, {}, "no real numbers"),
    "nan": ({"p.npy": np.full((12, 600), np.nan)}, {}, "NaN or infinite"),
    "a cube": ({"p.npy": np.zeros((3, 4, 5))}, {}, "windows x samples"),
    "no labels": ({}, {"--labels": None}, "--labels FILE"),
    "a missing file": ({}, {"--predictions": "gone.npy"}, "gone.npy"),
    "one person": ({"who.txt": "anna\n"}, {"--subjects": "who.txt"}, "names 1 people for 12"),
    "windows of windows": ({}, {"--window": "5"}, "leave out --window"),
    "another rate": ({}, {"--predictions": "x.pickle", "--labels": None}, "says 25 Hz, --fs 30"),
    "constant labels": ({"l.npy": np.ones((12, 600))}, {}, "not one window has both rates"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys, what):
    """Exit code 1, no traceback."""
    files, changed, said = BAD[what]
    monkeypatch.chdir(tmp_path)
    write_outputs(tmp_path / "x.pickle", {"a": {0: waves()[0]}}, {"a": {0: waves()[0]}}, "Raw", 25)
    for name, content in {"p.npy": waves(), "l.npy": waves(noise=0), **files}.items():
        if isinstance(content, str):
            (tmp_path / name).write_text(content)
        else:
            np.save(tmp_path / name, content)
    capsys.readouterr()
    arguments = {name: value for name, value in {**GIVEN, **changed}.items() if value is not None}
    assert main([word for pair in arguments.items() for word in pair]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1 and re.search(said, error)


def test_concordance():
    """By hand: a shift of the whole costs, a correlation does not see it; equal is 1; weights count windows."""
    true = np.array([60.0, 70.0, 80.0, 90.0])
    assert METRICS["CCC"](true, true).value == pytest.approx(1.0)
    spread = np.var(true)
    assert METRICS["CCC"](true + 10, true).value == pytest.approx(2 * spread / (2 * spread + 100))
    twice = METRICS["CCC"](true + 10, true, weights=np.array([[1, 1, 1, 1], [2, 1, 1, 0]]))
    rows = np.array([60.0, 60.0, 70.0, 80.0])
    assert twice.value[1] == pytest.approx(METRICS["CCC"](rows + 10, rows).value)


def test_the_real_outputs_of_a_network():
    """42 recordings under both presets; rPPG-Toolbox's error to its digits."""
    given = read_given(reference("parity/PURE_PURE_UBFC_deepphys_outputs.pickle"), None, None)
    assert len(given.recordings) == 42 and all(one.reference is not None for one in given.recordings)
