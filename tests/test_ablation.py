"""What the effects of drawn signals are worth: the trainings are made once, and the table says what they read."""

import numpy as np
import pytest

from dataset.synthetic.signals import EFFECTS
from tools.benchmark import ablation

SMALL = ["TRAIN.EPOCHS=1", "TRAIN.DATA.SIGNALS.WINDOWS=4", "VALID.DATA.SIGNALS.WINDOWS=4", "TRAIN.BATCH_SIZE=4",
         "TRAIN.DATA.SIGNALS.SECONDS=4", "VALID.DATA.SIGNALS.SECONDS=4", "DEVICE=cpu", "NUM_WORKERS=0"]  # fmt: skip


def trace(folder):
    """A file of one trace with a contact sensor."""
    times = np.arange(900) / 30
    wave = np.sin(2 * np.pi * 1.2 * times)
    colours = 100 * (1 - 0.01 * wave[:, None] * [0.3, 1.0, 0.6])
    np.savez(folder / "person.npz", face_rgb=colours, face_time_s=times, ppg=wave, ppg_time_s=times)


@pytest.mark.slow
def test_a_training_per_effect_and_seed_once(tmp_path, monkeypatch, capsys):
    """Through the command; a second call trains nothing and prints the same; weights differ by what is left out."""
    trace(tmp_path)
    asked = [str(tmp_path), "--effects", "motion", "--seeds", "1", "--work", str(tmp_path / "work"), *SMALL]
    assert ablation.main(asked) == 0
    first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split(" |")[0] for line in first[2:]] == ["| nothing", "| motion"]
    monkeypatch.setattr(ablation.program, "main", lambda arguments: pytest.fail("trained again"))
    assert ablation.main(asked) == 0
    assert capsys.readouterr().out.splitlines() == first
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*_Epoch0.pth")}
    assert len(files) == len(set(files.values())) == 2


def test_the_table_has_the_mean_and_the_range_of_the_seeds():
    """Over traces and rates, for nothing left out and each effect."""
    lines = [
        {"method": ablation.name(left_out, seed), "windows": float(seed + 10 * (left_out == "light")), "path": 1.0}
        for left_out in ("nothing", "light") for seed in (1, 2, 6) for _ in range(2)
    ]  # fmt: skip
    rows = list(ablation.table(lines, ["light"], [1, 2, 6]))
    assert rows[2:] == ["| nothing | 3.00 | 1.00 to 6.00 | 1.00 | 1.00 to 1.00 |",
                        "| light | 13.00 | 11.00 to 16.00 | 1.00 | 1.00 to 1.00 |"]  # fmt: skip
    assert "light" in EFFECTS
