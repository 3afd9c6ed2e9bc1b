"""Reports: right numbers in JSON and CSV, honest heads, pictures that never fail a run, rates without labels."""

import csv
import json
import logging
import math
import re

import numpy as np
import pytest

from evaluation import console, pictures, report, tables, vitals
from evaluation.presets import PRESETS
from evaluation.report import Section, markdown_table, print_comparison, write_report
from evaluation.summary import constant_mean, evaluate, table
from evaluation.vitals import write_vitals
from tests.evaluation_data import METRICS, recording, row

BOTH = [PRESETS["toolbox"], PRESETS["exact"]]
RATES = {"s1": 62.0, "s2": 71.0, "s3": 85.0, "s4": 97.0}


@pytest.fixture(scope="module")
def measured():
    """Two methods and the constant mean on four subjects; POS doubles one rate, GREEN has a constant prediction."""
    good = [recording(bpm, 2 * bpm if name == "s2" else bpm + 1, name=name) for name, bpm in RATES.items()]
    poor = [recording(bpm, 55.0, name=name) for name, bpm in RATES.items()]
    poor[3] = recording(97.0, name="s4", prediction=np.ones(900))
    found = {
        "POS": evaluate("POS", good, BOTH, metrics=METRICS),
        "GREEN": evaluate("GREEN", poor, BOTH, metrics=METRICS),
    }
    found["constant mean"] = [constant_mean(one, 80.0) for one in found["POS"]]
    return found, good


