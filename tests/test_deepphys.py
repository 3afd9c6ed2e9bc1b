"""DeepPhys: recorded outputs, frames that do not see each other, learning."""

import pytest
import torch

from neural_methods.model.deepphys import DeepPhys
from neural_methods.model.ts_can import TSCAN
from tests.parity_rule import check_forward, fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips


@pytest.mark.parametrize("size", [36, 72, 96])
def test_outputs_equal_the_recorded_ones(size):
    """Outputs and gradient norms under rule-made parameters, for three frame sizes."""
    check_forward(f"DeepPhys/img{size}", lambda: DeepPhys(size))


def test_rule_made_network_gives_these_numbers():
    """Golden mean and spread of the output for the rule-made input."""
    with torch.no_grad():
        ppg = fill(DeepPhys(16)).eval()(rule_input((8, 6, 16, 16), time_axis=0))
    assert ppg.mean().item() == pytest.approx(-0.4174051, abs=1e-6)
    assert ppg.std().item() == pytest.approx(0.0062347, abs=1e-6)


@pytest.mark.parametrize(("size", "count"), [(36, 532_899), (72, 2_228_643), (96, 4_096_419)])
def test_parameter_counts_are_the_published_ones(size, count):
    """As many parameters as rPPG-Toolbox's network of the same frame size."""
    assert sum(parameter.numel() for parameter in DeepPhys(size).parameters()) == count


def test_entries_are_those_of_ts_can():
    """Shifts have no parameters: names, order and shapes are the same."""
    shapes = [{key: value.shape for key, value in net.state_dict().items()} for net in (DeepPhys(16), TSCAN(4, 16))]
    assert list(shapes[0].items()) == list(shapes[1].items())


def test_frames_do_not_see_each_other():
    """Turning the order of the frames round turns the outputs round, nothing else."""
    network, frames = DeepPhys(16).eval(), torch.rand(5, 6, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network(frames.flip(0)), network(frames).flip(0), atol=1e-6)


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Company in the batch changes nothing."""
    assert change_by_company(method_config("DeepPhys", tmp_path), ToyClips(channels=6)) < 1e-4


def test_learns_from_toy_clips(tmp_path):
    """The loss falls clearly within a few epochs."""
    config = method_config("DeepPhys", tmp_path, TRAIN__EPOCHS=30, TRAIN__LR=5e-3)
    curve = losses(config, ToyClips(n=2, channels=6), tmp_path / "run")
    assert curve[-1] < 0.5 * curve[0]
