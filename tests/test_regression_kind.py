"""Kinds `regression` and `rate`: closed-form numbers, baselines, intervals, files, pictures, folds."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.data_loader.base import Signal
from evaluation import publish
from evaluation.kinds.base import Head, Names, Predicted, Reading
from evaluation.kinds.regression import METRICS, draw
from evaluation.presets import PRESETS
from evaluation.settings import Settings
from tests.evaluation_data import beat

SETTINGS = Settings(["MAE", "RMSE", "BA"], "FFT", None, PRESETS["exact"], PRESETS["exact"], 30.0, 0)
SBP = Head("sbp", "regression", "Net", SETTINGS, units={"sbp": "mmHg"})
BOTH = replace(SBP, name="bp", parts=("sbp", "dbp"), units={"bp": "mmHg"})
HR = Head("hr", "rate", "Net", SETTINGS)


def entry(**more):
    """A recording without video and without signals."""
    nothing = {"faces": None, "times": None, "signals": {}, "targets": {}, "info": {}}
    return SimpleNamespace(**{"id": "a", "subject": "a", "fs": 30.0, **nothing, **more})


def predicted(name, values, head="sbp", labels=None, subject=None, **more):
    """Clips of 300 frames with one value each."""
    clips = {k: {head: np.atleast_1d(np.float32(value))} for k, value in enumerate(values)}
    for k, label in enumerate(labels if labels is not None else ()):
        clips[k][f"label_{head}"] = np.float32(label)
    return Predicted(name, subject or name, clips, 30.0, entry(**more), Reading(300))


def three():
    """Three subjects: truth 110, 120, 130; the clips' means are 112, 120, 127, so the errors 2, 0 and -3."""
    found = {"a": (110.0, (111, 113)), "b": (120.0, (120,)), "c": (130.0, (127, 127, 127))}
    return [predicted(name, values, targets={"sbp": true}) for name, (true, values) in found.items()]


def names(folder):
    """Everything in one folder."""
    return Names("run1", "Blood pressure", folder, folder, folder)


def test_numbers_of_a_recording_are_those_of_the_formulas():
    """Errors 2, 0, -3: the clips of a recording count as their mean; the constant is the mean of the test."""
    own, constant = SBP.evaluator.evaluate(three(), SBP).tables
    scores = own.scores
    assert scores["MAE"] == pytest.approx(5 / 3) and scores["RMSE"] == pytest.approx(np.sqrt(13 / 3))
    assert scores["bias"] == pytest.approx(-1 / 3) and scores["SD"] == pytest.approx(np.std([2, 0, -3], ddof=1))
    assert scores["R2"] == pytest.approx(1 - 13 / 200)
    assert scores["Pearson"] == pytest.approx(np.corrcoef([112, 120, 127], [110, 120, 130])[0, 1])
    assert own.per == "recording" and [row.clips for row in own.rows] == [2, 1, 3] and own.unit == "mmHg"
    assert constant.method == "constant mean (test values, 120.0 mmHg)"
    assert constant.scores["MAE"] == pytest.approx(20 / 3) and constant.scores["R2"] == pytest.approx(0)
    assert np.isnan(constant.scores["Pearson"])


def test_weights_count_rows_as_often_as_they_say():
    """What the bootstrap relies on: weights (2, 1) are the rows written out."""
    predicted_values, true = np.array([1.0, 5.0]), np.array([2.0, 3.0])
    for metric in METRICS.values():
        weighted = metric(predicted_values, true, np.array([[2.0, 1.0], [1.0, 1.0]]))
        whole = metric(np.array([1.0, 1.0, 5.0]), np.array([2.0, 2.0, 3.0]), np.ones(3))
        assert weighted[0] == pytest.approx(float(whole)) and weighted.shape == (2,)


def test_intervals_are_over_subjects_and_need_three():
    """Ten clips of one subject have none; of three subjects with errors 1, 3 and 2 that of their three means."""
    one = [predicted("a", [121.0] * 10, labels=[120.0] * 10)]
    assert np.isnan(SBP.evaluator.evaluate(one, SBP).tables[0].intervals["MAE"][0])
    two = [*one, predicted("b", [123.0] * 10, labels=[120.0] * 10)]
    assert np.isnan(SBP.evaluator.evaluate(two, SBP).tables[0].intervals["MAE"][0])
    three = [*two, predicted("c", [122.0] * 10, labels=[120.0] * 10)]
    low, high = SBP.evaluator.evaluate(three, SBP).tables[0].intervals["bias"]
    assert (low, high) == pytest.approx((2 - 4.303 * 1.5 / 3**0.5, 2 + 4.303 * 1.5 / 3**0.5), rel=1e-3)


