"""Mode unsupervised_method on made recordings: console, report, plots, videos without labels, failures."""

import csv
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.prepare.listing import LEFT_OUT
from evaluation import console, publish
from evaluation.outputs import results
from evaluation.settings import read_settings
from tests.evaluation_data import METRICS, beat, signal
from unsupervised_methods import measure
from unsupervised_methods import run as mode
from unsupervised_methods.measure import Sample, describe_flags, even, label_rows, native_rows
from unsupervised_methods.regions import Region
from unsupervised_methods.run import run

COLOUR = np.array([170.0, 120.0, 100.0])


class IncompleteError(RuntimeError):
    """What preparing raises when recordings are missing."""

    def __init__(self, prepared):
        """Keep what there is."""
        super().__init__(f"{len(prepared.failed)} missing")
        self.prepared = prepared


class Prepared:
    """A prepared section in memory: entries by id."""

    legacy, types, fs = False, ("Raw",), 30.0

    rendered, select, remarks = False, None, ()

    def __init__(self, entries, failed=(), allow=False, excluded=()):
        """`failed`, `excluded`: (id, reason)."""
        self.entries = entries
        self.recordings = [SimpleNamespace(id=name) for name in entries]
        self.failed = [(SimpleNamespace(id=name), reason) for name, reason in failed]
        self.excluded = [(SimpleNamespace(id=name), reason) for name, reason in excluded]
        self.allow_incomplete = allow

    def entry(self, recording):
        """The entry, or the error that stands in its place."""
        found = self.entries[recording.id]
        if isinstance(found, Exception):
            raise found
        return found

    def fail(self, reasons):
        """As the real one."""
        self.failed += [(one, reasons[one.id]) for one in self.recordings if one.id in reasons]
        self.recordings = [one for one in self.recordings if one.id not in reasons]

    def check(self, told=False):
        """As the real one."""
        if self.failed and (not self.allow_incomplete or not self.recordings):
            raise IncompleteError(self)


def entry(name, bpm=72.0, seconds=20.0, fs=30.0, times=True, label=True, **more):
    """A cache entry with a painted pulse and, when `label`, a reference at 64 Hz on the same clock."""
    at = np.arange(int(seconds * fs)) / fs
    noise = 0.1 * np.random.default_rng(int(bpm)).normal(size=(len(at), 3))
    trace = COLOUR * (1 + 0.006 * beat(bpm, at)[:, None] * [0.33, 0.77, 0.53]) + noise
    native = np.arange(int(seconds * 64)) / 64
    signals = {"ppg": signal(beat(bpm, native), times=native)} if label else {}
    values = {"id": name, "subject": name, "trace": trace, "fs": fs, "times": at if times else None,
              "signals": signals, "flags": {}, "info": {}, "faces": None}  # fmt: skip
    return SimpleNamespace(**{**values, **more})


def node(**values):
    """A configuration node."""
    return SimpleNamespace(**values)


