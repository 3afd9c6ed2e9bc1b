"""Inputs of clips: signals at other rates, further cameras, channels by name, what is missing, lengths and strides."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.clips.batch import collate
from dataset.clips.clips import Ask, ClipDataset
from dataset.clips.inputs import ClipOptions, Input, nominal
from dataset.clips.labels import Label
from dataset.clips.resampling import at_rate, even_grid, measure
from dataset.data_loader.base import Signal
from tests.test_clips import dataset, entry


def wave(seconds, fs, hertz=1.0, start=0.0, **more):
    """A sine at its own rate whose phase is that of the recording's clock."""
    return Signal(np.sin(2 * np.pi * hertz * (start + np.arange(round(seconds * fs)) / fs)), fs=fs, **more)


def record(name="p1", seconds=20.0, fs=100.0, targets=None, **signals):
    """An entry without video."""
    signals = signals or {"ecg": wave(seconds, fs), "ppg": wave(seconds, fs, 2.0)}
    made = {"id": name, "subject": name, "faces": None, "times": None, "fs": 0.0, "signals": signals}
    made |= {"thermal": None, "streams": {}, "frame_trace": None}
    return SimpleNamespace(**made, targets=targets or {})


def camera(count=40, fs=60.0, times=None, size=(4, 3), seed=5):
    """A further stream as an entry holds it."""
    frames = np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    stats = measure(lambda start, stop: frames[start:stop], count)
    return SimpleNamespace(shape=frames.shape, fs=fs, times=times, stats=stats, open=lambda: frames)


def clips(*entries, **options):
    """Clips of entries without video by default of their ECG."""
    by_id = {one.id: one for one in entries}
    given = {"inputs": ("ecg",), "labels": (), "length": 500, **options}
    return ClipDataset(by_id.__getitem__, list(by_id), ClipOptions(**given))


# --- Signals --------------------------------------------------------------------------------------------------------


def test_a_signal_sets_the_clock():
    """Samples instead of frames: cut as recorded, no video asked for; two signals are rows of one input."""
    one = record()
    made = clips(one, inputs=(Input("contact", ("ecg", "ppg")),))
    assert len(made) == 4 and made.clip_lengths() == [500] * 4 and set(made[0]) == {
        "contact", "recording", "subject", "clip", "fs", "index",
    }  # fmt: skip
    expected = np.stack([one.signals[name].values[500:1000] for name in ("ecg", "ppg")]).astype(np.float32)
    np.testing.assert_array_equal(made[1]["contact"], expected)
    assert made[0]["fs"] == 100.0 and clips(one)[0]["ecg"].shape == (500,)


def test_other_rates_bring_no_aliases():
    """At 25 Hz a wave of 1 Hz is what it was, and one of 40 Hz is gone instead of looking like 10 Hz."""
    seconds, fs = 60.0, 125.0
    slow, fast = wave(seconds, fs, 1.0), wave(seconds, fs, 40.0)
    made = clips(record(ecg=Signal(slow.values + fast.values, fs=fs)), fs=25.0, length=None)
    found = made[0]["ecg"].numpy()
    assert len(found) == 1500 and made[0]["fs"] == 25.0
    np.testing.assert_allclose(found[50:-50], np.sin(2 * np.pi * np.arange(1500) / 25)[50:-50], atol=2e-3)


@pytest.mark.parametrize("own", [29.97, 62.4725, 127.3019, 250.0, 499.87, 1000 / 3])
def test_rates_without_a_common_measure_do_not_drift(own):
    """After an hour a clip still lies where its time says; its rate is right to 1 in 10,000."""
    made = clips(record(ecg=wave(3600, own, 0.5)), fs=50.0, length=500)
    assert made[0]["fs"] == pytest.approx(50.0, rel=1e-4)
    times = np.arange(*made.clips[-2][1:3]) / made[0]["fs"]
    np.testing.assert_allclose(made[len(made) - 2]["ecg"], np.sin(np.pi * times), atol=0.04)


