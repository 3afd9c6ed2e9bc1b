"""Methods that compare two views: losses by their formulas, views one by one, averages that follow, their files."""

import math

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from neural_methods import distributed
from neural_methods.backbones import load_backbone, open_backbone
from neural_methods.checkpoint import write_bundle
from neural_methods.lars import LARS
from neural_methods.loss import contrastive as losses
from neural_methods.model.resnet1d import ResNet1D
from neural_methods.model.tfc import magnitudes
from neural_methods.model.wave_vit import WaveViT
from neural_methods.views import PROBABILITY, VIEWS, TwoViews, changed
from registry import METHODS
from tests.trainer_tools import tiny_config

SMALL = {"FILTERS": 4, "BLOCKS": 2, "WIDTH": 8, "OUTPUTS": 6}
METHODS_OF_VIEWS = {
    "SimCLR": SMALL, "BYOL": {**SMALL, "HIDDEN": 8}, "SimSiam": {**SMALL, "HIDDEN": 4, "WARMUP_EPOCHS": 0},
    "MoCoV3": {"WIDTH": 8, "DEPTH": 1, "HEADS": 2, "HIDDEN": 8, "OUTPUTS": 6, "WARMUP_EPOCHS": 0}, "TFC": SMALL,
}  # fmt: skip


class Windows(torch.utils.data.Dataset):
    """Waves (1, 250) of several rates, as the loop gets them."""

    def __init__(self, n=12):
        """`n` windows of n // 2 people."""
        time, random = np.arange(250) / 125, np.random.default_rng(0)
        rates = random.uniform(0.8, 2.5, (n, 1, 1))
        waves = np.sin(2 * np.pi * rates * time + random.uniform(0, 6, (n, 1, 1))) + 0.1 * random.normal(
            size=(n, 1, 250)
        )
        self.waves = torch.from_numpy(waves.astype(np.float32))

    def __len__(self):
        """Windows."""
        return len(self.waves)

    def __getitem__(self, index):
        """One window."""
        row = int(index)
        names = {"recording": f"r{row // 2}", "subject": f"r{row // 2}", "clip": row % 2, "fs": 125.0}
        return {"wave": self.waves[row], **names}


def make(name, folder, own=None, **changes):
    """A trainer of a small network."""
    section = METHODS[name].key
    node = CfgNode({**METHODS[name].OPTIONS[section], **METHODS_OF_VIEWS[name], **(own or {})})
    settings = {"TRAIN__BATCH_SIZE": 6, **changes, f"MODEL__{section}": node}
    return METHODS[name](tiny_config(name, folder / "models", **settings))


def files(folder):
    """Content of every weight file."""
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


# --- Losses ----------------------------------------------------------------------------------------------------------


def test_nt_xent_is_that_of_its_formula():
    """Pair by pair, by loops."""
    first, second = torch.randn(4, 5), torch.randn(4, 5)
    z = torch.cat([first, second])
    z = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(8):
        scores = [math.exp(float(z[i] @ z[k]) / 0.3) for k in range(8)]
        total -= math.log(scores[(i + 4) % 8] / (sum(scores) - scores[i]))
    assert float(losses.nt_xent(first, second, 0.3)) == pytest.approx(total / 8, rel=1e-5)


def test_nt_xent_of_views_that_say_nothing_is_the_logarithm_of_the_others():
    """2 B - 1 views to choose from."""
    same = torch.ones(5, 3)
    assert float(losses.nt_xent(same, same, 0.1)) == pytest.approx(math.log(9), rel=1e-5)


def test_info_nce_is_that_of_its_formula():
    """2 T times the entropy of the right key."""
    query, key = torch.randn(4, 5), torch.randn(4, 5)
    q, k = (one / one.norm(dim=1, keepdim=True) for one in (query, key))
    scores = torch.exp(q @ k.T / 0.2)
    expected = -2 * 0.2 * float(torch.log(scores.diag() / scores.sum(dim=1)).mean())
    assert float(losses.info_nce(query, key, 0.2)) == pytest.approx(expected, rel=1e-5)


def test_cosines_of_the_closed_forms():
    """Equal, opposite and right-angled vectors, and no gradient into the target."""
    one, other = torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 2.0]], requires_grad=True)
    assert float(losses.negative_cosine(one, one).detach()) == -1
    assert float(losses.bootstrap(one, -one).detach()) == 4
    found = losses.bootstrap(one, other)
    found.backward()
    assert float(found.detach()) == 2 and other.grad is None and one.grad is not None


def test_features_that_are_all_alike_have_no_spread():
    """And those that fill the sphere have 1."""
    assert float(losses.spread(torch.ones(50, 8))) == pytest.approx(0, abs=1e-6)
    assert float(losses.spread(torch.randn(4000, 64))) == pytest.approx(1, abs=0.05)


