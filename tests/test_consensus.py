"""One answer per recording: a rate that may be believed, or a refusal with its reason."""

import json

import numpy as np
import pytest

from evaluation.consensus import LEVEL, VOTERS, answer
from evaluation.kinds.pulse import answers
from evaluation.presets import preset
from evaluation.results import RecordingResult
from evaluation.settings import Settings
from evaluation.strength import LEAST, strength
from evaluation.vitals import answer_content, answer_lines, in_words
from registry import UNSUPERVISED
from tests.test_path import changing
from tests.test_unsupervised import COLOUR, PULSE_COLOUR, skin
from unsupervised_methods.door import answer_of
from unsupervised_methods.measure import Sample, native_rows, predict
from unsupervised_methods.run import NoPulseError

EXACT = preset("exact")
HOW = Settings([], "FFT", None, EXACT, EXACT, 30.0, 0)


def votes(trace: np.ndarray, fs: float = 30.0, names=VOTERS) -> dict[str, RecordingResult]:
    """What the voters make of `trace`."""
    found = {name: predict(UNSUPERVISED[name], trace, fs, EXACT.band)[0] for name in names}
    return {name: RecordingResult("a", "a", fs, wave) for name, wave in found.items()}


@pytest.mark.parametrize("bpm", [44.0, 72.0, 165.0])
@pytest.mark.parametrize("seconds", [6.0, 20.0])
def test_a_clear_pulse_has_a_rate_an_interval_and_confidence(bpm, seconds):
    """Slow and fast, short and long: within 2 bpm, the interval holds it, a short one a wider interval."""
    found = answer(votes(skin(bpm, seconds)), EXACT, coverage=1.0)
    assert found.reliable and found.rate == pytest.approx(bpm, abs=2) and found.confidence > 0.6
    assert found.interval[0] < bpm < found.interval[1]
    assert in_words(found).startswith(f"{found.rate:.1f} bpm (") and set(found.votes) == set(VOTERS)


def test_a_changing_rate_is_no_weak_pulse():
    """From 62 to 104 bpm and back: confident, and the interval is that of the rate."""
    at, rate, _ = changing()
    wave = np.sin(2 * np.pi * np.cumsum(rate / 60) / 30)
    noise = 0.1 * np.random.default_rng(0).normal(size=(len(at), 3))
    found = answer(votes(COLOUR * (1 + 0.003 * wave[:, None] * PULSE_COLOUR) + noise), EXACT)
    assert found.reliable and found.interval[0] < 66 and found.interval[1] > 100


@pytest.mark.parametrize("kind", ["shuffled", "wall"])
def test_what_has_no_pulse_has_no_rate(kind):
    """Shuffled frames of a face and a wall before a noisy camera, 20 s: of 30 each not more than one gets a rate."""
    random, believed = np.random.default_rng(5), 0
    for _ in range(30):
        wall = COLOUR + 0.2 * random.normal(size=(600, 3)) + 0.01 * random.normal(size=(600, 1)).cumsum(axis=0)
        trace = random.permutation(skin(seconds=20.0)) if kind == "shuffled" else wall
        believed += answer(votes(trace), EXACT).reliable
    assert believed <= 1


def test_a_refusal_gives_reason_and_advice():
    """Disagreement, noise, a face part of the time, a short wave: each by its own words, in the file as null."""
    at = np.arange(600) / 30
    apart = {name: np.sin(2 * np.pi * hertz * at) for name, hertz in zip(VOTERS, (0.8, 1.3, 2.2), strict=True)}
    torn = answer({name: RecordingResult("a", "a", 30.0, wave) for name, wave in apart.items()}, EXACT)
    assert "the methods disagree (POS 48, CHROM 78, LGI 132 bpm). Hold still" in torn.reason
    noise = np.random.default_rng(3).normal(size=(600, 3))
    weak = answer({"POS": RecordingResult("a", "a", 30.0, noise[:, 0])}, EXACT)
    assert "the rest is noise. More light" in weak.reason and weak.confidence < LEVEL
    part = answer(votes(skin()), EXACT, coverage=0.4)
    assert "a face in 40% of the video only" in part.reason
    short = answer({"POS": RecordingResult("a", "a", 30.0, noise[:90, 0])}, EXACT)
    assert "lasts 3.0 s; 5 s are needed" in short.reason
    for one in (torn, weak, part, short):
        content = answer_content(one)
        assert content["heart_rate_bpm"] is None and content["interval_bpm"] is None and not content["reliable"]
        assert in_words(one).startswith("no reliable pulse") and in_words(one).endswith(f": {one.reason}.")
    assert f"(confidence {weak.confidence:.2f}, 0.40 needed)" in in_words(weak) and "needed)" not in in_words(part)