def test_uneven_times_are_put_on_a_grid_first():
    """Jitter and a gap: the wave is read where its times say."""
    times = np.arange(1000) / 50 + np.random.default_rng(0).uniform(-0.006, 0.006, 1000)
    times = np.delete(np.sort(times), slice(300, 310)) + 7.0
    grid = even_grid(Signal(np.sin(times), times=times)).to(50.0)
    found = at_rate(Signal(np.sin(times), times=times), grid)
    assert grid.uneven and abs(len(found) - 1000) <= 2
    expected = np.sin(times[0] + np.arange(len(found)) / grid.fs)
    np.testing.assert_allclose(found[20:-20], expected[20:-20], atol=0.01)


def test_a_jump_of_the_clock_asks_for_no_memory():
    """A time that is years off is named, not interpolated to."""
    times = np.append(np.arange(1000) / 100, 3e8)
    made = clips(record(ecg=Signal(np.zeros(1001), times=times)))
    assert not len(made) and "signal 'ecg' is no input" in made.failed[0][1] and "clock jumps" in made.failed[0][1]


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (Signal(np.array([1.0, np.nan]), fs=1.0), "NaN"),
        (Signal(np.zeros(600)), "neither a rate nor times"),
        (Signal(np.zeros(3), times=np.array([0.0, 2.0, 1.0])), "run backwards"),
        (Signal(np.zeros((2, 300)), fs=1.0), "one row"),
        (Signal(np.zeros(600), fs=1e-9), "cannot be read at"),
    ],
)
def test_signals_that_cannot_be_cut_fail_their_recording(signal, said):
    """By name and with the reason; the others are there."""
    made = clips(record("bad", ecg=signal), record("good"), fs=100.0)
    assert made.recordings == ["good"] and made.failed[0][0] == "bad" and said in made.failed[0][1]


def test_recordings_of_other_rates_need_one_rate():
    """As recorded all must agree; at one rate they do."""
    mixed = record("a"), record("b", fs=250.0)
    made = clips(*mixed)
    assert made.recordings == ["a"] and "RESAMPLE_FS" in made.failed[0][1] and "250 Hz" in made.failed[0][1]
    assert (
        len(clips(*mixed, fs=50.0)) == 4
        and nominal(29.97) == 30
        and nominal(62.4725) == 62.47
        and nominal(124.98) == 125.0
    )


def test_signals_are_read_once_and_never_travel(monkeypatch):
    """Construction keeps no sample; a clip reads its recording, the next one does not; pickles hold none."""
    entries, read = {name: record(name) for name in ("a", "b", "c")}, []

    def open_entry(name):
        read.append(name)
        return entries[name]

    made = ClipDataset(open_entry, list(entries), ClipOptions(inputs=("ecg",), labels=(), length=500))
    assert read == ["a", "b", "c"] and not made._waves
    first = [made[k]["ecg"] for k in range(len(made))]
    assert read[3:] == ["a", "b", "c"]
    monkeypatch.setattr("dataset.clips.clips.KEPT_BYTES", 10_000)
    made._waves.clear()
    made._wave_bytes = 0
    assert all(torch.equal(made[k]["ecg"], first[k]) for k in range(len(made))) and len(made._waves) == 1
    assert made.__getstate__()["_waves"] == {}


def test_a_signal_beside_a_video_covers_the_same_time(tmp_path):
    """At the clip's rate as many samples as frames; at its own rate as many as the time has."""
    one = entry(tmp_path, count=90, signals={"radar": Signal(np.arange(300) / 100, fs=100.0)})
    made = dataset(one, length=30, labels=(), inputs=("video", "radar", Input("fine", ("radar",), fs=50.0)))
    sample = made[2]
    assert sample["radar"].shape == (30,) and sample["fine"].shape == (1, 50)
    np.testing.assert_allclose(sample["radar"][3:-12], 2 + np.arange(3, 18) / 30, atol=0.01)
    np.testing.assert_allclose(sample["fine"][0, 5:-20], 2 + np.arange(5, 30) / 50, atol=0.01)


def test_clocks_are_compared(tmp_path):
    """A signal that starts three frames late lies three frames later; one of another hour fails by name."""
    times = 100 + np.arange(90) / 30
    own = np.arange(290) / 100 + 100.1
    one = entry(tmp_path, count=90, times=times, signals={"radar": Signal(own, times=own)})
    np.testing.assert_allclose(
        dataset(one, length=30, labels=(), inputs=("video", "radar"))[1]["radar"], times[30:60], atol=0.01
    )
    one.signals["radar"] = Signal(own, times=own + 3600)
    failed = dataset(one, labels=(), inputs=("video", "radar")).failed
    assert "covers 0 % of the recording" in failed[0][1]


