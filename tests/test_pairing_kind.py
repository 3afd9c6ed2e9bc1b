"""The kind of output `pair`: what a test of pairs says, marks and writes."""

import csv
import io
import json

import numpy as np
import pytest

from evaluation import tables
from evaluation.kinds.base import Head, Predicted
from evaluation.kinds.pair import ORACLE
from registry import KINDS


def head(**options):
    """An output `pair` whose vectors are rates."""
    known = {"rule": "absolute", "baseline": "POS", "compared": "absolute", "perturbed": [], "pairs": "", "most": 500}
    return Head("pair", "pair", "Mine", None, options={**known, "min_delta": 0.0, "seed": 0, "draws": 199, **options})


def people(own_noise, baseline_noise, static=None, count=16):
    """Recordings of two clips each, whose videos tell the rate with so much noise (bpm)."""
    random = np.random.default_rng(1)
    found = []
    for number in range(count):
        rate, clips = random.uniform(50, 120), {}
        for clip in range(2):
            true = rate + random.normal(0, 1)
            told, beside = true + random.normal(0, own_noise), true + random.normal(0, baseline_noise)
            parts = {"pair": [told], "pair_heart": [true], "pair_rate": [beside], "heart": [60_000 / true, 0.05]}
            if static is not None:
                parts |= {"pair.static": [static], "pair_rate.static": [np.nan]}
            clips[clip] = {key: np.array(value) for key, value in parts.items()}
        found.append(Predicted(f"r{number}", f"p{number}", clips))
    return found


def test_a_model_that_beats_a_comparison_of_rates_has_no_mark():
    """All numbers stand in the content, in plain types; the oracle is right everywhere."""
    how = head()
    found = how.evaluator.evaluate(people(1.0, 30.0), how)
    section = how.evaluator.section(found, how)
    content = json.loads(tables.json_text(section.content))
    assert content["accuracy"]["accuracy"] > 0.9 and content["permutation"]["p"] == pytest.approx(1 / 200)
    assert content["methods"][ORACLE]["accuracy"] == 1.0 and content["not_better_than"] == []
    assert how.evaluator.notes(found) == [] and "not better" not in "\n".join(section.markdown)
    assert content["people"] == 16 and content["accuracy"]["n"] == 2 * content["pairs"]


def test_a_model_that_does_not_is_marked():
    """In the table, in the lines and in the notes."""
    how = head()
    found = how.evaluator.evaluate(people(30.0, 1.0), how)
    assert (
        found.not_better_than == ["PairRate (POS, peaks)"] and "PairRate (POS, peaks)" in how.evaluator.notes(found)[0]
    )
    text = "\n".join([*how.evaluator.section(found, how).markdown, *how.evaluator.lines(found, how)])
    assert "Mine (not better)" in text and "Mine is not better than PairRate (POS, peaks) beyond chance." in text


def test_a_baseline_is_not_marked_for_being_itself():
    """PairRate beside PairRate with the same method."""
    how, same = head(), people(5.0, 1.0)
    for one in same:
        for parts in one.clips.values():
            parts["pair_rate"] = parts["pair"]
    found = how.evaluator.evaluate(same, how)
    assert found.not_better_than == [] and found.gains["PairRate (POS, peaks)"].value == 0.0


def test_clips_without_motion_lose_what_the_model_goes_by():
    """The accuracy of changed clips, and how much is lost, over people."""
    how = head(perturbed=["static"])
    found = how.evaluator.evaluate(people(1.0, 1.0, static=80.0), how)
    one = found.perturbed["static"]
    assert 0.35 < one.score.accuracy < 0.65 and one.loss.high < -0.2 and one.baseline.accuracy == 0.5
    assert "| static |" in "\n".join(how.evaluator.section(found, how).markdown)


def test_the_list_and_every_trial_are_written(tmp_path):
    """A line per trial, probabilities that add up, and the list as the file that is named has it."""
    how = head(pairs=str(tmp_path / "test_pairs.csv"), most=40)
    found = how.evaluator.evaluate(people(1.0, 3.0), how)
    files = how.evaluator.section(found, how).files
    rows = list(csv.DictReader(io.StringIO(files["pair_trials.csv"])))
    assert len(rows) == 80 and files["test_pairs.csv"] == (tmp_path / "test_pairs.csv").read_text()
    assert all(float(row["probability1"]) + float(row["probability2"]) == pytest.approx(1.0, abs=1e-5) for row in rows)
    assert sum(float(row["right"]) for row in rows) / 80 == pytest.approx(found.score.accuracy)


def test_pictures_are_drawn(tmp_path):
    """Accuracy over the difference, and the confusion."""
    how = head()
    found = how.evaluator.evaluate(people(5.0, 3.0), how)
    for picture in how.evaluator.plots(found, how):
        assert picture.draw(tmp_path / picture.file).stat().st_size > 5000


def test_folds_are_judged_over_all_their_people():
    """Two tests of other people are one list."""
    how, whole = head(), people(1.0, 1.0)
    parts = [how.evaluator.evaluate(part, how) for part in (whole[:8], whole[8:])]
    merged = how.evaluator.merge(parts, how)
    assert merged.score == how.evaluator.evaluate(whole, how).score and KINDS["pair"].per == "clip"