def config(folder, **changes):
    """A configuration with what this mode reads; `changes` by the key's last name."""
    given = {"METHOD": ["POS", "CHROM"], "METRICS": [*METRICS, "BA"], "EVALUATION_METHOD": "FFT", "PRESET": "toolbox",
             "HR_BAND": [], "USE_SMALLER_WINDOW": False, "WINDOW_SIZE": 10, "FS": 30, "DO_CHUNK": False,
             "CHUNK_LENGTH": 180, "LABEL_TYPE": "Raw", "RESAMPLE_FS": 0.0, **changes}  # fmt: skip
    crop = node(DO_CROP_FACE=True, USE_LARGE_FACE_BOX=True, LARGE_BOX_COEF=1.5)
    process = node(DO_CHUNK=given["DO_CHUNK"], CHUNK_LENGTH=given["CHUNK_LENGTH"], LABEL_TYPE=given["LABEL_TYPE"],
                   CROP_FACE=crop)  # fmt: skip
    data = node(DATASET="Made", FS=given["FS"], EXP_DATA_NAME="Made_exp", LABEL_ALIGN="auto", PREPROCESS=process,
                RESAMPLE_FS=given["RESAMPLE_FS"])  # fmt: skip
    window = node(USE_SMALLER_WINDOW=given["USE_SMALLER_WINDOW"], WINDOW_SIZE=given["WINDOW_SIZE"])
    return node(
        UNSUPERVISED=node(
            METHOD=given["METHOD"], METRICS=given["METRICS"], DATA=data, OVERLAY=False, ROI="box", NETWORK="",
            OUTPUT_SAVE_DIR=str(given.get("OUTPUT_SAVE_DIR", folder / "Made_exp" / "saved_outputs")),
        ),
        INFERENCE=node(EVALUATION_METHOD=given["EVALUATION_METHOD"], PRESET=given["PRESET"], HR_BAND=given["HR_BAND"],
                       EVALUATION_WINDOW=window, BLAND_ALTMAN_CORRECTION=True, REFERENCE="auto",
                       BEATS="own"),
        LOG=node(PATH=str(folder)), OVERWRITE=False,
    )  # fmt: skip


@pytest.fixture
def prepare(monkeypatch, tmp_path):
    """A function that makes `prepared` what preparing the data gives; run folder and labels are stand-ins, too."""

    def align(found, times, count, mode):
        if not np.isfinite(found.values).all():
            raise ValueError("The label has samples that are NaN.")
        return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(found.values)), found.values)

    labels = node(align=align, transform=lambda label, kind: label * (2.0 if kind == "Standardized" else 1.0))
    monkeypatch.setattr(measure, "labels", labels)
    monkeypatch.setattr("config.run_folder", lambda _: tmp_path / "runs" / "x")
    monkeypatch.setattr(mode.provenance, "note_data", lambda *_: None)  # of entries on a disk

    def use(prepared):
        def fake(data, name, given, overwrite):
            assert name == "unsupervised" and not overwrite
            prepared.check()
            return prepared

        monkeypatch.setitem(sys.modules, "dataset.prepare.section", node(prepare=fake, IncompleteError=IncompleteError))
        return prepared

    return use


def test_a_grey_video_is_named_before_colours_are_compared(tmp_path, prepare, capsys):
    """Methods that compare colours give no number; the brightness still beats."""
    one = entry("night", 72)
    one.trace = np.repeat(one.trace[:, 1:2], 3, axis=1)
    prepare(Prepared({"night": one, "day": entry("day", 75)}, allow=True))
    report = run(config(tmp_path, METHOD=["GREEN", "POS"]))
    said = capsys.readouterr().out
    assert said.startswith("Warning: grey or infrared, all three channels are equal: night (1 of 2).")
    with (report.parent / "per_recording.csv").open() as file:
        rows = {(row["recording"], row["method"]): row for row in csv.DictReader(file) if row["preset"] == "exact"}
    assert abs(float(rows["night", "GREEN"]["error"])) < 1 and abs(float(rows["day", "POS"]["error"])) < 1
    assert "the picture is grey or infrared" in rows["night", "POS"]["note"] and not rows["night", "POS"]["hr_pred"]
    assert "night: grey or infrared" in report.read_text()


@pytest.mark.parametrize("label", [True, False])
def test_the_waves_of_all_methods_and_recordings_are_written(tmp_path, prepare, label, capsys):
    """A table each, and where OUTPUT_SAVE_DIR was set a pickle each, in which a recording keeps its own rate."""
    prepare(Prepared({"a": entry("a", 60, label=label), "b/c": entry("b/c", 75, fs=25.0, label=label)}))
    run(config(tmp_path, OUTPUT_SAVE_DIR=tmp_path / "mine"))
    names = sorted(path.name for path in (tmp_path / "mine").iterdir())
    assert len(names) == 4 and names[:3] == ["CHROM_Made_outputs.pickle", "POS_Made_outputs.pickle", "a.csv"]
    table = np.genfromtxt(tmp_path / "mine" / "a.csv", delimiter=",", names=True)
    assert table.dtype.names == ("time_s", "POS", "CHROM", *(["label"] if label else []))
    assert len(table) == 600 and table["time_s"][-1] == pytest.approx(599 / 30)
    found = {one.id: one for one in results(tmp_path / "mine" / "POS_Made_outputs.pickle")}
    assert (found["a"].fs, found["b/c"].fs) == (30, 25)
    assert np.allclose(found["a"].prediction, table["POS"], rtol=1e-5, atol=1e-7)
    assert np.isfinite(found["a"].label).all() == label
    assert f"Waves of 2 recordings: {tmp_path / 'mine'}" in capsys.readouterr().out


