"""Times are claims of a file: a clock that jumps costs its own recording a sentence, and no memory."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.clips.resampling import FINEST, SPAN, SPARE, resample_grid
from dataset.data_loader.base import Signal
from dataset.doctor import sensors
from dataset.doctor.examine import examine
from dataset.prepare.checks import time_flags
from evaluation import publish
from evaluation.evaluate import rows
from evaluation.kinds.base import Names, Predicted, Reading
from evaluation.presets import PRESETS
from evaluation.results import uniform
from evaluation.settings import Settings
from tests import test_heads as heads
from tests.doctor_tools import heart, make
from tests.evaluation_data import beat, recording
from tests.test_clips import dataset, entry
from unsupervised_methods.measure import Sample, native_rows, read_sample

EXACT = PRESETS["exact"]
EVEN = np.arange(900) / 30.0


def jumping(times=EVEN, at=200, by=3e15):
    """`times` (s) with one jump of the clock."""
    return times + by * (np.arange(len(times)) >= at)


@pytest.mark.parametrize("by", [1e6, 3e15, np.inf, np.nan])
def test_evaluation_names_the_recording_and_goes_on(by):
    """The one with a jump has a row that says so, the other its rate."""
    found = rows([recording(times=jumping(by=by), name="bad"), recording(name="good")], EXACT)
    assert [one.id for one in found] == ["bad", "good"] and found[1].valid and not found[0].valid
    assert "clock jumps" in found[0].note or "NaN or infinite" in found[0].note


def test_a_jump_costs_only_its_own_window():
    """Of three windows the two without the jump are evaluated."""
    found = rows([recording(times=jumping(at=450), reference=None, label=None)], EXACT, "FFT", 10.0)
    assert [np.isfinite(one.hr_pred) for one in found] == [True, False, True] and "clock jumps" in found[1].note


def test_classical_methods_go_on():
    """Colours at jumping times fail by name, with and without RESAMPLE_FS."""
    colours = 100 + np.outer(beat(72, EVEN), [1.0, 2.0, 1.5])
    how = Settings([], "FFT", None, EXACT, EXACT, 30.0, 0)
    samples = [Sample(name, name, colours, 30.0, times) for name, times in (("bad", jumping()), ("good", EVEN))]
    found, results = native_rows(lambda trace, fs: trace[:, 1], samples, how)
    assert "clock jumps" in found[0].note and [one.id for one in results] == ["good"]
    stored = SimpleNamespace(
        id="a", subject="a", trace=colours, fs=30.0, times=jumping(), signals={}, flags={}, info={}
    )
    with pytest.raises(ValueError, match="clock jumps"):
        read_sample(stored, "Raw", "auto", 20.0)


def test_clips_at_another_rate_fail_by_name(tmp_path):
    """RESAMPLE_FS over a jump: the recording is among the failed, the other is cut."""
    bad = entry(tmp_path, "bad", count=90, times=jumping(np.arange(90) / 30, 40))
    good = entry(tmp_path, "good", count=90, times=np.arange(90) / 30)
    made = dataset(bad, good, length=30, labels=(), fs=20.0)
    assert made.recordings == ["good"] and "clock jumps" in made.failed[0][1]


def test_a_rate_that_nothing_can_be_read_at_is_refused():
    """A thousand million frames a second are not made."""
    with pytest.raises(ValueError, match="cannot be read at 1e"):
        resample_grid(EVEN, len(EVEN), 30.0, 1e9)
    with pytest.raises(ValueError, match="cannot be read at 1e"):
        resample_grid(None, 900, 30.0, 1e9)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (lambda t: t * 1e9, "nanoseconds?"),
        (lambda t: t * 1e3, "milliseconds?"),
        (lambda t: jumping(t, 600), "clock jumps"),
    ],
)
def test_the_doctor_grades_a_label_with_a_useless_clock(tmp_path, times, said):
    """One bad finding; the video is examined all the same."""
    native = np.arange(0.0, 20.0, 1 / 64)
    report = examine(make(tmp_path, ppg=Signal(heart(native), times=times(native))))
    clock = [one for one in report.findings if one.check == "label clock"]
    assert not report.error and clock[0].grade == "bad" and said in clock[0].text
    assert any(one.check == "camera pulse" for one in report.findings)


@pytest.mark.parametrize("times", [lambda t: t * 1e9, lambda t: jumping(t, 600), lambda t: 0 * t])
def test_an_ecg_with_a_useless_clock_is_told_and_nothing_else_of_it(tmp_path, times):
    """Beside a video as in a record without one."""
    native = np.arange(0.0, 20.0, 1 / 64)
    ecg = Signal(heart(native), times=times(native))
    report = examine(make(tmp_path, ppg=Signal(heart(native), fs=64.0), ecg=ecg))
    alone = sensors.examine({"ecg": ecg}, {})
    assert not report.error and [one.check for one in alone] == ["ecg clock"] and alone[0].grade == "bad"
    assert [one.check for one in report.findings if one.check.startswith("ecg")] == ["ecg clock"]


def claims(draw):
    """Times as a stranger's file may have them: steps of all sizes, repeats, backwards, NaN and infinities."""
    steps = 10.0 ** draw.uniform(-12, 18, draw.integers(1, 60)) * draw.choice([1, 1, 1, 0, -1])
    common = draw.random(len(steps)) < 0.7
    times = np.cumsum(np.where(common, 1 / 30, steps))
    if draw.random() < 0.2:
        times[draw.integers(len(times))] = draw.choice([np.nan, np.inf, -np.inf, 1e308])
    return times if draw.random() < 0.5 else np.sort(times)


def test_no_times_make_a_grid_much_longer_than_themselves():
    """Whatever is claimed: a grid within bounds, or ValueError with a reason."""
    draw = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for _ in range(2000):
            times, fs = claims(draw), 10.0 ** draw.uniform(-6, 9)
            most = (SPAN * len(times) + SPARE) * (FINEST + 1)
            for made in (lambda t, f: uniform(t, t, f)[0], lambda t, f: resample_grid(t, len(t), 30.0, f)[0]):
                try:
                    assert len(made(times, fs)) <= most
                except ValueError as error:
                    assert any(word in str(error) for word in ("NaN or infinite", "cannot be read at", "clock jumps"))


def test_a_recording_that_fails_when_it_is_evaluated_fails_by_name(tmp_path):
    """Codes at times that run backwards: the other recording is scored, this one is named."""
    rising = np.arange(40) / 10
    probabilities = np.linspace(0, 1, 40)[:, None]
    made = []
    for name, times in (("good", rising), ("bad", rising[::-1])):
        stored = heads.entry(times=rising, AU01=Signal(np.arange(40) % 2, times=times))
        made.append(Predicted(name, name, {0: {"au": probabilities}}, 10.0, stored, Reading(40)))
    units = replace(heads.UNITS, parts=("AU01",))
    tested = publish.evaluate(made, [units], [], Names("x", "X", tmp_path, tmp_path, tmp_path), allow=True)
    assert [name for name, _ in tested.failed] == ["bad"] and "run backwards" in tested.failed[0][1]
    assert "1 of 2 recordings" in (tmp_path / "report.md").read_text()


def test_a_gap_without_end_is_counted_like_a_long_one():
    """How many frames it would have had is no number, or one of three hundred digits."""
    lost = time_flags(np.array([0.0, 1 / 30, 2 / 30, 1e308]))["dropped_frames"]
    assert 1e8 < lost <= 1e9
    assert time_flags(np.array([0.0, 1 / 30, 2 / 30, np.inf]))["dropped_frames"] == lost
