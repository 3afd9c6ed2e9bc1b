"""Predictions and truths of any size, and none: what is printed and reported holds numbers and words, never nan."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st

from evaluation import action_units
from evaluation.action_units import ClassResult, class_rows, class_table
from evaluation.kinds.classes import _markdown
from tests.searching import EFFORTS, search
from tests.test_regression_kind import SBP, predicted

NOT_NUMBERS = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)
CODES = st.sampled_from([0.0, 1.0, -1.0, 9.0, float("nan")])
SHARES = st.one_of(st.floats(0, 1), st.just(float("nan")))
UNITS = ("AU01", "AU02")
VALUES = st.one_of(st.sampled_from([120.0, float("nan"), float("inf"), 1e300, -1e300, 0.0]), st.floats())


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("effort", EFFORTS)
def test_lines_of_action_units_hold_no_nan(effort):
    """Units that never occur, are never found, or are coded nowhere; with one subject and with several."""
    row = st.tuples(st.tuples(SHARES, SHARES), st.tuples(CODES, CODES))

    def holds(recordings):
        made = []
        for number, rows in enumerate(recordings):
            found, present = (np.array([one[k] for one in rows], dtype=float).reshape(-1, 2) for k in (0, 1))
            made.append(ClassResult(f"s{number}", f"s{number}", found, present))
        table = class_table(class_rows(made, UNITS))
        said = "\n".join([*action_units.lines(table), *_markdown(table, "Action units")])
        assert not NOT_NUMBERS.search(said), said

    search(holds, effort, 60, recordings=st.lists(st.lists(row, max_size=6), min_size=1, max_size=3))


@pytest.mark.parametrize("effort", EFFORTS)
def test_lines_of_regression_hold_no_nan(effort):
    """Targets that are missing, the same for all, or of any size; predictions that are no numbers."""

    def holds(recordings):
        made = [
            predicted(f"s{number}", values, targets={"sbp": true} if true is not None else {})
            for number, (true, values) in enumerate(recordings)
        ]
        found = SBP.evaluator.evaluate(made, SBP)
        said = "\n".join([*SBP.evaluator.lines(found, SBP), *SBP.evaluator.section(found, SBP).markdown])
        assert not NOT_NUMBERS.search(said.replace("prediction is NaN", "")), said

    one = st.tuples(st.none() | VALUES, st.lists(VALUES, min_size=1, max_size=3))
    search(holds, effort, 60, recordings=st.lists(one, min_size=1, max_size=4))
