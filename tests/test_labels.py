"""Labels at the frames: alignment, training shapes and pseudo labels."""

import numpy as np
import pytest

from dataset.clips import labels
from dataset.data_loader.base import Signal
from tests.conftest import reference


def relative(found, expected):
    """Largest difference over the largest expected value."""
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def painted(seconds=20.0, fs=30.0, bpm=72.0, seed=1):
    """Mean colour (T, 3) of a grey face with a pulse, and that pulse."""
    time = np.arange(int(seconds * fs)) / fs
    pulse = np.sin(2 * np.pi * bpm / 60 * time)
    rng = np.random.default_rng(seed)
    rgb = np.array([150.0, 110.0, 90.0]) * (1 + 0.01 * pulse[:, None] * [0.33, 0.77, 0.53])
    return rgb + rng.normal(0, 0.05, rgb.shape), pulse


def test_equal_lengths_are_left_alone():
    """A label with one sample a frame is not changed by `index`."""
    values = np.random.default_rng(0).normal(size=31)
    aligned = labels.align(Signal(values), None, 31, "index")
    assert (aligned == values).all() and aligned is not values


@pytest.mark.parametrize(("n", "count"), [(40, 64), (64, 40), (5, 5), (1, 4)])
def test_index_keeps_both_ends_and_straight_lines(n, count):
    """The stretch maps a ramp to a ramp from the first to the last sample."""
    aligned = labels.align(Signal(np.linspace(2, 8, n) if n > 1 else np.array([2.0])), None, count)
    np.testing.assert_allclose(aligned, np.linspace(2, 8, count) if n > 1 else np.full(count, 2.0), atol=1e-12)


def test_timestamps_interpolate_at_the_frames():
    """With times on both sides the value at a frame is read off at that frame's time."""
    times = np.sort(np.random.default_rng(2).uniform(0, 10, 800))
    times[0], times[-1] = 0, 10
    frames = np.sort(np.random.default_rng(3).uniform(0, 10, 250))
    aligned = labels.align(Signal(3 * times + 1, times=times), frames, 250)
    np.testing.assert_allclose(aligned, 3 * frames + 1, atol=1e-9)


def test_a_rate_alone_starts_at_the_first_frame():
    """`timestamps` with a rate only: sample 0 belongs to the first frame; `auto` stretches instead."""
    frames = 5.0 + np.arange(10) / 10
    signal = Signal(np.arange(20.0), fs=20.0)
    np.testing.assert_allclose(labels.align(signal, frames, 10, "timestamps"), 2 * np.arange(10.0))
    np.testing.assert_allclose(labels.align(signal, frames, 10, "auto"), np.linspace(0, 19, 10))


def test_auto_without_frame_times_stretches():
    """Times of the signal alone are not enough."""
    signal = Signal(np.arange(20.0), times=np.arange(20.0))
    np.testing.assert_allclose(labels.align(signal, None, 10), np.linspace(0, 19, 10))


BAD = [
    (Signal(np.array([])), None, 4, "auto", "one row"),
    (Signal(np.zeros((4, 2))), None, 4, "auto", "one row"),
    (Signal(np.ones(4)), None, 0, "auto", "no frames"),
    (Signal(np.array([1.0, np.nan, np.inf])), None, 3, "auto", "2 of 3 samples .* first sample 1"),
    (Signal(np.ones(4)), None, 4, "nearest", "LABEL_ALIGN is 'nearest'"),
    (Signal(np.ones(4), fs=4), None, 4, "timestamps", "the video has no times"),
    (Signal(np.ones(4)), np.arange(4.0), 4, "timestamps", "the signal has no times"),
    (Signal(np.ones(4), times=np.arange(3.0)), np.arange(4.0), 4, "auto", "4 samples but 3 times"),
    (Signal(np.ones(3), times=np.array([0, 2, 1.0])), np.arange(3.0), 3, "auto", "run backwards"),
    (Signal(np.ones(3), times=np.array([0, 1, np.nan])), np.arange(3.0), 3, "auto", "run backwards"),
    (Signal(np.ones(4), times=np.arange(4.0)), np.arange(8.0), 8, "auto", "covers 50 % of the video"),
]


@pytest.mark.parametrize(("signal", "frames", "count", "mode", "message"), BAD)
def test_unusable_labels_raise(signal, frames, count, mode, message):
    """Broken labels and impossible requests never become numbers."""
    with pytest.raises(ValueError, match=message):
        labels.align(signal, frames, count, mode)


def test_frames_just_beyond_the_label_keep_its_end():
    """A few frames outside the label's times take the nearest value."""
    aligned = labels.align(Signal(np.arange(20.0), times=np.arange(20.0)), np.arange(20.0) + 0.5, 20)
    assert aligned[-1] == 19 and aligned[0] == 0.5


