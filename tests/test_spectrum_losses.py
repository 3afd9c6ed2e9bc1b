"""The losses on the spectrum: recorded values and gradients, known limits, labels outside the bins, flat waves."""

import json
import math

import numpy as np
import pytest
import torch

from neural_methods.loss import physformer, rhythmformer
from neural_methods.loss.spectrum import (
    label_distribution_loss,
    power_spectrum,
    rate_bins,
    rate_classes,
    spectrum_cross_entropy,
    standardise,
    welch_heart_rate,
)
from tests.conftest import reference

BINS = rate_bins(40, 179)


def recorded():
    """(arrays, values) of the recorded losses."""
    return np.load(reference("parity/losses.npz")), json.loads(reference("parity/losses.json").read_text())


def compare(value, predicted, expected_value, expected_gradient):
    """Value to 1e-5 relative, gradient to 1e-4 of its largest entry."""
    assert value.item() == pytest.approx(expected_value, rel=1e-5)
    gradient = torch.autograd.grad(value, predicted, retain_graph=True)[0].numpy().reshape(expected_gradient.shape)
    assert np.abs(gradient - expected_gradient).max() <= 1e-4 * np.abs(expected_gradient).max() + 1e-8


def wave(bpm, frames=160, fs=30.0, clips=1):
    """Sines of `bpm`, (clips, frames)."""
    time = torch.arange(frames, dtype=torch.float32) / fs
    return torch.sin(2 * math.pi * bpm / 60 * time).repeat(clips, 1)


@pytest.mark.parametrize("case", range(4))
def test_spectral_losses_equal_the_recorded_ones(case):
    """Spectrum, cross-entropy and label distribution of PhysFormer, values and gradients."""
    arrays, values = recorded()
    name, entry = f"physformer{case}", values[f"physformer{case}_kl"]
    predicted = torch.tensor(arrays[f"{name}_pred"])[None].requires_grad_()
    power = power_spectrum(predicted, entry["fs"], BINS)
    assert np.abs(power.detach().numpy() - arrays[f"{name}_spectrum_40_179bpm"]).max() < 1e-6
    assert power.argmax().item() == values[f"{name}_forward_pred_idx_from40bpm"]
    classes, _ = rate_classes(torch.tensor([entry["target_bpm"]]), BINS)
    divergence = label_distribution_loss(power, BINS[classes], BINS, entry["std"]).mean()
    compare(divergence, predicted, entry["value"], arrays[f"{name}_kl_grad"])
    entropy = spectrum_cross_entropy(power, classes).mean()
    compare(entropy, predicted, values[f"{name}_ce"]["value"], arrays[f"{name}_ce_grad"])


def test_whole_physformer_loss_equals_the_recorded_one():
    """Time, cross-entropy and label distribution together, for two clips."""
    arrays, values = recorded()
    entry = values["physformer_total_B2"]
    predicted = torch.tensor(arrays["physformer_total_B2_pred"]).requires_grad_()
    label, rates = torch.tensor(arrays["physformer_total_B2_label"]), torch.tensor(entry["hr"])
    losses = physformer.physformer_loss(predicted, label, rates, entry["fs"], (entry["a"], entry["b"]))
    compare(losses["loss"], predicted, entry["value"], arrays["physformer_total_B2_grad"])


@pytest.mark.parametrize("frames", [160, 300])
def test_rate_of_a_label_equals_the_recorded_one(frames):
    """Welch's rate, to 1e-9 bpm."""
    arrays, values = recorded()
    rate = welch_heart_rate(arrays[f"physformer_gethr_T{frames}_in"], 30)
    assert rate == pytest.approx(values[f"physformer_gethr_T{frames}"], abs=1e-9)