def test_a_list_of_clips_chooses_recordings(tmp_path, prepare, capsys):
    """Which is said where recordings are cut at all."""
    for cut, said in ((True, 1), (False, 0)):
        made = Prepared({"a": entry("a")})
        made.select = {"a": [1]}
        prepare(made)
        run(config(tmp_path, METHOD=["POS"], DO_CHUNK=cut))
        assert capsys.readouterr().out.count("measured whole, whichever of their clips the list names") == said


def test_without_a_folder_of_ones_own_waves_need_no_torch(tmp_path, prepare):
    """Tables only, in the folder that is derived."""
    prepare(Prepared({"a": entry("a", 60)}))
    run(config(tmp_path))
    assert [path.name for path in (tmp_path / "Made_exp" / "saved_outputs").iterdir()] == ["a.csv"]


def test_a_labelled_data_set(tmp_path, prepare, capsys):
    """rPPG-Toolbox's lines on the screen, its plots in its folder, one report with both methods and a baseline."""
    prepare(Prepared({"a": entry("a", 60), "b": entry("b", 75), "c": entry("c", 93, times=False)}))
    report = run(config(tmp_path))
    said = capsys.readouterr().out.splitlines()
    start = said.index("===Unsupervised Method ( POS ) Predicting ===")
    assert said[start + 1] == "Used Unsupervised Method: POS" and said[start + 3].startswith("FFT MAE (FFT Label): 0.")
    assert sum(line.startswith("MACC (avg): ") for line in said) == 2
    plots = tmp_path / "Made_exp" / "bland_altman_plots"
    assert [line for line in said if "Bland" in line] == [f"Bland-Altman plots (2 methods): {plots}"]
    names = {path.name for path in plots.iterdir()}
    assert "POS_Made_FFT_BlandAltman_ScatterPlot.pdf" in names and len(names) == 8
    tables = json.loads((report.parent / "metrics.json").read_text())["tables"]
    names = ("POS", "CHROM", "constant mean", "shuffled labels", "white noise")
    assert [(one["preset"], one["method"].split(" (")[0]) for one in tables] == [
        (preset, name) for preset in ("exact", "toolbox") for name in names
    ]
    assert tables[0]["metrics"]["MAE"]["value"] < 0.3 and tables[1]["metrics"]["MAE"]["value"] < 0.3
    assert report == tmp_path / "runs" / "x" / "report.md" and "INCOMPLETE" not in report.read_text()


@pytest.mark.parametrize("label", [True, False])
def test_what_was_left_out_on_purpose_is_counted(tmp_path, prepare, label):
    """In the report's scope by reason, and in metrics.json where there is one; not a word where nothing was."""
    entries = {"a": entry("a", 60, label=label), "b": entry("b", 75, label=label)}
    prepare(Prepared(dict(entries), excluded=[("c", LEFT_OUT), ("d", LEFT_OUT), ("e", "no video")]))
    text = run(config(tmp_path)).read_text()
    assert "2 recordings left out by INFO or FILTERING: c, d. 1 recording left out on purpose (no video): e." in text
    content = tmp_path / "runs" / "x" / "metrics.json"
    if label:
        assert json.loads(content.read_text())["left_out"][2] == {"recording": "e", "reason": "no video"}
    prepare(Prepared(dict(entries)))
    assert "left out" not in run(config(tmp_path)).read_text()
    assert not label or "left_out" not in content.read_text()


