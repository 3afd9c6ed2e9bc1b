"""SiNC: closed forms of its three terms, the speed of clips, and networks that learn without a label."""

import numpy as np
import pytest
import torch

from evaluation import tables
from evaluation.heart_rate import fft_heart_rate
from neural_methods.augment import played
from neural_methods.label_free import sinc as module
from neural_methods.label_free.base import method_of
from neural_methods.loss import sinc
from neural_methods.loss.spectrum import power_spectrum, rate_bins
from tests.trainer_tools import tiny_config

BINS = rate_bins(1, 900)
FS, SECONDS = 30.0, 40.0


def tones(*parts):
    """Shares of power (1, F) of a sum of sines (bpm, amplitude)."""
    time = torch.arange(int(FS * SECONDS), dtype=torch.float64) / FS
    wave = sum(size * torch.sin(2 * torch.pi * bpm / 60 * time) for bpm, size in parts)
    return power_spectrum(wave[None], FS, BINS)


def terms(power, speed=1.0):
    """Bandwidth and sparsity of one clip."""
    band = sinc.band_of(BINS, torch.tensor([speed]))
    return float(sinc.bandwidth(power, band)), float(sinc.sparsity(power, band, BINS))


def test_one_tone_in_the_band_costs_nothing():
    """Also at its ends; outside it costs everything."""
    for bpm in (50.0, 90.0, 170.0):
        assert max(terms(tones((bpm, 1.0)))) < 1e-3
    assert terms(tones((300.0, 1.0)))[0] > 0.999


@pytest.mark.parametrize("size", [0.3, 0.7])
def test_two_tones_cost_the_share_of_the_weaker(size):
    """size^2 / (1 + size^2): of sparsity where both are in the band, of bandwidth where the weaker is not."""
    share = size**2 / (1 + size**2)
    assert terms(tones((70.0, 1.0), (140.0, size))) == pytest.approx((0.0, share), abs=2e-3)
    assert terms(tones((70.0, 1.0), (400.0, size))) == pytest.approx((share, 0.0), abs=2e-3)


def test_the_band_runs_along_with_the_speed():
    """A heart of 150 bpm at 1.4 times its speed is one of 210, and no fault; one of 50 at 0.6 times is 30."""
    for bpm, speed in ((150.0, 1.4), (50.0, 0.6)):
        power = tones((bpm * speed, 1.0))
        assert terms(power, speed)[0] < 1e-3 < 0.99 < terms(power)[0]


def test_variance_of_one_frequency_is_that_of_a_step():
    """All power at the share u of the band: (u^3 + (1 - u)^3) / 3; spread evenly over a batch: 0."""
    band = sinc.band_of(BINS, torch.ones(1))
    inside = torch.nonzero(band[0])[:, 0]
    for u in (0.0, 0.25, 0.5, 1.0):
        power = torch.zeros(5, len(BINS), dtype=torch.float64)
        power[:, inside[round(u * (len(inside) - 1))]] = 1.0
        assert float(sinc.variance(power, band.expand(5, -1))) == pytest.approx((u**3 + (1 - u) ** 3) / 3, abs=0.01)
    even = torch.zeros(len(inside), len(BINS), dtype=torch.float64)
    even[torch.arange(len(inside)), inside] = 1.0
    assert float(sinc.variance(even, band.expand(len(even), -1))) < 1e-12


def test_variance_knows_at_what_speed_clips_run():
    """Clips that fill their own bands, which run with their speed, fill the band of the batch."""
    band = sinc.band_of(BINS, torch.tensor([0.6, 1.4]))
    flat = band.double() / band.sum(dim=1, keepdim=True)
    assert float(sinc.variance(flat, band)) < 1e-12
    assert float(sinc.variance(flat, sinc.band_of(BINS, torch.ones(2)))) > 1e-3


def test_no_power_is_no_error():
    """A network that says nothing has finite losses and gradients."""
    wave = torch.zeros(2, 300, requires_grad=True)
    power = power_spectrum(wave, FS, BINS)
    band = sinc.band_of(BINS, torch.ones(2))
    total = sinc.bandwidth(power, band).sum() + sinc.sparsity(power, band, BINS).sum() + sinc.variance(power, band)
    total.backward()
    assert torch.isfinite(total) and torch.isfinite(wave.grad).all()


def test_a_clip_is_played_at_its_speed():
    """Values at speed x time, linear between frames; past the end backwards; speed 1 changes no bit."""
    clips = torch.arange(20.0).repeat(3, 1)
    clips = torch.stack([clips, 2 * clips], dim=-1)
    out = played(clips, torch.tensor([1.0, 0.6, 1.4], dtype=torch.float64))
    assert torch.equal(out[0], clips[0])
    np.testing.assert_allclose(out[1, :, 0], 0.6 * np.arange(20), rtol=1e-6)
    wanted = 1.4 * np.arange(20)
    np.testing.assert_allclose(out[2, :, 1], 2 * np.minimum(wanted, 38 - wanted), rtol=1e-6)


# --- Methods ---------------------------------------------------------------------------------------------------------


