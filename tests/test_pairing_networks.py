"""Networks that decide whose heart it is: symmetry, sizes, one update for both trials, training that resumes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from evaluation import likely_rates
from neural_methods.model.legacy_pair import LegacyPair
from neural_methods.model.pair_net import PairNet, choice_loss, scores
from neural_methods.trainer.pair_rate import in_band_of_exact
from neural_methods.training import Training
from registry import METHODS
from tests.conftest import ROOT
from tests.pairing_tools import PulsingClips
from tests.trainer_tools import tiny_config
from unsupervised_methods.rates import rate_told

NAMES = ("PairNet21", "PairNetProj", "PairRate", "legacy_cnn_proj", "legacy_cnn21")
RATES = (55.0, 65.0, 75.0, 85.0, 95.0, 105.0)
SKIN = (0.33, 0.77, 0.53)  # relative pulsatility of R, G, B
GRIDPULSE = ROOT / "neural_methods" / "weights" / "gridpulse.safetensors"
LEVELS = torch.full((1, 3, 4, 4), 128.0)


def trainer_of(name: str, folder: Path, size: int = 8, frames: int = 120, types: str = "Standardized", **changes):
    """A trainer on frames of `size` pixels; options of MODEL.PAIR by their names, others with `__`."""
    pair = {key: changes.pop(key) for key in list(changes) if "__" not in key}
    options = CfgNode({**METHODS[name].OPTIONS["PAIR"], "PAIRS_PER_EPOCH": 8, "PERMUTATIONS": 99, **pair})
    data = {"CHUNK_LENGTH": frames, "RESIZE": {"H": size, "W": size}, "DATA_TYPE": [types]}
    for part in ("TRAIN", "TEST"):
        for key, value in data.items():
            changes[f"{part}__DATA__PREPROCESS__{key}"] = CfgNode(value) if isinstance(value, dict) else value
        changes[f"{part}__DATA__FS"] = 30.0
    return METHODS[name](tiny_config(name, folder / "models", MODEL__PAIR=options, **changes))


def weights_of(folder: Path) -> dict[str, bytes]:
    """Content of every weight file."""
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


@pytest.mark.parametrize("factorised", [True, False])
def test_a_swapped_pair_is_a_swapped_answer(factorised):
    """To 1e-6 in evaluation mode: each video is scored by itself."""
    torch.manual_seed(0)
    network = PairNet(3, factorised, stride=2).eval()
    videos, heart, fs = torch.randn(6, 3, 90, 16, 16), torch.tensor([[800.0, 0.04]] * 6), torch.full((6,), 30.0)
    levels, waves = 255 * torch.rand(6, 3, 4, 4), torch.randn(6, 3, 90)
    with torch.no_grad():
        vectors, hearts, _ = network(videos, heart, fs, levels, waves)
    first, second = vectors[:3], vectors[3:]
    one = torch.softmax(scores(torch.stack([first, second], 1), hearts[:3, None], "distance")[..., 0], 1)
    other = torch.softmax(scores(torch.stack([second, first], 1), hearts[:3, None], "distance")[..., 0], 1)
    torch.testing.assert_close(one[:, 0], other[:, 1], atol=1e-6, rtol=0)
    assert (one[:, 0] - 0.5).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("name", "convolutional", "flat", "whole"),
    [("legacy_cnn_proj", 4_310, 289_408, 2_319_585), ("legacy_cnn21", 1_934, 633_360, 5_068_825)],
)
def test_the_networks_of_the_thesis_have_its_parameters(name, convolutional, flat, whole):
    """At 300 frames of 480 x 640, whole and without the dense layers."""
    with torch.device("meta"):
        network = LegacyPair(name)
    assert sum(one.numel() for one in network.encoder.parameters()) == convolutional
    assert network.first.in_features == 2 * flat
    assert sum(one.numel() for one in network.parameters()) == whole


@pytest.mark.parametrize("name", ["legacy_cnn_proj", "legacy_cnn21"])
def test_the_networks_of_the_thesis_answer_the_same_in_both_orders(name):
    """To the bit; and as `evaluation.pairing` scores their vectors."""
    from evaluation.pairing import probability, symmetric

    torch.manual_seed(1)
    network = LegacyPair(name, (64, 64, 96)).eval()
    video, heart = 50 * torch.randn(4, 1, 64, 64, 96), torch.tensor([[800.0, 0.05], [700.0, 0.02]])
    with torch.no_grad():
        vectors, hearts, _ = network(video, heart.repeat(2, 1))
        one = network.decide(vectors[:2], vectors[2:], hearts[:2])
        other = network.decide(vectors[2:], vectors[:2], hearts[:2])
    assert torch.equal(one, other)
    logit = symmetric(*(part.double().numpy() for part in (vectors[:2], vectors[2:], hearts[:2])))
    np.testing.assert_allclose(probability(logit), one.numpy(), atol=1e-5)


def test_kernels_stand_along_time_or_along_space():
    """Of the factorised network none spans both; time keeps its resolution until the head."""
    network = PairNet(3, True)
    kernels = [one.kernel_size for one in network.modules() if isinstance(one, torch.nn.Conv3d)]
    assert all(frames == 1 or (height, width) == (1, 1) for frames, height, width in kernels)
    assert {kernel[0] > 1 for kernel in kernels} == {True, False}
    assert all(one.stride[0] == 1 for one in network.modules() if isinstance(one, torch.nn.Conv3d))
    plain = [one.kernel_size for one in PairNet(3, False).modules() if isinstance(one, torch.nn.Conv3d)]
    assert (3, 3, 3) in plain


def test_a_network_reads_clips_of_any_size():
    """No layer is tied to frames, height or width."""
    network = PairNet(3, True).eval()
    heart, fs = torch.tensor([[800.0, 0.05]]), torch.tensor([30.0])
    for shape in ((3, 60, 32, 32), (3, 80, 48, 40), (3, 120, 64, 64)):
        vectors, hearts, _ = network(torch.zeros(1, *shape), heart, fs, LEVELS, torch.zeros(1, 3, shape[1]))
        assert vectors.shape == hearts.shape and torch.isfinite(vectors).all()


def test_large_frames_are_averaged_down_before_they_are_normalised(tmp_path):
    """To the same input of the stages as the network's own averaging makes of them, and the same levels."""
    trainer = trainer_of("PairNet21", tmp_path, size=64, frames=40)
    network = trainer.build().eval()
    random = torch.Generator().manual_seed(4)
    video = torch.randint(0, 256, (1, 3, 40, 64, 64), generator=random, dtype=torch.uint8)
    batch = {"video": video, "next_frame": video[:, :, 0], "has_next": torch.tensor([False]),
             "stats": torch.tensor([[120.0, 60.0, 0.1]]), "fs": torch.tensor([30.0]),
             "heart": torch.tensor([[800.0, 0.05]])}  # fmt: skip
    small, whole = trainer.normalise(batch), super(type(trainer), trainer).normalise(batch)
    assert small["video"].shape[-1] == 32 and whole["video"].shape[-1] == 64
    with torch.no_grad():
        waves = torch.randn(1, 3, 40, generator=random)
        found = [network(one["video"], one["heart"], one["fs"], one["levels"], waves) for one in (small, whole)]
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_an_unknown_variation_is_the_usual_one():
    """A heart of which only the rate is known has a vector."""
    network = PairNet(3, True).eval()
    with torch.no_grad():
        parts = network.heart(torch.tensor([[800.0, 0.05], [800.0, float("nan")]]))
    for known, unknown in parts:
        torch.testing.assert_close(known, unknown)


