"""MTTS-CAN: two heads on TS-CAN's features, training with and without a respiration label."""

import pytest
import torch

from neural_methods.model.mtts_can import MTTSCAN
from neural_methods.model.ts_can import TSCAN
from registry import METHODS
from tests.parity_rule import fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips


class BreathingClips(ToyClips):
    """Toy clips with a respiration label: the pulse's label, slower and smaller."""

    def __getitem__(self, index):
        """One clip with `resp` (T,)."""
        sample = super().__getitem__(index)
        return {**sample, "resp": 0.5 * sample["ppg"].roll(2)}


def test_rule_made_network_gives_these_numbers():
    """Golden mean of both outputs for the rule-made input."""
    with torch.no_grad():
        pulse, respiration = fill(MTTSCAN(4, 16)).eval()(rule_input((8, 6, 16, 16), time_axis=0))
    assert pulse.shape == respiration.shape == (8, 1)
    assert pulse.mean().item() == pytest.approx(-0.4214539, abs=1e-6)
    assert respiration.mean().item() == pytest.approx(-0.3024906, abs=1e-6)


def test_heads_have_the_names_of_known_weights():
    """The dense layers end on `_y` (pulse) and `_r` (respiration); all else is TS-CAN's."""
    own, shared = set(MTTSCAN(4, 16).state_dict()), set(TSCAN(4, 16).state_dict())
    dense = {f"final_dense_{i}_{head}.{part}" for i in "12" for head in "yr" for part in ("weight", "bias")}
    assert own - shared == dense
    assert all(key.startswith("final_dense") for key in shared - own)


def test_second_head_adds_its_dense_layers_alone():
    """At 72 pixels: TS-CAN's 2,228,643 parameters and another pair of dense layers."""
    count = sum(parameter.numel() for parameter in MTTSCAN(10, 72).parameters())
    assert count == 2_228_643 + (16384 + 1) * 128 + (128 + 1) == 4_326_052


def test_pulse_head_equals_ts_can():
    """With TS-CAN's weights in the pulse head the pulse is TS-CAN's."""
    single, double = TSCAN(4, 16).eval(), MTTSCAN(4, 16).eval()
    state = {
        key.replace("dense_1.", "dense_1_y.").replace("dense_2.", "dense_2_y."): value
        for key, value in single.state_dict().items()
    }
    double.load_state_dict(state, strict=False)
    frames = torch.rand(8, 6, 16, 16)
    with torch.no_grad():
        assert torch.equal(double(frames)[0], single(frames))


def test_both_heads_learn(tmp_path):
    """With both labels the sum of both losses falls."""
    config = method_config("MTTSCAN", tmp_path, TRAIN__EPOCHS=30, TRAIN__LR=5e-3)
    curve = losses(config, BreathingClips(n=2, channels=6), tmp_path / "run")
    assert curve[-1] < 0.5 * curve[0]


def test_without_respiration_the_pulse_head_alone_is_trained(tmp_path, capsys):
    """The respiration head keeps its first weights, the loss falls, and it is said exactly once."""
    config = method_config("MTTSCAN", tmp_path, TRAIN__EPOCHS=30, TRAIN__LR=5e-3)
    curve = losses(config, ToyClips(n=2, channels=6), tmp_path / "run")
    assert curve[-1] < 0.5 * curve[0]
    assert capsys.readouterr().out.count("no respiration") == 1
    trainer = METHODS["MTTSCAN"](config)
    fresh = trainer.build().state_dict()
    trained = trainer.load(trainer.checkpoint_path(29)).state_dict()
    same = {key for key in fresh if torch.equal(fresh[key], trained[key])}
    assert same == {key for key in fresh if "_r." in key}


def test_frame_depth_of_older_files_counts(tmp_path):
    """Without a depth of its own the method takes TS-CAN's section; its own one wins."""
    config = method_config("MTTSCAN", tmp_path)
    assert METHODS["MTTSCAN"](config).time_multiple == 4
    config.MODEL.MTTSCAN.FRAME_DEPTH = 8
    assert METHODS["MTTSCAN"](config).time_multiple == 8


@pytest.mark.parametrize("head", ["ppg", "resp"])
def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path, head):
    """Company in the batch changes nothing."""
    assert change_by_company(method_config("MTTSCAN", tmp_path), ToyClips(channels=6), head) < 1e-4
