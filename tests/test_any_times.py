"""Times of any size and order: a sentence or a number from everything that reads them, and no memory."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st

from dataset.clips.inputs import ClipOptions
from dataset.clips.resampling import at_rate, even_grid, resample_grid
from dataset.clips.track import make_track
from dataset.data_loader.base import Signal
from dataset.doctor import timing
from dataset.prepare.checks import time_flags
from dataset.prepare.clock import Video, check_clocks, check_frames, gap
from evaluation.evaluate import rows
from evaluation.presets import PRESETS
from evaluation.results import uniform
from evaluation.settings import Settings
from tests.evaluation_data import beat, recording, signal
from tests.searching import EFFORTS, search
from tests.test_clips import entry
from unsupervised_methods.measure import native_rows, read_sample

EXACT, TOOLBOX = PRESETS["exact"], PRESETS["toolbox"]
MOST = 1 << 26  # bytes that reading some hundred times may take
ODD = st.sampled_from(
    [0.0, -1.0, 1e-9, 1.0, 1e6, 3e15, -3e15, 1e308, -1e308, float("nan"), float("inf"), -float("inf")]
)
STEPS = st.lists(st.tuples(st.integers(0, 400), st.one_of(ODD, st.floats())), max_size=5)
FACTORS = st.sampled_from([1.0, 1.0, 1.0, 1e3, 1e6, 1e9, 1e-3, 1e-9, 0.0, -1.0])
COUNTS = st.integers(1, 400)
RATES = st.one_of(st.sampled_from([20.0, 30.0, 1e-3, 1e4]), st.floats(1e-6, 1e4))


def times(count: int, steps: list, factor: float, start: float) -> np.ndarray:
    """(count,) seconds of a camera of 30 Hz whose clock makes some odd `steps` (place, s), in units of 1 / `factor`."""
    made = np.full(count, 1 / 30)
    for place, step in steps:
        made[place % count] = step
    return start + np.cumsum(made) * factor


CLOCKS = st.builds(times, COUNTS, STEPS, FACTORS, st.one_of(st.just(0.0), ODD))


class Bounded:
    """Asserts that its block takes little memory, and lets ValueErrors of a sentence pass."""

    def __enter__(self):
        """Count from here."""
        tracemalloc.start()

    def __exit__(self, _, error, __):
        """What was the most, and whether it ended as it should."""
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST
        return isinstance(error, ValueError) and len(str(error).split()) > 3


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_clock_is_judged(effort):
    """By the judge of preprocessing, by the flags, by the doctor."""

    def holds(clock, wave):
        flags = time_flags(clock)
        assert all(isinstance(number, int) for number in flags.values())
        with Bounded():
            check_frames(clock)
        with Bounded():
            video = Video.of(clock, len(clock), 30.0)
            check_clocks({"ppg": Signal(np.zeros(len(wave)), times=wave)}, ["ppg"], video=video)
        gap(Signal(np.zeros(len(wave)), times=wave))
        for found in (
            timing.check_duration(clock, len(clock), 30.0),
            timing.check_rate(clock, 30.0, {"FS": 25.0}),
            timing.check_spacing(clock),
            timing.check_dropped(clock, len(clock)),
            timing.check_doubled(clock, 0, len(clock), 30.0, 0.0),
        ):
            assert found.grade in ("", "ok", "look", "bad") and found.text

    search(holds, effort, 100, clock=CLOCKS, wave=CLOCKS)


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_clock_gives_a_grid_or_a_sentence(effort):
    """Frames and signals at other rates."""

    def holds(clock, fs):
        with Bounded():
            assert np.isfinite(resample_grid(clock, len(clock), 30.0, fs)[1]).all()
        with Bounded():
            assert np.isfinite(uniform(clock, np.ones(len(clock)), fs)[1]).all()
        with Bounded():
            one = Signal(np.ones(len(clock)), times=clock)
            assert np.isfinite(at_rate(one, even_grid(one).to(fs))).all()

    search(holds, effort, 100, clock=CLOCKS, fs=RATES)


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_clock_is_evaluated(effort):
    """Of the frames and of the reference: each recording has a row, with a rate that can be or with the reason."""

    def holds(clock, wave, preset, method, window):
        if method == "path" and preset is TOOLBOX:
            return
        made = recording(times=None, prediction=beat(72, np.arange(len(clock)) / 30), label=None)
        bad = recording(
            prediction=made.prediction,
            label=made.prediction,
            times=clock,
            reference=signal(np.ones(len(wave)), times=wave),
        )
        with Bounded():
            found = rows([bad], preset, method, window)
            assert found and all(np.isfinite(one.hr_pred) or one.note for one in found if preset is EXACT)

    search(
        holds, effort, 60, clock=CLOCKS, wave=CLOCKS, preset=st.sampled_from([EXACT, TOOLBOX]),
        method=st.sampled_from(["FFT", "peak detection", "path"]), window=st.sampled_from([None, 3.0, 10.0]),
    )  # fmt: skip


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_clock_is_read_by_both_kinds_of_methods(effort, tmp_path):
    """Clips of a network and colours of a classical method, with RESAMPLE_FS and without."""
    whole = entry(tmp_path, count=400)

    def holds(clock, wave, fs, align):
        ppg = Signal(np.sin(np.arange(len(wave))), times=wave)
        changed = {"times": clock, "signals": {"ppg": ppg}, "faces": whole.faces[: len(clock)]}
        one = SimpleNamespace(**{**vars(whole), **changed})
        with Bounded():
            track, _ = make_track(one, ClipOptions(length=10, fs=fs, label_align=align))
            assert all(np.isfinite(values).all() for values in track.labels.values())
        colours = 100 + np.outer(beat(72, np.arange(len(clock)) / 30), [1.0, 2.0, 1.5])
        stored = SimpleNamespace(**{**vars(one), "trace": colours, "flags": {}, "info": {}})
        with Bounded():
            sample = read_sample(stored, "Raw", align, fs)
            how = Settings([], "FFT", None, EXACT, EXACT, 30.0, 0)
            found, _ = native_rows(lambda trace, fs: trace[:, 1], [sample], how)
            assert all(np.isfinite(one.hr_pred) or one.note for one in found)

    search(
        holds, effort, 40, clock=CLOCKS, wave=CLOCKS, fs=st.one_of(st.just(0.0), RATES),
        align=st.sampled_from(["auto", "timestamps", "index"]),
    )  # fmt: skip
