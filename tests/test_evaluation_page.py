"""docs/evaluation.md tells what is computed: real outputs of a network under every preset, and why two differ."""

import re

import numpy as np
import pytest

from evaluation.external import read_given
from evaluation.presets import PRESETS
from evaluation.summary import evaluate
from tests.conftest import ROOT, reference

PAGE = (ROOT / "docs" / "evaluation.md").read_text()
METRICS = ["MAE", "RMSE", "MAPE", "Pearson", "CCC", "SNR", "MACC"]


@pytest.fixture(scope="module")
def found():
    """A table per preset."""
    given = read_given(reference("parity/PURE_PURE_UBFC_deepphys_outputs.pickle"), None, None)
    return {one.preset.name: one for one in evaluate("DeepPhys", given.recordings, PRESETS.values(), metrics=METRICS)}


@pytest.mark.parametrize("name", PRESETS)
def test_the_table_of_the_page_is_what_is_computed(found, name):
    """All 42 recordings under every preset, to the printed digits."""
    cells = [
        cell.strip()
        for cell in re.search(rf"(?m)^\| `{name}` \| (.*) \|$", PAGE[PAGE.index("| estimator |") :])[1].split("|")
    ]
    one = found[name]
    score = {key: value.value for key, value in one.scores.items()}
    own = [
        f"{score['MAE']:.2f} ± {one.scores['MAE'].standard_error:.2f}", f"{score['RMSE']:.2f}", f"{score['MAPE']:.2f}",
        f"{score['Pearson']:.3f}", f"{score['CCC']:.3f}", f"{one.median_error:.2f}", f"{100 * one.within(3):.0f} %",
        f"{one.limits.bias:+.2f}", f"{one.limits.low:.1f} to {one.limits.high:.1f}", f"{score['SNR']:.2f}",
        f"{score['MACC']:.2f}",
    ]  # fmt: skip
    assert len(one.valid) == 42 and cells == [one.estimator, "42", *own]


def test_two_presets_are_one_recording_apart(found):
    """2.66 and 0.98: subject27 by 70.3 bpm, of 42; no other recording's error differs."""
    errors = [{row.id: abs(row.error) for row in found[name].rows} for name in ("toolbox", "neurips2023")]
    apart = {id: errors[0][id] - errors[1][id] for id in errors[0]}
    assert {id for id, value in apart.items() if abs(value) > 1e-9} == {"subject27"}
    assert apart["subject27"] / 42 == pytest.approx(2.657645 - 0.983538, abs=1e-5)
    assert apart["subject27"] == pytest.approx(70.3, abs=0.05) and "70.3 / 42 = 1.67" in PAGE


def test_the_single_errors_of_the_page(found):
    """Each line of the second table."""
    lines = re.findall(
        r"(?m)^\| (subject\d+) \| ([\d.]+) \| ([-+.\d]+) \| ([-+.\d]+) \| ([-+.\d]+) \| ([-+.\d]+) \|", PAGE
    )
    names = ("toolbox", "neurips2023", "rhythmformer", "exact")
    rows = {name: {row.id: row for row in found[name].rows} for name in names}
    worst = {id for id in rows["exact"] if max(abs(rows[name][id].error) for name in names) > 2.5}
    assert {id for id, *_ in lines} == worst and len(lines) == 11
    for id, true, *errors in lines:
        own = [rows["exact"][id].hr_true, *(rows[name][id].error for name in names)]
        assert [float(true), *map(float, errors)] == pytest.approx(np.round(own, 1), abs=0.051)