@pytest.mark.parametrize("case", range(4))
def test_rhythmformer_loss_equals_the_recorded_one(case):
    """Rate of the label, value and gradient, for raw and differentiated labels."""
    arrays, values = recorded()
    entry = values[f"rhythmformer{case}"]
    predicted = torch.tensor(arrays[f"rhythmformer{case}_pred"])[None].requires_grad_()
    label = torch.tensor(arrays[f"rhythmformer{case}_label"])[None]
    rates = rhythmformer.label_rates(label, torch.tensor([float(entry["fs"])]), bool(entry["diff_flag"]))
    losses = rhythmformer.rhythmformer_loss(predicted, label, rates, entry["fs"])
    assert losses["ce"].item() == pytest.approx(entry["ce"], rel=1e-5)
    compare(losses["loss"], predicted, entry["value"], arrays[f"rhythmformer{case}_grad"])


@pytest.mark.parametrize("bpm", [48, 72, 131])
def test_spectrum_peaks_where_the_wave_beats(bpm):
    """The bin of a sine's rate has the most power, and all shares sum to one."""
    power = power_spectrum(wave(bpm, frames=600), 30.0, BINS)
    assert BINS[power.argmax()].item() == bpm
    assert power.sum().item() == pytest.approx(1, abs=1e-5)


def test_every_clip_may_have_its_own_frame_rate():
    """Clips of 25 and 30 frames per second in one batch give what each gives alone."""
    waves = torch.cat([wave(72, fs=25.0), wave(72)])
    together = power_spectrum(waves, torch.tensor([25.0, 30.0]), BINS)
    alone = torch.cat([power_spectrum(waves[:1], 25.0, BINS), power_spectrum(waves[1:], 30.0, BINS)])
    assert torch.allclose(together, alone)


def test_reference_cross_entropy_is_nearly_flat_and_the_proper_one_is_not():
    """Equal shares cost ln 140 in both forms; a perfect spectrum costs 3.95 in the reference one, 0 in the other."""
    classes, flat = torch.tensor([35]), torch.full((1, 140), 1 / 140)
    perfect = torch.nn.functional.one_hot(classes, 140).float()
    for form, best in (("reference", math.log(math.e + 139) - 1), ("proper", 0.0)):
        assert spectrum_cross_entropy(flat, classes, form).item() == pytest.approx(math.log(140), abs=1e-5)
        assert spectrum_cross_entropy(perfect, classes, form).item() == pytest.approx(best, abs=1e-5)


def test_proper_label_distribution_is_least_for_the_density_itself():
    """With 'log', a spectrum equal to the target has no divergence; with 'log_softmax' it still has."""
    rate = torch.tensor([80.0])
    target = torch.exp(-0.5 * (BINS - 80) ** 2)
    power = (target / target.sum())[None].float()
    assert label_distribution_loss(power, rate, BINS, form="log").item() == pytest.approx(0, abs=1e-3)
    assert label_distribution_loss(power, rate, BINS, form="log_softmax").item() > 3


def test_unknown_forms_are_named():
    """The error lists what there is."""
    power, classes = torch.full((1, 140), 1 / 140), torch.tensor([3])
    with pytest.raises(ValueError, match="'prpoer'.*reference, proper"):
        spectrum_cross_entropy(power, classes, "prpoer")
    with pytest.raises(ValueError, match="log_softmax, log"):
        label_distribution_loss(power, torch.tensor([43.0]), BINS, form="softmax")
    with pytest.raises(ValueError, match="toolbox, rf"):
        physformer.curriculum("rhythm", 0, 10)


def test_rates_outside_the_bins_are_clamped_and_counted():
    """Below, above and undefined rates go to the outermost bins; the truncated one stays."""
    classes, outside = rate_classes(torch.tensor([39.9, 40.0, 95.7, 179.9, 180.0, math.nan, math.inf]), BINS)
    assert classes.tolist() == [0, 0, 55, 139, 139, 0, 139]
    assert outside.tolist() == [True, False, False, False, True, True, True]


