"""iBVPNet: recorded outputs, channels, clip lengths, the loss's two forms, learning."""

import pytest
import torch

from neural_methods.loss.correlation import correlation_loss
from neural_methods.loss.neg_pearson import neg_cosine_across_batch, neg_pearson
from neural_methods.model.ibvpnet import iBVPNet
from registry import METHODS
from tests.parity_rule import check_forward, fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips


@pytest.mark.parametrize("case", ["T32_72", "T160_72"])
def test_outputs_equal_the_recorded_ones(case):
    """Outputs and gradient norms under rule-made parameters."""
    check_forward(f"iBVPNet/{case}", iBVPNet)


def test_rule_made_network_gives_these_numbers():
    """Golden spread and last value of the output for the rule-made input."""
    with torch.no_grad():
        ppg = fill(iBVPNet()).eval()(rule_input((1, 3, 9, 64, 64), time_axis=2, raw=True))
    assert ppg.std().item() == pytest.approx(0.54858, abs=5e-4)
    assert ppg[0, -1].item() == pytest.approx(-0.0813, abs=5e-4)


def test_parameter_count_is_the_published_one():
    """As many parameters as rPPG-Toolbox's network."""
    assert sum(parameter.numel() for parameter in iBVPNet().parameters()) == 1_426_865


@pytest.mark.parametrize("frames", [4, 7, 16])
def test_length_comes_from_the_video(frames):
    """T + 1 frames in, T values out."""
    with torch.no_grad():
        assert iBVPNet().eval()(torch.rand(1, 3, frames + 1, 64, 72)).shape == (1, frames)


def test_channels_choose_colour_and_heat():
    """Of four channels, 1 reads the last and 3 the first three; 4 reads all."""
    video = torch.rand(1, 4, 5, 64, 64)
    with torch.no_grad():
        for channels, own in ((1, video[:, 3:]), (3, video[:, :3])):
            network = iBVPNet(channels).eval()
            assert torch.equal(network(video), network(own))
        assert iBVPNet(4).eval()(video).shape == (1, 4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: iBVPNet(2), "CHANNELS is 2"),
        (lambda: iBVPNet(4)(torch.rand(1, 3, 5, 64, 64)), "CHANNELS"),
        (lambda: iBVPNet(1)(torch.rand(1, 3, 5, 64, 64)), "CHANNELS to 3"),
        (lambda: iBVPNet()(torch.rand(1, 3, 5, 63, 64)), "RESIZE"),
    ],
)
def test_what_cannot_work_is_refused(make, said):
    """Unknown channels, missing ones, one of three colours and frames too small are named."""
    with pytest.raises(ValueError, match=said):
        make()


def test_loss_is_along_time_or_across_the_batch():
    """The default correlates along time; the legacy form compares clips and is the constant 1 for one clip."""
    torch.manual_seed(0)
    predicted, label = torch.randn(3, 20), torch.randn(3, 20)
    assert torch.equal(correlation_loss(predicted, label, False), neg_pearson(predicted, label))
    legacy = correlation_loss(predicted, label, True)
    assert legacy.item() == pytest.approx(neg_cosine_across_batch(predicted, label).item(), abs=1e-5)
    assert correlation_loss(predicted[:1], label[:1], True).item() == 1.0


def test_legacy_loss_is_a_switch(tmp_path):
    """MODEL.LEGACY_LOSS changes the loss, is said at start, and refuses accumulation, whose clips it would not mix."""
    new, old = (
        METHODS["iBVPNet"](method_config("iBVPNet", tmp_path, 64, MODEL__LEGACY_LOSS=on)) for on in (False, True)
    )
    outputs, batch = {"ppg": torch.randn(3, 20)}, {"ppg": torch.randn(3, 20)}
    assert new.loss(outputs, batch, 0)["loss"] != old.loss(outputs, batch, 0)["loss"]
    assert not new.notes and "BATCH_SIZE 1" in old.notes[0]
    assert old.loss_mixes_samples and not new.loss_mixes_samples


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Company in the batch changes nothing."""
    assert change_by_company(method_config("iBVPNet", tmp_path, 64), ToyClips(n=2, size=64, frames=8)) < 1e-3


def test_short_clips_train_in_bfloat16(tmp_path):
    """A clip shorter than the longest kernels trains under TRAIN.AMP bf16: the process once died of it."""
    config = method_config("iBVPNet", tmp_path, 64, TRAIN__EPOCHS=2, TRAIN__AMP="bf16")
    assert all(0 <= loss <= 2 for loss in losses(config, ToyClips(n=2, size=64, frames=16), tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
def test_learns_from_toy_clips(tmp_path, legacy):
    """The loss falls clearly within a few epochs, in both forms."""
    changes = {"TRAIN__EPOCHS": 12, "TRAIN__LR": 2e-3, "MODEL__LEGACY_LOSS": legacy, "TRAIN__BATCH_SIZE": 4}
    # Across a batch of two clips a correlation is 1 or -1, so the loss would jump in steps: four clips.
    clips = ToyClips(n=4 if legacy else 2, size=64, frames=16)
    curve = losses(method_config("iBVPNet", tmp_path, 64, **changes), clips, tmp_path / "run")
    assert curve[-1] < 0.7 * curve[0]
