"""The plain ridge and the table of starts: closed forms, features of known waves, rows and differences."""

import json

import numpy as np
import pytest

import main
from config import load_config, run_folder
from dataset.files.downstream import FolderWriter, Meta
from evaluation import ridge
from evaluation.comparing.paired import answers_of, difference
from evaluation.tables import csv_text
from evaluation.wave_features import NAMES, features
from neural_methods.cmssl_command import method_of
from neural_methods.cmssl_runs import fewer_people
from tests.cmssl_miniatures import pulse
from tools import cmssl_table

FILE = "configs/cmssl/experiment/synth_hr.yaml"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Rates of PPG (bpm), and two rhythms, of fifteen people with three windows each."""
    root, random = tmp_path_factory.mktemp("tasks"), np.random.default_rng(0)
    parts = ["train"] * 9 + ["val"] * 2 + ["test"] * 4
    rates = Meta("rates", 125.0, 1250, ("ppg",), ("hr",), units={"hr": "bpm"})
    kinds = Meta("kinds", 125.0, 1250, ("ecg",), ("rhythm",), "choice", classes=("slow", "fast"))
    with FolderWriter(root / "rates", rates) as first, FolderWriter(root / "kinds", kinds) as second:
        for number, part in enumerate(parts):
            own = (50 + 20 * (number % 2)) + random.uniform(0, 15, 3)
            waves = np.stack([pulse(125.0, 10.0, rate, random.uniform(0, 1)) for rate in own])[:, None]
            waves += 0.2 * random.normal(size=waves.shape)
            first.add(part, f"p{number}", waves, own)
            second.add(part, f"p{number}", waves, np.full(3, number % 2))
    return root


def ridge_run(folder, runs, **more):
    """The run folder of a plain ridge on a task."""
    changes = [f"{section}.DATA.DATA_PATH={folder}" for section in ("TRAIN", "VALID", "TEST")]
    changes += ["MODEL.NAME=PlainRidge", f"LOG.PATH={runs}", *(f"{key}={value}" for key, value in more.items())]
    assert main.main(["--config_file", FILE, *changes]) == 0
    return run_folder(load_config(FILE, changes))


# --- Ridge and features ----------------------------------------------------------------------------------------------


def test_a_ridge_is_least_squares_with_rows_of_its_strength():
    """Independently: ordinary least squares on the table with the root of the strength below it."""
    random = np.random.default_rng(1)
    table, targets = random.normal(3, 2, (40, 5)), random.normal(size=(40, 2))
    found = ridge.fit(table, targets, 7.0)
    x = (table - table.mean(0)) / table.std(0)
    rows = np.concatenate([x, np.sqrt(7.0) * np.eye(5)])
    weights = np.linalg.lstsq(rows, np.concatenate([targets - targets.mean(0), np.zeros((5, 2))]), rcond=None)[0]
    np.testing.assert_allclose(found.weights, weights, atol=1e-10)
    np.testing.assert_allclose(found.predict(table), x @ weights + targets.mean(0), atol=1e-10)


def test_what_is_no_number_counts_as_the_mean():
    """A column of NaN, and a cell, change nothing for the others."""
    random = np.random.default_rng(1)
    table, targets = random.normal(size=(30, 3)), random.normal(size=(30, 1))
    wide = np.concatenate([table, np.full((30, 1), np.nan)], axis=1)
    np.testing.assert_allclose(ridge.fit(wide, targets).predict(wide), ridge.fit(table, targets).predict(table))
    found, row = ridge.fit(table, targets), table[:1].copy()
    row[0, 1] = np.nan
    assert found.predict(row)[0, 0] == pytest.approx(found.predict(np.where(np.isnan(row), found.center[1], row))[0, 0])


@pytest.mark.parametrize("rate", [48.0, 72.0, 110.0, 150.0])
def test_three_ways_tell_the_rate(rate):
    """Of the spectrum, of likeness, of beats; and no variation where there is none."""
    found = dict(zip(NAMES, features(pulse(125.0, 10.0, rate)[None], 125.0)[0], strict=True))
    for name in ("rate (spectrum)", "rate (likeness)", "rate (beats)"):
        assert found[name] == pytest.approx(rate, rel=0.02), name
    assert found["variation of intervals"] < 0.02 and found["spread"] > 0


def test_breathing_and_shape_are_features_too():
    """15 breaths a minute in the level; mean, lowest and highest in the window's own unit and spreads."""
    times = np.arange(1250) / 125
    wave = 5 + pulse(125.0, 10.0, 72.0) + 2 * np.sin(2 * np.pi * 0.25 * times)
    found = dict(zip(NAMES, features(wave[None], 125.0)[0], strict=True))
    assert found["breathing"] == pytest.approx(15, abs=1) and found["mean"] == pytest.approx(wave.mean())
    assert found["highest"] == pytest.approx((wave.max() - wave.mean()) / wave.std())


