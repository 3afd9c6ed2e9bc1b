"""report.html: its numbers are those of metrics.json, it runs in a browser, and nothing in it comes from elsewhere."""

import json
import re
from html import escape, unescape

import numpy as np
import pytest

from evaluation.page import report, worst
from evaluation.page.scores import head, looked_up
from evaluation.page.style import SCRIPT
from evaluation.presets import PRESETS
from evaluation.report import Section, write_report
from evaluation.summary import constant_mean, evaluate
from pulsescope import open_run
from tests.browser_tools import look
from tests.evaluation_data import METRICS, recording

BOTH = [PRESETS["exact"], PRESETS["toolbox"]]
RATES = {"s1": 62.0, "s2": 71.0, "s10": 85.0, "s3": 97.0}
HOSTILE = "</script><img src='https://x.example/a' onerror='alert(1)'>\x1b[2J"


def made(folder, names=RATES, **more):
    """A run of two methods on four people, one of them doubled, with curves, settings and its page."""
    good = [recording(bpm, 2 * bpm if k == 1 else bpm + 1, name=name) for k, (name, bpm) in enumerate(names.items())]
    found = {name: evaluate(name, good, BOTH, metrics=METRICS) for name in ("POS", "GREEN")}
    found["constant mean"] = [constant_mean(one, 80.0) for one in found["POS"]]
    write_report(folder, "Demo", found, **more)
    (folder / "history.csv").write_text(
        "epoch,update,samples,loss,lr,seconds,validation\n0,0,4,0.9,0.001,1,\n0,1,2,0.6,0.002,1,0.7\n1,0,4,0.5,0.003,1,\n"
    )
    (folder / "config.yaml").write_text("SEED: 100\nNAME: '<b>'\n")
    (folder / "environment.json").write_text(json.dumps({"numpy": "1.2", "data": {}}))
    picked = worst.pick([found["POS"][0], found["constant mean"][0]], {"POS": good})
    return report.write_page(folder, picked), picked


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of an ordinary run."""
    return made(tmp_path_factory.mktemp("page"))[0]


def test_every_number_is_that_of_metrics_json(page):
    """Each cell says where it stands there, holds it in full, and shows it rounded."""
    metrics, text = json.loads((page.parent / "metrics.json").read_text()), page.read_text()
    cells = re.findall(r"<td data-key='([^']+)'(?: data-v='([^']+)')?>([^<]*)", text)
    assert len(cells) > 100
    for key, value, shown in cells:
        known = looked_up(metrics, unescape(key))
        if not value:
            assert shown == "–" and (known is None or known == 0)
            continue
        assert float(value) == known
        number = float(re.match(r"[-+]?[\d.]+", shown)[0]) / (100 if "%" in shown else 1)
        assert number == pytest.approx(known, abs=0.0051)
    tables = metrics["tables"]
    keys = {key for key, *_ in cells}
    assert keys >= {f"tables.{k}.metrics.MAE.value" for k in range(len(tables))}
    assert keys >= {"tables.0.agreement.bias", "tables.0.coverage", "tables.0.subgroups.0.n"}
    assert all(escape(one["specification"]["line"]) in text for one in tables)


def test_the_windows_behind_the_plots_are_those_of_per_window_csv(page):
    """Names in natural order, no baseline among the methods, true and predicted rate of each window."""
    text = page.read_text()
    rows = json.loads(re.search(r'id="rows">(.*?)</script>', text, re.S)[1])
    assert rows["recordings"] == ["s1", "s2", "s3", "s10"] == rows["subjects"]
    assert [one["name"] for one in rows["tables"]] == ["POS, exact", "GREEN, exact", "POS, toolbox", "GREEN, toolbox"]
    windows = open_run(page.parent).windows
    own = windows[(windows.method == "POS") & (windows.preset == "exact")]
    assert [one[4] for one in rows["tables"][0]["rows"]] == pytest.approx(list(own.hr_true), abs=1e-3)
    assert [one[5] for one in rows["tables"][0]["rows"]] == pytest.approx(list(own.hr_pred), abs=1e-3)


def test_the_worst_recordings_come_first_with_wave_spectrum_and_spectrogram(tmp_path):
    """Of the best method; a baseline is none. The doctor's words stand there where he has been."""
    _, picked = made(tmp_path)
    assert [one.result.id for one in picked][0] == "s2" and picked[0].error == pytest.approx(71, abs=1)
    assert {one.method for one in picked} == {"POS"}
    (tmp_path / "doctor.csv").write_text("recording,findings\ns2,bad: light: it flickers\n")
    text = report.write_page(tmp_path, picked).read_text()
    first = text.split("class='worst'")[1]
    assert first.count("<svg") == 3 and "data:image/png" in first and "bad: light: it flickers" in first
    assert "--doctor" not in text.split("id='worst'")[1].split("</h2>")[1][:300]