def test_a_stretch_that_changes_rates_is_told():
    """Lengths that do not fit the video are named with their effect; other lengths are not."""
    assert "-10.0 %" in labels.length_note(Signal(np.ones(270)), 300, 30.0)
    assert "+50.0 %" in labels.length_note(Signal(np.ones(900), fs=60.0), 300, 30.0)
    for fine in (Signal(np.ones(299)), Signal(np.ones(600), fs=60.0), Signal(np.ones(600)), Signal(np.ones(1))):
        assert labels.length_note(fine, 300, 30.0) == ""
    assert labels.length_note(Signal(np.ones(270)), 300, 0.0) == ""


def test_label_types_on_own_data():
    """Each type does what its formula says, on a fresh array."""
    y = np.random.default_rng(5).normal(3, 2, 100)
    before = y.copy()
    assert (labels.transform(y, "Raw") == y).all()
    np.testing.assert_allclose(labels.transform(y, "Standardized"), (y - y.mean()) / y.std())
    steps = np.diff(y)
    np.testing.assert_allclose(labels.transform(y, "DiffNormalized"), [*(steps / steps.std()), 0])
    assert (y == before).all()
    with pytest.raises(ValueError, match="LABEL_TYPE is 'Log'"):
        labels.transform(y, "Log")


@pytest.mark.parametrize("label_type", ["Standardized", "DiffNormalized"])
@pytest.mark.parametrize("length", [0, 1, 10])
def test_constant_labels_become_zeros(label_type, length):
    """Nothing to scale by: zeros, of the same length."""
    assert (labels.transform(np.full(length, 0.1), label_type) == np.zeros(length)).all()


def test_pseudo_label_follows_the_painted_pulse():
    """The pseudo label of a painted face has its rate and an envelope of 1."""
    trace, pulse = painted()
    wave = labels.pos_pseudo_label(trace, 30.0)
    assert np.abs(wave).max() <= 1 + 1e-12
    assert np.corrcoef(wave[60:-60], pulse[60:-60])[0, 1] > 0.9


def test_pseudo_label_of_a_still_image_is_zero():
    """Without any colour change there is no pulse."""
    assert np.abs(labels.pos_pseudo_label(np.full((200, 3), 100.0), 30.0)).max() <= 1


@pytest.mark.parametrize("trace", [np.ones((100, 2)), np.full((100, 3), np.nan), np.ones((40, 3))])
def test_pseudo_label_refuses_unusable_colours(trace):
    """Wrong shape, NaN or too few frames raise."""
    with pytest.raises(ValueError, match="pseudo label needs"):
        labels.pos_pseudo_label(trace, 30.0)


def test_alignment_and_types_equal_the_recorded_ones():
    """rPPG-Toolbox's resampling and label types to 1e-12."""
    stored = np.load(reference("parity/preprocessing.npz"))
    worst = 0.0
    for name in (name for name in stored if name.startswith("resample_") and name.endswith("_in")):
        expected = stored[name.replace("_in", "_out")]
        worst = max(worst, relative(labels.align(Signal(stored[name]), None, len(expected)), expected))
    for key, label_type in (("diffnorm", "DiffNormalized"), ("standardized", "Standardized")):
        worst = max(worst, relative(labels.transform(stored["label"], label_type), stored[f"label_{key}"]))
        constant = stored[f"label_const_{key}"]
        assert (labels.transform(np.full(len(constant), 4.0), label_type) == constant).all()
    print(f"largest relative difference of labels: {worst:.1e}")
    assert worst <= 1e-12


@pytest.mark.parametrize(
    ("case", "clip", "dtype", "tolerance"),
    [
        ("A_pos_pseudo_label_f64", "A", np.float64, 1e-6),
        ("A_pos_pseudo_label_u8", "A", np.float64, 1e-6),
        ("D_pos_pseudo_label", "D", np.float32, 1e-6),
        ("D_pos_pseudo_label", "D", np.float64, 2e-5),  # recorded from float32 means; float64 ones move it by 1.2e-5
    ],
)
def test_pseudo_labels_equal_the_recorded_ones(case, clip, dtype, tolerance):
    """rPPG-Toolbox's pseudo labels within the tolerance of the recording."""
    stored = np.load(reference("parity/unsupervised.npz"))
    frames = stored[f"{clip}_frames"]
    if dtype == np.float64:
        trace = frames.mean(axis=(1, 2), dtype=dtype)
    else:  # one sum after the other in float32, as recorded
        trace = np.array([frame.sum(axis=0).sum(axis=0) / (frame.shape[0] * frame.shape[1]) for frame in frames])
    found = relative(labels.pos_pseudo_label(trace, float(stored[f"{clip}_fs"])), stored[case])
    print(f"{case} {np.dtype(dtype)}: {found:.1e}")
    assert found <= tolerance
