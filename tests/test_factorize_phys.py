"""FactorizePhys: recorded outputs, released weights, the factorisations, independence of the batch, learning."""

import json

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from neural_methods.checkpoint import WeightsError, read_weights
from neural_methods.model.factorize_phys import (
    FSAM,
    TRANSFORMS,
    Factorisation,
    FactorizePhys,
    matrix_shape,
    nmf,
    vector_quantisation,
)
from registry import METHODS
from tests.conftest import few, reference
from tests.parity_rule import check_forward, fill, rule_input
from tests.toy_training import change_by_company, losses, method_config
from tests.trainer_tools import ToyClips

WHOLE_BATCH = Factorisation(per_clip=False)  # rPPG-Toolbox's way, which the recorded batches of two need
RELEASED = ["PURE", "SCAMPS", "UBFC-rPPG", "iBVP"]
CASES = {
    "FactorizePhys/T32_72_fsam_res": {"fsam": WHOLE_BATCH},
    "FactorizePhys/T32_72_base": {},
    "FactorizePhys/T160_72_fsam_res": {"fsam": Factorisation()},
    "FactorizePhysBig/T32_128_fsam_res": {"fsam": Factorisation(), "big": True},
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_equal_the_recorded_ones(case):
    """All outputs and gradient norms under rule-made parameters, with and without FSAM, standard and big."""
    check_forward(case, lambda: FactorizePhys(**CASES[case]))


@pytest.mark.parametrize("name", few(RELEASED, "PURE"))
@pytest.mark.parametrize("kind", ["rule", "rule_noinference", "clip"])
def test_released_weights_give_the_recorded_outputs(name, kind):
    """The released files load and repeat their outputs on rule-made input and on a face, to 1e-4 of the largest."""
    stem = f"{name}_FactorizePhys_FSAM_Res"
    stored = np.load(reference("parity/released_weights.npz"))
    network = FactorizePhys(fsam=Factorisation(inference=kind != "rule_noinference")).eval()
    network.load_state_dict(read_weights(reference(f"weights/{stem}.pth")))
    with torch.no_grad():
        ppg = network(_face() if kind == "clip" else _rule(stem))[0].numpy()
    expected = stored[f"{stem}__{kind}"].reshape(ppg.shape)
    assert np.abs(ppg - expected).max() <= 1e-4 * np.abs(expected).max()


def test_rule_made_network_gives_these_numbers():
    """Golden spread of the output and the factorisation's error for the rule-made input."""
    with torch.no_grad():
        outputs = fill(FactorizePhys(fsam=Factorisation())).eval()(rule_input((2, 3, 9, 72, 72), 2, raw=True))
    assert [tuple(output.shape) for output in outputs] == [(2, 8), (2, 16, 8, 13, 13), (2, 16, 8, 7, 7), ()]
    assert outputs[0].std().item() == pytest.approx(0.74409, abs=5e-4)
    assert outputs[3].item() == pytest.approx(25.44031, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 51_840), ({"fsam": Factorisation()}, 52_168), ({"fsam": Factorisation(), "big": True}, 56_200)],
)
def test_parameter_counts_are_the_published_ones(settings, count):
    """As many as rPPG-Toolbox's network has on a GPU, where its constant is no parameter."""
    assert sum(parameter.numel() for parameter in FactorizePhys(**settings).parameters()) == count


def test_fsam_runs_in_training_and_where_asked_for():
    """Without `inference` the evaluated network gives two outputs, the trained one four."""
    network, video = FactorizePhys(fsam=Factorisation(inference=False)), torch.rand(1, 3, 3, 72, 72)
    assert len(network.train()(video)) == 4
    assert len(network.eval()(video)) == 2


def test_rank_one_product_is_recovered():
    """A non-negative matrix of rank one is its own approximation of rank one."""
    torch.manual_seed(0)
    z = torch.rand(2, 6, 1) * torch.rand(2, 1, 10)
    assert torch.allclose(nmf(z, rank=1, steps=4), z, atol=1e-4)


def test_updates_bring_the_approximation_nearer():
    """More multiplicative updates never make the error larger."""
    torch.manual_seed(0)
    z = torch.rand(1, 8, 12)
    errors = [(nmf(z, rank=1, steps=steps) - z).norm().item() for steps in (0, 1, 2, 8)]
    assert errors == sorted(errors, reverse=True)


def test_gradient_passes_the_last_update_alone():
    """The approximation hands a gradient on, and it is finite."""
    z = torch.rand(1, 4, 6, requires_grad=True)
    nmf(z, 1, 4).square().sum().backward()
    assert torch.isfinite(z.grad).all() and z.grad.any()