def test_faces_are_shown_and_a_damaged_entry_costs_only_its_pictures():
    """Start, middle and end of what is stored."""
    good = recording(70, 72)
    found = evaluate("POS", [good], BOTH[:1], metrics=METRICS)
    stored = type("Entry", (), {"faces": np.full((9, 8, 8, 3), 120, np.uint8)})
    one = worst.pick(found, {"POS": [good]}, lambda _: stored)[0]
    assert [what for what, _ in one.photos] == ["start", "middle", "end"]
    assert all(content.startswith(b"\xff\xd8") for _, content in one.photos)

    def broken(_):
        raise ValueError("damaged")

    assert worst.pick(found, {"POS": [good]}, broken)[0].photos == ()


def test_the_worst_of_folds_are_the_worst_of_all():
    """By error, whatever fold they are of."""
    parts = []
    for fold in range(3):
        results = [recording(70, 72 + 9 * fold + k, name=f"f{fold}k{k}") for k in range(4)]
        parts.append(worst.pick(evaluate("POS", results, BOTH[:1], metrics=METRICS), {"POS": results}))
    together = worst.of_all(parts)
    errors = [one.error for one in together]
    assert errors == sorted(errors, reverse=True) and len(together) == worst.WORST
    assert {one.result.id[:2] for one in together} == {"f1", "f2"}


def test_names_of_strangers_are_words(tmp_path):
    """No tag, no script and no address comes of a recording, a note, a method or a setting."""
    names = {HOSTILE: 60.0, "b": 70.0}
    section = Section(HOSTILE, {"kind": "x", HOSTILE: 1.5}, [], {})
    path, _ = made(tmp_path, names, notes=[HOSTILE], failed=[(HOSTILE, HOSTILE)], sections=[section])
    text = path.read_text()
    assert text.count("<script") == 2 and "\x1b" not in text and "<img src='h" not in text
    text = re.sub(r'id="rows">[^<>&]*</script>', "", text)  # data, in which no tag can begin
    assert not re.findall(r"(?:src|href)=['\"](?!data:|#)", text) and "@import" not in text and "url(" not in text
    found = look(path, "return page.body.textContent.includes('x.example') && page.images.length")
    assert found["console"] == [] and found["asked"] == []


def test_folds_have_a_line_each(tmp_path):
    """With their numbers and the folder of each."""
    made(tmp_path)
    (tmp_path / "folds.csv").write_text("fold,tested,MAE,folder\n1,a b,2.3456,x_fold1\n2,<c>,,x_fold2\n")
    part = report.page(tmp_path).split("id='folds'")[1].split("</section>")[0]
    assert "data-v='2.3456'>2.35<" in part and "x_fold2" in part and "&lt;c&gt;" in part


def test_missing_parts_leave_the_rest(tmp_path):
    """A run without pulse, curves or settings has a page of what there is; INCOMPLETE stands above."""
    content = {"tables": [], "complete": False, "evaluated": 1, "recordings": 2, "title": "T", "notes": []}
    content |= {"failed": [{"recording": "a", "reason": "dark"}], "heads": {"sbp": {"mae": 4.5, "names": ["x"]}}}
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    text = report.write_page(tmp_path).read_text()
    assert "INCOMPLETE 1/2" in text and "a: dark" in text and "data-key='heads.sbp.mae' data-v='4.5'" in text
    assert text.count("<table") == text.count("<caption class='lost'>INCOMPLETE 1/2</caption>") == 1
    assert "id='plots'" not in text and "id='training'" not in text
    (tmp_path / "metrics.json").write_text("{")
    assert report.write_page(tmp_path) is None and not (tmp_path / report.PAGE).exists()