def read_csv(path):
    """The lines of a CSV as dictionaries."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_whole_report(tmp_path, measured):
    """All methods stand in one table per preset, exact first; every number can be found again in metrics.json."""
    found, results = measured
    path = write_report(tmp_path / "run", "Demo", found, examples={"POS": results[0]}, notes=["Mind the gap."])
    content, text = json.loads((path.parent / "metrics.json").read_text()), path.read_text()
    assert [one["preset"] for one in content["tables"]] == ["exact"] * 3 + ["toolbox"] * 3
    first = content["tables"][0]
    assert (first["method"], first["estimator"], first["band_hz"], first["n"]) == (
        "POS",
        "spectral peak",
        [0.6, 3.3],
        4,
    )
    score = found["POS"][1].scores["MAE"]
    assert first["metrics"]["MAE"]["value"] == score.value and first["metrics"]["MAE"]["ci95"] == [
        score.low,
        score.high,
    ]
    assert first["doubled"] == 0.25 and first["halved"] == 0 and first["metrics"]["MAE"]["unit"] == "bpm"
    assert content["tables"][1]["excluded"] == [
        {"recording": "s4", "window": 0, "reason": "the prediction is constant"}
    ]
    assert content["complete"] and content["evaluated"] == content["recordings"] == 4
    assert "INCOMPLETE" not in text and "> Mind the gap." in text and f"{score.value:.2f}" in text
    assert text.index("preset `exact`") < text.index("preset `toolbox`")
    assert "| constant mean (training rates, 80.0 bpm) |" in text and "GREEN, exact: s4, window 0" in text
    for name in ("waveform.png", "methods.png", "errors.png", "bland_altman.png"):
        assert (path.parent / name).read_bytes().startswith(b"\x89PNG") and f"]({name})" in text


def test_the_csv_files_hold_every_recording(tmp_path, measured):
    """One line per recording, method and preset; failed recordings with the reason; windows in their own file."""
    found, _ = measured
    write_report(tmp_path, "Demo", found, [("s9", "no face in 5 s")])
    lines = read_csv(tmp_path / "per_recording.csv")
    assert len(lines) == 2 * 3 * 4 + 1
    assert (lines[-1]["recording"], lines[-1]["status"], lines[-1]["note"]) == ("s9", "failed", "no face in 5 s")
    broken = next(line for line in lines if line["method"] == "GREEN" and line["recording"] == "s4")
    assert broken["status"] == "excluded" and broken["hr_pred"] == "" and broken["excluded"] == "1"
    assert float(lines[0]["abs_error"]) == pytest.approx(1.0, abs=0.1) and lines[0]["preset"] == "exact"
    assert len(read_csv(tmp_path / "per_window.csv")) == 24


def test_incomplete_heads_every_table(tmp_path, measured, capsys):
    """With failed recordings `INCOMPLETE n/m` stands above each table, of any output, and above that on the screen."""
    found, _ = measured
    failed = [(type("Recording", (), {"id": "s9"})(), "truncated file")]
    other = Section("sbp", {}, ["## sbp", "Said of it.", markdown_table(["method", "MAE"], [["Net", "4"]])], {})
    text = write_report(tmp_path, "Demo", found, failed, sections=[other]).read_text()
    assert len(re.findall(r"(?:^|\n\n)\| ", text)) == len(re.findall(r"\*\*INCOMPLETE 4/5\*\*\n\n\| ", text)) == 9
    assert "Said of it.\n\n**INCOMPLETE 4/5**" in text and "- s9: truncated file" in text
    assert json.loads((tmp_path / "metrics.json").read_text())["failed"][0]["reason"] == "truncated file"
    print_comparison(found, failed, tmp_path / "report.md")
    said = capsys.readouterr().out
    assert said.index("INCOMPLETE 4/5") < said.index("method") and "FAILED s9: truncated file" in said


def test_a_recording_without_a_usable_window_has_failed():
    """It is not evaluated when no table has a valid window of it; without labels a rate is enough."""
    broken = table(
        "POS", [row("a", 60, 61), row("b", 60, math.nan, note="flat")], PRESETS["exact"], "FFT", None, ["MAE"]
    )
    complete = tables.completeness([broken], [])
    assert complete == {
        "evaluated": 1, "recordings": 2, "complete": False, "failed": [{"recording": "b", "reason": "flat"}],
    }  # fmt: skip
    rated = table("POS", [row("a", math.nan, 61, note="no reference")], PRESETS["exact"], "FFT", None, [])
    assert tables.completeness([rated], [])["complete"] and not tables.completeness([rated], [], total=3)["complete"]


def test_without_references_there_are_no_errors(tmp_path):
    """A preset without any truth says so instead of showing a table of nothing."""
    only = [recording(70, reference=None), recording(80, reference=None, name="r2")]
    text = write_report(tmp_path, "X", {"POS": evaluate("POS", only, BOTH, metrics=METRICS)}).read_text()
    assert "No window has both a predicted and a true rate under preset `exact`" in text
    assert "preset `toolbox`" in text and "| POS |" in text and text.count("| POS |") == 3  # scores, subjects, limits


def test_an_empty_report_is_written_all_the_same(tmp_path):
    """All recordings failed: the report says so and has no pictures."""
    text = write_report(tmp_path, "X", {}, [("a", "broken")], examples={"POS": recording(70)}).read_text()
    assert "0 of 1 recording." in text and (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("metrics", [[], ["RMSE", "Pearson"]])
def test_without_the_mean_absolute_error_no_picture_of_it_is_tried(tmp_path, metrics, caplog):
    """METRICS may name others alone, or none."""
    every = [recording(bpm, bpm + 1, name=name) for name, bpm in RATES.items()]
    with caplog.at_level(logging.WARNING):
        text = write_report(tmp_path, "X", {"POS": evaluate("POS", every, BOTH, metrics=metrics)}).read_text()
    assert not caplog.text and "methods.png" not in text and "](errors.png)" in text


def test_a_picture_that_fails_never_fails_the_report(tmp_path, measured, monkeypatch, caplog):
    """The numbers are there, the picture is missing, the warning names it."""
    monkeypatch.setattr(pictures, "errors", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING):
        text = write_report(tmp_path, "X", measured[0], examples={"POS": object()}).read_text()
    assert "errors.png could not be drawn" in caplog.text and "waveform.png could not be drawn" in caplog.text
    assert "errors.png" not in text and "methods.png" in text


def test_equal_results_give_equal_reports(tmp_path, measured):
    """No time, path or random number in any file."""
    for name in ("one", "two"):
        write_report(tmp_path / name, "X", measured[0], examples={"POS": measured[1][0]})
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_undefined_numbers_are_null_in_json_and_a_dash_in_text():
    """NaN is never written as a number."""
    assert json.loads(tables.json_text({"a": math.nan, "b": [math.inf, 1.5], 3: (np.float64(2.0),)})) == {
        "a": None, "b": [None, 1.5], "3": [2.0],
    }  # fmt: skip
    one = table("a|b", [row("a", 60, 70)], PRESETS["exact"], "FFT", 10.0, ["MAE", "Pearson"])
    assert "| a\\|b | 10.00 ± 0.00 | – | 1 |" in report.comparison([one], ["MAE", "Pearson", "SNR"]).replace(
        "– | –", "–"
    )
    assert report.by_subject([one], ["SNR"]).splitlines()[-1] == "| a\\|b | – | 1 |"
    assert report._percent(math.nan) == "–" and report._plus_minus(1.0, math.nan) == "1.00"
    assert report._plus_minus(math.nan, math.nan) == "–"
    assert "10 s windows" in report.described(one.preset, one)
    assert console.comparison([one]).splitlines()[1].split() == ["a|b", "10.00", "+/-", "0.00", "-", "1", "0"]
    two = table("b", [row("a", 60, 70), row("b", 66, 70)], PRESETS["exact"], "FFT", None, ["Pearson"])
    assert console.comparison([two]).splitlines()[1].split() == ["b", "-", "2", "0"]


def test_an_unknown_preset_needs_no_explanation():
    """A preset of one's own is described by its settings."""
    mine = PRESETS["exact"].__class__("mine", (0.5, 4.0), "label")
    one = table("a", [], mine, "FFT", None, [])
    said = report.described(mine, one)
    assert said.startswith("Band 0.5-4 Hz (30-240 bpm), whole recordings, estimator: FFT.\n") and "preset mine" in said