def test_preset_exact_alone_and_no_plots(tmp_path, prepare, capsys):
    """With PRESET exact there is one table per method; without BA no plots; windows as asked for."""
    prepare(Prepared({"a": entry("a", 60), "b": entry("b", 75)}))
    given = config(tmp_path, PRESET="exact", METRICS=["MAE"], USE_SMALLER_WINDOW=True, METHOD=["GREEN"], FS=0)
    content = json.loads((run(given).parent / "metrics.json").read_text())
    assert [(one["preset"], one["n"], one["window_s"]) for one in content["tables"]] == [("exact", 4, 10.0)] * 4
    assert not (tmp_path / "Made_exp" / "bland_altman_plots").exists() and "10 s windows" in capsys.readouterr().out


def test_missing_recordings_stop_labelled_data_before_any_number(tmp_path, prepare, capsys):
    """A NaN label, an unreadable entry, a recording that failed before: no metrics unless they are asked for."""
    bad = entry("nan", signals={"ppg": signal([1.0, np.nan, 2.0])})
    entries = {"a": entry("a", 60), "nan": bad, "gone": RuntimeError("checksum differs")}
    prepare(Prepared(dict(entries)))
    with pytest.raises(IncompleteError):
        run(config(tmp_path))
    assert "MAE" not in capsys.readouterr().out
    prepare(Prepared(dict(entries), [("early", "no face")], allow=True))
    text = run(config(tmp_path)).read_text()
    assert "INCOMPLETE 1/4" in text and "- nan: The label has samples that are NaN." in text
    assert "- gone: checksum differs" in text and "- early: no face" in text


def test_nothing_left_is_an_error(tmp_path, prepare):
    """When every recording failed there is nothing to report."""
    prepare(Prepared({}, [("x", "no face anywhere")], allow=True))
    with pytest.raises(IncompleteError):
        run(config(tmp_path))


def test_videos_without_labels(tmp_path, prepare, capsys):
    """Each recording's rate by each method; what failed is listed with the reason, then raised; faces are flagged."""
    part = entry("part", 75, label=False, flags={"face_coverage": 0.43})
    entries = {"ok": entry("ok", 60, label=False), "part": part, "short": entry("short", 60, seconds=2.4, label=False)}
    prepare(Prepared(dict(entries), [("noface", "no face in 5 s")]))
    with pytest.raises(IncompleteError) as error:
        run(config(tmp_path))
    assert [recording.id for recording, _ in error.value.prepared.failed] == ["noface", "short"]
    said = capsys.readouterr().out
    assert "FAILED noface: no face in 5 s" in said and "FAILED short: 2.4 s are too short" in said
    with (tmp_path / "runs" / "x" / "vitals.csv").open(newline="") as file:
        lines = {(line["recording"], line["method"]): line for line in csv.DictReader(file)}
    assert float(lines["ok", "POS"]["rate_bpm"]) == pytest.approx(60, abs=0.5)
    assert lines["part", "CHROM"]["flags"] == "face in 43 % of the looked-at frames"
    assert (
        "\nok: 60." in said and "part: no reliable pulse: a face" in said and "a face in 43% of the video only" in said
    )
    content = json.loads((tmp_path / "runs" / "x" / "vitals.json").read_text())
    assert [one["recording"] for one in content["recordings"]] == ["ok", "part"]
    assert content["recordings"][0]["heart_rate_bpm"] == pytest.approx(60, abs=1)
    assert content["recordings"][0]["region"] == "face box x 1.5" and content["recordings"][1]["reliable"] is False
    assert [one["recording"] for one in content["failed"]] == ["short", "noface"]
    prepare(Prepared({"ok": entries["ok"]}))
    assert run(config(tmp_path)).name == "report.md"


