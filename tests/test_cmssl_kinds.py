"""Kinds `choice` and `labels`: numbers, baselines, votes, files, pictures, folds."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation import classification, publish
from evaluation.kinds.base import Head, Names, Predicted, Reading
from evaluation.presets import PRESETS
from evaluation.settings import Settings

SETTINGS = Settings([], "FFT", None, PRESETS["exact"], PRESETS["exact"], 125.0, 0)
RHYTHM = Head("rhythm", "choice", "Net", SETTINGS, options={"classes": ["N", "A", "O"]})
DX = Head("dx", "labels", "Net", SETTINGS, parts=("MI", "HYP", "rare"))


def predicted(subject, given, labels, head, recording=""):
    """Clips with their probabilities and labels."""
    clips = {
        k: {head.name: np.float32(one), f"label_{head.name}": np.float32(label)}
        for k, (one, label) in enumerate(zip(given, labels, strict=True))
    }
    return Predicted(recording or subject, subject, clips, 125.0, None, Reading(1250))


def people(head, count=6, seed=0):
    """Answers that are better than chance, of two clips each."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        if head.kind == "choice":
            labels = rng.integers(0, 3, 2)
            given = rng.dirichlet([1, 1, 1], 2) + 0.3 * np.eye(3)[labels]
            given /= given.sum(axis=1, keepdims=True)
        else:
            labels = (rng.random((2, 3)) < [0.5, 0.4, 0.0]).astype(float)
            given = np.clip(0.4 * labels + 0.6 * rng.random((2, 3)), 0, 1)
        made.append(predicted(f"p{number}", given, labels, head))
    return made


def names(folder):
    """Everything in one folder."""
    return Names("run1", "Rhythms", folder, folder, folder)


def test_scores_of_a_choice_are_those_of_the_formulas():
    """From the same probabilities, class against the others."""
    own = RHYTHM.evaluator.evaluate(people(RHYTHM), RHYTHM).own
    given = np.stack([row.probabilities for row in own.rows])
    there = np.stack([row.there for row in own.rows])
    assert there.sum() == 12
    areas = [classification.auroc(given[:, k], there[:, k])(np.ones(12)) for k in range(3)]
    assert own.scores["AUROC"] == pytest.approx(np.mean(areas)) and own.ranked == 3
    recall = [(given.argmax(1) == k)[there[:, k] > 0].mean() for k in range(3)]
    assert own.scores["balanced accuracy"] == pytest.approx(np.mean(recall))
    assert set(own.scores) == {
        "AUROC", "AUC-PR", "balanced accuracy", "Cohen kappa", "weighted F1", "calibration error",
    }  # fmt: skip


def test_areas_are_over_the_labels_that_somebody_has(tmp_path):
    """The rare one occurs nowhere: the number of labels is said."""
    found = DX.evaluator.evaluate(people(DX), DX)
    assert found.own.ranked == 2 and len(found.own.columns) == 3
    assert "means over the 2 of 3" in "\n".join(DX.evaluator.section(found, DX).markdown)


def test_answers_that_know_nothing_have_their_closed_forms():
    """Chance for areas; the most frequent class has no kappa, saying nothing no F1."""
    most, prior = RHYTHM.evaluator.evaluate(people(RHYTHM), RHYTHM).tables[1:]
    assert most.scores["AUROC"] == prior.scores["AUROC"] == 0.5 and most.scores["Cohen kappa"] == 0
    assert most.scores["balanced accuracy"] == pytest.approx(1 / 3)
    nothing, prior = DX.evaluator.evaluate(people(DX), DX).tables[1:]
    there = np.stack([row.there for row in nothing.rows])
    assert nothing.method == "nothing there" and nothing.scores["weighted F1"] == 0
    assert nothing.scores["label accuracy"] == pytest.approx(1 - there.mean())
    assert prior.scores["calibration error"] < nothing.scores["calibration error"]


def test_frequencies_come_from_the_training_windows_unread():
    """Of the rows of each recording; NaN does not count; a later test gets them back."""
    windows = SimpleNamespace(targets={"rhythm": np.array([0, 0, 2, np.nan, 1])})
    sources = [SimpleNamespace(windows=windows, rows=np.array([0, 1])), SimpleNamespace(windows=windows, rows=[2, 3])]
    known = RHYTHM.evaluator.training(sources, RHYTHM)
    assert known["prior"] == pytest.approx([2 / 3, 0, 1 / 3])
    head = replace(RHYTHM, constant=known)
    prior = RHYTHM.evaluator.evaluate(people(RHYTHM), head).tables[2]
    assert prior.rows[0].probabilities == pytest.approx([2 / 3, 0, 1 / 3])
    assert RHYTHM.evaluator.remembered(head) == {"constant": known}