def test_both_trials_of_a_pair_are_one_update(tmp_path):
    """The loss is the mean over both hearts, and an epoch has as many updates as batches of pairs."""
    trainer = trainer_of("PairNet21", tmp_path, TRAIN__BATCH_SIZE=4, TRAIN__EPOCHS=1)
    steps = []
    trainer.after_update = lambda network, epoch, update: steps.append((epoch, update))
    trainer.fit(PulsingClips(RATES), folder=tmp_path / "run")
    assert steps == [(0, 0), (0, 1)]
    found = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
    by_hand = -(torch.log_softmax(found[0, :, 0], 0)[0] + torch.log_softmax(found[0, :, 1], 0)[1]) / 2
    torch.testing.assert_close(choice_loss(found, both=False), by_hand)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_trains_and_leaves_a_vector_for_each_clip(name, tmp_path):
    """Finite vectors of video and heart, the baseline's rate, and the heart itself."""
    size, frames = {"legacy_cnn_proj": 64, "legacy_cnn21": 32}.get(name, 8), 120
    trainer = trainer_of(name, tmp_path, size, frames, TRAIN__EPOCHS=1, PAIRS_PER_EPOCH=2, PERTURB=["static"])
    clips = PulsingClips(RATES[:3], size=size)
    fitted = trainer.fit(clips, folder=tmp_path / "run")
    found = trainer.predictions(trainer.load(fitted.path), clips)
    assert sorted(found) == ["r0", "r1", "r2"] and sorted(found["r0"]) == [0, 1]
    one = found["r1"][1]
    assert np.isfinite(one["pair"]).all() and np.isfinite(one["pair_heart"]).all()
    assert 60_000 / one["heart"][0] == pytest.approx(65.0, abs=1.0)
    assert one["pair.static"].shape == one["pair"].shape and not np.array_equal(one["pair.static"], one["pair"])