def test_only_the_voters_vote():
    """GREEN cannot outvote them; alone it is the voter; where a voter has no wave there is an answer without number."""
    samples = [Sample("a", "a", skin(72.0), 30.0), Sample("red", "red", skin() * [1.0, 0.0, 0.0], 30.0)]
    made = {name: native_rows(UNSUPERVISED[name], samples, HOW)[1] for name in (*VOTERS, "GREEN")}
    good, red = answers(made, samples, HOW)
    assert set(good.votes) == set(VOTERS) and good.reliable
    assert "not all of POS, CHROM, LGI can be computed" in red.reason
    assert set(answers({"GREEN": made["GREEN"][:1]}, samples[:1], HOW)[0].votes) == {"GREEN"}


def test_screen_and_file_say_the_same():
    """One line per recording, what failed below; the named keys in the file."""
    found = answer(votes(skin(72.0)), EXACT)
    assert answer_lines([found], [], [("b", "no face")]) == f"a: {in_words(found)}\nFAILED b: no face"
    content = json.loads(json.dumps(answer_content(found)))
    keys = {"heart_rate_bpm", "interval_bpm", "reliable", "reason", "respiratory_rate_bpm", "hrv", "method", "band_hz"}
    assert keys | {"window_s", "fps", "region"} <= set(content)
    assert content["method"] == "POS + CHROM + LGI" and content["window_s"] == pytest.approx(10.0)
    assert NoPulseError.exit_code == 3 and "12 of 20 recordings" in str(NoPulseError([*"abcdefghijkl"], 20))


def test_what_beats_without_the_size_of_a_pulse_is_none():
    """The same rhythm, as clear: at a tenth of the strength there is no number, and the sentence says why."""
    at, random = np.arange(600) / 30, np.random.default_rng(0)

    def judged(depth):
        beats = depth * np.sin(2 * np.pi * 1.2 * at)[:, None] * PULSE_COLOUR + 0.3 * depth * random.normal(
            size=(600, 3)
        )
        return answer_of(Sample("a", "a", COLOUR * (1 + beats), 30.0), HOW)

    real, rest = judged(4e-3), judged(4e-4)
    assert real.reliable and real.heart_rate == pytest.approx(72, abs=1) and real.strength > LEAST
    assert rest.confidence > LEVEL and not rest.reliable and rest.strength < LEAST
    assert "less than a pulse does. Is it a picture?" in in_words(rest)
    assert answer_content(rest)["strength"] == pytest.approx(rest.strength)


def test_light_is_no_pulse_however_much_it_changes():
    """What changes all channels alike has no strength."""
    light = 1 + 0.05 * np.sin(2 * np.pi * 1.2 * np.arange(600) / 30)
    assert strength(COLOUR * light[:, None], 30.0, EXACT.band, 1.0) < 1e-9


def test_the_strength_of_colours_says_nothing_of_a_network():
    """It may see what their mean does not show."""
    found = {"Net": [RecordingResult("a", "a", 30.0, np.sin(2 * np.pi * 1.2 * np.arange(600) / 30))]}
    (one,) = answers(found, [Sample("a", "a", np.tile(COLOUR, (600, 1)), 30.0)], HOW)
    assert one.reliable and np.isnan(one.strength)