HOVER = """
const plot = page.querySelector("#scatter .plot"), box = plot.querySelector("svg").getBoundingClientRect();
const dot = plot.querySelector(".points").getAttribute("d").match(/M([\\d.]+) ([\\d.]+)/);
const at = { clientX: box.left + dot[1] / 1000 * box.width, clientY: box.top + dot[2] / 300 * box.height };
const where = { bubbles: true, ...at };
plot.dispatchEvent(new view.PointerEvent("pointermove", where));
const point = page.getElementById("tip").textContent;
plot.dispatchEvent(new view.PointerEvent("pointerleave"));
const curve = page.querySelector("#training .plot"), other = curve.querySelector("svg").getBoundingClientRect();
const left = { bubbles: true, clientX: other.left + 1, clientY: other.top };
curve.dispatchEvent(new view.PointerEvent("pointermove", left));
const method = page.getElementById("method");
const before = page.querySelector("#recordings .points").getAttribute("d");
method.value = "2";
method.dispatchEvent(new view.Event("change"));
const head = [...page.querySelectorAll("#results thead th")].find((one) => one.textContent.startsWith("MAE"));
head.querySelector("button").click();
const column = [...head.parentNode.cells].indexOf(head), rows = [...head.closest("table").tBodies[0].rows];
return { point, curve: page.getElementById("tip").textContent,
  every: page.getElementById("every").tBodies[0].rows.length,
  changed: before !== page.querySelector("#recordings .points").getAttribute("d"),
  sorted: rows.map((one) => Number(one.cells[column].dataset.v)), sort: head.getAttribute("aria-sort"),
  wide: page.documentElement.scrollWidth, room: view.innerWidth };
"""


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_works_in_a_browser(page, width):
    """Points and curves say what they are, tables sort, another method is drawn; no error, no request, no overflow."""
    seen = look(page, HOVER, width)
    found = seen["found"]
    assert seen["console"] == [] and seen["asked"] == []
    assert found["point"].splitlines()[0] == "s1" and "true 62.0" in found["point"] and "error +1" in found["point"]
    assert "training: 0.8" in found["curve"] and found["every"] == 4 and found["changed"]
    assert found["sorted"] == sorted(found["sorted"]) and found["sort"] == "ascending"
    assert found["wide"] <= found["room"]


def test_a_page_of_five_hundred_recordings_holds_them_all(page, tmp_path):
    """Seven methods, two presets, six windows each: one file of some megabytes, and every recording is listed."""
    metrics, header = json.loads((page.parent / "metrics.json").read_text()), "recording,subject,method,preset,window"
    like = {one["preset"]: one for one in metrics["tables"] if one["method"] == "POS"}
    metrics["tables"] = [{**one, "method": name} for one in like.values() for name in "ABCDEFG"]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    random = np.random.default_rng(1)
    rows = [
        f"subject{k},subject{k},{one['method']},{one['preset']},{w},{30 * w},30,{rate:.6f},{rate + error:.6f}"
        for one in metrics["tables"]
        for k, rate in enumerate(random.uniform(50, 120, 500))
        for w, error in enumerate(random.normal(0, 3, 6))
    ]
    (tmp_path / "per_window.csv").write_text("\n".join([f"{header},start_s,seconds,hr_true,hr_pred", *rows, ""]))
    path = report.write_page(tmp_path)
    assert path.stat().st_size < 8 << 20
    seen = look(path, "return page.getElementById('every').tBodies[0].rows.length")
    assert seen["found"] == 500 and seen["console"] == []


def test_the_browser_says_when_a_script_fails_and_what_is_asked_for(page, tmp_path):
    """The other tests would see it. The page's own script, changed, may not even run."""
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace(SCRIPT, "not_there();"))
    assert look(broken, "return 1")["console"] != []
    broken.write_text("<img src='http://127.0.0.1:9/a.png'>")
    assert look(broken, "return 1")["asked"] == ["http://127.0.0.1:9/a.png"]


def test_a_run_opens_as_an_object(page):
    """Scores, recordings, windows, curves and settings as tables; shown with the same numbers in Jupyter."""
    run = open_run(page.parent)
    best = run.scores[(run.scores.method == "POS") & (run.scores.preset == "exact")].iloc[0]
    assert best.MAE == run.metrics["tables"][0]["metrics"]["MAE"]["value"] and best.n == 4 and best.MAE_low < best.MAE
    assert len(run.recordings) == 4 * 3 * 2 and len(run.windows) == 24 and list(run.history.loss) == [0.9, 0.6, 0.5]
    shown = run._repr_html_()
    assert f"data-v='{float(best.MAE)!r}'" in shown and "<script" not in shown and str(run.page) in shown
    assert repr(run).startswith("<Run 'Demo'") and run.environment["numpy"] == "1.2" and run.provenance == {}


def test_a_folder_without_report_is_no_run(tmp_path):
    """In a sentence that says which folder is meant."""
    with pytest.raises(FileNotFoundError, match="holds no metrics.json"):
        open_run(tmp_path)
    made(tmp_path / "a", notes=[])
    assert open_run(tmp_path / "a").title == "Demo"


def test_an_output_with_tables_of_no_rates_is_shown():
    """Those of a regression have no preset; every number is on the page all the same."""
    content = {"kind": "regression", "tables": [{"target": "hr", "scores": {"MAE": 3.25}}]}
    assert "3.25" in head("hr", content)