def test_a_flat_window_and_one_with_nan_have_no_rate_and_harm_no_other():
    """NaN, row by row."""
    wave = pulse(125.0, 10.0, 72.0)
    table = features(np.stack([np.ones(1250), wave]), 125.0)
    np.testing.assert_allclose(table[1], features(wave[None], 125.0)[0], rtol=1e-9, atol=1e-12)
    assert np.isnan(table[0, 0]) and np.isnan(table[0, 4])


# --- Runs ------------------------------------------------------------------------------------------------------------


def test_the_ridge_is_a_run_like_any_other(folders, tmp_path):
    """Rates to 2 bpm, the mean of training beside it; a report, predictions, weights."""
    folder = ridge_run(folders / "rates", tmp_path)
    (own, mean) = json.loads((folder / "metrics.json").read_text())["heads"]["hr"]["tables"]
    assert own["metrics"]["MAE"]["value"] < 2 < mean["metrics"]["MAE"]["value"]
    assert mean["method"].startswith("constant mean (training values")
    assert (folder / "report.md").is_file() and list(tmp_path.rglob("*_Epoch0.pth"))


def test_the_ridge_tells_classes(folders, tmp_path):
    """Slow from fast: probabilities that add up to one, all right."""
    folder = ridge_run(folders / "kinds", tmp_path)
    (own, *_) = json.loads((folder / "metrics.json").read_text())["heads"]["rhythm"]["tables"]
    assert own["metrics"]["balanced accuracy"]["value"] > 0.9
    np.testing.assert_allclose(answers_of(folder).given.sum(axis=1), 1, atol=1e-5)


def test_the_ridge_goes_through_all_people_by_folds(folders, tmp_path):
    """Each of fifteen is tested once."""
    folder = ridge_run(folders / "rates", tmp_path, **{"SPLIT.KIND": "kfold", "SPLIT.FOLDS": 3})
    found = answers_of(folder)
    assert len(set(found.subjects)) == 15 and len(found.places) == 45


def test_fewer_people_are_the_first_of_one_draw(folders):
    """10 % within 50 %, at least one; of a choice every class; a share that is none is refused."""
    paths = {f"{section}.DATA.DATA_PATH": str(folders / "rates") for section in ("TRAIN", "VALID", "TEST")}
    one, ten, half = (fewer_people(FILE, paths, share)["TRAIN.DATA.FOLD.SUBJECTS"] for share in (1, 10, 50))
    assert len(one) == 1 and len(half) == 4 and set(one) <= set(ten) <= set(half)
    assert set(half) <= {f"p{number}" for number in range(9)}
    paths = {key: str(folders / "kinds") for key in paths}
    assert {int(name[1:]) % 2 for name in fewer_people(FILE, paths, 1)["TRAIN.DATA.FOLD.SUBJECTS"]} == {0, 1}
    with pytest.raises(ValueError, match="0 % of the training people"):
        fewer_people(FILE, paths, 0)


def test_training_on_fewer_people_tests_on_all(folders, tmp_path):
    """The test stays the given one."""
    people = {"TRAIN.DATA.FOLD.SUBJECTS": "[p0,p1]", "TRAIN.DATA.FOLD.FOLD_NAME": "of2"}
    found = answers_of(ridge_run(folders / "rates", tmp_path, **people))
    assert set(found.subjects) == {"p11", "p12", "p13", "p14"}


# --- Differences -----------------------------------------------------------------------------------------------------


def write_run(folder, errors):
    """A run with these errors (people, windows) of a rate of 70."""
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"heads": {"hr": {"kind": "regression"}}}))
    rows = [
        {"recording": f"p{who}", "subject": f"p{who}", "target": "hr", "clip": clip, "true": 70.0,
         "predicted": 70.0 + value, "note": ""}
        for who, own in enumerate(errors) for clip, value in enumerate(own)
    ]  # fmt: skip
    (folder / "hr_per_clip.csv").write_text(csv_text(list(rows[0]), rows))
    return folder


