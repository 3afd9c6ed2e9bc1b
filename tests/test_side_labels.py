"""Labels beside the pulse: aligned with the frames, transformed by kind, the same in every sample."""

import math

import numpy as np
import pytest
import torch

from dataset.clips import labels
from dataset.clips.batch import collate
from dataset.clips.labels import Label
from dataset.data_loader.base import Signal
from neural_methods.loss.mse import known_mse, mse
from tests.test_clips import dataset, entry

PULSE, RESP, RATE = Label("ppg", required=True), Label("resp"), Label("hr", "scalar")
UNITS = Label("au", "codes", ("AU01", "AU02"))


def with_signals(tmp_path, name="r1", count=25, **signals):
    """A cache entry with a pulse and more."""
    one = entry(tmp_path, name, count)
    one.signals |= signals
    return one


def joined(made, name):
    """The label of all clips in a row."""
    return np.concatenate([made[k][name].numpy() for k in range(len(made))])


@pytest.mark.parametrize("label_type", labels.LABEL_TYPES)
def test_waves_are_transformed_like_the_pulse_and_others_are_not(tmp_path, label_type):
    """Respiration as LABEL_TYPE says, codes as recorded, of a rate the mean over the clip."""
    breath, rate = np.sin(np.arange(50) / 9), np.where(np.arange(50) < 20, 60.0, 75.0)
    codes = Signal((np.arange(25) % 3 == 0).astype(float))
    one = with_signals(tmp_path, resp=Signal(breath), hr=Signal(rate), AU01=codes)
    made = dataset(one, label_type=label_type, labels=(PULSE, RESP, RATE, UNITS))
    expected = labels.transform(labels.stretch(breath, 25), label_type)[:20].astype(np.float32)
    np.testing.assert_array_equal(joined(made, "resp"), expected)
    assert [made[k]["hr"].item() for k in range(2)] == [60.0, 75.0] and made[0]["hr"].shape == ()
    assert joined(made, "au")[:, 0].tolist() == codes.values[:20].tolist()
    assert (joined(made, "au")[:, 1] == -1).all() and made[0]["au"].shape == (10, 2)
    assert made[0]["resp"].dtype == made[0]["au"].dtype == torch.float32


def test_the_pulse_and_the_video_do_not_change(tmp_path):
    """Bit by bit the same sample, with more in it."""
    one = with_signals(tmp_path, resp=Signal(np.arange(25.0)))
    plain, more = dataset(one, label_type="Standardized"), dataset(one, label_type="Standardized", labels=(PULSE, RESP))
    for name, value in plain[1].items():
        assert torch.equal(value, more[1][name]) if isinstance(value, torch.Tensor) else value == more[1][name]


def test_codes_take_the_nearest_sample_in_time(tmp_path):
    """Never a value between two codes, and no shift."""
    times = np.arange(25) / 30
    coded = Signal(np.array([0.0, 1.0, 0.0]), times=np.array([0.0, 0.4, 0.8]))
    one = entry(tmp_path, times=times)
    one.signals = {"ppg": Signal(np.arange(25.0), times=times), "AU01": coded}
    found = joined(dataset(one, labels=(PULSE, Label("AU01", "codes"))), "AU01")
    assert found.tolist() == [float(0.2 < time < 0.6) for time in times[:20]]


def test_what_no_recording_has_is_left_out(tmp_path):
    """Methods see by the batch what they can learn; nothing is said of what was never recorded."""
    made = dataset(entry(tmp_path), labels=(PULSE, RESP, UNITS))
    assert not {"resp", "au"} & set(made[0]) and not made.notes and not made.failed


def test_gaps_where_only_some_have_it(tmp_path):
    """A batch of both kinds: NaN for waves, -1 for codes, and a note."""
    rich = with_signals(tmp_path, "a1", resp=Signal(np.arange(25.0)), AU01=Signal(np.full(25, np.nan)))
    made = dataset(entry(tmp_path, "b1"), rich, labels=(PULSE, RESP, UNITS))
    batch = collate([made[k] for k in range(4)])
    assert batch["resp"].shape == (4, 10) and batch["au"].shape == (4, 10, 2)
    assert torch.isnan(batch["resp"][:2]).all() and torch.isfinite(batch["resp"][2:]).all()
    assert (batch["au"] == -1).all()
    assert made.notes == [f"1 of 2 recordings have no usable label {name!r}: b1" for name in ("resp", "au")]


def test_a_damaged_one_is_named_and_left_out(tmp_path):
    """The pulse does not suffer from a broken belt."""
    made = dataset(with_signals(tmp_path, resp=Signal(np.array([1.0, np.nan]))), labels=(PULSE, RESP))
    assert len(made) == 2 and "resp" not in made[0]
    assert made.notes[0].startswith("r1: without label 'resp': The label has 1 of 2 samples that are NaN")


def test_a_required_one_fails_the_recording_in_training(tmp_path):
    """By name; where labels are not required the clips stay."""
    needed = Label("resp", required=True)
    made = dataset(entry(tmp_path), labels=(PULSE, needed))
    assert made.failed == [("r1", "no signal 'resp' (it has: ppg)")] and not len(made)
    assert len(dataset(entry(tmp_path), labels=(PULSE, RESP))) == 2


def test_pick_keeps_values_and_refuses_nothing_to_pick():
    """Same length: as it is, NaN included; an empty signal and an empty video are errors."""
    values = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(labels.pick(Signal(values), None, 3), values)
    assert labels.pick(Signal(np.array([-1.0])), None, 4).tolist() == [-1] * 4
    assert labels.pick(Signal(np.array([5.0, 6.0])), None, 4).tolist() == [5, 5, 6, 6]
    for signal, count in ((Signal(np.empty(0)), 3), (Signal(values), 0)):
        with pytest.raises(ValueError):
            labels.pick(signal, None, count)


def test_unknown_waves_do_not_pull():
    """Clips whose label is NaN count 0 and get no gradient; without any NaN it is the plain mean."""
    predicted = torch.randn(3, 5, requires_grad=True)
    label = torch.randn(3, 5)
    assert known_mse(predicted, label).item() == pytest.approx(mse(predicted, label).item(), rel=1e-6)
    label[1] = math.nan
    loss = known_mse(predicted, label)
    loss.backward()
    expected = ((predicted[[0, 2]] - label[[0, 2]]) ** 2).mean(dim=1).sum() / 3
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert not predicted.grad[1].any() and predicted.grad[0].all()
