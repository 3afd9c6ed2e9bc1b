"""TS-CAN: recorded outputs, shifts, attention, and clips that do not touch each other."""

import pytest
import torch

from neural_methods.model.ts_can import TSCAN, attention_mask, dense_features, temporal_shift
from registry import METHODS
from tests.parity_rule import check_forward, fill, rule_input
from tests.trainer_tools import ToyClips, tiny_config

CASES = {
    "TSCAN/img36_fd10": (10, 36),
    "TSCAN/img72_fd10": (10, 72),
    "TSCAN/img96_fd20": (20, 96),
    "TSCAN/img128_fd5": (5, 128),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_equal_the_recorded_ones(case):
    """Outputs and gradient norms under rule-made parameters, for four frame sizes."""
    depth, size = CASES[case]
    check_forward(case, lambda: TSCAN(depth, size))


def test_rule_made_network_gives_these_numbers():
    """Golden mean and spread of the output for the rule-made input."""
    with torch.no_grad():
        ppg = fill(TSCAN(4, 16)).eval()(rule_input((8, 6, 16, 16), time_axis=0))
    assert ppg.mean().item() == pytest.approx(-0.4214539, abs=1e-6)
    assert ppg.std().item() == pytest.approx(0.0212347, abs=1e-6)


@pytest.mark.parametrize(("size", "features"), [(36, 3136), (72, 16384), (96, 30976), (128, 57600)])
def test_dense_layer_has_the_published_width(size, features):
    """The widths that rPPG-Toolbox lists by hand follow from the frame size."""
    assert dense_features(size) == features


def test_frames_may_be_wider_than_high():
    """A rectangular frame has its own dense width."""
    with torch.no_grad():
        assert TSCAN(2, (16, 24)).eval()(torch.rand(4, 6, 16, 24)).shape == (4, 1)


def test_shift_moves_thirds_of_the_channels_inside_segments():
    """First third from the next frame, second from the one before, zeros at the segments' ends."""
    frames = torch.arange(1.0, 5.0).view(4, 1, 1, 1).expand(4, 3, 1, 1)
    shifted = temporal_shift(frames, 2).flatten(1)
    assert shifted.T.tolist() == [[2, 0, 4, 0], [0, 1, 0, 3], [1, 2, 3, 4]]


def test_shift_refuses_a_torn_segment():
    """Frames that do not fill segments are an error that names the setting."""
    with pytest.raises(ValueError, match="FRAME_DEPTH"):
        temporal_shift(torch.rand(5, 3, 2, 2), 2)


def test_attention_sums_to_half_the_pixels():
    """Whatever the logits, each map sums to half its pixels."""
    mask = attention_mask(torch.randn(3, 1, 6, 4))
    assert mask.sum(dim=(1, 2, 3)).tolist() == pytest.approx([12.0] * 3, rel=1e-5)


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Clips are cut to a multiple of FRAME_DEPTH one by one: company in the batch changes nothing."""
    trainer = METHODS["Tscan"](tiny_config("Tscan", tmp_path, MODEL__TSCAN=_depth(5)))
    network = trainer.build().eval()
    clips = [ToyClips(channels=6, frames=16)[index] for index in range(2)]
    collate = torch.utils.data.default_collate
    with torch.no_grad():
        together = trainer.forward(network, trainer.enter(collate(clips)))["ppg"]
        alone = trainer.forward(network, trainer.enter(collate(clips[1:])))["ppg"]
    assert together.shape == (2, 15)
    assert torch.allclose(together[1:], alone, atol=1e-6)


@pytest.mark.slow
def test_learns_from_toy_clips(tmp_path):
    """The loss falls clearly within a few epochs."""
    clips = ToyClips(n=2, channels=6)
    config = tiny_config("Tscan", tmp_path, TRAIN__EPOCHS=30, TRAIN__LR=5e-3)
    METHODS["Tscan"](config).fit(clips, folder=tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert losses[-1] < 0.5 * losses[0]


def _depth(depth):
    from yacs.config import CfgNode

    return CfgNode({"FRAME_DEPTH": depth})
