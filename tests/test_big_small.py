"""BigSmall: recorded outputs, the wrapping shift, the three losses, missing labels, learning."""

import math

import pytest
import torch
from yacs.config import CfgNode

from neural_methods.loss.big_small import ACTION_UNITS, action_unit_loss, big_small_loss
from neural_methods.model.big_small import BigSmall, wrapping_shift
from registry import METHODS
from tests.parity_rule import check_forward, fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips


class FaceClips(ToyClips):
    """Toy clips with all three labels; the action units are on in the first half of the clips."""

    def __getitem__(self, index):
        """One clip with `resp` (T,) and `au` (T, 12)."""
        sample = super().__getitem__(index)
        present = torch.full((len(sample["ppg"]), 12), float(index < len(self) // 2))
        return {**sample, "resp": 0.5 * sample["ppg"], "au": present}


def test_outputs_equal_the_recorded_ones():
    """Outputs of all three heads and gradient norms under rule-made parameters."""
    small = rule_input((12, 3, 9, 9), time_axis=0, index=778)
    check_forward("BigSmall/n12", BigSmall, lambda network, big: network(big, small))


def test_rule_made_network_gives_these_numbers():
    """Golden means of the outputs for the rule-made input."""
    big, small = rule_input((6, 3, 32, 32), 0), rule_input((6, 3, 2, 2), 0, index=778)
    with torch.no_grad():
        outputs = fill(BigSmall(32)).eval()(big, small)
    assert [tuple(output.shape) for output in outputs] == [(6, 12), (6, 1), (6, 1)]
    assert [output.mean().item() for output in outputs] == pytest.approx([-0.0113564, -0.1032077, -0.2127001], abs=1e-6)


def test_parameter_count_is_the_published_one():
    """As many parameters as rPPG-Toolbox's network."""
    assert sum(parameter.numel() for parameter in BigSmall().parameters()) == 2_142_478


def test_shift_wraps_around_inside_groups():
    """First third from the next frame, second from the one before, in a circle; the rest stays."""
    frames = torch.arange(1.0, 7.0).view(6, 1, 1, 1).expand(6, 3, 1, 1)
    shifted = wrapping_shift(frames, 3).flatten(1)
    assert shifted.T.tolist() == [[2, 3, 1, 5, 6, 4], [3, 1, 2, 6, 4, 5], [1, 2, 3, 4, 5, 6]]


def test_only_the_first_big_frame_of_a_group_counts():
    """Changing the other two big frames changes nothing, changing the first one does."""
    network, big, small = BigSmall(32).eval(), torch.rand(3, 3, 32, 32), torch.rand(3, 3, 2, 2)
    others = torch.cat([big[:1], torch.rand(2, 3, 32, 32)])
    with torch.no_grad():
        first, second, third = (network(frames, small)[0] for frames in (big, others, 1 - big))
    assert torch.equal(first, second)
    assert not torch.allclose(first, third)


@pytest.mark.parametrize("bad", [40, (32, 24), 0])
def test_sizes_that_do_not_halve_four_times_are_refused(bad):
    """The error names the sizes that work."""
    with pytest.raises(ValueError, match="multiple of 16"):
        BigSmall(bad)


def test_action_units_weigh_as_published():
    """With logits 0 a present unit costs its weight times log 2, an absent one log 2."""
    logits, weights = torch.zeros(1, 1, 12), list(ACTION_UNITS.values())
    present = action_unit_loss(logits, torch.ones(1, 1, 12)).item()
    assert present == pytest.approx(math.log(2) * sum(weights) / 12, rel=1e-6)
    assert action_unit_loss(logits, torch.zeros(1, 1, 12)).item() == pytest.approx(math.log(2), rel=1e-6)


def test_uncoded_action_units_do_not_count():
    """Frames coded -1 leave loss and gradient to the others; a clip without any coded frame gives 0."""
    logits = torch.randn(2, 4, 12, requires_grad=True)
    coded = torch.randint(0, 2, (2, 4, 12)).float()
    torn = torch.cat([coded[:, :3], torch.full((2, 1, 12), -1.0)], dim=1)
    expected = action_unit_loss(logits[:, :3], coded[:, :3])
    assert action_unit_loss(logits, torn).item() == pytest.approx(expected.item(), rel=1e-6)
    action_unit_loss(logits, torn).backward()
    assert not logits.grad[:, 3].any()
    assert action_unit_loss(logits, torch.full((2, 4, 12), -1.0)).item() == 0


def test_loss_is_the_sum_of_what_is_labelled():
    """Three parts add up; a missing label leaves its part out and gives its head a gradient of 0."""
    outputs = {"ppg": torch.randn(2, 3), "resp": torch.randn(2, 3), "au": torch.randn(2, 3, 12, requires_grad=True)}
    labels = {"ppg": torch.randn(2, 3), "resp": torch.randn(2, 3), "au": torch.ones(2, 3, 12)}
    parts = big_small_loss(outputs, labels)
    total = parts.pop("loss")
    assert set(parts) == {"ppg", "resp", "au"}
    assert total.item() == pytest.approx(sum(part.item() for part in parts.values()), rel=1e-6)
    labels.pop("au")
    big_small_loss(outputs, labels)["loss"].backward()
    assert not outputs["au"].grad.any()


def test_small_frames_are_the_big_ones_shrunk_by_area(tmp_path):
    """The last three normalised channels become the small input: block means of 16x16 pixels."""
    trainer = METHODS["BigSmall"](_config(tmp_path))
    video = torch.rand(1, 6, 6, 32, 32)
    batch = trainer.prepare({"video": video})
    assert torch.equal(batch["video"], video[:, :3])
    assert batch["small"].shape == (1, 3, 6, 2, 2)
    assert batch["small"][0, 0, 1, 0, 1].item() == pytest.approx(video[0, 3, 1, :16, 16:].mean().item(), rel=1e-5)


def test_sizes_that_do_not_belong_together_are_refused_at_start(tmp_path):
    """Small frames of another share of the big ones: the error names the section."""
    trainer = METHODS["BigSmall"](_config(tmp_path, small=4))
    with pytest.raises(ValueError, match=r"PREPROCESS\.BIGSMALL\.RESIZE"):
        trainer.check_needs()


@pytest.mark.slow
@pytest.mark.parametrize("clips", [FaceClips, ToyClips])
def test_learns_with_and_without_all_labels(tmp_path, clips):
    """The loss falls clearly within a few epochs, with three labels and with the pulse alone."""
    config = _config(tmp_path, TRAIN__EPOCHS=60, TRAIN__LR=2e-3)
    curve = losses(config, clips(n=2, channels=6, frames=15, size=32), tmp_path / "run")
    assert curve[-1] < 0.7 * curve[0]


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Company in the batch changes nothing; 16 frames are cut to 15, a multiple of three."""
    assert change_by_company(_config(tmp_path), ToyClips(channels=6, size=32)) < 1e-4


def test_action_units_come_out_as_probabilities(tmp_path):
    """Test outputs of the action units lie between 0 and 1."""
    trainer = METHODS["BigSmall"](_config(tmp_path))
    outputs = trainer.predictions(trainer.build(), FaceClips(n=2, channels=6, frames=15, size=32))
    units = outputs["r0"][0]["au"]
    assert units.shape == (15, 12)
    assert 0 < units.min() and units.max() < 1
    assert outputs["r0"][0]["label_au"].shape == (15, 12)


def _config(folder, small=2, **changes):
    sizes = {"BIG_H": 32, "BIG_W": 32, "SMALL_H": small, "SMALL_W": small}
    section = {"BIG_DATA_TYPE": ["Standardized"], "SMALL_DATA_TYPE": ["DiffNormalized"], "RESIZE": sizes}
    return method_config("BigSmall", folder, TRAIN__DATA__PREPROCESS__BIGSMALL=CfgNode(section), **changes)