def test_long_lists_are_shortened():
    """Twenty lines, then where the rest is."""
    assert report.some([f"- {k}" for k in range(23)], "x.csv").endswith("- 19\n- and 3 more: see x.csv")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """A full disk (here: text that cannot be encoded) leaves the old file and no temporary one."""
    path = tables.write_text(tmp_path / "x.md", "old")
    with pytest.raises(UnicodeEncodeError):
        tables.write_text(path, "\ud800")
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["x.md"]


def test_the_example_is_a_typical_recording(measured):
    """Neither the best nor the worst; the first when nothing was evaluated; none without results."""
    found, results = measured
    picked = pictures.pick_example(found["POS"][1], results)
    assert picked.id != "s2"
    nothing = table("POS", [], PRESETS["exact"], "FFT", None, [])
    assert pictures.pick_example(nothing, results) is results[0] and pictures.pick_example(nothing, []) is None


def test_pictures_cope_with_many_and_with_odd_waves(tmp_path):
    """Fifty recordings go unnamed; inverted, constant and unlabelled waves are drawn; one subject has no bar."""
    many = table("POS", [row(f"r{k}", 60 + k, 61 + k) for k in range(50)], PRESETS["exact"], "FFT", None, ["MAE"])
    one = table("X", [row("a", 60, 70)], PRESETS["exact"], "FFT", None, ["MAE"])
    inverted = recording(70, prediction=-recording(70).label)
    examples = {"inverted": inverted, "constant": recording(70, prediction=np.ones(900)),
                "unlabelled": recording(70, label=None, reference=None)}  # fmt: skip
    assert pictures.errors(tmp_path / "e.png", [many]).exists()
    assert pictures.methods(tmp_path / "m.png", [many, one, constant_mean(one)]).exists()
    assert pictures.waveform(tmp_path / "w.png", examples, PRESETS["exact"]).exists()
    assert pictures.agreement(tmp_path / "b.png", [many, one, many, one]).exists()


def test_vitals_list_every_rate_and_every_failure(tmp_path):
    """Rates by method without errors; recordings without any rate are failed; part-time faces are flagged."""
    results = [recording(70, reference=None), recording(80, reference=None, name="r2"),
               recording(70, reference=None, name="short", seconds=2.4)]  # fmt: skip
    found = [evaluate(name, results, [PRESETS["exact"]], metrics=())[0] for name in ("POS", "CHROM")]
    found[1].rows[1] = row("r2", math.nan, math.nan, note="the prediction is constant", quality=math.nan)
    flags = {"r2": "face in 43 % of the frames"}
    path = write_vitals(tmp_path, "Mine", found, [("x", "no face")], flags=flags, examples={"POS": results[0]})
    lines = read_csv(tmp_path / "vitals.csv")
    by_name = {(line["recording"], line["method"]): line for line in lines}
    assert float(by_name["r1", "POS"]["rate_bpm"]) == pytest.approx(70, abs=0.3) and by_name["r1", "POS"]["note"] == ""
    assert by_name["r2", "CHROM"]["status"] == "no rate" and by_name["r2", "POS"]["flags"] == flags["r2"]
    assert by_name["short", ""]["status"] == "failed" and "2.4 s are too short" in by_name["short", ""]["note"]
    assert by_name["x", ""]["note"] == "no face" and len(lines) == 6
    text = path.read_text()
    assert "**INCOMPLETE 2/4**" in text and "waveform.png" in text and "FAILED x: no face" in text
    screen = vitals.vitals_table(found, [("x", "no face")], flags)
    assert [line.split()[0] for line in screen.splitlines()] == ["recording", "r1", "r2", "FAILED", "FAILED"]


def test_vitals_without_anything(tmp_path):
    """No method, no recording: a report that says so, without INCOMPLETE and without a picture."""
    text = write_vitals(tmp_path, "Mine", []).read_text()
    assert "INCOMPLETE" not in text and "waveform" not in text


def test_rates_that_deserve_no_trust_are_flagged():
    """Methods that disagree on a weak pulse are flagged, beside what was flagged before; a clear pulse is not."""
    clear = [evaluate(name, [recording(70, reference=None)], [PRESETS["exact"]], metrics=())[0] for name in "AB"]
    assert vitals.with_doubts(clear, {}) == {}
    doubtful = [evaluate(name, [recording(70, reference=None)], [PRESETS["exact"]], metrics=())[0] for name in "AB"]
    for one, rate in zip(doubtful, (50.0, 95.0), strict=True):
        one.rows[0] = row("r1", math.nan, rate, quality=-1.0)
    flags = vitals.with_doubts(doubtful, {"r1": "several faces"})
    assert flags == {"r1": "several faces; weak pulse; methods disagree"}