class Faces(torch.utils.data.Dataset):
    """Clips (3, T, H, W) with a pulse of 60 to 150 bpm, a stronger flicker of light at 190, and no label."""

    def __init__(self, n=8, frames=128, size=2):
        """Drawn from a seed."""
        random, time = np.random.default_rng(0), np.arange(frames) / FS
        self.rates = random.uniform(60, 150, n)
        pulse = np.sin(2 * np.pi * self.rates[:, None] / 60 * time + random.uniform(0, 6, (n, 1)))
        light = 1.5 * np.sin(2 * np.pi * 190 / 60 * time + random.uniform(0, 6, (n, 1)))
        colours = pulse[:, None] * np.array([0.3, 1.0, 0.5])[:, None] + light[:, None] * np.ones((3, 1))
        noise = random.normal(0, 0.3, (n, 3, frames, size, size))
        self.videos = torch.from_numpy((colours[..., None, None] + noise).astype(np.float32))

    def __len__(self):
        """Clips."""
        return len(self.videos)

    def __getitem__(self, index):
        """One, normalised already."""
        return {
            "video_float": self.videos[index], "recording": f"r{int(index)}", "subject": "s", "clip": 0,
            "fs": FS, "index": int(index),
        }  # fmt: skip


def make(folder, name="Physnet", **changes):
    """A trainer with this loss; pictures of 4 x 4 would be too small for any network here, 16 x 16 are not."""
    more = {"TRAIN__LOSS": "sinc", "TRAIN__DATA__PREPROCESS__CHUNK_LENGTH": 128, "TOOLBOX_MODE": "train", **changes}
    config = tiny_config(name, folder, **more)
    return method_of(config)(config)


def test_labels_are_asked_for_in_a_test_alone(tmp_path):
    """So a data set without any is enough, and one with damaged ones, too."""
    trainer = make(tmp_path)
    assert trainer.clip_options("train")["labels"] == trainer.clip_options("valid")["labels"] == ()
    assert [(one.name, one.required) for one in trainer.clip_options("test")["labels"]] == [("ppg", False)]
    assert trainer.needs.signals == () and trainer.loss_mixes_samples and "no label" in trainer.notes[0]
    plain = tiny_config("Physnet", tmp_path)
    assert method_of(plain)(plain).needs.signals == ("ppg",)


def test_processes_with_clips_of_other_rates_have_the_same_bins(tmp_path, monkeypatch):
    """Those of the slowest clip of all, as spectra are put together in the variance; in validation each has its own."""
    seen = []
    monkeypatch.setattr(module.distributed, "gather", lambda value: [value, 20.0])  # another process has 20 Hz
    monkeypatch.setattr(module, "power_spectrum", lambda *given: seen.append(len(given[2])) or power_spectrum(*given))
    trainer, wave = make(tmp_path), tones((90, 1)).requires_grad_()
    batch = {"fs": torch.tensor([FS]), "recording": ["r"]}
    trainer.loss({"ppg": wave}, batch, 0)["loss"].backward()
    with torch.no_grad():
        trainer.loss({"ppg": wave}, batch, 0)
    assert seen == [600, 30 * FS]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("MTTSCAN", {}, "also gives 'resp'"),
        ("Physnet", {"TRAIN__AUGMENT__RATE": True}, "TRAIN.AUGMENT.RATE goes by the label"),
    ],
)
def test_what_cannot_learn_so_is_told(tmp_path, name, changes, said):
    """In one sentence that names the keys."""
    with pytest.raises(ValueError, match=said):
        make(tmp_path, name, **changes)


def learned(folder, epochs=40):
    """GridPulse after some updates without a label, and the columns of its history."""
    trainer = make(
        folder, "GridPulse", MODEL__GRIDPULSE__WIDTH=8, MODEL__GRIDPULSE__GRID=2, TRAIN__EPOCHS=epochs, TRAIN__LR=0.01,
        TRAIN__BATCH_SIZE=8, TRAIN__AUGMENT__SPEED=0.4,
    )  # fmt: skip
    fitted = trainer.fit(Faces(), folder=folder / "run")
    return trainer, trainer.load(fitted.path), tables.csv_lines(folder / "run" / "history.csv")


def error(network):
    """Mean absolute error (bpm) of the rates of the clips that a network says."""
    faces = Faces()
    network.eval()
    with torch.no_grad():
        waves = network(faces.videos)[0].double().numpy()
    return np.mean([abs(fft_heart_rate(wave, FS) - rate) for wave, rate in zip(waves, faces.rates, strict=True)])


@pytest.mark.slow
def test_a_network_finds_the_pulse_without_a_label(tmp_path):
    """The flicker is stronger and out of a heart's band: the rates are found, and the loss falls."""
    trainer, network, rows = learned(tmp_path)
    before, after = error(trainer.build()), error(network)
    assert before > 20 and after < 5, (before, after)
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])


def test_a_training_is_the_same_again(tmp_path):
    """The same bits, speeds and all."""
    (_, first, _), (_, second, _) = (learned(tmp_path / name, epochs=2) for name in ("first", "second"))
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))