def test_labels_of_clips_are_judged_clip_by_clip():
    """Where the data set has no target of the recording; a missing one is named and left out."""
    found = SBP.evaluator.evaluate([predicted("a", [118, 125, 120], labels=[120, 120, np.nan])], SBP)
    own = found.tables[0]
    assert own.per == "clip" and [row.clip for row in own.valid] == [0, 1] and own.scores["MAE"] == 3.5
    assert own.rows[2].note == "no target"
    assert SBP.evaluator.lost(found) == ({"a"}, {})


def test_the_constant_is_the_training_mean_where_it_is_known():
    """Missing targets do not count; in folds each has its own."""
    training = SBP.evaluator.training([entry(targets={"sbp": value}) for value in (100.0, 108.0, np.nan)], SBP)
    assert training == {"sbp": 104.0}
    first = replace(SBP, constant=training)
    found = SBP.evaluator.evaluate(three(), first)
    assert found.tables[1].method == "constant mean (training values, 104.0 mmHg)"
    assert found.tables[1].scores["MAE"] == pytest.approx(16)
    other = SBP.evaluator.evaluate(three()[:1], replace(SBP, constant={"sbp": 110.0}))
    merged = SBP.evaluator.merge([found, other], first)
    assert merged.tables[1].method == "constant mean (training values of each fold)"
    assert merged.tables[1].scores["MAE"] == pytest.approx((6 + 16 + 26 + 0) / 4) and len(merged.rows) == 4


def test_a_run_without_pulse_reports_its_targets_alone(tmp_path, capsys):
    """Lines, Markdown, JSON, CSV and a picture for each of two targets; nothing about a pulse."""
    made = [
        Predicted(one.id, one.subject, {0: {"bp": np.array([value, 70.0])}}, 30.0, entry(targets=targets), Reading(300))
        for one, value, targets in (
            (three()[0], 112.0, {"sbp": 110.0, "dbp": 70.0}),
            (three()[1], 120.0, {"sbp": 120.0, "dbp": 80.0}),
            (three()[2], 127.0, {"sbp": np.nan, "dbp": np.nan}),
        )
    ]
    tested = publish.evaluate(made, [BOTH], [("d", "no ECG")], names(tmp_path), allow=True)
    said, text = capsys.readouterr().out, tested.path.read_text()
    assert "sbp [mmHg]: n = 2 recordings of 2 subjects, 1 left out" in said and "INCOMPLETE 2/4" in said
    assert "bpm" not in said + text and "constant mean" in said and "FAILED d: no ECG" in said
    assert "## dbp" in text and "MAE [mmHg]" in text and "| Net | 5.00 |" in text
    assert "- c: no target" in text and "![sbp: predicted" in text
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["tables"] == [] and not content["complete"] and content["evaluated"] == 2
    tables = content["heads"]["bp"]["tables"]
    assert [(one["target"], one["baseline"], one["n"], one["unit"]) for one in tables] == [
        ("sbp", False, 2, "mmHg"), ("sbp", True, 2, "mmHg"), ("dbp", False, 2, "mmHg"), ("dbp", True, 2, "mmHg"),
    ]  # fmt: skip
    assert tables[2]["metrics"]["MAE"]["value"] == 5 and tables[2]["metrics"]["R2"]["unit"] == ""
    with (tmp_path / "bp_per_recording.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["recording"], line["target"], line["error"]) for line in lines[:2]] == [
        ("a", "sbp", "2.0"), ("a", "dbp", "0.0"),
    ]  # fmt: skip
    assert (tmp_path / "bp_sbp.png").is_file() and not (tmp_path / "per_window.csv").exists()


def test_predictions_without_any_target_are_listed(tmp_path, capsys):
    """No errors, but the values: in the CSV file and said."""
    tested = publish.evaluate([predicted("a", [120.0])], [SBP], [], names(tmp_path))
    assert not tested.judged and "no target is known" in capsys.readouterr().out
    assert "120.0" in (tmp_path / "sbp_per_clip.csv").read_text() and "no target is known" in tested.path.read_text()


