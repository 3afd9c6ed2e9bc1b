"""The page of answers: what it says and draws, what it needs from elsewhere (nothing), and the waves beside it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from dataset.data_loader.base import Signal
from dataset.synthetic.pulse import make_heart
from dataset.synthetic.settings import resolve
from evaluation.charts import ticks
from evaluation.consensus import Answer, answer
from evaluation.contact import of_ecg
from evaluation.kinds.pulse import answers, views
from evaluation.view import view, waveform
from evaluation.vitals import in_words
from evaluation.vitals_files import PAGE, write_page
from evaluation.vitals_page import SHOWN, page
from registry import UNSUPERVISED
from tests.test_consensus import EXACT, HOW, VOTERS, votes
from tests.test_unsupervised import skin
from unsupervised_methods.measure import Sample, native_rows


def judged(**traces):
    """Answers and views of mean colours (T, 3) at 30 Hz by name."""
    samples = [Sample(name, name, trace, 30.0) for name, trace in traces.items()]
    made = {name: native_rows(UNSUPERVISED[name], samples, HOW)[1] for name in VOTERS}
    given = answers(made, samples, HOW)
    return given, views(given, made, HOW)


AREA = r"class='area' points='[\d.]+,([\d.]+) [^']* [\d.]+,([\d.]+)'"  # first upper and last lower height
NOISE = 120 + np.random.default_rng(3).normal(size=(600, 3))


def test_a_page_says_the_rate_and_why_there_is_none():
    """In words, with wave, rate, spectrum and the time that each number needs; beats only where there is a pulse."""
    given, seen = judged(good=skin(72.0), noise=NOISE)
    text = page("T", given, seen, {"gone": "no face"}, in_words, "")
    good, noise = re.findall(r"<section id='r\d'>.*?</section>", text, re.S)
    assert f"<b>{given[0].rate:.1f}</b> bpm" in good and "confidence 0." in good and "No reliable" not in good
    assert "No reliable pulse" in noise and given[1].reason[1:] in noise and "<b>" not in noise
    for part in (good, noise):
        assert part.count("<svg") == 3 and "data:image/png" in part and "55 s" in part
    assert "class='mark'" in good and "class='mark'" not in noise
    assert "no face" in text and all(word in text for word in ("What the numbers mean", "not a medical device"))


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing():
    """Names and reasons of strangers are words: no tag, no script, no address comes of them."""
    hostile = "<script src='https://x.example/a.js'>\x1b[2J"
    one = answer({"POS": replace(votes(skin(72.0))["POS"], id=hostile)}, EXACT)
    text = page(hostile, [one, Answer(hostile, reason=hostile)], {}, {hostile: hostile}, in_words, "")
    assert "<script" not in text and "\x1b" not in text and "&lt;script" in text
    assert not re.findall(r"(?:src|href)=['\"](?!data:|#)", text) and "@import" not in text and "url(" not in text


def test_an_ecg_has_its_beats_in_the_chart_and_the_band_of_its_interval():
    """It has no spectrum; its confidence says what is left open."""
    ecg = make_heart(resolve({"SECONDS": 30.0, "HEART_RATE": [72.0, 72.0]}), 1).ecg(np.arange(0, 30, 1 / 250))
    one = of_ecg("a", Signal(ecg, fs=250.0), EXACT)
    text = page("T", [one], {}, {}, in_words, "")
    assert text.count("<svg") == 1 and "class='dots'" in text and "By each method" not in text
    top, bottom = map(float, re.search(AREA, text).groups())
    rates = one.course.rates
    span = (2 * 10 + np.ptp(rates) + 6 * (1 - one.confidence)) / 300  # bpm per unit of height
    assert (bottom - top) * span == pytest.approx(6 * (1 - one.confidence), abs=0.1)


def test_a_page_of_many_recordings_says_which_it_shows():
    """A thousand would open in no browser."""
    many = [Answer(f"r{k}", reason="dark") for k in range(SHOWN + 5)]
    text = page("T", many, {}, {}, in_words, "")
    assert f"first {SHOWN} of {SHOWN + 5} recordings" in text and text.count("<section id='r") == SHOWN


def test_of_what_is_not_on_the_page_only_the_wave_is_kept(monkeypatch):
    """A thousand spectra would fill the memory of a run."""
    monkeypatch.setattr("evaluation.kinds.pulse.SHOWN", 1)
    given, seen = judged(a=skin(72.0), b=skin(66.0))
    assert seen["a"].spectra is not None and seen["b"].spectra is None and len(seen["b"].beats)
    assert page("T", given, seen, {}, in_words, "").count("data:image/png") == 1


def test_the_wave_rises_at_its_beats_and_is_written_with_them(tmp_path):
    """20 s at 72 bpm: 24 beats, also of a wave that is upside down; a line per sample."""
    found = votes(skin(72.0, 20.0))
    for sign in (1, -1):
        turned = {name: replace(one, prediction=sign * one.prediction) for name, one in found.items()}
        one = answer(turned, EXACT)
        seen = view(one, turned, EXACT)
        assert np.gradient(seen.wave)[seen.beats].mean() > 0
        rows = [line.split(",") for line in waveform(seen).splitlines()]
        assert rows[0] == ["time_s", "value", "beat"] and len(rows) == 601
        assert sum(int(row[2]) for row in rows[1:]) == pytest.approx(24, abs=1)
        assert float(rows[-1][0]) == pytest.approx(599 / 30, abs=1e-3)


def test_files_are_written_and_an_old_page_does_not_stay(tmp_path, monkeypatch):
    """A name that climbs out of the folder stays in it; a page that fails costs nothing and leaves no other."""
    given, seen = judged(**{"../up": skin(72.0)})
    assert write_page(tmp_path / "run", "T", given, seen, {}, in_words, "").name == PAGE
    assert len(list((tmp_path / "run" / "waveforms").glob("*.csv"))) == 1 and len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("evaluation.vitals_files.page", lambda *_: 1 / 0)
    assert write_page(tmp_path / "run", "T", given, seen, {}, in_words, "") is None
    assert not (tmp_path / "run" / PAGE).exists()


def test_ticks_are_round_and_inside():
    """Of seconds and of rates, also narrow ones."""
    for first, last in ((0, 9.97), (42.8, 62.8), (0.2, 0.9), (15, 75), (0, 3600)):
        found = ticks(first, last, 8)
        assert 2 <= len(found) <= 9 and min(found) >= first and max(found) <= last