@pytest.mark.parametrize("forms", [{}, {"ce": "proper", "ld": "log"}])
@pytest.mark.parametrize("rates", [[10.0, 250.0], [math.nan, 72.0]])
def test_physformer_loss_is_finite_whatever_the_label_says(forms, rates):
    """Clamped labels give finite losses and gradients, and their share is reported."""
    predicted = torch.randn(2, 160, generator=torch.Generator().manual_seed(0)).requires_grad_()
    losses = physformer.physformer_loss(predicted, wave(72, clips=2), torch.tensor(rates), 30.0, **forms)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"]) and torch.isfinite(predicted.grad).all()
    assert losses["clamped"].item() == (1.0 if rates[0] == 10 else 0.5)


@pytest.mark.parametrize("name", ["physformer", "rhythmformer"])
def test_constant_waves_cost_a_number_and_give_no_gradient(name):
    """A flat prediction is as bad as an uncorrelated one: time loss 1, no NaN anywhere."""
    predicted = torch.full((1, 160), 3.0, requires_grad=True)
    module = {"physformer": physformer, "rhythmformer": rhythmformer}[name]
    loss = getattr(module, f"{name}_loss")(standardise(predicted), wave(72), torch.tensor([72.0]), 30.0)
    loss["loss"].backward()
    assert loss["time"].item() == 1 and torch.isfinite(loss["loss"])
    assert predicted.grad.abs().max() == 0


@pytest.mark.parametrize("ce", ["reference", "proper"])
def test_loss_falls_towards_the_right_rate(ce):
    """A prediction at the label's rate costs less than one beside it, in either form and for both methods."""
    rates, label = torch.tensor([72.0]), wave(72, frames=300)
    for loss in (physformer.physformer_loss, rhythmformer.rhythmformer_loss):
        right, wrong = (loss(wave(bpm, frames=300), label, rates, 30.0, ce=ce)["ce"] for bpm in (72, 84))
        assert right < wrong


def test_curricula_follow_their_definitions():
    """Weights (a, b) of the four profiles at chosen epochs."""
    assert [physformer.curriculum("toolbox", e, 30) for e in (0, 10, 11)] == [(1.0, 1.0), (1.0, 1.0), (0.05, 5.0)]
    assert physformer.curriculum("rf", 0, 30) == (1.0, 1.0)
    assert physformer.curriculum("rf", 15, 30) == (1.0, pytest.approx(5**0.5))
    assert physformer.curriculum("rf", 90, 100) == (1.0, 5.0)
    assert physformer.curriculum("paper", 5, 100) == (0.1, pytest.approx(5**0.2))
    assert physformer.curriculum("paper_formula", 25, 50) == (0.1, pytest.approx(5**0.5))


@pytest.mark.parametrize("bpm", [45, 72, 150])
def test_label_rates_find_the_painted_rate(bpm):
    """Welch's rate within 1 bpm; the periodogram's within its bin; the differentiated label within the same."""
    waves, fs = wave(bpm, frames=300, clips=2), torch.tensor([30.0, 30.0])
    assert torch.allclose(physformer.label_rates(waves, fs), torch.tensor([bpm, bpm]).double(), atol=1.0)
    bin_width = 60 * 30 / 512
    assert torch.allclose(rhythmformer.label_rates(waves, fs, False), torch.tensor([bpm]).double(), atol=bin_width)
    steps = waves.diff(dim=1, append=waves[:, -1:])
    assert torch.allclose(rhythmformer.label_rates(steps, fs, True), torch.tensor([bpm]).double(), atol=bin_width)


def test_very_short_waves_have_no_welch_rate():
    """One sample has no spectrum: not a number instead of an error."""
    assert math.isnan(welch_heart_rate(np.zeros(1), 30.0))


def test_standardise_scales_each_clip():
    """Mean 0 and sample standard deviation 1 for every clip by itself."""
    out = standardise(torch.stack([wave(60)[0] * 7 + 3, wave(90)[0]]))
    assert torch.allclose(out.mean(dim=1), torch.zeros(2), atol=1e-6)
    assert torch.allclose(out.std(dim=1), torch.ones(2), atol=1e-5)