def test_a_doubtful_pulse_is_refused_and_costs_no_other_answer(tmp_path, prepare, capsys):
    """Everything is written first, then the run ends with exit code 3; with ALLOW_INCOMPLETE it does not."""
    still = COLOUR + 0.1 * np.random.default_rng(0).normal(size=(600, 3))
    entries = {"ok": entry("ok", 60, label=False), "wall": entry("wall", label=False, trace=still)}
    prepare(Prepared(entries))
    with pytest.raises(mode.NoPulseError, match="No reliable pulse in 1 of 2 recordings: wall") as error:
        run(config(tmp_path))
    said = capsys.readouterr().out
    assert error.value.exit_code == 3 and "ok: 60." in said and "wall: no reliable pulse (confidence 0." in said
    prepare(Prepared(entries, allow=True))
    assert "wall: no reliable pulse" in run(config(tmp_path)).read_text()


def test_rates_of_rendered_people_are_marked(tmp_path, prepare):
    """Also where there is nothing to compare them with."""
    made = Prepared({"ok": entry("ok", 60, label=False)})
    made.rendered = True
    prepare(made)
    assert run(config(tmp_path)).read_text().startswith("# Pulse of Made (RENDERED DATA)")


def test_unlabelled_without_any_rate_still_writes_the_report(tmp_path, prepare):
    """Only short videos: the report names them, then the run fails."""
    prepare(Prepared({"short": entry("short", seconds=2.4, label=False)}, allow=True))
    with pytest.raises(IncompleteError):
        run(config(tmp_path, METHOD=["POS"]))
    assert "INCOMPLETE 0/1" in (tmp_path / "runs" / "x" / "report.md").read_text()


def test_settings_are_checked_first(tmp_path):
    """No method, an unknown one, a mistyped metric or estimator: named before anything is read."""
    for changes, words in (
        ({"METHOD": []}, "UNSUPERVISED.METHOD is empty"),
        ({"METHOD": ["PSO"]}, "Did you mean 'POS'"),
        ({"METRICS": ["MAEE"]}, "UNSUPERVISED.METRICS holds 'MAEE'"),
        ({"EVALUATION_METHOD": "peak"}, "INFERENCE.EVALUATION_METHOD is 'peak'"),
        ({"EVALUATION_METHOD": "path"}, "Set INFERENCE.PRESET: exact"),
        ({"PRESET": "x"}, "INFERENCE.PRESET"),
    ):
        with pytest.raises((ValueError, KeyError), match=words):
            run(config(tmp_path, **changes))


def sample(**more):
    """A sample of 20 s with a label."""
    one = entry("a", **more)
    label = np.interp(np.arange(len(one.trace)) / 30, one.signals["ppg"].times, one.signals["ppg"].values)
    return Sample("a", "s", one.trace, one.fs, one.times, label, one.signals["ppg"])


def test_each_chunk_is_a_recording_under_the_toolbox_preset(tmp_path):
    """DO_CHUNK: windows are numbered on through the chunks, with their times; a tail and a short video are not used."""
    settings = read_settings(config(tmp_path, DO_CHUNK=True), "UNSUPERVISED")
    found = label_rows(mode.UNSUPERVISED["POS"], [sample()], settings)
    assert [(one.window, one.start_s) for one in found] == [(0, 0.0), (1, 6.0), (2, 12.0)]
    short = label_rows(mode.UNSUPERVISED["POS"], [sample(seconds=5.0)], settings)
    assert [one.note for one in short] == ["150 frames are fewer than a chunk of 180"]


@pytest.mark.parametrize(("window", "said"), [(None, "6 s windows"), (4.0, "4 s windows"), (10.0, "6 s windows")])
def test_tables_of_chunks_say_how_long_a_window_is(tmp_path, window, said):
    """A chunk is the longest window there is; `exact` reads whole recordings all the same."""
    settings = replace(read_settings(config(tmp_path, DO_CHUNK=True), "UNSUPERVISED"), window_seconds=window)
    exact, toolbox = measure.classical_tables("POS", mode.UNSUPERVISED["POS"], [sample()], settings)[0]
    assert said in console.header(toolbox) and exact.window_seconds == window