# --- Views -----------------------------------------------------------------------------------------------------------


def test_every_view_keeps_the_shape_and_does_what_it_says():
    """Each alone, on a rising line."""
    wave, random = np.arange(200.0)[None], np.random.default_rng(1)
    found = {name: view(wave, random) for name, view in VIEWS.items()}
    assert all(one.shape == wave.shape for one in found.values())
    assert (found["reversal"] == wave[:, ::-1]).all() and sorted(found["shuffling"][0]) == sorted(wave[0])
    assert np.ptp(found["scaling"][0, 1:] / wave[0, 1:]) < 1e-9 and found["scaling"][0, 9] != 9
    assert 0.05 * 200 * 0.9 <= (found["cutout"] == 0).sum() - 1 <= 0.4 * 200
    assert 0.79 <= np.ptp(found["crop"]) / 199 <= 1 and (np.diff(found["crop"]) > 0).all()
    assert (found["jitter"] - wave).std() == pytest.approx(0.05 * wave.std(), rel=0.2)


def test_views_can_be_switched_off():
    """Without any, both views are the window; without the unphysiological ones, no wave runs backwards."""
    wave = np.arange(100.0, dtype=np.float32)[None]
    assert (changed(wave, [], np.random.default_rng(0)) == wave).all()
    allowed = [name for name in PROBABILITY if name not in ("reversal", "shuffling", "jitter", "cutout")]
    for seed in range(40):
        view = changed(wave, allowed, np.random.default_rng(seed))
        assert np.argmax(np.abs(view[0])) >= 70


def test_views_are_drawn_by_seed_epoch_and_window():
    """Again the same, in another epoch others; a window is scaled before it is changed."""

    class Ask(int):
        epoch = 0

    clips = Windows()
    one, again = (TwoViews(clips, "wave", list(VIEWS), 7, "zscore")[Ask(3)] for _ in range(2))
    later = Ask(3)
    later.epoch = 1
    other = TwoViews(clips, "wave", list(VIEWS), 7, "zscore")[later]
    assert torch.equal(one["first"], again["first"]) and not torch.equal(one["first"], one["second"])
    assert not torch.equal(one["first"], other["first"])
    plain = TwoViews(clips, "wave", [], 7, "zscore")[0]["first"]
    assert abs(float(plain.mean())) < 1e-5 and float(plain.std(correction=0)) == pytest.approx(1, abs=1e-4)


# --- Networks --------------------------------------------------------------------------------------------------------


def test_the_residual_network_has_the_published_sizes():
    """16 blocks, 32 filters doubled every four, time halved every second: 256 channels, 512 features."""
    network = ResNet1D()
    assert network.begin[0].out_channels == 32 and [block.conv1.out_channels for block in network.blocks][::4] == [
        32, 64, 128, 256,
    ]  # fmt: skip
    assert sum(block.stride == 2 for block in network.blocks) == 8
    assert network.eval()(torch.randn(2, 1250)).shape == (2, 512)


def test_the_projection_of_patches_stays_as_it_was_drawn():
    """It takes no gradient; ten patches and the token that gathers."""
    network = WaveViT(125, 16, 1, 2)
    network(torch.randn(3, 1250)).sum().backward()
    assert network.projection.weight.grad is None and network.gather.grad is not None


def test_a_spectrum_tells_the_rate_and_not_the_phase():
    """Two waves shifted against each other are alike; noise has magnitudes about 1."""
    time = torch.arange(1250) / 125
    one, other = (torch.sin(2 * torch.pi * 1.2 * time + phase)[None] for phase in (0.0, 1.0))
    assert torch.allclose(magnitudes(one), magnitudes(other), atol=1e-3) and magnitudes(one).argmax() == 12
    assert float(magnitudes(torch.randn(20, 1250)).square().mean()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", ["BYOL", "MoCoV3"])
def test_the_average_follows_by_its_formula_and_takes_no_gradient(tmp_path, name):
    """momentum m + (1 - m) of what learns; the copy begins equal."""
    trainer = make(name, tmp_path, {"MOMENTUM": 0.9})
    network = trainer.build()
    before = [value.clone() for value in network.target.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, network.encoder.parameters(), strict=False))
    with torch.no_grad():
        for value in network.encoder.parameters():
            value.add_(1.0)
    network.follow(0.9)
    for a, b in zip(before, network.target["encoder"].parameters(), strict=False):
        torch.testing.assert_close(b, a + 0.1)
    assert not any(value.requires_grad for value in network.target.parameters())
    grouped = {id(value) for group in trainer.parameter_groups(network) for value in group["params"]}
    assert not grouped & {id(value) for value in network.target.parameters()}


