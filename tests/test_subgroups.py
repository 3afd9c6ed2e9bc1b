"""Errors by attributes of the recordings, and what an evaluation says of itself."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from evaluation import tables
from evaluation.presets import PRESETS
from evaluation.report import preset_section
from evaluation.specification import Specification
from evaluation.subgroups import RATE, subgroups
from evaluation.summary import table
from tests.evaluation_data import row

EXACT = PRESETS["exact"]


def rows():
    """Twelve people, dark skin 6 bpm off, light skin 1; a number each, an age, a light that is unknown once."""
    found = []
    for k in range(12):
        info = {"skin": "dark" if k % 2 else "light", "number": k, "age": 20.5 + 3 * (k % 7), "room": {"a": 1}}
        info |= {"light": ("LED", "sun")[k % 2]} if k else {}
        found.append(replace(row(f"s{k}", 55.0 + 5 * k, 55.0 + 5 * k + (6 if k % 2 else 1)), info=info))
    return found


def test_groups_of_every_attribute_with_n_and_interval():
    """What divides the recordings divides the table; numbers of recordings and nested things do not."""
    groups = subgroups(table("POS", rows(), EXACT, "FFT", None, ["MAE"]))
    by_name = {(one.attribute, one.value): one for one in groups}
    assert {one.attribute for one in groups} == {"skin", "age", "light", RATE}
    dark = by_name["skin", "dark"]
    assert (dark.n, dark.people, dark.few) == (6, 6, True) and dark.scores["MAE"].value == pytest.approx(6)
    assert dark.bias == pytest.approx(6) and by_name["light", "LED"].n == 5
    assert [one.value for one in groups if one.attribute == RATE] == [
        "below 60 bpm", "60 to 80 bpm", "80 to 100 bpm", "100 bpm and above",
    ]  # fmt: skip


def test_many_numbers_are_thirds():
    """Twenty ages, three groups."""
    found = [replace(row(f"s{k}", 70.0, 71.0), info={"age": 20.0 + k * 1.5}) for k in range(20)]
    groups = [one for one in subgroups(table("POS", found, EXACT, "FFT", None, ["MAE"])) if one.attribute == "age"]
    assert [one.value.split()[0] for one in groups][0] == "below" and [one.n for one in groups] == [7, 6, 7]


def test_the_report_and_its_json_hold_them():
    """With a mark for fewer than ten people, coverage, reasons, limits and the specification in one line."""
    lost = replace(row("s99", 70.0, float("nan")), note="the prediction is constant")
    one = table("POS", [*rows(), lost], EXACT, "FFT", None, ["MAE"])
    content, text = tables.as_dict(one), "\n".join(preset_section(EXACT, [one]))
    assert content["coverage"] == pytest.approx(12 / 13) and content["failures"] == {"the prediction is constant": 1}
    assert content["agreement"]["bias"] == pytest.approx(3.5) and not content["few_people"]
    assert content["specification"]["line"] in text and "| skin | dark * |" in text and "92 %" in text
    few = table("POS", rows()[:5], EXACT, "FFT", None, ["MAE"])
    assert "Only 5 subjects" in "\n".join(preset_section(EXACT, [few])) and tables.as_dict(few)["few_people"]


def test_a_specification_is_frozen_and_says_all_in_one_line():
    """Two that differ say in what."""
    one, other = (Specification.of(PRESETS[name], "FFT", 10.0) for name in ("toolbox", "neurips2023"))
    assert one == Specification.of(PRESETS["toolbox"], "FFT", 10.0) and "\n" not in one.line
    for word in (
        "toolbox",
        "10 s windows every 10 s",
        "0.6-3.3 Hz",
        "FFT",
        "order 1",
        "lambda 100",
        "label at the frames",
    ):
        assert word in one.line
    assert one.difference(other) == ["preset", "band_hz"]
    with pytest.raises(FrozenInstanceError):
        one.window_s = 5.0
    assert np.allclose(one.as_dict()["band_hz"], [0.6, 3.3])