def test_a_method_that_refuses_a_recording_does_not_stop_the_others(tmp_path):
    """The reason becomes the window's note, under both presets."""
    settings = read_settings(config(tmp_path), "UNSUPERVISED")
    tiny = Sample("tiny", "s", np.ones((20, 3)), 30.0)
    for found in (
        native_rows(mode.UNSUPERVISED["POS"], [tiny, sample()], settings)[0],
        label_rows(mode.UNSUPERVISED["POS"], [tiny, sample()], settings),
    ):
        assert "POS needs at least 49 frames" in found[0].note and found[1].valid


def test_a_recording_without_label_gets_a_rate_only(tmp_path):
    """Under the toolbox preset there is a note instead of an error."""
    one = sample()
    bare = Sample("b", "b", one.trace, 30.0)
    found = label_rows(mode.UNSUPERVISED["POS"], [bare], read_settings(config(tmp_path), "UNSUPERVISED"))
    assert found[0].note == "no label" and np.isfinite(found[0].hr_pred)


def test_uneven_frames_are_evened_out():
    """Dropped frames are interpolated before a method sees the colours; without times nothing is done."""
    one = sample()
    keep = np.delete(np.arange(600), np.arange(5, 600, 10))
    uneven = Sample("a", "a", one.trace[keep], 30.0, one.times[keep])
    assert abs(len(even(uneven).trace) - 600) <= 1 and np.allclose(np.diff(even(uneven).times), 1 / 30)
    assert even(Sample("a", "a", one.trace, 30.0)).trace is one.trace


@pytest.mark.parametrize("times", [True, False])
def test_resampling_reads_at_another_rate(prepare, tmp_path, times):
    """RESAMPLE_FS 20: colours and labels come at 20 per second."""
    prepared = prepare(Prepared({"a": entry("a", times=times)}))
    given = config(tmp_path, RESAMPLE_FS=20.0)
    one = mode.read_samples(prepared, given.UNSUPERVISED.DATA, Region())[0]
    assert (one.fs, len(one.trace), len(one.label)) == (20.0, 400, 400)
    assert read_settings(given, "UNSUPERVISED").fs == 20.0


def test_a_differential_label_is_used_as_raw(prepare, tmp_path, capsys):
    """Classical methods give waves, so DiffNormalized labels would be wrong; Standardized ones stay."""
    prepared = prepare(Prepared({"a": entry("a")}))
    raw = mode.read_samples(prepared, config(tmp_path, LABEL_TYPE="DiffNormalized").UNSUPERVISED.DATA, Region())[0]
    assert "the label is used as Raw" in capsys.readouterr().out
    scaled = mode.read_samples(prepared, config(tmp_path, LABEL_TYPE="Standardized").UNSUPERVISED.DATA, Region())[0]
    assert np.allclose(scaled.label, 2 * raw.label)


def test_chunks_of_rppg_toolbox(tmp_path, prepare):
    """Raw chunks are measured against their label; there is no reference for exact; other types are refused."""
    one = sample()

    class Legacy(Prepared):
        """Chunks in place of entries."""

        legacy, remarks = True, ("whose they are is not known",)

        def clips(self):
            """One recording with a label of one column, one with two."""
            label = {"p": one.label, "q": np.stack([one.label, one.label], axis=1)}
            of = {"recordings": ["p", "q"], "subject": lambda name: "anna", "label": label.__getitem__}
            return node(**of, trace=lambda name: one.trace)

    content = json.loads((run_with(prepare, Legacy({}), config(tmp_path))).read_text())
    assert content["notes"] == ["whose they are is not known"]
    assert [one["n"] for one in content["tables"] if one["preset"] == "toolbox"] == [2, 2, 2, 2, 2]
    assert all(one["n"] == 0 for one in content["tables"] if one["preset"] == "exact")
    subjects = {line.split(",")[1] for line in (tmp_path / "runs" / "x" / "per_recording.csv").read_text().splitlines()}
    assert "anna" in subjects and not subjects & {"p", "q"}  # two recordings of one person
    prepared = prepare(Legacy({}))
    prepared.types = ("DiffNormalized", "Standardized")
    with pytest.raises(ValueError, match="mean colours need Raw chunks"):
        run(config(tmp_path))


