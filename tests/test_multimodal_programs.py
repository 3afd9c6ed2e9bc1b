"""Programs around a simulated set: what cannot be made is one sentence, and the demo goes from nothing to a table."""

import json

import h5py
import numpy as np
import pytest

from dataset.multimodal.layout import DEVICES
from dataset.multimodal.simulate import Setup, Simulation
from tools.multimodal import demo, synth, table


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--subjects", "0"], "numbers from 1 on"),
        (["--width", "10"], "use 96 to 4096 pixels"),
        (["--thermal", "8", "8"], "use 16 to 1024 pixels"),
        (["--seconds", "3"], "shorter than a burst of marks"),
        (["--missing", "rgb", "thermal", "radar", "ppg"], "without any device"),
    ],
)
def test_a_set_that_cannot_be_is_one_sentence(tmp_path, capsys, asked, said):
    """Exit code 2, and nothing is left behind."""
    assert synth.main(["--root", str(tmp_path / "set"), *asked]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_a_set_is_never_written_over(tmp_path, capsys):
    """Where one is, another folder is asked for."""
    (tmp_path / "dataset.json").write_text("{}")
    assert synth.main(["--root", str(tmp_path)]) == 2
    assert "holds a multimodal data set already" in capsys.readouterr().err


@pytest.mark.parametrize("drift", [-80.0, 80.0])
def test_a_slow_clock_has_a_picture_for_every_stamp(drift):
    """In ten minutes it is behind by more than one of them."""
    one = Simulation(Setup(600.0, drifts=dict.fromkeys(DEVICES, drift)), 1)
    assert 0 <= one.person.settings.frames - len(one.times("rgb")) <= 1


def test_windows_of_signal_processing_last_as_long_at_any_rate(tmp_path):
    """Two of 20 s in 40 s at 25 frames per second."""
    times = np.arange(1000) / 25
    with h5py.File(tmp_path / "aligned.h5", "w") as file:
        file["t"] = times
        for name, bpm in (("rgb", 66.0), ("ppg", 60.0)):
            file[f"waves/{name}/pulse"] = np.sin(2 * np.pi * bpm / 60 * times)
        errors = table._errors(file, "rgb")
    assert len(errors) == 2 and all(abs(pulse - 6.0) < 0.5 and np.isnan(breath) for pulse, breath in errors)


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_a_table(tmp_path, capsys):
    """Three people, one epoch: signal processing of each sensor, and one network with each choice of them."""
    where = ["--root", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    assert demo.main([*where, "--subjects", "3", "--seconds", "24", "--epochs", "1"]) == 0
    lines = json.loads((tmp_path / "out" / "table.json").read_text())
    assert len(lines) == 3 + 7 and all(line["n"] == 1 for line in lines)
    assert {line["tested"] for line in lines[3:]} >= {"RGB", "RGB + radar", "RGB + thermal + radar"}
    assert "report.html" in capsys.readouterr().out
