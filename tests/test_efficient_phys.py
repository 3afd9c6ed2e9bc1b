"""EfficientPhys: recorded outputs, differences inside a clip, learning."""

import pytest
import torch

from neural_methods.model.efficient_phys import EfficientPhys
from tests.parity_rule import check_forward, fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips


@pytest.mark.parametrize("size", [36, 72, 96])
def test_outputs_equal_the_recorded_ones(size):
    """Outputs and gradient norms under rule-made parameters, for three frame sizes."""
    check_forward(f"EfficientPhys/img{size}_fd10", lambda: EfficientPhys(10, size))


def test_rule_made_network_gives_these_numbers():
    """Golden mean and spread of the output for the rule-made input."""
    with torch.no_grad():
        ppg = fill(EfficientPhys(4, 16)).eval()(rule_input((9, 3, 16, 16), time_axis=0))
    assert ppg.shape == (8, 1)
    assert ppg.mean().item() == pytest.approx(-0.4020043, abs=1e-6)
    assert ppg.std().item() == pytest.approx(0.0132834, abs=1e-6)


@pytest.mark.parametrize(("size", "count"), [(36, 467_337), (72, 2_163_081), (96, 4_030_857)])
def test_parameter_counts_are_the_published_ones(size, count):
    """As many parameters as rPPG-Toolbox's network of the same frame size."""
    assert sum(parameter.numel() for parameter in EfficientPhys(10, size).parameters()) == count


def test_differences_stay_inside_a_clip():
    """Two clips in a batch give what each gives alone; as one line of frames they do not."""
    network, clips = EfficientPhys(4, 16).eval(), torch.rand(2, 5, 3, 16, 16)
    with torch.no_grad():
        together = network(clips)
        alone = torch.cat([network(clip) for clip in clips])
        in_a_line = network(torch.cat([clips.flatten(0, 1)[:9]]))
    assert torch.allclose(together, alone, atol=1e-6)
    assert not torch.allclose(together, in_a_line, atol=1e-4)


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Company in the batch changes nothing, though the last difference of a clip lacks its next frame."""
    assert change_by_company(_config(tmp_path), ToyClips()) < 1e-4


def test_learns_from_toy_clips(tmp_path):
    """The loss falls clearly within a few epochs."""
    curve = losses(_config(tmp_path, TRAIN__EPOCHS=40, TRAIN__LR=5e-3), ToyClips(n=2), tmp_path / "run")
    assert curve[-1] < 0.5 * curve[0]


def _config(folder, **changes):
    config = method_config("EfficientPhys", folder, **changes)
    config.MODEL.EFFICIENTPHYS.FRAME_DEPTH = 4
    return config