def run_with(prepare, prepared, given):
    """metrics.json of a run on `prepared`."""
    prepare(prepared)
    return run(given).parent / "metrics.json"


def test_a_photo_gives_no_plot_and_no_example(tmp_path, prepare, capsys):
    """A recording without pulse is named; a run with nothing valid ends with a report, and is no success."""
    still = entry("photo", trace=np.tile(COLOUR, (600, 1)))
    prepare(Prepared({"photo": still}, allow=True))
    with pytest.raises(publish.IncompleteTestError, match="not one of 1 recording could be evaluated.\n  photo: the p"):
        run(config(tmp_path, METHOD=["POS"]))
    text, said = (tmp_path / "runs" / "x" / "report.md").read_text(), capsys.readouterr()
    assert "the prediction is constant" in text and not (tmp_path / "Made_exp" / "bland_altman_plots").exists()
    assert "INCOMPLETE 0/1" in said.out and "nan" not in said.out + said.err


def test_what_fails_only_when_it_is_evaluated_counts_as_failed(tmp_path, prepare, capsys):
    """No metrics are printed or written then; with ALLOW_INCOMPLETE they stand below INCOMPLETE."""
    entries = {"a": entry("a"), "b": entry("b", 60), "photo": entry("photo", trace=np.tile(COLOUR, (600, 1)))}
    prepare(Prepared(entries))
    with pytest.raises(publish.IncompleteTestError, match="2 of 3 recordings.*\n  photo: ") as error:
        run(config(tmp_path, METHOD=["POS"]))
    assert error.value.exit_code == 3 and "MAE" not in capsys.readouterr().out
    assert not (tmp_path / "runs" / "x" / "metrics.json").exists()
    prepare(Prepared(entries, allow=True))
    assert "INCOMPLETE 2/3" in run(config(tmp_path, METHOD=["POS"])).read_text()
    said = capsys.readouterr().out
    assert said.index("INCOMPLETE 2/3") < said.index("MAE") and "nan" not in said


def test_labels_of_a_part_give_no_plain_error(tmp_path, prepare, capsys):
    """Two of five recordings have a label: incomplete, and the three are named."""
    entries = {name: entry(name, label=name in "ab") for name in "abcde"}
    prepare(Prepared(entries))
    with pytest.raises(
        publish.IncompleteTestError, match="2 of 5 recordings.*\n  c: no (label|reference), as others have"
    ):
        run(config(tmp_path, METHOD=["POS"]))
    assert "MAE" not in capsys.readouterr().out


def test_a_labelled_recording_too_short_for_a_rate_is_failed(tmp_path, prepare):
    """It stops a run that must be complete, and heads the tables of one that need not be."""
    entries = {"long": entry("long", 60), "tiny": entry("tiny", seconds=0.5)}
    prepare(Prepared(entries))
    with pytest.raises(IncompleteError):
        run(config(tmp_path, METHOD=["POS"]))
    prepare(Prepared(entries, allow=True))
    text = run(config(tmp_path, METHOD=["POS"])).read_text()
    assert "INCOMPLETE 1/2" in text and "tiny" in text


def test_flags_are_said_in_words():
    """Part-time faces in percent, other flags by name, unset ones not at all."""
    flags = {"face_coverage": 0.5, "dropped_frames": 3, "still": True, "doubled": 0, "empty": None}
    assert describe_flags(flags) == "face in 50 % of the looked-at frames; dropped frames: 3; still"
    assert describe_flags({"face_coverage": 1.0, "several_faces": 0}) == ""
    assert describe_flags({"first_face_s": 2.25, "face_left_box": 0.1}) == (
        "first face after 2.2 s; face outside the box in 10% of the looked-at time"
    )