def test_a_difference_is_paired_by_window_with_an_interval_over_people(tmp_path):
    """People differ by far more than the runs do: paired, 1 bpm is clear; the closed form of the jackknife."""
    random = np.random.default_rng(0)
    base, noise = random.uniform(2, 30, (12, 1)) + np.zeros((12, 3)), 0.2 * random.normal(size=(12, 3))
    first, second = write_run(tmp_path / "a", base), write_run(tmp_path / "b", -(base + 1 + noise))
    found = difference(first, second)
    people = -(1 + noise).mean(axis=1)
    assert found.mean == pytest.approx(people.mean()) and found.people == 12 and found.clear and found.high < 0
    assert found.mean - found.low == pytest.approx(2.201 * people.std(ddof=1) / np.sqrt(12), rel=0.1)
    again = difference(first, first)
    assert again.mean == again.low == again.high == 0 and not again.clear


def test_runs_on_other_windows_are_not_paired(tmp_path):
    """One sentence that names both; a folder without a test is another."""
    first, second = write_run(tmp_path / "a", np.ones((4, 2))), write_run(tmp_path / "b", np.ones((4, 3)))
    with pytest.raises(ValueError, match="tested on different windows"):
        difference(first, second)
    with pytest.raises(FileNotFoundError, match="holds no predictions"):
        difference(first, tmp_path)


@pytest.mark.parametrize("kind", ["choice", "labels"])
def test_classes_are_compared_by_what_they_are_selected_by(tmp_path, kind):
    """Answers that are right against answers that know nothing: 1 - 1/2 of balanced accuracy, and of the area."""
    true = np.eye(2)[np.arange(12) % 2]
    for name, given in {"right": 0.1 + 0.8 * true, "nothing": np.tile([0.6, 0.4], (12, 1))}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"heads": {"x": {"kind": kind}}}))
        rows = [
            {"recording": f"p{row // 2}", "subject": f"p{row // 2}", "clip": row % 2, "true_a": int(true[row, 0]),
             "true_b": int(true[row, 1]), "p_a": given[row, 0], "p_b": given[row, 1], "note": ""}
            for row in range(12)
        ]  # fmt: skip
        (tmp_path / name / "x_predictions.csv").write_text(csv_text(list(rows[0]), rows))
    assert difference(tmp_path / "right", tmp_path / "nothing").mean == pytest.approx(-0.5)


# --- The table -------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_start_and_split(folders, tmp_path, monkeypatch):
    """With what was trained on, the score, and differences to the counterpart and to the ridge."""
    runs = {name: write_run(tmp_path / name, np.full((5, 2), float(k + 1)) + np.arange(5)[:, None] / 10)
            for k, name in enumerate(cmssl_table.STARTS)}  # fmt: skip
    asked = []
    monkeypatch.setattr(
        cmssl_table, "finetuned",
        lambda experiment, pretrained, name, changes: asked.append(changes) or runs[name.split("_", 4)[-1]],
    )  # fmt: skip
    monkeypatch.setattr(cmssl_table, "score_of", lambda folder: ("MAE", 1.0))
    monkeypatch.setattr(cmssl_table, "spread_of", lambda folder, name: (0.5, 2.0))
    paths = [f"{section}.DATA.DATA_PATH={folders / 'rates'}" for section in ("TRAIN", "VALID", "TEST")]
    out = tmp_path / "table.md"
    more = ["--pretrained", "enc.pth", "--shares", "10", "100", "--folds", "loso", "--output", str(out), *paths]
    assert cmssl_table.main(["--experiment", "synth_hr", *more]) == 0
    text = out.read_text()
    assert len(text.splitlines()) == 2 + 3 * 5 and "| 10 % of the people (1) |" in text
    assert "| all but one person |" in text and "1.000 [0.500, 2.000]" in text
    assert "+1.000 [+1.000, +1.000]" in text and asked[-1]["SPLIT.KIND"] == "loso"
    assert asked[0]["MODEL.NAME"] == "PlainRidge" and asked[0]["TRAIN.DATA.FOLD.SUBJECTS"]


@pytest.mark.parametrize("folds", ["2", "many"])
def test_folds_that_cannot_be_are_one_sentence(capsys, folds):
    """Exit code 2."""
    assert cmssl_table.main(["--pretrained", "enc.pth", "--folds", folds]) == 2
    assert "neither a number of at least 3 nor loso" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["papagei", "HeartLang"])
def test_encoders_of_others_without_a_reader_are_said_in_one_sentence(name):
    """Not "no such model": what it is, and which there are."""
    with pytest.raises(ValueError, match="published by its authors alone .* Known: .*simclr"):
        method_of(name)