def test_rates_are_told_by_the_colours_alone(tmp_path):
    """PairRate, with GREEN on frames that pulse: every rate within 3 bpm; of a still clip none."""
    trainer = trainer_of("PairRate", tmp_path, BASELINE="GREEN", COMPARE="peak", PERTURB=["static"], frames=300)
    clips = PulsingClips(RATES, seconds=10.0, amplitude=60.0)
    found = trainer.predictions(trainer.load(trainer.fit(clips, folder=tmp_path).path), clips)
    for number, rate in enumerate(RATES):
        assert found[f"r{number}"][0]["pair"][0] == pytest.approx(rate, abs=3.0)
        assert np.isnan(found[f"r{number}"][0]["pair_rate.static"]).all()


def test_rates_may_be_told_by_a_network_of_the_toolbox(tmp_path):
    """PairRate with GridPulse and its weights, which read other frames than a network for pairs: within 3 bpm."""
    network = {"NETWORK": "GridPulse", "NETWORK_WEIGHTS": str(GRIDPULSE)}
    trainer = trainer_of("PairRate", tmp_path, size=32, frames=240, **network)
    assert trainer.data_types == ["Raw"]
    clips = PulsingClips(RATES[::2], seconds=8.0, size=32, amplitude=4.0, response=SKIN)
    fitted = trainer.fit(clips, folder=tmp_path / "run")
    told = {f"{part}__DATA__PREPROCESS__LABEL_TYPE": "Raw" for part in ("TRAIN", "TEST")}  # as their sidecar says
    alone = trainer_of("PairRate", tmp_path, size=32, frames=240, types="Raw", NETWORK="GridPulse", **told)
    found = alone.predictions(alone.load(fitted.path), clips)
    for number, rate in enumerate(RATES[::2]):
        likeliest = likely_rates.RATES[found[f"r{number}"][0]["pair"].argmax()]
        assert likeliest == pytest.approx(rate, abs=3.0)


