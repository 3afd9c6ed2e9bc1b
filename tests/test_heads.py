"""Outputs beside the pulse: kinds, reports, files, plots, folds, and how clips become recordings."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.data_loader.base import Signal
from evaluation import heads as evaluation
from evaluation.action_units import ClassResult
from evaluation.heads import EVALUATORS, HeadSpec
from evaluation.outputs import read_outputs
from evaluation.presets import PRESETS
from evaluation.report import write_report
from evaluation.summary import evaluate
from neural_methods import heads
from neural_methods.heads import Head, Reading, frames_of
from tests.evaluation_data import METRICS, recording
from tests.test_respiration import breathing

BOTH = (PRESETS["exact"], PRESETS["toolbox"])
RESP = HeadSpec("resp", "wave", "Net", BOTH, (*METRICS, "BA", "AU_METRICS"))
UNITS = replace(RESP, name="au", kind="classes", classes=("AU01", "AU02"))


def units(name="s1", count=50):
    """Units found where they are, the second one never there."""
    present = np.stack([np.arange(count) % 2, np.zeros(count)], axis=1)
    return ClassResult(name, name, 0.8 * present + 0.1, present)


def breaths():
    """Two recordings."""
    return [breathing(15, 16, id="r1", subject="s1"), breathing(20, 20, id="r2", subject="s2")]


def test_a_report_has_a_section_for_each_head(tmp_path):
    """Markdown, metrics.json and a CSV file per head; the pulse's tables stay as they are."""
    found = {"Net": evaluate("Net", [recording()], BOTH)}
    sections = [
        evaluation.section(EVALUATORS["wave"](breaths(), RESP), RESP),
        evaluation.section(EVALUATORS["classes"]([units("s1"), units("s2")], UNITS), UNITS),
    ]
    text = write_report(tmp_path, "X", found, sections=sections).read_text()
    assert "## Respiration, preset `exact`" in text and "MAE [breaths/min]" in text and "## Action units" in text
    assert "| AU01 | 100.0 | 100.0 |" in text and "Never present in the reference: AU02" in text
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert len(content["tables"]) == 2 and set(content["heads"]) == {"resp", "au"}
    first = content["heads"]["resp"]["tables"][0]
    assert first["preset"] == "exact" and first["metrics"]["MAE"]["unit"] == "breaths/min" and first["n"] == 2
    assert "constant mean (test rates, 17.5 breaths/min)" in [
        one["method"] for one in content["heads"]["resp"]["tables"]
    ]
    assert content["heads"]["au"]["units"]["AU02"]["f1"] is None and content["heads"]["au"]["absent"] == ["AU02"]
    assert (tmp_path / "resp_per_recording.csv").read_text().startswith("recording,subject,method,preset")
    assert "rate_true" in (tmp_path / "resp_per_window.csv").read_text()
    assert len((tmp_path / "au_per_recording.csv").read_text().splitlines()) == 5


def test_units_without_any_coding_have_no_scores():
    """The section says so."""
    nothing = ClassResult("a", "a", np.full((3, 2), 0.9), np.full((3, 2), -1.0))
    section = evaluation.section(EVALUATORS["classes"]([nothing], UNITS), UNITS)
    assert section.markdown[1].startswith("Not one frame")


def test_printed_lines_by_head():
    """Respiration and units as rPPG-Toolbox prints them, any other wave as the pulse; units only where asked for."""
    found = EVALUATORS["wave"](breaths(), RESP)
    lines = evaluation.lines(found, RESP)
    assert lines[1] == "==== Resp Metrics ===" and any(line.startswith("FFT MAE (FFT Label): ") for line in lines)
    coded = EVALUATORS["classes"]([units()], UNITS)
    assert "AU / F1 / Precision" in evaluation.lines(coded, UNITS)
    assert evaluation.lines(coded, replace(UNITS, metrics=("MAE",))) == []
    other = replace(RESP, name="ear")
    pulse = evaluation.lines(EVALUATORS["wave"]([recording()], other), other)
    assert pulse[0] == "ear:" and pulse[-1].startswith("FFT MACC")


def test_plots_carry_the_id_and_the_head(tmp_path):
    """Two runs, and two heads of one run, never share a file; classes have none."""
    head = Head(RESP, EVALUATORS["wave"](breaths(), RESP))
    heads.plots(head, tmp_path, "run1", True)
    names = {file.name for file in tmp_path.glob("*.pdf")}
    assert names == {f"run1_resp_FFT_BlandAltman_{kind}Plot.pdf" for kind in ("Scatter", "Difference")}
    assert evaluation.plots(EVALUATORS["classes"]([units()], UNITS), UNITS, tmp_path, "run1") == []
    heads.plots(Head(replace(RESP, metrics=("MAE",)), head.tables), tmp_path / "none", "run1", True)
    assert not (tmp_path / "none").exists()
    other = replace(RESP, name="ear")
    assert evaluation.plots(EVALUATORS["wave"]([recording()], other), other, tmp_path, "run1")


def test_folds_are_joined_row_by_row():
    """The joined tables are those of all recordings at once."""
    one, two = breaths()
    parts = [[Head(RESP, EVALUATORS["wave"]([part], RESP))] for part in (one, two)]
    whole = EVALUATORS["wave"]([one, two], RESP)
    joined = heads.merged(parts)[0]
    assert [table.scores["MAE"].value for table in joined.tables] == [table.scores["MAE"].value for table in whole]
    assert [table.preset for table in joined.tables] == [table.preset for table in whole]
    coded = [[Head(UNITS, EVALUATORS["classes"]([units(name)], UNITS))] for name in ("s1", "s2")]
    assert heads.merged([[], *coded])[0].tables[0].units["AU01"].frames == 100


