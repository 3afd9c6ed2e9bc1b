"""Kinds of output: tables, reports, files, plots, folds, what is refused, and how clips become recordings."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.data_loader.base import Signal
from evaluation import publish
from evaluation.action_units import ClassResult, class_rows, class_table
from evaluation.evaluate import rows
from evaluation.kinds import check_heads, kind_name
from evaluation.kinds.base import Head, Kind, Names, Predicted, Reading
from evaluation.kinds.classes import class_result
from evaluation.outputs import read_outputs
from evaluation.presets import PRESETS
from evaluation.publish import Outcome
from evaluation.report import Section, write_report
from evaluation.respiration import prepared
from evaluation.settings import Settings
from evaluation.summary import evaluate
from neural_methods import testing
from registry import KINDS
from tests.evaluation_data import METRICS, beat, recording
from tests.test_respiration import breathing

BOTH = (PRESETS["exact"], PRESETS["toolbox"])
SETTINGS = Settings([*METRICS, "BA", "AU_METRICS"], "FFT", None, BOTH[1], BOTH[0], 30.0, 0)
RESP = Head("resp", "breathing", "Net", SETTINGS)
EAR = replace(RESP, name="ear", kind="wave")
UNITS = replace(RESP, name="au", kind="classes", parts=("AU01", "AU02"))


def with_metrics(head, *metrics):
    """The same output, evaluated by other metrics."""
    return replace(head, settings=replace(head.settings, metrics=list(metrics)))


def waves(results, head):
    """The tables of an output for ready-made recordings."""
    kind = head.evaluator
    results = prepared(results) if head.kind == "breathing" else results
    return kind.metrics([(preset, row) for preset in kind.presets(head) for row in rows(results, preset)], head)


def units(name="s1", count=50):
    """Units found where they are, the second one never there."""
    present = np.stack([np.arange(count) % 2, np.zeros(count)], axis=1)
    return ClassResult(name, name, 0.8 * present + 0.1, present)


def coded(*results):
    """The table of units."""
    return class_table(class_rows(results, UNITS.parts))


def breaths():
    """Two recordings."""
    return [breathing(15, 16, id="r1", subject="s1"), breathing(20, 20, id="r2", subject="s2")]


def names(folder, id="run1"):
    """Everything in one folder."""
    return Names(id, "X", folder, folder, folder)


def test_a_report_has_a_section_for_each_head(tmp_path):
    """Markdown, metrics.json and a CSV file per head; the pulse's tables stay as they are."""
    found = {"Net": evaluate("Net", [recording()], BOTH)}
    sections = [
        Outcome(RESP, waves(breaths(), RESP)).section,
        Outcome(UNITS, coded(units("s1"), units("s2"))).section,
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
    assert Outcome(UNITS, coded(nothing)).section.markdown[1].startswith("Not one frame")


def test_printed_lines_by_head():
    """Respiration and units as rPPG-Toolbox prints them, any other wave as the pulse; units only where asked for."""
    lines = Outcome(RESP, waves(breaths(), RESP)).lines
    assert lines[1] == "==== Resp Metrics ===" and any(line.startswith("FFT MAE (FFT Label): ") for line in lines)
    assert "AU / F1 / Precision" in Outcome(UNITS, coded(units())).lines
    assert Outcome(with_metrics(UNITS, "MAE"), coded(units())).lines == []
    pulse = Outcome(EAR, waves([recording()], EAR)).lines
    assert pulse[0] == "ear:" and pulse[-1].startswith("FFT MACC")


def test_plots_carry_the_id_and_the_head(tmp_path):
    """Two runs, and two heads of one run, never share a file; classes have none."""
    found = waves(breaths(), RESP)
    RESP.evaluator.agreement(found, RESP, names(tmp_path))
    made = {file.name for file in tmp_path.glob("*.pdf")}
    assert made == {f"run1_resp_FFT_BlandAltman_{kind}Plot.pdf" for kind in ("Scatter", "Difference")}
    UNITS.evaluator.agreement(coded(units()), UNITS, names(tmp_path / "none"))
    RESP.evaluator.agreement(found, with_metrics(RESP, "MAE"), names(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_folds_are_joined_row_by_row():
    """The joined tables are those of all recordings at once."""
    one, two = breaths()
    joined = RESP.evaluator.merge([waves([one], RESP), waves([two], RESP)], RESP)
    assert repr(joined) == repr(waves([one, two], RESP))
    assert UNITS.evaluator.merge([coded(units("s1")), coded(units("s2"))], UNITS).units["AU01"].frames == 100


# ---------------------------------------------------------------------- what is refused, what is added


def test_an_unknown_kind_is_refused_at_start():
    """The method, the output and the known kinds are named."""
    check_heads({"ppg": "wave", "au": "classes", "hr": "rate", "sbp": "regression", "resp": "breathing"})
    with pytest.raises(ValueError, match=r"Net: its output 'sbp' is of the kind 'regresion'.*'regression'.*wave"):
        check_heads({"ppg": "wave", "sbp": "regresion"}, "Net")
    with pytest.raises(ValueError, match="`heads` is empty"):
        check_heads({})


def test_waves_of_known_names_have_kinds_of_their_own():
    """`ppg` and `resp`; a method may also say so itself."""
    assert [kind_name(name, "wave") for name in ("ppg", "resp", "ear")] == ["pulse", "breathing", "wave"]
    assert kind_name("chest", "breathing") == "breathing" and kind_name("ppg", "classes") == "classes"


@pytest.fixture
def loudness(monkeypatch):
    """A kind from elsewhere: how loud each clip is, with words of its own."""
    KINDS.names()
    monkeypatch.setattr(KINDS, "_entries", dict(KINDS._entries))

    @KINDS.register("loudness")
    class Loudness(Kind):
        """One number a clip."""

        def rows(self, recordings, head):
            """A row per clip."""
            return [
                SimpleNamespace(id=one.id, subject=one.subject, note="", value=float(parts[head.name]))
                for one in recordings
                for _, parts in one.ordered
            ]

        def metrics(self, rows, head):
            """The mean."""
            return SimpleNamespace(rows=rows, mean=float(np.mean([row.value for row in rows])))

        def section(self, found, head):
            """A sentence."""
            return Section(head.name, {"kind": head.kind, "mean": found.mean}, [f"## Loud\n\n{found.mean:g} dB"], {})

        def lines(self, found, head):
            """A line."""
            return [f"mean loudness {found.mean:g} dB"]

    return Head("loud", "loudness", "Net", SETTINGS)


def test_a_kind_of_ones_own_is_one_class(tmp_path, capsys, loudness):
    """Without a pulse in the run: its lines, its section, its numbers; folds are joined by the default."""
    made = [Predicted(name, name, {0: {"loud": np.array(level)}}, 30.0) for name, level in (("a", 1.0), ("b", 4.0))]
    tested = publish.evaluate(made, [loudness], [], names(tmp_path))
    said, text = capsys.readouterr().out, tested.path.read_text()
    assert "mean loudness 2.5 dB" in said and "ppg" not in text and "bpm" not in said + text
    assert "## Loud\n\n2.5 dB" in text and "Evaluated: 2 of 2 recordings" in text
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["heads"]["loud"] == {"kind": "loudness", "mean": 2.5} and content["tables"] == []
    parts = [loudness.evaluator.evaluate([one], loudness) for one in made]
    assert loudness.evaluator.merge(parts, loudness).mean == 2.5
    assert loudness.evaluator.save(made, loudness, names(tmp_path)).is_file()


def test_a_head_beside_an_unlabelled_pulse_is_still_judged(tmp_path, capsys, loudness):
    """The pulse has rates and no errors, in a section of its own."""
    one = Predicted("r1", "r1", {0: {"ppg": beat(72, np.arange(300) / 30), "loud": np.array(3.0)}}, 30.0)
    pulse = Head("ppg", "pulse", "Net", SETTINGS)
    tested = publish.evaluate([one], [pulse, loudness], [], names(tmp_path))
    text = tested.path.read_text()
    assert "## Pulse" in text and "72.0" in text and "3 dB" in text and (tmp_path / "vitals.csv").is_file()
    assert "mean loudness 3 dB" in capsys.readouterr().out and [one.head.name for one in tested.judged] == ["loud"]


def test_an_unlabelled_pulse_hides_nothing(tmp_path, capsys):
    """Beside it predictions without a known target are listed, too; an output with nothing at all is named."""
    wave = beat(72, np.arange(300) / 30)
    one = Predicted("r1", "r1", {0: {"ppg": wave, "sbp": np.array(120.0), "resp": wave}}, 30.0)
    pulse, sbp = Head("ppg", "pulse", "Net", SETTINGS), Head("sbp", "regression", "Net", SETTINGS)
    publish.evaluate([one], [pulse, sbp], [], names(tmp_path))
    assert "120.0" in (tmp_path / "sbp_per_clip.csv").read_text() and (tmp_path / "vitals.csv").is_file()
    publish.evaluate([one], [pulse, RESP], [], names(tmp_path / "other"))
    assert "resp: not one recording" in capsys.readouterr().out


# ---------------------------------------------------------------------- from clips to recordings


def entry(count=40, times=None, **signals):
    """A cache entry with `signals`."""
    return SimpleNamespace(
        id="r1", subject="s1", faces=np.zeros((count, 1)), times=times, fs=10.0, signals=signals, info={}, targets={}
    )


def clips(numbers, length=10, head="resp", value=None, **labels):
    """Predicted clips whose values are their frame numbers."""
    made = {}
    for number in numbers:
        frames = number * length + np.arange(length, dtype=float)
        made[number] = {"ppg": frames, head: frames if value is None else value[frames.astype(int)]}
        made[number] |= {name: np.asarray(values, dtype=float)[frames.astype(int)] for name, values in labels.items()}
    return made


def predicted(entry, clips, resample_fs=0.0):
    """Clips of ten frames of a recording."""
    return Predicted("r1", "s1", clips, resample_fs or 10.0, entry, Reading(10, resample_fs))


def result(entry, clips):
    """A wave, joined."""
    return RESP.evaluator.results([predicted(entry, clips)], RESP)[0]


def test_a_wave_keeps_the_order_of_its_clips_and_its_native_reference():
    """Clip ten after clip two; a reference on a clock of its own starts with the video."""
    belt = Signal(np.arange(4.0), times=7.0 + np.arange(4))
    made = result(entry(110, resp=belt), clips([10, 2]))
    assert made.prediction[[0, 10]].tolist() == [20, 100] and made.label is None
    assert made.reference.times.tolist() == [0, 1, 2, 3]
    assert result(entry(40, np.arange(40) / 10, resp=belt), clips([0])).reference is belt


def test_a_wave_without_any_reference_is_left_out():
    """Neither signal nor label, or a label with gaps; a whole label alone is enough."""
    kind = RESP.evaluator
    assert kind.evaluate([predicted(entry(), clips([0]))], RESP) is None
    assert kind.evaluate([predicted(None, clips([0], label_resp=np.full(10, np.nan)))], RESP) is None
    made = result(None, clips([0], label_resp=np.ones(10)))
    assert made.label.tolist() == [1] * 10 and made.reference is None


@pytest.mark.parametrize(("resample", "count"), [(0.0, 40), (30.0, 118)])
def test_units_are_read_off_the_native_signals_at_the_predicted_frames(resample, count):
    """Frames of clip 1 and 3, nearest codes, a unit without a signal is not coded; other rates as read."""
    codes = np.arange(40) % 3 == 0
    given = entry(40, np.arange(40) / 10, AU01=Signal(codes.astype(float), times=np.arange(40) / 10))
    made = class_result(predicted(given, clips([1, 3], head="au", value=np.zeros((80, 2))), resample), UNITS)
    places = np.r_[10:20, 30:40]
    expected = codes[np.rint(np.arange(count) * 39 / (count - 1)).astype(int)][places]
    assert made.present[:, 0].tolist() == expected.astype(float).tolist() and (made.present[:, 1] == -1).all()
    assert made.probabilities.shape == made.present.shape == (20, 2)


def test_units_without_signals_fall_back_on_the_labels_of_the_clips():
    """Chunks know nothing else; not one coded frame means no reference."""
    probable, present = np.zeros((10, 2)), np.ones((10, 2))
    chunks = clips([0], head="au", value=probable, label_au=present)
    assert (class_result(predicted(None, chunks), UNITS).present == 1).all()
    bare = predicted(entry(), clips([0], head="au", value=probable))
    assert UNITS.evaluator.evaluate([bare], UNITS) is None


def test_heads_without_reference_are_named_and_not_evaluated(tmp_path, capsys):
    """Only the respiration is judged; of the units it is said, on the screen and in the report."""
    trainer = SimpleNamespace(
        evaluation_options=lambda name: {},
        name="Net", heads={"resp": "wave", "au": "classes", "ppg": "wave"}, units={},
        needs=SimpleNamespace(parts={"au": ("AU01",)}),
    )  # fmt: skip
    heads = testing.heads_of(trainer, SETTINGS)
    assert [(head.name, head.kind, head.parts) for head in heads] == [
        ("ppg", "pulse", ()), ("resp", "breathing", ()), ("au", "classes", ("AU01",)),
    ]  # fmt: skip
    belt = Signal(np.sin(1.5 * np.arange(400) / 10), fs=10.0)
    made = clips(range(20)) | {}
    for parts in made.values():
        parts["au"] = np.zeros((10, 1))
    tested = publish.evaluate([predicted(entry(200, resp=belt), made)], heads[1:], [], names(tmp_path), allow=None)
    assert [one.head.name for one in tested.judged] == ["resp"]
    assert "au: not one recording has a reference" in capsys.readouterr().out
    assert "## Action units\n\nNot one recording" in tested.path.read_text()


def test_outputs_of_a_head_are_saved_like_the_pulse(tmp_path):
    """A file of its own name; a label that is not there is NaN."""
    one = replace(predicted(entry(), clips([0])), label_type="DiffNormalized")
    path = RESP.evaluator.save([one], RESP, names(tmp_path))
    assert path.name == "run1_resp_outputs.pickle"
    outputs = read_outputs(path)
    assert outputs["predictions"]["r1"][0].tolist() == list(range(10)) and outputs["label_type"] == "DiffNormalized"
    assert np.isnan(outputs["labels"]["r1"][0]).all()


def test_frames_of_clips():
    """One clip is the whole recording without a clip length."""
    assert predicted(None, clips([1, 0])).places("ppg").tolist() == list(range(20))
    assert Predicted("r1", "s1", clips([0]), 10.0).places("ppg").tolist() == list(range(10))


def test_a_test_knows_what_it_judged(tmp_path):
    """An output without reference does not count."""
    tested = publish.Tested(tmp_path, (Outcome(RESP, None), Outcome(UNITS, coded(units()))))
    assert [one.head.name for one in tested.judged] == ["au"] and tested.pulse is None