# --- Cameras --------------------------------------------------------------------------------------------------------


def test_a_further_camera_shows_the_same_time(tmp_path):
    """Its own size and rate: twice the frames at 60 Hz, the nearest in time where its times are uneven."""
    one = entry(tmp_path, count=20)
    one.streams = {"side": camera(40)}
    sample = dataset(one, inputs=("video", "side"))[1]
    frames = one.streams["side"].open()
    assert sample["side"].shape == (3, 20, 4, 3) and not sample["side_has_next"]
    assert (sample["side"].permute(1, 2, 3, 0).numpy() == frames[20:40]).all()
    assert dataset(one, inputs=("video", "side"))[0]["side_next_frame"].permute(1, 2, 0).numpy().tolist() == (
        frames[20].tolist()
    )
    uneven = np.sort(np.random.default_rng(1).uniform(0, 0.66, 40))
    one.streams["side"] = camera(40, times=uneven)
    found = dataset(one, inputs=("video", Input("side", fs=30.0)))[1]["side"]
    wanted = (10 + np.arange(10)) / 30 - 0 + uneven[0]
    nearest = [int(np.abs(uneven - time).argmin()) for time in wanted]
    assert (found.permute(1, 2, 3, 0).numpy() == frames[nearest]).all()


def test_a_video_beside_a_signal_clock(tmp_path):
    """The faces of the time in which the samples lie, with all that normalising needs."""
    one = entry(tmp_path, count=60, signals={"ecg": wave(2.0, 100.0)})
    sample = dataset(one, length=100, labels=(), inputs=("ecg", "video"))[1]
    assert sample["ecg"].shape == (100,) and sample["video"].shape == (3, 30, 6, 5) and not sample["has_next"]
    assert (sample["video"].permute(1, 2, 3, 0).numpy() == one.faces[30:60]).all() and sample["stats"].shape == (3,)


def test_channels_are_chosen_by_name(tmp_path):
    """streams=("faces", "thermal") is what RGBT says."""
    heat = np.random.default_rng(0).normal(30, 1, (25, 6, 5, 1)).astype(np.float32)
    one = entry(tmp_path, thermal=heat, thermal_stats=measure(lambda start, stop: heat[start:stop], 25))
    named = dataset(one, inputs=(Input("video", ("faces", "thermal")),))[1]
    known = dataset(one, bands="RGBT")[1]
    assert set(named) == set(known) and all(torch.equal(named[k], known[k]) for k in ("video", "stats", "next_frame"))
    one.streams = {"side": camera(25)}
    failed = dataset(one, inputs=(Input("video", ("faces", "side")),)).failed
    assert "cannot be channels of one video" in failed[0][1]


# --- What is missing ------------------------------------------------------------------------------------------------


def test_a_missing_input_is_zeros_with_a_mark_or_an_error(tmp_path):
    """All samples of a data set have the same keys and shapes; a required one fails the recording by name."""
    rich, poor = entry(tmp_path, "rich", 30, signals={"radar": wave(1.0, 100.0)}), entry(tmp_path, "poor", 30)
    poor.signals, rich.streams = {}, {"side": camera(60)}
    inputs = ("video", Input("radar", fs=50.0, optional=True), Input("side", optional=True))
    made = dataset(poor, rich, labels=(), inputs=inputs)
    batch = collate([made[k] for k in range(len(made))])
    assert batch["has_radar"].tolist() == batch["has_side"].tolist() == [False] * 3 + [True] * 3
    assert not batch["radar"][:3].any() and batch["radar"].shape == (6, 17) and batch["side"].shape == (6, 3, 20, 4, 3)
    assert not batch["side"][:3].any() and batch["side"][3:].any() and not batch["side_stats"][:3].any()
    assert "1 of 2 recordings have no 'radar', zeros instead: poor" in made.notes
    made = dataset(poor, rich, labels=(), inputs=("video", "radar"))
    assert made.failed == [("poor", "no signal 'radar' (it has: none)")] and made.recordings == ["rich"]
    alone = dataset(poor, labels=(), inputs=inputs[:2])[0]
    assert not alone["has_radar"] and alone["radar"].shape == (17,)