# ---------------------------------------------------------------------- from clips to recordings


def entry(count=40, times=None, **signals):
    """A cache entry with `signals`."""
    return SimpleNamespace(id="r1", faces=np.zeros((count, 1)), times=times, fs=10.0, signals=signals)


def clips(numbers, length=10, head="resp", value=None, **labels):
    """Predicted clips whose values are their frame numbers."""
    made = {}
    for number in numbers:
        frames = number * length + np.arange(length, dtype=float)
        made[number] = {"ppg": frames, head: frames if value is None else value[frames.astype(int)]}
        made[number] |= {name: np.asarray(values, dtype=float)[frames.astype(int)] for name, values in labels.items()}
    return made


def pulse(**more):
    """The recording's pulse, as the run makes it."""
    return replace(recording(name="r1", reference=None, label=None), **more)


def test_a_wave_keeps_the_order_of_its_clips_and_its_native_reference():
    """Clip ten after clip two; a reference on a clock of its own starts with the video."""
    belt = Signal(np.arange(4.0), times=7.0 + np.arange(4))
    made = heads.result(pulse(), entry(110, resp=belt), clips([10, 2]), RESP, Reading(10))
    assert made.prediction[[0, 10]].tolist() == [20, 100] and made.label is None
    assert made.reference.times.tolist() == [0, 1, 2, 3]
    timed = heads.result(pulse(), entry(40, np.arange(40) / 10, resp=belt), clips([0]), RESP, Reading(10))
    assert timed.reference is belt


def test_a_wave_without_any_reference_is_left_out():
    """Neither signal nor label, or a label with gaps; a whole label alone is enough."""
    label = np.ones(10)
    assert heads.result(pulse(), entry(), clips([0]), RESP, Reading(10)) is None
    assert heads.result(pulse(), None, clips([0], label_resp=np.full(10, np.nan)), RESP, Reading(10)) is None
    made = heads.result(pulse(), None, clips([0], label_resp=label), RESP, Reading(10))
    assert made.label.tolist() == label.tolist() and made.reference is None


@pytest.mark.parametrize(("resample", "count"), [(0.0, 40), (30.0, 118)])
def test_units_are_read_off_the_native_signals_at_the_predicted_frames(resample, count):
    """Frames of clip 1 and 3, nearest codes, a unit without a signal is not coded; other rates as read."""
    codes = np.arange(40) % 3 == 0
    probable = np.zeros((80, 2))
    given = entry(40, np.arange(40) / 10, AU01=Signal(codes.astype(float), times=np.arange(40) / 10))
    made = heads.result(
        pulse(), given, clips([1, 3], head="au", value=probable), UNITS, Reading(10, resample)
    )  # fmt: skip
    places = np.r_[10:20, 30:40]
    expected = codes[np.rint(np.arange(count) * 39 / (count - 1)).astype(int)][places]
    assert made.present[:, 0].tolist() == expected.astype(float).tolist() and (made.present[:, 1] == -1).all()
    assert made.probabilities.shape == made.present.shape == (20, 2)


def test_units_without_signals_fall_back_on_the_labels_of_the_clips():
    """Chunks know nothing else; not one coded frame means no reference."""
    probable, present = np.zeros((10, 2)), np.ones((10, 2))
    made = heads.result(pulse(), None, clips([0], head="au", value=probable, label_au=present), UNITS, Reading(10))
    assert (made.present == 1).all()
    assert heads.result(pulse(), entry(), clips([0], head="au", value=probable), UNITS, Reading(10)) is None


def test_heads_without_reference_are_not_evaluated():
    """Only the respiration is left."""
    trainer = SimpleNamespace(
        name="Net", heads={"ppg": "wave", "resp": "wave", "au": "classes", "odd": "regression"},
        needs=SimpleNamespace(parts={"au": ("AU01",)}),
    )  # fmt: skip
    settings = SimpleNamespace(
        exact=BOTH[0], preset=BOTH[0], metrics=["MAE"], estimator="FFT", window_seconds=None
    )  # fmt: skip
    specs = heads.specs(trainer, settings)
    assert [(spec.name, spec.classes, spec.presets) for spec in specs] == [
        ("resp", (), BOTH[:1]),
        ("au", ("AU01",), BOTH[:1]),
    ]
    belt = Signal(np.sin(np.arange(40)), fs=10.0)
    prepared = SimpleNamespace(legacy=False, entry=lambda name: entry(40, resp=belt))
    made = {"r1": {0: {name: np.zeros((10, 1))[:, 0] for name in ("ppg", "resp")} | {"au": np.zeros((10, 1))}}}
    found = heads.evaluate(specs, [pulse()], made, prepared, Reading(10))
    assert [head.spec.name for head in found] == ["resp"]


def test_outputs_of_a_head_are_saved_like_the_pulse(tmp_path):
    """A file of its own name; a label that is not there is NaN."""
    path = heads.save({"r1": clips([0])}, RESP, "DiffNormalized", 10.0, tmp_path, "run1")
    assert path.name == "run1_resp_outputs.pickle"
    outputs = read_outputs(path)
    assert outputs["predictions"]["r1"][0].tolist() == list(range(10)) and outputs["label_type"] == "DiffNormalized"
    assert np.isnan(outputs["labels"]["r1"][0]).all()


def test_frames_of_clips():
    """One clip is the whole recording without a clip length."""
    assert frames_of(clips([1, 0]), 10).tolist() == list(range(20))
    assert frames_of(clips([0]), None).tolist() == list(range(10))