def test_the_plots_are_in_the_unit_of_the_target(tmp_path):
    """One point, equal points and many are drawn."""
    table = SBP.evaluator.evaluate(three(), SBP).tables[0]
    for rows in (table.rows, table.rows[:1], table.rows[:1] * 3, table.rows * 2000):
        assert draw(replace(table, rows=rows), tmp_path / "x.png").stat().st_size > 5000


# ---------------------------------------------------------------------- rates


def heard(values, bpm=72.0, fs=30.0, length=300, reference=None, **more):
    """Clips of 10 s with a rate each, of a video of 30 s whose pulse has `bpm` at 64 Hz."""
    signal = Signal(beat(bpm, np.arange(1920) / 64), fs=64.0) if reference is None else reference
    given = entry(faces=np.zeros((900, 1)), signals={"ppg": signal} if signal else {}, **more)
    clips = {k: {"hr": np.float32(value)} for k, value in enumerate(values)}
    return Predicted("a", "a", clips, fs, given, Reading(length))


def test_a_rate_is_judged_by_the_pulse_in_the_time_of_its_clip():
    """The pulse quickens from 60 to 90 after the first clip: each clip has its own truth."""
    times = np.arange(1920) / 64
    faster = Signal(np.where(times < 10, beat(60, times), beat(90, times)), fs=64.0)
    own, constant, _ = HR.evaluator.evaluate([heard([61, 91, 89], reference=faster)], HR)
    assert [row.hr_true for row in own.rows] == pytest.approx([60, 90, 90], abs=0.5)
    assert [row.start_s for row in own.rows] == pytest.approx([0, 10, 20])
    assert own.scores["MAE"].value == pytest.approx(1.0, abs=0.4) and own.estimator == "one rate per clip"
    assert constant.baseline and constant.method.startswith("constant mean (test rates, 80.")


@pytest.mark.parametrize("resample", [0.0, 20.0])
def test_frame_times_and_resampling_place_the_clips(resample):
    """Times that start at 5 s, on the clock of the reference; read at 20 Hz a clip of 200 frames lasts 10 s."""
    clock = 5 + np.arange(900) / 30
    at = np.arange(0, 40, 1 / 64)
    wave = Signal(np.where(at < 15, beat(60, at), beat(90, at)), times=at)
    one = heard([60, 90], reference=wave, times=clock, fs=resample or 30.0)
    length = 200 if resample else 300
    found = HR.evaluator.evaluate([replace(one, reading=Reading(length, resample))], HR)[0]
    assert [row.hr_true for row in found.rows] == pytest.approx([60, 90], abs=0.5)
    assert [row.seconds for row in found.rows] == pytest.approx([10, 10], abs=0.01)


def test_clips_without_truth_are_named(tmp_path):
    """Too short for a rate, no pulse signal, a prediction that is NaN."""
    short = HR.evaluator.evaluate([heard([70, 70], length=90)], HR)[0]
    assert short.rows[0].note.startswith("3.0 s are too short") and not short.valid
    assert HR.evaluator.evaluate([heard([70], reference=False)], HR) is None
    assert HR.evaluator.evaluate([heard([np.nan])], HR)[0].rows[0].note == "the prediction is NaN"


def test_rates_are_reported_with_the_training_mean(tmp_path, capsys):
    """Lines, a table, CSV of clips, Bland-Altman plots; folds are joined."""
    head = replace(HR, constant=HR.evaluator.training([heard([1], bpm=80).entry], HR))
    tested = publish.evaluate([heard([71, 72, 75])], [head], [], names(tmp_path))
    said, text = capsys.readouterr().out, tested.path.read_text()
    assert "hr: one rate per clip, n = 3 clips" in said and "MAE (hr): 1.3" in said
    assert "## hr\n\nOne rate per clip" in text and "constant mean (training rates, 80.0 bpm)" in text
    assert len((tmp_path / "hr_per_window.csv").read_text().splitlines()) == 4
    assert (tmp_path / "run1_hr_FFT_BlandAltman_DifferencePlot.pdf").is_file()
    found = tested.outcomes[0].found
    assert len(HR.evaluator.merge([found, found], head)[0].rows) == 6
