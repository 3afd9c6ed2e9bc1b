"""GridPulse: any length and size, what does not count for it, and a training on drawn signals through the program."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import main
from config import load_config, run_folder
from dataset.synthetic import signals
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_recording
from neural_methods import checkpoint, chosen
from neural_methods.loss.wave_and_spectrum import wave_and_spectrum
from neural_methods.model.grid_pulse import GridPulse, relative
from neural_methods.trainer.gridpulse import GridPulseTrainer
from tests.conftest import ROOT

FILE = ROOT / "configs" / "own_weights" / "grid_pulse.yaml"
SMALL = ["TRAIN.EPOCHS=2", "TRAIN.DATA.SIGNALS.WINDOWS=8", "VALID.DATA.SIGNALS.WINDOWS=4", "TRAIN.BATCH_SIZE=4",
         "TRAIN.DATA.SIGNALS.SECONDS=4", "VALID.DATA.SIGNALS.SECONDS=4", "DEVICE=cpu", "NUM_WORKERS=0"]  # fmt: skip


def video(frames=90, size=8, seed=0):
    """Colours about 100 with a little noise."""
    return 100 + torch.randn((2, 3, frames, size, size), generator=torch.Generator().manual_seed(seed))


def test_the_network_is_small_and_takes_any_length_and_size():
    """Below 0.3 M parameters; wave and quality have as many samples as the clip has frames."""
    network = GridPulse().eval()
    assert sum(one.numel() for one in network.parameters()) < 300_000
    for frames, size in ((61, 4), (150, 8), (301, 33)):
        wave, quality = network(video(frames, size))
        assert wave.shape == quality.shape == (2, frames) and torch.isfinite(wave).all()


def test_neither_brightness_nor_slow_changes_count():
    """Twice as bright gives the same wave; a ramp of a tenth over the clip nearly the same."""
    network, clip = GridPulse().eval(), video(300)
    wave = network(clip)[0]
    assert torch.allclose(network(2 * clip)[0], wave, atol=1e-4)
    ramp = 1 + 0.1 * torch.linspace(0, 1, 300)[:, None, None]
    change, _ = relative(
        torch.nn.functional.adaptive_avg_pool3d(clip * ramp, (300, 4, 4)).permute(0, 3, 4, 1, 2).reshape(2, 16, 3, 300)
    )
    assert change.square().mean().item() == pytest.approx(1, abs=0.01)
    slow = torch.fft.rfft(change[..., 60:-60]).abs()
    assert slow[..., 0].mean() < 0.2 * slow[..., 5:].max()


def test_pictures_are_averaged_to_the_grid():
    """A picture of 8 x 8 pixels is its 4 x 4 means."""
    network, clip = GridPulse().eval(), video(90, 8)
    means = torch.nn.functional.avg_pool3d(clip, (1, 2, 2))
    assert torch.allclose(network(clip)[0], network(means)[0], atol=1e-4)


def test_half_precision_loses_no_small_pulse():
    """A change of 0.05 % of the colour, in pictures that are averaged first: the wave is that of whole precision."""
    torch.manual_seed(0)
    network, pulse = GridPulse().eval(), torch.sin(2 * torch.pi * 1.2 * torch.arange(300) / 30).reshape(1, 1, -1, 1, 1)
    faces = 100 + 0.05 * pulse * torch.tensor([0.3, 1.0, 0.6]).reshape(1, 3, 1, 1, 1) + torch.zeros(1, 3, 300, 8, 8)
    with torch.no_grad():
        wave = network(faces)[0][0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(faces)[0][0].float()
    assert torch.corrcoef(torch.stack([wave, half]))[0, 1] > 0.99


def test_the_loss_is_small_for_the_right_wave_and_asks_nothing_of_clips_without_pulse():
    """Against another rate, and with a flat label."""
    times = torch.arange(255) / 30
    right, other = (torch.sin(2 * torch.pi * f * times)[None] for f in (1.2, 2.0))
    sure = torch.full((1, 255), 9.0)
    good = wave_and_spectrum(right, sure, right, 30.0, (0.3, 0.2))
    bad = wave_and_spectrum(other, sure, right, 30.0, (0.3, 0.2))
    assert good["loss"] < 0.05 and bad["pearson"] > 0.9 and bad["quality"] > 5
    none = wave_and_spectrum(other.requires_grad_(), -sure, torch.zeros(1, 255), 30.0, (0.3, 0.2))
    assert none["pearson"] == none["spectrum"] == 0 and none["quality"] < 0.01


@pytest.mark.slow
def test_it_learns_from_drawn_signals_and_the_same_twice(tmp_path):
    """Through main.py: no file is read, a rerun with another folder gives the same weights, history has its terms."""
    found = []
    for name in ("a", "b"):
        changes = [*SMALL, f"LOG.PATH={tmp_path / name}"]
        assert main.main(["--config_file", str(FILE), *changes]) == 0
        folder = run_folder(load_config(FILE, changes))
        weights = json.loads((folder / "provenance.json").read_text())["weights"]["trained"]["sha256"]
        found.append((weights, (folder / "history.csv").read_text().splitlines()[0]))
    assert found[0] == found[1] and all(word in found[0][1] for word in ("pearson", "spectrum", "quality"))


def test_drawn_grids_are_the_pictures_they_stand_for(tmp_path):
    """Cells row by row, red, green and blue of each."""
    trainer = GridPulseTrainer(load_config(FILE, [*SMALL, f"LOG.PATH={tmp_path}"]))
    grid = torch.arange(48.0)[None, :, None].expand(1, 48, 5)
    pictures = trainer.prepare({"grid": grid})["video"]
    assert pictures.shape == (1, 3, 5, 4, 4)
    assert pictures[0, :, 0, 0, 1].tolist() == [3, 4, 5] and np.isclose(pictures[0, 2, 0, 3, 3], 47)


def test_its_weights_come_with_the_toolbox():
    """`--method GridPulse` needs no file; they are small, load, and read a pulse out of drawn signals."""
    path = chosen.shipped("GridPulse")
    assert path and Path(path).stat().st_size < 1 << 20 and chosen.shipped("Physnet") == ""
    network = GridPulse()
    network.load_state_dict(checkpoint.read_weights(path))
    network.eval()
    right = 0
    for number in range(20):
        found = signals.draw((77, number), 300, without=["motion", "balance"])
        video = torch.from_numpy(found.colours.reshape(300, 4, 4, 3).transpose(3, 0, 1, 2).copy())[None]
        with torch.no_grad():
            wave = network(video)[0][0].numpy()
        right += np.corrcoef(wave, found.ppg)[0, 1] > 0.5
    assert right >= 12


def test_own_videos_are_measured_by_the_shipped_weights(tmp_path, capsys):
    """Through main.py: a rendered person, at the rate that it has."""
    person = {"PRESET": "easy", "SUBJECTS": 1, "SECONDS": 12.0, "HEART_RATE": [66, 66], "WIDTH": 240, "HEIGHT": 180}
    clip = tmp_path / "clip.mp4"
    write_recording(clip, Session(resolve(person), 1))
    changes = [f"LOG.PATH={tmp_path / 'runs'}", f"UNSUPERVISED.DATA.CACHED_PATH={tmp_path / 'cache'}", "DEVICE=cpu"]
    assert main.main(["--video", str(clip), "--method", "GridPulse", *changes]) == 0
    said = capsys.readouterr().out
    rate = float(re.search(r"clip: ([\d.]+) bpm", said)[1])
    assert abs(rate - 66) < 3
