"""Runs against each other: only on what they share, paired by person, published numbers beside and never among them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from evaluation.baselines import shuffled
from evaluation.comparing import tables
from evaluation.comparing.compare import compare, over_data_sets
from evaluation.comparing.published import Verdict, read_published, verdicts
from evaluation.comparing.runs import Data, read_runs
from evaluation.presets import PRESETS
from evaluation.summary import constant_mean, table
from evaluation.tables import WINDOW_COLUMNS, as_dict, completeness, csv_text, json_text, window_rows, write_text
from tests.evaluation_data import row
from tools.compare import main

NAMES = ["MAE", "RMSE", "MAPE", "Pearson", "SNR"]


def run(folder, method, off, seed=100, people=12, windows=2, lost=(), preset="exact", test="PURE", train="UBFC-rPPG",
        begin=0.0, failed=()):  # fmt: skip
    """A folder as a run leaves it: `off` bpm of error, another random one in each window; some recordings `lost`."""
    random = np.random.default_rng(seed)
    found = [
        row(f"s{k}", 55.0 + 5 * k, 55.0 + 5 * k + off + random.normal(), window)
        for k in range(people)
        for window in range(windows)
    ]
    found = [replace(one, hr_pred=float("nan"), note="flat") if one.id in lost else one for one in found]
    own = table(method, found, PRESETS[preset], "FFT", None, NAMES)
    other = table("GREEN", [replace(one, hr_pred=80.0) for one in found], PRESETS[preset], "FFT", None, NAMES)
    every = [own, other, constant_mean(own), shuffled(own)]
    content = {**completeness(every, failed), "tables": [as_dict(one) for one in every]}
    write_text(folder / "metrics.json", json_text(content))  # as a report has them, without its pictures
    write_text(folder / "report.md", "# Report")
    write_text(folder / "per_window.csv", csv_text(WINDOW_COLUMNS, window_rows(every)))
    config = {
        "TOOLBOX_MODE": "train_and_test", "SEED": seed, "TRAIN": {"DATA": {"DATASET": train, "END": 0.8}},
        "TEST": {"DATA": {"DATASET": test, "BEGIN": begin, "END": 1.0}},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return str(folder)


def test_two_seeds_and_another_method(tmp_path, capsys):
    """One table, three pairs, ranks, files and plots; the labels tell the seeds apart."""
    runs = [
        run(tmp_path / "a", "Physnet", 1.0),
        run(tmp_path / "b", "Physnet", 1.2, seed=1),
        run(tmp_path / "c", "POS", 6),
    ]
    assert main([*runs, "--output", str(tmp_path / "out")]) == 0
    said, content = capsys.readouterr().out, json.loads((tmp_path / "out" / "comparison.json").read_text())
    (one,) = content["comparisons"]
    assert [each["label"] for each in one["runs"]] == ["Physnet, seed 100", "Physnet, seed 1", "POS"]
    assert one["n"] == 24 and one["people"] == 12 and len(one["pairs"]) == 3
    seeds, worse = one["pairs"][0], one["pairs"][1]
    assert seeds["p_permutation_holm"] > 0.05 > 0.01 > worse["p_permutation_holm"] and worse["difference"] > 4
    assert one["ranking"]["p"] < 0.01 and one["ranking"]["blocks"] == 12
    assert "24 windows of 12 recordings and 12 people" in said and "preset exact; whole recordings" in said
    text = (tmp_path / "out" / "comparison.md").read_text()
    for name in ("comparison.png", "ranks_1.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") and f"]({name})" in text
    assert len((tmp_path / "out" / "comparison.csv").read_text().splitlines()) == 1 + 3 * 5


def test_runs_with_other_failures_are_compared_on_what_they_share(tmp_path, capsys):
    """Windows of each by itself are said; whoever failed in one is named, and in neither score."""
    first = run(tmp_path / "a", "Physnet", 1.0, lost=("s0", "s1"))
    second = run(tmp_path / "b", "POS", 2.0, lost=("s1", "s2"), failed=[("s99", "no face")])
    assert main([first, second, "--output", str(tmp_path / "out")]) == 0
    said, text = capsys.readouterr().out, (tmp_path / "out" / "comparison.md").read_text()
    assert "Compared only on what all runs share: 18 windows of 9 recordings and 9 people." in said
    assert "Physnet 20, POS 20" in said and "POS is incomplete: without s99 (no face)" in said
    assert "- POS: s99: no face" in text and "- Physnet: s0, window 0: flat" in text
    found = compare(read_runs([first, second]))
    alone = {key: one for key, one in found.runs[0].by_window.items() if key in found.windows}
    expected = np.mean([abs(one.error) for one in alone.values()])
    assert found.scores["Physnet"]["MAE"].value == pytest.approx(expected)


def test_incomplete_stands_above_every_table(tmp_path, capsys):
    """On the screen, in Markdown and in LaTeX: as in the report of the run that lacks recordings, with its name."""
    runs = [run(tmp_path / "a", "Physnet", 1.0), run(tmp_path / "b", "POS", 2.0, failed=[("s99", "no face")])]
    assert main([*runs, "--output", str(tmp_path / "out")]) == 0
    said, text = capsys.readouterr().out.splitlines(), (tmp_path / "out" / "comparison.md").read_text()
    assert said.index("INCOMPLETE 12/13: POS") + 1 == next(k for k, line in enumerate(said) if line.startswith("run "))
    above = [part.splitlines()[-1] for part in re.split(r"\n\n(?=\| )", text)[:-1]]
    assert above == ["**INCOMPLETE 12/13: POS**"] * 2
    assert "PURE (INCOMPLETE 12/13: POS)" in (tmp_path / "out" / "comparison.tex").read_text()


def test_another_method_of_a_run(tmp_path):
    """FOLDER:METHOD; the first one otherwise. It is not the run's own, so it was not trained."""
    folder = run(tmp_path / "a", "Physnet", 1.0)
    own, other = read_runs([folder, f"{folder}:GREEN"])
    assert (own.label, other.label, other.train) == ("Physnet", "GREEN", None) and own.train == Data(
        "UBFC-rPPG", 0.0, 0.8
    )
    assert set(read_runs([f"{folder}/report.md", f"{folder}:GREEN"])[1].by_window) == set(own.by_window)