def test_the_momentum_of_moco_rises_to_one_by_a_cosine(tmp_path):
    """0.99 at first, half way 0.995, 1 at the end."""
    trainer = make("MoCoV3", tmp_path, TRAIN__EPOCHS=10)
    trainer.updates = 4
    assert trainer.momentum(0) == pytest.approx(0.99) and trainer.momentum(20) == pytest.approx(0.995)
    assert trainer.momentum(40) == 1


def test_lars_moves_a_layer_in_proportion_to_its_weights():
    """trust |w| / |g| times the rate; a vector takes a plain step without decay."""
    weight, bias = torch.nn.Parameter(torch.full((2, 2), 3.0)), torch.nn.Parameter(torch.ones(2))
    optimizer = LARS([weight, bias], lr=0.5, momentum=0.9, weight_decay=0.1, trust=0.01)
    weight.grad, bias.grad = torch.full((2, 2), 2.0), torch.full((2,), 4.0)
    optimizer.step()
    change = 2.0 + 0.1 * 3.0
    torch.testing.assert_close(weight.data, torch.full((2, 2), 3.0 - 0.5 * 0.01 * 6.0 / (2 * change) * change))
    torch.testing.assert_close(bias.data, torch.full((2,), -1.0))
    optimizer.step()
    torch.testing.assert_close(bias.data, torch.full((2,), -1.0 - 0.5 * (0.9 * 4 + 4)))


# --- Trainings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS_OF_VIEWS)
def test_it_trains_validates_by_its_loss_and_leaves_a_backbone(tmp_path, name):
    """The file alone is enough: the same features come out of it."""
    trainer = make(name, tmp_path, TRAIN__EPOCHS=2, TEST__USE_LAST_EPOCH=False)
    fitted = trainer.fit(Windows(), Windows(6), folder=tmp_path / "run")
    text = (tmp_path / "run" / "history.csv").read_text()
    assert "valid/spread" in text and "validation" in text
    write_bundle(tmp_path / "bundle.pth", fitted.path, {})
    found, said = open_backbone(tmp_path / "bundle.pth")
    load_backbone(found, tmp_path / "bundle.pth")
    waves = Windows().waves[:3, 0]
    network = trainer.load(fitted.path).eval()
    assert said["method"] == name and found.channel == "ppg" and found.norm == "zscore"
    features = found.network.eval()(waves)
    torch.testing.assert_close(features, network.encoder(waves))
    assert features.shape == (3, found.width)


@pytest.mark.parametrize("name", METHODS_OF_VIEWS)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, name):
    """Views, averages and batch statistics included."""
    make(name, tmp_path / "whole", TRAIN__EPOCHS=2).fit(Windows(), folder=tmp_path / "whole" / "run")
    first = make(name, tmp_path / "killed", TRAIN__EPOCHS=2)
    first.before_epoch = lambda network, epoch: _stop(epoch)
    with pytest.raises(KeyboardInterrupt):
        first.fit(Windows(), folder=tmp_path / "killed" / "run")
    make(name, tmp_path / "killed", TRAIN__EPOCHS=2).fit(Windows(), folder=tmp_path / "killed" / "run")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def _stop(epoch):
    if epoch == 1:
        raise KeyboardInterrupt


def test_views_of_one_window_become_more_alike_than_those_of_others(tmp_path):
    """SimCLR learns: the loss falls below that of views that say nothing."""
    trainer = make("SimCLR", tmp_path, {"TEMPERATURE": 0.2}, TRAIN__EPOCHS=15, TRAIN__BATCH_SIZE=12, TRAIN__LR=0.01)
    fitted = trainer.fit(Windows(), Windows(), folder=tmp_path / "run")
    network = trainer.load(fitted.path)
    rows = trainer.evaluate(network, trainer.data(Windows(), "valid"), trainer.validation_rows, "")
    assert trainer.validation_score(rows) < 0.9 * math.log(23)


def test_collapsed_features_are_said(tmp_path, capsys):
    """A warning, and the training goes on."""
    assert make("SimSiam", tmp_path).validation_columns([(4, -1.0, 0.01)]) == {"valid/spread": 0.01}
    assert "the features have collapsed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("own", "said"),
    [({"VIEWS": ["shufling"]}, "shuffling"), ({"CHANNEL": "abp"}, "CHANNEL is 'abp'")],
)
def test_options_that_cannot_be_are_refused(tmp_path, own, said):
    """By the name of the key."""
    with pytest.raises(ValueError, match=said):
        make("SimCLR", tmp_path, own)


def test_one_process_gathers_its_own_rows():
    """With and without gradient."""
    rows = torch.randn(3, 2, requires_grad=True)
    every, start = distributed.gathered(rows)
    assert every is rows and start == 0