def test_clips_of_a_recording_vote():
    """Two clips lean to A, one is sure of N: the mean decides."""
    given = [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.4, 0.6, 0]]
    head = replace(RHYTHM, options={**RHYTHM.options, "vote": True})
    rows = head.evaluator.rows([predicted("a", given, [0, 0, 0], head)], head)
    assert len(rows) == 1 and rows[0].clips == 3 and rows[0].clip is None
    assert rows[0].probabilities == pytest.approx([1.7 / 3, 1.3 / 3, 0])
    assert len(RHYTHM.evaluator.rows([predicted("a", given, [0, 0, 0], RHYTHM)], RHYTHM)) == 3


def test_intervals_are_over_subjects():
    """Windows repeated tenfold leave them where they are; fewer than three people have none."""
    one = people(RHYTHM, 8)
    ten = [replace(who, clips={10 * k + j: c for k, c in who.clips.items() for j in range(10)}) for who in one]
    for name in ("AUROC", "weighted F1"):
        low, high = RHYTHM.evaluator.evaluate(one, RHYTHM).own.intervals[name]
        assert RHYTHM.evaluator.evaluate(ten, RHYTHM).own.intervals[name] == pytest.approx((low, high))
        assert 0 <= low < RHYTHM.evaluator.evaluate(one, RHYTHM).own.scores[name] < high <= 1
    assert np.isnan(RHYTHM.evaluator.evaluate(one[:2], RHYTHM).own.intervals["AUROC"]).all()


@pytest.mark.parametrize("head", [RHYTHM, DX])
def test_a_report_has_tables_a_file_and_a_picture(tmp_path, capsys, head):
    """All of it through the one door."""
    tested = publish.evaluate(people(head), [head], [], names(tmp_path))
    said, text = capsys.readouterr().out, tested.path.read_text()
    assert "n = 12 clips of 6 subjects" in said and "test frequencies" in said and "AUROC" in text
    content = json.loads((tmp_path / "metrics.json").read_text())["heads"][head.name]
    assert len(content["per_class"]) == 3 and content["tables"][1]["baseline"]
    with (tmp_path / f"{head.name}_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 12 and lines[0]["recording"] == "p0"
    assert (tmp_path / f"{head.name}_classes.png").stat().st_size > 10_000


@pytest.mark.parametrize("head", [RHYTHM, DX])
def test_without_a_label_there_are_predictions_and_no_scores(tmp_path, capsys, head):
    """Nothing is judged, the CSV file is there."""
    one = people(head, 1)[0]
    bare = replace(one, clips={k: {head.name: parts[head.name]} for k, parts in one.clips.items()})
    tested = publish.evaluate([bare], [head], [], names(tmp_path))
    assert not tested.judged and "no label is known" in capsys.readouterr().out
    assert (tmp_path / f"{head.name}_predictions.csv").is_file()


def test_a_prediction_that_is_no_number_is_named():
    """It enters no score."""
    made = [*people(RHYTHM), predicted("sick", [[np.nan, 0, 0]], [1], RHYTHM)]
    found = RHYTHM.evaluator.evaluate(made, RHYTHM)
    assert len(found.own.valid) == 12 and "- sick, clip 0: prediction is NaN" in "\n".join(
        RHYTHM.evaluator.section(found, RHYTHM).markdown
    )


def test_folds_are_joined_each_with_its_own_frequencies():
    """The frequencies of a fold's training go with its rows."""
    evaluator, parts = RHYTHM.evaluator, []
    for prior in ([1, 0, 0], [0, 1, 0]):
        head = replace(RHYTHM, constant={"prior": prior})
        parts.append(evaluator.evaluate(people(RHYTHM, 3), head))
    most = evaluator.merge(parts, RHYTHM).tables[1]
    assert [row.probabilities.argmax() for row in most.rows] == [0] * 6 + [1] * 6


def test_what_does_not_fit_is_refused():
    """No names of classes, another number of columns, a label beyond the classes."""
    with pytest.raises(ValueError, match="must name the `classes`"):
        RHYTHM.evaluator.evaluate(people(RHYTHM), replace(RHYTHM, options={}))
    with pytest.raises(ValueError, match="2 probabilities of 'rhythm', but 3 columns"):
        RHYTHM.evaluator.evaluate([predicted("a", [[0.5, 0.5]], [0], RHYTHM)], RHYTHM)
    with pytest.raises(ValueError, match="A label is 7, but the classes are 0 to 2"):
        RHYTHM.evaluator.evaluate([predicted("a", [[0.5, 0.5, 0]], [7], RHYTHM)], RHYTHM)