def test_one_centre_is_the_mean_of_the_columns():
    """Vector quantisation with one centre replaces every column by the mean column."""
    torch.manual_seed(0)
    z = torch.randn(1, 4, 6, dtype=torch.float64)
    expected = z.mean(dim=2, keepdim=True).expand_as(z)
    assert torch.allclose(vector_quantisation(z, rank=1, steps=3), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["NMF", "VQ"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_factorisation_runs_and_trains(kind, transform):
    """Shapes are kept and every weight gets a gradient, two groups and rank two."""
    fsam = FSAM(Factorisation(kind, transform, rank=2, groups=2))
    attention, error = fsam(torch.rand(2, 16, 4, 3, 3))
    assert attention.shape == (2, 16, 4, 3, 3) and error.item() > 0
    attention.sum().backward()
    assert all(parameter.grad is not None for parameter in fsam.parameters())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Factorisation(kind="PCA"), "MD_TYPE"),
        (lambda: Factorisation(transform="TKAB"), "MD_TRANSFORM"),
        (lambda: matrix_shape(torch.Size((8, 5, 3, 3)), "T_KAB", 2), "MD_S"),
        (lambda: FactorizePhys()(torch.rand(1, 3, 3, 70, 72)), "RESIZE"),
        (lambda: FactorizePhys(big=True)(torch.rand(1, 3, 3, 72, 72)), "RESIZE"),
    ],
)
def test_what_cannot_work_is_refused(make, said):
    """Unknown names, groups that do not divide and frames too small are named."""
    with pytest.raises(ValueError, match=said):
        make()


def test_smallest_frames_work():
    """The sizes named in the error are the true limits."""
    with torch.no_grad():
        assert FactorizePhys().eval()(torch.rand(1, 3, 3, 71, 71))[0].shape == (1, 2)
        assert FactorizePhys(big=True).eval()(torch.rand(1, 3, 3, 125, 125))[0].shape == (1, 2)


def test_prediction_of_a_clip_does_not_depend_on_its_batch(tmp_path):
    """Per clip nothing changes with the company; with the minimum of the whole batch it does."""
    clips = ToyClips(n=2, size=72, frames=8)
    clips.videos[0] *= clips.labels[0][None, :, None, None] ** 3  # another distribution of features
    assert change_by_company(_config(tmp_path), clips) < 1e-4
    assert change_by_company(_config(tmp_path, MD_PER_CLIP=False), clips) > 1e-3


def test_weights_with_fsam_run_without_it(tmp_path):
    """FSAM's entries are left aside where it is off; where it is on they must be there."""
    with_fsam, without = _trainer(tmp_path), _trainer(tmp_path, MD_FSAM=False)
    torch.save({"module." + key: value for key, value in with_fsam.build().state_dict().items()}, tmp_path / "a.pth")
    torch.save(without.build().state_dict(), tmp_path / "b.pth")
    assert not [key for key in without.load(tmp_path / "a.pth").state_dict() if "fsam" in key]
    with pytest.raises(WeightsError, match="fsam"):
        with_fsam.load(tmp_path / "b.pth")


def test_constant_of_files_trained_on_a_cpu_is_ignored(tmp_path):
    """`bias1` may be in a file; it is neither loaded nor saved."""
    trainer = _trainer(tmp_path)
    state = trainer.build().state_dict()
    assert "rppg_head.bias1" not in state
    torch.save({**state, "rppg_head.bias1": torch.tensor(7.0)}, tmp_path / "cpu.pth")
    assert trainer.load(tmp_path / "cpu.pth").rppg_head.bias1.item() == 1.0


def test_big_is_chosen_by_type_whatever_its_case(tmp_path):
    """TYPE big, Big and BIG are one; another name is refused."""
    assert _trainer(tmp_path, TYPE="BIG").build().smallest == 125
    with pytest.raises(ValueError, match=r"FactorizePhys\.TYPE"):
        _trainer(tmp_path, TYPE="Huge").build()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"MD_FSAM": False}, {"MD_TYPE": "VQ"}])
def test_learns_from_toy_clips(tmp_path, changes):
    """The loss falls clearly within a few epochs, with either factorisation and without."""
    config = _config(tmp_path, TRAIN__EPOCHS=12, TRAIN__LR=5e-3, **changes)
    curve = losses(config, ToyClips(n=2, size=72, frames=16), tmp_path / "run")
    assert curve[-1] < 0.7 * curve[0]


def _config(folder, **changes):
    own = {key: changes.pop(key) for key in list(changes) if "__" not in key}
    options = {**METHODS["FactorizePhys"].OPTIONS["FactorizePhys"], "MD_FSAM": True, **own}
    return method_config("FactorizePhys", folder, 72, MODEL__FactorizePhys=CfgNode(options), **changes)


def _trainer(folder, **changes):
    return METHODS["FactorizePhys"](_config(folder, **changes))


def _rule(stem):
    case = json.loads(reference("parity/released_weights.json").read_text())[stem]
    return rule_input(case["rule"]["input_shape"], time_axis=2, raw=True)


def _face():
    frames = np.load(reference("parity/realclip.npz"))["frames72"].astype(np.float32)
    frames = np.concatenate([frames, frames[-1:]])
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None]