def test_names_are_given_once():
    """An input and a label of one name would hide each other; no input is no clip."""
    with pytest.raises(ValueError, match="called 'ppg'"):
        ClipOptions(inputs=("ppg",))
    for wrong in ({"inputs": ()}, {"length": 0}, {"stride": -1}):
        with pytest.raises(ValueError):
            ClipOptions(**wrong)
    with pytest.raises(ValueError, match="known: wave, codes, scalar"):
        Label("sbp", "number")


# --- Labels of one number -------------------------------------------------------------------------------------------


def test_scalars_are_targets_of_the_recording():
    """(B,) of one, (B, columns) of several; NaN where a recording lacks it; a required one fails it by name."""
    one, two = record("a", targets={"sbp": 120.0, "dbp": 80.0}), record("b", targets={"sbp": np.nan})
    labels = Label("sbp", "scalar"), Label("bp", "scalar", ("sbp", "dbp"))
    made = clips(one, two, labels=labels)
    batch = collate([made[k] for k in (0, 4)])
    assert batch["sbp"].shape == (2,) and batch["sbp"].dtype == torch.float32 and batch["bp"].shape == (2, 2)
    assert batch["sbp"][0] == 120 and batch["bp"][0].tolist() == [120, 80] and batch["bp"][1].isnan().all()
    made = clips(one, two, record("c"), labels=(Label("sbp", "scalar", required=True),))
    assert [name for name, _ in made.failed] == ["b", "c"]
    assert "'sbp' is NaN" in made.failed[0][1] and "no target or signal 'sbp'" in made.failed[1][1]


def test_a_scalar_without_a_target_is_the_mean_of_its_signal():
    """Over the clip, gaps left out; the target wins where there is one."""
    rate = Signal(np.repeat([60.0, 70.0, np.nan, 90.0], 5), fs=1.0)
    one = record("a", ecg=wave(20, 100.0), hr=rate)
    made = clips(one, labels=(Label("hr", "scalar"),))
    found = [made[k]["hr"].item() for k in range(4)]
    assert found[0] == pytest.approx(60, abs=2) and found[1] == pytest.approx(70, abs=2) and found[3] == 90
    one.targets = {"hr": 72.0}
    assert clips(one, labels=(Label("hr", "scalar"),))[1]["hr"] == 72


def test_waves_follow_samples_of_a_signal_clock():
    """A label at another rate is read where the input's samples lie."""
    one = record(ecg=wave(20, 100.0), abp=Signal(np.arange(5000) / 250, fs=250.0))
    np.testing.assert_allclose(clips(one, labels=(Label("abp"),))[1]["abp"], 5 + np.arange(500) / 100, atol=1e-5)


# --- Length, stride, epoch ------------------------------------------------------------------------------------------


def test_clips_may_overlap_and_be_counted_in_seconds(tmp_path):
    """Half a clip apart; ten frames are a third of a second."""
    one = entry(tmp_path, count=32)
    made = dataset(one, stride=5)
    assert [start for _, start, _, _ in made.clips] == [0, 5, 10, 15, 20] and made.dropped == {"r1": 2}
    assert (made[1]["video"][:, 5:] == made[2]["video"][:, :5]).all() and made.room(1) == (-5, 17)
    timed = dataset(one, length=99, seconds=1 / 3)
    assert len(timed) == 3 and torch.equal(timed[1]["video"], dataset(one)[1]["video"])
    assert [start for _, start, _, _ in dataset(one, stride=20).clips] == [0, 20]
    listed = ClipDataset({"r1": one}.__getitem__, ["r1"], ClipOptions(length=10, stride=5), {"r1": [0, 1, 4]})
    assert [listed.room(k) for k in range(3)] == [(0, 5), (-5, 0), (0, 0)]


def test_who_asks_says_the_epoch(tmp_path):
    """Only then a sample has one; a plain number is the same clip without it."""
    made = dataset(entry(tmp_path))
    asked = made[pickle.loads(pickle.dumps(Ask(1, epoch=3)))]
    assert asked["epoch"] == 3 and "epoch" not in made[1] and torch.equal(asked["video"], made[1]["video"])
    assert collate([asked, made[Ask(0, 4)]])["epoch"].tolist() == [3, 4]