BAD = {
    "one alone": (["a"], "compared with nothing"),
    "no run": (["a", "nowhere"], "'nowhere' is no finished run: metrics.json and per_window.csv missing"),
    "a folder of runs": (["a", "."], "Did you mean one of a, b"),
    "no such method": (["a", "a:POSS"], "has no method 'POSS'"),
    "no such preset": (["a", "b", "--preset", "toolbox"], "Not all runs have results under preset 'toolbox'"),
    "judged in another way": (["a", "toolbox"], "Not all runs have results under any one preset"),
    "another data set": (["a", "mmpd"], "share no window"),
    "another window": (["a", "window"], "window_s is None and 10.0"),
    "twice the same": (["a", "a"], "named twice"),
    "not one run": (["a", "mixed"], "not of the same run"),
    "no report": (["a", "broken"], "no report that can be read"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_compared_is_said_in_one_sentence(tmp_path, monkeypatch, capsys, what):
    """Exit code 1, no traceback, nothing written."""
    monkeypatch.chdir(tmp_path)
    for name, options in {
        "a": {},
        "b": {},
        "toolbox": {"preset": "toolbox"},
        "mmpd": {"test": "MMPD"},
        "mixed": {},
    }.items():
        run(tmp_path / name, "POS" if name == "mmpd" else "Physnet", 1.0, **options)
    for name in ("window", "broken"):
        run(tmp_path / name, "Physnet", 1.0)
    content = json.loads((tmp_path / "window" / "metrics.json").read_text())
    for one in content["tables"]:
        one["specification"]["window_s"] = 10.0
    (tmp_path / "window" / "metrics.json").write_text(json.dumps(content))
    lines = (tmp_path / "mmpd" / "per_window.csv").read_text()
    (tmp_path / "mmpd" / "per_window.csv").write_text(re.sub(r"(?m)^s", "x", lines))
    lines = (tmp_path / "mixed" / "per_window.csv").read_text().splitlines()
    (tmp_path / "mixed" / "per_window.csv").write_text("\n".join(lines[:5]))
    (tmp_path / "broken" / "metrics.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    arguments, said = BAD[what]
    assert main(list(arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1 and said in error
    assert sorted(tmp_path.rglob("*")) == before


def test_methods_are_ranked_over_data_sets(tmp_path):
    """Three methods on three data sets: a block each, and Friedman over them."""
    runs = [
        run(tmp_path / f"{method}{test}", method, off, test=test, train="SCAMPS")
        for test in ("PURE", "UBFC-rPPG", "MMPD")
        for method, off in (("Physnet", 1.0), ("Tscan", 3.0), ("DeepPhys", 9.0))
    ]
    assert main([*runs, "--output", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert content["over_data_sets"]["ranks"] == {"Physnet": 1.0, "Tscan": 2.0, "DeepPhys": 3.0}
    assert content["over_data_sets"]["blocks"] == 3 and (tmp_path / "out" / "ranks.png").is_file()
    assert over_data_sets([compare(read_runs(runs[:3]))]) is None


# --- LaTeX and Markdown ----------------------------------------------------------------------------------------------


def latex_of(tmp_path):
    """The table of two runs with hostile names, and published numbers below."""
    runs = [run(tmp_path / "a", "Net_1 & 50% {x} \\y ~ ^ #$", 1.0), run(tmp_path / "b", "POS", 3.0, lost=("s3",))]
    found = compare(read_runs(runs))
    return tables.latex([found], read_published()[:3])


def test_latex_is_a_table_that_a_parser_takes(tmp_path):
    """Braces and environments match, seven columns in each row, no bare special character, only known commands."""
    text = latex_of(tmp_path)
    bare = re.sub(r"\\[\\&%$#_{}]", "", re.sub(r"(?m)^%.*$", "", text))
    depth = 0
    for mark in bare:
        depth += {"{": 1, "}": -1}.get(mark, 0)
        assert depth >= 0
    assert depth == 0 and bare.count("$") % 2 == 0 and not set("#~") & set(bare)
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        assert kind == "begin" or opened.pop() == name
        if kind == "begin":
            opened.append(name)
    assert not opened
    known = {"begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "multicolumn", "textit",
             "mathbf", "pm", "downarrow", "uparrow", "textbackslash", "textasciitilde", "textasciicircum", "usepackage",
             "textless", "textgreater"}  # fmt: skip
    assert set(re.findall(r"\\([a-zA-Z]+)", text)) <= known
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    for line in [line for line in body.splitlines() if line.endswith("\\\\")]:
        cells = len(re.findall(r"(?<!\\)&", line)) + 1
        assert cells == (1 if "multicolumn" in line else 7), line


def test_latex_by_an_independent_parser(tmp_path):
    """pylatexenc, where it is installed, reads it to the end without tolerance."""
    walker = pytest.importorskip("pylatexenc.latexwalker")
    nodes, _, length = walker.LatexWalker(latex_of(tmp_path), tolerant_parsing=False).get_latex_nodes()
    assert length == len(latex_of(tmp_path)) and any(getattr(one, "environmentname", "") == "table" for one in nodes)


def test_the_best_is_bold_and_published_lines_never_are(tmp_path):
    """In each column of the runs, all that are printed alike; published numbers stand behind a rule of their own."""
    text = latex_of(tmp_path)
    own, published = text.split("Published, by their own protocols")
    assert (
        own.count("\\mathbf") == 5 and "\\mathbf" not in published and "Physnet, intra PURE (rhythmformer)" in published
    )
    assert own.rstrip().endswith("\\textit{") and "$2.10$ & $2.60$ & -- & $0.99$" in published


# --- Published numbers -----------------------------------------------------------------------------------------------


def test_every_published_number_has_source_and_protocol():
    """Twenty-two lines of the contract and the goals of rendered people; a protocol is a preset or unknown."""
    lines = read_published()
    assert all(one.source and one.says and one.preset in ("", *PRESETS) for one in lines)
    cross = next(one for one in lines if one.setting == "PURE -> UBFC-rPPG" and one.method == "PhysFormer")
    assert cross.values["MAE"] == 1.44 and cross.train == Data("PURE", 0.0, 0.8) and cross.test == Data("UBFC-rPPG")
    assert {one.setting for one in lines} >= {f"intra {name}" for name in ("PURE", "UBFC-rPPG", "MMPD")}


def test_a_verdict_needs_the_same_protocol(tmp_path, capsys):
    """UBFC-rPPG to PURE by RhythmFormer's protocol: a verdict; another preset, split or a failure: a reason."""
    line = next(one for one in read_published() if one.setting == "UBFC-rPPG -> PURE" and one.method == "Physnet")
    folder = run(tmp_path / "a", "Physnet", 8.0, preset="rhythmformer")
    (found, earlier) = verdicts(read_runs([folder])[0], read_published())
    assert found.words.startswith("reached (") and found.published == line and "neurips2023 there" in earlier.words
    (better, _) = verdicts(read_runs([run(tmp_path / "b", "Physnet", 1.0, preset="rhythmformer")])[0], read_published())
    assert re.fullmatch(r"better by 6\.\d\d bpm|better by 7\.\d\d bpm", better.words)
    for name, options, said in (
        ("c", {}, "preset exact here, rhythmformer there"),
        ("d", {"preset": "rhythmformer", "begin": 0.5}, "tested on PURE 0.5-1 here, PURE there"),
        ("e", {"preset": "rhythmformer", "failed": [("s99", "no face")]}, "the run is incomplete"),
    ):
        other = read_runs([run(tmp_path / name, "Physnet", 8.0, **options)])[0]
        assert said in verdicts(other, [line])[0].words
    assert main([folder, "--published"]) == 0
    assert "MAE 8.0" in (said := capsys.readouterr().out) and "8.06 published: reached" in said


def test_worse_says_by_how_much():
    """Beyond 0.5 bpm and beyond two standard errors."""
    line = read_published()[0]
    assert Verdict("x", line, 4.0, 1.9, 0.5).words == "worse by 1.90 bpm"
    assert Verdict("x", line, 4.0, 1.9, 2.5).words == "reached (+1.90 bpm, within 2.50)"
