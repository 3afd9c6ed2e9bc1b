"""Action units: pooled counts, undefined scores, what is not coded, the words printed."""

import math

import numpy as np
import pytest

from evaluation import action_units
from evaluation.action_units import ClassResult, class_rows, class_table, measures

NAMES = ("AU01", "AU02", "AU04")


def result(name, probabilities, present):
    """One recording from lists of rows."""
    present = None if present is None else np.array(present, dtype=float)
    return ClassResult(name, name, np.array(probabilities, dtype=float), present)


@pytest.fixture
def table():
    """Two subjects: AU01 mixed, AU02 there but never found, AU04 nowhere and never found."""
    one = result("s1", [[0.9, 0.1, 0.2], [0.8, 0.2, 0.3], [0.1, 0.1, 0.1]], [[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    two = result("s2", [[0.5, 0.0, 0.0], [0.4, 0.0, 0.0]], [[1, 0, 0], [0, -1, np.nan]])
    return class_table(class_rows([one, two], NAMES))


def test_frames_of_all_recordings_are_pooled(table):
    """AU01: two found rightly, one wrongly, one missed, one rightly not; a probability of 0.5 counts as found."""
    rates = table.units["AU01"]
    assert (rates.f1, rates.precision, rates.recall) == pytest.approx((200 / 3, 200 / 3, 200 / 3))
    assert rates.accuracy == 60.0 and (rates.frames, rates.positives) == (5, 3)


def test_a_unit_never_found_has_precision_0_and_one_that_is_nowhere_has_none(table):
    """rPPG-Toolbox fails on the second; here it is named and left out of the means."""
    assert table.units["AU02"].f1 == table.units["AU02"].precision == 0.0
    assert math.isnan(table.units["AU04"].f1) and math.isnan(table.units["AU04"].precision)
    assert table.units["AU04"].accuracy == 100.0
    assert table.absent == ["AU04"] and table.defined == {"f1": 2, "precision": 2, "recall": 2, "accuracy": 3}
    assert table.means["f1"] == pytest.approx(100 / 3)


def test_a_unit_that_is_nowhere_but_found_has_f1_0():
    """As in rPPG-Toolbox, which fails only where it was not found either."""
    rates = class_table(class_rows([result("a", [[0.9], [0.1]], [[0], [0]])], ["X"])).units["X"]
    assert rates.f1 == rates.precision == 0.0 and math.isnan(rates.recall) and rates.accuracy == 50.0


def test_frames_without_coding_do_not_count(table):
    """-1 and NaN leave the frame out of that unit alone."""
    second = {row.name: row for row in table.rows if row.id == "s2"}
    assert [second[name].unknown for name in NAMES] == [0, 1, 1] and second["AU02"].tn == 1


def test_intervals_come_from_resampling_subjects(table):
    """They hold the mean, are the same each time, and need two subjects."""
    low, high = table.intervals["accuracy"]
    assert low <= table.means["accuracy"] <= high
    assert class_table(table.rows).intervals == table.intervals
    assert class_table([row for row in table.rows if row.id == "s1"]).intervals == {}
    assert class_table(table.rows, resamples=0).intervals == {}


def test_scores_equal_the_definition_on_random_data():
    """Against plain counting."""
    rng = np.random.default_rng(0)
    present, probable = rng.integers(0, 2, 300), rng.random(300)
    found = probable >= 0.5
    rates = class_table(class_rows([result("a", probable[:, None], present[:, None])], ["X"])).units["X"]
    precision, recall = present[found].mean(), found[present == 1].mean()
    assert rates.precision == pytest.approx(100 * precision) and rates.recall == pytest.approx(100 * recall)
    assert rates.f1 == pytest.approx(200 * precision * recall / (precision + recall))
    assert rates.accuracy == pytest.approx(100 * (found == present).mean())


@pytest.mark.parametrize("found", [0.9, 0.1])
def test_a_class_that_is_always_there_works(found):
    """Only the other class is absent, which is no problem."""
    rates = class_table(class_rows([result("a", [[found]] * 4, [[1]] * 4)], ["X"])).units["X"]
    assert rates.f1 == rates.accuracy == (100.0 if found > 0.5 else 0.0)


def test_nothing_known_gives_no_number():
    """A recording without a reference, one without coding, one with NaN for probabilities."""
    parts = [result("a", [[0.9]], None), result("b", [[0.9]], [[-1]]), result("c", [[np.nan]], [[1]])]
    table = class_table(class_rows(parts, ["X"]))
    assert [row.note for row in table.rows] == ["no reference", "not coded", "not coded"]
    assert all(math.isnan(value) for value in table.means.values()) and table.intervals == {}
    assert action_units.as_dict(table)["without_reference"] == ["a"]


def test_columns_that_do_not_fit_are_refused():
    """The recording and both shapes are in the message."""
    with pytest.raises(ValueError, match=r"a: probabilities \(1, 2\)"):
        class_rows([result("a", [[0.9, 0.1]], [[1]])], ["X", "Y"])


def test_measures_of_many_counts_at_once():
    """Leading axes stay; an empty count gives NaN."""
    counts = np.array([[[1, 0, 0, 1], [0, 0, 0, 0]]])
    values = measures(counts)
    assert values.shape == (4, 1, 2) and (values[:, 0, 0] == 100).all() and np.isnan(values[:, 0, 1]).all()


def test_lines_are_rppg_toolboxs(table):
    """Box, head, one line per unit, means; then what never occurs."""
    lines = action_units.lines(table)
    assert lines[1:5] == ["=" * 21, "===== AU METRICS ====", "=" * 21, "AU / F1 / Precision"]
    assert lines[5].startswith("AU01 66.6") and lines[6] == "AU02 0.0 0.0" and lines[7] == "AU04 undefined undefined"
    assert [line.split(":")[0] for line in lines[9:12]] == ["Mean 3 AU F1", "Mean 3 AU Prec.", "Mean 3 AU Acc."]
    assert "AU04" in lines[-1] and "over the 2 of 3 units" in lines[-1]
    full = class_table([row for row in table.rows if row.name == "AU01"])
    assert action_units.absent_lines(full) == []


def test_numbers_are_rppg_toolboxs():
    """Made-up codes of two recordings, one unit nowhere; the values were taken from its own function."""
    random = np.random.default_rng(7)
    parts = [(random.random((200, 12)).astype(np.float32), random.random((200, 12)) < 0.3) for _ in range(2)]
    for _, present in parts:
        present[:, 3] = False
    names = [f"U{number}" for number in range(12)]
    table = class_table(class_rows([result(f"r{k}", *part) for k, part in enumerate(parts)], names))
    golden = {"f1": 34.52592005954408, "precision": 27.540243017185322, "accuracy": 49.229166666666664}
    assert {name: table.means[name] for name in golden} == pytest.approx(golden, abs=1e-9)