def test_the_noise_of_a_derivative_is_no_rate():
    """Summed up it is drift that outweighs the pulse; `exact` takes it away, and so does the rate of a network."""
    clock, right = np.arange(300) / 30.0, 0
    for seed in range(40):
        derivative = np.cos(2 * np.pi * 1.6 * clock) + np.random.default_rng(seed).normal(0, 3.0, 300)
        told = rate_told(in_band_of_exact(derivative, 30.0, differential=True), 30.0, "peak")
        right += abs(told[0] - 96.0) < 3.0
    assert right >= 25
    assert in_band_of_exact(np.zeros(300), 30.0, differential=True) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"NETWORK": "GridPuls"}, "Did you mean 'GridPulse'"),
        ({"NETWORK": "PairNet21"}, "gives no pulse wave"),
        ({"NETWORK": "GridPulse"}, "name its weights, MODEL.PAIR.NETWORK_WEIGHTS"),
        ({"NETWORK": "Physnet", "NETWORK_WEIGHTS": "GRIDPULSE"}, "holds weights of GridPulse"),
        (
            {"NETWORK": "GridPulse", "NETWORK_WEIGHTS": "GRIDPULSE", "size": 16},
            r"size \[32, 32\] instead of \[16, 16\]",
        ),
    ],
)
def test_a_network_that_tells_no_rate_is_refused(tmp_path, changes, words):
    """By name, before data are read: another method, no weights, weights of another one or of other frames."""
    weights = {key: str(GRIDPULSE) for key, value in changes.items() if value == "GRIDPULSE"}
    with pytest.raises((ValueError, KeyError), match=words):
        trainer_of("PairRate", tmp_path, **{"size": 32, **changes, **weights}).check_start()


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(tmp_path, monkeypatch):
    """Killed in its third update and started again: the same weights, the same history."""
    changes = {"TRAIN__EPOCHS": 2, "TRAIN__BATCH_SIZE": 4, "TRAIN__STATE_EVERY": 1}
    trainer_of("PairNet21", tmp_path / "whole", **changes).fit(PulsingClips(RATES), folder=tmp_path / "whole" / "run")
    step, calls = Training._step, []

    def interrupt(*given):
        calls.append(0)
        if len(calls) > 2:
            raise Killed
        return step(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", interrupt)
        with pytest.raises(Killed):
            trainer_of("PairNet21", tmp_path / "killed", **changes).fit(
                PulsingClips(RATES), folder=tmp_path / "killed" / "run"
            )
    trainer_of("PairNet21", tmp_path / "killed", **changes).fit(PulsingClips(RATES), folder=tmp_path / "killed" / "run")
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "killed") != {}
    losses = [[row["loss"] for row in csv.DictReader((tmp_path / name / "run" / "history.csv").open())]
              for name in ("whole", "killed")]  # fmt: skip
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_the_best_epoch_is_the_most_accurate_and_then_the_one_of_least_loss(tmp_path):
    """Equal accuracies differ by far less than one trial more would make."""
    trainer = trainer_of("PairNet21", tmp_path)
    from dataset.pair_lists import Clip

    def row(person, rate, vector):
        return Clip(f"r{person}", f"p{person}", 0, rate), np.array([vector]), np.array([rate])

    sure = trainer.validation_score([row(0, 60.0, 60.0), row(1, 80.0, 80.0)])
    unsure = trainer.validation_score([row(0, 60.0, 69.9), row(1, 80.0, 70.1)])
    wrong = trainer.validation_score([row(0, 60.0, 81.0), row(1, 80.0, 80.0)])
    assert sure < unsure < 1e-6 < wrong - 0.4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PERTURB": ["invert"]}, "Did you mean 'inverted'"),
        ({"SCORE": "cosine"}, "must be distance or dot"),
        ({"COMPARE": "peaks"}, "COMPARE is 'peaks', but must be spectrum or peak"),
        ({"PAIRS_PER_EPOCH": 0}, "PAIRS_PER_EPOCH is 0, but must be 1 or more"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, changes, words):
    """In one sentence that names the key."""
    with pytest.raises(ValueError, match=words):
        trainer_of("PairNet21", tmp_path, **changes)


def test_a_network_of_the_thesis_says_that_it_cannot(tmp_path, capsys):
    """Before its first update."""
    trainer = trainer_of("legacy_cnn21", tmp_path, 32, 120, TRAIN__EPOCHS=1, PAIRS_PER_EPOCH=1)
    trainer.fit(PulsingClips(RATES[:2], size=32), folder=tmp_path / "run")
    assert "cannot do better than chance" in capsys.readouterr().out


def test_mixed_precision_leaves_the_spectrum_as_it_is():
    """The weights of the rates under bfloat16 lie where they lie without."""
    torch.manual_seed(2)
    network = PairNet(3, True, stride=1).eval()
    frames = torch.arange(300) / 30.0
    wave = torch.sin(2 * torch.pi * 1.3 * frames)
    video = torch.randn(1, 3, 300, 8, 8) * 0.1 + wave[:, None, None]
    heart, fs = torch.tensor([[770.0, 0.05]]), torch.tensor([30.0])
    with torch.no_grad():
        *_, exact = network(video, heart, fs, LEVELS, wave.expand(1, 3, -1))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            *_, mixed = network(video, heart, fs, LEVELS, wave.expand(1, 3, -1))
    assert exact.item() == pytest.approx(78.0, abs=4.0) and mixed.item() == pytest.approx(exact.item(), abs=0.5)
